"""f8 in both formats: every value, every widening, every narrowing, every product."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from tests.naive import float8 as oracle
from tests.naive import numbers as fp
from tests.naive.numbers import F16, F32, Flags
from tile_emu.isa.semantics import float8

EVENTS = {"INV": 1, "DIV0": 2, "OFLO": 4}
NANOO, ESR = 1 << 20, 1 << 19
ARF_FORMAT = {"F152": 0, "F143": 2}
WEIGHT_FORMAT = {"F152": 0, "F143": 1}
FORMATS = ["F143", "F152"]


def mask(flags: Flags) -> int:
    return sum(EVENTS[flag] for flag in flags)


def test_the_formats_have_their_published_limits() -> None:
    assert oracle.decode(0x7F, "F143").size == 240 and oracle.decode(0x7F, "F152").size == 57344
    assert oracle.decode(0x01, "F143").size == Fraction(2) ** -10
    assert oracle.decode(0x01, "F152").size == Fraction(2) ** -17


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("scale", [0, 1, -1, 7, -9, 31, -32])
@pytest.mark.parametrize("control", [0, NANOO, ESR])
def test_widening_every_byte(form: str, scale: int, control: int) -> None:
    for byte in range(256):
        flags = Flags()
        expected = oracle.widen(byte, form, scale, bool(control & NANOO), flags)
        other = oracle.widen(255 - byte, form, scale, bool(control & NANOO), flags)
        word = byte | (255 - byte) << 8
        result = float8.f8v2tof16(control, ARF_FORMAT[form], scale & 63, word | 0xABCD0000)
        assert (hex(result & 0xFFFFFFFF), result >> 32) == (hex(expected | other << 16), mask(flags)), hex(byte)
        low, high = float8.f8v4tof16(control, ARF_FORMAT[form], scale & 63, word | word << 16)
        assert low == high == result


def test_mask_as_format_and_reserved_scale_bits() -> None:
    assert float8.f8v2tof16(0, 0xFFFFFFFF, 0, 0x48) == fp.to_f16(oracle.decode(0x48, "F143"), Flags(), False)
    assert float8.f8v2tof16(0, 2, 0xFFFFFF80, 0x48) == float8.f8v2tof16(0, 2, 0, 0x48)


def check_narrowing(form: str, scale: int, control: int, halves: range) -> None:
    for low in halves:
        flags = Flags()
        first = oracle.narrow(low, form, scale, bool(control & NANOO), flags)
        second = oracle.narrow(low + 1, form, scale, bool(control & NANOO), flags)
        result = float8.f16v2tof8(control, ARF_FORMAT[form], scale & 63, low | (low + 1) << 16)
        assert (result & 0xFFFFFFFF, result >> 32) == (first | second << 8, mask(flags)), (hex(low), scale)


@pytest.mark.parametrize("form", FORMATS)
def test_narrowing_every_half(form: str) -> None:
    check_narrowing(form, 0, 0, range(0, 65536, 2))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("scale", "control"), [(0, NANOO), (0, ESR), (-3, 0), (12, 0), (-32, 0), (31, NANOO)])
def test_narrowing_scaled(form: str, scale: int, control: int) -> None:
    check_narrowing(form, scale, control, range(0, 65535, 22))


def test_narrowing_eight() -> None:
    rng = random.Random(1)
    for _ in range(500):
        words = [rng.getrandbits(32) for _ in range(4)]
        flags = Flags()
        halves = [half for word in words for half in (word & 0xFFFF, word >> 16)]
        expected = bytes(oracle.narrow(half, "F143", -2, False, flags) for half in halves)
        low, high = float8.f16v8tof8(0, 2, 62, *words)
        got = (low & 0xFFFFFFFF).to_bytes(4, "little") + (high & 0xFFFFFFFF).to_bytes(4, "little")
        assert got == expected
        assert (low | high) >> 32 == mask(flags)


@pytest.mark.parametrize("form", FORMATS)
def test_every_byte_survives_the_way_to_f16_and_back(form: str) -> None:
    for byte in range(256):
        half = float8.f8v2tof16(0, ARF_FORMAT[form], 0, byte) & 0xFFFF
        assert float8.f16v2tof8(0, ARF_FORMAT[form], 0, half) & 0xFF == byte, hex(byte)


def weights_of(bytes_: np.ndarray) -> np.ndarray:
    """uint8[16 units, 4 slots, 8] as the store's f32 view: [(2 * slot + half) * 16 + unit]."""
    words = np.ascontiguousarray(bytes_).view(np.uint32)  # [unit, slot, half]
    return np.ascontiguousarray(words.transpose(1, 2, 0)).reshape(-1).view(np.float32)


def number(byte: int, form: str) -> float:
    value = oracle.decode(byte, form)
    return np.nan if value.kind == "nan" else float(value.value)


@pytest.mark.parametrize("scale", [0, -13])
@pytest.mark.parametrize(("x_form", "w_form"), [(x, w) for x in FORMATS for w in FORMATS])
def test_every_product(x_form: str, w_form: str, scale: int) -> None:
    """256 x 256 products through the AMP, one alone in each dot product; the byte and the slot move along."""
    nfmt = ARF_FORMAT[x_form] | WEIGHT_FORMAT[w_form]
    stores = {}
    for lane in range(8):
        for first in range(0, 256, 16):
            store = np.zeros((16, 4, 8), np.uint8)
            store[:, 1 + lane % 3, lane] = np.arange(first, first + 16)
            stores[lane, first] = weights_of(store)
    products = np.zeros((256, 256), np.float32)
    invalid = np.zeros((256, 256), bool)
    for x in range(256):
        lane = (x * 5 + x // 8) % 8
        words = [x << 8 * lane & 0xFFFFFFFF, x << 8 * lane >> 32]
        for first in range(0, 256, 16):
            acc = np.zeros(32, np.float32)
            phase = (1 + lane % 3) << 2
            low, _ = float8.f8v8hihov4amp(acc, stores[lane, first], 0, 0, nfmt, scale & 63, *words, 0, 0, phase)
            products[x, first : first + 16] = acc[:16]
            invalid[x, first : first + 16] = low >> 32 == 1
    left, right = (np.array([number(byte, form) for byte in range(256)]) for form in (x_form, w_form))
    # Exact: values have at most four significant bits.
    np.testing.assert_array_equal(products, (np.outer(left, right) * 2.0**scale).astype(np.float32))
    expected = np.zeros((256, 256), bool)
    expected[0x80, :] = expected[:, 0x80:0x90] = True
    np.testing.assert_array_equal(invalid, expected)


def reference_step(
    acc: list[int], store: np.ndarray, forms: tuple[str, str], scale: int, x: list[int], pins: list[int], phase: int
) -> tuple[list[int], list[int]]:
    """f8v8hihov4amp in mode E4 by the text of 12.2, exact sums; (accumulators A[0..31], four f16 results)."""
    acc, out = list(acc), []
    inputs = [oracle.decode(byte, forms[0]).value for byte in x]
    for s in range(2):
        sums, chain = acc[16 * s : 16 * s + 16 : 2], acc[16 * s + 1 : 16 * s + 16 : 2]
        if phase == 0:
            sums, chain = chain, sums
        for u in range(8):
            weights = [oracle.decode(int(byte), forms[1]).value for byte in store[8 * s + u, phase]]
            dot = sum((p * q for p, q in zip(inputs, weights, strict=True)), Fraction(0)) * Fraction(2) ** scale
            old = fp.decode(sums[u], F32)
            sums[u] = fp.to_f32(fp.number(old.value + dot, old.negative and dot == 0 and not old.size), Flags())
        out += [fp.to_f16(fp.decode(bits, F32), Flags(), False) for bits in chain[0:2]]
        chain = chain[2:] + [fp.to_f32(fp.decode(bits, F16), Flags()) for bits in pins[2 * s : 2 * s + 2]]
        acc[16 * s : 16 * s + 16 : 2], acc[16 * s + 1 : 16 * s + 16 : 2] = sums, chain
    return acc, out


@pytest.mark.parametrize("forms", [("F143", "F143"), ("F143", "F152"), ("F152", "F143")])
def test_amp_groups(forms: tuple[str, str]) -> None:
    """Groups of four phases with partials and results; sums of F143 products always fit a double, mixed ones here."""
    rng = random.Random(2)
    nfmt = ARF_FORMAT[forms[0]] | WEIGHT_FORMAT[forms[1]]
    draws = [rng.choice([0, 1, 0x7F, 0x81, rng.randrange(128)]) for _ in range(512)]
    store = np.array(draws, np.uint8).reshape(16, 4, 8)
    weights = weights_of(store)
    acc, expected = np.zeros(32, np.float32), [0] * 32
    for step in range(24):
        x = [rng.randrange(128) | (rng.getrandbits(1) << 7 if rng.random() < 0.5 else 0) for _ in range(8)]
        x = [0 if byte == 0x80 else byte for byte in x]
        pins = [rng.getrandbits(1) << 15 | rng.randrange(1 << 10, 20 << 10) for _ in range(4)]
        words = [int.from_bytes(bytes(x[i : i + 4]), "little") for i in (0, 4)]
        partials = [pins[0] | pins[1] << 16, pins[2] | pins[3] << 16]
        low, high = float8.f8v8hihov4amp(acc, weights, 0, 0, nfmt, 61, *words, *partials, (step % 4) << 2)
        expected, out = reference_step(expected, store, forms, -3, x, pins, step % 4)
        architectural = [int(acc.view(np.uint32)[k // 2 % 8 + k // 16 * 8 + k % 2 * 16]) for k in range(32)]
        assert architectural == expected, step
        got = [(word >> shift) & 0xFFFF for word in (low, high) for shift in (0, 16)]
        assert got == out, step

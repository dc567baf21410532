"""SLIC and the streaming transpose: published traces and vectors, then random programs against the oracle."""

from __future__ import annotations

import random
import struct
from fractions import Fraction

import numpy as np
import pytest

from tests.naive import float8
from tests.naive import numbers as fp
from tests.naive.numbers import F16, F32, Flags, Number
from tests.naive.slic import Transpose, move, multiply
from tests.programs import finite_f16, finite_f32
from tile_emu.isa.semantics import slic, transpose

pytestmark = pytest.mark.nojit

BANKS, SHAPE_1X3, UPPER = 4, 4, 8
ONE = 0x3C00
EVENTS = {"INV": 1, "DIV0": 2, "OFLO": 4}


def f32(x: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", x))[0])


def f16(*values: float) -> list[int]:
    halves = [int.from_bytes(struct.pack("<e", v), "little") for v in values]
    return [halves[i] | halves[i + 1] << 16 for i in range(0, len(halves), 2)]


def architectural(acc: np.ndarray) -> list[int]:
    """A[0..31] of the emulator's layout."""
    bits = acc.view(np.uint32)
    return [int(bits[k // 2 % 8 + k // 16 * 8 + k % 2 * 16]) for k in range(32)]


def from_architectural(words: list[int]) -> np.ndarray:
    bits = np.zeros(32, np.uint32)
    for k, word in enumerate(words):
        bits[k // 2 % 8 + k // 16 * 8 + k % 2 * 16] = word
    return bits.view(np.float32)


def weights16(store: np.ndarray) -> np.ndarray:
    """uint16[16 units, 4 slots, 4] widened as the emulator keeps it: [(4 * slot + element) * 16 + unit]."""
    return np.ascontiguousarray(store.view(np.float16).transpose(1, 2, 0)).reshape(-1).astype(np.float64)


def weights32(store: np.ndarray) -> np.ndarray:
    words = np.ascontiguousarray(store).view(np.uint32)
    return np.ascontiguousarray(words.transpose(1, 2, 0)).reshape(-1).view(np.float32)


def mask(flags: Flags) -> int:
    return sum(EVENTS[flag] for flag in flags)


def random_store(rng: random.Random) -> np.ndarray:
    return np.array([finite_f16(rng, 12, 16) for _ in range(256)], np.uint16).reshape(16, 4, 4)


@pytest.mark.parametrize(("shape", "taps"), [(0, 4), (SHAPE_1X3, 3)])
def test_all_ones(shape: int, taps: int) -> None:
    acc, weights = np.zeros(32, np.float32), np.ones(256)
    ones = ONE | ONE << 16
    results = [slic.f16v4sisoslic(acc, weights, ones, ones, 0, 0, shape) for _ in range(10)]
    assert results[taps:] == [(f32(4.0 * taps), f32(4.0 * taps))] * (10 - taps)
    assert results[0] == (0, 0)


@pytest.mark.parametrize(("shape", "taps"), [(0, 4), (SHAPE_1X3, 3)])
def test_it_is_a_convolution(shape: int, taps: int) -> None:
    """R_2j = P_2j + sum over t of x_(j+t) . CW[2 * (taps - 1 - t)][bank], out at instruction j + taps (13.1)."""
    rng = random.Random(1)
    store = np.array([rng.randint(-4, 4) for _ in range(256)], np.float16).view(np.uint16).reshape(16, 4, 4)
    weights, values = weights16(store), store.view(np.float16)
    for bank in range(BANKS):
        acc = np.zeros(32, np.float32)
        x = [[rng.randint(-4, 4) for _ in range(4)] for _ in range(12)]
        partials = [[rng.randint(-9, 9) for _ in range(2)] for _ in range(12)]
        out = [
            slic.f16v4sisoslic(acc, weights, *f16(*x[j]), *(f32(p) for p in partials[j]), shape | bank)
            for j in range(12)
        ]
        for j in range(12 - taps):
            for odd in range(2):
                kernel = [values[2 * (taps - 1 - t) + odd, bank] for t in range(taps)]
                dots = [float(np.dot(kernel[t].astype(np.float64), x[j + t])) for t in range(taps)]
                assert out[j + taps][odd] == f32(partials[j][odd] + sum(dots)), (bank, j, odd)


@pytest.mark.parametrize("form", ["siso", "siho", "hiho", "hihov4"])
@pytest.mark.parametrize("shape", [0, SHAPE_1X3])
def test_f16_forms(form: str, shape: int) -> None:
    rng = random.Random(form + str(shape))
    taps, sets = (3 if shape else 4), (2 if form == "hihov4" else 1)
    store = random_store(rng)
    weights = weights16(store)
    function = getattr(slic, f"f16v4{form}slic")
    expected = [finite_f32(rng, 120, 130) for _ in range(32)]
    acc = from_architectural(expected)
    for _ in range(40):
        bank = rng.randrange(4)
        x = [finite_f16(rng, 12, 17) for _ in range(4)]
        if rng.random() < 0.1:
            x[rng.randrange(4)] = rng.choice([0x7C00, 0xFC00, 0x7E00])
        wide = form[0] == "s"
        pins = [finite_f32(rng, 120, 130) if wide else finite_f16(rng, 12, 20) for _ in range(2 * sets)]
        if rng.random() < 0.1:
            pins[0] = 0x7F800000 if wide else 0xFC00
        words = pins if wide else [pins[i] | pins[i + 1] << 16 for i in range(0, len(pins), 2)]
        sources = [x[0] | x[1] << 16, x[2] | x[3] << 16, *words, shape | bank]
        context = (acc, weights) if form == "siso" else (acc, weights, 0, 0)
        result = function(*context, *sources)
        flags, out = Flags(), []
        for s in range(sets):
            pin = [fp.decode(bits, F32 if wide else F16) for bits in pins[2 * s : 2 * s + 2]]
            out += move(expected, s, taps, pin, flags)
            halves = [fp.decode(bits, F16) for bits in x]
            multiply(expected, s, taps, bank, halves, lambda z, u, n: _halves(store, z, u, n), flags)
        if form != "siso":
            narrowed = []
            for bits in out:
                value = fp.decode(bits, F32)
                if value.kind == "nan":
                    flags.add("INV")
                narrowed.append(fp.to_f16(value, flags, False))
            out = [narrowed[i] | narrowed[i + 1] << 16 for i in range(0, len(narrowed), 2)]
        got = list(result) if isinstance(result, tuple) else [result]
        assert [word & 0xFFFFFFFF for word in got] == out
        assert (got[0] | got[-1]) >> 32 == mask(flags)
        assert architectural(acc) == expected


def _halves(store: np.ndarray, which: int, unit: int, bank: int) -> list[Number]:
    return [fp.decode(int(bits), F16) for bits in store[8 * which + unit, bank]]


@pytest.mark.parametrize("shape", [0, SHAPE_1X3])
def test_f8_form(shape: int) -> None:
    rng = random.Random(5)
    taps = 3 if shape else 4
    store = np.array([rng.choice([0, 0x3F, 0xC1, rng.randrange(128)]) for _ in range(512)], np.uint8).reshape(16, 4, 8)
    weights = weights32(store)
    expected = [0] * 32
    acc = np.zeros(32, np.float32)

    def values(which: int, unit: int, bank: int) -> list[Number]:
        return [float8.decode(int(byte), "F143") for byte in store[8 * which + unit, bank]]

    for _ in range(30):
        bank = rng.randrange(4)
        x = [rng.randrange(128) for _ in range(8)]
        pins = [finite_f16(rng, 8, 16) for _ in range(4)]
        words = [int.from_bytes(bytes(x[i : i + 4]), "little") for i in (0, 4)]
        partials = [pins[0] | pins[1] << 16, pins[2] | pins[3] << 16]
        low, high = slic.f8v8hihov4slic(acc, weights, 0, 0, 3, 60, *words, *partials, shape | bank)
        flags, out = Flags(), []
        scaled = [fp.number(float8.decode(byte, "F143").value * Fraction(1, 16)) for byte in x]
        for s in range(2):
            out += move(expected, s, taps, [fp.decode(bits, F16) for bits in pins[2 * s : 2 * s + 2]], flags)
            multiply(expected, s, taps, bank, scaled, values, flags)
        halves = [fp.to_f16(fp.decode(bits, F32), flags, False) for bits in out]
        assert [(word >> shift) & 0xFFFF for word in (low, high) for shift in (0, 16)] == halves
        assert low >> 32 == mask(flags) == 0
        assert architectural(acc) == expected


@pytest.mark.parametrize("form", ["f32sisoslic", "f32sisov2slic"])
@pytest.mark.parametrize("shape", [0, SHAPE_1X3])
def test_f32_forms(form: str, shape: int) -> None:
    rng = random.Random(form)
    taps, both = (3 if shape else 4), form == "f32sisov2slic"
    store = np.array([finite_f32(rng, 120, 130) for _ in range(128)], np.uint32).reshape(16, 4, 2)
    weights = weights32(store)
    expected = [finite_f32(rng) for _ in range(32)]
    acc = from_architectural(expected)
    for step in range(40):
        upper, bank = step % 2, rng.randrange(4)
        x, pins = finite_f32(rng, 120, 130), [finite_f32(rng, 120, 130) for _ in range(2)]
        got = getattr(slic, form)(acc, weights, x, *pins, shape | bank | (UPPER if upper else 0))
        flags, out = Flags(), [0, 0]
        if both or not upper:
            moving = upper if both else 0
            out = move(expected, moving, taps, [fp.decode(bits, F32) for bits in pins], flags)

        def word(which: int, unit: int, n: int, half: int = upper) -> list[Number]:
            return [fp.decode(int(store[8 * which + unit, n, half]), F32)]

        for s in range(2 if both else 1):
            multiply(expected, s, taps, bank, [fp.decode(x, F32)], word, flags)
        assert (list(got), architectural(acc)) == (out, expected)


def test_transpose_streams_blocks() -> None:
    """Two blocks through the four steps: columns 0 and 1 at once, 2 and 3 while the next block enters (11.4)."""
    acc = np.zeros(32, np.float32)
    blocks = [[[1000 * b + 10 * r + c for c in range(4)] for r in range(4)] for b in range(1, 4)]

    def words(halves: list[int]) -> list[int]:
        return [halves[0] | halves[1] << 16, halves[2] | halves[3] << 16]

    def halves(pair: tuple[int, int]) -> list[int]:
        return [part for word in pair for part in (word & 0xFFFF, word >> 16)]

    columns: list[list[int]] = []
    for rows in blocks:
        columns.append(halves(transpose.f16v4istacc(acc, *words(rows[0]), *words(rows[1]), 0)))
        columns.append(halves(transpose.f16v4istacc(acc, *words(rows[2]), *words(rows[3]), 1)))
        columns.append(halves(transpose.f16v4stacc(acc, 0)))
        columns.append(halves(transpose.f16v4stacc(acc, 1)))
    for b in range(2):
        got = [columns[4 * b + 2], columns[4 * b + 3], columns[4 * b + 4], columns[4 * b + 5]]
        assert got == [list(column) for column in zip(*blocks[b], strict=True)]


def test_transpose_moves_bits_unchanged_in_any_order() -> None:
    rng = random.Random(8)
    naive = Transpose([rng.getrandbits(32) for _ in range(32)])
    acc = from_architectural(naive.acc)
    for _ in range(300):
        phase = rng.randrange(2)
        if rng.random() < 0.5:
            rows = [[rng.choice([0x7C01, 0xFFFF, rng.getrandbits(16)]) for _ in range(4)] for _ in range(2)]
            pairs = [row[i] | row[i + 1] << 16 for row in rows for i in (0, 2)]
            result, expected = transpose.f16v4istacc(acc, *pairs, phase), naive.istacc(*rows, phase)
        else:
            result, expected = transpose.f16v4stacc(acc, phase), naive.stacc(phase)
        assert result == expected
        assert architectural(acc) == naive.acc


def test_stacc_reaches_the_second_pair_of_sums() -> None:
    """After f32v4acc, stacc 0 returns (A[0], A[2]) and stages A[4], A[6] without touching the sums."""
    acc = np.zeros(32, np.float32)
    acc[:4] = [1.0, 2.0, 3.0, 4.0]
    assert transpose.f16v4stacc(acc, 0) == (f32(1.0), f32(2.0))
    words = architectural(acc)
    assert (words[1], words[3]) == (f32(3.0), f32(4.0))
    assert words[0:8:2] == [f32(v) for v in (1.0, 2.0, 3.0, 4.0)]

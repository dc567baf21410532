"""Transcendental functions, roots and quotients against arbitrary precision: the correctly rounded value, and flags."""

from __future__ import annotations

import random
import struct
from fractions import Fraction

import pytest

from tests.naive import functions as oracle
from tests.naive import numbers as fp
from tests.naive.numbers import F16, Flags, decode
from tests.naive.randomness import f16_stochastic
from tests.programs import any_f32, finite_f16
from tile_emu.isa.semantics import SEMANTICS, transcendental
from tile_emu.isa.semantics.transcendental import EXTRA_TURN

UNARY = ["exp", "exp2", "ln", "log2", "sigm", "tanh", "sqrt", "oox", "oorx"]
HALF = ["exp", "exp2", "ln", "log2", "sigm", "tanh"]
EVENTS = {"INV": 1, "DIV0": 2, "OFLO": 4}
ESR, NANOO = 1 << 19, 1 << 20
SPECIAL = [
    0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF, 1, 0x80000001, 0x007FFFFF, 0x7F7FFFFF,
    0xFF7FFFFF, 0x3F800000, 0xBF800000,
]  # fmt: skip


def bits(x: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", x))[0])


def mask(flags: Flags) -> int:
    return sum(EVENTS[flag] for flag in flags)


def split(result: int) -> tuple[str, int]:
    return hex(result & 0xFFFFFFFF), (result >> 32) & 7


def interesting(rng: random.Random, name: str) -> int:
    """An f32 where the function is neither saturated nor trivial, three times of four."""
    if rng.random() < 0.25:
        return any_f32(rng)
    if name in ("ln", "log2") and rng.random() < 0.5:
        return bits(1.0 + rng.uniform(-1, 1) * 2.0 ** rng.uniform(-23, -1))
    sign = rng.choice((1, -1)) if name in ("exp", "exp2", "sigm", "tanh", "oox") else 1
    if name in ("exp", "exp2", "sigm", "tanh"):
        return bits(sign * 2.0 ** rng.uniform(-26, 7.1))
    return rng.getrandbits(31) % 0x7F800000 | (0x80000000 if sign < 0 else 0)


@pytest.mark.parametrize("name", UNARY)
def test_f32_functions_are_correctly_rounded(name: str) -> None:
    function = getattr(transcendental, f"f32{name}")
    rng = random.Random(1)
    for word in SPECIAL + [interesting(rng, name) for _ in range(4000)]:
        expected, flags = oracle.f32_unary(name, word)
        assert split(function(word)) == (hex(expected), mask(flags)), (name, hex(word))


def test_sigmoid_near_ties() -> None:
    """Close to 0 it is 1/2 + x/4 - x**3/48, and the cubic term decides ties it is far too small to be seen beside."""
    for k in range(1, 200):
        for word in (bits(k * 2.0**-23), bits(-k * 2.0**-24)):
            expected, _ = oracle.f32_unary("sigm", word)
            assert split(transcendental.f32sigm(word)) == (hex(expected), 0), hex(word)


def test_exponentials_near_one_and_at_the_ends() -> None:
    for name, points in (("exp", (88.72283, 88.72284, -103.97208, -103.97209, -87.33654)), ("exp2", (-149.5, -150.0))):
        for point in points:
            for step in range(-3, 4):
                word = bits(point) + step
                expected, flags = oracle.f32_unary(name, word)
                assert split(getattr(transcendental, f"f32{name}")(word)) == (hex(expected), mask(flags)), point
    for n in range(-149, 128):
        assert transcendental.f32exp2(bits(float(n))) == bits(2.0**n)
        assert transcendental.f32log2(bits(2.0**n)) == bits(float(n))


@pytest.mark.parametrize("name", HALF)
def test_float64_values_are_far_more_accurate_than_the_destination(name: str) -> None:
    """Relative error below 2**-51, so that rounding to f32 is nearly always the correct one."""
    which = getattr(transcendental, name.upper())
    rng = random.Random(4)
    for _ in range(2000):
        x = struct.unpack("<f", struct.pack("<I", interesting(rng, name)))[0]
        if not 2.0**-100 < abs(x) < 100 or (name in ("ln", "log2") and (x < 0 or x == 1.0)):
            continue
        exact = oracle.value(name, fp.number(Fraction(x)), Flags()).value
        value = Fraction(transcendental.function_value(which, x))
        assert abs(value - exact) < abs(exact) * Fraction(1, 2**51), x


@pytest.mark.parametrize("name", HALF)
@pytest.mark.parametrize("control", [0, NANOO])
def test_f16_functions_are_correctly_rounded(name: str, control: int) -> None:
    """Both halves; every 23rd pattern (the table of docs/transcendentals.md covers them all)."""
    function = getattr(transcendental, f"f16v2{name}")
    for low in [0, 0x8000, 0x7C00, 0xFC00, 0x7E00, 0x7C01, *range(1, 65536, 23)]:
        high = (low * 40503 + 77) & 0xFFFF
        parts = [oracle.f16_unary(name, half, bool(control)) for half in (low, high)]
        expected = parts[0][0] | parts[1][0] << 16
        flags = mask(parts[0][1]) | mask(parts[1][1])
        assert split(function(control, 0, low | high << 16)) == (hex(expected), flags), (hex(low), hex(high))


def test_division_is_correctly_rounded() -> None:
    rng = random.Random(2)
    pairs = [(a, b) for a in SPECIAL for b in SPECIAL]
    pairs += [(any_f32(rng), any_f32(rng)) for _ in range(6000)]
    for a, b in pairs:
        expected, flags = oracle.f32_quotient(a, b)
        assert split(transcendental.f32div(a, b)) == (hex(expected), mask(flags)), (hex(a), hex(b))


def test_turns_of_division_depend_on_the_operands() -> None:
    for a, b, extra in ((1.0, 3.0, 2), (5.0, 2.0, 0), (0.0, 3.0, 0), (float("inf"), 3.0, 0), (1.0, 0.0, 0)):
        assert transcendental.f32div(bits(a), bits(b)) >> 40 == extra
    assert EXTRA_TURN == 1 << 40


def test_turns_are_declared() -> None:
    turns = {name: SEMANTICS[name].attributes.get("turns") for name in SEMANTICS}
    assert [turns[f"f32{name}"] for name in UNARY] == [3, 3, 6, 6, 5, 5, 5, 3, 4]
    assert [turns[f"f16v2{name}"] for name in HALF] == [2, 2, 2, 2, 2, 1]


def test_stochastic_rounding_of_functions() -> None:
    """Each half uses its own 16 bits of the draw; what is exact does not change."""
    rng = random.Random(3)
    for name in HALF:
        function = getattr(transcendental, f"f16v2{name}")
        for _ in range(150):
            low, high, draw = finite_f16(rng) & 0x7FFF, finite_f16(rng) & 0x7FFF, rng.getrandbits(63)
            expected, flags = 0, Flags()
            for shift, half in ((0, low), (16, high)):
                x = oracle.value(name, decode(half, F16), flags)
                expected |= f16_stochastic(x, draw >> shift & 0xFFFF, flags, False) << shift
            got = split(function(ESR, draw, low | high << 16))
            assert got == (hex(expected), mask(flags)), (name, hex(low), hex(high), hex(draw))
    assert transcendental.f16v2exp2(ESR, -1, 0x44003C00) == 0x4C004000

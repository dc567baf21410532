"""Rounding of doubles to f16 in every mode, and stochastic rounding, against exact fractions."""

from __future__ import annotations

import random
from fractions import Fraction
from math import ceil, floor, frexp

import pytest

from tests.naive import numbers as fp
from tests.naive.numbers import F16, Flags, Number
from tests.naive.randomness import f16_stochastic
from tile_emu.isa.semantics.rounding import STOCHASTIC, f16_round, quantise

pytestmark = pytest.mark.nojit

EVENTS = {"INV": 1, "DIV0": 2, "OFLO": 4}
ESR, NANOO = 1 << 19, 1 << 20


def doubles(seed: int, count: int) -> list[float]:
    """Around the f16 range: normal, subnormal, far below, just above the largest, exact halves and ties."""
    rng = random.Random(seed)
    values = [0.0, -0.0, 65504.0, 65519.999, 65520.0, 65535.9, -65536.0, 1e300, 2.0**-24, 2.0**-25, 2.0**-26, 5e-324]
    for _ in range(count):
        scale = 2.0 ** rng.randint(-30, 16)
        coarse = rng.random() < 0.4
        values.append((rng.randint(-4095, 4095) / 2048 if coarse else rng.uniform(-1, 1)) * scale)
    return values


def exact(value: float) -> Number:
    return fp.number(Fraction(value), str(value)[0] == "-")


def mask(flags: Flags) -> int:
    return sum(EVENTS[flag] for flag in flags)


@pytest.mark.parametrize("control", [0, NANOO])
def test_nearest_even(control: int) -> None:
    for value in doubles(1, 3000):
        flags = Flags()
        expected = fp.to_f16(exact(value), flags, bool(control))
        result = f16_round(control, 0, value, 0)
        assert (result & 0xFFFF, result >> 32) == (expected, mask(flags)), value
    assert f16_round(control, 0, float("nan"), 0) == 0x7E00 | 1 << 32


@pytest.mark.parametrize("mode", range(5))
def test_directed_modes(mode: int) -> None:
    """Modes as of f32int: 0 even, 1 up, 2 down, 3 to zero, 4 ties away; on units of the f16 below the value."""
    for value in doubles(2, 2000):
        if not 2.0**-60 < abs(value) < 65504:
            continue
        exponent = max(frexp(value)[1] - 1, -14)
        units = Fraction(value) / Fraction(2) ** (exponent - 10)
        whole = [
            fp.nearest_even(units),
            ceil(units),
            floor(units),
            int(units),
            int(abs(units) + Fraction(1, 2)) * (1 if units > 0 else -1),
        ][mode]
        expected = abs(whole) * Fraction(2) ** (exponent - 10)
        result = f16_round(0, 0, value, mode)
        assert fp.decode(result & 0x7FFF, F16).size == expected, (value, mode)


@pytest.mark.parametrize("control", [ESR, ESR | NANOO])
def test_stochastic(control: int) -> None:
    rng = random.Random(4)
    for value in doubles(3, 3000):
        draw = rng.choice([0, 0xFFFF, rng.getrandbits(16)])
        flags = Flags()
        expected = f16_stochastic(exact(value), draw, flags, bool(control & NANOO))
        result = f16_round(control, draw | 0x5A5A << 16, value, 0)
        assert (result & 0xFFFF, result >> 32) == (expected, mask(flags)), (value, hex(draw))


def test_probability_is_the_discarded_fraction() -> None:
    """All 65,536 draws: exactly frac * 65536 of them round away; a representable value never moves."""
    for value, away in ((1 + 0.25 / 1024, 16384), (1 + 0.75 / 1024, 49152), (1.0, 0), (-(1 + 3 / 65536 / 1024), 3)):
        low = quantise(value, 10, 15, STOCHASTIC, 0)
        assert low == 0x3C00
        results = [quantise(value, 10, 15, STOCHASTIC, draw) for draw in range(65536)]
        assert results.count(0x3C01) == away
        assert results.count(0x3C00) == 65536 - away

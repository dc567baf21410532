"""The random number generator and what draws from it (semantics 8.5, 9.3, 10.2), on plain Python integers."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from tests.naive import numbers as fp
from tests.naive.numbers import F16, Flags, Number

WORD = 2**64


def rotate(x: int, n: int) -> int:
    return (x * 2**n) % WORD + x // 2 ** (64 - n)


def seeded(seed: int) -> list[int]:
    """PRNG_0_0, PRNG_0_1, PRNG_1_0, PRNG_1_1 after writing PRNG_SEED."""
    other = 2**32 - 1 - seed
    return [seed, other, (seed * 2**13) % 2**32 + other // 2**19, (other * 2**13) % 2**32 + seed // 2**19]


class Generator:
    """xoroshiro128aox."""

    def __init__(self, words: list[int]) -> None:
        self.s0 = words[0] + words[1] * 2**32
        self.s1 = words[2] + words[3] * 2**32

    @property
    def words(self) -> list[int]:
        return [part for s in (self.s0, self.s1) for part in (s % 2**32, s // 2**32)]

    def step(self) -> int:
        sx = self.s0 ^ self.s1
        sa = self.s0 & self.s1
        out = sx ^ (rotate(sa, 1) | rotate(sa, 2))
        self.s0 = rotate(self.s0, 55) ^ sx ^ ((sx * 2**14) % WORD)
        self.s1 = rotate(sx, 36)
        return out

    def fields(self) -> list[int]:
        out = self.step()
        return [out // 2 ** (16 * i) % 2**16 for i in range(4)]

    def normal(self) -> Fraction:
        out = self.step()
        return Fraction(sum(out // 32**k % 32 for k in range(12)) - 186, 32)

    def mask(self, elements: int, p: int) -> list[bool]:
        fields = self.fields()
        return [bool(p // 2**16 % 2) or fields[i] < p % 2**16 for i in range(elements)]


def from_unsigned(u: int, bits: int) -> int:
    """(u + 1/2) / 2**bits - 1/2 as f16 (16 bits) or f32 (32 bits)."""
    exact = fp.number((u + Fraction(1, 2)) / 2**bits - Fraction(1, 2))
    return fp.to_f16(exact, Flags(), False) if bits == 16 else fp.to_f32(exact, Flags())


def f16_stochastic(x: Number, draw: int, flags: Flags, nanoo: bool) -> int:
    """Stochastic rounding to f16: 16 bits of the discarded fraction, truncated, plus a 16-bit draw (8.5)."""
    if x.kind != "finite" or x.size == 0:
        return fp.to_f16(x, flags, nanoo)
    step = fp.unit_exponent(x.size, F16)
    exact = fp.scaled(x.size, -step)
    kept = floor(exact)
    if floor((exact - kept) * 2**16) + draw >= 2**16:
        kept += 1
    return fp.to_f16(Number("finite", x.negative, fp.scaled(Fraction(kept), step)), flags, nanoo)


def f32_normal(x: Fraction) -> int:
    return fp.to_f32(fp.number(x), Flags())


def f16_normal(x: Fraction) -> int:
    return fp.to_f16(fp.number(x), Flags(), False)

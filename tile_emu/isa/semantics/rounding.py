"""Rounding of a float64 to a narrow format: the general path, for what one machine instruction cannot do.

Covers every rounding mode of FP_CTL.RND, stochastic rounding (FP_CTL.ESR, isa semantics 8.5), the overflow rules of f16
and the formats without infinities. Everything here is integer arithmetic, so it is the same on every host.

MODEL, stochastic rounding: the discarded part of the exact result is truncated to 16 bits and rounds away from zero if
it and 16 random bits sum to 2**16 or more; an exact result never changes.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from tile_emu.isa.semantics.doubles import double_bits
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.registry import INV, M32, OFLO
from tile_emu.jit import jit

F16_NAN = 0x7E00
F16_INFINITY = 0x7C00
F16_MAX = 0x7BFF
CTL_NANOO = 1 << 20
CTL_ESR = 1 << 19
CTL_RND = 7 << 16
RND_SHIFT = 16

NEAREST, UPWARD, DOWNWARD, TO_ZERO, TIES_AWAY, STOCHASTIC = 0, 1, 2, 3, 4, 8
_HIDDEN = 1 << 52  # leading bit of a float64's significand
_DEEPEST = 62  # furthest right shift of a significand that is still one of an int64


@jit(leaf=True)
def quantise(value, fraction, bias, mode, draw):
    """Pattern without sign of a float64 rounded to ``fraction`` fraction bits, with no upper limit on the exponent.

    The caller compares with the format's largest pattern; infinities give a huge one, NaNs are the caller's.
    ``draw``: 16 random bits for STOCHASTIC.
    """
    bits = double_bits(value)
    exponent = (bits >> 52) & 0x7FF
    if exponent == 0:
        return 0
    significand = (bits & (_HIDDEN - 1)) | _HIDDEN
    top = max(exponent - 1023, 1 - bias)
    shift = top - fraction - (exponent - 1075)
    if shift > _DEEPEST:
        significand = (significand >> min(shift - _DEEPEST, _DEEPEST)) | 1
        shift = _DEEPEST
    kept = significand >> shift
    rest = significand & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    if mode == STOCHASTIC:
        away = (rest >> (shift - 16)) + draw >= 0x10000
    elif mode == UPWARD:
        away = rest != 0 and bits >= 0
    elif mode == DOWNWARD:
        away = rest != 0 and bits < 0
    elif mode == TO_ZERO:
        away = False
    elif mode == TIES_AWAY:
        away = rest >= half
    else:
        away = rest > half or (rest == half and kept & 1 != 0)
    return kept + (1 if away else 0) + ((top + bias - 1) << fraction)


@jit(leaf=True)
def f16_round(ctl, draw, value, mode):
    """f16 pattern with flags of a float64. Beyond range: NaN under NANOO, else the largest value (8.4).

    ``draw``: random bits of which the lowest 16 are used under ESR, which overrides ``mode``.
    """
    outlined()
    if value != value:
        return F16_NAN | INV
    bits = quantise(value, 10, 15, STOCHASTIC if ctl & CTL_ESR else mode, draw & 0xFFFF)
    sign = (double_bits(value) >> 48) & 0x8000
    if bits < F16_INFINITY:
        return sign | bits
    if ctl & CTL_NANOO:
        return F16_NAN | INV | OFLO
    return sign | F16_MAX | OFLO


@jit(leaf=True)
def f16v2_round(ctl, draw, low, high, mode):
    """A word with flags of two float64; element i rounds with field i of ``draw``."""
    outlined()
    e0 = f16_round(ctl, draw, low, mode)
    e1 = f16_round(ctl, draw >> 16, high, mode)
    return (e0 & 0xFFFF) | ((e1 & 0xFFFF) << 16) | ((e0 | e1) & ~M32)


@jit(leaf=True)
def narrow_four(ctl, draw, a, b, c, d):
    """Two words with flags of four float32 narrowed to f16; element i rounds with field i of ``draw``."""
    outlined()
    low = f16v2_round(ctl, draw, np.float64(a), np.float64(b), NEAREST)
    return low, f16v2_round(ctl, draw >> 32, np.float64(c), np.float64(d), NEAREST)

"""Floating-point element-wise instructions and conversions (isa semantics 8, 9).

A function works on one 32-bit word: one f32 or two f16. Results carry their exception flags in bits 32.. . f16 sums,
differences and products are formed in f32 and rounded to f16 once more, which is correctly rounded because 24 bits are
at least 2 * 11 + 2. Invalid results are the canonical NaNs 0x7fc00000 and 0x7e00 (inferred).

Functions that narrow to f16 take ``draw``, 64 random bits for stochastic rounding (FP_CTL.ESR): element i of an
instruction uses bits 16 * i .. 16 * i + 15. Without ESR it is 0 and unused.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from tile_emu.isa.semantics.bits import bits_float, float_bits, narrow, sign_extend, widen
from tile_emu.isa.semantics.registry import INV, M32, OFLO, Shape, semantic
from tile_emu.isa.semantics.rounding import CTL_ESR, CTL_RND, F16_NAN, NEAREST, RND_SHIFT, f16_round, f16v2_round
from tile_emu.jit import jit

F32_NAN = 0x7FC00000
FLAGS = ~M32
ALU = Shape.ALU
GROUP = Shape.GROUP


@jit(leaf=True)
def f32_special(bits, a, b):
    """A result whose exponent is all ones: canonical NaN and INV, or an infinity, with OFLO if no operand had one."""
    if bits & 0x7FFFFFFF > 0x7F800000:
        return F32_NAN | INV
    if (a & 0x7FFFFFFF) == 0x7F800000 or (b & 0x7FFFFFFF) == 0x7F800000:
        return bits
    return bits | OFLO


@jit(inline=True)
def f32_result(value, a, b):
    """Pattern and flags of an f32 result computed from operands a and b."""
    bits = float_bits(value)
    return bits if bits & 0x7F800000 != 0x7F800000 else f32_special(bits, a, b)


@jit(inline=True)
def f16_result(ctl, draw, value):
    """f16 pattern and flags of an f32 result narrowed to nearest even, or stochastically under ESR."""
    bits = narrow(value)
    if bits & 0x7C00 != 0x7C00 and ctl & CTL_ESR == 0:
        return bits
    return f16_round(ctl, draw, np.float64(value), NEAREST)


@jit(inline=True)
def f16v2_result(ctl, draw, word, low, high):
    """Two narrowed halves in ``word``, if neither is beyond range and ESR is off; else the exact float64 rounded again.

    One test for both halves: adding one to an exponent of all ones carries into its sign.
    """
    if (((word & 0x7C007C00) + 0x04000400) & 0x80008000) | (ctl & CTL_ESR) == 0:
        return word
    return f16v2_round(ctl, draw, low, high, NEAREST)


@jit(inline=True)
def f16v2_sum(ctl, draw, a0, a1, b0, b1):
    """a + b of two f16 values each, whose sum need not fit an f32 exactly but always fits a float64."""
    word = narrow(a0 + b0) | (narrow(a1 + b1) << 16)
    return f16v2_result(ctl, draw, word, np.float64(a0) + np.float64(b0), np.float64(a1) + np.float64(b1))


@jit(inline=True)
def f16v2_converted(ctl, draw, low, high):
    """Two f32 converted, which honours FP_CTL.RND (modes as of f32int, inferred)."""
    word = narrow(low) | (narrow(high) << 16)
    if (((word & 0x7C007C00) + 0x04000400) & 0x80008000) | (ctl & (CTL_ESR | CTL_RND)) == 0:
        return word
    return f16v2_round(ctl, draw, np.float64(low), np.float64(high), (ctl & CTL_RND) >> RND_SHIFT)


@jit(inline=True)
def pack_halves(low, high):
    """Two f16 results with flags into one word with flags."""
    return (low & 0xFFFF) | ((high & 0xFFFF) << 16) | ((low | high) & FLAGS)


@jit(inline=True)
def low_half(a):
    return widen(a & 0xFFFF)


@jit(inline=True)
def high_half(a):
    return widen((a >> 16) & 0xFFFF)


@jit(inline=True)
def f32_is_nan(a):
    return a & 0x7FFFFFFF > 0x7F800000


@jit(inline=True)
def f16_is_nan(a):
    return a & 0x7FFF > 0x7C00


@semantic("f32add f32v2add", ALU, "a + b", choices="nan overflow")
@jit(inline=True)
def f32add(a, b):
    return f32_result(bits_float(a) + bits_float(b), a, b)


@semantic("f32sub f32v2sub", ALU, "a - b", choices="nan overflow")
@jit(inline=True)
def f32sub(a, b):
    return f32_result(bits_float(a) - bits_float(b), a, b)


@semantic("f32mul f32v2mul", ALU, "a * b", choices="nan overflow")
@jit(inline=True)
def f32mul(a, b):
    return f32_result(bits_float(a) * bits_float(b), a, b)


@semantic("f32absadd f32v2absadd", ALU, "|a| + |b|", choices="nan overflow")
@jit(inline=True)
def f32absadd(a, b):
    return f32add(a & 0x7FFFFFFF, b & 0x7FFFFFFF)


@semantic("f16v2add f16v4add", ALU, "a + b per half", choices="nan f16-overflow stochastic stochastic-forms")
@jit(inline=True)
def f16v2add(ctl, draw, a, b):
    return f16v2_sum(ctl, draw, low_half(a), high_half(a), low_half(b), high_half(b))


@semantic("f16v2sub f16v4sub", ALU, "a - b per half", choices="nan f16-overflow stochastic stochastic-forms")
@jit(inline=True)
def f16v2sub(ctl, draw, a, b):
    return f16v2_sum(ctl, draw, low_half(a), high_half(a), -low_half(b), -high_half(b))


@semantic("f16v2mul f16v4mul", ALU, "a * b per half", choices="nan f16-overflow stochastic stochastic-forms")
@jit(inline=True)
def f16v2mul(ctl, draw, a, b):
    low = low_half(a) * low_half(b)
    high = high_half(a) * high_half(b)
    return f16v2_result(ctl, draw, narrow(low) | (narrow(high) << 16), np.float64(low), np.float64(high))


@semantic("f16v2absadd f16v4absadd", ALU, "|a| + |b| per half", choices="nan f16-overflow stochastic stochastic-forms")
@jit(inline=True)
def f16v2absadd(ctl, draw, a, b):
    return f16v2add(ctl, draw, a & 0x7FFF7FFF, b & 0x7FFF7FFF)


# Minimum and maximum: IEEE minNum / maxNum; a NaN operand sets INV; max(+0, -0) = +0 and min = -0 (inferred).


@jit(inline=True)
def _order(a, sign, top):
    """Integer that orders finite values and infinities of a sign-magnitude format; -0 lies below +0."""
    return a if a & sign == 0 else -(a & top) - 1


@jit(inline=True)
def _select(a, b, sign, infinity, nan, greater):
    top = sign - 1
    a_nan = (a & top) > infinity
    b_nan = (b & top) > infinity
    if a_nan or b_nan:
        return (nan if a_nan and b_nan else (b if a_nan else a)) | INV
    if (_order(a, sign, top) > _order(b, sign, top)) == greater:
        return a
    return b


@jit(inline=True)
def f32_select(a, b, greater):
    return _select(a, b, 0x80000000, 0x7F800000, F32_NAN, greater)


@jit(inline=True)
def f16_select(a, b, greater):
    return _select(a, b, 0x8000, 0x7C00, F16_NAN, greater)


@jit(inline=True)
def f16v2_select(a, b, greater):
    low = f16_select(a & 0xFFFF, b & 0xFFFF, greater)
    return pack_halves(low, f16_select(a >> 16, b >> 16, greater))


@semantic("f32max f32v2max", ALU, "maxNum(a, b)", choices="nan extremes")
@jit(inline=True)
def f32max(a, b):
    return f32_select(a, b, True)


@semantic("f32min f32v2min", ALU, "minNum(a, b)", choices="nan extremes")
@jit(inline=True)
def f32min(a, b):
    return f32_select(a, b, False)


@semantic("f32absmax f32v2absmax", ALU, "maxNum(|a|, |b|)", choices="nan extremes")
@jit(inline=True)
def f32absmax(a, b):
    return f32_select(a & 0x7FFFFFFF, b & 0x7FFFFFFF, True)


@semantic("f16v2max f16v4max", ALU, "maxNum(a, b) per half", choices="nan extremes")
@jit(inline=True)
def f16v2max(a, b):
    return f16v2_select(a, b, True)


@semantic("f16v2min f16v4min", ALU, "minNum(a, b) per half", choices="nan extremes")
@jit(inline=True)
def f16v2min(a, b):
    return f16v2_select(a, b, False)


@semantic("f16v2absmax f16v4absmax", ALU, "maxNum(|a|, |b|) per half", choices="nan extremes")
@jit(inline=True)
def f16v2absmax(a, b):
    return f16v2_select(a & 0x7FFF7FFF, b & 0x7FFF7FFF, True)


@semantic("f32clamp", GROUP, "min(max(x, lo), hi) with lo, hi in a pair", choices="nan extremes")
@jit(inline=True)
def f32clamp(x, low, high):
    raised = f32_select(x, low, True)
    return f32_select(raised & M32, high, False) | (raised & FLAGS)


@semantic("f32v2clamp", GROUP, "f32clamp of both elements", choices="nan extremes")
@jit(inline=True)
def f32v2clamp(x0, x1, low, high):
    return f32clamp(x0, low, high), f32clamp(x1, low, high)


@jit(inline=True)
def _f16v2clamp_word(x, limits):
    low = (limits & 0xFFFF) * 0x10001
    high = (limits >> 16) * 0x10001
    raised = f16v2_select(x, low, True)
    return f16v2_select(raised & M32, high, False) | (raised & FLAGS)


@semantic(
    "f16v2clamp", GROUP, "min(max(x, lo), hi) per half; lo low half, hi high half of source 1", choices="nan extremes"
)
@jit(inline=True)
def f16v2clamp(x, limits):
    return _f16v2clamp_word(x, limits)


@semantic("f16v4clamp", GROUP, "f16v2clamp of both words", choices="nan extremes")
@jit(inline=True)
def f16v4clamp(x0, x1, limits):
    return _f16v2clamp_word(x0, limits), _f16v2clamp_word(x1, limits)


# Comparisons give a mask per element; a NaN operand sets INV and is unequal to everything.


@jit(inline=True)
def f32_mask(a, b, truth):
    invalid = INV if f32_is_nan(a) or f32_is_nan(b) else 0
    return (M32 if truth else 0) | invalid


@jit(inline=True)
def f16_masks(a, b, low_truth, high_truth):
    nan = f16_is_nan(a & 0xFFFF) or f16_is_nan(a >> 16) or f16_is_nan(b & 0xFFFF) or f16_is_nan(b >> 16)
    return (0xFFFF if low_truth else 0) | (0xFFFF0000 if high_truth else 0) | (INV if nan else 0)


@semantic("f32cmpeq f32v2cmpeq", ALU, "mask a == b")
@jit(inline=True)
def f32cmpeq(a, b):
    return f32_mask(a, b, bits_float(a) == bits_float(b))


@semantic("f32cmpne f32v2cmpne", ALU, "mask a != b")
@jit(inline=True)
def f32cmpne(a, b):
    return f32_mask(a, b, not (bits_float(a) == bits_float(b)))


@semantic("f32cmplt f32v2cmplt", ALU, "mask a < b")
@jit(inline=True)
def f32cmplt(a, b):
    return f32_mask(a, b, bits_float(a) < bits_float(b))


@semantic("f32cmple f32v2cmple", ALU, "mask a <= b")
@jit(inline=True)
def f32cmple(a, b):
    return f32_mask(a, b, bits_float(a) <= bits_float(b))


@semantic("f32cmpgt f32v2cmpgt", ALU, "mask a > b")
@jit(inline=True)
def f32cmpgt(a, b):
    return f32_mask(a, b, bits_float(a) > bits_float(b))


@semantic("f32cmpge f32v2cmpge", ALU, "mask a >= b")
@jit(inline=True)
def f32cmpge(a, b):
    return f32_mask(a, b, bits_float(a) >= bits_float(b))


@semantic("f16v2cmpeq f16v4cmpeq", ALU, "mask a == b per half")
@jit(inline=True)
def f16v2cmpeq(a, b):
    return f16_masks(a, b, low_half(a) == low_half(b), high_half(a) == high_half(b))


@semantic("f16v2cmpne f16v4cmpne", ALU, "mask a != b per half")
@jit(inline=True)
def f16v2cmpne(a, b):
    return f16_masks(a, b, not (low_half(a) == low_half(b)), not (high_half(a) == high_half(b)))


@semantic("f16v2cmplt f16v4cmplt", ALU, "mask a < b per half")
@jit(inline=True)
def f16v2cmplt(a, b):
    return f16_masks(a, b, low_half(a) < low_half(b), high_half(a) < high_half(b))


@semantic("f16v2cmple f16v4cmple", ALU, "mask a <= b per half")
@jit(inline=True)
def f16v2cmple(a, b):
    return f16_masks(a, b, low_half(a) <= low_half(b), high_half(a) <= high_half(b))


@semantic("f16v2cmpgt f16v4cmpgt", ALU, "mask a > b per half")
@jit(inline=True)
def f16v2cmpgt(a, b):
    return f16_masks(a, b, low_half(a) > low_half(b), high_half(a) > high_half(b))


@semantic("f16v2cmpge f16v4cmpge", ALU, "mask a >= b per half")
@jit(inline=True)
def f16v2cmpge(a, b):
    return f16_masks(a, b, low_half(a) >= low_half(b), high_half(a) >= high_half(b))


# Conversions.


@jit(inline=True)
def f32_quiet(bits):
    """A value passed through a conversion: any NaN becomes the canonical one and sets INV."""
    return F32_NAN | INV if f32_is_nan(bits) else bits


@semantic("f16tof32", ALU, "low half widened, exact", choices="nan")
@jit(inline=True)
def f16tof32(a):
    return f32_quiet(float_bits(low_half(a)))


@semantic("f16v2tof32", GROUP, "both halves widened, exact", choices="nan")
@jit(inline=True)
def f16v2tof32(a):
    return f32_quiet(float_bits(low_half(a))), f32_quiet(float_bits(high_half(a)))


@semantic(
    "f32tof16",
    ALU,
    "narrowed to nearest even, result in both halves",
    choices="nan f16-overflow stochastic rounding-mode",
)
@jit(inline=True)
def f32tof16(ctl, draw, a):
    # One conversion, so both halves round with field 0.
    return f16v2_converted(ctl, (draw & 0xFFFF) * 0x10001, bits_float(a), bits_float(a))


@semantic("f32v2tof16", GROUP, "two f32 narrowed", choices="nan f16-overflow stochastic rounding-mode")
@jit(inline=True)
def f32v2tof16(ctl, draw, a, b):
    return f16v2_converted(ctl, draw, bits_float(a), bits_float(b))


@semantic("f32v4tof16", GROUP, "four f32 narrowed", choices="nan f16-overflow stochastic rounding-mode")
@jit(inline=True)
def f32v4tof16(ctl, draw, a, b, c, d):
    return f32v2tof16(ctl, draw, a, b), f32v2tof16(ctl, draw >> 32, c, d)


@semantic("f32fromi32", ALU, "signed integer to f32, nearest even")
@jit(inline=True)
def f32fromi32(a):
    return float_bits(np.float32(sign_extend(a, 32)))


@semantic("f32fromui32", ALU, "unsigned integer to f32, nearest even")
@jit(inline=True)
def f32fromui32(a):
    return float_bits(np.float32(a))


@jit(inline=True)
def _round_half_even(value):
    """float64 integer nearest to a float64 (ties to even)."""
    return np.rint(value)


@jit(leaf=True)
def _to_integer(a, lowest, highest):
    """f32 pattern to integer, nearest even; saturates with INV out of range, NaN gives 0 with INV (inferred)."""
    if f32_is_nan(a):
        return INV
    value = _round_half_even(np.float64(bits_float(a)))
    if value < lowest:
        return (np.int64(lowest) & M32) | INV
    if value > highest:
        return (np.int64(highest) & M32) | INV
    return np.int64(value) & M32


@semantic("f32toi32", ALU, "f32 to signed integer, nearest even, saturating (inferred)", choices="saturation")
@jit(inline=True)
def f32toi32(a):
    return _to_integer(a, -2147483648.0, 2147483647.0)


@semantic("f32toui32", ALU, "f32 to unsigned integer, nearest even, saturating (inferred)", choices="saturation")
@jit(inline=True)
def f32toui32(a):
    return _to_integer(a, 0.0, 4294967295.0)


@semantic(
    "f32int", ALU, "rounded to an integral value; mode 0 even, 1 up, 2 down, 3 to zero, 4 ties away", choices="nan"
)
@jit(leaf=True)
def f32int(a, mode):
    value = np.float64(bits_float(a))
    if f32_is_nan(a):
        return F32_NAN | INV
    if mode == 1:
        rounded = np.ceil(value)
    elif mode == 2:
        rounded = np.floor(value)
    elif mode == 3:
        rounded = np.trunc(value)
    elif mode == 4:
        rounded = np.trunc(value + np.copysign(0.5, value))
    else:
        rounded = np.rint(value)
    # The sign of a zero result is that of the operand.
    return (float_bits(np.float32(rounded)) & 0x7FFFFFFF) | (a & 0x80000000)


@semantic("f16v2sum", GROUP, "f32 sum of both halves", choices="nan overflow")
@jit(inline=True)
def f16v2sum(a):
    return f32_result(low_half(a) + high_half(a), float_bits(low_half(a)), float_bits(high_half(a)))


@semantic("f16v4sum", GROUP, "f32 sums of elements 0, 1 and of 2, 3", choices="nan overflow")
@jit(inline=True)
def f16v4sum(a, b):
    return f16v2sum(a), f16v2sum(b)


# 64-bit bitwise and permute forms of the ARF.


@semantic("sort4x32lo", GROUP, "[a0, b0]")
@jit(inline=True)
def sort4x32lo(a0, a1, b0, b1):
    return a0, b0


@semantic("sort4x32hi", GROUP, "[a1, b1]")
@jit(inline=True)
def sort4x32hi(a0, a1, b0, b1):
    return a1, b1


@semantic("roll32", GROUP, "[a1, b0]")
@jit(inline=True)
def roll32(a0, a1, b0, b1):
    return a1, b0

"""Accumulator instructions (isa semantics 11).

``acc`` holds one worker's accumulators as float32[32]: the sums of unit u of set s at 8 * s + u, the staging chain at
16 + 8 * s + u. AACC[k] of the manuals is ``acc[accumulator_index(k)]``: even numbers are sums, odd ones the chain (that
the chain is the odd numbers is inferred). Every update rounds once to f32, nearest even: one product by a fused
multiply-add, two f16 products and the old sum as an exact sum.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from tile_emu.isa.semantics.bits import bits_float, float_bits
from tile_emu.isa.semantics.doubles import sum_of_three
from tile_emu.isa.semantics.floating import (
    F32_NAN,
    FLAGS,
    f16_result,
    f32_quiet,
    high_half,
    low_half,
    pack_halves,
)
from tile_emu.isa.semantics.fused import fused_multiply_add
from tile_emu.isa.semantics.registry import INV, OFLO, Shape, semantic
from tile_emu.jit import jit

CHAIN = 16  # where the staging chain starts in acc
ACCUMULATORS = 32
GROUP = Shape.GROUP


@jit(inline=True)
def accumulator_index(number):
    """Position in ``acc`` of AACC[number]."""
    return (number & 1) * CHAIN + (number >> 4) * 8 + ((number >> 1) & 7)


@jit(inline=True)
def _keep(acc, index, value, strict):
    """Store a sum of f16 operands; flags. ``strict``: an infinity among them, which is invalid and gives NaN."""
    bits = float_bits(value)
    if bits & 0x7F800000 != 0x7F800000:
        acc[index] = value
        return 0
    return _keep_special(acc, index, bits, strict)


@jit(leaf=True)
def _keep_special(acc, index, bits, strict):
    if bits & 0x7FFFFF or strict:
        acc[index] = bits_float(F32_NAN)
        return INV
    # Finite f16 operands are too small to overflow an f32: the infinity was there before.
    return 0


@jit(inline=True)
def _keep_single(acc, index, value, a, b, c):
    """Store the result of f32 operands a, b, c (patterns); flags. An infinity that came in is no overflow."""
    bits = float_bits(value)
    if bits & 0x7F800000 != 0x7F800000:
        acc[index] = value
        return 0
    return _keep_single_special(acc, index, bits, a, b, c)


@jit(leaf=True)
def _keep_single_special(acc, index, bits, a, b, c):
    if bits & 0x7FFFFF:
        acc[index] = bits_float(F32_NAN)
        return INV
    acc[index] = bits_float(bits)
    for operand in (a, b, c):
        if operand & 0x7FFFFFFF == 0x7F800000:
            return 0
    return OFLO


@jit(inline=True)
def _nonfinite16(word):
    """Whether either half of a word is an infinity or NaN."""
    return (word & 0x7C00) == 0x7C00 or (word & 0x7C000000) == 0x7C000000


@jit(inline=True)
def _add_halves(acc, index, word):
    flags = _keep(acc, index, acc[index] + low_half(word), word & 0x7C00 == 0x7C00)
    return flags | _keep(acc, index + 1, acc[index + 1] + high_half(word), word & 0x7C000000 == 0x7C000000)


@jit(inline=True)
def _add_square_halves(acc, index, word):
    low = low_half(word)
    high = high_half(word)
    # An f16 square is exact in f32, so multiplying first rounds only once.
    flags = _keep(acc, index, acc[index] + low * low, word & 0x7C00 == 0x7C00)
    return flags | _keep(acc, index + 1, acc[index + 1] + high * high, word & 0x7C000000 == 0x7C000000)


@semantic("f16v4acc", GROUP, "A[0,2,4,6] += elements", choices="single-rounding nan")
@jit(inline=True)
def f16v4acc(acc, a, b):
    return _add_halves(acc, 0, a) | _add_halves(acc, 2, b)


@semantic("f16v8acc", GROUP, "A[0,2,..,14] += elements", choices="single-rounding nan")
@jit(inline=True)
def f16v8acc(acc, a, b, c, d):
    return f16v4acc(acc, a, b) | _add_halves(acc, 4, c) | _add_halves(acc, 6, d)


@semantic("f16v4absacc", GROUP, "A[0,2,4,6] += |elements|", choices="single-rounding nan")
@jit(inline=True)
def f16v4absacc(acc, a, b):
    return f16v4acc(acc, a & 0x7FFF7FFF, b & 0x7FFF7FFF)


@semantic("f16v8absacc", GROUP, "A[0,2,..,14] += |elements|", choices="single-rounding nan")
@jit(inline=True)
def f16v8absacc(acc, a, b, c, d):
    return f16v8acc(acc, a & 0x7FFF7FFF, b & 0x7FFF7FFF, c & 0x7FFF7FFF, d & 0x7FFF7FFF)


@semantic("f16v8sqacc", GROUP, "A[0,2,..,14] += elements squared", choices="single-rounding nan")
@jit(inline=True)
def f16v8sqacc(acc, a, b, c, d):
    flags = _add_square_halves(acc, 0, a) | _add_square_halves(acc, 2, b)
    return flags | _add_square_halves(acc, 4, c) | _add_square_halves(acc, 6, d)


@jit(inline=True)
def _add_single(acc, index, a):
    return _keep_single(acc, index, acc[index] + bits_float(a), a, a, float_bits(acc[index]))


@semantic("f32v4acc", GROUP, "A[0,2,4,6] += elements", choices="single-rounding nan overflow")
@jit(inline=True)
def f32v4acc(acc, a, b, c, d):
    flags = _add_single(acc, 0, a) | _add_single(acc, 1, b)
    return flags | _add_single(acc, 2, c) | _add_single(acc, 3, d)


@semantic("f32v4absacc", GROUP, "A[0,2,4,6] += |elements|", choices="single-rounding nan overflow")
@jit(inline=True)
def f32v4absacc(acc, a, b, c, d):
    return f32v4acc(acc, a & 0x7FFFFFFF, b & 0x7FFFFFFF, c & 0x7FFFFFFF, d & 0x7FFFFFFF)


@jit(inline=True)
def _multiply_add(acc, index, a, b):
    value = fused_multiply_add(bits_float(a), bits_float(b), acc[index])
    return _keep_single(acc, index, value, a, b, float_bits(acc[index]))


@semantic("f32v4sqacc", GROUP, "A[0,2,4,6] += elements squared", choices="single-rounding nan overflow")
@jit(inline=True)
def f32v4sqacc(acc, a, b, c, d):
    flags = _multiply_add(acc, 0, a, a) | _multiply_add(acc, 1, b, b)
    return flags | _multiply_add(acc, 2, c, c) | _multiply_add(acc, 3, d, d)


@semantic("f32mac", GROUP, "A[0] += x * y", choices="single-rounding nan overflow")
@jit(inline=True)
def f32mac(acc, x, y):
    return _multiply_add(acc, 0, x, y)


@semantic("f32v2mac", GROUP, "A[0] += x0 * y0; A[2] += x1 * y1", choices="single-rounding nan overflow")
@jit(inline=True)
def f32v2mac(acc, x0, x1, y0, y1):
    return _multiply_add(acc, 0, x0, y0) | _multiply_add(acc, 1, x1, y1)


@semantic(
    "f32v2aop",
    GROUP,
    "outer product: A[0,2,4,6] += x0*y0, x1*y0, x0*y1, x1*y1; the immediate is ignored (inferred)",
    choices="single-rounding spare-immediate nan overflow",
)
@jit(inline=True)
def f32v2aop(acc, x0, x1, y0, y1, flags):
    result = _multiply_add(acc, 0, x0, y0) | _multiply_add(acc, 1, x1, y0)
    return result | _multiply_add(acc, 2, x0, y1) | _multiply_add(acc, 3, x1, y1)


@jit(inline=True)
def _dot_halves(acc, index, x, y):
    strict = _nonfinite16(x) or _nonfinite16(y)
    low = np.float64(low_half(x)) * np.float64(low_half(y))
    high = np.float64(high_half(x)) * np.float64(high_half(y))
    return _keep(acc, index, np.float32(sum_of_three(np.float64(acc[index]), low, high)), strict)


@semantic("f16v2cmac", GROUP, "A[0] += x0*y0 + x1*y1", choices="single-rounding nan")
@jit(inline=True)
def f16v2cmac(acc, x, y):
    return _dot_halves(acc, 0, x, y)


@semantic("f16v4cmac", GROUP, "A[0] += x0*y0 + x1*y1; A[2] += x2*y2 + x3*y3", choices="single-rounding nan")
@jit(inline=True)
def f16v4cmac(acc, x0, x1, y0, y1):
    return _dot_halves(acc, 0, x0, y0) | _dot_halves(acc, 1, x1, y1)


@jit(inline=True)
def _gina(acc, immediate, first, second):
    """Shift one chain of four pairs down and insert a pair at its far end; returns the pair that left (float32)."""
    base = (immediate & 1) * CHAIN + ((immediate >> 1) & 1) * 8
    out0 = acc[base]
    out1 = acc[base + 1]
    for i in range(6):
        acc[base + i] = acc[base + i + 2]
    acc[base + 6] = first
    acc[base + 7] = second
    return out0, out1


@semantic(
    "f32v2gina",
    GROUP,
    "read the first pair of a chain, shift it, insert the source pair",
    choices="staging-chain spare-immediate",
)
@jit(inline=True)
def f32v2gina(acc, a, b, immediate):
    out0, out1 = _gina(acc, immediate, bits_float(a), bits_float(b))
    return float_bits(out0), float_bits(out1)


@semantic(
    "f16v2gina",
    GROUP,
    "as f32v2gina, narrowing on the way out and widening on the way in",
    choices="staging-chain spare-immediate nan f16-overflow stochastic",
)
@jit(inline=True)
def f16v2gina(acc, ctl, draw, a, immediate):
    low = f32_quiet(float_bits(low_half(a)))
    high = f32_quiet(float_bits(high_half(a)))
    out0, out1 = _gina(acc, immediate, bits_float(low), bits_float(high))
    return pack_halves(f16_result(ctl, draw, out0), f16_result(ctl, draw >> 16, out1)) | ((low | high) & FLAGS)


@semantic(
    "f16v4gacc",
    GROUP,
    "f16 of A[0,2,4,6]; accumulators unchanged",
    choices="nan f16-overflow stochastic stochastic-forms",
)
@jit(inline=True)
def f16v4gacc(acc, ctl, draw):
    low = pack_halves(f16_result(ctl, draw, acc[0]), f16_result(ctl, draw >> 16, acc[1]))
    return low, pack_halves(f16_result(ctl, draw >> 32, acc[2]), f16_result(ctl, draw >> 48, acc[3]))


@semantic(
    "f32v2axpy", GROUP, "result A[0], A[2]; then A[0], A[2] = TAS * x + y", choices="single-rounding nan overflow"
)
@jit(inline=True)
def f32v2axpy(acc, tas, x0, x1, y0, y1):
    out0 = float_bits(acc[0])
    out1 = float_bits(acc[1])
    scale = bits_float(tas)
    flags = _keep_single(acc, 0, fused_multiply_add(scale, bits_float(x0), bits_float(y0)), tas, x0, y0)
    flags |= _keep_single(acc, 1, fused_multiply_add(scale, bits_float(x1), bits_float(y1)), tas, x1, y1)
    return out0 | flags, out1


@jit(inline=True)
def _mix(acc, index, tas, x, y):
    strict = _nonfinite16(x) or _nonfinite16(y) or _nonfinite16(tas)
    a = np.float64(low_half(tas))
    b = np.float64(high_half(tas))
    low = a * np.float64(low_half(x)) + b * np.float64(low_half(y))
    high = a * np.float64(high_half(x)) + b * np.float64(high_half(y))
    return _keep(acc, index, np.float32(low), strict) | _keep(acc, index + 1, np.float32(high), strict)


@semantic(
    "f16v4mix",
    GROUP,
    "result f16 of A[0,2,4,6]; then A[2i] = TAS low * x_i + TAS high * y_i",
    choices="single-rounding nan f16-overflow stochastic stochastic-forms",
)
@jit(inline=True)
def f16v4mix(acc, ctl, draw, tas, x0, x1, y0, y1):
    out0, out1 = f16v4gacc(acc, ctl, draw)
    flags = _mix(acc, 0, tas, x0, y0) | _mix(acc, 2, tas, x1, y1)
    return out0 | flags, out1


@jit(leaf=True)
def clear_accumulators(acc):
    """All accumulators to +0: bit ZAACC written to FP_CLR."""
    for i in range(ACCUMULATORS):
        acc[i] = 0.0

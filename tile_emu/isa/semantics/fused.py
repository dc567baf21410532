"""Multiply-add with one rounding, and the vector steps of the AMP units.

Compiled code emits LLVM vector instructions directly, because the lanes (AMP units) are independent and their number
is fixed; every lane's additions keep the architectural order. A float64 product of two f16 values is exact, so letting
LLVM contract that multiply and add into one instruction cannot change a bit. Without the JIT the same steps are done
by exact rational arithmetic or plain loops.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from tile_emu.isa.semantics.bits import narrow, widen
from tile_emu.jit import DISABLED


def round_fraction_to_f32(value: Fraction) -> float:
    """Nearest float32 (ties to even) of an exact rational, as a Python float; overflow gives an infinity."""
    if value == 0:
        return 0.0
    exponent = max(math.floor(math.log2(abs(value))) if abs(value) < 1e300 else 1000, -126)
    while abs(value) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while exponent > -126 and abs(value) < Fraction(2) ** exponent:
        exponent -= 1
    ulp = Fraction(2) ** (exponent - 23)
    rounded = round(value / ulp) * ulp
    if abs(rounded) >= Fraction(2) ** 128:
        return math.copysign(math.inf, rounded)
    return math.copysign(float(rounded), value)


CHAIN = 16  # offset of the staging chain in a worker's accumulators
UNITS = 16  # stride of one row of widened weights: all AMP units of both sets

if DISABLED:

    def fused_multiply_add(x: Any, y: Any, z: Any) -> Any:
        """float32 x * y + z with one rounding."""
        exact = None
        if np.isfinite(x) and np.isfinite(y) and np.isfinite(z):
            exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        if not exact:
            return np.float32(np.float64(x) * np.float64(y) + np.float64(z))
        return np.float32(round_fraction_to_f32(exact))

    def _not_finite(acc: Any, units: int) -> int:
        return sum(1 << (u & 7) for u in range(units) if not np.isfinite(acc[u]))

    def halves(first: Any, second: Any) -> list[Any]:
        return [widen(word >> shift) for word in (int(first), int(second)) for shift in (0, 16)]

    def dot4(acc: Any, weights: Any, row: int, x: Any, units: int) -> int:
        for u in range(units):
            p = [np.float64(x[e]) * np.float64(weights[row + e * UNITS + u]) for e in range(4)]
            acc[u] = np.float32(np.float64(acc[u]) + ((p[0] + p[1]) + (p[2] + p[3])))
        return _not_finite(acc, units)

    def dot4_8(acc: Any, weights: Any, row: Any, x0: Any, x1: Any) -> Any:
        """Units 0..7: acc[u] += dot of the four halves of two words with weights; not 0 if a sum is not finite."""
        return dot4(acc, weights, row, halves(x0, x1), 8)

    def step16(acc: Any, weights: Any, row: Any, x0: Any, x1: Any, p0: Any, p1: Any) -> Any:
        """One f16 step of both sets after any swap: products, f16 partials in, f16 results out.

        Returns the two result words, the four results as float32, and what needs attention: bit 0 a sum that is not
        finite, bit 1 a partial, bit 2 a narrowed result.
        """
        attention = 1 if dot4(acc, weights, row, halves(x0, x1), 16) else 0
        pins = halves(p0, p1)
        out = [*shift_chain(acc, CHAIN, pins[0], pins[1]), *shift_chain(acc, CHAIN + 8, pins[2], pins[3])]
        bits = [narrow(value) for value in out]
        attention |= 2 if not all(np.isfinite(pin) for pin in pins) else 0
        attention |= 4 if any(half & 0x7C00 == 0x7C00 for half in bits) else 0
        return bits[0] | bits[1] << 16, bits[2] | bits[3] << 16, *out, attention

    def scale(acc: Any, weights: Any, row: int, x: Any, units: int) -> int:
        left = 0
        for u in range(units):
            total = fused_multiply_add(x, weights[row + u], acc[u])
            if np.isfinite(total):
                acc[u] = total
            else:
                left |= 1 << u
        return left

    def scale_8(acc: Any, weights: Any, row: Any, x: Any) -> Any:
        """Units 0..7: acc[u] += x * weight, one rounding; bit u: not finite, so left alone."""
        return scale(acc, weights, row, x, 8)

    def scale_16(acc: Any, weights: Any, row: Any, x: Any) -> Any:
        """As scale_8 for the units of both sets."""
        return scale(acc, weights, row, x, 16)

    def shift_chain(acc: Any, first: Any, pin0: Any, pin1: Any) -> Any:
        """One set's staging chain, starting at acc[first]: the leaving pair; the others move down, pin enters."""
        out = (acc[first], acc[first + 1])
        acc[first : first + 6] = acc[first + 2 : first + 8].copy()
        acc[first + 6] = pin0
        acc[first + 7] = pin1
        return out

    def swap_with_chain_8(acc: Any) -> None:
        """Start of a group: sums and staging chain of set 0 change places."""
        acc[0:8], acc[CHAIN : CHAIN + 8] = acc[CHAIN : CHAIN + 8].copy(), acc[0:8].copy()

    def swap_with_chain_16(acc: Any) -> None:
        """As swap_with_chain_8 for both sets."""
        acc[0:16], acc[CHAIN : CHAIN + 16] = acc[CHAIN : CHAIN + 16].copy(), acc[0:16].copy()

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    _FLOAT = ir.FloatType()
    _DOUBLE = ir.DoubleType()
    _I32 = ir.IntType(32)
    _I64 = ir.IntType(64)
    _ARRAY = types.Array(types.float32, 1, "C")

    @intrinsic
    def fused_multiply_add(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
        """float32 x * y + z with one rounding."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.fma(args[0], args[1], args[2])

        return types.float32(types.float32, types.float32, types.float32), codegen

    _WEIGHTS16 = types.Array(types.float64, 1, "C")

    def vector_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, lanes: int) -> Any:
        data = context.make_array(array_type)(context, builder, array).data
        element = builder.gep(data, [index])
        scalar = _DOUBLE if array_type.dtype == types.float64 else _FLOAT
        return builder.bitcast(element, ir.PointerType(ir.VectorType(scalar, lanes)))

    def load(builder: Any, pointer: Any) -> Any:
        return builder.load(pointer, align=4)

    def splat(builder: Any, value: Any, lanes: int) -> Any:
        vector = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
        vector = builder.insert_element(vector, value, _I32(0))
        mask = ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes)
        return builder.shuffle_vector(vector, vector, mask)

    def not_finite_lanes(builder: Any, vector: Any) -> Any:
        """<8 x i1>: lanes whose exponent is all ones."""
        lanes = ir.VectorType(_I32, 8)
        exponent = ir.Constant(lanes, [0x7F800000] * 8)
        bits = builder.and_(builder.bitcast(vector, lanes), exponent)
        return builder.icmp_unsigned("==", bits, exponent)

    def as_mask(builder: Any, lanes: Any) -> Any:
        return builder.zext(builder.bitcast(lanes, ir.IntType(8)), _I64)

    def _join_words(builder: Any, low: Any, high: Any) -> Any:
        """i64 of two words that arrive as i64."""
        return builder.or_(builder.and_(low, _I64(0xFFFFFFFF)), builder.shl(high, _I64(32)))

    def widen4(builder: Any, word: Any) -> Any:
        """<4 x float> of the four halves in an i64."""
        halves = builder.bitcast(word, ir.VectorType(ir.HalfType(), 4))
        return builder.fpext(halves, ir.VectorType(_FLOAT, 4))

    def spread(builder: Any, vector: Any, lane: int, lanes: int) -> Any:
        """One lane copied to all of ``lanes`` lanes."""
        return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(_I32, lanes), [lane] * lanes))

    def any_half_nonfinite(builder: Any, word: Any) -> Any:
        """i1: whether one of four halves has an exponent of all ones."""
        lanes = ir.VectorType(ir.IntType(16), 4)
        exponent = ir.Constant(lanes, [0x7C00] * 4)
        bits = builder.and_(builder.bitcast(word, lanes), exponent)
        found = builder.bitcast(builder.icmp_unsigned("==", bits, exponent), ir.IntType(4))
        return builder.icmp_unsigned("!=", found, ir.IntType(4)(0))

    # All vectors have the eight lanes of one set, so that what one step stores the next can load in the same pieces
    # (a wider load of two narrower stores waits for both to reach the cache).

    def dot4_set(context: Any, builder: Any, types_: Any, arrays: Any, row: Any, inputs: Any, first: int) -> Any:
        """acc[first .. first + 7] += dot of four inputs; the new sums."""
        acc_pointer = vector_pointer(context, builder, types_[0], arrays[0], _I64(first), 8)
        products = []
        for element, x in enumerate(inputs):
            index = builder.add(row, _I64(element * UNITS + first))
            weight = load(builder, vector_pointer(context, builder, types_[1], arrays[1], index, 8))
            products.append(builder.fmul(x, weight, flags=("contract",)))
        # The four products first: only one addition then waits for the previous instruction's sum.
        left = builder.fadd(products[0], products[1], flags=("contract",))
        right = builder.fadd(products[2], products[3], flags=("contract",))
        dot = builder.fadd(left, right)
        total = builder.fadd(builder.fpext(load(builder, acc_pointer), dot.type), dot)
        rounded = builder.fptrunc(total, ir.VectorType(_FLOAT, 8))
        builder.store(rounded, acc_pointer, align=4)
        return rounded

    def _inputs(builder: Any, low: Any, high: Any) -> list[Any]:
        """The four halves of two words, each as float64 in all eight lanes."""
        wide = builder.fpext(widen4(builder, _join_words(builder, low, high)), ir.VectorType(_DOUBLE, 4))
        return [spread(builder, wide, lane, 8) for lane in range(4)]

    @intrinsic
    def dot4_8(typingctx: Any, acc: Any, weights: Any, row: Any, x0: Any, x1: Any) -> Any:
        """Units 0..7: acc[u] += dot of the four halves of two words with weights; not 0 if a sum is not finite."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            inputs = _inputs(builder, args[3], args[4])
            sums = dot4_set(context, builder, signature.args, args, args[2], inputs, 0)
            return as_mask(builder, not_finite_lanes(builder, sums))

        word = types.int64
        return word(_ARRAY, _WEIGHTS16, word, word, word), codegen

    def _shift(context: Any, builder: Any, array_type: Any, acc: Any, first: Any, pins: Any) -> list[Any]:
        """Move one set's chain by a pair; the leaving pair."""
        pointer = vector_pointer(context, builder, array_type, acc, first, 8)
        chain = load(builder, pointer)
        mask = ir.Constant(ir.VectorType(_I32, 8), [2, 3, 4, 5, 6, 7, 8, 9])
        builder.store(builder.shuffle_vector(chain, pins, mask), pointer, align=4)
        return [builder.extract_element(chain, _I32(lane)) for lane in (0, 1)]

    def _narrow4(builder: Any, values: Any) -> Any:
        """i64 of four floats narrowed to f16."""
        vector = ir.Constant(ir.VectorType(_FLOAT, 4), ir.Undefined)
        for lane, value in enumerate(values):
            vector = builder.insert_element(vector, value, _I32(lane))
        return builder.bitcast(builder.fptrunc(vector, ir.VectorType(ir.HalfType(), 4)), _I64)

    def _pins(builder: Any, four: Any, first: int) -> Any:
        """<8 x float> with lanes first and first + 1 of a <4 x float> in front."""
        mask = ir.Constant(ir.VectorType(_I32, 8), [first, first + 1] * 4)
        return builder.shuffle_vector(four, four, mask)

    @intrinsic
    def step16(typingctx: Any, acc: Any, weights: Any, row: Any, x0: Any, x1: Any, p0: Any, p1: Any) -> Any:
        """One f16 step of both sets after any swap: products, f16 partials in, f16 results out.

        Returns the two result words, the four results as float32, and what needs attention: bit 0 a sum that is not
        finite, bit 1 a partial, bit 2 a narrowed result.
        """

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            acc = args[0]
            inputs = _inputs(builder, args[3], args[4])
            sums = [dot4_set(context, builder, signature.args, args, args[2], inputs, first) for first in (0, 8)]
            bad = builder.or_(not_finite_lanes(builder, sums[0]), not_finite_lanes(builder, sums[1]))
            partials = _join_words(builder, args[5], args[6])
            four = widen4(builder, partials)
            out = _shift(context, builder, signature.args[0], acc, _I64(CHAIN), _pins(builder, four, 0))
            out += _shift(context, builder, signature.args[0], acc, _I64(CHAIN + 8), _pins(builder, four, 2))
            narrowed = _narrow4(builder, out)
            attention = builder.zext(builder.icmp_unsigned("!=", as_mask(builder, bad), _I64(0)), _I64)
            for bit, word in ((2, partials), (4, narrowed)):
                found = builder.select(any_half_nonfinite(builder, word), _I64(bit), _I64(0))
                attention = builder.or_(attention, found)
            words = [builder.and_(narrowed, _I64(0xFFFFFFFF)), builder.lshr(narrowed, _I64(32))]
            return context.make_tuple(builder, signature.return_type, [*words, *out, attention])

        word, value = types.int64, types.float32
        result = types.Tuple((word, word, value, value, value, value, word))
        return result(_ARRAY, _WEIGHTS16, word, word, word, word, word), codegen

    def scaled_set(context: Any, builder: Any, types_: Any, arrays: Any, row: Any, x: Any, first: int) -> Any:
        """acc[first .. first + 7] + x * weights with one rounding, x in all lanes: where the sums lie, old and new."""
        acc_pointer = vector_pointer(context, builder, types_[0], arrays[0], _I64(first), 8)
        index = builder.add(row, _I64(first))
        weight = load(builder, vector_pointer(context, builder, types_[1], arrays[1], index, 8))
        vector = ir.VectorType(_FLOAT, 8)
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), "llvm.fma.v8f32")
        old = load(builder, acc_pointer)
        return acc_pointer, old, builder.call(fma, [x, weight, old])

    def _emit_scale(units: int) -> Any:
        def one_set(context: Any, builder: Any, signature: Any, args: Any, x: Any, first: int) -> Any:
            pointer, old, total = scaled_set(context, builder, signature.args, args, args[2], x, first)
            bad = not_finite_lanes(builder, total)
            builder.store(builder.select(bad, old, total), pointer, align=4)
            return as_mask(builder, bad)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            x = splat(builder, args[3], 8)
            left = one_set(context, builder, signature, args, x, 0)
            if units == 16:
                left = builder.or_(left, builder.shl(one_set(context, builder, signature, args, x, 8), _I64(8)))
            return left

        return types.int64(_ARRAY, _ARRAY, types.int64, types.float32), codegen

    @intrinsic
    def scale_8(typingctx: Any, acc: Any, weights: Any, row: Any, x: Any) -> Any:
        """Units 0..7: acc[u] += x * weight, one rounding; bit u: not finite, so left alone."""
        return _emit_scale(8)

    @intrinsic
    def scale_16(typingctx: Any, acc: Any, weights: Any, row: Any, x: Any) -> Any:
        """As scale_8 for the units of both sets."""
        return _emit_scale(16)

    @intrinsic
    def shift_chain(typingctx: Any, acc: Any, first: Any, pin0: Any, pin1: Any) -> Any:
        """One set's staging chain, starting at acc[first]: the leaving pair; the others move down, pin enters."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pins = ir.Constant(ir.VectorType(_FLOAT, 8), ir.Undefined)
            for lane in (0, 1):
                pins = builder.insert_element(pins, args[2 + lane], _I32(lane))
            leaving = _shift(context, builder, signature.args[0], args[0], args[1], pins)
            return context.make_tuple(builder, signature.return_type, leaving)

        pair = types.UniTuple(types.float32, 2)
        return pair(_ARRAY, types.int64, types.float32, types.float32), codegen

    def _emit_swap(units: int) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            for first in range(0, units, 8):
                sums = vector_pointer(context, builder, signature.args[0], args[0], _I64(first), 8)
                chain = vector_pointer(context, builder, signature.args[0], args[0], _I64(CHAIN + first), 8)
                old_sums, old_chain = load(builder, sums), load(builder, chain)
                builder.store(old_chain, sums, align=4)
                builder.store(old_sums, chain, align=4)
            return context.get_dummy_value()

        return types.void(_ARRAY), codegen

    @intrinsic
    def swap_with_chain_8(typingctx: Any, acc: Any) -> Any:
        """Start of a group: sums and staging chain of set 0 change places."""
        return _emit_swap(8)

    @intrinsic
    def swap_with_chain_16(typingctx: Any, acc: Any) -> Any:
        """As swap_with_chain_8 for both sets."""
        return _emit_swap(16)

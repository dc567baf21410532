"""Vector steps of whole AMP groups: the bundles of all phases of one group, done together.

During a group the results that leave are what the group before summed, and what enters the staging chain is summed by
the next group; so all results are known before the group's first bundle, and all products may be done behind its last.
``acc`` is float32[32] as in tile_emu.isa.semantics.accumulators; words are int64, a pair of registers each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tile_emu.isa.semantics.fused import CHAIN, UNITS
from tile_emu.jit import DISABLED

if DISABLED:
    from tile_emu.isa.semantics.bits import narrow
    from tile_emu.isa.semantics.fused import dot4, fused_multiply_add, halves

    def _words(values: Any) -> Any:
        """int64 of float32 values, two each."""
        return [int(word) for word in np.ascontiguousarray(values, np.float32).view(np.int64)]

    def _floats(words: Any) -> Any:
        """float32 of the two words of each int64."""
        return np.array([int(word) for word in words], np.int64).view(np.float32)

    def _wide(word: Any) -> Any:
        return halves(int(word) & 0xFFFFFFFF, (int(word) >> 32) & 0xFFFFFFFF)

    def halves_leaving_16(acc: Any) -> Any:
        """Sums of both sets as four words of f16, set 0 in the low half, and whether one is not finite."""
        bits = np.array([narrow(value) for value in acc[:UNITS]], np.uint16)
        words = bits.reshape(2, 4, 2).transpose(1, 0, 2).reshape(UNITS).view(np.int64)
        return (*map(int, words), bool((bits & 0x7C00 == 0x7C00).any()))

    def halves_entering_16(acc: Any, p0: Any, p1: Any, p2: Any, p3: Any) -> Any:
        """Both staging chains from four words of f16 as they leave; whether one is not finite."""
        pins = np.array([_wide(word) for word in (p0, p1, p2, p3)], np.float32).reshape(4, 2, 2)
        acc[CHAIN : CHAIN + UNITS] = pins.transpose(1, 0, 2).reshape(UNITS)
        return not np.isfinite(pins).all()

    def singles_leaving_8(acc: Any) -> Any:
        """Sums of set 0 as four words of two f32."""
        return tuple(_words(acc[:8]))

    def singles_entering_8(acc: Any, p0: Any, p1: Any, p2: Any, p3: Any) -> Any:
        """Staging chain of set 0 from four words of two f32; whether one is not finite."""
        acc[CHAIN : CHAIN + 8] = _floats((p0, p1, p2, p3))
        return not np.isfinite(acc[CHAIN : CHAIN + 8]).all()

    def singles_leaving_16(acc: Any) -> Any:
        """Sums of both sets as eight words of two f32, in turn one of set 0 and one of set 1."""
        words = _words(acc[:UNITS])
        return tuple(words[4 * (k & 1) + k // 2] for k in range(8))

    def singles_entering_16(acc: Any, p0: Any, p1: Any, p2: Any, p3: Any, p4: Any, p5: Any, p6: Any, p7: Any) -> Any:
        """Both staging chains from eight words of two f32 as they leave; whether one is not finite."""
        acc[CHAIN : CHAIN + UNITS] = _floats((p0, p2, p4, p6, p1, p3, p5, p7))
        return not np.isfinite(acc[CHAIN : CHAIN + UNITS]).all()

    def _dots(acc: Any, weights: Any, words: Any, units: int) -> bool:
        for phase, word in enumerate(words):
            dot4(acc, weights, 4 * phase * UNITS, _wide(word), units)
        return not np.isfinite(acc[:units]).all()

    def dots_8(acc: Any, weights: Any, x0: Any, x1: Any, x2: Any, x3: Any) -> Any:
        """Units 0..7: products of four phases added, each with one rounding; whether a sum is not finite."""
        return _dots(acc, weights, (x0, x1, x2, x3), 8)

    def dots_16(acc: Any, weights: Any, x0: Any, x1: Any, x2: Any, x3: Any) -> Any:
        """As dots_8 for the units of both sets."""
        return _dots(acc, weights, (x0, x1, x2, x3), UNITS)

    def scales_16(
        acc: Any, weights: Any, x0: Any, x1: Any, x2: Any, x3: Any, x4: Any, x5: Any, x6: Any, x7: Any
    ) -> Any:
        """Both sets: eight f32 products added, each with one rounding; whether a sum is not finite."""
        for phase, word in enumerate((x0, x1, x2, x3, x4, x5, x6, x7)):
            x = np.array([int(word) & 0xFFFFFFFF], np.uint32).view(np.float32)[0]
            for u in range(UNITS):
                acc[u] = fused_multiply_add(x, weights[UNITS * phase + u], acc[u])
        return not np.isfinite(acc[:UNITS]).all()

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    from tile_emu.isa.semantics.fused import (
        as_mask,
        dot4_set,
        load,
        not_finite_lanes,
        scaled_set,
        splat,
        spread,
        vector_pointer,
        widen4,
    )

    _FLOAT = ir.FloatType()
    _I32 = ir.IntType(32)
    _I64 = ir.IntType(64)
    _ACC = types.Array(types.float32, 1, "C")
    _WEIGHTS16 = types.Array(types.float64, 1, "C")
    _EIGHT = ir.VectorType(_FLOAT, 8)
    _HALVES = ir.VectorType(ir.HalfType(), 8)
    _PIECES = ir.VectorType(_I32, 4)

    def _set(context: Any, builder: Any, acc: Any, first: int) -> Any:
        """Pointer to the eight values from acc[first] on."""
        return vector_pointer(context, builder, _ACC, acc, _I64(first), 8)

    def _shuffle(builder: Any, first: Any, second: Any, lanes: list[int]) -> Any:
        return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))

    def _gather(builder: Any, words: Any) -> Any:
        """<n x i64> of n words."""
        vector = ir.Constant(ir.VectorType(_I64, len(words)), ir.Undefined)
        for lane, word in enumerate(words):
            vector = builder.insert_element(vector, word, _I32(lane))
        return vector

    def _any(builder: Any, *vectors: Any) -> Any:
        """i1: whether a lane of some <8 x float> is not finite."""
        found = not_finite_lanes(builder, vectors[0])
        for vector in vectors[1:]:
            found = builder.or_(found, not_finite_lanes(builder, vector))
        return builder.icmp_unsigned("!=", as_mask(builder, found), _I64(0))

    def _any_half(builder: Any, halves: Any) -> Any:
        """i1: whether one of 16 halves, <4 x i64>, has an exponent of all ones."""
        lanes = ir.VectorType(ir.IntType(16), 16)
        exponent = ir.Constant(lanes, [0x7C00] * 16)
        bits = builder.and_(builder.bitcast(halves, lanes), exponent)
        found = builder.bitcast(builder.icmp_unsigned("==", bits, exponent), ir.IntType(16))
        return builder.icmp_unsigned("!=", found, ir.IntType(16)(0))

    def _extracted(builder: Any, vector: Any) -> list[Any]:
        words = ir.VectorType(_I64, vector.type.count * 32 // 64)
        as_words = builder.bitcast(vector, words)
        return [builder.extract_element(as_words, _I32(lane)) for lane in range(words.count)]

    @intrinsic
    def halves_leaving_16(typingctx: Any, acc: Any) -> Any:
        """Sums of both sets as four words of f16, set 0 in the low half, and whether one is not finite."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            sums = [load(builder, _set(context, builder, args[0], first)) for first in (0, 8)]
            sets = [builder.bitcast(builder.fptrunc(s, _HALVES), _PIECES) for s in sums]
            both = _shuffle(builder, sets[0], sets[1], [0, 4, 1, 5, 2, 6, 3, 7])
            beyond = _any_half(builder, builder.bitcast(both, ir.VectorType(_I64, 4)))
            return context.make_tuple(builder, signature.return_type, [*_extracted(builder, both), beyond])

        return types.Tuple((*(types.int64,) * 4, types.boolean))(_ACC), codegen

    @intrinsic
    def halves_entering_16(typingctx: Any, acc: Any, p0: Any, p1: Any, p2: Any, p3: Any) -> Any:
        """Both staging chains from four words of f16 as they leave; whether one is not finite."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            words = _gather(builder, args[1:])
            pieces = builder.bitcast(words, ir.VectorType(_I32, 8))
            for first in (0, 1):
                chain = _shuffle(builder, pieces, pieces, [first, first + 2, first + 4, first + 6])
                wide = builder.fpext(builder.bitcast(chain, _HALVES), _EIGHT)
                builder.store(wide, _set(context, builder, args[0], CHAIN + 8 * first), align=4)
            return _any_half(builder, words)

        return types.boolean(_ACC, *(types.int64,) * 4), codegen

    def _singles_leaving(count: int) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            words = []
            for first in range(0, count * 2, 8):
                words.append(_extracted(builder, load(builder, _set(context, builder, args[0], first))))
            in_turn = [word for pair in zip(*words, strict=True) for word in pair]
            return context.make_tuple(builder, signature.return_type, in_turn)

        return types.UniTuple(types.int64, count)(_ACC), codegen

    def _singles_entering(count: int) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            sets = count // 4
            chains = []
            for first in range(sets):
                chain = builder.bitcast(_gather(builder, args[1 + first :: sets]), _EIGHT)
                builder.store(chain, _set(context, builder, args[0], CHAIN + 8 * first), align=4)
                chains.append(chain)
            return _any(builder, *chains)

        return types.boolean(_ACC, *(types.int64,) * count), codegen

    @intrinsic
    def singles_leaving_8(typingctx: Any, acc: Any) -> Any:
        """Sums of set 0 as four words of two f32."""
        return _singles_leaving(4)

    @intrinsic
    def singles_leaving_16(typingctx: Any, acc: Any) -> Any:
        """Sums of both sets as eight words of two f32, in turn one of set 0 and one of set 1."""
        return _singles_leaving(8)

    @intrinsic
    def singles_entering_8(typingctx: Any, acc: Any, p0: Any, p1: Any, p2: Any, p3: Any) -> Any:
        """Staging chain of set 0 from four words of two f32; whether one is not finite."""
        return _singles_entering(4)

    @intrinsic
    def singles_entering_16(
        typingctx: Any, acc: Any, p0: Any, p1: Any, p2: Any, p3: Any, p4: Any, p5: Any, p6: Any, p7: Any
    ) -> Any:
        """Both staging chains from eight words of two f32 as they leave; whether one is not finite."""
        return _singles_entering(8)

    def _sums(context: Any, builder: Any, acc: Any, units: int) -> list[Any]:
        return [load(builder, _set(context, builder, acc, first)) for first in range(0, units, 8)]

    def _emit_dots(units: int) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            four = ir.VectorType(ir.DoubleType(), 4)
            for phase, word in enumerate(args[2:]):
                wide = builder.fpext(widen4(builder, word), four)
                inputs = [spread(builder, wide, lane, 8) for lane in range(4)]
                for first in range(0, units, 8):
                    dot4_set(context, builder, signature.args, args, _I64(4 * phase * UNITS), inputs, first)
            return _any(builder, *_sums(context, builder, args[0], units))

        return types.boolean(_ACC, _WEIGHTS16, *(types.int64,) * 4), codegen

    @intrinsic
    def dots_8(typingctx: Any, acc: Any, weights: Any, x0: Any, x1: Any, x2: Any, x3: Any) -> Any:
        """Units 0..7: products of four phases added, each with one rounding; whether a sum is not finite."""
        return _emit_dots(8)

    @intrinsic
    def dots_16(typingctx: Any, acc: Any, weights: Any, x0: Any, x1: Any, x2: Any, x3: Any) -> Any:
        """As dots_8 for the units of both sets."""
        return _emit_dots(UNITS)

    @intrinsic
    def scales_16(
        typingctx: Any,
        acc: Any,
        weights: Any,
        x0: Any,
        x1: Any,
        x2: Any,
        x3: Any,
        x4: Any,
        x5: Any,
        x6: Any,
        x7: Any,
    ) -> Any:
        """Both sets: eight f32 products added, each with one rounding; whether a sum is not finite."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            for phase, word in enumerate(args[2:]):
                x = splat(builder, builder.bitcast(builder.trunc(word, _I32), _FLOAT), 8)
                for first in (0, 8):
                    row = _I64(phase * UNITS)
                    pointer, _, total = scaled_set(context, builder, signature.args, args, row, x, first)
                    builder.store(total, pointer, align=4)
            return _any(builder, *_sums(context, builder, args[0], UNITS))

        return types.boolean(_ACC, _ACC, *(types.int64,) * 8), codegen

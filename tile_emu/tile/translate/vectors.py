"""Element-wise sums and products of whole 64-bit groups, four halves or two f32, in the usual case.

The operations are those of the semantic functions (tile_emu.isa.semantics.floating), on all elements at once. A result
with an exponent of all ones is not usual: the semantic function has to do it again, with its NaNs, bounds and flags.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tile_emu.jit import DISABLED

_OPERATIONS = ("add", "sub", "mul")

if DISABLED:
    HAVE_F16C = True

    def _define(halves: bool, operation: str) -> Any:
        compute = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[operation]
        element = np.float16 if halves else np.float32

        def vector(first: Any, second: Any) -> Any:
            x, y = (np.array([int(word)], np.int64).view(element).astype(np.float32) for word in (first, second))
            return int(compute(x, y).astype(element).view(np.int64)[0])

        return vector

    def _define_unusual(halves: bool) -> Any:
        element = np.float16 if halves else np.float32

        def unusual(word: Any) -> Any:
            return not np.isfinite(np.array([int(word)], np.int64).view(element)).all()

        return unusual

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    from tile_emu.isa.semantics.bits import HAVE_F16C

    def _define(halves: bool, operation: str) -> Any:
        count = 4 if halves else 2
        group = ir.VectorType(ir.HalfType() if halves else ir.FloatType(), count)
        wide = ir.VectorType(ir.FloatType(), count)

        @intrinsic
        def vector(typingctx: Any, first: Any, second: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                x, y = (builder.bitcast(word, group) for word in args)
                if halves:
                    x, y = builder.fpext(x, wide), builder.fpext(y, wide)
                result = getattr(builder, "f" + operation)(x, y)
                return builder.bitcast(builder.fptrunc(result, group) if halves else result, ir.IntType(64))

            return types.int64(types.int64, types.int64), codegen

        return vector

    def _define_unusual(halves: bool) -> Any:
        count, bits, ones = (4, 16, 0x7C00) if halves else (2, 32, 0x7F800000)
        lanes = ir.VectorType(ir.IntType(bits), count)

        @intrinsic
        def unusual(typingctx: Any, word: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                exponent = ir.Constant(lanes, [ones] * count)
                found = builder.icmp_unsigned("==", builder.and_(builder.bitcast(args[0], lanes), exponent), exponent)
                mask = ir.IntType(count)
                return builder.icmp_unsigned("!=", builder.bitcast(found, mask), mask(0))

            return types.boolean(types.int64), codegen

        return unusual


f16v4add, f16v4sub, f16v4mul = (_define(True, operation) for operation in _OPERATIONS)
f32v2add, f32v2sub, f32v2mul = (_define(False, operation) for operation in _OPERATIONS)


# Whether one of four halves, or of two f32, has an exponent of all ones.
unusual_f16, unusual_f32 = _define_unusual(True), _define_unusual(False)

# Without machine instructions for them, conversions of vectors are calls of a library.
VECTORS = tuple(
    kind + operation for kind in ("f16v4", "f32v2") for operation in _OPERATIONS if HAVE_F16C or kind == "f32v2"
)

"""Bit casts and half-precision conversions, compiled and plain.

Compiled code uses LLVM's own ``bitcast``, ``fpext`` and ``fptrunc`` (one machine instruction each on a CPU with
F16C). On a host without F16C, and without the JIT, integer arithmetic gives the same bits for every pattern.
NaNs have their own rules in :mod:`tile_emu.isa.semantics.floating`; here a NaN only stays a NaN.
"""

from __future__ import annotations

from typing import Any

from tile_emu.jit import DISABLED, jit

if DISABLED:
    import numpy as np

    def float_bits(value: Any) -> Any:
        """Bit pattern of a float32 as int."""
        return int(np.float32(value).view(np.uint32))

    def bits_float(bits: Any) -> Any:
        """float32 with the low 32 bits of an integer as its pattern."""
        return np.uint32(int(bits) & 0xFFFFFFFF).view(np.float32)

    def widen(half: Any) -> Any:
        """float32 value of the f16 pattern in the low 16 bits (exact)."""
        return np.float32(np.uint16(int(half) & 0xFFFF).view(np.float16))

    def narrow(value: Any) -> Any:
        """f16 pattern nearest (ties to even) to a float32; overflow gives the infinity pattern."""
        return int(np.float16(value).view(np.uint16))

    def join_words(low: Any, high: Any) -> Any:
        """Signed 64 bits of the low 32 bits of two integers."""
        return (int(low) & 0xFFFFFFFF) | ((int(high) & 0xFFFFFFFF ^ 0x80000000) - 0x80000000) << 32

else:
    import llvmlite.binding as llvm
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    HAVE_F16C = bool(dict(llvm.get_host_cpu_features()).get("f16c", False)) or "x86" not in llvm.get_default_triple()

    @intrinsic
    def float_bits(typingctx: Any, value: Any) -> Any:
        """Bit pattern of a float32 as int64."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = builder.bitcast(args[0], ir.IntType(32))
            return builder.zext(word, ir.IntType(64))

        return types.int64(types.float32), codegen

    @intrinsic
    def bits_float(typingctx: Any, bits: Any) -> Any:
        """float32 with the low 32 bits of an integer as its pattern."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(builder.trunc(args[0], ir.IntType(32)), ir.FloatType())

        return types.float32(types.int64), codegen

    @intrinsic
    def _widen_native(typingctx: Any, half: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pattern = builder.trunc(args[0], ir.IntType(16))
            return builder.fpext(builder.bitcast(pattern, ir.HalfType()), ir.FloatType())

        return types.float32(types.int64), codegen

    @intrinsic
    def _narrow_native(typingctx: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            half = builder.fptrunc(args[0], ir.HalfType())
            return builder.zext(builder.bitcast(half, ir.IntType(16)), ir.IntType(64))

        return types.int64(types.float32), codegen

    @jit(inline=True)
    def join_words(low: Any, high: Any) -> Any:
        """Signed 64 bits of the low 32 bits of two integers."""
        return (low & 0xFFFFFFFF) | (high << 32)

    if HAVE_F16C:
        widen = _widen_native
        narrow = _narrow_native
    else:

        @jit(inline=True)
        def widen(half: Any) -> Any:
            """float32 value of the f16 pattern in the low 16 bits (exact), by integer arithmetic."""
            sign = (half & 0x8000) << 16
            exponent = (half >> 10) & 31
            fraction = half & 0x3FF
            if exponent == 31:
                return bits_float(sign | 0x7F800000 | (fraction << 13))
            if exponent == 0:
                magnitude = bits_float(0x33800000) * bits_float(float_bits_of_int(fraction))
                return bits_float(sign | float_bits(magnitude))
            return bits_float(sign | ((exponent + 112) << 23) | (fraction << 13))

        @jit(inline=True)
        def float_bits_of_int(value: Any) -> Any:
            """Pattern of the float32 equal to a small non-negative integer."""
            result = 0
            if value:
                top = 0
                while value >> (top + 1):
                    top += 1
                result = ((top + 127) << 23) | ((value << (23 - top)) & 0x7FFFFF)
            return result

        @jit(inline=True)
        def narrow(value: Any) -> Any:
            """f16 pattern nearest (ties to even) to a float32, by integer arithmetic."""
            bits = float_bits(value)
            sign = (bits >> 16) & 0x8000
            magnitude = bits & 0x7FFFFFFF
            if magnitude > 0x7F800000:
                return sign | 0x7E00
            if magnitude >= 0x477FF000:
                return sign | 0x7C00
            exponent = magnitude >> 23
            if exponent < 102:
                return sign
            mantissa = (magnitude & 0x7FFFFF) | 0x800000
            shift = 13 if exponent >= 113 else 126 - exponent
            kept = mantissa >> shift
            rest = mantissa & ((1 << shift) - 1)
            half_way = 1 << (shift - 1)
            if rest > half_way or (rest == half_way and kept & 1):
                kept += 1
            return sign | (kept + ((exponent - 113) << 10) if exponent >= 113 else kept)


@jit(inline=True)
def sign_extend(value, bits):  # type: ignore[no-untyped-def]
    """Signed value of the low ``bits`` bits."""
    sign = 1 << (bits - 1)
    return ((value & ((1 << bits) - 1)) ^ sign) - sign

"""Bit casts of float64, compiled and plain (those of float32 are in bits.py)."""

from __future__ import annotations

from typing import Any

from tile_emu.jit import DISABLED

if DISABLED:
    import numpy as np

    def double_bits(value: Any) -> Any:
        """Bit pattern of a float64 as a signed 64-bit integer."""
        return int(np.float64(value).view(np.int64))

    def bits_double(bits: Any) -> Any:
        """float64 with a signed 64-bit integer as its pattern."""
        return np.int64(bits).view(np.float64)

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def double_bits(typingctx: Any, value: Any) -> Any:
        """Bit pattern of a float64 as a signed 64-bit integer."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], ir.IntType(64))

        return types.int64(types.float64), codegen

    @intrinsic
    def bits_double(typingctx: Any, bits: Any) -> Any:
        """float64 with a signed 64-bit integer as its pattern."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], ir.DoubleType())

        return types.float64(types.int64), codegen

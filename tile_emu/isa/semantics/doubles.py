"""Bit casts of float64, compiled and plain (those of float32 are in bits.py)."""

from __future__ import annotations

from typing import Any

from tile_emu.jit import DISABLED, jit

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


@jit(inline=True)
def round_to_odd(total: Any, lost: Any) -> Any:
    """A float64 sum that lost ``lost`` in rounding, rounded to odd instead: rounding it again is a single rounding."""
    bits = double_bits(total)
    if bits & 1 == 0 and (lost > 0.0 or lost < 0.0):
        bits += 1 if (lost > 0.0) == (total > 0.0) else -1
    return bits_double(bits)


@jit(inline=True)
def two_sum(a: Any, b: Any) -> Any:
    """a + b in float64 and what its rounding lost, exactly (Knuth)."""
    total = a + b
    from_b = total - a
    return total, (a - (total - from_b)) + (b - from_b)


@jit(leaf=True)
def sum_of_three(a: Any, b: Any, c: Any) -> Any:
    """a + b + c rounded once, to odd: narrowing the result rounds the exact sum (Boldo and Melquiond)."""
    products, lost = two_sum(b, c)
    total, lost_too = two_sum(a, products)
    if total - total != 0.0:
        return total  # an infinity or NaN, whose losses mean nothing
    if lost == 0.0 and lost_too == 0.0:
        return total  # exact, and adding a zero that was lost would make -0 of three zeros positive
    rest, lost_of_rest = two_sum(lost, lost_too)
    total, lost = two_sum(total, round_to_odd(rest, lost_of_rest))
    return round_to_odd(total, lost)

"""Streaming 4x4 transpose of 16-bit elements through the accumulators (isa semantics 11.4).

Bits are moved, never converted. Where the two rows of words wait inside the accumulators is inferred; what comes out,
and the use of ``f16v4stacc 0`` to reach A[4] and A[6], is not. Only bit 0 of the immediates is looked at (inferred).
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from tile_emu.isa.semantics.accumulators import CHAIN
from tile_emu.isa.semantics.bits import bits_float, float_bits
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.registry import Shape, semantic
from tile_emu.jit import jit

GROUP = Shape.GROUP


@jit(leaf=True)
def _leave_chain(acc):
    """The first pair of set 0's staging chain, as words; the rest moves up, zeros follow."""
    outlined()
    out0 = float_bits(acc[CHAIN])
    out1 = float_bits(acc[CHAIN + 1])
    for i in range(CHAIN, CHAIN + 6):
        acc[i] = acc[i + 2]
    acc[CHAIN + 6] = 0.0
    acc[CHAIN + 7] = 0.0
    return out0, out1


@semantic(
    "f16v4istacc",
    GROUP,
    "two rows of a 4x4 block in, a column of the previous block out",
    choices="transpose-places staging-chain flag-values",
)
@jit(leaf=True)
def f16v4istacc(acc, a0, a1, b0, b1, immediate):
    outlined()
    out0, out1 = _leave_chain(acc)
    unit = immediate & 1
    acc[unit] = bits_float((a0 & 0xFFFF) | ((b0 & 0xFFFF) << 16))
    acc[unit + 2] = bits_float((a0 >> 16) | (b0 & 0xFFFF0000))
    acc[unit + 4] = bits_float((a1 & 0xFFFF) | ((b1 & 0xFFFF) << 16))
    acc[unit + 6] = bits_float((a1 >> 16) | (b1 & 0xFFFF0000))
    return out0, out1


@semantic(
    "f16v4stacc",
    GROUP,
    "a column of the block out: 0 the first (others to the staging chain), 1 the second",
    choices="transpose-places staging-chain flag-values",
)
@jit(leaf=True)
def f16v4stacc(acc, immediate):
    outlined()
    if immediate & 1:
        return _leave_chain(acc)
    for i in range(6):
        acc[CHAIN + i] = acc[i + 2]
    return float_bits(acc[0]), float_bits(acc[1])

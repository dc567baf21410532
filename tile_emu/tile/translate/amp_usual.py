"""AMP instructions in the usual case, for translated code that keeps accumulators in vector registers.

A *usual* function does what the semantic function of the same name does when every sum, partial and result is finite,
stochastic rounding is off and the mode is E4; else its first result carries ATTENTION, what it did to the accumulators
is void, and the *rare* function (the semantic function, out of line) must run on the old ones.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from tile_emu.isa.semantics import amp
from tile_emu.isa.semantics.accumulators import CHAIN
from tile_emu.isa.semantics.bits import bits_float, float_bits, narrow
from tile_emu.isa.semantics.floating import high_half, low_half
from tile_emu.isa.semantics.fused import (
    UNITS,
    dot4_8,
    scale_8,
    scale_16,
    shift_chain,
    step16,
    swap_with_chain_8,
    swap_with_chain_16,
)
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.jit import jit
from tile_emu.tile.translate.runtime import ATTENTION

S_f16v4sisoamp = amp.f16v4sisoamp
S_f16v4sihoamp = amp.f16v4sihoamp
S_f16v4hihoamp = amp.f16v4hihoamp
S_f16v4hihov4amp = amp.f16v4hihov4amp
S_f32sisoamp = amp.f32sisoamp
S_f32sisov2amp = amp.f32sisov2amp


@jit(inline=True)
def _infinite(value):
    return float_bits(value) & 0x7F800000 == 0x7F800000


@jit(inline=True)
def _one_set(acc, weights, x0, x1, pin0, pin1, immediate):
    """f16 step of set 0: the leaving pair, and whether it needs attention."""
    phase = (immediate >> 2) & 3
    if phase == 0:
        swap_with_chain_8(acc)
    bad = dot4_8(acc, weights, 4 * phase * UNITS, x0, x1)
    out0, out1 = shift_chain(acc, CHAIN, pin0, pin1)
    return out0, out1, bad != 0 or _infinite(pin0) or _infinite(pin1)


@jit(inline=True)
def _narrowed(out0, out1, bad):
    """Result word of a pair, with ATTENTION."""
    word = narrow(out0) | (narrow(out1) << 16)
    beyond = (((word & 0x7C007C00) + 0x04000400) & 0x80008000) != 0
    return word | (ATTENTION if bad or beyond else 0)


@jit(inline=True)
def usual_f16v4sisoamp(acc, weights16, x0, x1, p0, p1, immediate):
    out0, out1, bad = _one_set(acc, weights16, x0, x1, bits_float(p0), bits_float(p1), immediate)
    return float_bits(out0) | (ATTENTION if bad else 0), float_bits(out1)


@jit(inline=True)
def usual_f16v4sihoamp(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate):
    out0, out1, bad = _one_set(acc, weights16, x0, x1, bits_float(p0), bits_float(p1), immediate)
    return _narrowed(out0, out1, bad)


@jit(inline=True)
def usual_f16v4hihoamp(acc, weights16, ctl, draw, x0, x1, p, immediate):
    out0, out1, bad = _one_set(acc, weights16, x0, x1, low_half(p), high_half(p), immediate)
    return _narrowed(out0, out1, bad)


@jit(inline=True)
def usual_f16v4hihov4amp(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate):
    phase = (immediate >> 2) & 3
    if phase == 0:
        swap_with_chain_16(acc)
    low, high, _, _, _, _, attention = step16(acc, weights16, 4 * phase * UNITS, x0, x1, p0, p1)
    return low | (ATTENTION if attention != 0 else 0), high


@jit(inline=True)
def usual_f32sisoamp(acc, weights32, x, p0, p1, immediate):
    phase = (immediate >> 2) & 7
    if phase == 0:
        swap_with_chain_8(acc)
    bad = scale_8(acc, weights32, phase * UNITS, bits_float(x)) != 0
    if phase & 1:
        return ATTENTION if bad else 0, 0
    pin0, pin1 = bits_float(p0), bits_float(p1)
    out0, out1 = shift_chain(acc, CHAIN, pin0, pin1)
    bad = bad or _infinite(pin0) or _infinite(pin1)
    return float_bits(out0) | (ATTENTION if bad else 0), float_bits(out1)


@jit(inline=True)
def usual_f32sisov2amp(acc, weights32, x, p0, p1, immediate):
    phase = (immediate >> 2) & 7
    if phase == 0:
        swap_with_chain_16(acc)
    bad = scale_16(acc, weights32, phase * UNITS, bits_float(x)) != 0
    pin0, pin1 = bits_float(p0), bits_float(p1)
    out0, out1 = shift_chain(acc, CHAIN + 8 * (phase & 1), pin0, pin1)
    bad = bad or _infinite(pin0) or _infinite(pin1)
    return float_bits(out0) | (ATTENTION if bad else 0), float_bits(out1)


@jit(leaf=True)
def rare_f16v4sisoamp(acc, weights16, x0, x1, p0, p1, immediate):
    outlined()
    return S_f16v4sisoamp(acc, weights16, x0, x1, p0, p1, immediate)


@jit(leaf=True)
def rare_f16v4sihoamp(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate):
    outlined()
    return S_f16v4sihoamp(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate)


@jit(leaf=True)
def rare_f16v4hihoamp(acc, weights16, ctl, draw, x0, x1, p, immediate):
    outlined()
    return S_f16v4hihoamp(acc, weights16, ctl, draw, x0, x1, p, immediate)


@jit(leaf=True)
def rare_f16v4hihov4amp(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate):
    outlined()
    return S_f16v4hihov4amp(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate)


@jit(leaf=True)
def rare_f32sisoamp(acc, weights32, x, p0, p1, immediate):
    outlined()
    return S_f32sisoamp(acc, weights32, x, p0, p1, immediate)


@jit(leaf=True)
def rare_f32sisov2amp(acc, weights32, x, p0, p1, immediate):
    outlined()
    return S_f32sisov2amp(acc, weights32, x, p0, p1, immediate)


USUAL = ("f16v4sisoamp", "f16v4sihoamp", "f16v4hihoamp", "f16v4hihov4amp", "f32sisoamp", "f32sisov2amp")

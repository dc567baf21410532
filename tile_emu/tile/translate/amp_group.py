"""Whole AMP groups in translated code: the bundles of all phases in a row, E4, accumulators in vector registers.

Before a group's first bundle ``leaving_*`` gives the results of all its phases; behind its last ``entering_*`` takes
what its phases got, one word for each. Where the usual case does not hold, a sum, partial or result that is not
finite, the semantic function itself runs out of line, phase by phase from the same state. Flags go to marks[0].
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from tile_emu.isa.semantics import amp
from tile_emu.isa.semantics.bits import join_words
from tile_emu.isa.semantics.fused import swap_with_chain_8, swap_with_chain_16
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.rounding import narrow_four
from tile_emu.jit import jit
from tile_emu.tile.translate.group_vectors import (
    dots_8,
    dots_16,
    halves_entering_16,
    halves_leaving_16,
    scales_16,
    singles_entering_8,
    singles_entering_16,
    singles_leaving_8,
    singles_leaving_16,
)
from tile_emu.tile.translate.runtime import copy_accumulators

S_f16v4hihov4amp = amp.f16v4hihov4amp
S_f16v4sisoamp = amp.f16v4sisoamp
S_f32sisov2amp = amp.f32sisov2amp
_M32 = 0xFFFFFFFF

PHASES = {"f16v4hihov4amp": 4, "f16v4sisoamp": 4, "f32sisov2amp": 8}


@jit(inline=True)
def _words(pair):
    """The two words of a register pair."""
    return pair & _M32, (pair >> 32) & _M32


@jit(inline=True)
def _narrowed(acc, ctl, phase):
    """Result word of a phase of f16v4hihov4amp, and its flags."""
    low, high = narrow_four(ctl, 0, acc[2 * phase], acc[2 * phase + 1], acc[2 * phase + 8], acc[2 * phase + 9])
    return join_words(low, high), (low | high) >> 32


@jit(leaf=True)
def _leaving_halves(acc, ctl):
    """Results of f16v4hihov4amp where one is not usual, and their flags."""
    outlined()
    y0, flags0 = _narrowed(acc, ctl, 0)
    y1, flags1 = _narrowed(acc, ctl, 1)
    y2, flags2 = _narrowed(acc, ctl, 2)
    y3, flags3 = _narrowed(acc, ctl, 3)
    return y0, y1, y2, y3, flags0 | flags1 | flags2 | flags3


@jit(inline=True)
def leaving_f16v4hihov4amp(held, acc, marks, ctl):
    y0, y1, y2, y3, beyond = halves_leaving_16(held)
    if beyond:
        copy_accumulators(acc, held)
        y0, y1, y2, y3, flags = _leaving_halves(acc, ctl)
        marks[0] |= flags
    return y0, y1, y2, y3


@jit(inline=True)
def leaving_f16v4sisoamp(held, acc, marks, ctl):
    return singles_leaving_8(held)


@jit(inline=True)
def leaving_f32sisov2amp(held, acc, marks, ctl):
    return singles_leaving_16(held)


@jit(inline=True)
def _phase_f16v4hihov4amp(acc, weights16, ctl, phase, x, p):
    (x0, x1), (p0, p1) = _words(x), _words(p)
    v0, v1 = S_f16v4hihov4amp(acc, weights16, ctl, 0, x0, x1, p0, p1, 4 * phase)
    return (v0 | v1) >> 32


@jit(inline=True)
def _phase_f16v4sisoamp(acc, weights16, ctl, phase, x, p):
    (x0, x1), (p0, p1) = _words(x), _words(p)
    v0, v1 = S_f16v4sisoamp(acc, weights16, x0, x1, p0, p1, 4 * phase)
    return (v0 | v1) >> 32


@jit(inline=True)
def _phase_f32sisov2amp(acc, weights32, ctl, phase, x, p):
    p0, p1 = _words(p)
    v0, v1 = S_f32sisov2amp(acc, weights32, x & _M32, p0, p1, 4 * phase)
    return (v0 | v1) >> 32


@jit(leaf=True)
def _rare_f16v4hihov4amp(acc, weights, ctl, x0, x1, x2, x3, p0, p1, p2, p3):
    """All phases by the semantic function; flags."""
    outlined()
    flags = 0
    for phase, x, p in ((0, x0, p0), (1, x1, p1), (2, x2, p2), (3, x3, p3)):
        flags |= _phase_f16v4hihov4amp(acc, weights, ctl, phase, x, p)
    return flags


@jit(leaf=True)
def _rare_f16v4sisoamp(acc, weights, ctl, x0, x1, x2, x3, p0, p1, p2, p3):
    """All phases by the semantic function; flags."""
    outlined()
    flags = 0
    for phase, x, p in ((0, x0, p0), (1, x1, p1), (2, x2, p2), (3, x3, p3)):
        flags |= _phase_f16v4sisoamp(acc, weights, ctl, phase, x, p)
    return flags


@jit(leaf=True)
def _rare_f32sisov2amp(acc, weights, ctl, x0, x1, x2, x3, x4, x5, x6, x7, p0, p1, p2, p3, p4, p5, p6, p7):
    """All phases by the semantic function; flags."""
    outlined()
    flags = 0
    for phase, x, p in ((0, x0, p0), (1, x1, p1), (2, x2, p2), (3, x3, p3)):
        flags |= _phase_f32sisov2amp(acc, weights, ctl, phase, x, p)
    for phase, x, p in ((4, x4, p4), (5, x5, p5), (6, x6, p6), (7, x7, p7)):
        flags |= _phase_f32sisov2amp(acc, weights, ctl, phase, x, p)
    return flags


@jit(inline=True)
def entering_f16v4hihov4amp(held, trial, acc, marks, ctl, weights, x0, x1, x2, x3, p0, p1, p2, p3):
    copy_accumulators(trial, held)
    swap_with_chain_16(trial)
    beyond = halves_entering_16(trial, p0, p1, p2, p3)
    beyond |= dots_16(trial, weights, x0, x1, x2, x3)
    if beyond:
        copy_accumulators(acc, held)
        marks[0] |= _rare_f16v4hihov4amp(acc, weights, ctl, x0, x1, x2, x3, p0, p1, p2, p3)
        copy_accumulators(held, acc)
    else:
        copy_accumulators(held, trial)


@jit(inline=True)
def entering_f16v4sisoamp(held, trial, acc, marks, ctl, weights, x0, x1, x2, x3, p0, p1, p2, p3):
    copy_accumulators(trial, held)
    swap_with_chain_8(trial)
    beyond = singles_entering_8(trial, p0, p1, p2, p3)
    beyond |= dots_8(trial, weights, x0, x1, x2, x3)
    if beyond:
        copy_accumulators(acc, held)
        marks[0] |= _rare_f16v4sisoamp(acc, weights, ctl, x0, x1, x2, x3, p0, p1, p2, p3)
        copy_accumulators(held, acc)
    else:
        copy_accumulators(held, trial)


@jit(inline=True)
def entering_f32sisov2amp(
    held, trial, acc, marks, ctl, weights, x0, x1, x2, x3, x4, x5, x6, x7, p0, p1, p2, p3, p4, p5, p6, p7
):
    copy_accumulators(trial, held)
    swap_with_chain_16(trial)
    beyond = singles_entering_16(trial, p0, p1, p2, p3, p4, p5, p6, p7)
    beyond |= scales_16(trial, weights, x0, x1, x2, x3, x4, x5, x6, x7)
    if beyond:
        copy_accumulators(acc, held)
        marks[0] |= _rare_f32sisov2amp(
            acc, weights, ctl, x0, x1, x2, x3, x4, x5, x6, x7, p0, p1, p2, p3, p4, p5, p6, p7
        )
        copy_accumulators(held, acc)
    else:
        copy_accumulators(held, trial)

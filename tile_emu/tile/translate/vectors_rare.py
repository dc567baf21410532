"""Element-wise sums and products of 64-bit groups that are not usual: the semantic functions, out of line.

What a pair of registers holds comes as int64; so do the result, beside the flags to raise.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from tile_emu.isa.semantics import floating
from tile_emu.isa.semantics.bits import join_words
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.jit import jit

S_f16v2add, S_f16v2sub, S_f16v2mul = floating.f16v2add, floating.f16v2sub, floating.f16v2mul
S_f32add, S_f32sub, S_f32mul = floating.f32add, floating.f32sub, floating.f32mul
_M32 = 0xFFFFFFFF


@jit(inline=True)
def _low(pair):
    return pair & _M32


@jit(inline=True)
def _high(pair):
    return (pair >> 32) & _M32


@jit(leaf=True)
def rare_f16v4add(ctl, first, second):
    outlined()
    v0 = S_f16v2add(ctl, 0, _low(first), _low(second))
    v1 = S_f16v2add(ctl, 0, _high(first), _high(second))
    return join_words(v0, v1), (v0 | v1) >> 32


@jit(leaf=True)
def rare_f16v4sub(ctl, first, second):
    outlined()
    v0 = S_f16v2sub(ctl, 0, _low(first), _low(second))
    v1 = S_f16v2sub(ctl, 0, _high(first), _high(second))
    return join_words(v0, v1), (v0 | v1) >> 32


@jit(leaf=True)
def rare_f16v4mul(ctl, first, second):
    outlined()
    v0 = S_f16v2mul(ctl, 0, _low(first), _low(second))
    v1 = S_f16v2mul(ctl, 0, _high(first), _high(second))
    return join_words(v0, v1), (v0 | v1) >> 32


@jit(leaf=True)
def rare_f32v2add(ctl, first, second):
    outlined()
    v0 = S_f32add(_low(first), _low(second))
    v1 = S_f32add(_high(first), _high(second))
    return join_words(v0, v1), (v0 | v1) >> 32


@jit(leaf=True)
def rare_f32v2sub(ctl, first, second):
    outlined()
    v0 = S_f32sub(_low(first), _low(second))
    v1 = S_f32sub(_high(first), _high(second))
    return join_words(v0, v1), (v0 | v1) >> 32


@jit(leaf=True)
def rare_f32v2mul(ctl, first, second):
    outlined()
    v0 = S_f32mul(_low(first), _low(second))
    v1 = S_f32mul(_high(first), _high(second))
    return join_words(v0, v1), (v0 | v1) >> 32

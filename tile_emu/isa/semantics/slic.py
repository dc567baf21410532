"""SLIC: slim convolution (isa semantics 13).

One instruction is one position of a 1-D convolution with 4 or 3 taps. The sums of a set are the pipeline: units work in
pairs, a pair of partial sums enters at the top unit and moves two units down with every position.

Layouts and rounding are those of amp.py and float8.py. The immediate is this project's private encoding: bits 1:0
weight bank, bit 2 shape (0 1x4, 1 1x3), bit 3 of the f32 forms the step (0 L, 1 U).
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from tile_emu.isa.flags import SLIC_SHAPE_1X3, SLIC_UPPER_STEP
from tile_emu.isa.semantics.amp import _halves_bad, _settle, _settle_partials, add_product
from tile_emu.isa.semantics.bits import bits_float, float_bits
from tile_emu.isa.semantics.float8 import f8_sums
from tile_emu.isa.semantics.floating import high_half, low_half
from tile_emu.isa.semantics.fused import UNITS
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.registry import Shape, semantic
from tile_emu.isa.semantics.rounding import narrow_four
from tile_emu.jit import jit

GROUP = Shape.GROUP


@jit(inline=True)
def _units(immediate):
    """Units of a set in use: two per tap."""
    return 6 if immediate & SLIC_SHAPE_1X3 else 8


@jit(leaf=True)
def slic_move(acc, first, units, pin0, pin1):
    """Everyone one stage on: the finished pair (float32) leaves, a partial pair enters; flags of the partials."""
    outlined()
    out0 = acc[first]
    out1 = acc[first + 1]
    for u in range(first, first + units - 2):
        acc[u] = acc[u + 2]
    acc[first + units - 2] = pin0
    acc[first + units - 1] = pin1
    return out0, out1, _settle_partials(acc, first + units - 2)


@jit(leaf=True)
def f16_slic_set(acc, weights16, first, immediate, x0, x1, pin0, pin1):
    """One f16 position of one set; the finished pair (float32) and flags."""
    outlined()
    units = _units(immediate)
    out0, out1, flags = slic_move(acc, first, units, pin0, pin1)
    a0 = np.float64(low_half(x0))
    a1 = np.float64(high_half(x0))
    a2 = np.float64(low_half(x1))
    a3 = np.float64(high_half(x1))
    row = 4 * (immediate & 3) * UNITS
    attention = 0
    for u in range(first, first + units):
        left = a0 * weights16[row + u] + a1 * weights16[row + UNITS + u]
        right = a2 * weights16[row + 2 * UNITS + u] + a3 * weights16[row + 3 * UNITS + u]
        total = np.float32(np.float64(acc[u]) + (left + right))
        acc[u] = total
        attention |= 1 if float_bits(total) & 0x7F800000 == 0x7F800000 else 0
    if attention:
        flags |= _settle(acc, first, units, weights16, row, 4, _halves_bad(x0, x1))
    return out0, out1, flags


@semantic(
    "f16v4sisoslic",
    GROUP,
    "f16 position, f32 partials in, f32 results out",
    macs=32,
    choices="product-rounding nan partials flag-values",
)
@jit(inline=True)
def f16v4sisoslic(acc, weights16, x0, x1, p0, p1, immediate):
    out0, out1, flags = f16_slic_set(acc, weights16, 0, immediate, x0, x1, bits_float(p0), bits_float(p1))
    return float_bits(out0) | flags, float_bits(out1)


@jit(inline=True)
def _narrow_pair(ctl, draw, out0, out1, flags):
    low, _ = narrow_four(ctl, draw, out0, out1, np.float32(0.0), np.float32(0.0))
    return low | flags


@semantic(
    "f16v4sihoslic",
    GROUP,
    "f16 position, f32 partials in, f16 results out",
    macs=32,
    choices="product-rounding nan partials f16-overflow stochastic flag-values",
)
@jit(inline=True)
def f16v4sihoslic(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate):
    out0, out1, flags = f16_slic_set(acc, weights16, 0, immediate, x0, x1, bits_float(p0), bits_float(p1))
    return _narrow_pair(ctl, draw, out0, out1, flags)


@semantic(
    "f16v4hihoslic",
    GROUP,
    "f16 position, f16 partials in, f16 results out",
    macs=32,
    choices="product-rounding nan partials f16-overflow stochastic flag-values",
)
@jit(inline=True)
def f16v4hihoslic(acc, weights16, ctl, draw, x0, x1, p, immediate):
    out0, out1, flags = f16_slic_set(acc, weights16, 0, immediate, x0, x1, low_half(p), high_half(p))
    return _narrow_pair(ctl, draw, out0, out1, flags)


@semantic(
    "f16v4hihov4slic",
    GROUP,
    "f16 position of both sets, f16 partials in, f16 results out",
    macs=64,
    choices="product-rounding nan partials f16-overflow stochastic flag-values",
)
@jit(leaf=True)
def f16v4hihov4slic(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate):
    outlined()
    a0, a1, flags0 = f16_slic_set(acc, weights16, 0, immediate, x0, x1, low_half(p0), high_half(p0))
    b0, b1, flags1 = f16_slic_set(acc, weights16, 8, immediate, x0, x1, low_half(p1), high_half(p1))
    low, high = narrow_four(ctl, draw, a0, a1, b0, b1)
    return low | flags0 | flags1, high


@semantic(
    "f8v8hihov4slic",
    GROUP,
    "f8 position of both sets, f16 partials in, f16 results out",
    macs=128,
    choices="product-rounding f8-scale nan partials f16-overflow stochastic flag-values",
)
@jit(leaf=True)
def f8v8hihov4slic(acc, weights32, ctl, draw, nfmt, scale, x0, x1, p0, p1, immediate):
    outlined()
    units = _units(immediate)
    bank = immediate & 3
    a0, a1, flags0 = slic_move(acc, 0, units, low_half(p0), high_half(p0))
    b0, b1, flags1 = slic_move(acc, 8, units, low_half(p1), high_half(p1))
    flags = f8_sums(acc, weights32, 0, units, bank, nfmt, scale, x0, x1)
    flags |= f8_sums(acc, weights32, 8, units, bank, nfmt, scale, x0, x1)
    low, high = narrow_four(ctl, draw, a0, a1, b0, b1)
    return low | flags | flags0 | flags1, high


@jit(leaf=True)
def _f32_products(acc, weights32, first, immediate, x):
    """acc += x * weight for one set; flags. L steps use the low words of the slots, U steps the high ones."""
    outlined()
    row = (2 * (immediate & 3) + (1 if immediate & SLIC_UPPER_STEP else 0)) * UNITS
    flags = 0
    for u in range(first, first + _units(immediate)):
        flags |= add_product(acc, u, x, weights32[row + u])
    return flags


@semantic(
    "f32sisoslic",
    GROUP,
    "half a position: L moves and takes input 0; U takes input 1, gives +0 (inferred)",
    macs=8,
    choices="fused-product slic-steps nan partials overflow flag-values",
)
@jit(leaf=True)
def f32sisoslic(acc, weights32, x, p0, p1, immediate):
    outlined()
    out0 = out1 = np.float32(0.0)
    flags = 0
    if immediate & SLIC_UPPER_STEP == 0:
        out0, out1, flags = slic_move(acc, 0, _units(immediate), bits_float(p0), bits_float(p1))
    flags |= _f32_products(acc, weights32, 0, immediate, bits_float(x))
    return float_bits(out0) | flags, float_bits(out1)


@semantic(
    "f32sisov2slic",
    GROUP,
    "f32 step of both sets: L moves set 0, U moves set 1; both multiply (inferred)",
    macs=16,
    choices="fused-product slic-steps nan partials overflow flag-values",
)
@jit(leaf=True)
def f32sisov2slic(acc, weights32, x, p0, p1, immediate):
    outlined()
    moving = 8 if immediate & SLIC_UPPER_STEP else 0
    out0, out1, flags = slic_move(acc, moving, _units(immediate), bits_float(p0), bits_float(p1))
    flags |= _f32_products(acc, weights32, 0, immediate, bits_float(x))
    flags |= _f32_products(acc, weights32, 8, immediate, bits_float(x))
    return float_bits(out0) | flags, float_bits(out1)

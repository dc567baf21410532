"""AMP: accumulating matrix product (isa semantics 12).

Layouts: ``acc`` as in accumulators.py; ``weights16[(4 * slot + element) * 16 + 8 * set + unit]`` (float64) and
``weights32[(2 * slot + half) * 16 + 8 * set + unit]`` (float32) are the common weight store read as f16 and as f32.

Rounding: f16 products are exact; one instruction forms acc + ((p0 + p1) + (p2 + p3)) in float64 and rounds once to f32
(model C of 12.7; it differs from the exact sum, model A, only when the terms span more than 53 bits). f32 forms use a
fused multiply-add (model A). An infinity or NaN among inputs, weights or partials is invalid and gives NaN.

The immediate is this project's private encoding: bits 1:0 mode (0 E4, 1 E2, 2 E1), bits 4:2 phase.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from tile_emu.isa.semantics.accumulators import CHAIN
from tile_emu.isa.semantics.bits import bits_float, float_bits
from tile_emu.isa.semantics.floating import F32_NAN, f16_result, high_half, low_half, pack_halves
from tile_emu.isa.semantics.fused import (
    UNITS,
    dot4_8,
    fused_multiply_add,
    scale_8,
    scale_16,
    shift_chain,
    step16,
    swap_with_chain_8,
    swap_with_chain_16,
)
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.registry import INV, OFLO, Shape, semantic
from tile_emu.isa.semantics.rounding import CTL_ESR, narrow_four
from tile_emu.jit import jit

GROUP = Shape.GROUP


@jit(inline=True)
def _is_bad(value):
    """Whether a float32 is an infinity or NaN."""
    return float_bits(np.float32(value)) & 0x7F800000 == 0x7F800000


@jit(leaf=True)
def _settle(acc, first, units, weights, row, rows, inputs_bad):
    """Give those of ``units`` units from ``first`` on whose sum is not finite their architectural value; flags.

    That is the canonical NaN and INV. But finite products of f16 or f8 are too small to overflow an f32: then an
    infinite sum was one before and stays so. ``row``: first of ``rows`` rows of widened weights that were used.
    """
    outlined()
    flags = 0
    for unit in range(first, first + units):
        if _is_bad(acc[unit]):
            bad = inputs_bad
            for r in range(rows):
                bad = bad or _is_bad(weights[row + r * UNITS + unit])
            if bad or float_bits(acc[unit]) & 0x7FFFFF:
                acc[unit] = bits_float(F32_NAN)
                flags |= INV
    return flags


@jit(leaf=True)
def add_product(acc, unit, x, weight):
    """acc[unit] += x * weight in f32 with one rounding; flags. An input or weight that is not finite gives NaN."""
    outlined()
    total = fused_multiply_add(x, weight, acc[unit])
    if not _is_bad(total):
        acc[unit] = total
        return 0
    if _is_bad(x) or _is_bad(weight) or float_bits(total) & 0x7FFFFF:
        acc[unit] = bits_float(F32_NAN)
        return INV
    flags = 0 if _is_bad(acc[unit]) else OFLO
    acc[unit] = total
    return flags


@jit(leaf=True)
def _add_products_left(acc, weights, row, x, left):
    """The units, bits of ``left``, that a vector step left alone because their sum is not finite; flags."""
    outlined()
    flags = 0
    for unit in range(UNITS):
        if (left >> unit) & 1:
            flags |= add_product(acc, unit, x, weights[row + unit])
    return flags


@jit(leaf=True)
def _settle_partials(acc, first):
    """Replace a non-finite pair that just entered a chain at acc[first] by NaN; flags."""
    outlined()
    flags = 0
    for i in range(first, first + 2):
        if _is_bad(acc[i]):
            acc[i] = bits_float(F32_NAN)
            flags = INV
    return flags


@jit(inline=True)
def _halves_bad(x0, x1):
    return (
        (x0 & 0x7C00) == 0x7C00
        or (x0 & 0x7C000000) == 0x7C000000
        or (x1 & 0x7C00) == 0x7C00
        or (x1 & 0x7C000000) == 0x7C000000
    )


@jit(leaf=True)
def _narrow_set(acc, weights, first, pairs, phase, x0, x1, pin0, pin1):
    """One set in mode E2 or E1 (``pairs`` 2 or 1): sums and chain of units 0 .. 2 * pairs - 1; leaving pair, flags."""
    outlined()
    count = 2 * pairs
    chain = CHAIN + first
    if phase == 0:
        for u in range(count):
            kept = acc[first + u]
            acc[first + u] = acc[chain + u]
            acc[chain + u] = kept
    row = 4 * phase * UNITS
    for u in range(count):
        p0 = np.float64(low_half(x0)) * np.float64(weights[row + first + u])
        p1 = np.float64(high_half(x0)) * np.float64(weights[row + UNITS + first + u])
        p2 = np.float64(low_half(x1)) * np.float64(weights[row + 2 * UNITS + first + u])
        p3 = np.float64(high_half(x1)) * np.float64(weights[row + 3 * UNITS + first + u])
        acc[first + u] = np.float32(np.float64(acc[first + u]) + ((p0 + p1) + (p2 + p3)))
    out0 = acc[chain]
    out1 = acc[chain + 1]
    for u in range(count - 2):
        acc[chain + u] = acc[chain + u + 2]
    acc[chain + count - 2] = pin0
    acc[chain + count - 1] = pin1
    flags = _settle_partials(acc, chain + count - 2)
    flags |= _settle(acc, first, count, weights, row, 4, _halves_bad(x0, x1))
    return out0, out1, flags


@jit(inline=True)
def _one_set(acc, weights, x0, x1, pin0, pin1, immediate):
    """f16 step of set 0; leaving pair (float32) and flags."""
    phase = (immediate >> 2) & 3
    if immediate & 3 != 0:
        return _narrow_set(acc, weights, 0, 2 >> ((immediate & 3) - 1), phase, x0, x1, pin0, pin1)
    if phase == 0:
        swap_with_chain_8(acc)
    row = 4 * phase * UNITS
    bad = dot4_8(acc, weights, row, x0, x1)
    out0, out1 = shift_chain(acc, CHAIN, pin0, pin1)
    flags = 0
    if bad != 0:
        flags = _settle(acc, 0, 8, weights, row, 4, _halves_bad(x0, x1))
    if _is_bad(pin0) or _is_bad(pin1):
        flags |= _settle_partials(acc, CHAIN + 6)
    return out0, out1, flags


@semantic(
    "f16v4sisoamp",
    GROUP,
    "f16 product step, f32 partials in, f32 results out, 8 units",
    amp=True,
    macs=32,
    choices="product-rounding staging-chain nan partials flag-values",
)
@jit(inline=True)
def f16v4sisoamp(acc, weights16, x0, x1, p0, p1, immediate):
    out0, out1, flags = _one_set(acc, weights16, x0, x1, bits_float(p0), bits_float(p1), immediate)
    return float_bits(out0) | flags, float_bits(out1)


@semantic(
    "f16v4sihoamp",
    GROUP,
    "f16 product step, f32 partials in, f16 results out, 8 units",
    amp=True,
    macs=32,
    choices="product-rounding staging-chain nan partials f16-overflow stochastic flag-values",
)
@jit(inline=True)
def f16v4sihoamp(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate):
    out0, out1, flags = _one_set(acc, weights16, x0, x1, bits_float(p0), bits_float(p1), immediate)
    return pack_halves(f16_result(ctl, draw, out0), f16_result(ctl, draw >> 16, out1)) | flags


@semantic(
    "f16v4hihoamp",
    GROUP,
    "f16 product step, f16 partials in, f16 results out, 8 units",
    amp=True,
    macs=32,
    choices="product-rounding staging-chain nan partials f16-overflow stochastic flag-values",
)
@jit(inline=True)
def f16v4hihoamp(acc, weights16, ctl, draw, x0, x1, p, immediate):
    out0, out1, flags = _one_set(acc, weights16, x0, x1, low_half(p), high_half(p), immediate)
    return pack_halves(f16_result(ctl, draw, out0), f16_result(ctl, draw >> 16, out1)) | flags


@jit(leaf=True)
def _narrow_both_sets(acc, weights, ctl, draw, x0, x1, p0, p1, immediate):
    """Modes E2 and E1 of both sets; result words with flags."""
    outlined()
    pairs = 2 >> ((immediate & 3) - 1)
    phase = (immediate >> 2) & 3
    a0, a1, flags0 = _narrow_set(acc, weights, 0, pairs, phase, x0, x1, low_half(p0), high_half(p0))
    b0, b1, flags1 = _narrow_set(acc, weights, 8, pairs, phase, x0, x1, low_half(p1), high_half(p1))
    low, high = narrow_four(ctl, draw, a0, a1, b0, b1)
    return low | flags0 | flags1, high


@jit(leaf=True)
def _attend16(acc, weights, ctl, draw, row, x0, x1, a0, a1, b0, b1):
    """The rare half of a step16: non-finite sums, partials and results, or ESR; result words with flags."""
    outlined()
    flags = _settle(acc, 0, UNITS, weights, row, 4, _halves_bad(x0, x1))
    flags |= _settle_partials(acc, CHAIN + 6) | _settle_partials(acc, CHAIN + 14)
    low, high = narrow_four(ctl, draw, a0, a1, b0, b1)
    return low | flags, high


@semantic(
    "f16v4hihov4amp",
    GROUP,
    "f16 product step, f16 partials in, f16 results out, 16 units",
    amp=True,
    macs=64,
    choices="product-rounding staging-chain nan partials f16-overflow stochastic flag-values",
)
@jit(inline=True)
def f16v4hihov4amp(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate):
    if immediate & 3 != 0:
        return _narrow_both_sets(acc, weights16, ctl, draw, x0, x1, p0, p1, immediate)
    phase = (immediate >> 2) & 3
    if phase == 0:
        swap_with_chain_16(acc)
    row = 4 * phase * UNITS
    low, high, a0, a1, b0, b1, attention = step16(acc, weights16, row, x0, x1, p0, p1)
    if attention != 0 or ctl & CTL_ESR != 0:
        return _attend16(acc, weights16, ctl, draw, row, x0, x1, a0, a1, b0, b1)
    return low, high


# f32 forms: one scalar input per phase, phases 0..7 in E4.


@jit(leaf=True)
def _narrow_f32(acc, weights, sets, pairs, phase, x):
    """Swap and multiply-add of modes E2 and E1; flags."""
    outlined()
    flags = 0
    row = phase * UNITS
    for s in range(sets):
        for u in range(8 * s, 8 * s + 2 * pairs):
            if phase == 0:
                kept = acc[u]
                acc[u] = acc[CHAIN + u]
                acc[CHAIN + u] = kept
            flags |= add_product(acc, u, x, weights[row + u])
    return flags


@jit(leaf=True)
def _shift_narrow(acc, chain, pairs, pin0, pin1):
    """Move the chain of a set in mode E2 or E1; leaving pair."""
    out0 = acc[chain]
    out1 = acc[chain + 1]
    for u in range(2 * pairs - 2):
        acc[chain + u] = acc[chain + u + 2]
    acc[chain + 2 * pairs - 2] = pin0
    acc[chain + 2 * pairs - 1] = pin1
    return out0, out1


@jit(inline=True)
def _move_f32(acc, chain, immediate, p0, p1):
    """Partials in, results out of one set; the result words with flags."""
    pin0 = bits_float(p0)
    pin1 = bits_float(p1)
    last = chain + 6
    if immediate & 3 == 0:
        out0, out1 = shift_chain(acc, chain, pin0, pin1)
    else:
        pairs = 2 >> ((immediate & 3) - 1)
        out0, out1 = _shift_narrow(acc, chain, pairs, pin0, pin1)
        last = chain + 2 * pairs - 2
    flags = 0
    if _is_bad(pin0) or _is_bad(pin1):
        flags = _settle_partials(acc, last)
    return float_bits(out0) | flags, float_bits(out1)


@semantic(
    "f32sisoamp",
    GROUP,
    "f32 product step, 8 units; partials and results move on even phases, odd ones return +0 (inferred)",
    amp=True,
    macs=8,
    choices="fused-product staging-chain odd-phase nan partials overflow flag-values",
)
@jit(inline=True)
def f32sisoamp(acc, weights32, x, p0, p1, immediate):
    phase = (immediate >> 2) & 7
    flags = 0
    if immediate & 3 != 0:
        flags = _narrow_f32(acc, weights32, 1, 2 >> ((immediate & 3) - 1), phase, bits_float(x))
    else:
        if phase == 0:
            swap_with_chain_8(acc)
        left = scale_8(acc, weights32, phase * UNITS, bits_float(x))
        if left != 0:
            flags = _add_products_left(acc, weights32, phase * UNITS, bits_float(x), left)
    if phase & 1:
        return flags, 0
    out0, out1 = _move_f32(acc, CHAIN, immediate, p0, p1)
    return out0 | flags, out1


@semantic(
    "f32sisov2amp",
    GROUP,
    "f32 product step, 16 units; even phases move set 0, odd ones set 1 (detail of set 1 inferred)",
    amp=True,
    macs=16,
    choices="fused-product staging-chain second-set nan partials overflow flag-values",
)
@jit(inline=True)
def f32sisov2amp(acc, weights32, x, p0, p1, immediate):
    phase = (immediate >> 2) & 7
    flags = 0
    if immediate & 3 != 0:
        flags = _narrow_f32(acc, weights32, 2, 2 >> ((immediate & 3) - 1), phase, bits_float(x))
    else:
        if phase == 0:
            swap_with_chain_16(acc)
        left = scale_16(acc, weights32, phase * UNITS, bits_float(x))
        if left != 0:
            flags = _add_products_left(acc, weights32, phase * UNITS, bits_float(x), left)
    out0, out1 = _move_f32(acc, CHAIN + 8 * (phase & 1), immediate, p0, p1)
    return out0 | flags, out1

"""f8 conversions and the f8 accumulating matrix product (isa semantics 8.1, 9.3, 12).

Formats: F143 (format bit 1: 4 exponent bits, bias 8) and F152 (format bit 0: 5 exponent bits, bias 16). Neither has an
infinity or a -0; 0x80 is the only NaN. ``nfmt`` is FP_NFMT (bit 1 for registers, bit 0 for weights), ``scale`` is
FP_SCL: a 6-bit signed exponent, added in both directions.

The weight store as f32, ``weights32``, holds the architectural bits unchanged, so f8 weights are taken from it: element
4 * h + i of slot n of unit u is byte i of ``weights32[(2 * n + h) * 16 + u]``.

Products and their scaling are exact in float64; one instruction adds them pairwise in float64, then the accumulator,
and rounds once to f32 (model C of 12.7). In F143 the sum of products is always exact.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from tile_emu.isa.semantics.accumulators import CHAIN
from tile_emu.isa.semantics.amp import _settle, _settle_partials
from tile_emu.isa.semantics.bits import bits_float, float_bits, sign_extend
from tile_emu.isa.semantics.doubles import bits_double
from tile_emu.isa.semantics.floating import F32_NAN, high_half, low_half, pack_halves
from tile_emu.isa.semantics.fused import UNITS
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.registry import INV, OFLO, Shape, semantic
from tile_emu.isa.semantics.rounding import CTL_NANOO, NEAREST, f16_round, narrow_four, quantise
from tile_emu.jit import jit

GROUP = Shape.GROUP
F8_NAN = 0x80
F8_MAX = 0x7F
ARF_FORMAT = 2
WEIGHT_FORMAT = 1


@jit(inline=True)
def _unit_and_shift(is_f143):
    """(power of two, shift) with which an f8 becomes the f32 of the same fields: the biases differ by 119 or 111."""
    return (np.float32(2.0**119), 20) if is_f143 else (np.float32(2.0**111), 21)


@jit(inline=True)
def f8_value(byte, unit, shift):
    """float32 value of an f8 pattern; exact, NaN for 0x80."""
    bits = ((byte & 0x80) << 24) | ((byte & 0x7F) << shift)
    return bits_float(F32_NAN if byte == F8_NAN else bits) * unit


@jit(leaf=True)
def power_of_two(scale):
    """2.0 ** SCALE of a 6-bit signed field."""
    return bits_double((sign_extend(scale, 6) + 1023) << 52)


@jit(leaf=True)
def f8_widen(ctl, nfmt, scale, byte):
    """f16 pattern with flags of an f8, scaled; rounded to nearest even where it is below the f16 range (inferred)."""
    outlined()
    unit, shift = _unit_and_shift(nfmt & ARF_FORMAT != 0)
    value = np.float64(f8_value(byte & 0xFF, unit, shift)) * power_of_two(scale)
    return f16_round(ctl & CTL_NANOO, 0, value, NEAREST)


@semantic("f8v2tof16", GROUP, "bytes 0 and 1 widened, times 2 ** SCALE", choices="f8-rounding nan f16-overflow")
@jit(inline=True)
def f8v2tof16(ctl, nfmt, scale, a):
    low = f8_widen(ctl, nfmt, scale, a)
    return pack_halves(low, f8_widen(ctl, nfmt, scale, a >> 8))


@semantic("f8v4tof16", GROUP, "four bytes widened, times 2 ** SCALE", choices="f8-rounding nan f16-overflow")
@jit(inline=True)
def f8v4tof16(ctl, nfmt, scale, a):
    return f8v2tof16(ctl, nfmt, scale, a), f8v2tof16(ctl, nfmt, scale, a >> 16)


@jit(leaf=True)
def f8_narrow(ctl, nfmt, scale, half):
    """f8 pattern with flags of an f16, scaled and rounded to nearest even.

    Beyond range, infinities included: NaN under NANOO, else the largest value (inferred). Zero of either sign is 0x00.
    """
    outlined()
    value = np.float64(low_half(half)) * power_of_two(scale)
    if value != value:
        return F8_NAN | INV
    fraction, bias = (3, 8) if nfmt & ARF_FORMAT else (2, 16)
    bits = quantise(value, fraction, bias, NEAREST, 0)
    flags = 0
    if bits > F8_MAX:
        if ctl & CTL_NANOO:
            return F8_NAN | INV | OFLO
        bits = F8_MAX
        flags = OFLO
    return (bits | 0x80 if value < 0.0 and bits != 0 else bits) | flags


@semantic(
    "f16v2tof8",
    GROUP,
    "two f16 times 2 ** SCALE, narrowed; upper bytes 0 (inferred)",
    choices="f8-rounding f8-range f8-upper",
)
@jit(leaf=True)
def f16v2tof8(ctl, nfmt, scale, a):
    outlined()
    low = f8_narrow(ctl, nfmt, scale, a)
    high = f8_narrow(ctl, nfmt, scale, a >> 16)
    return (low & 0xFF) | ((high & 0xFF) << 8) | ((low | high) & ~0xFF)


@jit(inline=True)
def _join_bytes(low, high):
    """Two results of f16v2tof8 in one word."""
    return (low & 0xFFFF) | ((high & 0xFFFF) << 16) | ((low | high) & ~0xFFFF)


@semantic("f16v8tof8", GROUP, "eight f16 times 2 ** SCALE, narrowed", choices="f8-rounding f8-range")
@jit(inline=True)
def f16v8tof8(ctl, nfmt, scale, a, b, c, d):
    low = _join_bytes(f16v2tof8(ctl, nfmt, scale, a), f16v2tof8(ctl, nfmt, scale, b))
    return low, _join_bytes(f16v2tof8(ctl, nfmt, scale, c), f16v2tof8(ctl, nfmt, scale, d))


@jit(inline=True)
def _product(x, weight, position, unit, shift):
    return x * np.float64(f8_value((weight >> position) & 0xFF, unit, shift))


@jit(leaf=True)
def f8_sums(acc, weights32, first, count, slot, nfmt, scale, x0, x1):
    """acc[first ..] += dot of eight f8 inputs and a slot of each of ``count`` units, times 2 ** SCALE; flags."""
    outlined()
    unit, shift = _unit_and_shift(nfmt & ARF_FORMAT != 0)
    factor = power_of_two(scale)
    # The scale goes into the inputs: a power of two changes no rounding.
    a0 = np.float64(f8_value(x0 & 0xFF, unit, shift)) * factor
    a1 = np.float64(f8_value((x0 >> 8) & 0xFF, unit, shift)) * factor
    a2 = np.float64(f8_value((x0 >> 16) & 0xFF, unit, shift)) * factor
    a3 = np.float64(f8_value((x0 >> 24) & 0xFF, unit, shift)) * factor
    a4 = np.float64(f8_value(x1 & 0xFF, unit, shift)) * factor
    a5 = np.float64(f8_value((x1 >> 8) & 0xFF, unit, shift)) * factor
    a6 = np.float64(f8_value((x1 >> 16) & 0xFF, unit, shift)) * factor
    a7 = np.float64(f8_value((x1 >> 24) & 0xFF, unit, shift)) * factor
    unit, shift = _unit_and_shift(nfmt & WEIGHT_FORMAT != 0)
    attention = 0
    for u in range(first, first + count):
        low = float_bits(weights32[2 * slot * UNITS + u])
        high = float_bits(weights32[(2 * slot + 1) * UNITS + u])
        dot = _product(a0, low, 0, unit, shift) + _product(a1, low, 8, unit, shift)
        dot += _product(a2, low, 16, unit, shift) + _product(a3, low, 24, unit, shift)
        rest = _product(a4, high, 0, unit, shift) + _product(a5, high, 8, unit, shift)
        rest += _product(a6, high, 16, unit, shift) + _product(a7, high, 24, unit, shift)
        total = np.float32(np.float64(acc[u]) + (dot + rest))
        acc[u] = total
        attention |= 1 if float_bits(total) & 0x7F800000 == 0x7F800000 else 0
    if attention:
        # f8 has no infinities: a sum that is not finite is a NaN or an overflow, which its own bits tell apart.
        return _settle(acc, first, count, weights32, 0, 0, False)
    return 0


@jit(leaf=True)
def f8_amp_set(acc, weights32, first, immediate, nfmt, scale, x0, x1, pin0, pin1):
    """One set's step: group swap, sums, chain; leaving pair (float32) and flags."""
    outlined()
    units = 8 >> (immediate & 3)
    phase = (immediate >> 2) & 3
    chain = CHAIN + first
    if phase == 0:
        for u in range(units):
            kept = acc[first + u]
            acc[first + u] = acc[chain + u]
            acc[chain + u] = kept
    flags = f8_sums(acc, weights32, first, units, phase, nfmt, scale, x0, x1)
    out0 = acc[chain]
    out1 = acc[chain + 1]
    for u in range(units - 2):
        acc[chain + u] = acc[chain + u + 2]
    acc[chain + units - 2] = pin0
    acc[chain + units - 1] = pin1
    return out0, out1, flags | _settle_partials(acc, chain + units - 2)


@semantic(
    "f8v8hihov4amp",
    GROUP,
    "f8 product step, f16 partials in, f16 results out, 16 units",
    amp=True,
    macs=128,
    choices="product-rounding staging-chain f8-scale nan partials f16-overflow stochastic flag-values",
)
@jit(leaf=True)
def f8v8hihov4amp(acc, weights32, ctl, draw, nfmt, scale, x0, x1, p0, p1, immediate):
    outlined()
    a0, a1, flags0 = f8_amp_set(acc, weights32, 0, immediate, nfmt, scale, x0, x1, low_half(p0), high_half(p0))
    b0, b1, flags1 = f8_amp_set(acc, weights32, 8, immediate, nfmt, scale, x0, x1, low_half(p1), high_half(p1))
    low, high = narrow_four(ctl, draw, a0, a1, b0, b1)
    return low | flags0 | flags1, high

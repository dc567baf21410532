"""Random numbers (isa semantics 10.2), their use in stochastic rounding, and uniform floats from integers (9.3).

``prng`` is a worker's generator as uint32[4]: PRNG_0_0, PRNG_0_1, PRNG_1_0, PRNG_1_1, low words first.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from tile_emu.isa.semantics.bits import bits_float, float_bits, narrow
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.registry import M32, Shape, semantic
from tile_emu.jit import jit

ALU = Shape.ALU
GROUP = Shape.GROUP
U1, U2, U9, U14, U28, U32, U36, U55, U62, U63 = (np.uint64(n) for n in (1, 2, 9, 14, 28, 32, 36, 55, 62, 63))


@jit(leaf=True)
def prng_step(prng):
    """One step of xoroshiro128aox: the 64 output bits as int64; ``prng`` moves on."""
    outlined()
    s0 = np.uint64(prng[0]) | (np.uint64(prng[1]) << U32)
    s1 = np.uint64(prng[2]) | (np.uint64(prng[3]) << U32)
    differ = s0 ^ s1
    both = s0 & s1
    out = differ ^ (((both << U1) | (both >> U63)) | ((both << U2) | (both >> U62)))
    s0 = ((s0 << U55) | (s0 >> U9)) ^ differ ^ (differ << U14)
    s1 = (differ << U36) | (differ >> U28)
    prng[0] = np.uint32(s0 & np.uint64(M32))
    prng[1] = np.uint32(s0 >> U32)
    prng[2] = np.uint32(s1 & np.uint64(M32))
    prng[3] = np.uint32(s1 >> U32)
    return np.int64(out)


@semantic("urand64", GROUP, "64 random bits, one step")
@jit(inline=True)
def urand64(prng):
    out = prng_step(prng)
    return out & M32, (out >> 32) & M32


@semantic("urand32", GROUP, "low 32 bits of one step (which half is inferred)", choices="random-half")
@jit(inline=True)
def urand32(prng):
    return prng_step(prng) & M32


@jit(leaf=True)
def _nearly_normal(prng):
    """float32 of about N(0, 1): twelve 5-bit fields of one step summed, less 186, over 32 (MODEL)."""
    outlined()
    out = prng_step(prng)
    total = -186
    for k in range(12):
        total += (out >> (5 * k)) & 31
    return np.float32(total) * np.float32(0.03125)


@semantic("f16v2grand", GROUP, "two f16 of about N(0, 1), one step each (MODEL)", choices="gaussian")
@jit(inline=True)
def f16v2grand(prng):
    low = narrow(_nearly_normal(prng))
    return low | (narrow(_nearly_normal(prng)) << 16)


@semantic("f32v2grand", GROUP, "two f32 of about N(0, 1), one step each (MODEL)", choices="gaussian")
@jit(inline=True)
def f32v2grand(prng):
    low = float_bits(_nearly_normal(prng))
    return low, float_bits(_nearly_normal(prng))


@jit(leaf=True)
def _kept(prng, p):
    """Bit i set: element i survives. It does if random field i is below p[15:0], or p[16] is set; always one step."""
    outlined()
    out = prng_step(prng)
    kept = 0
    for i in range(4):
        if p & 0x10000 or (out >> (16 * i)) & 0xFFFF < p & 0xFFFF:
            kept |= 1 << i
    return kept


@semantic(
    "f16v4rmask",
    GROUP,
    "elements kept with probability p[15:0] / 65536, else +0; p[16]: all (draw inferred)",
    choices="random-mask",
)
@jit(inline=True)
def f16v4rmask(prng, a, b, p):
    kept = _kept(prng, p)
    low = a & ((kept & 1) * 0xFFFF | ((kept >> 1) & 1) * 0xFFFF0000)
    return low, b & (((kept >> 2) & 1) * 0xFFFF | (kept >> 3) * 0xFFFF0000)


@semantic("f32v2rmask", GROUP, "as f16v4rmask for two f32", choices="random-mask")
@jit(inline=True)
def f32v2rmask(prng, a, b, p):
    kept = _kept(prng, p)
    return a & ((kept & 1) * M32), b & (((kept >> 1) & 1) * M32)


@jit(inline=True)
def _unit_half(u):
    """f16 pattern of (u + 0.5) / 2**16 - 0.5."""
    return narrow(np.float32(2 * u - 0xFFFF) * bits_float(0x37000000))


@semantic(
    "f16v2sufromui f16v4sufromui",
    ALU,
    "unsigned u per half to (u + 0.5) / 2**16 - 0.5, nearest even (inferred)",
    choices="unit-rounding",
)
@jit(inline=True)
def f16v2sufromui(a):
    return _unit_half(a & 0xFFFF) | (_unit_half(a >> 16) << 16)


@semantic("f32sufromui f32v2sufromui", ALU, "unsigned u to (u + 0.5) / 2**32 - 0.5, nearest even")
@jit(inline=True)
def f32sufromui(a):
    return float_bits(np.float32(np.float64(2 * a - M32) * 2.0**-33))

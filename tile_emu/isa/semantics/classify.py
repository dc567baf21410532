"""Classification of floats (isa semantics 9.4) and the lateral maximum (9.1).

Class codes, of which 3, 4 and 6..10 are inferred: 1 signalling NaN, 2 quiet NaN, 3 -infinity, 4 +infinity, 5 -0, 6 +0,
7 -subnormal, 8 +subnormal, 9 -normal, 10 +normal. Classifying sets no flags (inferred).
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from tile_emu.isa.semantics.floating import f16_select, pack_halves
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.registry import Shape, semantic
from tile_emu.jit import jit

GROUP = Shape.GROUP
SIGNALLING, QUIET, INFINITE, ZERO, SUBNORMAL, NORMAL = 1, 2, 3, 5, 7, 9  # negative; a positive value's code is one more
F8_NAN = 0x80


@jit(leaf=True)
def class_code(bits, sign, infinity, normal):
    """Class of an IEEE pattern; ``infinity`` and ``normal``: patterns of infinity and of the smallest normal value."""
    outlined()
    magnitude = bits & (sign - 1)
    if magnitude > infinity:
        return QUIET if magnitude & (normal >> 1) else SIGNALLING
    positive = 0 if bits & sign else 1
    if magnitude == infinity:
        return INFINITE + positive
    if magnitude == 0:
        return ZERO + positive
    return (SUBNORMAL if magnitude < normal else NORMAL) + positive


@semantic("f32class", GROUP, "class code", choices="class-codes")
@jit(inline=True)
def f32class(a):
    return class_code(a, 0x80000000, 0x7F800000, 0x800000)


@semantic("f32v2class", GROUP, "class code of element i in byte i", choices="class-codes")
@jit(inline=True)
def f32v2class(a, b):
    return f32class(a) | (f32class(b) << 8)


@semantic("f16v2class", GROUP, "class code of element i in byte i", choices="class-codes")
@jit(inline=True)
def f16v2class(a):
    low = class_code(a & 0xFFFF, 0x8000, 0x7C00, 0x400)
    return low | (class_code(a >> 16, 0x8000, 0x7C00, 0x400) << 8)


@semantic("f16v4class", GROUP, "class code of element i in byte i", choices="class-codes")
@jit(inline=True)
def f16v4class(a, b):
    return f16v2class(a) | (f16v2class(b) << 16)


@semantic(
    "f8v4class",
    GROUP,
    "class code of byte i in byte i; format FP_NFMT.ARF_FMT; NaN is quiet (inferred)",
    choices="class-codes",
)
@jit(leaf=True)
def f8v4class(nfmt, a):
    outlined()
    normal = 8 if nfmt & 2 else 4
    result = 0
    for shift in range(0, 32, 8):
        byte = (a >> shift) & 0xFF
        code = QUIET if byte == F8_NAN else class_code(byte, 0x80, 0x100, normal)
        result |= code << shift
    return result


@semantic(
    "f16v2maxc",
    GROUP,
    "maxNum of both halves, in both halves (upper one inferred)",
    choices="lateral-maximum nan extremes",
)
@jit(inline=True)
def f16v2maxc(a):
    largest = f16_select(a & 0xFFFF, a >> 16, True)
    return pack_halves(largest, largest)


@semantic(
    "f16v4maxc", GROUP, "[maxNum(a0, a1), maxNum(a2, a3)] (pairing inferred)", choices="lateral-maximum nan extremes"
)
@jit(inline=True)
def f16v4maxc(a, b):
    return pack_halves(f16_select(a & 0xFFFF, a >> 16, True), f16_select(b & 0xFFFF, b >> 16, True))

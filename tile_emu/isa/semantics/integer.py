"""Integer, bitwise and permute instructions (isa semantics 6).

Register operands arrive as 0 .. 2**32 - 1, signed immediates as negative integers; the generator keeps the low 32 bits
of the result. Functions shared by the MRF and ARF forms of one mnemonic are declared once.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from tile_emu.isa.semantics.bits import sign_extend
from tile_emu.isa.semantics.registry import M32, Shape, semantic
from tile_emu.jit import jit

ALU = Shape.ALU


@semantic("add", ALU, "a + b")
@jit(inline=True)
def add(a, b):
    return a + b


@semantic("sub", ALU, "first printed source minus the second")
@jit(inline=True)
def sub(a, b):
    return a - b


@semantic("mul", ALU, "low 32 bits of the product")
@jit(inline=True)
def mul(a, b):
    # Signed 32-bit factors keep the product inside 64 bits; the low half is the same.
    return sign_extend(a, 32) * sign_extend(b, 32)


@semantic("and and64", ALU, "a & b")
@jit(inline=True)
def and_(a, b):
    return a & b


@semantic("andc andc64", ALU, "a & ~b")
@jit(inline=True)
def andc(a, b):
    return a & ~b


@semantic("or or64", ALU, "a | b")
@jit(inline=True)
def or_(a, b):
    return a | b


@semantic("xor", ALU, "a ^ b")
@jit(inline=True)
def xor(a, b):
    return a ^ b


@semantic("xnor", ALU, "~(a ^ b)")
@jit(inline=True)
def xnor(a, b):
    return ~(a ^ b)


@semantic("not not64", ALU, "~a")
@jit(inline=True)
def not_(a):
    return ~a


@semantic("shl", ALU, "a << b; amounts of 32 and more give 0 (inferred)", choices="shift-amount")
@jit(inline=True)
def shl(a, b):
    return a << b if b < 32 else 0


@semantic("shr", ALU, "a >> b, logical; amounts of 32 and more give 0 (inferred)", choices="shift-amount")
@jit(inline=True)
def shr(a, b):
    return a >> b if b < 32 else 0


@semantic(
    "shrs",
    ALU,
    "a >> b, arithmetic; amounts of 32 and more give the sign everywhere (inferred)",
    choices="shift-amount",
)
@jit(inline=True)
def shrs(a, b):
    return sign_extend(a, 32) >> (b if b < 32 else 31)


@semantic("min", ALU, "signed minimum")
@jit(inline=True)
def min_(a, b):
    x = sign_extend(a, 32)
    y = sign_extend(b, 32)
    return x if x < y else y


@semantic("max", ALU, "signed maximum")
@jit(inline=True)
def max_(a, b):
    x = sign_extend(a, 32)
    y = sign_extend(b, 32)
    return x if x > y else y


@semantic("cmpeq", ALU, "1 if a equals b, else 0")
@jit(inline=True)
def cmpeq(a, b):
    return 1 if (a ^ b) & M32 == 0 else 0


@semantic("cmpne", ALU, "1 if a differs from b, else 0")
@jit(inline=True)
def cmpne(a, b):
    return 1 if (a ^ b) & M32 != 0 else 0


@semantic("cmpslt", ALU, "1 if a < b as signed numbers, else 0")
@jit(inline=True)
def cmpslt(a, b):
    return 1 if sign_extend(a, 32) < sign_extend(b, 32) else 0


@semantic("cmpult", ALU, "1 if a < b as unsigned numbers, else 0")
@jit(inline=True)
def cmpult(a, b):
    return 1 if a & M32 < b & M32 else 0


@semantic("abs", ALU, "absolute value; 0x80000000 stays (inferred)", choices="abs-lowest")
@jit(inline=True)
def abs_(a):
    x = sign_extend(a, 32)
    return -x if x < 0 else x


@jit(inline=True)
def _leading_zeros(a):
    """Leading zeros of a 32-bit pattern by halving; 32 for 0."""
    count = 0
    x = a
    if x == 0:
        return 32
    for width in (16, 8, 4, 2, 1):
        if x >> (32 - width) == 0:
            count += width
            x = (x << width) & M32
    return count


@semantic("clz", ALU, "number of leading zeros, 32 for 0")
@jit(inline=True)
def clz(a):
    return _leading_zeros(a)


@semantic("cms", ALU, "bits below bit 31 that equal the sign bit, from the top to the first that differs")
@jit(inline=True)
def cms(a):
    x = (a ^ (M32 if a >> 31 else 0)) & M32
    return _leading_zeros(x) - 1


@semantic("popc", ALU, "number of ones")
@jit(inline=True)
def popc(a):
    x = a - ((a >> 1) & 0x55555555)
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F
    return ((x * 0x01010101) & M32) >> 24


@semantic("bitrev8", ALU, "bit order reversed inside each byte")
@jit(inline=True)
def bitrev8(a):
    x = ((a >> 1) & 0x55555555) | ((a & 0x55555555) << 1)
    x = ((x >> 2) & 0x33333333) | ((x & 0x33333333) << 2)
    return ((x >> 4) & 0x0F0F0F0F) | ((x & 0x0F0F0F0F) << 4)


@semantic("movz", ALU, "if the condition is 0 copy the source, else keep the destination")
@jit(inline=True)
def movz(old, condition, source):
    return source if condition == 0 else old


@semantic("setzi", ALU, "20-bit immediate, zero-extended")
@jit(inline=True)
def setzi(a):
    return a


@semantic("atom", ALU, "bit copy from the ARF to the MRF")
@jit(inline=True)
def atom(a):
    return a


@semantic("tapack", Shape.ALU_PAIR, "three 21-bit byte addresses packed for pace instructions")
@jit(inline=True)
def tapack(first, second, third):
    low = (first & 0x1FFFFF) | ((third & 0x7FF) << 21)
    high = (second & 0x1FFFFF) | (((third >> 11) & 0x3FF) << 21)
    return low | (high << 32)


# Permutes. Bytes of a are a0 (low) .. a3, halves aL and aH; results are listed from the least significant.


@semantic("roll16", ALU, "[aH, bL]")
@jit(inline=True)
def roll16(a, b):
    return (a >> 16) | ((b & 0xFFFF) << 16)


@semantic("roll8r", ALU, "[a1, a2, a3, b0]")
@jit(inline=True)
def roll8r(a, b):
    return (a >> 8) | ((b & 0xFF) << 24)


@semantic("roll8l", ALU, "[a3, b0, b1, b2]")
@jit(inline=True)
def roll8l(a, b):
    return (b << 8) | (a >> 24)


@semantic("sort4x16lo", ALU, "[aL, bL]")
@jit(inline=True)
def sort4x16lo(a, b):
    return (a & 0xFFFF) | ((b & 0xFFFF) << 16)


@semantic("sort4x16hi", ALU, "[aH, bH]")
@jit(inline=True)
def sort4x16hi(a, b):
    return (a >> 16) | (b & 0xFFFF0000)


@semantic("shuf8x8lo", ALU, "[a0, b0, a1, b1]")
@jit(inline=True)
def shuf8x8lo(a, b):
    return (a & 0xFF) | ((b & 0xFF) << 8) | ((a & 0xFF00) << 8) | ((b & 0xFF00) << 16)


@semantic("shuf8x8hi", ALU, "[a2, b2, a3, b3]")
@jit(inline=True)
def shuf8x8hi(a, b):
    return ((a >> 16) & 0xFF) | ((b >> 8) & 0xFF00) | ((a >> 8) & 0xFF0000) | (b & 0xFF000000)


@semantic("sort8x8lo", ALU, "[a0, a2, b0, b2]")
@jit(inline=True)
def sort8x8lo(a, b):
    return (a & 0xFF) | ((a >> 8) & 0xFF00) | ((b & 0xFF) << 16) | ((b << 8) & 0xFF000000)


@semantic("sort8x8hi", ALU, "[a1, a3, b1, b3]")
@jit(inline=True)
def sort8x8hi(a, b):
    return ((a >> 8) & 0xFF) | ((a >> 16) & 0xFF00) | ((b << 8) & 0xFF0000) | (b & 0xFF000000)


@semantic("sort8", ALU, "[a0, a2, a1, a3] (inferred)", choices="byte-order")
@jit(inline=True)
def sort8(a):
    return (a & 0xFF0000FF) | ((a >> 8) & 0xFF00) | ((a << 8) & 0xFF0000)


@semantic("swap8", ALU, "[a1, a0, a3, a2] (inferred)", choices="byte-order")
@jit(inline=True)
def swap8(a):
    return ((a >> 8) & 0x00FF00FF) | ((a << 8) & 0xFF00FF00)

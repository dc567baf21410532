"""Transcendental functions, roots and quotients (isa semantics 10.1, 14.3).

MODEL: the value is computed in float64 and rounded once to the destination. The float64 kernels are our own (argument
reduction and a Taylor polynomial), built from additions, multiplications, divisions and square roots that IEEE 754
defines to the last bit, so that every host gives the same result. f32div, f32sqrt, f32oox are correctly rounded: the
float64 quotient or root of f32 operands never lies so near a tie that rounding it again could differ.

Arguments reach f16 functions through ``ctl`` (FP_CTL) and ``draw`` (64 random bits for stochastic rounding, of which
element i uses field i; see rounding.py).
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from tile_emu.isa.semantics.bits import bits_float, float_bits, widen
from tile_emu.isa.semantics.doubles import bits_double, double_bits, round_to_odd
from tile_emu.isa.semantics.floating import F32_NAN, pack_halves
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.registry import DIV0, EXTRA_TURN, INV, OFLO, Shape, semantic
from tile_emu.isa.semantics.rounding import F16_NAN, NEAREST, f16_round
from tile_emu.jit import jit

ALU = Shape.ALU
GROUP = Shape.GROUP
F32_INFINITY = 0x7F800000
F32_SIGN = 0x80000000
# The logarithm of zero keeps its infinity even in f16 (inferred: 10.1 against the general rule of 8.4).
F16_LOG_OF_ZERO = 0xFC00

EXP, EXP2, SIGM, TANH, LN, LOG2 = range(6)

INVERSE_LN2 = 1.4426950408889634
LN2 = 0.6931471805599453
LN2_HIGH = 6.93147180369123816490e-01  # 32 significant bits: a product with an exponent is exact
LN2_LOW = 1.90821492927058770002e-10
SQRT2 = 1.4142135623730951
_HIDDEN = 1 << 52


@jit(inline=True)
def _two_to(n):
    """2.0 ** n for an integer -1022 <= n <= 1023."""
    return bits_double((n + 1023) << 52)


@jit(leaf=True)
def _expm1_reduced(r):
    """e**r - 1 for abs(r) <= 0.35: Taylor series to r**13, remainder below 2**-57 of the result."""
    outlined()
    tail = 1 / 6227020800.0
    tail = 1 / 479001600.0 + r * tail
    tail = 1 / 39916800.0 + r * tail
    tail = 1 / 3628800.0 + r * tail
    tail = 1 / 362880.0 + r * tail
    tail = 1 / 40320.0 + r * tail
    tail = 1 / 5040.0 + r * tail
    tail = 1 / 720.0 + r * tail
    tail = 1 / 120.0 + r * tail
    tail = 1 / 24.0 + r * tail
    tail = 1 / 6.0 + r * tail
    tail = 0.5 + r * tail
    return r + r * r * tail


@jit(inline=True)
def _reduce(x):
    """(n, r) with x = n * ln 2 + r and abs(r) <= 0.35."""
    n = np.rint(x * INVERSE_LN2)
    return np.int64(n), (x - n * LN2_HIGH) - n * LN2_LOW


@jit(leaf=True)
def _exponential(x):
    """e**x; the limits of 700 lie far outside every destination format."""
    outlined()
    n, r = _reduce(min(max(x, -700.0), 700.0))
    return _two_to(n) * (1.0 + _expm1_reduced(r))


@jit(leaf=True)
def _minus_expm1(x):
    """1 - e**x for x <= 0, accurate near 0."""
    outlined()
    n, r = _reduce(max(x, -700.0))
    scale = _two_to(n)
    return (1.0 - scale) - scale * _expm1_reduced(r)


@jit(leaf=True)
def _log_parts(x):
    """(e, y) with ln x = e * ln 2 + y for a normal float64 x > 0, abs(y) <= 0.35."""
    outlined()
    bits = double_bits(x)
    exponent = np.float64((bits >> 52) - 1023)
    m = bits_double((bits & (_HIDDEN - 1)) | (1023 << 52))
    if m > SQRT2:
        m *= 0.5
        exponent += 1.0
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    # ln(1 + f) = 2 artanh(s) = 2 s + s R; taking f itself, which is exact, for the leading part of it (as fdlibm).
    series = 2 / 21.0
    series = 2 / 19.0 + z * series
    series = 2 / 17.0 + z * series
    series = 2 / 15.0 + z * series
    series = 2 / 13.0 + z * series
    series = 2 / 11.0 + z * series
    series = 2 / 9.0 + z * series
    series = 2 / 7.0 + z * series
    series = 2 / 5.0 + z * series
    series = 2 / 3.0 + z * series
    half_square = 0.5 * f * f
    return exponent, f - (half_square - s * (half_square + z * series))


@jit(leaf=True)
def _half_plus(q):
    """0.5 + q, abs(q) <= 0.5, rounded to odd, so that rounding it again to a shorter format is a single rounding."""
    total = 0.5 + q
    return round_to_odd(total, q - (total - 0.5))


@jit(leaf=True)
def _logistic(x):
    """1 / (1 + e**-x)."""
    if x < -1.0:
        power = _exponential(x)
        return power / (1.0 + power)
    # 1/2 + tanh(x / 2) / 2: near 0 the value lies close to ties of the destination.
    part = _minus_expm1(-abs(x))
    return _half_plus(np.copysign(0.5 * (part / (2.0 - part)), x))


@jit(leaf=True)
def function_value(which, x):
    """float64 value of a function at a float64 that is no NaN; logarithms need x > 0. Error below 2**-51 relative."""
    outlined()
    if which == EXP:
        return _exponential(x)
    if which == EXP2:
        x = min(max(x, -1000.0), 1000.0)
        n = np.rint(x)
        return _two_to(np.int64(n)) * (1.0 + _expm1_reduced((x - n) * LN2))
    if which == SIGM:
        return _logistic(x)
    if which == TANH:
        part = _minus_expm1(-2.0 * abs(x))
        return np.copysign(part / (2.0 - part), x)
    if x == np.inf:
        return x
    exponent, y = _log_parts(x)
    if which == LOG2:
        return exponent + y * INVERSE_LN2
    return exponent * LN2_HIGH + (exponent * LN2_LOW + y)


@jit(leaf=True)
def f32_function(which, a):
    """One of the six functions of an f32 pattern, with flags."""
    outlined()
    magnitude = a & 0x7FFFFFFF
    if magnitude > F32_INFINITY:
        return F32_NAN | INV
    if which >= LN:
        if magnitude == 0:
            return F32_SIGN | F32_INFINITY | DIV0
        if a & F32_SIGN:
            return F32_NAN | INV
    bits = float_bits(np.float32(function_value(which, np.float64(bits_float(a)))))
    if bits & 0x7FFFFFFF == F32_INFINITY and magnitude != F32_INFINITY:
        bits |= OFLO
    return bits


@jit(leaf=True)
def f16_function(which, ctl, draw, a):
    """One of the six functions of an f16 pattern, with flags."""
    outlined()
    magnitude = a & 0x7FFF
    if magnitude > 0x7C00:
        return F16_NAN | INV
    if which >= LN:
        if magnitude == 0:
            return F16_LOG_OF_ZERO | DIV0
        if a & 0x8000:
            return F16_NAN | INV
    return f16_round(ctl, draw, function_value(which, np.float64(widen(a))), NEAREST)


@jit(leaf=True)
def f16v2_function(which, ctl, draw, a):
    """A function of both halves."""
    outlined()
    low = f16_function(which, ctl, draw, a & 0xFFFF)
    return pack_halves(low, f16_function(which, ctl, draw >> 16, a >> 16))


@semantic("f32exp", ALU, "e ** a", turns=3, choices="function-rounding turns nan overflow poles")
@jit(inline=True)
def f32exp(a):
    return f32_function(EXP, a)


@semantic("f32exp2", ALU, "2 ** a", turns=3, choices="function-rounding turns nan overflow poles")
@jit(inline=True)
def f32exp2(a):
    return f32_function(EXP2, a)


@semantic("f32sigm", ALU, "1 / (1 + e ** -a)", turns=5, choices="function-rounding turns nan overflow poles")
@jit(inline=True)
def f32sigm(a):
    return f32_function(SIGM, a)


@semantic("f32tanh", ALU, "hyperbolic tangent", turns=5, choices="function-rounding turns nan overflow poles")
@jit(inline=True)
def f32tanh(a):
    return f32_function(TANH, a)


@semantic("f32ln", ALU, "natural logarithm", turns=6, choices="function-rounding turns nan overflow poles")
@jit(inline=True)
def f32ln(a):
    return f32_function(LN, a)


@semantic("f32log2", ALU, "logarithm to base 2", turns=6, choices="function-rounding turns nan overflow poles")
@jit(inline=True)
def f32log2(a):
    return f32_function(LOG2, a)


@semantic(
    "f16v2exp",
    ALU,
    "e ** a per half",
    turns=2,
    choices="function-rounding turns nan f16-overflow poles stochastic stochastic-forms",
)
@jit(inline=True)
def f16v2exp(ctl, draw, a):
    return f16v2_function(EXP, ctl, draw, a)


@semantic(
    "f16v2exp2",
    ALU,
    "2 ** a per half",
    turns=2,
    choices="function-rounding turns nan f16-overflow poles stochastic stochastic-forms",
)
@jit(inline=True)
def f16v2exp2(ctl, draw, a):
    return f16v2_function(EXP2, ctl, draw, a)


@semantic(
    "f16v2sigm",
    ALU,
    "1 / (1 + e ** -a) per half",
    turns=2,
    choices="function-rounding turns nan f16-overflow poles stochastic stochastic-forms",
)
@jit(inline=True)
def f16v2sigm(ctl, draw, a):
    return f16v2_function(SIGM, ctl, draw, a)


@semantic(
    "f16v2tanh",
    ALU,
    "hyperbolic tangent per half",
    turns=1,
    choices="function-rounding turns nan f16-overflow poles stochastic stochastic-forms",
)
@jit(inline=True)
def f16v2tanh(ctl, draw, a):
    return f16v2_function(TANH, ctl, draw, a)


@semantic(
    "f16v2ln",
    ALU,
    "natural logarithm per half",
    turns=2,
    choices="function-rounding turns nan f16-overflow poles stochastic stochastic-forms",
)
@jit(inline=True)
def f16v2ln(ctl, draw, a):
    return f16v2_function(LN, ctl, draw, a)


@semantic(
    "f16v2log2",
    ALU,
    "logarithm to base 2 per half",
    turns=2,
    choices="function-rounding turns nan f16-overflow poles stochastic stochastic-forms",
)
@jit(inline=True)
def f16v2log2(ctl, draw, a):
    return f16v2_function(LOG2, ctl, draw, a)


@jit(leaf=True)
def f32_quotient(a, b):
    """a / b of f32 patterns, correctly rounded, with flags."""
    outlined()
    dividend = a & 0x7FFFFFFF
    divisor = b & 0x7FFFFFFF
    if dividend > F32_INFINITY or divisor > F32_INFINITY:
        return F32_NAN | INV
    if dividend == divisor and (dividend == 0 or dividend == F32_INFINITY):
        return F32_NAN | INV
    if divisor == 0:
        return ((a ^ b) & F32_SIGN) | F32_INFINITY | (DIV0 if dividend != F32_INFINITY else 0)
    bits = float_bits(np.float32(np.float64(bits_float(a)) / np.float64(bits_float(b))))
    if bits & 0x7FFFFFFF == F32_INFINITY and dividend != F32_INFINITY:
        bits |= OFLO
    return bits


@jit(leaf=True)
def quotient_is_trivial(a, b):
    """Whether f32div takes one turn: an operand zero or not finite, or the divisor a power of two (inferred)."""
    dividend = a & 0x7FFFFFFF
    divisor = b & 0x7FFFFFFF
    if dividend == 0 or dividend >= F32_INFINITY or divisor >= F32_INFINITY:
        return True
    return divisor & 0x7FFFFF == 0


@semantic(
    "f32div",
    GROUP,
    "a / b; 1 turn for trivial operands, else 3",
    turns=1,
    most_turns=3,
    choices="quotient trivial-quotient nan overflow poles",
)
@jit(inline=True)
def f32div(a, b):
    return f32_quotient(a, b) | (0 if quotient_is_trivial(a, b) else 2 * EXTRA_TURN)


@semantic("f32oox", ALU, "1 / a", turns=3, choices="quotient turns nan overflow poles")
@jit(inline=True)
def f32oox(a):
    return f32_quotient(0x3F800000, a)


@jit(leaf=True)
def f32_root(a, reciprocal):
    """sqrt(a), or 1 / sqrt(a), of an f32 pattern, with flags."""
    outlined()
    magnitude = a & 0x7FFFFFFF
    if magnitude > F32_INFINITY or (a & F32_SIGN and magnitude != 0):
        return F32_NAN | INV
    if magnitude == 0:
        # 1 / sqrt(-0) is +infinity (inferred).
        return F32_INFINITY | DIV0 if reciprocal else a
    root = np.sqrt(np.float64(bits_float(a)))
    return float_bits(np.float32(1.0 / root if reciprocal else root))


@semantic("f32sqrt", ALU, "square root, correctly rounded", turns=5, choices="root turns nan poles")
@jit(inline=True)
def f32sqrt(a):
    return f32_root(a, False)


@semantic("f32oorx", ALU, "1 / sqrt(a)", turns=4, choices="root turns nan poles")
@jit(inline=True)
def f32oorx(a):
    return f32_root(a, True)

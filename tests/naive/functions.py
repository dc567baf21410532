"""Transcendental functions, roots and quotients (semantics 10.1) in arbitrary precision, rounded once."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]

from tests.naive import numbers as fp
from tests.naive.numbers import F16, F32, NAN, Flags, Number

#: Bits of precision: enough for 1 / (1 + e**-x) to differ from 1/2 + x/4 where that is a tie of binary32.
PRECISION = 240


def _fraction(x: Any) -> Fraction:
    sign, mantissa, exponent, _ = x._mpf_
    return Fraction(-int(mantissa) if sign else int(mantissa)) * Fraction(2) ** exponent


def _real(x: Fraction) -> Any:
    return mpmath.mpf(x.numerator) / x.denominator


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "sigm": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "ln": mpmath.log,
    "log2": lambda x: mpmath.log(x) / mpmath.log(2),
    "sqrt": mpmath.sqrt,
    "oox": lambda x: 1 / x,
    "oorx": lambda x: 1 / mpmath.sqrt(x),
}
_AT_INFINITY: dict[str, tuple[Number, Number]] = {
    # value at -infinity and at +infinity
    "exp": (fp.number(Fraction(0)), Number("inf")),
    "exp2": (fp.number(Fraction(0)), Number("inf")),
    "sigm": (fp.number(Fraction(0)), fp.number(Fraction(1))),
    "tanh": (fp.number(Fraction(-1)), fp.number(Fraction(1))),
    "ln": (NAN, Number("inf")),
    "log2": (NAN, Number("inf")),
    "sqrt": (NAN, Number("inf")),
    "oox": (fp.number(Fraction(0), True), fp.number(Fraction(0))),
    "oorx": (NAN, fp.number(Fraction(0))),
}
_NO_NEGATIVES = ("ln", "log2", "sqrt", "oorx")


def value(name: str, x: Number, flags: Flags) -> Number:
    """The function's value before rounding; exact or to PRECISION bits."""
    if x.kind == "nan" or (name in _NO_NEGATIVES and x.negative and (x.kind == "inf" or x.size)):
        flags.add("INV")
        return NAN
    if x.kind == "inf":
        return _AT_INFINITY[name][0 if x.negative else 1]
    if x.size == 0 and name in ("ln", "log2", "oox", "oorx"):
        flags.add("DIV0")
        return Number("inf", name in ("ln", "log2") or (name == "oox" and x.negative))
    if x.size == 0 and name in ("tanh", "sqrt"):
        return x
    with mpmath.workprec(PRECISION):
        # Beyond 300 the exponentials are far outside every format; their exact size no longer matters.
        bounded = name in ("exp", "exp2", "sigm", "tanh")
        argument = max(min(x.value, Fraction(300)), Fraction(-300)) if bounded else x.value
        return fp.number(_fraction(_FUNCTIONS[name](_real(argument))))


def quotient(x: Number, y: Number, flags: Flags) -> Number:
    kinds = (x.kind, y.kind)
    negative = x.negative != y.negative
    if "nan" in kinds or kinds == ("inf", "inf") or (kinds == ("finite", "finite") and not x.size and not y.size):
        flags.add("INV")
        return NAN
    if x.kind == "inf":
        return Number("inf", negative)
    if y.kind == "inf":
        return Number("finite", negative)
    if not y.size:
        flags.add("DIV0")
        return Number("inf", negative)
    return Number("finite", negative, x.size / y.size)


def f32_unary(name: str, bits: int) -> tuple[int, Flags]:
    flags = Flags()
    return fp.to_f32(value(name, fp.decode(bits, F32), flags), flags), flags


def f32_quotient(a: int, b: int) -> tuple[int, Flags]:
    flags = Flags()
    return fp.to_f32(quotient(fp.decode(a, F32), fp.decode(b, F32), flags), flags), flags


def f16_unary(name: str, bits: int, nanoo: bool) -> tuple[int, Flags]:
    """As f32_unary; an infinite value is an f16 overflow, except a logarithm of zero (inferred)."""
    flags = Flags()
    x = value(name, fp.decode(bits, F16), flags)
    if "DIV0" in flags:
        return F16.sign + F16.infinity, flags
    return fp.to_f16(x, flags, nanoo), flags

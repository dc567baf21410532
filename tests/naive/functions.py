"""Transcendental functions, roots and quotients (semantics 10.1) in arbitrary precision, rounded once."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]

from tests.naive import numbers as fp
from tests.naive.memory import Effects, put_words
from tests.naive.numbers import F16, F32, NAN, Flags, Number
from tests.naive.rounding import Narrowing, halves, pack
from tests.naive.state import Worker
from tests.naive.text import Instruction

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


#: Turns of the multi-pass functions (semantics 14.3); all others take one.
TURNS = {
    "f32exp": 3, "f32exp2": 3, "f32ln": 6, "f32log2": 6, "f32sigm": 5, "f32tanh": 5, "f32sqrt": 5, "f32oorx": 4,
    "f32oox": 3, "f16v2exp": 2, "f16v2exp2": 2, "f16v2ln": 2, "f16v2log2": 2, "f16v2sigm": 2, "f16v2tanh": 1,
}  # fmt: skip


def _quotient_turns(x: Number, y: Number) -> int:
    """1 for trivial operands, which are (inferred): zero or not finite, or a normal power of two as divisor."""
    if x.kind != "finite" or y.kind != "finite" or not x.size or not y.size:
        return 1
    step = fp.scaled(y.size, -fp.unit_exponent(y.size, F32))
    return 1 if step == 2**23 else 3


def instruction(worker: Worker, ins: Instruction) -> Effects | None:
    match = re.fullmatch(r"(f32|f16v2)(exp2?|ln|log2|sigm|tanh|sqrt|oorx|oox|div)", ins.mnemonic)
    if match is None:
        return None
    name, flags, narrowing = match[2], Flags(), Narrowing(worker)
    turns = TURNS.get(ins.mnemonic, 1)
    sources = [worker.words(op)[0] for op in ins.operands[1:]]
    if name == "div":
        x, y = (fp.decode(bits, F32) for bits in sources)
        words = [fp.to_f32(quotient(x, y, flags), flags)]
        turns = _quotient_turns(x, y)
    elif match[1] == "f32":
        words = [fp.to_f32(value(name, fp.decode(sources[0], F32), flags), flags)]
    else:
        parts = []
        for i, bits in enumerate(halves(sources)):
            events = Flags()
            x = value(name, fp.decode(bits, F16), events)
            log_of_zero = "DIV0" in events  # keeps its infinity, so nothing of it overflows (inferred)
            half = narrowing.half(i, x, Flags() if log_of_zero else events)
            parts.append(F16.sign + F16.infinity if log_of_zero else half)
            flags |= events
        words = pack(parts)
    effects = narrowing.effects(flags)
    effects.turns = turns
    put_words(effects, ins.operands[0], words)
    return effects

"""Floating-point numbers as exact fractions with one explicit rounding, for the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, copysign, floor


@dataclass(frozen=True)
class Format:
    """A binary interchange format: widths of the exponent and of the fraction in bits."""

    exponent: int
    fraction: int

    @property
    def bias(self) -> int:
        return int(2 ** (self.exponent - 1)) - 1

    @property
    def infinity(self) -> int:
        return int(2**self.exponent - 1) * int(2**self.fraction)

    @property
    def sign(self) -> int:
        return int(2 ** (self.exponent + self.fraction))

    @property
    def nan(self) -> int:
        """The canonical quiet NaN (inferred: semantics 8.4)."""
        return self.infinity + int(2 ** (self.fraction - 1))


F16 = Format(5, 10)
F32 = Format(8, 23)
F16_LARGEST = 0x7BFF


@dataclass(frozen=True)
class Number:
    """A float's value before rounding: ``kind`` is finite, inf or nan; a zero keeps its sign."""

    kind: str
    negative: bool = False
    size: Fraction = Fraction(0)

    @property
    def value(self) -> Fraction:
        return -self.size if self.negative else self.size


NAN = Number("nan")


class Flags(set[str]):
    """Events of one instruction: INV, DIV0, OFLO."""


def number(value: Fraction, zero_negative: bool = False) -> Number:
    """A finite number; ``zero_negative`` is the sign a zero gets."""
    return Number("finite", value < 0 or (value == 0 and zero_negative), abs(value))


def decode(bits: int, form: Format) -> Number:
    negative = bool(bits & form.sign)
    bits &= form.sign - 1
    if bits > form.infinity:
        return NAN
    if bits == form.infinity:
        return Number("inf", negative)
    exponent, fraction = divmod(bits, 2**form.fraction)
    if exponent == 0:
        exponent = 1
    else:
        fraction += 2**form.fraction
    return Number("finite", negative, scaled(Fraction(fraction), exponent - form.bias - form.fraction))


def nearest_even(value: Fraction) -> int:
    """Integer nearest to a fraction, ties to the even one."""
    whole = floor(value)
    rest = value - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1):
        whole += 1
    return whole


def integral(x: Fraction, mode: int) -> int:
    """Round to an integer: 0 nearest even, 1 up, 2 down, 3 towards zero, 4 nearest with ties away from zero.

    Other modes, which nothing describes, are as 0 (inferred).
    """
    if mode == 1:
        return ceil(x)
    if mode == 2:
        return floor(x)
    if mode == 3:
        return floor(x) if x >= 0 else ceil(x)
    if mode == 4:
        return floor(x + Fraction(1, 2)) if x >= 0 else ceil(x - Fraction(1, 2))
    return nearest_even(x)


def scaled(size: Fraction, power: int) -> Fraction:
    """size * 2**power."""
    return size * 2**power if power >= 0 else size / 2**-power


def unit_exponent(size: Fraction, form: Format) -> int:
    """Exponent of the format's step at a positive fraction: subnormals share the smallest."""
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if scaled(Fraction(1), exponent) > size:
        exponent -= 1
    return max(exponent, 1 - form.bias) - form.fraction


def quantise(size: Fraction, form: Format, mode: int = 0, negative: bool = False) -> int:
    """Bits of a non-negative fraction rounded in a mode of ``integral``; no upper limit: compare with ``infinity``.

    ``negative``: the sign of the number, which modes 1 and 2 look at.
    """
    if size == 0:
        return 0
    step = unit_exponent(size, form)
    exact = scaled(size, -step)
    units = abs(integral(-exact if negative else exact, mode)) if mode else nearest_even(exact)
    return units + (step + form.fraction + form.bias - 1) * int(2**form.fraction)


def encode(x: Number, form: Format) -> int:
    """Bits of a number the format holds exactly."""
    if x.kind == "nan":
        return form.nan
    size = form.infinity if x.kind == "inf" else quantise(x.size, form)
    return (form.sign if x.negative else 0) + size


def to_f32(x: Number, flags: Flags) -> int:
    """Round once to binary32; overflow gives infinity and OFLO."""
    if x.kind == "nan":
        return F32.nan
    sign = F32.sign if x.negative else 0
    if x.kind == "inf":
        return sign + F32.infinity
    bits = quantise(x.size, F32)
    if bits >= F32.infinity:
        flags.add("OFLO")
        bits = F32.infinity
    return sign + bits


def to_f16(x: Number, flags: Flags, nanoo: bool, mode: int = 0) -> int:
    """Round once to binary16; beyond the range +-65504, or NaN when ``nanoo`` (semantics 8.4)."""
    if x.kind == "nan":
        return F16.nan
    bits = F16.infinity if x.kind == "inf" else quantise(x.size, F16, mode, x.negative)
    if bits >= F16.infinity:
        flags.add("OFLO")
        if nanoo:
            flags.add("INV")
            return F16.nan
        bits = F16_LARGEST
    return (F16.sign if x.negative else 0) + bits


def add(x: Number, y: Number, flags: Flags) -> Number:
    if "nan" in (x.kind, y.kind) or (x.kind == y.kind == "inf" and x.negative != y.negative):
        flags.add("INV")
        return NAN
    if x.kind == "inf":
        return x
    if y.kind == "inf":
        return y
    return number(x.value + y.value, x.negative and y.negative)


def negate(x: Number) -> Number:
    return Number(x.kind, not x.negative, x.size)


def magnitude(x: Number) -> Number:
    return Number(x.kind, False, x.size)


def subtract(x: Number, y: Number, flags: Flags) -> Number:
    return add(x, negate(y), flags)


def multiply(x: Number, y: Number, flags: Flags) -> Number:
    kinds = (x.kind, y.kind)
    negative = x.negative != y.negative
    if "nan" in kinds:
        flags.add("INV")
        return NAN
    if "inf" in kinds:
        if (x.kind == "finite" and x.size == 0) or (y.kind == "finite" and y.size == 0):
            flags.add("INV")
            return NAN
        return Number("inf", negative)
    return Number("finite", negative, x.size * y.size)


def order_key(x: Number) -> tuple[int, Fraction]:
    """Sorts numbers that are no NaN; -0 and +0 are equal."""
    if x.kind == "inf":
        return (-1 if x.negative else 1, Fraction(0))
    return (0, x.value)


def extreme(x: Number, y: Number, flags: Flags, largest: bool) -> Number:
    """IEEE maxNum / minNum; max(+0,-0) = +0 and min(+0,-0) = -0 (inferred), a NaN operand sets INV (inferred)."""
    if "nan" in (x.kind, y.kind):
        flags.add("INV")
        return y if x.kind == "nan" else x
    first, second = sorted((x, y), key=lambda n: (order_key(n), not n.negative))
    return second if largest else first


def compare(relation: str, x: Number, y: Number, flags: Flags) -> bool:
    if "nan" in (x.kind, y.kind):
        flags.add("INV")
        return relation == "ne"
    a, b = order_key(x), order_key(y)
    return {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[relation]


def exact_sum(terms: list[Number], flags: Flags) -> Number:
    """Sum of all terms without rounding; a zero sum is -0 only when every term is -0."""
    total = terms[0]
    for term in terms[1:]:
        total = add(total, term, flags)
    return total


def _double(x: Number) -> float:
    return copysign(float(x.size), -1.0 if x.negative else 1.0)


def double_sum(terms: list[Number], flags: Flags) -> Number:
    """The same sum in IEEE double: neighbouring products first, pair by pair, then the first term (the accumulator)."""
    if any(term.kind != "finite" for term in terms):
        return exact_sum(terms, flags)
    products = [_double(term) for term in terms[1:]]
    while len(products) > 1:
        products = [sum(products[i + 1 : i + 2], products[i]) for i in range(0, len(products), 2)]
    total = _double(terms[0]) + products[0]
    return number(Fraction(total), copysign(1.0, total) < 0)

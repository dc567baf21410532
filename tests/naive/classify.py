"""Class codes (semantics 9.4)."""

from __future__ import annotations

from tests.naive.numbers import Format


def class_of(bits: int, form: Format) -> int:
    negative, rest = bool(bits & form.sign), bits % form.sign
    exponent, fraction = divmod(rest, 2**form.fraction)
    if exponent == 2**form.exponent - 1:
        if fraction:
            return 2 if fraction >= 2 ** (form.fraction - 1) else 1
        return 3 if negative else 4
    if exponent:
        return 9 if negative else 10
    if fraction:
        return 7 if negative else 8
    return 5 if negative else 6


def f8_class_of(byte: int, fraction_bits: int) -> int:
    if byte == 0x80:
        return 2
    if byte == 0:
        return 6
    if byte % 128 < 2**fraction_bits:
        return 7 if byte >= 128 else 8
    return 9 if byte >= 128 else 10

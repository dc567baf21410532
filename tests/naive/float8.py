"""f8 (semantics 8.1, 9.3): every value written out, and narrowing as a search among them."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from functools import cache

from tests.naive import numbers as fp
from tests.naive.numbers import F16, NAN, Flags, Number

NAN_BYTE = 0x80
#: format name -> (fraction bits, bias)
FORMATS = {"F143": (3, 8), "F152": (2, 16)}


def decode(byte: int, form: str) -> Number:
    if byte == NAN_BYTE:
        return NAN
    fraction_bits, bias = FORMATS[form]
    exponent, fraction = divmod(byte % 128, 2**fraction_bits)
    if exponent:
        fraction += 2**fraction_bits
    size = fraction * Fraction(2) ** (max(exponent, 1) - bias - fraction_bits)
    return Number("finite", byte >= 128, size)


@cache
def _sizes(form: str) -> list[Fraction]:
    """Values of bytes 0 .. 127, which ascend."""
    return [decode(byte, form).size for byte in range(128)]


def narrow(half: int, form: str, scale: int, nanoo: bool, flags: Flags) -> int:
    """f16 times 2**scale to the nearest f8, ties to even; beyond range NaN or the largest value (inferred)."""
    x = fp.decode(half, F16)
    if x.kind == "nan":
        flags.add("INV")
        return NAN_BYTE
    sizes = _sizes(form)
    limit = sizes[127] + (sizes[127] - sizes[126]) / 2  # half a step above the largest value: rounds out of range
    size = limit if x.kind == "inf" else x.size * Fraction(2) ** scale
    if size >= limit:
        flags.add("OFLO")
        if nanoo:
            flags.add("INV")
            return NAN_BYTE
        byte = 127
    else:
        byte = min(bisect_left(sizes, size), 127)
        if sizes[byte] > size or (byte == 127 and sizes[byte] < size):
            below, above = (byte - 1, byte) if sizes[byte] > size else (byte, byte)
            lower, upper = size - sizes[below], sizes[above] - size
            byte = above if upper < lower or (upper == lower and above % 2 == 0) else below
    return byte + 128 if x.negative and byte else byte


def widen(byte: int, form: str, scale: int, nanoo: bool, flags: Flags) -> int:
    x = decode(byte, form)
    if x.kind == "nan":
        flags.add("INV")
    return fp.to_f16(Number(x.kind, x.negative, x.size * Fraction(2) ** scale), flags, nanoo)

"""f8 (semantics 8.1, 9.3): every value written out, and narrowing as a search among them."""

from __future__ import annotations

import re
from bisect import bisect_left
from fractions import Fraction
from functools import cache

from tests.naive import numbers as fp
from tests.naive.memory import Effects, put_words
from tests.naive.numbers import F16, NAN, Flags, Number
from tests.naive.state import Worker
from tests.naive.text import Instruction

NAN_BYTE = 0x80
#: format name -> (fraction bits, bias)
FORMATS = {"F143": (3, 8), "F152": (2, 16)}


@cache
def decode(byte: int, form: str) -> Number:
    if byte == NAN_BYTE:
        return NAN
    fraction_bits, bias = FORMATS[form]
    exponent, fraction = divmod(byte % 128, 2**fraction_bits)
    if exponent:
        fraction += 2**fraction_bits
    size = fraction * Fraction(2) ** (max(exponent, 1) - bias - fraction_bits)
    return Number("finite", byte >= 128, size)


def elements(words: list[int], form: str) -> list[Number]:
    return [decode(word // 256**i % 256, form) for word in words for i in range(4)]


def signed_scale(scl: int) -> int:
    """FP_SCL.SCALE, six bits with sign."""
    return (scl + 32) % 64 - 32


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


def conversion(worker: Worker, ins: Instruction) -> Effects | None:
    """f8v2tof16, f8v4tof16, f16v2tof8, f16v8tof8: nearest even, whatever FP_CTL says of rounding (8.5, inferred)."""
    form = "F143" if worker.nfmt & 2 else "F152"
    scale, nanoo, flags = signed_scale(worker.scl), bool(worker.fp_ctl & 2**20), Flags()
    if match := re.fullmatch(r"f8v([24])tof16", ins.mnemonic):
        parts = [worker.words(ins.operands[1])[0] // 256**i % 256 for i in range(int(match[1]))]
        halves = [widen(byte, form, scale, nanoo, flags) for byte in parts]
        words = [halves[i] + 65536 * halves[i + 1] for i in range(0, len(halves), 2)]
    elif match := re.fullmatch(r"f16v([28])tof8", ins.mnemonic):
        parts = [half for word in worker.words(ins.operands[1]) for half in (word % 65536, word // 65536)]
        narrowed = [narrow(half, form, scale, nanoo, flags) for half in parts]
        words = [sum(byte * 256**i for i, byte in enumerate(narrowed[k : k + 4])) for k in range(0, len(narrowed), 4)]
    else:
        return None
    effects = Effects(flags=flags)
    put_words(effects, ins.operands[0], words)
    return effects

"""Class codes (semantics 9.4)."""

from __future__ import annotations

import re

from tests.naive.memory import Effects, put_words
from tests.naive.numbers import F16, F32, Format
from tests.naive.rounding import halves
from tests.naive.state import Worker
from tests.naive.text import Instruction


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


def classify(worker: Worker, ins: Instruction) -> Effects | None:
    """Code of element i in byte i of the result."""
    match = re.fullmatch(r"(f16|f32|f8)(v[24])?class", ins.mnemonic)
    if match is None:
        return None
    words = worker.words(ins.operands[1])
    if match[1] == "f8":
        codes = [f8_class_of(words[0] // 256**i % 256, 3 if worker.nfmt & 2 else 2) for i in range(4)]
    elif match[1] == "f16":
        codes = [class_of(half, F16) for half in halves(words)]
    else:
        codes = [class_of(word, F32) for word in words]
    effects = Effects()
    put_words(effects, ins.operands[0], [sum(code * 256**i for i, code in enumerate(codes))])
    return effects

"""Element-wise float instructions, comparisons and conversions (semantics 9), on lists of 32-bit words."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from tests.naive import numbers as fp
from tests.naive.integer import signed
from tests.naive.memory import Effects, put_words
from tests.naive.numbers import F16, F32, Flags, Number
from tests.naive.randomness import from_unsigned
from tests.naive.rounding import Narrowing, halves, pack
from tests.naive.state import Worker
from tests.naive.text import Instruction, Operand


def elements(worker: Worker, op: Operand, kind: str, count: int) -> list[Number]:
    """Values of a source of ``count`` elements, broadcast modifiers applied."""
    words = worker.words(op)
    parts = halves(words) if kind == "f16" else words
    if op.lanes:
        parts = [parts[1 if op.lanes == "BU" else 0]] * count
    assert len(parts) >= count, (op, kind, count)
    return [fp.decode(bits, F16 if kind == "f16" else F32) for bits in parts[:count]]


def single(values: list[Number], flags: Flags) -> list[int]:
    """Register words of results rounded once to f32."""
    return [fp.to_f32(x, flags) for x in values]


def selected(kind: str, values: list[Number]) -> list[int]:
    """Register words of results that are operands: nothing is rounded, an f16 infinity stays one."""
    form = F16 if kind == "f16" else F32
    bits = [fp.encode(x, form) for x in values]
    return pack(bits) if kind == "f16" else bits


Operation = Callable[[Number, Number, Flags], Number]

ARITHMETIC: dict[str, Operation] = {
    "add": fp.add,
    "sub": fp.subtract,
    "mul": fp.multiply,
    "absadd": lambda x, y, flags: fp.add(fp.magnitude(x), fp.magnitude(y), flags),
    "max": lambda x, y, flags: fp.extreme(x, y, flags, True),
    "min": lambda x, y, flags: fp.extreme(x, y, flags, False),
    "absmax": lambda x, y, flags: fp.extreme(fp.magnitude(x), fp.magnitude(y), flags, True),
}

SELECTIONS = ("max", "min", "absmax")


def elementwise(worker: Worker, ins: Instruction) -> Effects | None:
    match = re.fullmatch(r"(f16|f32)(?:v([248]))?(add|sub|mul|absadd|max|min|absmax|clamp|cmp..)", ins.mnemonic)
    if match is None:
        return None
    kind, count, what = match[1], int(match[2] or 1), match[3]
    flags, narrowing = Flags(), Narrowing(worker)
    x = elements(worker, ins.operands[1], kind, count)
    if what == "clamp":
        low, high = elements(worker, ins.operands[2], kind, 2)
        result = [fp.extreme(fp.extreme(e, low, flags, True), high, flags, False) for e in x]
        words = selected(kind, result)
    else:
        y = elements(worker, ins.operands[2], kind, count)
        pairs = list(zip(x, y, strict=True))
        if what.startswith("cmp"):
            ones = 0xFFFF if kind == "f16" else 0xFFFFFFFF
            masks = [ones if fp.compare(what[3:], p, q, flags) else 0 for p, q in pairs]
            words = pack(masks) if kind == "f16" else masks
        else:
            result = [ARITHMETIC[what](p, q, flags) for p, q in pairs]
            if what in SELECTIONS:
                words = selected(kind, result)
            else:
                words = pack(narrowing.halves(result, flags)) if kind == "f16" else single(result, flags)
    effects = narrowing.effects(flags)
    put_words(effects, ins.operands[0], words)
    return effects


def lateral(worker: Worker, ins: Instruction) -> Effects | None:
    """f16v2sum, f16v4sum, f16v2maxc, f16v4maxc: neighbouring elements of one source."""
    match = re.fullmatch(r"f16v([24])(sum|maxc)", ins.mnemonic)
    if match is None:
        return None
    count, flags = int(match[1]), Flags()
    x = elements(worker, ins.operands[1], "f16", count)
    pairs = [(x[i], x[i + 1]) for i in range(0, count, 2)]
    if match[2] == "sum":
        words = single([fp.add(p, q, flags) for p, q in pairs], flags)
    else:
        best = [fp.extreme(p, q, flags, True) for p, q in pairs]
        words = selected("f16", best if count == 4 else best * 2)
    effects = Effects(flags=flags)
    put_words(effects, ins.operands[0], words)
    return effects


def to_integer(x: Number, lowest: int, highest: int, flags: Flags) -> int:
    """f32toi32 / f32toui32: nearest even, saturating, NaN gives 0; both set INV (inferred)."""
    if x.kind == "nan":
        flags.add("INV")
        return 0
    if x.kind == "inf":
        flags.add("INV")
        return lowest if x.negative else highest
    value = fp.nearest_even(x.value)
    if not lowest <= value <= highest:
        flags.add("INV")
    return min(max(value, lowest), highest)


def quiet(values: list[Number], flags: Flags) -> list[Number]:
    """A NaN passing through a conversion sets INV like any operand that is one."""
    if any(x.kind == "nan" for x in values):
        flags.add("INV")
    return values


def conversion(worker: Worker, ins: Instruction) -> Effects | None:
    name = ins.mnemonic
    if (
        re.fullmatch(r"f16(v2)?tof32|f32(v[24])?tof16|f32int|f32toi32|f32toui32|f32fromu?i32|f..(v.)?sufromui", name)
        is None
    ):
        return None
    flags, narrowing = Flags(), Narrowing(worker)
    source = ins.operands[1]
    words = worker.words(source)
    result: list[int]
    if name in ("f16tof32", "f16v2tof32"):
        values = elements(worker, source, "f16", 1 if name == "f16tof32" else 2)
        result = single(quiet(values, flags), flags)
    elif match := re.fullmatch(r"f32(v[24])?tof16", name):
        values = quiet(elements(worker, source, "f32", source.count), flags)
        parts = narrowing.halves(values, flags, worker.fp_ctl // 2**16 % 8)
        result = pack(parts if match[1] else parts * 2)
    elif name == "f32int":
        x = fp.decode(words[0], F32)
        if x.kind == "finite":
            x = fp.number(Fraction(fp.integral(x.value, ins.operands[2].value)), x.negative)
        result = single(quiet([x], flags), flags)
    elif name in ("f32toi32", "f32toui32"):
        limits = (-(2**31), 2**31 - 1) if name == "f32toi32" else (0, 2**32 - 1)
        result = [to_integer(fp.decode(words[0], F32), *limits, flags)]
    elif name in ("f32fromi32", "f32fromui32"):
        value = signed(words[0]) if name == "f32fromi32" else words[0]
        result = single([fp.number(Fraction(value))], flags)
    elif name.startswith("f16"):
        result = pack([from_unsigned(u, 16) for u in halves(words)])
    else:
        result = [from_unsigned(u, 32) for u in words]
    effects = narrowing.effects(flags)
    put_words(effects, ins.operands[0], result)
    return effects

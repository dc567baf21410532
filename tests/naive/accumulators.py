"""Accumulator instructions (semantics 11) and the accumulating matrix product (12)."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.naive import float8
from tests.naive import numbers as fp
from tests.naive.floating import elements, quiet, single
from tests.naive.memory import Effects, put_words
from tests.naive.numbers import F16, F32, Flags, Number
from tests.naive.rounding import Narrowing, halves, pack
from tests.naive.state import Worker
from tests.naive.text import Instruction, Operand

#: How an AMP unit adds the accumulator and its products before the one rounding to f32: model C or model A of 12.7.
Adder = Callable[[list[Number], Flags], Number]
MODEL_A: Adder = fp.exact_sum
MODEL_C: Adder = fp.double_sum


def _finite_or_nan(values: list[Number], flags: Flags) -> list[Number]:
    """An f16 infinity on its way into an accumulator is an invalid operand (semantics 8.4)."""
    if any(x.kind == "inf" for x in values):
        flags.add("INV")
    return [fp.NAN if x.kind == "inf" else x for x in values]


def _operands(worker: Worker, ins: Instruction, index: int, kind: str, count: int, flags: Flags) -> list[Number]:
    values = elements(worker, ins.operands[index], kind, count)
    return _finite_or_nan(values, flags) if kind == "f16" else values


def accumulate(worker: Worker, ins: Instruction) -> Effects | None:
    """acc family, cmac, mac, aop: exact sum of all terms and the old value, rounded once to f32 (inferred)."""
    flags = Flags()
    terms: dict[int, list[Number]] = {}
    if match := re.fullmatch(r"(f16|f32)v([48])(abs|sq)?acc", ins.mnemonic):
        for i, x in enumerate(_operands(worker, ins, 0, match[1], int(match[2]), flags)):
            if match[3] == "abs":
                x = fp.magnitude(x)
            elif match[3] == "sq":
                x = fp.multiply(x, x, flags)
            terms[2 * i] = [x]
    elif match := re.fullmatch(r"(f16|f32)(?:v([24]))?(cmac|mac)", ins.mnemonic):
        count = int(match[2] or 1)
        left = _operands(worker, ins, 0, match[1], count, flags)
        right = _operands(worker, ins, 1, match[1], count, flags)
        products = [fp.multiply(p, q, flags) for p, q in zip(left, right, strict=True)]
        width = 2 if match[3] == "cmac" else 1
        for i in range(0, count, width):
            terms[2 * i // width] = products[i : i + width]
    elif ins.mnemonic == "f32v2aop":
        left, right = (_operands(worker, ins, i, "f32", 2, flags) for i in (0, 1))
        for i in range(4):
            terms[2 * i] = [fp.multiply(left[i % 2], right[i // 2], flags)]
    else:
        return None
    acc = list(worker.acc)
    for index, added in terms.items():
        acc[index] = fp.to_f32(fp.exact_sum([fp.decode(acc[index], F32), *added], flags), flags)
    return Effects(acc=acc, flags=flags)


def drain(worker: Worker, ins: Instruction) -> Effects | None:
    """gina, gacc, axpy, mix (semantics 11.2, 11.3)."""
    flags, acc, ops = Flags(), list(worker.acc), ins.operands
    narrowing = Narrowing(worker)

    def narrow(indices: list[int]) -> list[int]:
        values = quiet([fp.decode(worker.acc[i], F32) for i in indices], flags)
        return pack(narrowing.halves(values, flags))

    if match := re.fullmatch(r"(f16|f32)v2gina", ins.mnemonic):
        first = {0: 0, 1: 1, 2: 16, 3: 17}[ops[2].value % 4]
        if match[1] == "f32":
            result = [acc[first], acc[first + 2]]
            inserted = worker.words(ops[1])
        else:
            result = narrow([first, first + 2])
            inserted = single(quiet(elements(worker, ops[1], "f16", 2), flags), flags)
        for i in range(first, first + 12, 2):
            acc[i] = acc[i + 4]
        acc[first + 12], acc[first + 14] = inserted
    elif ins.mnemonic == "f16v4gacc":
        result = narrow([0, 2, 4, 6])
    elif ins.mnemonic == "f32v2axpy":
        result = [acc[0], acc[2]]
        x, y = elements(worker, ops[1], "f32", 2), elements(worker, ops[2], "f32", 2)
        scale = fp.decode(worker.tas, F32)
        for i in range(2):
            acc[2 * i] = fp.to_f32(fp.add(fp.multiply(scale, x[i], flags), y[i], flags), flags)
    elif ins.mnemonic == "f16v4mix":
        result = narrow([0, 2, 4, 6])
        x, y = (_operands(worker, ins, i, "f16", 4, flags) for i in (1, 2))
        a, b = _finite_or_nan([fp.decode(bits, F16) for bits in halves([worker.tas])], flags)
        for i in range(4):
            both = fp.add(fp.multiply(a, x[i], flags), fp.multiply(b, y[i], flags), flags)
            acc[2 * i] = fp.to_f32(both, flags)
    else:
        return None
    effects = narrowing.effects(flags)
    effects.acc = acc
    put_words(effects, ops[0], result)
    return effects


class Set:
    """One AMP set during one instruction: running sums and staging slots as f32 bit patterns."""

    def __init__(self, acc: list[int], which: int) -> None:
        self.which = which
        self.sums = acc[16 * which : 16 * which + 16 : 2]
        self.chain = acc[16 * which + 1 : 16 * which + 16 : 2]

    def start_group(self, units: int) -> None:
        for u in range(units):
            self.sums[u], self.chain[u] = self.chain[u], self.sums[u]

    def move(self, units: int, partials: list[int]) -> list[int]:
        out = self.chain[0:2]
        self.chain[:units] = [*self.chain[2:units], *partials]
        return out

    def write(self, acc: list[int]) -> None:
        for u in range(8):
            acc[16 * self.which + 2 * u] = self.sums[u]
            acc[16 * self.which + 2 * u + 1] = self.chain[u]


def phase_of(flag: str) -> tuple[int, int]:
    """(pairs in the chain, phase) a TAMP_* name says: E4, E2, E1 have 4, 2, 1 pairs."""
    match = re.fullmatch(r"TAMP_\w+_E([421])_P(\d)", flag)
    assert match, flag
    return int(match[1]), int(match[2])


def strict(patterns: list[int], flags: Flags) -> list[int]:
    """f32 partials on their way into a unit: an infinity or NaN is invalid and enters as NaN (12.7)."""
    if any(fp.decode(bits, F32).kind != "finite" for bits in patterns):
        flags.add("INV")
    return [bits if fp.decode(bits, F32).kind == "finite" else F32.nan for bits in patterns]


def partials(worker: Worker, op: Operand, half: bool, flags: Flags) -> list[int]:
    """Partial sums as f32 patterns from f32 or f16 elements."""
    words = worker.words(op)
    if half:
        words = single([fp.decode(bits, F16) for bits in halves(words)], flags)
    return strict(words, flags)


def results(worker: Worker, out: list[int], half: bool, acc: list[int], flags: Flags) -> tuple[Effects, list[int]]:
    """Effects and register words of f32 patterns that leave, narrowed for the forms with f16 results."""
    narrowing = Narrowing(worker)
    if half:
        out = pack(narrowing.halves(quiet([fp.decode(bits, F32) for bits in out], flags), flags))
    effects = narrowing.effects(flags)
    effects.acc = acc
    return effects, out


class Weights:
    """The common weight store, 64 slots of four 16-bit patterns, read as elements of one type."""

    def __init__(self, cwei: list[list[int]], worker: Worker) -> None:
        self.cwei, self.worker = cwei, worker

    def f16(self, which: int, unit: int, slot: int, flags: Flags) -> list[Number]:
        return _finite_or_nan([fp.decode(bits, F16) for bits in self.cwei[32 * which + 4 * unit + slot]], flags)

    def f32(self, which: int, unit: int, slot: int, half: int) -> Number:
        x = fp.decode(pack(self.cwei[32 * which + 4 * unit + slot])[half], F32)
        return x if x.kind == "finite" else fp.NAN

    def f8(self, which: int, unit: int, slot: int) -> list[Number]:
        words = pack(self.cwei[32 * which + 4 * unit + slot])
        return float8.elements(words, "F143" if self.worker.nfmt & 1 else "F152")


def inputs(worker: Worker, ins: Instruction, kind: str, flags: Flags) -> list[Number]:
    """Source 0 of a product step: four f16, one f32 or eight f8, the latter times 2**SCALE."""
    if kind == "f8":
        form = "F143" if worker.nfmt & 2 else "F152"
        scale = float8.signed_scale(worker.scl)
        return [
            fp.Number(x.kind, x.negative, fp.scaled(x.size, scale))
            for x in float8.elements(worker.words(ins.operands[1]), form)
        ]
    values = _operands(worker, ins, 1, kind, 4 if kind == "f16" else 1, flags)
    return [x if x.kind == "finite" else fp.NAN for x in values]


def add_products(total: int, x: list[Number], weights: list[Number], adder: Adder, flags: Flags) -> int:
    products = [fp.multiply(p, q, flags) for p, q in zip(x, weights, strict=True)]
    return fp.to_f32(adder([fp.decode(total, F32), *products], flags), flags)


def amp(worker: Worker, ins: Instruction, cwei: list[list[int]], adder: Adder) -> Effects | None:
    form = re.fullmatch(r"(f16v4|f8v8)(s|h)i(s|h)o(v4)?amp", ins.mnemonic)
    if form is None:
        return amp_single(worker, ins, cwei)
    kind = form[1][:-2]
    flags, acc, weights = Flags(), list(worker.acc), Weights(cwei, worker)
    pairs, phase = phase_of(ins.operands[3].text)
    sets = [Set(acc, s) for s in range(2 if form[4] else 1)]
    x = inputs(worker, ins, kind, flags)
    entering = partials(worker, ins.operands[2], form[2] == "h", flags)
    out = []
    for group in sets:
        if phase == 0:
            group.start_group(2 * pairs)
        for u in range(2 * pairs):
            if kind == "f8":
                w = weights.f8(group.which, u, phase)
            else:
                w = weights.f16(group.which, u, phase, flags)
            group.sums[u] = add_products(group.sums[u], x, w, adder, flags)
        out += group.move(2 * pairs, entering[2 * group.which : 2 * group.which + 2])
        group.write(acc)
    effects, words = results(worker, out, form[3] == "h", acc, flags)
    put_words(effects, ins.operands[0], words)
    return effects


def amp_single(worker: Worker, ins: Instruction, cwei: list[list[int]]) -> Effects | None:
    """f32 forms, each product added with one rounding.

    One set moves on even phases only (inferred); of two sets the one of the phase's parity moves.
    """
    form = re.fullmatch(r"f32siso(v2)?amp", ins.mnemonic)
    if form is None:
        return None
    flags, acc, weights = Flags(), list(worker.acc), Weights(cwei, worker)
    pairs, phase = phase_of(ins.operands[3].text)
    sets = [Set(acc, s) for s in range(2 if form[1] else 1)]
    x = inputs(worker, ins, "f32", flags)
    for group in sets:
        if phase == 0:
            group.start_group(2 * pairs)
        for u in range(2 * pairs):
            w = weights.f32(group.which, u, phase // 2, phase % 2)
            group.sums[u] = add_products(group.sums[u], x, [w], MODEL_A, flags)
    out = [0, 0]
    if form[1] or phase % 2 == 0:
        moving = sets[phase % 2] if form[1] else sets[0]
        out = moving.move(2 * pairs, partials(worker, ins.operands[2], False, flags))
    for group in sets:
        group.write(acc)
    effects = Effects(acc=acc, flags=flags)
    put_words(effects, ins.operands[0], out)
    return effects

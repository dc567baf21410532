"""Accumulator instructions (semantics 11) and the accumulating matrix product (12)."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.naive import numbers as fp
from tests.naive.floating import NANOO, elements, halves, pack, quiet
from tests.naive.memory import Effects, put_words
from tests.naive.numbers import F16, F32, Flags, Number
from tests.naive.state import Worker
from tests.naive.text import Instruction

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
    nanoo = bool(worker.fp_ctl & NANOO)

    def narrow(indices: list[int]) -> list[int]:
        values = quiet([fp.decode(worker.acc[i], F32) for i in indices], flags)
        return pack([fp.to_f16(x, flags, nanoo) for x in values])

    if match := re.fullmatch(r"(f16|f32)v2gina", ins.mnemonic):
        first = {0: 0, 1: 1, 2: 16, 3: 17}[ops[2].value % 4]
        if match[1] == "f32":
            result = [acc[first], acc[first + 2]]
            inserted = worker.words(ops[1])
        else:
            result = narrow([first, first + 2])
            inserted = [fp.to_f32(x, flags) for x in elements(worker, ops[1], "f16", 2)]
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
        a, b = (fp.decode(bits, F16) for bits in halves([worker.tas]))
        for i in range(4):
            both = fp.add(fp.multiply(a, x[i], flags), fp.multiply(b, y[i], flags), flags)
            acc[2 * i] = fp.to_f32(both, flags)
    else:
        return None
    effects = Effects(acc=acc, flags=flags)
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


def amp(worker: Worker, ins: Instruction, cwei: list[list[int]], adder: Adder) -> Effects | None:
    """``cwei``: 64 slots of four 16-bit patterns."""
    half = re.fullmatch(r"f16v4(s|h)i(s|h)o(v4)?amp", ins.mnemonic)
    single = re.fullmatch(r"f32siso(v2)?amp", ins.mnemonic)
    if not half and not single:
        return None
    flags, acc = Flags(), list(worker.acc)
    k, phase = phase_of(ins.operands[3].text)
    units = 2 * k
    two = bool(half[3]) if half else bool(single and single[1])
    sets = [Set(acc, s) for s in range(2 if two else 1)]
    kind = "f16" if half else "f32"
    x = _operands(worker, ins, 1, kind, 4 if half else 1, flags)
    for group in sets:
        if phase == 0:
            group.start_group(units)
        for u in range(units):
            slot = cwei[32 * group.which + 4 * u + (phase if half else phase // 2)]
            if half:
                weights = _finite_or_nan([fp.decode(bits, F16) for bits in slot], flags)
            else:
                weights = [fp.decode(pack(slot)[phase % 2], F32)]
            products = [fp.multiply(p, q, flags) for p, q in zip(x, weights, strict=True)]
            group.sums[u] = fp.to_f32(adder([fp.decode(group.sums[u], F32), *products], flags), flags)
    out = _move_half(worker, ins, sets, units, half, flags) if half else _move_single(worker, ins, sets, units, phase)
    for group in sets:
        group.write(acc)
    effects = Effects(acc=acc, flags=flags)
    put_words(effects, ins.operands[0], out)
    return effects


def _move_half(
    worker: Worker, ins: Instruction, sets: list[Set], units: int, form: re.Match[str], flags: Flags
) -> list[int]:
    words = worker.words(ins.operands[2])
    if form[1] == "h":
        words = [fp.to_f32(fp.decode(bits, F16), flags) for bits in halves(words)]
    out = [bits for i, group in enumerate(sets) for bits in group.move(units, words[2 * i : 2 * i + 2])]
    if form[2] == "h":
        nanoo = bool(worker.fp_ctl & NANOO)
        values = quiet([fp.decode(bits, F32) for bits in out], flags)
        out = pack([fp.to_f16(x, flags, nanoo) for x in values])
    return out


def _move_single(worker: Worker, ins: Instruction, sets: list[Set], units: int, phase: int) -> list[int]:
    """f32 forms: one set moves on even phases only (inferred), of two sets the one of the phase's parity moves."""
    if len(sets) == 1 and phase % 2 == 1:
        return [0, 0]
    return sets[phase % 2 if len(sets) == 2 else 0].move(units, worker.words(ins.operands[2]))

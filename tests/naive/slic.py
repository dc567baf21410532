"""Slim convolution and the streaming transpose (semantics 13, 11.4) on accumulator patterns in architectural order."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.naive import numbers as fp
from tests.naive.accumulators import MODEL_A, Adder, Weights, inputs, partials, results
from tests.naive.floating import halves
from tests.naive.memory import Effects, put_words
from tests.naive.numbers import F32, NAN, Flags, Number
from tests.naive.state import Worker
from tests.naive.text import Instruction, Operand

#: gives the weights of (set, unit, bank)
Reader = Callable[[int, int, int], list[Number]]


def _strict(values: list[Number], flags: Flags) -> list[Number]:
    """Infinities among f16 operands are invalid (8.4)."""
    if any(x.kind != "finite" for x in values):
        flags.add("INV")
    return [x if x.kind == "finite" else NAN for x in values]


def move(acc: list[int], which: int, taps: int, pin: list[Number], flags: Flags) -> list[int]:
    """The pipeline of one set moves one stage on; the finished pair."""
    sums = acc[16 * which : 16 * which + 16 : 2]
    out = sums[0:2]
    top = 2 * taps - 2
    sums[0:top] = sums[2 : top + 2]
    sums[top : top + 2] = [fp.to_f32(x, flags) for x in _strict(pin, flags)]
    acc[16 * which : 16 * which + 16 : 2] = sums
    return out


def multiply(
    acc: list[int],
    which: int,
    taps: int,
    bank: int,
    x: list[Number],
    weights: Reader,
    flags: Flags,
    adder: Adder = MODEL_A,
) -> None:
    """Every unit in use adds its dot product with one rounding to f32."""
    for u in range(2 * taps):
        k = 16 * which + 2 * u
        operands = zip(_strict(x, flags), _strict(weights(which, u, bank), flags), strict=True)
        products = [fp.multiply(p, q, flags) for p, q in operands]
        acc[k] = fp.to_f32(adder([fp.decode(acc[k], F32), *products], flags), flags)


class Transpose:
    """f16v4istacc / f16v4stacc as the table of 11.4 places them; ``acc`` is A[0..31]."""

    def __init__(self, acc: list[int]) -> None:
        self.acc = list(acc)

    def _leave(self) -> tuple[int, int]:
        a = self.acc
        out = (a[1], a[3])
        for i in range(1, 16, 2):
            a[i] = a[i + 4] if i + 4 < 16 else 0
        return out

    def istacc(self, first: list[int], second: list[int], phase: int) -> tuple[int, int]:
        """Rows as four halves each."""
        out = self._leave()
        for column in range(4):
            self.acc[4 * column + 2 * phase] = first[column] + 65536 * second[column]
        return out

    def stacc(self, phase: int) -> tuple[int, int]:
        if phase:
            return self._leave()
        a = self.acc
        a[1], a[3], a[5], a[7], a[9], a[11] = a[4], a[6], a[8], a[10], a[12], a[14]
        return a[0], a[2]


def shape_of(flag: str) -> tuple[int, int, bool]:
    """(taps, bank, whether it is the U step of an f32 position) a TSLIC_* name says."""
    match = re.fullmatch(r"TSLIC_\w+_1x([34])_W([0-3])(?:_([LU]))?", flag)
    assert match, flag
    return int(match[1]), int(match[2]), match[3] == "U"


def slic(worker: Worker, ins: Instruction, cwei: list[list[int]], adder: Adder) -> Effects | None:
    form = re.fullmatch(r"(f16v4|f8v8)(s|h)i(s|h)o(v4)?slic", ins.mnemonic)
    if form is None:
        return slic_single(worker, ins, cwei)
    kind = form[1][:-2]
    flags, acc, store = Flags(), list(worker.acc), Weights(cwei, worker)
    taps, bank, _ = shape_of(ins.operands[3].text)
    entering = [fp.decode(bits, F32) for bits in partials(worker, ins.operands[2], form[2] == "h", flags)]
    x = inputs(worker, ins, kind, flags)
    out = []
    for s in range(2 if form[4] else 1):
        out += move(acc, s, taps, entering[2 * s : 2 * s + 2], flags)
        if kind == "f8":
            multiply(acc, s, taps, bank, x, store.f8, flags, adder)
        else:
            multiply(acc, s, taps, bank, x, lambda which, u, n: store.f16(which, u, n, flags), flags, adder)
    effects, words = results(worker, out, form[3] == "h", acc, flags)
    put_words(effects, ins.operands[0], words)
    return effects


def slic_single(worker: Worker, ins: Instruction, cwei: list[list[int]]) -> Effects | None:
    """f32: the L step moves and takes input 0, the U step takes input 1; with two sets each step moves one (13.1)."""
    form = re.fullmatch(r"f32siso(v2)?slic", ins.mnemonic)
    if form is None:
        return None
    flags, acc, store = Flags(), list(worker.acc), Weights(cwei, worker)
    taps, bank, upper = shape_of(ins.operands[3].text)
    x = inputs(worker, ins, "f32", flags)
    out = [0, 0]
    if form[1] or not upper:
        pin = [fp.decode(bits, F32) for bits in partials(worker, ins.operands[2], False, flags)]
        out = move(acc, int(upper), taps, pin, flags)
    for s in range(2 if form[1] else 1):
        multiply(acc, s, taps, bank, x, lambda which, u, n: [store.f32(which, u, n, int(upper))], flags)
    effects = Effects(acc=acc, flags=flags)
    put_words(effects, ins.operands[0], out)
    return effects


def _phase(op: Operand) -> int:
    """Which of the two steps an immediate or a TISTACC_* / TSTACC_* name says."""
    return int(op.text[-1]) if op.file == "text" else op.value % 2


def transpose(worker: Worker, ins: Instruction) -> Effects | None:
    if ins.mnemonic not in ("f16v4istacc", "f16v4stacc"):
        return None
    unit = Transpose(worker.acc)
    if ins.mnemonic == "f16v4stacc":
        out = unit.stacc(_phase(ins.operands[1]))
    else:
        rows = [halves(worker.words(op)) for op in ins.operands[1:3]]
        out = unit.istacc(*rows, _phase(ins.operands[3]))
    effects = Effects(acc=unit.acc)
    put_words(effects, ins.operands[0], list(out))
    return effects

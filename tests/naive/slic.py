"""Slim convolution and the streaming transpose (semantics 13, 11.4) on accumulator patterns in architectural order."""

from __future__ import annotations

from collections.abc import Callable

from tests.naive import numbers as fp
from tests.naive.accumulators import MODEL_A
from tests.naive.numbers import F32, NAN, Flags, Number

#: gives the weights of (set, unit, bank)
Weights = Callable[[int, int, int], list[Number]]


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


def multiply(acc: list[int], which: int, taps: int, bank: int, x: list[Number], weights: Weights, flags: Flags) -> None:
    """Every unit in use adds its dot product, exactly, with one rounding."""
    for u in range(2 * taps):
        k = 16 * which + 2 * u
        operands = zip(_strict(x, flags), _strict(weights(which, u, bank), flags), strict=True)
        products = [fp.multiply(p, q, flags) for p, q in operands]
        acc[k] = fp.to_f32(MODEL_A([fp.decode(acc[k], F32), *products], flags), flags)


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

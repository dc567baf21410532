"""Narrowing to f16 as a worker's FP_CTL asks for it (semantics 8.2, 8.4, 8.5)."""

from __future__ import annotations

from tests.naive import numbers as fp
from tests.naive.memory import Effects
from tests.naive.numbers import Flags, Number
from tests.naive.randomness import Generator, f16_stochastic
from tests.naive.state import Worker

ESR, NANOO = 2**19, 2**20


def halves(words: list[int]) -> list[int]:
    return [half for word in words for half in (word % 65536, word // 65536)]


def pack(parts: list[int]) -> list[int]:
    return [parts[i] + 65536 * parts[i + 1] for i in range(0, len(parts), 2)]


class Narrowing:
    """Narrowing by one instruction: under ESR it draws once, and element i uses 16-bit field i of the draw."""

    def __init__(self, worker: Worker) -> None:
        self.control = worker.fp_ctl
        self.generator = Generator(worker.prng)
        self.fields: list[int] | None = None

    def half(self, i: int, x: Number, flags: Flags, mode: int = 0) -> int:
        """f16 pattern of element i; ``mode``: rounding of a conversion (FP_CTL.RND), which ESR overrides."""
        nanoo = bool(self.control & NANOO)
        if not self.control & ESR:
            return fp.to_f16(x, flags, nanoo, mode)
        if self.fields is None:
            self.fields = self.generator.fields()
        return f16_stochastic(x, self.fields[i], flags, nanoo)

    def halves(self, values: list[Number], flags: Flags, mode: int = 0) -> list[int]:
        return [self.half(i, x, flags, mode) for i, x in enumerate(values)]

    def effects(self, flags: Flags) -> Effects:
        """Effects with the flags, and with the generator moved on if a draw was taken."""
        effects = Effects(flags=flags)
        if self.fields is not None:
            effects.state["prng"] = self.generator.words
        return effects

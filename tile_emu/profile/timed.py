"""Which tiles' workers are timed, as a user says it: numbers, an even spread, those that hold the chip up, all."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tile_emu.errors import UsageError

SPREAD = 8  # tiles
_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?\Z")


@dataclass(frozen=True)
class TileChoice:
    """``numbers``: tiles by number. ``spread``: SPREAD tiles evenly over the program's, its first and last among them.

    ``slowest``: the tiles that hold the chip up in its longest compute phases, which is known after the run only.
    ``every``: all tiles.
    """

    numbers: frozenset[int] = frozenset()
    spread: bool = False
    slowest: bool = False
    every: bool = False

    @classmethod
    def parse(cls, text: str) -> TileChoice:
        """``0-15,720,slowest``: numbers, ranges A-B and A-B:STEP, and the words spread, slowest, all, none.

        Raises UsageError.
        """
        numbers: set[int] = set()
        words: set[str] = set()
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            match = _RANGE.match(part)
            if match is not None:
                numbers |= set(_range(part, *(int(number) if number else None for number in match.groups())))
            elif part in ("spread", "slowest", "all", "none"):
                words.add(part)
            else:
                raise UsageError(f"tiles '{text}': '{part}' is no tile, range A-B[:STEP], spread, slowest, all or none")
        if "none" in words and (numbers or len(words) > 1):
            raise UsageError(f"tiles '{text}': none goes with nothing else")
        return cls(frozenset(numbers), "spread" in words, "slowest" in words, "all" in words)

    def fixed(self, tiles: int) -> list[int]:
        """The tiles that are known before the run of a program of so many. Raises UsageError for one beyond them."""
        beyond = [tile for tile in self.numbers if tile >= tiles]
        if beyond:
            raise UsageError(f"tile {min(beyond)} cannot be timed: the program has tiles 0 to {tiles - 1}")
        even = {round(i * (tiles - 1) / (SPREAD - 1)) for i in range(SPREAD)} if self.spread else set()
        return sorted(self.numbers | even)


# What a run without a report keeps, and one with a report.
SAMPLE = TileChoice(spread=True)
FOR_REPORTS = "spread,slowest"


def _range(text: str, first: int | None, last: int | None, step: int | None) -> range:
    assert first is not None
    if last is None:
        return range(first, first + 1)
    if last < first or step == 0:
        raise UsageError(f"tiles '{text}': a range goes from the smaller number to the larger one, by at least 1")
    return range(first, last + 1, step or 1)

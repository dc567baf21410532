"""From execution counts of instruction words to work: what every compute phase did, by tile and by word."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.work import WORK, work_table
from tile_emu.tile import layout
from tile_emu.tile.decode import SUPERVISOR_MODE, WORKER_MODE, decode_page, decode_tables
from tile_emu.tile.runs import take_executions

I64 = NDArray[np.int64]
_FORM = (1 << 16) - 1  # a form's number in an opcode


class _Words(NamedTuple):
    """Of the instruction that begins at each word: its work and its size in words."""

    work: NDArray[np.float64]  # [words + 1, WORK]
    sizes: I64  # [words + 1]


def _words(architecture: str, words: NDArray[np.uint32], mode: int) -> _Words:
    """What the instructions in some words are. None begins behind them: the last place's size is 0."""
    pages = -(-len(words) // layout.PAGE_WORDS)
    padded = np.zeros(pages * layout.PAGE_WORDS + 1, np.uint32)
    padded[: len(words)] = words
    rows = np.zeros(pages * layout.PAGE_WORDS * layout.DECODED_FIELDS, np.int32)
    for page in range(pages):
        decode_page(decode_tables(architecture), mode, padded, page * layout.PAGE_WORDS, rows, page)
    decoded = rows.reshape(-1, layout.DECODED_FIELDS)[: len(words)]
    work, none = work_table(), len(work_table()) - 1
    halves = (decoded[:, field] for field in (layout.FIELD_MAIN, layout.FIELD_AUX))
    done = np.sum([work[np.where(half > 0, half & _FORM, none)] for half in halves], axis=0)
    sizes = decoded[:, layout.FIELD_SIZE].astype(np.int64) // 4
    return _Words(np.concatenate([done, np.zeros((1, len(WORK)))]), np.append(sizes, 0))


class PhaseCounts(NamedTuple):
    """What one compute phase did: work by tile, executions by word (the last one: all words behind those counted)."""

    work: I64  # [tiles, WORK]
    executions: I64  # [words + 1] by workers, all tiles together; 0 for the last
    extra_turns: I64  # [words + 1]
    supervisor: I64  # [words + 1] executions by supervisors


class ExecutionCounter:
    """Reads and clears the execution counts of all tiles; ``words`` are the code that all tiles share."""

    def __init__(self, architecture: str, words: NDArray[np.uint32]) -> None:
        self._places = len(words) + 1
        self._marked: dict[int, I64] = {0: np.zeros(0, np.int64)}  # places by mask of pages
        self._workers = _words(architecture, words, WORKER_MODE)
        self._supervisors = _words(architecture, words, SUPERVISOR_MODE)

    def take(self, counters: I64) -> PhaseCounts:
        """Counts since the last call; ``counters`` i64[tiles, ..] as TileArrays.count_words made them."""
        ran = self._touched(counters, layout.TOUCHED)
        counts = np.empty((len(counters), len(ran)), np.int64)
        take_executions(counters, ran, self._workers.sizes, counts)
        executions, work = self._sums(counts, ran, self._workers.work)
        extra, _ = self._sums(self._part(counters, 1, ran), ran, np.zeros_like(self._workers.work))
        ran = self._touched(counters, layout.TOUCHED_SUPERVISOR)
        supervisor, own = self._sums(self._part(counters, 2, ran), ran, self._supervisors.work)
        return PhaseCounts(np.rint(work + own).astype(np.int64), executions, extra, supervisor)

    def _touched(self, counters: I64, field: int) -> I64:
        """Places that may have been counted since the last call: of pages that ran, and the next. Clears the marks."""
        mask = int(np.bitwise_or.reduce(counters[:, field]))
        counters[:, field] = 0
        if mask not in self._marked:
            ran = np.array([mask >> bit & 1 for bit in range(64)], bool)
            ran |= np.roll(ran, 1)  # where a run ends behind a page
            marked = ran[np.arange(self._places) // layout.PAGE_WORDS & 63]
            marked[-1] = True
            self._marked[mask] = np.flatnonzero(marked)
        return self._marked[mask]

    def _part(self, counters: I64, part: int, places: I64) -> I64:
        """Counts of some places of one part, i64[tiles, places]; clears them."""
        first = layout.EXECUTIONS + part * self._places
        counts = counters[:, first + places]
        ran = counts.any(axis=0)
        counters[:, first + places[ran]] = 0
        return counts

    def _sums(self, counts: I64, places: I64, work: NDArray[np.float64]) -> tuple[I64, NDArray[np.float64]]:
        """Executions by place over all tiles, and work by tile, float64[tiles, WORK]."""
        total = np.zeros(self._places, np.int64)
        if not len(places):
            return total, np.zeros((len(counts), len(WORK)))
        total[places] = counts.sum(axis=0)
        wanted = (total[places] > 0) & work[places].any(axis=1)
        done: NDArray[np.float64] = counts[:, wanted].astype(np.float64) @ work[places[wanted]]
        return total, done

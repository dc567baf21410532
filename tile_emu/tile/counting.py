"""From execution counts of instruction words to work: what every compute phase did, by tile and by word."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.work import WORK, work_table
from tile_emu.tile import layout
from tile_emu.tile.decode import SUPERVISOR_MODE, WORKER_MODE, decode_page, decode_tables

I64 = NDArray[np.int64]
_FORM = (1 << 16) - 1  # a form's number in an opcode


def word_work(architecture: str, words: NDArray[np.uint32], mode: int) -> NDArray[np.float64]:
    """Work of one execution of the instruction that begins at each word, float64[words, WORK]."""
    pages = -(-len(words) // layout.PAGE_WORDS)
    padded = np.zeros(pages * layout.PAGE_WORDS + 1, np.uint32)
    padded[: len(words)] = words
    rows = np.zeros(pages * layout.PAGE_WORDS * layout.DECODED_FIELDS, np.int32)
    for page in range(pages):
        decode_page(decode_tables(architecture), mode, padded, page * layout.PAGE_WORDS, rows, page)
    decoded = rows.reshape(-1, layout.DECODED_FIELDS)[: len(words)]
    work, none = work_table(), len(work_table()) - 1
    halves = (decoded[:, field] for field in (layout.FIELD_MAIN, layout.FIELD_AUX))
    return np.sum([work[np.where(half > 0, half & _FORM, none)] for half in halves], axis=0)


class PhaseCounts(NamedTuple):
    """What one compute phase did: work by tile, executions by word (the last one: all words behind those counted)."""

    work: I64  # [tiles, WORK]
    executions: I64  # [words + 1] by workers, all tiles together
    extra_turns: I64  # [words + 1]
    supervisor: I64  # [words + 1] executions by supervisors


class ExecutionCounter:
    """Reads and clears the execution counts of all tiles; ``words`` are the code that all tiles share."""

    def __init__(self, architecture: str, words: NDArray[np.uint32]) -> None:
        self._places = len(words) + 1
        nothing = np.zeros((1, len(WORK)))
        self._work = np.concatenate([word_work(architecture, words, WORKER_MODE), nothing])
        self._supervisor_work = np.concatenate([word_work(architecture, words, SUPERVISOR_MODE), nothing])

    def take(self, counters: I64) -> PhaseCounts:
        """Counts since the last call; ``counters`` i64[tiles, ..] as TileArrays.count_words made them."""
        by_workers = self._touched(counters, layout.TOUCHED)
        by_supervisor = self._touched(counters, layout.TOUCHED_SUPERVISOR)
        executions, work = self._part(counters, 0, by_workers, self._work)
        extra, _ = self._part(counters, 1, by_workers, np.zeros_like(self._work))
        supervisor, own = self._part(counters, 2, by_supervisor, self._supervisor_work)
        return PhaseCounts(np.rint(work + own).astype(np.int64), executions, extra, supervisor)

    def _touched(self, counters: I64, field: int) -> I64:
        """Places that may have been counted since the last call: those of pages that ran. Clears the marks."""
        mask = int(np.bitwise_or.reduce(counters[:, field]))
        counters[:, field] = 0
        if mask == 0:
            return np.zeros(0, np.int64)
        ran = np.array([mask >> bit & 1 for bit in range(64)], bool)
        places = np.arange(self._places)
        marked = ran[places // layout.PAGE_WORDS & 63]
        marked[-1] = True
        return places[marked]

    def _part(
        self, counters: I64, part: int, places: I64, work: NDArray[np.float64]
    ) -> tuple[I64, NDArray[np.float64]]:
        """Executions by place of one part, and work by tile, float64[tiles, WORK]; clears the part."""
        total = np.zeros(self._places, np.int64)
        first = layout.EXECUTIONS + part * self._places
        counts = counters[:, first + places]
        total[places] = counts.sum(axis=0)
        ran = total[places] > 0
        counters[:, first + places[ran]] = 0
        wanted = ran & work[places].any(axis=1)
        done: NDArray[np.float64] = counts[:, wanted].astype(np.float64) @ work[places[wanted]]
        return total, done

"""From execution counts of instruction words to work: what every compute phase did, by tile and by word."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any, NamedTuple

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
        parts = [counters[:, layout.EXECUTIONS + i * self._places :][:, : self._places] for i in range(3)]
        totals = [part.sum(axis=0) for part in parts]
        work = self._add_up(parts[0], totals[0], self._work)
        work += self._add_up(parts[2], totals[2], self._supervisor_work)
        for part, total in zip(parts, totals):
            part[:, total > 0] = 0
        return PhaseCounts(np.rint(work).astype(np.int64), *totals)

    @staticmethod
    def _add_up(counts: I64, total: I64, work: NDArray[np.float64]) -> NDArray[Any]:
        """float64[tiles, WORK]; only words that ran at all are looked at."""
        ran = np.flatnonzero((total > 0) & work.any(axis=1))
        product: NDArray[np.float64] = counts[:, ran].astype(np.float64) @ work[ran]
        return product

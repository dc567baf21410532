"""From execution counts of instruction words to work: what every compute phase did, by tile and by word."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.work import WORK, work_table
from tile_emu.tile import layout
from tile_emu.tile.decode import SUPERVISOR_MODE, WORKER_MODE, decode_page, decode_tables
from tile_emu.tile.runs import take_counts

I64 = NDArray[np.int64]
_FORM = (1 << 16) - 1  # a form's number in an opcode
_SHARES = 4  # into which many counts are divided
_WORTH_SHARING = 1 << 20  # counts that are worth waking another thread


class _Words(NamedTuple):
    """Of the instruction that begins at each word: its size in words and which kind of work it does."""

    sizes: I64  # [words + 1], 0 behind the last
    kinds: I64  # [words + 1]
    work: I64  # [kinds, WORK]


def _words(architecture: str, words: NDArray[np.uint32], mode: int) -> _Words:
    """What the instructions in some words are. None begins behind them."""
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
    kinds, kind = np.unique(np.concatenate([done, work[none:]]), axis=0, return_inverse=True)
    return _Words(np.append(sizes, 0), kind.reshape(-1).astype(np.int64), kinds)


class PhaseCounts(NamedTuple):
    """What one compute phase did: work by tile, executions by word (the last one: all words behind those counted)."""

    work: I64  # [tiles, WORK]
    executions: I64  # [words + 1] by workers, all tiles together; 0 for the last
    extra_turns: I64  # [words + 1]
    supervisor: I64  # [words + 1] executions by supervisors


class ExecutionCounter:
    """Reads and clears the execution counts of all tiles; ``words`` are the code that all tiles share."""

    def __init__(self, architecture: str, words: NDArray[np.uint32]) -> None:
        self._workers = _words(architecture, words, WORKER_MODE)
        self._supervisors = _words(architecture, words, SUPERVISOR_MODE)

    def take(self, counters: I64, run: Callable[..., Any] = map) -> PhaseCounts:
        """Counts since the last call; ``counters`` i64[tiles, ..] as TileArrays.count_words made them.

        ``run`` may be a pool's ``map``, to read on several threads.
        """
        work = np.zeros((len(counters), len(WORK)), np.int64)

        def totals(first: int, last: int) -> I64:
            found = np.zeros((layout.EXECUTION_PARTS, len(self._workers.sizes)), np.int64)
            by_kind = np.zeros(max(len(self._workers.work), len(self._supervisors.work)), np.int64)
            take_counts(counters, first, last, self._workers, self._supervisors[1:], found, by_kind, work)
            return found

        shares = _SHARES if counters.size >= _WORTH_SHARING else 1
        cuts = [len(counters) * share // shares for share in range(shares + 1)]
        found = sum(run(totals, cuts[:-1], cuts[1:]))
        return PhaseCounts(work, *found)

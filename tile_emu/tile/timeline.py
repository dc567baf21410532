"""When the workers of chosen tiles ran: a bounded record, read from the tiles' logs after every compute phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tile_emu.exchange.log import COUNT, EVENT, KIND, VALUE, WORKER
from tile_emu.profile.recording import Recording
from tile_emu.profile.timed import TileChoice
from tile_emu.tile import layout
from tile_emu.tile.state import TileArrays

I64 = NDArray[np.int64]

# Runs of workers kept of a tile and compute phase; of longer phases the first ones are kept.
MOST_RUNS = 4096
# Runs kept of a whole program: what a page and a trace can show. Some 1 MB in a recording, 10 MB in a trace.
MOST_KEPT = 200_000
# Runs held while the program runs and it is not yet known which tiles will be wanted: 40 MB.
ROOM = 1_000_000
_SLOWEST = 3  # tiles that hold the chip up
_NONE: I64 = np.zeros((0, 5), np.int64)
_TILE, _TURNS = 1, 4  # columns of a run


class Timeline:
    """Collects runs of workers. Raises UsageError for tiles that do not take part.

    While a program has few runs, those of all tiles are held if any of them may be wanted; from ``room`` on, those of
    fewer tiles (_on_overflow).
    """

    def __init__(self, arrays: TileArrays, choice: TileChoice, most: int = MOST_KEPT, room: int = ROOM) -> None:
        self._arrays, self._choice = arrays, choice
        self._most, self._room = most, room
        self._fixed = np.array(choice.fixed(arrays.tiles), np.int64)
        undecided = choice.slowest or choice.every
        self._watched = np.arange(arrays.tiles) if undecided else self._fixed
        self._found: list[I64] = []
        if len(self._watched):
            arrays.reserve_log(MOST_RUNS)
        arrays.sup[self._watched, layout.LAUNCHES_LOGGED] = 1

    def take(self, phase: int, start: int) -> None:
        """Read the logs after compute phase ``phase`` of a program that began at cycle ``start``."""
        sup = self._arrays.sup
        counts = sup[self._watched, layout.LOG_COUNT].astype(np.int64)
        first = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(len(counts)), counts)
        tile = self._watched[owner]
        lines = self._arrays.log[tile, np.arange(len(owner)) - first[owner]]
        of_worker = lines[:, KIND] == WORKER
        if not of_worker.any():
            return
        rank = np.cumsum(of_worker) - of_worker  # of a run among all of the phase
        kept = of_worker & (rank - rank[first[owner]] < MOST_RUNS)
        runs = np.empty((int(kept.sum()), 5), np.int64)
        runs[:, 0], runs[:, _TILE], runs[:, 2] = phase, tile[kept], lines[kept, COUNT]
        runs[:, 3] = lines[kept, EVENT] + sup[tile[kept], layout.RELEASE] - start
        runs[:, _TURNS] = lines[kept, VALUE]
        self._found.append(runs)
        if len(self._watched) > len(self._fixed) and sum(map(len, self._found)) > self._room:
            self._on_overflow()

    def _on_overflow(self) -> None:
        """Follow fewer tiles: with ``every`` half of them, else the fixed ones and those with the most turns so far."""
        runs = np.concatenate(self._found)
        busy = self._busiest(runs)
        others = self._watched[::2] if self._choice.every and len(self._watched) > 2 else self._watched[:0]
        self._watched = np.unique(np.concatenate([self._fixed, busy, others]))
        self._arrays.sup[:, layout.LAUNCHES_LOGGED] = 0
        self._arrays.sup[self._watched, layout.LAUNCHES_LOGGED] = 1
        self._found = [runs[np.isin(runs[:, _TILE], self._watched)]]

    def _busiest(self, runs: I64) -> I64:
        turns = np.bincount(runs[:, _TILE], runs[:, _TURNS], self._arrays.tiles)
        return np.argsort(-turns, kind="stable")[:_SLOWEST]

    def runs(self, recording: Recording) -> I64:
        """Runs of the chosen tiles, i64[n, 5]: compute phase, tile, worker, cycle of the first turn, turns.

        ``recording`` of the whole program says which tiles held it up. More than ``most`` runs: of ``every`` tile as
        many as there is room for, evenly spread; of the others those that come first, the slowest before the others.
        """
        runs = np.concatenate([_NONE, *self._found])
        self._found = []
        slow: I64 = self._fixed[:0]
        if self._choice.slowest:
            slow = np.array(recording.slow_tiles(_SLOWEST), np.int64)
            slow = slow[np.isin(slow, self._watched)]
            slow = slow if len(slow) or not len(runs) else self._busiest(runs)[:1]
        counts = np.bincount(runs[:, _TILE], minlength=self._arrays.tiles)
        chosen = self._fitting(list(dict.fromkeys([*slow.tolist(), *self._fixed.tolist()])), counts)
        return runs[np.isin(runs[:, _TILE], chosen)]

    def _fitting(self, first: list[int], counts: I64) -> list[int]:
        """Tiles with at most ``most`` runs together (or one tile): ``first`` in this order, then others if wanted."""
        ends = np.cumsum(counts[first])
        chosen = first[: max(1, int(np.searchsorted(ends, self._most, side="right")))]
        if self._choice.every:
            left = self._most - int(counts[chosen].sum())
            others = np.setdiff1d(self._watched, first)
            for step in range(1, len(others) + 1):
                if counts[others[::step]].sum() <= left:
                    return [*chosen, *others[::step].tolist()]
        return chosen

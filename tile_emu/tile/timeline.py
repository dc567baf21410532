"""When the workers of a few chosen tiles ran: a bounded sample, read from the tiles' logs after every compute phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import UsageError
from tile_emu.exchange.log import COUNT, EVENT, KIND, VALUE, WORKER
from tile_emu.tile import layout
from tile_emu.tile.state import TileArrays

I64 = NDArray[np.int64]

# Runs of workers kept of a tile and compute phase; of longer phases the first ones are kept.
MOST_RUNS = 4096


SAMPLE = 8  # tiles


def sample(tiles: int) -> list[int]:
    """SAMPLE of so many tiles, evenly spread, the first and the last among them."""
    return sorted({round(i * (tiles - 1) / (SAMPLE - 1)) for i in range(SAMPLE)})


class Timeline:
    """Collects runs of workers. Raises UsageError for tiles that do not take part."""

    def __init__(self, arrays: TileArrays, tiles: Sequence[int]) -> None:
        self._arrays = arrays
        self._tiles = sorted(set(tiles))
        if self._tiles and not 0 <= self._tiles[0] <= self._tiles[-1] < arrays.tiles:
            raise UsageError(f"timeline of tiles {self._tiles[0]}..{self._tiles[-1]}: there are {arrays.tiles} tiles")
        self._found: list[I64] = []
        if self._tiles:
            arrays.reserve_log(MOST_RUNS)
        arrays.sup[self._tiles, layout.LAUNCHES_LOGGED] = 1

    def take(self, phase: int, start: int) -> None:
        """Read the logs after compute phase ``phase`` of a program that began at cycle ``start``."""
        arrays = self._arrays
        for tile in self._tiles:
            sup = arrays.sup[tile]
            lines = arrays.log[tile, : sup[layout.LOG_COUNT]].astype(np.int64)
            lines = lines[lines[:, KIND] == WORKER][:MOST_RUNS]
            runs = np.empty((len(lines), 5), np.int64)
            runs[:, 0], runs[:, 1], runs[:, 2] = phase, tile, lines[:, COUNT]
            runs[:, 3], runs[:, 4] = lines[:, EVENT] + sup[layout.RELEASE] - start, lines[:, VALUE]
            self._found.append(runs)

    def runs(self) -> I64:
        """Everything collected, i64[n, 5]: compute phase, tile, worker, cycle of the first turn, turns."""
        found = np.concatenate([np.zeros((0, 5), np.int64), *self._found])
        self._found = []
        return found

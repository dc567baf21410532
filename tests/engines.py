"""Every run of a tile on both engines: what the interpreter and translated code leave must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import TileFault
from tile_emu.tile import Tile, layout
from tile_emu.tile.state import TileArrays
from tile_emu.tile.translate.calls import UNIT_ADDRESS

_STATE = (
    "memory", "mrf", "arf", "acc", "weight_store", "weights16", "weights32", "csrs", "scsr", "progress", "sup", "log",
    "counters",
)  # fmt: skip
COUNTED_WORDS = 4096  # executions are compared word by word


def snapshot(arrays: TileArrays) -> dict[str, NDArray[Any]]:
    """A copy of everything a run may change."""
    return {name: getattr(arrays, name).copy() for name in _STATE}


def _differences(first: dict[str, NDArray[Any]], second: dict[str, NDArray[Any]]) -> list[str]:
    """Where two snapshots differ, bit for bit."""
    found = []
    for name, array in first.items():
        unlike = np.flatnonzero(array.reshape(-1).view(np.uint8) != second[name].reshape(-1).view(np.uint8))
        if len(unlike):
            places = sorted({np.unravel_index(i // array.itemsize, array.shape) for i in unlike.tolist()})
            values = [f"{tuple(map(int, p))}: {array[p]} and {second[name][p]}" for p in places[:8]]
            found.append(f"{name} at {len(places)} places, {'; '.join(values)}")
    return found


@contextmanager
def both_engines() -> Iterator[list[int]]:
    """Tiles made inside run everything twice, from the same state; yields turns done by translated code, by run."""
    translated: list[int] = []
    create, finish = Tile.__init__, Tile._finish

    def new(self: Tile, chip: Any = "ipu21", check: bool = False, engine: str | None = None) -> None:
        create(self, chip, check, "translator")
        self.arrays.count_words(COUNTED_WORDS)

    def twice(self: Tile, before: NDArray[np.int64], wanted: Any) -> NDArray[np.int64]:
        arrays = self.arrays
        start = snapshot(arrays)
        results: list[Any] = []
        ends = []
        for engine in (0, 1):
            for name, array in start.items():
                getattr(arrays, name)[:] = array
            arrays.forget_code()
            arrays.units.rows[0, UNIT_ADDRESS] = engine
            try:
                results.append(finish(self, before, wanted))
            except TileFault as fault:
                results.append(fault)
            # Which pages are marked as touched may differ: a unit marks all of its pages.
            arrays.counters[:, layout.TOUCHED] = 0
            ends.append(snapshot(arrays))
        assert _differences(*ends) == []
        assert str(results[0]) == str(results[1])
        translated.append(int(arrays.units.turns))
        if isinstance(results[1], TileFault):
            raise results[1]
        done: NDArray[np.int64] = results[1]
        return done

    with mock.patch.object(Tile, "__init__", new), mock.patch.object(Tile, "_finish", twice):
        yield translated

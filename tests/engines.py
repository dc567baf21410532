"""Every run of a tile on both engines: what the interpreter and translated code leave must be the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import TileFault
from tile_emu.machine import Machine
from tile_emu.tile import Tile, layout
from tile_emu.tile.state import TileArrays
from tile_emu.tile.translate.calls import UNIT_ADDRESS
from tile_emu.tile.translate.units import Units

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


class EnginesDiffer(Exception):
    """The interpreter and translated code left different states or results."""


class Translated(list[int]):
    """Turns done by translated code, by run; ``files``: names of the sources that were assembled for it."""

    def __init__(self) -> None:
        super().__init__()
        self.files: set[str] = set()


def _both(arrays: TileArrays, run: Callable[[], Any], same: Callable[[Any, Any], None]) -> Any:
    """``run`` by the interpreter and, from the same state, with translated code; its result or fault."""
    start = snapshot(arrays)
    results: list[Any] = []
    ends = []
    for engine in (0, 1):
        for name, array in start.items():
            setattr(arrays, name, array.copy())  # not in place: a run may have made counters and logs anew
        arrays.forget_code()
        arrays.units.rows[0, UNIT_ADDRESS] = engine
        try:
            results.append(run())
        except TileFault as fault:
            results.append(fault)
        # Which pages are marked as touched may differ: a unit marks all of its pages.
        arrays.counters[:, layout.TOUCHED] = 0
        ends.append(snapshot(arrays))
    differences = _differences(*ends)
    if str(results[0]) != str(results[1]):
        differences.append(f"{results[0]}\nand\n{results[1]}")
    if differences:
        raise EnginesDiffer("\n".join(differences))
    same(*results)
    if isinstance(results[1], TileFault):
        raise results[1]
    return results[1]


@contextmanager
def both_engines() -> Iterator[Translated]:
    """Tiles made inside run everything twice, from the same state."""
    translated = Translated()
    create, finish, load = Tile.__init__, Tile._finish, Tile.load

    def new(self: Tile, chip: Any = "ipu21", check: bool = False, engine: str | None = None) -> None:
        create(self, chip, check, "translator")
        self.arrays.count_words(COUNTED_WORDS)

    def twice(self: Tile, before: NDArray[np.int64], wanted: Any) -> NDArray[np.int64]:
        try:
            done: NDArray[np.int64] = _both(self.arrays, lambda: finish(self, before, wanted), lambda a, b: None)
        finally:
            translated.append(self.arrays.units.turns)
        return done

    def loaded(self: Tile, code: Any) -> None:
        translated.files |= {Path(name).name for name in code.line_unit}
        load(self, code)

    with (
        mock.patch.object(Tile, "__init__", new),
        mock.patch.object(Tile, "_finish", twice),
        mock.patch.object(Tile, "load", loaded),
    ):
        yield translated


def _same_recordings(first: Any, second: Any) -> None:
    for field in dataclasses.fields(first):
        np.testing.assert_equal(getattr(first, field.name), getattr(second, field.name), field.name)


@contextmanager
def both_engines_of_machines() -> Iterator[Translated]:
    """Machines made inside run everything twice, from the same state; recordings have to be equal too."""
    translated = Translated()
    run = Machine.run

    def twice(self: Machine, progress: Any = None) -> Any:
        self.arrays.units = Units("translator", self.arrays.units.chip)

        def once() -> Any:
            self._cost = np.zeros(self.tiles, np.int64)
            return run(self, progress)

        done = _both(self.arrays, once, _same_recordings)
        translated.append(self.arrays.units.turns)
        return done

    with mock.patch.object(Machine, "run", twice):
        yield translated

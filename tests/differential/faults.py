"""Faults at every instruction of three codelets, on both engines: the same fault, the same state before and after it.

``python -m tests.differential.faults`` puts a trap in the place of each instruction that workers execute, in turn.
With ``--flips N`` it also runs N variants of each with random bits of the word inverted, which may fault, end at once,
go astray or compute something else. With ``NUMBA_DISABLE_JIT=1`` nothing has to be compiled for that.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from tests import test_codelets_elementwise as elementwise
from tests import test_codelets_matmul as matmuls
from tests import test_graph_codelets as graph
from tests.engines import COUNTED_WORDS, both_engines
from tile_emu.errors import TileFault
from tile_emu.isa.table import table
from tile_emu.tile import Tile, layout
from tile_emu.tile.counting import ExecutionCounter

LIMIT = 4_000  # turns: a variant may loop for ever
VERTICES: dict[str, Callable[[], Any]] = {
    "matmul_f16": lambda: matmuls.Vertex("bow", "f16", 31, 2, 1).run(True),
    "bias_gelu_f16": lambda: elementwise.run("gelu", np.ones((1, 7, 8), np.float16), np.ones((1, 8), np.float16), 2, 4),
    "gather2": lambda: graph.test_gather("bow", 2, False, 5),
}
TRAP = table().by_mnemonic["trap"][0].encode([0], False)


class Variant:
    """A vertex with one word of its code changed when it is loaded, and what became of it."""

    def __init__(self, vertex: Callable[[], Any], offset: int = -1, flipped: int = 0) -> None:
        """``offset``: of the word in bytes, -1 to change none; ``flipped``: bits to invert, 0 for a trap."""
        self.offset, self.flipped = offset, flipped
        self.tile: Tile | None = None
        self.fault: TileFault | None = None
        load = Tile.load

        def loaded(tile: Tile, code: Any) -> None:
            self._load(load, tile, code)

        with both_engines() as translated, mock.patch.object(Tile, "load", loaded):
            try:
                vertex()
            except TileFault as fault:
                self.fault = fault
            except AssertionError:
                if self.flipped == 0:  # else other code has other results
                    raise
        self.translated = sum(translated)

    def _load(self, load: Callable[..., None], tile: Tile, code: Any) -> None:
        load(tile, code)
        self.tile = tile
        tile.arrays.limit = LIMIT
        if self.offset >= 0:
            address = tile.chip.memory.base + self.offset
            word = int(tile.read(address, np.uint32, 1)[0])
            tile.write(address, np.array([word ^ self.flipped if self.flipped else TRAP], np.uint32))

    def executed(self) -> list[int]:
        """Offsets of the words that workers executed."""
        assert self.tile is not None
        arrays, memory = self.tile.arrays, self.tile.chip.memory
        code = self.tile.read(memory.base, np.uint32, COUNTED_WORDS)
        arrays.counters[:, layout.TOUCHED] = -1  # everything may have run
        counted = ExecutionCounter(self.tile.chip.architecture, code).take(arrays.counters)
        return [4 * int(word) for word in np.flatnonzero(counted.executions[:-1])]


def trapped(name: str, offset: int) -> int:
    """Run with a trap at an offset; turns translated before it."""
    variant = Variant(VERTICES[name], offset)
    fault = variant.fault
    assert fault is not None and variant.tile is not None, (name, offset)
    # A trap must not stand in a repeat body.
    assert fault.kind in ("PBRK0", "INVALID_INSTR"), (name, offset, fault)
    assert fault.pc == variant.tile.chip.memory.base + offset, (name, offset, fault)
    return variant.translated


def main() -> int:
    """Print a line for each codelet; a difference raises."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.faults", description=__doc__)
    parser.add_argument("--flips", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    for name, vertex in VERTICES.items():
        places = Variant(vertex).executed()
        turns = sum(trapped(name, offset) for offset in places)
        faulted = 0
        for offset in places:
            for _ in range(arguments.flips):
                bits = sum(1 << bit for bit in rng.sample(range(32), rng.choice([1, 1, 2, 8])))
                faulted += Variant(vertex, offset, bits).fault is not None
        flips = f"; {arguments.flips * len(places)} with bits inverted, {faulted} of them faulted"
        line = f"{name}: {len(places)} instructions trapped, {turns} turns translated before"
        print(line + flips * bool(arguments.flips), flush=True)
        assert turns > len(places)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Time of a superstep with nothing to do: all tiles of a Bow, a codelet that returns at once, one word exchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tile_emu.chips import load_chip
from tile_emu.graph import Codelet, Graph, Pointer
from tile_emu.machine import Machine

SUPERSTEPS = 20
EMPTY = """
.supervisor
.globl nothing
nothing:
    br $m10
"""


def test_empty_superstep(benchmark: Any, against: Callable[..., Any], tmp_path: Path) -> None:
    source = tmp_path / "nothing.S"
    source.write_text(EMPTY)
    codelet = Codelet("nothing", source, "nothing", ("word",), "returns at once")
    chip = load_chip("bow")
    tiles = np.arange(chip.tiles)
    graph = Graph(chip, chip.tiles)
    word = graph.variable("word", tiles, np.full(chip.tiles, 8))
    for step in range(SUPERSTEPS):
        graph.execute(f"nothing {step}").add(codelet, tiles, word=Pointer(word, tiles))
        graph.exchange(f"word {step}").copy(Pointer(word, 0), Pointer(word, 1), 4)
    image = graph.lower()
    machine = Machine(chip, threads=1)

    against("integer", machine.run, SUPERSTEPS, "supersteps", setup=lambda: machine.load(image))
    if benchmark.stats is not None:
        benchmark.extra_info["ms a superstep"] = round(1e3 / benchmark.extra_info["supersteps/s"], 3)

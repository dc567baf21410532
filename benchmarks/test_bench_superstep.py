"""Time of a superstep with nothing to do: all tiles of a Bow, a codelet that returns at once, one word exchanged."""

from __future__ import annotations

import time
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


def test_empty_superstep(benchmark: Any, tmp_path: Path) -> None:
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
    spent: list[float] = []

    def once() -> None:
        machine = Machine(chip, threads=1)
        machine.load(image)
        machine.run()
        for _ in range(3):
            machine.load(image)
            began = time.process_time()
            machine.run()
            spent.append(time.process_time() - began)

    benchmark.pedantic(once, rounds=1, warmup_rounds=1)
    benchmark.extra_info["ms a superstep"] = round(min(spent) / SUPERSTEPS * 1e3, 3)

"""The hot loops on one core, interpreted and translated, counters on: instructions/s, MAC/s or bytes/s, each as a share
of what the same core does in the same run: a fixed integer loop, NumPy's SGEMM, a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.programs import PROGRAMS, prepared, run
from tile_emu.tile import Run


@pytest.mark.parametrize("engine", ["interpreter", "translator"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_loop(benchmark: Any, against: Callable[..., Any], name: str, engine: str) -> None:
    program = PROGRAMS[name]
    if program.supervisor and engine == "translator":
        pytest.skip("supervisor code is interpreted whatever the engine")
    tile = prepared(program, engine)

    def amount(run: Run) -> float:
        if program.unit == "instructions":
            return run.instructions
        return program.amount * (run.instructions if program.supervisor else run.turns[0])

    done = against(program.reference, lambda: run(tile, program), amount, program.unit, rounds=7)

    assert program.supervisor or (tile.arrays.units.turns > 0) == (engine == "translator")
    benchmark.extra_info["instructions"] = done.instructions

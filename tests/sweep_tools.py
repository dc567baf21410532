"""Stand-ins for the emulation of a point, for tests of what runs them; here because other processes import them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from kernels.sweep.grid import Point

# Folder in which stand-ins note what they did.
NOTES = "TILE_EMU_TEST_NOTES"


def figures(point: Point) -> dict[str, Any]:
    """Figures that follow from the point alone."""
    cycles = point["m"] * 10 + point["n"]
    phases = {"compute": cycles - 3, "exchange": 2, "sync": 1}
    return {"cycles": cycles, "tflops": cycles / 4, "phases": phases, "check": {"ok": True}}


def note(point: Point) -> None:
    """Leave one file for every execution of a point."""
    folder = Path(os.environ[NOTES])
    (folder / f"{point['m']}-{point['n']}-{os.getpid()}-{time.monotonic_ns()}").touch()


def counting(point: Point) -> dict[str, Any]:
    """Figures, and a note."""
    note(point)
    return figures(point)


def estimated(point: Point) -> dict[str, Any]:
    """Figures with an exchange of 4 cycles, estimates of 14 and 2 for half and twice the width, and a note."""
    made = counting(point)
    cycles = made["cycles"]
    widths = {"0.5": {"exchange": 14, "cycles": cycles + 10}, "2": {"exchange": 2, "cycles": cycles - 2}}
    use = {"issue": 0.5, "mac": 0.25}
    more = {"seconds_on_chip": cycles / 1e9, "peak_share": 0.25, "utilisation": use}
    return {**made, **more, "estimate": {"exchange_width": widths}}


def slow(point: Point) -> dict[str, Any]:
    """Takes half a second, so that there is somebody to kill."""
    note(point)
    time.sleep(0.5)
    return figures(point)


def failing(point: Point) -> dict[str, Any]:
    """Does not fit for m = 2."""
    note(point)
    if point["m"] == 2:
        return {"error": {"kind": "OutOfTileMemory", "message": "does not fit"}}
    return figures(point)


def dying_once(point: Point) -> dict[str, Any]:
    """The first process that gets m = 3 dies."""
    first = not list(Path(os.environ[NOTES]).glob("3-*"))
    note(point)
    if point["m"] == 3 and first:
        os._exit(1)
    return figures(point)


def dying(point: Point) -> dict[str, Any]:
    """Whoever gets m = 3 dies."""
    note(point)
    if point["m"] == 3:
        os._exit(1)
    return figures(point)

"""Running a number of programs from one seed."""

from __future__ import annotations

import functools
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from tests.differential.batch import Batch
from tests.differential.programs import Composer
from tests.differential.report import printed
from tile_emu.tile.translate import units

PER_IMAGE = 32
MOST_REPORTS = 5


@dataclass
class Outcome:
    """What some programs came to. ``executed``: names of the forms completed by both machines."""

    programs: int = 0
    faults: int = 0
    translated: int = 0  # turns done by translated code
    executed: set[str] = field(default_factory=set)
    reports: list[str] = field(default_factory=list)


def run_share(seed: int, count: int, **options: Any) -> Outcome:
    """Compose and run ``count`` programs, the same for the same seed and count; ``options`` of the emulated tile."""
    outcome = Outcome()
    composer = Composer(seed)
    while outcome.programs < count:
        size = min(PER_IMAGE, count - outcome.programs)
        programs = [composer.program(outcome.programs + i) for i in range(size)]
        batch = Batch(programs, seed + outcome.programs, **options)
        for mismatch in batch.run():
            note = f"# share {seed}, image of program {outcome.programs}\n"
            outcome.reports.append(note + printed(mismatch, len(outcome.reports) < MOST_REPORTS, **options))
        outcome.programs += size
        outcome.faults += batch.faults
        outcome.translated += batch.translated
        outcome.executed |= batch.executed
    return outcome


def run_job(job: tuple[int, int]) -> Outcome:
    """``run_share`` for a pool of processes, which cannot find functions of a ``__main__``.

    Sources of translated programs go to a folder of the share's own: they are used once, and many.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(units, "_path", lambda key: Path(folder) / f"unit_{key}.py"),
    ):
        return run_share(*job)


@functools.cache
def small_run() -> Outcome:
    """The run of the test suite: enough programs for every form to be completed; TILE_EMU_PROGRAMS asks for more."""
    return run_share(1, int(os.environ.get("TILE_EMU_PROGRAMS", "480")))

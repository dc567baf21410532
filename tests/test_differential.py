"""Emulator against oracle on random legal programs over all forms; ``make fuzz`` runs 100,000 of them."""

from __future__ import annotations

import os

from tests.differential.run import run_share

COUNT = int(os.environ.get("TILE_EMU_FUZZ_PROGRAMS", "480"))


def test_random_programs_agree() -> None:
    outcome = run_share(1, COUNT)
    assert not outcome.reports, "\n\n".join(outcome.reports)
    assert outcome.programs == COUNT
    assert outcome.faults < COUNT / 2  # most run to their end, some fault
    assert outcome.faults > COUNT / 50

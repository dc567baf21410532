"""Emulator against oracle on random legal programs over all forms; ``make fuzz`` runs 100,000 of them."""

from __future__ import annotations

import pytest

from tests.differential.run import run_share, small_run
from tests.naive.integer import BINARY


def test_random_programs_agree() -> None:
    outcome = small_run()
    assert not outcome.reports, "\n\n".join(outcome.reports)
    assert outcome.programs >= 480
    # Most run to their end, some to a fault.
    assert outcome.programs / 50 < outcome.faults < outcome.programs / 2


def test_the_same_seed_gives_the_same_programs() -> None:
    first, second = run_share(7, 40), run_share(7, 40)
    assert (first.faults, first.executed) == (second.faults, second.executed)


def test_a_disagreement_is_reported_and_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong oracle is found, and the program in the report is little more than the instruction."""
    monkeypatch.setitem(BINARY, "xnor", lambda a, b: a ^ b ^ 1)
    reports = run_share(2, 128).reports
    assert reports
    for report in reports:
        note, header, _, *program = report.splitlines()
        assert note.startswith("# share 2") and header.startswith("# program")
        assert any("xnor" in line for line in program)
        assert len(program) <= 6, report

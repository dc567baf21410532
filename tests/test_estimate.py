"""Estimates for a fabric of another width, reckoned by hand."""

from __future__ import annotations

import pytest

from tests.recordings import small_recording
from tests.reports import small_document
from tile_emu.profile.estimate import at_width, exchange_cycles_at, exchange_widths

pytestmark = pytest.mark.nojit


def test_the_longest_row_with_wider_items() -> None:
    """Rows of 100, 0, 55 and 0 cycles with 50, 50, 70 and 50 busy ones; the second exchange moves nothing."""
    recording = small_recording()
    assert exchange_cycles_at(recording, 1) == 100 == recording.exchange_cycles.sum()
    assert exchange_cycles_at(recording, 2) == 75  # 50 + 25
    assert exchange_cycles_at(recording, 8) == 57  # 50 + 7, rounded up
    assert exchange_cycles_at(recording, 0.5) == 150  # 50 + 100, more than -15 + 140
    assert exchange_widths(recording)["2"] == {"exchange": 75, "cycles": 475}


def test_what_follows_from_the_cycles() -> None:
    document = small_document(estimate={"exchange_width": exchange_widths(small_recording())})
    found = at_width(document, 2)
    assert (found["cycles"], found["phases"]["exchange"], found["phases"]["compute"]) == (475, 75, 310)
    assert found["cycles"] == sum(found["phases"].values()) + 0  # sync and compute stay
    assert found["tflops"] == pytest.approx(document["tflops"] * 500 / 475)
    assert found["utilisation"]["mac"] == pytest.approx(0.25 * 500 / 475)
    assert found["utilisation"]["balance"] == document["utilisation"]["balance"]
    assert found["estimated"] is True and "supersteps" not in found
    assert at_width(document, 1) == document
    assert at_width({"error": {}}, 4) == {"error": {}}

"""Estimates from a recording of what cannot be emulated: a fabric of another width.

How many bits an item has is part of the send and receive instructions, so no program for another width can be run. What
can be said: a tile's row takes its time R from release to return; in I of these cycles an item left or was stored. With
items w times as wide there are I / w of them, the rest (paths, gaps, set-up) stays: R - I + ceil(I / w). The exchange
lasts as long as the longest such row; compute and sync stay, and so does the plan. Inferred; a first-order estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tile_emu.profile.recording import Recording

# Widths that are estimated, in widths of the real fabric.
WIDTHS = (0.5, 2, 4, 8)


def exchange_cycles_at(recording: Recording, width: float) -> int:
    """Estimated cycles of all exchanges together, with items ``width`` times as wide."""
    items = recording.exchange_busy
    rows = recording.row_end - recording.release[:, None]
    scaled = rows - items + np.ceil(items / width).astype(np.int64)
    return int(np.maximum(scaled, 0).max(axis=1, initial=0).sum())


def exchange_widths(recording: Recording) -> dict[str, dict[str, int]]:
    """Cycles of the exchanges and of the program for each of WIDTHS, by the width as text."""
    now = int(recording.exchange_cycles.sum())
    found = {f"{width:g}": exchange_cycles_at(recording, width) for width in WIDTHS}
    return {width: {"exchange": cycles, "cycles": recording.cycles - now + cycles} for width, cycles in found.items()}


def at_width(document: Mapping[str, Any], width: float) -> dict[str, Any]:
    """A run's document with the figures estimated for another width, marked by ``estimated``; 1: as it is.

    What follows from the cycles follows: time, rates, issue utilisation, MAC efficiency. Supersteps are left out.
    """
    if width == 1 or "error" in document:
        return dict(document)
    found = document["estimate"]["exchange_width"][f"{width:g}"]
    ratio = document["cycles"] / found["cycles"] if found["cycles"] else 1.0
    use = document["utilisation"]
    kept = {name: value for name, value in document.items() if name not in ("supersteps", "estimate")}
    return {
        **kept,
        "estimated": True,
        "cycles": found["cycles"],
        "seconds_on_chip": document["seconds_on_chip"] / ratio,
        "tflops": document["tflops"] * ratio,
        "peak_share": document["peak_share"] * ratio,
        "phases": {**document["phases"], "exchange": found["exchange"]},
        "utilisation": {**use, "issue": use["issue"] * ratio, "mac": use["mac"] * ratio},
    }

"""Chips with some figures changed: ``bow[clock_hz=2e9,exchange.row_delay=4]``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tile_emu.errors import UsageError

if TYPE_CHECKING:
    from tile_emu.chips.chip import Chip

_NAME = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]\Z")
_FIGURE = re.compile(r"\s*([\w.]+)\s*=\s*([^,\s]+)\s*\Z")

# Figures that the program follows when they change, each with its least value. The others are the machine's structure.
ADJUSTABLE: Mapping[str, float] = {
    "clock_hz": 1.0,
    "tiles": 1,
    "macs_per_cycle.f16": 1,
    "macs_per_cycle.f16f32": 1,
    "macs_per_cycle.f32": 1,
    "timing.sync_release": 1,
    "timing.supervisor.result_latency": 1,
    "timing.supervisor.taken_branch": 1,
    "timing.supervisor.put": 1,
    "timing.supervisor.launch": 1,
    "timing.supervisor.local_sync": 1,
    "exchange.store_offset": 2,
    "exchange.row_delay": 0,
    "exchange.drain": 0,
}


# The lanes of a pair of tiles take turns by the parity of these delays (exchange/pairing.py).
_EVEN = ("exchange.store_offset", "exchange.row_delay")


def split_name(name: str) -> tuple[str, dict[str, float]]:
    """The chip's own name and the figures to change. Raises UsageError for what cannot be read or changed."""
    match = _NAME.match(name)
    if match is None:
        return name, {}
    figures: dict[str, float] = {}
    for part in filter(None, match[2].split(",")):
        pair = _FIGURE.match(part)
        if pair is None:
            raise UsageError(f"chip '{name}': write the changed figures as [clock_hz=2e9,exchange.row_delay=4]")
        figures[pair[1]] = _value(name, pair[1], pair[2])
    return match[1], figures


def _value(name: str, figure: str, text: str) -> float:
    if figure == "exchange.width":
        raise UsageError(
            f"chip '{name}': the width of the fabric is part of its instructions and cannot be changed; `tile-emu "
            "sweep --axis exchange_width=0.5,1,2` estimates other widths"
        )
    if figure not in ADJUSTABLE:
        raise UsageError(f"chip '{name}': '{figure}' cannot be changed, these can: {', '.join(ADJUSTABLE)}")
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"chip '{name}': {figure} = '{text}' is not a number") from None
    least = ADJUSTABLE[figure]
    odd = figure in _EVEN and value % 2 != 0
    if not least <= value < 1e15 or (isinstance(least, int) and value != int(value)) or odd:
        kind = "an even number" if figure in _EVEN else "a whole number" if isinstance(least, int) else "a number"
        raise UsageError(f"chip '{name}': {figure} must be {kind} of at least {least:g}")
    return int(value) if isinstance(least, int) else value


def with_figures(chip: Chip, figures: Mapping[str, float]) -> Chip:
    """The chip with figures changed, named so that the same chip can be loaded again. Raises UsageError."""
    if figures.get("tiles", chip.tiles) > chip.tiles:
        raise UsageError(f"{chip.name} has {chip.tiles} tiles, a what-if may only leave some out")
    changed: Any = chip
    for path, value in figures.items():
        changed = _replaced(changed, path.split("."), value)
    text = ",".join(f"{path}={value:.15g}" for path, value in figures.items())
    named: Chip = dataclasses.replace(changed, name=f"{chip.name}[{text}]", title=f"{chip.title} with {text}")
    return named


def _replaced(value: Any, path: list[str], figure: float) -> Any:
    first, *rest = path
    if isinstance(value, Mapping):
        return {**value, first: figure}
    inner = _replaced(getattr(value, first), rest, figure) if rest else figure
    return dataclasses.replace(value, **{first: inner})

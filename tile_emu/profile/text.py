"""How figures are written, wherever they are shown: the same figure looks the same on a terminal and on a page."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share of 1 with one decimal."""
    return f"{100 * share:.1f} %"


def count(value: float) -> str:
    """A whole number with separators."""
    return f"{round(value):,}"


def kib(value: float) -> str:
    """Bytes as KiB."""
    return f"{value / 1024:.1f} KiB"


def seconds(value: float) -> str:
    """A time with four figures and a unit."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value * 1e9:.4g} ns"


def step_name(kind: str, name: str) -> str:
    """What a superstep's compute, sync or exchange is called; a name that says its kind itself stands alone."""
    return name if name.startswith(kind) else f"{kind} {name}".strip()

"""Rates in the domain's units: pytest-benchmark's table shows times, the lines after it show what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

_RATES: list[tuple[str, float, str]] = []
_CYCLES: list[tuple[str, str]] = []


@pytest.fixture
def rate(benchmark: Any, request: pytest.FixtureRequest) -> Callable[[float, str], None]:
    """``rate(amount, unit)``, called after the benchmark has run: one round did ``amount`` of ``unit``.

    Puts ``unit/s`` of the best round into ``extra_info`` (the least disturbed one; times of a deterministic program
    only ever err upwards) and prints it at the end.
    """

    def note(amount: float, unit: str) -> None:
        if benchmark.stats is None:  # --benchmark-disable: ran once, untimed
            return
        per_second = amount / benchmark.stats.stats.min
        benchmark.extra_info[f"{unit}/s"] = per_second
        _RATES.append((request.node.name, per_second, unit))

    return note


@pytest.fixture
def against_bound(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """``against_bound(cycles, bound, **more)``: emulated cycles beside the least they could be, and other figures.

    They do not depend on the host. Puts all into ``extra_info`` and prints them at the end.
    """

    def note(cycles: int, bound: int, **more: float) -> None:
        figures = {"cycles": cycles, "bound": bound, "ratio": cycles / bound, **more}
        benchmark.extra_info.update(figures)
        text = ", ".join(
            f"{key} {value:,}" if isinstance(value, int) else f"{key} {value:.3f}" for key, value in figures.items()
        )
        _CYCLES.append((request.node.name, text))

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the cycles and the rates."""
    if _CYCLES:
        terminalreporter.section("emulated cycles")
        width = max(len(name) for name, _ in _CYCLES)
        for name, text in _CYCLES:
            terminalreporter.write_line(f"{name:<{width}}  {text}")
    if not _RATES:
        return
    terminalreporter.section("rates, best round")
    width = max(len(name) for name, _, _ in _RATES)
    for name, per_second, unit in _RATES:
        terminalreporter.write_line(f"{name:<{width}}  {_scaled(per_second)}{unit}/s")


def _scaled(value: float) -> str:
    for scale, prefix in ((1e9, "G "), (1e6, "M "), (1e3, "k ")):
        if value >= scale:
            return f"{value / scale:8.2f} {prefix}"
    return f"{value:8.2f} "

"""Rates in the domain's units: pytest-benchmark's table shows times, the lines after it show what they mean."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.reference import reference

_RATES: list[tuple[str, float, str, str]] = []
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
        _RATES.append((request.node.name, per_second, unit, ""))

    return note


@pytest.fixture
def against(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``against(reference, function, amount, unit)``: run a function whose every call does ``amount`` of ``unit``.

    The reference (a name in reference.py) runs before each round, so that both see the same computer; both count
    processor time, which a busy computer disturbs less than wall time. ``amount`` may be a function of the result,
    ``setup`` is called before each round, untimed.
    Puts ``unit/s`` of the best round and ``ratio``, its share of the reference's best rate, into ``extra_info``.
    Returns the function's result.
    """

    def measure(
        name: str,
        function: Callable[[], Any],
        amount: Any,
        unit: str,
        rounds: int = 5,
        setup: Callable[[], Any] = lambda: None,
    ) -> Any:
        fixed = reference(name)
        references: list[float] = []
        spent: list[float] = []

        def once() -> Any:
            began = time.process_time()
            result = function()
            spent.append(time.process_time() - began)
            return result

        def before() -> None:
            setup()
            references.append(fixed.seconds())

        result = benchmark.pedantic(once, setup=before, rounds=rounds, warmup_rounds=1)
        done = amount(result) if callable(amount) else amount
        per_second = done / min(spent)
        note = benchmark.extra_info
        note.update(
            {f"{unit}/s": per_second, "reference": name, "ratio": per_second / (fixed.amount / min(references))}
        )
        _RATES.append((request.node.name, per_second, unit, f"{note['ratio']:.4g} of {name}"))
        return result

    return measure


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
    width = max(len(name) for name, *_ in _RATES)
    for name, per_second, unit, share in _RATES:
        terminalreporter.write_line(f"{name:<{width}}  {_scaled(per_second) + unit + '/s':<26}  {share}".rstrip())


def _scaled(value: float) -> str:
    for scale, prefix in ((1e9, "G "), (1e6, "M "), (1e3, "k ")):
        if value >= scale:
            return f"{value / scale:8.2f} {prefix}"
    return f"{value:8.2f} "

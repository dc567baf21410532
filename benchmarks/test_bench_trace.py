"""What tracing costs: bundles/s of a traced run against the same run untraced."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.programs import PROGRAMS, prepared

TRACED = ("integer", "f16v4", "AMP f16", "SLIC f16")


@pytest.mark.parametrize("name", TRACED)
def test_trace(name: str, benchmark: Any, against: Callable[..., Any]) -> None:
    text = PROGRAMS[name].text.replace("shl $m0, $m0, 3", "nop").replace("setzi $m9, 500", "setzi $m9, 100")
    tile = prepared(PROGRAMS[name]._replace(text=text), "interpreter")
    tile.run_workers("start", workers=[0], trace=True)
    plain = []
    for _ in range(5):
        began = time.process_time()
        run = tile.run_workers("start", workers=[0])
        plain.append(time.process_time() - began)

    traced = against(
        "integer", lambda: tile.run_workers("start", workers=[0], trace=True), run.turns[0], "bundles", rounds=3
    )

    assert len(traced.trace()) == run.turns[0]
    if benchmark.stats is not None:
        benchmark.extra_info["times untraced"] = run.turns[0] / benchmark.extra_info["bundles/s"] / min(plain)

"""Layers of ResNet-50 and BERT on a whole emulated Bow: from the kernel call to the result, with plan and image kept.

A few by default; ``TILE_EMU_BENCH_LAYERS`` takes a pattern such as ``'resnet50.conv3*'`` or ``'*-bwd-data'`` instead,
``'*'`` for every distinct layer and pass (ResNet-50 at batch 1, BERT with 128 tokens).
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable
from typing import Any

import pytest

from kernels.networks import Sizes, load_network
from kernels.networks.execute import emulate_prepared, prepare
from kernels.networks.job import Job
from kernels.networks.layers import PASSES
from tile_emu.chips import load_chip

CHOSEN = os.environ.get("TILE_EMU_BENCH_LAYERS", "")
USUAL = (
    "resnet50.conv1-fwd",
    "resnet50.conv3_2b-fwd",
    "resnet50.conv3_2b-bwd-data",
    "resnet50.conv3_2b-bwd-weights",
    "resnet50.conv5_1c-fwd",
    "bert-base.scores-fwd",
    "bert-base.ffn_up-fwd",
    "bert-large.output-fwd",
)


def chosen_jobs() -> dict[str, Job]:
    """The jobs to run by name: distinct layers only, none of which is run twice under different names."""
    found: dict[str, Job] = {}
    known: list[dict[str, Any]] = []
    for name in ("resnet50", "bert-base", "bert-large"):
        for layer in load_network(name, Sizes()).layers:
            for direction in PASSES:
                job = Job(name, layer, direction)
                if job.identity() not in known:
                    known.append(job.identity())
                    found[f"{job.name}-{direction}"] = job
    patterns = (CHOSEN,) if CHOSEN else USUAL
    return {name: job for name, job in found.items() if any(fnmatch.fnmatchcase(name, p) for p in patterns)}


JOBS = chosen_jobs()


@pytest.mark.parametrize("name", JOBS)
def test_layer(name: str, benchmark: Any, against: Callable[..., Any]) -> None:
    job = JOBS[name]
    prepared = prepare(job)

    emulated = against(
        "sgemm", lambda: emulate_prepared(prepared), job.layer.macs, "MAC", rounds=1 if CHOSEN == "*" else 3
    )

    assert emulated.check().ok
    result = emulated.result
    recording, chip = result.recording, load_chip(job.chip)
    peak = job.layer.macs / (chip.tiles * chip.macs_per_cycle[job.dtype])
    benchmark.extra_info.update(
        cycles=recording.cycles,
        predicted_cycles=result.plan.predicted.total,
        mac_efficiency=peak / recording.cycles,
        instructions=int(recording.instructions.sum()),
    )

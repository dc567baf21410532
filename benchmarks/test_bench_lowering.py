"""From a layer of ResNet-50 to an image for a Bow: planning, graph, placement, lowering as a whole; a kept image.

Layers/s (shards/s for the placement) as a share of a fixed integer loop's operations/s.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from kernels.contraction.builder import build_graph
from kernels.contraction.problem import Contraction
from kernels.networks import Sizes, load_layer
from kernels.networks.execute import job_choices
from kernels.networks.job import Job
from kernels.planner.contraction import search
from kernels.planner.plan import ContractionPlan
from tile_emu.chips import load_chip
from tile_emu.graph import Image
from tile_emu.graph.placement import place

LAYER = "resnet50.conv3_2b"
BOW = load_chip("bow")
Against = Callable[..., Any]


@pytest.fixture(scope="module")
def contraction() -> Contraction:
    network, layer = load_layer(LAYER, Sizes())
    return job_choices(Job(network.name, layer))[0]


@pytest.fixture(scope="module")
def plan(contraction: Contraction) -> ContractionPlan:
    return search(contraction.shape, BOW, BOW.tiles, 0, 1)[0]


def test_plan(contraction: Contraction, against: Against) -> None:
    plans = against("integer", lambda: search(contraction.shape, BOW, BOW.tiles, 0, 1), 1, "layers", rounds=3)
    assert plans


def test_graph(contraction: Contraction, plan: ContractionPlan, against: Against) -> None:
    graph = against("integer", lambda: build_graph(contraction, plan), 1, "layers")
    assert graph.program


def test_placement(contraction: Contraction, plan: ContractionPlan, benchmark: Any, against: Against) -> None:
    with mock.patch("tile_emu.graph.lower.place", wraps=place) as seen:
        build_graph(contraction, plan).lower()
    arguments = seen.call_args.args
    placement = against("integer", lambda: place(*arguments), len(arguments[0].tile), "shards")
    assert not len(placement.failed)


def test_lower(contraction: Contraction, plan: ContractionPlan, benchmark: Any, against: Against) -> None:
    image = against("integer", lambda: build_graph(contraction, plan).lower(), 1, "layers", rounds=3)
    benchmark.extra_info["bytes of SRAM"] = int(image.memory_map.used_bytes().sum())


def test_kept_image(
    contraction: Contraction, plan: ContractionPlan, benchmark: Any, against: Against, tmp_path: Path
) -> None:
    path = tmp_path / "kept.image"
    build_graph(contraction, plan).lower().save(path)
    image = against("integer", lambda: Image.load(path), 1, "layers")
    assert image.tiles == plan.tiles
    benchmark.extra_info["bytes of file"] = path.stat().st_size

"""Layers of ResNet-50 and BERT on a whole emulated Bow: from the kernel call to the result, plan included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kernels.networks import Sizes, load_layer
from kernels.networks.execute import draw_operands, emulate
from kernels.networks.job import Job

LAYERS = ["resnet50.conv1", "resnet50.conv3_2b", "resnet50.conv5_3c", "bert-base.scores", "bert-base.ffn_up"]


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str, benchmark: Any, rate: Callable[[float, str], None]) -> None:
    network, layer = load_layer(name, Sizes())
    job = Job(network.name, layer)
    operands = draw_operands(job)

    result, check = benchmark.pedantic(emulate, (job, operands), rounds=3, warmup_rounds=1)

    assert check(True).ok
    benchmark.extra_info["cycles"] = result.recording.cycles
    rate(int(result.recording.instructions.sum()), "instructions")
    rate(layer.macs, "MAC")

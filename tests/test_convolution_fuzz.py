"""Random convolutions divided at random, on random chips, a third of them on checked machines, against float64.

``make fuzz-convolution`` runs more of them (TILE_EMU_FUZZ_CONVOLUTION).
"""

from __future__ import annotations

import dataclasses
import math
import os
import random

import numpy as np

from kernels.contraction.builder import build_graph
from kernels.contraction.field import Field
from kernels.contraction.problem import Shape
from kernels.convolution import ways
from kernels.convolution.geometry import Convolution
from kernels.planner.contraction import plan_contraction
from kernels.planner.cost import codelet_for
from kernels.planner.plan import ContractionPlan
from tests.convolution_tools import forward, gradients, operands
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.machine import Machine

RUNS = int(os.environ.get("TILE_EMU_FUZZ_CONVOLUTION", "60"))
FORMATS = [("f16", "bow"), ("f16f32", "bow"), ("f32", "bow"), ("f16", "gc2"), ("f32", "gc2"), ("f16f32", "gc2")]
MOST_TILES = 100


def drawn_sizes(draw: random.Random) -> Convolution:
    """Sizes that fit together."""
    while True:
        groups = draw.choice([1, 1, 1, 2, 3])
        pairs = [(draw.randint(1, most), draw.randint(1, most)) for most in (4, 3, 2)]
        try:
            return Convolution(
                draw.randint(1, 3),
                groups * draw.choice([1, 3, 16, 20, 40, 64]),
                draw.randint(3, 14),
                draw.randint(3, 14),
                groups * draw.choice([1, 2, 8, 16, 24, 50]),
                pairs[0],
                pairs[1],
                (draw.randint(0, 2), draw.randint(0, 2), draw.randint(0, 2), draw.randint(0, 2)),
                pairs[2],
                groups,
            )
        except UsageError:  # the kernel is larger than the input
            continue


def drawn_plan(draw: random.Random, shape: Shape, chip: Chip) -> ContractionPlan:
    """A division that the planner may never choose, with the vertices that it needs."""
    codelet = codelet_for(shape, chip)
    k_groups, out_groups = math.ceil(shape.inputs / codelet.inputs), math.ceil(shape.outputs / codelet.outputs)
    most = {"group": shape.groups, "k": k_groups, "tap": shape.most_tap_splits, "output": out_groups}
    most |= {"row": shape.rows, "column": shape.columns, "image": shape.images}
    while True:
        splits = {f"{name}_splits": draw.choice([1, 1, 2, 3, draw.randint(1, 9)]) for name in most}
        splits = {f"{name}_splits": min(splits[f"{name}_splits"], size) for name, size in most.items()}
        if math.prod(splits.values()) <= MOST_TILES:
            break
    field = Field(shape, splits["row_splits"], splits["column_splits"], splits["image_splits"])
    pieces = math.ceil(int(field.padded.max()) / (6 * codelet.max_positions))
    steps = min(draw.choice([1, 1, 2, 3]), k_groups // splits["k_splits"])
    plan = plan_contraction(shape, chip, tiles=4)[0]
    return dataclasses.replace(plan, pieces=pieces, steps=steps, partners=draw.choice("wx"), **splits)


def test_random_convolutions() -> None:
    draw = random.Random(RUNS)
    done = 0
    while done < RUNS:
        conv, (dtype, name), which = drawn_sizes(draw), draw.choice(FORMATS), draw.choice(["fwd", "bwd-data"])
        chip, arrays = load_chip(name), dict(zip(("x", "w", "dout"), operands(conv, dtype)))
        put = draw.choice(ways(conv, which, "NCHW", dtype, chip))
        try:
            plan = drawn_plan(draw, put.shape, chip)
            image = build_graph(put, plan).lower()
        except OutOfTileMemory:
            continue
        check = draw.random() < 0.3
        machine = Machine(chip, image.tiles, 1, check=check)
        machine.load(image)
        for view in (put.x, put.w):
            machine.write_tensor(view.name, arrays[view.name])
        machine.run()
        expected = forward(conv, *operands(conv, dtype)[:2]) if which == "fwd" else gradients(conv, *arrays.values())[0]
        told = f"{conv}, {which}, {dtype}, {name}, {plan}"
        np.testing.assert_array_equal(machine.read_tensor(put.out.name), expected, told)
        assert not check or machine.findings().total == 0, told
        done += 1

"""The planner on matrix products: its search against loops over every division, its bounds, the tensors' mapping."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import numpy as np
import pytest

from kernels.codelets import matmul_codelet, reduce_codelet
from kernels.contraction.builder import build_graph
from kernels.contraction.problem import Contraction, Shape
from kernels.planner import cost
from kernels.planner.contraction import CODE_BYTES, plan_contraction, useful_splits
from kernels.planner.plan import ContractionPlan
from tests.contraction_tools import forced, gathered, plan_matmul, put
from tile_emu.chips import load_chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.graph import ExchangePhase, Graph

SHAPES = [(1, 1, 1), (1, 4096, 1), (7, 13, 5), (513, 77, 1030), (64, 64, 64), (24, 2000, 16), (300, 17, 3)]


@pytest.mark.parametrize(("n", "most"), [(1, 1472), (7, 3), (64, 64), (1000, 1472), (1472, 1472), (4096, 1472)])
def test_useful_splits(n: int, most: int) -> None:
    """Smallest split count for every block size that can be reached."""
    smallest: dict[int, int] = {}
    for split in range(min(n, most), 0, -1):
        smallest[math.ceil(n / split)] = split
    assert useful_splits(n, most).tolist() == sorted(smallest.values())


def predicted(codelet: Any, chip: Any, p: int, o: int, depth: int, splits: tuple[int, int, int]) -> int:
    """Cycles of one division in one step, term by term, from block sizes; ``depth``: all K groups."""
    streams, loads, parts = splits
    step, least = math.ceil(depth / parts), depth // parts
    blocks = {streams: o * codelet.outputs if streams > 1 else 0}, {loads: p if loads > 1 else 0}
    words = min(gathered(*blocks, least), gathered(*reversed(blocks), least)) * step * 8
    total = int(cost.exchange_cycles(chip, words))
    pieces = math.ceil(p / (6 * codelet.max_positions))
    size = math.ceil(p / pieces)
    total += pieces * (int(cost.matmul_cycles(codelet, chip, size, step, o, False)) + cost.CALL)
    if parts > 1:
        share = math.ceil(o * p * codelet.position_bytes / (16 * parts)) * 16
        total += int(cost.exchange_cycles(chip, share * (parts - 1) // 4)) + cost.CALL
        total += int(cost.reduce_cycles(reduce_codelet(codelet.out_bytes), chip, share, parts - 1))
    return total


@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (50, 90, 40), (7, 300, 200), (130, 33, 100), (64, 500, 64)])
def test_no_division_of_a_few_tiles_is_cheaper(shape: tuple[int, int, int], dtype: str) -> None:
    chip, tiles = load_chip("bow"), 12
    plan = plan_matmul(*shape, dtype, chip, tiles=tiles)[1]
    codelet = matmul_codelet(dtype, chip)
    m, k, n = shape
    best = math.inf
    for positions, outputs in ((m, n), (n, m)):
        groups, depth = math.ceil(outputs / codelet.outputs), math.ceil(k / codelet.inputs)
        counts = [range(1, min(size, tiles) + 1) for size in (positions, groups, depth)]
        for splits in itertools.product(counts[0], counts[1], counts[2]):
            if math.prod(splits) <= tiles:
                p = max(24, math.ceil(positions / splits[0]))
                sizes = (p, math.ceil(groups / splits[1]), depth)
                best = min(best, predicted(codelet, chip, *sizes, splits))
    assert plan.steps == 1
    assert plan.predicted.total == best


@pytest.mark.parametrize("chip", ["bow", "gc2"])
@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
@pytest.mark.parametrize("shape", [*SHAPES, (2048, 2048, 2048), (4096, 1, 4096), (65536, 256, 64)])
def test_plans_keep_their_bounds(shape: tuple[int, int, int], dtype: str, chip: str) -> None:
    where = load_chip(chip)
    codelet = matmul_codelet(dtype, where)
    contraction, plan = plan_matmul(*shape, dtype, chip)
    _, k, _ = shape
    positions, outputs = contraction.shape.columns, contraction.shape.outputs
    assert plan.tiles <= where.tiles
    assert plan.tile_positions == max(24, math.ceil(positions / plan.position_splits))
    assert plan.tile_out_groups == math.ceil(math.ceil(outputs / codelet.outputs) / plan.output_splits)
    assert plan.tile_k_groups == math.ceil(math.ceil(k / codelet.inputs) / plan.k_splits)
    assert 1 <= plan.steps <= plan.tile_k_groups
    assert math.ceil(plan.tile_positions / plan.pieces) <= 6 * codelet.max_positions
    assert 0 < plan.sram_bytes < where.memory.size - CODE_BYTES
    assert 0 <= plan.padding < 1
    assert plan.predicted.total > 0 and f"{plan.predicted.total:,}" in plan.describe()
    assert plan == plan_contraction(contraction.shape, chip)[0]


@pytest.mark.parametrize(
    ("shape", "least"), [((4096, 4096, 1024), 0.5), ((2048, 2048, 2048), 0.4), ((512, 512, 512), 0.12)]
)
def test_predicted_efficiency_on_bow(shape: tuple[int, int, int], least: float) -> None:
    began = time.perf_counter()
    plan = plan_matmul(*shape, "f16", "bow")[1]
    assert time.perf_counter() - began < 1.0
    assert math.prod(shape) / (1472 * 64 * plan.predicted.total) >= least


def test_less_memory_means_more_steps() -> None:
    few = plan_matmul(2048, 2048, 2048, "f16", "bow")[1]
    many = plan_matmul(2048, 2048, 2048, "f16", "bow", reserve=450 * 1024)[1]
    assert many.steps > few.steps
    assert many.sram_bytes < few.sram_bytes


def test_refusals() -> None:
    with pytest.raises(UsageError, match="unknown dtype 'f8'"):
        Shape(1, 1, 1, 4, 4, 4, "f8")
    with pytest.raises(UsageError, match="at least 1"):
        Shape(1, 1, 1, 4, 0, 4, "f16")
    with pytest.raises(OutOfTileMemory, match="do not fit the SRAM of 1472 tiles of bow"):
        plan_matmul(20000, 20000, 20000, "f32")


# ---- the graph's mapping of the tensors: every element in exactly one place, on a tile that needs it ----------------


DIVISIONS = [
    ("a", (1, 1, 1), 1),
    ("b", (3, 2, 1), 1),
    ("a", (2, 2, 3), 1),
    ("b", (1, 3, 2), 2),
    ("a", (4, 1, 2), 3),
    ("a", (3, 3, 1), 5),
]


def host_order_of(graph: Graph, name: str) -> Any:
    """The host's index of every element of a tensor's shards."""
    order = graph.tensors[name].order
    assert order is not None
    return order.expanded()


@pytest.mark.parametrize("dtype", ["f16", "f32"])
@pytest.mark.parametrize(("streamed", "splits", "steps"), DIVISIONS)
def test_every_element_has_one_home(dtype: str, streamed: str, splits: tuple[int, int, int], steps: int) -> None:
    shape = (70, 170, 100)
    contraction = put(*shape, dtype, streamed)
    graph = build_graph(contraction, forced(plan_matmul(*shape, dtype, "bow", tiles=12)[1], contraction, splits, steps))
    for name, size in (("a", 70 * 170), ("b", 170 * 100), ("c", 70 * 100)):
        order = host_order_of(graph, name)
        assert np.array_equal(np.sort(order[order >= 0]), np.arange(size)), name


@pytest.mark.parametrize(("streamed", "splits", "steps"), DIVISIONS)
def test_exchanges_bring_every_tile_its_blocks(streamed: str, splits: tuple[int, int, int], steps: int) -> None:
    """Follow the copies of each gather: the block that arrives is the host's block, in the codelet's layout."""
    m, k, n = 70, 170, 100
    contraction = put(m, k, n, "f16", streamed)
    plan = forced(plan_matmul(m, k, n, "f16", "bow", tiles=12)[1], contraction, splits, steps)
    graph = build_graph(contraction, plan)
    host = {"a": np.arange(m * k).reshape(m, k), "b": np.arange(k * n).reshape(k, n).T}  # [row][K]
    phases = [phase for phase in graph.program if isinstance(phase, ExchangePhase) and phase.name.startswith("gather")]
    for step, phase in enumerate(phases):
        for batch in phase.batches:
            order = host_order_of(graph, batch.source.name)
            start = np.cumsum(batch.source.nbytes.astype(np.int64)) - batch.source.nbytes
            tile = plan.tiles // 2
            here = batch.dest_shard == tile
            arrived = np.full(batch.nbytes[here].sum() // 2, -2)
            for shard, at, to, size in zip(
                batch.source_shard[here], batch.source_offset[here], batch.dest_offset[here], batch.nbytes[here]
            ):
                low = (start[shard] + at) // 2
                arrived[to // 2 : (to + size) // 2] = order[low : low + size // 2]
            expected = _block(contraction, plan, batch.source.name, host[batch.source.name], tile, step)
            assert np.array_equal(arrived, expected), (phase.name, batch.name)


def _block(contraction: Contraction, plan: ContractionPlan, name: str, host: Any, tile: int, step: int) -> Any:
    """Host indices of a tile's block of one step, loops over groups; -1 = padding."""
    p, o = tile % plan.position_splits, tile // plan.position_splits % plan.output_splits
    k = tile // (plan.position_splits * plan.output_splits)
    rows, depth = host.shape
    padded = np.full((-(-rows // 16) * 16 + 24, -(-depth // 16) * 16), -1)
    padded[:rows, :depth] = host
    groups = -(-depth // 16)
    low, high = k * groups // plan.k_splits, (k + 1) * groups // plan.k_splits
    low, high = low + (high - low) * step // plan.steps, low + (high - low) * (step + 1) // plan.steps
    out = []
    if name == contraction.x.name:
        first, last = p * rows // plan.position_splits, (p + 1) * rows // plan.position_splits
        for group in range(low, high):
            part = padded[first:last, 16 * group : 16 * group + 16]
            out.append(part)
    else:
        total = -(-rows // 16)
        for out_group in range(o * total // plan.output_splits, (o + 1) * total // plan.output_splits):
            for group in range(low, high):
                out.append(padded[16 * out_group : 16 * out_group + 16, 16 * group : 16 * group + 16])
    return np.vstack(out).ravel()

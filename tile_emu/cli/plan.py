"""`tile-emu plan`: the best plans of a problem with predicted cycles by part, nothing run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernels.networks import load_layer
from kernels.networks.layers import Layer, MatmulLayer, require_positive
from kernels.outcome import plan_text
from tile_emu.chips import Chip, load_chip
from tile_emu.cli.convolution import Sizes
from tile_emu.cli.layer import Choice
from tile_emu.cli.listing import print_table
from tile_emu.errors import OutOfTileMemory, UsageError

if TYPE_CHECKING:
    from kernels.contraction.problem import Contraction
    from kernels.planner.plan import ContractionPlan

PARTS = ("gather", "compute", "reduce_exchange", "reduce", "finish")
HEADER = ("streams", "plan", "tiles", "cycles", "gather", "multiply", "sums", "reduce", "finish", "padding", "SRAM KiB")


@dataclass(frozen=True)
class PlanOptions:
    """How many plans are shown, and how."""

    best: int
    as_json: bool


def plan_product(groups: int, m: int, k: int, n: int, choice: Choice, options: PlanOptions) -> None:
    """Plans of ``groups`` products m x k by k x n."""
    require_positive(batch=groups, m=m, k=k, n=n)
    _plan(MatmulLayer("matmul", groups, m, k, n), "matmul", choice, options)


def plan_convolution(sizes: Sizes, choice: Choice, options: PlanOptions) -> None:
    """Plans of a convolution."""
    choice.require()
    conv = sizes.convolution()
    chip = load_chip(choice.chip)
    from kernels.convolution import ways

    head = {"kernel": "convolution", "pass": choice.direction, "shape": dataclasses.asdict(conv), "macs": conv.macs}
    choices = ways(conv, choice.direction, "NCHW", choice.dtype, chip)
    _show("conv", conv.describe(), head, choices, choice, options)


def plan_layer(name: str, choice: Choice, options: PlanOptions) -> None:
    """Plans of a layer of a network."""
    network, layer = load_layer(name, choice.sizes())
    _plan(layer, network.name, choice, options)


def _plan(layer: Layer, network: str, choice: Choice, options: PlanOptions) -> None:
    from kernels.networks.execute import job_choices

    job = choice.job(network, layer)
    name = network if network == layer.name else job.name
    _show(name, layer.shape_text(job.epilogue), job.head(), job_choices(job), choice, options)


def _show(
    name: str, shape: str, head: dict[str, Any], choices: Sequence[Contraction], choice: Choice, options: PlanOptions
) -> None:
    """Search and print. ``head``: what is planned, for JSON."""
    if options.best < 1:
        raise UsageError(f"--best {options.best}: it must be at least 1")
    chip = load_chip(choice.chip)
    found = _best(choices, chip, choice.tiles, options.best)
    if options.as_json:
        _print_json({**head, "dtype": choice.dtype, "chip": chip.name}, found)
        return
    rows = [_row(streams, plan) for streams, plan in found]
    print(f"{name}, {choice.direction}: {shape}, {choice.dtype}, on {chip.title}; predicted cycles\n")
    print_table(HEADER, rows)


def _best(
    choices: Sequence[Contraction], chip: Chip, tiles: int | None, best: int
) -> list[tuple[str, ContractionPlan]]:
    """Operand that streams, and plan, the cheapest first. Raises OutOfTileMemory when nothing fits."""
    from kernels.planner.contraction import plan_contraction

    found: list[tuple[str, ContractionPlan]] = []
    problem: OutOfTileMemory | None = None
    for contraction in choices:
        try:
            plans = plan_contraction(contraction.shape, chip, tiles=tiles, best=best)
        except OutOfTileMemory as error:
            problem = error
            continue
        found += [(contraction.x.name, plan) for plan in plans]
    if problem is not None and not found:
        raise problem
    return sorted(found, key=lambda pair: (pair[1].predicted.total, pair[1].sram_bytes))[:best]


def _row(streams: str, plan: ContractionPlan) -> tuple[str, ...]:
    from kernels.outcome import plain

    predicted = plan.predicted
    return (
        streams,
        plan_text(plain(plan)),
        f"{plan.tiles:,}",
        f"{predicted.total:,}",
        *(f"{getattr(predicted, part):,}" for part in PARTS),
        f"{100 * plan.padding:.1f} %",
        f"{plan.sram_bytes / 1024:.0f}",
    )


def _print_json(head: dict[str, Any], found: Sequence[tuple[str, ContractionPlan]]) -> None:
    from kernels.outcome import plain

    plans: list[dict[str, Any]] = []
    for streams, plan in found:
        document = plain(plan)
        document["predicted"]["total"] = plan.predicted.total
        plans.append({"streams": streams, "tiles": plan.tiles, **document})
    print(json.dumps({**head, "plans": plans}, indent=2))

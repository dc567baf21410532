"""From a contraction and the host's arrays to the result: plan, graph, image, machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernels.contraction.builder import build_graph
from kernels.contraction.problem import OPERAND_DTYPE, RESULT_DTYPE, Contraction
from kernels.planner.contraction import KEPT, plan_contraction
from kernels.planner.plan import ContractionPlan
from tile_emu.chips import Chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.graph.keptimage import kept_image
from tile_emu.profile.timed import SAMPLE, TileChoice

if TYPE_CHECKING:
    from tile_emu.graph.image import Image
    from tile_emu.profile.recording import Recording
    from tile_emu.tile.check import Findings

I64 = NDArray[np.int64]
Progress = Callable[..., None]

_RESERVES = (None, 160 * 1024, 256 * 1024, 8 * 1024)  # SRAM kept free for the separation of elements, tried in turn


@dataclass(frozen=True, eq=False)
class ContractionResult:
    """``out``: the result as the host's array; ``sram_bytes`` i64[tiles]: bytes of SRAM in use, code included.

    ``findings``: of a checked run. ``plans``: the planner's best, the cheapest first; ``plan`` need not be among them.
    """

    out: NDArray[Any]
    plan: ContractionPlan
    recording: Recording
    image: Image
    sram_bytes: I64
    findings: Findings | None = None
    plans: tuple[ContractionPlan, ...] = ()


def silent(*_: object) -> None:
    """No progress wanted."""


def ranked_plans(
    choices: Sequence[Contraction], chip: Chip, tiles: int | None = None, best: int = KEPT
) -> list[ContractionPlan]:
    """The ``best`` plans of all ways to put a problem, the cheapest first; none where nothing fits."""
    plans: list[ContractionPlan] = []
    for contraction in choices:
        try:
            plans += plan_contraction(contraction.shape, chip, tiles=tiles, best=best)
        except OutOfTileMemory:
            continue
    return sorted(plans, key=lambda plan: (plan.predicted.total, plan.sram_bytes))[:best]


def plan_and_lower(
    choices: Sequence[Contraction],
    chip: Chip,
    progress: Progress = silent,
    tiles: int | None = None,
    plan_rank: int = 1,
) -> tuple[ContractionPlan, Image]:
    """The cheapest plan of several ways to put the same problem, whose variables also find a place.

    ``tiles``: how many may be used (None: all). ``plan_rank``: begin with the plan of this rank, 2 the second cheapest.
    Raises OutOfTileMemory if none does, UsageError if there are not so many plans.
    """
    problem: OutOfTileMemory | None = None
    for reserve in _RESERVES:
        plans = []
        for contraction in choices:
            try:
                found = plan_contraction(contraction.shape, chip, tiles=tiles, reserve=reserve, best=plan_rank)
                plans += [(plan, contraction) for plan in found]
            except OutOfTileMemory as error:
                problem = problem or error
        if 0 < len(plans) < plan_rank:
            raise UsageError(f"there are {len(plans)} plans, none of rank {plan_rank}")
        plans.sort(key=lambda pair: (pair[0].predicted.total, pair[0].sram_bytes))
        for plan, contraction in plans[plan_rank - 1 :]:
            try:
                return plan, _image(contraction, plan, chip, progress)
            except OutOfTileMemory as error:
                problem = problem or error
    assert problem is not None
    raise problem


def _image(contraction: Contraction, plan: ContractionPlan, chip: Chip, progress: Progress) -> Image:
    """The image of a planned contraction, kept from an earlier run or made. Raises OutOfTileMemory."""

    def make() -> Image:
        progress("building the graph")
        return build_graph(contraction, plan).lower(progress)

    return kept_image((contraction, plan, chip), make)


def used_sram(image: Image) -> I64:
    """Bytes in use on every tile, i64[tiles]: code, rows, vertex states and variables."""
    return image.memory_map.used_bytes()


def run_contraction(
    choices: Sequence[Contraction],
    arrays: Mapping[str, NDArray[Any]],
    chip: Chip,
    threads: int | None = None,
    progress: Progress | None = None,
    tiles: int | None = None,
    check: bool = False,
    plan_rank: int = 1,
    timed: TileChoice = SAMPLE,
) -> ContractionResult:
    """Plan, build, load and run. ``choices``: ways to put the problem, all with the same host arrays.

    ``arrays`` by the names of the views of x, w and bias; they are rounded to the format that the chip holds them in.
    ``tiles``: how many may be used (None: all). ``progress(stage, share)`` is called at times. ``check``: the machine
    looks for errors that the hardware lets pass. ``plan_rank`` as in plan_and_lower. ``timed``: tiles of which the
    recording keeps when each worker ran. Raises OutOfTileMemory, and whatever the machine finds wrong.
    """
    from tile_emu.machine import Machine

    report = progress if progress is not None else silent
    report("planning")
    plan, image = plan_and_lower(choices, chip, report, tiles, plan_rank)
    machine = Machine(chip, image.tiles, threads, timed, check=check)
    report("loading")
    machine.load(image)
    bias = choices[0].bias
    with np.errstate(over="ignore"):
        for name, array in arrays.items():
            of_sums = bias is not None and name == bias.name
            kind = (RESULT_DTYPE if of_sums else OPERAND_DTYPE)[plan.shape.dtype]
            machine.write_tensor(name, np.asarray(array).astype(kind))
    recording = machine.run(progress=progress)
    out = machine.read_tensor(choices[0].out.name)
    findings = machine.findings() if check else None
    plans = tuple(ranked_plans(choices, chip, tiles))
    return ContractionResult(out, plan, recording, image, used_sram(image), findings, plans)

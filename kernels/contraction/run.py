"""From a contraction and the host's arrays to the result: plan, graph, image, machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernels.contraction.builder import build_graph
from kernels.contraction.problem import OPERAND_DTYPE, RESULT_DTYPE, Contraction, HostView
from kernels.planner.contraction import KEPT, plan_contraction
from kernels.planner.plan import ContractionPlan
from kernels.stopwatch import Stopwatch
from tile_emu.chips import Chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.graph.keptimage import kept_image
from tile_emu.profile.timed import SAMPLE, TileChoice

if TYPE_CHECKING:
    from tile_emu.graph.image import Image
    from tile_emu.machine import Machine
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
    watch: Stopwatch | None = None,
) -> tuple[ContractionPlan, Image]:
    """The cheapest plan of several ways to put the same problem, whose variables also find a place.

    ``tiles``: how many may be used (None: all). ``plan_rank``: begin with the plan of this rank, 2 the second cheapest.
    ``watch``: what counts the time.
    Raises OutOfTileMemory if none does, UsageError if there are not so many plans.
    """
    watch = watch or Stopwatch()
    problem: OutOfTileMemory | None = None
    for reserve in _RESERVES:
        plans = []
        for contraction in choices:
            try:
                with watch.part("planning"):
                    found = plan_contraction(contraction.shape, chip, tiles=tiles, reserve=reserve, best=plan_rank)
                plans += [(plan, contraction) for plan in found]
            except OutOfTileMemory as error:
                problem = problem or error
        if 0 < len(plans) < plan_rank:
            raise UsageError(f"there are {len(plans)} plans, none of rank {plan_rank}")
        plans.sort(key=lambda pair: (pair[0].predicted.total, pair[0].sram_bytes))
        for plan, contraction in plans[plan_rank - 1 :]:
            try:
                with watch.part("image"):
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

    views = (contraction.x, contraction.w, contraction.out, contraction.bias)
    return kept_image((repr(plan), repr(chip), views), make)  # the plan has the contraction's shape


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
    watch: Stopwatch | None = None,
) -> ContractionResult:
    """Plan, build, load and run. ``choices``: ways to put the problem, all with the same host arrays.

    ``arrays`` by the names of the views of x, w and bias; they are rounded to the format that the chip holds them in.
    ``tiles``: how many may be used (None: all). ``progress(stage, share)`` is called at times. ``check``: the machine
    looks for errors that the hardware lets pass. ``plan_rank`` as in plan_and_lower. ``timed``: tiles of which the
    recording keeps when each worker ran. ``watch``: what counts the time. Raises OutOfTileMemory, and whatever the
    machine finds wrong.
    """
    from tile_emu.machine import Machine

    report, watch = progress or silent, watch or Stopwatch()
    report("planning")
    plan, image = plan_and_lower(choices, chip, report, tiles, plan_rank, watch)
    with watch.part("host copies"):
        machine = Machine(chip, image.tiles, threads, timed, check=check)
        report("loading")
        machine.load(image)
        _write(machine, arrays, choices[0].bias, plan.shape.dtype)
    with watch.part("run"):
        recording = machine.run(progress=progress)
    with watch.part("host copies"):
        out = machine.read_tensor(choices[0].out.name)
    findings = machine.findings() if check else None
    with watch.part("planning"):
        plans = tuple(ranked_plans(choices, chip, tiles))
    return ContractionResult(out, plan, recording, image, used_sram(image), findings, plans)


def _write(machine: Machine, arrays: Mapping[str, NDArray[Any]], bias: HostView | None, dtype: str) -> None:
    """Host writes of all operands, rounded to the format that the chip holds them in."""
    with np.errstate(over="ignore"):
        for name, array in arrays.items():
            of_sums = bias is not None and name == bias.name
            kind = (RESULT_DTYPE if of_sums else OPERAND_DTYPE)[dtype]
            machine.write_tensor(name, np.asarray(array).astype(kind, copy=False))

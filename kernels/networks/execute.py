"""Runs one pass of one layer on an emulated chip and checks it: operands, kernel, check, figures."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.check import Check, Finish, check_matmul
from kernels.check_convolution import check_convolution
from kernels.contraction.problem import Contraction
from kernels.contraction.run import ContractionResult, plan_and_lower
from kernels.convolution import Convolution, run_pass, ways
from kernels.matmul import OPERAND_DTYPE, RESULT_DTYPE, matmul, matmul_choices
from kernels.networks.job import Job, operand_shapes
from kernels.networks.layers import ConvolutionLayer, MatmulLayer, layer_bytes
from kernels.outcome import run_document
from kernels.stopwatch import Stopwatch
from tile_emu.chips import load_chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.profile.summary import Summary, summarise
from tile_emu.profile.timed import SAMPLE, TileChoice

Array = NDArray[Any]
Operands = dict[str, Array]
Progress = Callable[..., None]


@dataclass(frozen=True, eq=False)
class LayerRun:
    """``document`` as `tile-emu run --json` prints it; ``result`` of the kernel, with the numbers and the recording."""

    document: dict[str, Any]
    result: ContractionResult
    summary: Summary
    check: Check


def draw_operands(job: Job, given: Mapping[str, Array] | None = None) -> Operands:
    """Operands rounded to the job's dtype, a bias to that of the partial sums.

    The ``given`` ones are taken, the others are standard normal by the job's seed.
    Raises UsageError for a given operand that the pass does not have, that has another shape, or whose values are
    beyond the dtype's range.
    """
    shapes = operand_shapes(job)
    given = given or {}
    for name in given:
        if name not in shapes:
            raise UsageError(f"{job.name}, pass {job.direction}, has no operand '{name}': {', '.join(shapes)}")
    generator = np.random.default_rng(job.seed)
    operands: Operands = {}
    for name, shape in shapes.items():
        drawn = generator.standard_normal(shape, dtype=np.float32)
        kind = (RESULT_DTYPE if name == "bias" else OPERAND_DTYPE)[job.dtype]
        if name not in given:
            operands[name] = drawn.astype(kind, copy=False)
            continue
        array = np.asarray(given[name])
        if array.shape != shape:
            raise UsageError(f"operand '{name}' of {job.name} has shape {array.shape}, expected {shape}")
        with np.errstate(over="ignore"):
            operands[name] = np.ascontiguousarray(array, dtype=kind)
        if not np.isfinite(operands[name]).all():
            what = f"values that are not finite, or beyond the range of {np.dtype(kind).name}"
            raise UsageError(f"operand '{name}' of {job.name}: {what}")
    return operands


def require_room(job: Job) -> None:
    """Refuse what cannot fit before operands are drawn: so large a layer would first exhaust the host.

    Necessary only; the planner has the last word. Raises OutOfTileMemory.
    """
    chip, needed = load_chip(job.chip), layer_bytes(job.layer, job.dtype)
    available = chip.tiles * chip.memory.size
    if needed > available:
        raise OutOfTileMemory(
            f"{job.name} in {job.dtype}: operands and result take {needed / 2**20:,.0f} MiB, "
            f"{chip.name} has {available / 2**20:,.0f} MiB of SRAM"
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A job and its operands; ``random``: they are all drawn, with independent signs."""

    job: Job
    operands: Operands
    random: bool
    watch: Stopwatch


@dataclass(frozen=True, eq=False)
class Emulated:
    """What the kernel of a job returned, what checks it, and the wall seconds it took."""

    prepared: Prepared
    result: ContractionResult
    check: Callable[[], Check]
    wall_s: float


def run_job(
    job: Job,
    given: Mapping[str, Array] | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    timed: TileChoice = SAMPLE,
) -> LayerRun:
    """Run a job; ``given`` operands as in draw_operands; ``timed`` as for the kernels.

    Raises UsageError, OutOfTileMemory, and what the machine finds wrong.
    """
    emulated = emulate_prepared(prepare(job, given), threads, progress, timed)
    if progress is not None:
        progress("checking against float64")
    return finish(emulated)


def prepare(job: Job, given: Mapping[str, Array] | None = None, *, ahead: bool = False) -> Prepared:
    """Draw what is not given; ``ahead``: make the image too, so that the run finds it kept.

    Raises UsageError, OutOfTileMemory.
    """
    watch = Stopwatch()
    require_room(job)
    with watch.part("operands"):
        operands = draw_operands(job, given)
    if ahead:
        plan_and_lower(job_choices(job), load_chip(job.chip), tiles=job.tiles, plan_rank=job.plan_rank, watch=watch)
    return Prepared(job, operands, not given, watch)


def emulate_prepared(
    prepared: Prepared,
    threads: int | None = None,
    progress: Progress | None = None,
    timed: TileChoice = SAMPLE,
) -> Emulated:
    """The kernel of a job alone. Raises OutOfTileMemory and what the machine finds wrong."""
    job, operands = prepared.job, prepared.operands
    options = {"threads": threads, "progress": progress, "timed": timed, "check": job.check, "watch": prepared.watch}
    began = time.perf_counter()
    if isinstance(job.layer, ConvolutionLayer):
        result, check = _convolution(job, job.layer, operands, options)
    else:
        result, check = _product(job, job.layer, operands, options)
    return Emulated(prepared, result, functools.partial(check, prepared.random), time.perf_counter() - began)


def finish(emulated: Emulated) -> LayerRun:
    """Check against float64, and sum up."""
    job, result, watch = emulated.prepared.job, emulated.result, emulated.prepared.watch
    with watch.part("check"):
        check = emulated.check()
    summary = summarise(result.recording, useful_macs=job.layer.macs, dtype=job.dtype, sram_bytes=result.sram_bytes)
    document = run_document(job.head(), summary, check, emulated.wall_s, result, watch.seconds)
    return LayerRun(document, result, summary, check)


Checker = Callable[[bool], Check]


def _product(
    job: Job, layer: MatmulLayer, operands: Operands, options: dict[str, Any]
) -> tuple[ContractionResult, Checker]:
    """Forward C = A . B, backward dA = dC . B^T and dB = A^T . dC."""
    turned = {name: np.swapaxes(array, -1, -2) for name, array in operands.items() if array.ndim > 1}
    left, right = {
        "fwd": lambda: (operands["a"], operands["b"]),
        "bwd-data": lambda: (operands["dc"], turned["b"]),
        "bwd-weights": lambda: (turned["a"], operands["dc"]),
    }[job.direction]()
    activation = layer.activation if job.epilogue else "none"
    bias = operands.get("bias")
    result = matmul(
        left,
        right,
        job.dtype,
        load_chip(job.chip),
        bias=bias,
        activation=activation,
        tiles=job.tiles,
        plan_rank=job.plan_rank,
        **options,
    )

    def check(random: bool) -> Check:
        finish = Finish(bias, activation)
        splits = result.plan.k_splits
        return check_matmul(left, right, result.out, job.dtype, k_splits=splits, random_signs=random, finish=finish)

    return result, check


def _sizes(layer: ConvolutionLayer) -> Convolution:
    kernel, stride, padding = (layer.kernel,) * 2, (layer.stride,) * 2, (layer.padding,) * 4
    return Convolution(
        layer.batch, layer.in_channels, layer.height, layer.width, layer.out_channels, kernel, stride, padding
    )


def _convolution(
    job: Job, layer: ConvolutionLayer, operands: Operands, options: dict[str, Any]
) -> tuple[ContractionResult, Checker]:
    """One of the three passes."""
    conv = _sizes(layer)
    result = run_pass(
        conv,
        job.direction,
        operands,
        dtype=job.dtype,
        chip=load_chip(job.chip),
        tiles=job.tiles,
        plan_rank=job.plan_rank,
        **options,
    )

    def check(random: bool) -> Check:
        splits = result.plan.sum_splits
        return check_convolution(
            conv,
            job.direction,
            operands,
            result.out,
            job.dtype,
            k_splits=splits,
            random_signs=random,
            launches=result.plan.launches,
        )

    return result, check


def job_choices(job: Job) -> Sequence[Contraction]:
    """The ways to put a job, for the planner."""
    layer = job.layer
    if isinstance(layer, ConvolutionLayer):
        return ways(_sizes(layer), job.direction, "NCHW", job.dtype, load_chip(job.chip))
    m, k, n = {
        "fwd": (layer.m, layer.k, layer.n),
        "bwd-data": (layer.m, layer.n, layer.k),
        "bwd-weights": (layer.k, layer.m, layer.n),
    }[job.direction]
    activation = layer.activation if job.epilogue else "none"
    bias = layer.bias and job.epilogue
    return matmul_choices(m, k, n, job.dtype, layer.groups, bias=bias, activation=activation)

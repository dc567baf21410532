"""`tile-emu run matmul`: operands in, kernel call, check, report."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tile_emu.chips import load_chip
from tile_emu.cli.operands import Matrix, load_array, matching, random_matrix
from tile_emu.cli.progress import Progress
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.profile.atomic import replacing, require_writable
from tile_emu.profile.report import Report
from tile_emu.profile.request import ReportRequest
from tile_emu.profile.summary import Summary, summarise

if TYPE_CHECKING:
    from kernels.check import Check
    from kernels.contraction.run import ContractionResult

# dtype of the operands as the chip holds them
DTYPES: dict[str, type[np.floating[Any]]] = {"f16": np.float16, "f16f32": np.float16, "f32": np.float32}


@dataclass(frozen=True)
class Form:
    """What beyond A * B is asked for; ``bias``: "random" or a file; ``result``: format of C, None: the partials'."""

    batch: int = 1
    transpose_a: bool = False
    transpose_b: bool = False
    bias: str | None = None
    activation: str = "none"
    result: str | None = None

    def text(self) -> str:
        """What follows the product, in words."""
        parts = ["bias"] * (self.bias is not None) + [self.activation] * (self.activation != "none")
        return "".join(f", {part}" for part in parts) + (f", as {self.result}" if self.result else "")


@dataclass(frozen=True)
class Options:
    """The command's options as typed."""

    m: int | None
    k: int | None
    n: int | None
    dtype: str
    chip: str
    a: Path | None
    b: Path | None
    out: Path | None
    seed: int
    threads: int | None
    report: ReportRequest | None
    as_json: bool
    form: Form = Form()
    check: bool = False
    plan_rank: int = 1


def operands(options: Options) -> tuple[Matrix, Matrix, Matrix | None, bool]:
    """A[batch, m, k], B[batch, k, n] (no batch where it is 1), bias[n] or None, and whether A and B are both random.

    Raises UsageError for anything that does not fit together.
    """
    form, dtype = options.form, DTYPES[options.dtype]
    if form.batch < 1:
        raise UsageError(f"--batch {form.batch}: it must be at least 1")
    a = _load("--a", options.a, dtype, form.batch, form.transpose_a)
    b = _load("--b", options.b, dtype, form.batch, form.transpose_b)
    rows_a, columns_a = a.shape[-2:] if a is not None else (None, None)
    rows_b, columns_b = b.shape[-2:] if b is not None else (None, None)
    m = matching("m", ("--m", options.m), (f"--a {options.a}", rows_a))
    k = matching("k", ("--k", options.k), (f"--a {options.a}", columns_a), (f"--b {options.b}", rows_b))
    n = matching("n", ("--n", options.n), (f"--b {options.b}", columns_b))
    _require_room(m, k, n, options)
    generator = np.random.default_rng(options.seed)
    both_random = a is None and b is None
    if a is None:
        a = _random(generator, form.batch, m, k, dtype)
    if b is None:
        b = _random(generator, form.batch, k, n, dtype)
    return a, b, _bias(options, generator, n), both_random


def _load(option: str, path: Path | None, dtype: type[np.floating[Any]], batch: int, transposed: bool) -> Matrix | None:
    """An operand from its file as [batch, rows, columns]."""
    if path is None:
        return None
    found = load_array(option, path, dtype, 2 if batch == 1 else 3)
    if batch > 1 and len(found) != batch:
        raise UsageError(f"{option} {path}: shape {found.shape} for a batch of {batch}")
    return found.swapaxes(-1, -2) if transposed else found


def _random(
    generator: np.random.Generator, batch: int, rows: int, columns: int, dtype: type[np.floating[Any]]
) -> Matrix:
    drawn = random_matrix(generator, batch * rows, columns, dtype)
    return drawn.reshape(batch, rows, columns) if batch > 1 else drawn


def _bias(options: Options, generator: np.random.Generator, n: int) -> Matrix | None:
    """The bias in the format of the partial sums: from a file, random, or none."""
    given = options.form.bias
    if given is None:
        return None
    kind: type[np.floating[Any]] = np.float16 if options.dtype == "f16" else np.float32
    if given == "random":
        return random_matrix(generator, 1, n, kind)[0]
    found = load_array("--bias", Path(given), kind, 1)
    if len(found) != n:
        raise UsageError(f"--bias {given}: {len(found)} values, n is {n}")
    return found


def _require_room(m: int, k: int, n: int, options: Options) -> None:
    """Refuse what cannot fit before operands are drawn: a product this large would first exhaust the host.

    Necessary only; the planner has the last word. Raises OutOfTileMemory.
    """
    chip, batch = load_chip(options.chip), options.form.batch
    operand = np.dtype(DTYPES[options.dtype]).itemsize
    result = 2 if options.dtype == "f16" else 4
    needed, available = batch * (operand * (m * k + k * n) + result * m * n), chip.tiles * chip.memory.size
    if needed > available:
        raise OutOfTileMemory(
            f"matmul {m} x {k} x {n} in {options.dtype}: operands and result take {needed / 2**20:,.0f} MiB, "
            f"{chip.name} has {available / 2**20:,.0f} MiB of SRAM"
        )


def run_matmul(options: Options) -> bool:
    """Run, check, print; True when the check passed and --check found nothing.

    Everything that can be refused is refused before the run.
    """
    if options.dtype not in DTYPES:
        raise UsageError(f"unknown dtype '{options.dtype}': choose one of {', '.join(DTYPES)}")
    load_chip(options.chip)
    if options.threads is not None and options.threads < 1:
        raise UsageError(f"--threads {options.threads}: it must be at least 1")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: it must not be negative")
    if options.plan_rank < 1:
        raise UsageError(f"--plan-rank {options.plan_rank}: 1 is the cheapest plan, 2 the second cheapest, and so on")
    given = operands(options)
    if options.out:
        require_writable(options.out)
    with Progress() as progress:
        progress("starting")
        result, summary, check, document = _measured(options, *given, progress)
        if options.out:
            with replacing(options.out) as file:
                np.save(file, result.out)
        if options.report:
            progress("writing the report")
            options.report.save(Report.of(document, result.recording, result.image))
    if options.as_json:
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(_text(document, result.plan.describe(), summary, check, options)))
        if result.findings is not None:
            print("\n".join(["", *result.findings.lines()]))
    return check.ok and not result.findings


def _measured(
    options: Options, a: Matrix, b: Matrix, bias: Matrix | None, both_random: bool, progress: Progress
) -> tuple[ContractionResult, Summary, Check, dict[str, Any]]:
    """The kernel's result with its figures, check and JSON object."""
    from kernels.check import Finish, check_matmul
    from kernels.matmul import matmul
    from kernels.outcome import run_document

    progress.watch_compiler()
    form, (m, k), n = options.form, a.shape[-2:], b.shape[-1]
    finish: dict[str, Any] = {"bias": bias, "activation": form.activation, "out": form.result}
    began = time.perf_counter()
    result = matmul(
        a,
        b,
        dtype=options.dtype,
        chip=options.chip,
        threads=options.threads,
        progress=progress,
        check=options.check,
        plan_rank=options.plan_rank,
        **timed_option(options.report),
        **finish,
    )
    wall = time.perf_counter() - began
    progress("checking against float64")
    splits, signs = int(result.plan.k_splits), both_random
    after = Finish(**finish)
    check = check_matmul(a, b, result.out, options.dtype, k_splits=splits, random_signs=signs, finish=after)
    macs = form.batch * m * k * n
    summary = summarise(result.recording, useful_macs=macs, dtype=options.dtype, sram_bytes=result.sram_bytes)
    head = {"kernel": "matmul", "batch": form.batch, "m": m, "k": k, "n": n, "dtype": options.dtype}
    head |= {"chip": options.chip, "seed": options.seed, "bias": bias is not None, "activation": form.activation}
    document = run_document(head, summary, check, wall, result)
    return result, summary, check, document


def timed_option(report: ReportRequest | None) -> dict[str, Any]:
    """The kernels' option ``timed``, where a report asks for tiles."""
    return {} if report is None else {"timed": report.timed}


def _text(document: Mapping[str, Any], plan: str, summary: Summary, check: Check, options: Options) -> list[str]:
    """The report for people."""
    chip = load_chip(options.chip)
    batch = f"{options.form.batch} times " if options.form.batch > 1 else ""
    lines = [
        f"matmul       {batch}C[{document['m']}, {document['n']}] = A[{document['m']}, {document['k']}] . "
        f"B[{document['k']}, {document['n']}]{options.form.text()}, {options.dtype}, on {chip.title}, "
        f"{chip.tiles:,} tiles",
        *report_lines(document, plan, summary, check),
    ]
    if options.out:
        lines += ["", f"wrote {options.out}"]
    if options.report:
        lines += ["", options.report.told()]
    return lines


def report_lines(document: Mapping[str, Any], plan: str, summary: Summary, check: Check) -> list[str]:
    """What is said of any kernel: plan, check, figures, supersteps, histogram."""
    emulation = document["emulation"]
    return [
        *_plan_lines(plan),
        f"check        {check.line()}",
        *summary.lines(),
        f"emulation    {emulation['wall_s']:.2f} s, {emulation['instructions']:,} instructions, "
        f"{emulation['instructions_per_s'] / 1e6:.1f} M instructions/s, "
        f"peak memory {emulation['peak_rss_bytes'] / 2**20:.0f} MiB",
        "",
        "supersteps, cycles",
        *(f"  {line}" for line in summary.superstep_lines()),
        "",
        "tiles by issue utilisation",
        *(f"  {line}" for line in summary.histogram.lines()),
    ]


def _plan_lines(plan: str) -> list[str]:
    """The planner's own words, one figure-laden line after another."""
    first, *rest = plan.splitlines()
    return [f"plan         {first}", *(f"             {line}" for line in rest)]

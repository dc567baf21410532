"""`tile-emu run NETWORK.LAYER` and `tile-emu network`: tables, jobs, results for people or as JSON."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.networks import Sizes, load_layer, load_network, select_layers
from kernels.networks.job import Job, operand_shapes, require_pass
from kernels.networks.layers import ELEMENT_BYTES, Layer, Network, layer_bytes
from kernels.networks.picture import read_input
from kernels.networks.weights import WeightFile, layer_weights
from tile_emu.chips import Chip, load_chip
from tile_emu.cli.listing import print_table
from tile_emu.cli.matmul import report_lines, timed_option
from tile_emu.cli.progress import Progress
from tile_emu.errors import UsageError
from tile_emu.profile.atomic import replacing, require_writable
from tile_emu.profile.network import LAYERS, save_network
from tile_emu.profile.report import Report
from tile_emu.profile.request import ReportRequest

if TYPE_CHECKING:
    from kernels.networks.execute import LayerRun


@dataclass(frozen=True)
class Choice:
    """The options that say which pass of a layer is meant, as typed."""

    batch: int
    seq: int | None
    heads: int | None
    direction: str
    dtype: str
    chip: str
    seed: int
    bare: bool
    tiles: int | None
    plan_rank: int = 1
    check: bool = False

    def sizes(self) -> Sizes:
        """What the tables are asked for."""
        return Sizes(self.batch, self.seq, self.heads)

    def require(self) -> Chip:
        """The chip. Raises UsageError for what cannot be meant, whatever the layer."""
        chip = load_chip(self.chip)
        require_pass(self.direction)
        if self.dtype not in ELEMENT_BYTES:
            raise UsageError(f"unknown dtype '{self.dtype}': choose one of {', '.join(ELEMENT_BYTES)}")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed}: it must not be negative")
        if self.tiles is not None and not 1 <= self.tiles <= chip.tiles:
            raise UsageError(f"--tiles {self.tiles}: {chip.name} has {chip.tiles} tiles")
        require_plan_rank(self.plan_rank)
        return chip

    def job(self, network: str, layer: Layer) -> Job:
        """The job; everything that can be refused is refused here. Raises UsageError."""
        chip = self.require()
        how = (self.direction, self.dtype, chip.name, self.seed, self.bare, self.tiles, self.plan_rank, self.check)
        return Job(network, layer, *how)


@dataclass(frozen=True)
class LayerOptions:
    """The options of `run NETWORK.LAYER` beyond the choice."""

    inputs: tuple[Path, ...]
    weights: Path | None
    encoder_layer: int
    out: Path | None
    threads: int | None
    report: ReportRequest | None
    as_json: bool


def run_layer(name: str, choice: Choice, options: LayerOptions) -> bool:
    """Run one pass of one layer, check, print; True when the check passed and --check found nothing."""
    network, layer = load_layer(name, choice.sizes())
    job = choice.job(network.name, layer)
    require_threads(options.threads)
    if options.out:
        require_writable(options.out)
    given = real_operands(job, options)
    with Progress() as progress:
        progress("starting")
        from kernels.networks.execute import run_job

        progress.watch_compiler()
        run = run_job(job, given, threads=options.threads, progress=progress, **timed_option(options.report))
        if options.out:
            with replacing(options.out) as file:
                np.save(file, run.result.out)
        if options.report:
            progress("writing the report")
            options.report.save(Report.of(run.document, run.result.recording, run.result.image))
    if options.as_json:
        print(json.dumps(run.document, indent=2))
    else:
        print("\n".join(_layer_text(job, run, options)))
    return run.check.ok and not run.result.findings


def real_operands(job: Job, options: LayerOptions) -> dict[str, Any]:
    """Operands from --input and --weights. Raises UsageError for what does not exist or does not fit."""
    given: dict[str, Any] = {}
    shapes = operand_shapes(job)
    if options.inputs:
        name = "x" if "x" in shapes else "a"
        if name not in shapes:
            raise UsageError(f"--input: pass {job.direction} has no input among its operands: {', '.join(shapes)}")
        given[name] = read_input(options.inputs, shapes[name])
    if options.encoder_layer and not options.weights:
        raise UsageError(f"--encoder-layer {options.encoder_layer}: it says which layer --weights is read for")
    if options.weights:
        layers = job.layer.count
        if not 0 <= options.encoder_layer < layers:
            raise UsageError(f"--encoder-layer {options.encoder_layer}: {job.name} is in layers 0 to {layers - 1}")
        found = layer_weights(WeightFile(options.weights), job.layer, options.encoder_layer)
        used = {name: array for name, array in found.items() if name in shapes}
        if not used:
            raise UsageError(f"--weights: pass {job.direction} has no weights among its operands: {', '.join(shapes)}")
        given |= used
    return given


def _layer_text(job: Job, run: LayerRun, options: LayerOptions) -> list[str]:
    chip = load_chip(job.chip)
    title = f"{job.name}, {job.direction}: {job.layer.shape_text(job.epilogue)}, {job.dtype}"
    lines = [
        f"{job.layer.kind:<12} {title}, on {chip.title}, {chip.tiles:,} tiles",
        *report_lines(run.document, run.result.plan.describe(), run.summary, run.check),
    ]
    if options.out:
        lines += ["", f"wrote {options.out}"]
    if options.report:
        lines += ["", options.report.told()]
    if run.result.findings is not None:
        lines += ["", *run.result.findings.lines()]
    return lines


# What is told of a layer alone, not in a network's document.
_OF_LAYERS = ("plans", "parts", "estimate")


@dataclass(frozen=True)
class NetworkOptions:
    """The options of `network` beyond the choice."""

    patterns: tuple[str, ...]
    processes: int
    threads: int | None
    fresh: bool
    listed: bool
    markdown: bool
    report: ReportRequest | None
    as_json: bool


def run_network(name: str, choice: Choice, options: NetworkOptions) -> bool:
    """Run the layers of a network and print the table; True when every layer ran and nothing was wrong with it."""
    network = load_network(name, choice.sizes())
    layers = select_layers(network, options.patterns)
    jobs = [choice.job(network.name, layer) for layer in layers]
    require_threads(options.threads)
    if options.processes < 1:
        raise UsageError(f"--jobs {options.processes}: it must be at least 1")
    if options.listed:
        _print_layers(jobs, options.as_json)
        return True
    began = time.perf_counter()
    with Progress() as progress:
        progress("starting")
        from kernels.networks.cache import ResultCache
        from kernels.networks.run import run_layers

        def tell(stage: str, share: float) -> None:
            """Only called when something is emulated: results from the cache need no compiler."""
            if options.processes == 1 and not progress.watches_compiler:
                progress.watch_compiler()
            progress(stage, share)

        try:
            documents = run_layers(
                jobs,
                processes=options.processes,
                threads=options.threads,
                cache=ResultCache(),
                fresh=options.fresh,
                progress=tell,
                reports=options.report.inside(LAYERS) if options.report else None,
            )
        except KeyboardInterrupt:
            kept = "the layers that were done are kept, without --fresh and --report they are not run again"
            raise KeyboardInterrupt(kept) from None
    _print_network(choice, network, documents, time.perf_counter() - began, options)
    return all(
        "error" not in document and document["check"]["ok"] and not document.get("findings", {"total": 0})["total"]
        for document in documents
    )


def _print_network(
    choice: Choice, network: Network, documents: Sequence[dict[str, Any]], elapsed: float, options: NetworkOptions
) -> None:
    from kernels.networks import table

    chip = load_chip(choice.chip)
    summed = table.totals(documents, chip, choice.dtype)
    emulation = table.emulation(documents, elapsed)
    head = {"network": network.name, **dataclasses.asdict(choice), "chip": chip.name}
    head["pass"] = head.pop("direction")
    layers = [{key: value for key, value in layer.items() if key not in _OF_LAYERS} for layer in documents]
    document = {**head, "layers": layers, "totals": summed, "emulation": emulation}
    if options.report:
        save_network(document, options.report.folder)
    if options.as_json:
        print(json.dumps(document, indent=2))
        return
    if options.markdown:
        print("\n".join(table.markdown(table.rows(table.distinct(documents), summed))))
        return
    rows = table.rows(documents, summed)
    print(f"{network.name}, {choice.direction}, batch {choice.batch}, {choice.dtype}, on {chip.title}\n")
    print("\n".join(table.aligned(rows)))
    print("\n" + "\n".join(table.footnotes(documents, summed, emulation)))
    if options.report:
        print(f"\n{options.report.told()}")


def _print_layers(jobs: Sequence[Job], as_json: bool) -> None:
    """The table of shapes, nothing run."""
    if as_json:
        print(json.dumps([job.head() for job in jobs], indent=2))
        return
    rows: list[tuple[str, ...]] = [
        (
            job.layer.name,
            str(job.layer.count),
            job.layer.shape_text(),
            f"{job.layer.macs / 1e6:,.1f}",
            f"{job.layer.weights:,}",
            f"{layer_bytes(job.layer, job.dtype) / 2**20:,.2f}",
        )
        for job in jobs
    ]
    print_table(("layer", "x", "shape", "M MAC", "weights", f"MiB in {jobs[0].dtype}"), rows)


def require_plan_rank(rank: int) -> None:
    """Raise UsageError for a rank below one."""
    if rank < 1:
        raise UsageError(f"--plan-rank {rank}: 1 is the cheapest plan, 2 the second cheapest, and so on")


def require_threads(threads: int | None) -> None:
    """Raise UsageError for a number of threads below one."""
    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads}: it must be at least 1")

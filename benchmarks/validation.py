"""The planner against the emulator, and the emulated convolutions against published measurements: tables as text."""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernels.convolution.geometry import Convolution
from kernels.networks import Sizes, load_network
from kernels.networks.cache import ResultCache
from kernels.networks.job import Job
from kernels.networks.run import run_layers
from tile_emu.chips import load_chip
from tile_emu.cli.progress import Progress
from tile_emu.errors import TileEmuError

PARTS = ("gather", "compute", "reduce_exchange", "reduce", "finish")
PUBLISHED = Path(__file__).resolve().parent / "published_convolutions.csv"


@dataclass(frozen=True)
class Prediction:
    """Cycles of one layer, predicted and emulated."""

    name: str
    predicted: int
    emulated: int
    parts: tuple[int, ...]

    @property
    def error(self) -> float:
        """Relative, of 1; negative where the planner is too low."""
        return self.predicted / self.emulated - 1


def predictions(documents: Iterable[dict[str, Any]], names: Iterable[str]) -> list[Prediction]:
    """What the documents of `run --json` say; layers that did not run are left out."""
    found = []
    for name, document in zip(names, documents):
        if "error" not in document:
            parts = tuple(int(document["plan"]["predicted"][part]) for part in PARTS)
            found.append(Prediction(name, sum(parts), int(document["cycles"]), parts))
    return found


def prediction_table(rows: Sequence[Prediction]) -> list[str]:
    """One line for each layer, then the median and the largest error."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'layer':<{width}}  predicted   emulated   error   " + "  ".join(f"{part:>15}" for part in PARTS)]
    for row in rows:
        parts = "  ".join(f"{part:>15,}" for part in row.parts)
        lines.append(
            f"{row.name:<{width}}  {row.predicted:>9,}  {row.emulated:>9,}  {100 * row.error:+5.1f} %  {parts}"
        )
    errors = [abs(row.error) for row in rows]
    lines.append(
        f"{len(rows)} layers: median error {100 * statistics.median(errors):.2f} %, largest {100 * max(errors):.2f} %"
    )
    return lines


def validate_planner(chip: str, patterns: Sequence[str], processes: int) -> bool:
    """Emulate the layers of ResNet-50 and BERT (known ones from the result cache) and print the table."""
    kept: list[tuple[Job, str]] = []
    for network, sizes, directions in (
        ("resnet50", Sizes(batch=1), ("fwd",)),
        ("resnet50", Sizes(batch=4), ("fwd", "bwd-data", "bwd-weights")),
        ("bert-base", Sizes(seq=128), ("fwd",)),
        ("bert-large", Sizes(seq=384), ("fwd",)),
    ):
        table = load_network(network, sizes)
        for direction in directions:
            for layer in table.layers:
                name = f"{table.name}.{layer.name}, {direction}, batch {sizes.batch}"
                if not patterns or any(pattern in name for pattern in patterns):
                    kept.append((Job(table.name, layer, direction, "f16", chip), name))
    with Progress() as progress:
        cache = ResultCache()
        documents = run_layers([job for job, _ in kept], processes=processes, cache=cache, progress=progress)
    rows = predictions(documents, [name for _, name in kept])
    print("\n".join(prediction_table(rows)))
    return statistics.median(abs(row.error) for row in rows) <= 0.05


@dataclass(frozen=True)
class Published:
    """A published rate of a forward convolution, TFLOPS."""

    name: str
    conv: Convolution
    tflops: float


def published(path: Path = PUBLISHED) -> list[Published]:
    """The rows of the table. The padding is not published: half the kernel is assumed, none for 11 x 11 (AlexNet)."""
    rows = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            kernel = (int(row["kernel_rows"]), int(row["kernel_columns"]))
            stride, groups = int(row["stride"]), int(row["groups"])
            margin = 0 if kernel == (11, 11) else (kernel[0] - 1) // 2
            sizes = (int(row[key]) for key in ("batch", "channels", "height", "width", "outputs"))
            conv = Convolution(*sizes, kernel, (stride, stride), (margin,) * 4, (1, 1), groups)
            rows.append(Published(row["name"], conv, float(row["tflops"])))
    return rows


def validate_convolution(chip: str, patterns: Sequence[str], planned: bool) -> bool:
    """Emulate the published convolutions (equal ones once) and print emulated over published rates."""
    rows = [row for row in published() if not patterns or any(pattern in row.name for pattern in patterns)]
    rates: dict[Convolution, float | None] = {}
    ratios = []
    print(f"{'layer':<24}  published  {'planned' if planned else 'emulated'}  ratio", flush=True)
    with Progress() as progress:
        for index, row in enumerate(rows):
            progress(f"{row.name} ({index + 1} of {len(rows)})", index / len(rows))
            if row.conv not in rates:
                rates[row.conv] = _rate(row.conv, chip, planned)
            rate = rates[row.conv]
            if rate is None:
                print(f"{row.name:<24}  {row.tflops:>9.2f}  does not fit the SRAM", flush=True)
                continue
            ratios.append(rate / row.tflops)
            print(f"{row.name:<24}  {row.tflops:>9.2f}  {rate:>8.2f}  {ratios[-1]:>5.2f}", flush=True)
    mean = math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))
    print(f"{len(ratios)} of {len(rows)} rows: geometric mean of the ratios {mean:.3f}, least {min(ratios):.3f}")
    return mean >= 1.0


def _rate(conv: Convolution, chip: str, planned: bool) -> float | None:
    """TFLOPS of the forward pass in f16, emulated or as the planner expects; None where it does not fit."""
    import numpy as np

    from kernels.convolution import plan_pass, run_pass

    random = np.random.default_rng(0)
    try:
        if planned:
            cycles = plan_pass(conv, "fwd", dtype="f16", chip=chip)[0].predicted.total
        else:
            shapes = {"x": conv.x_shape("NCHW"), "w": conv.w_shape}
            arrays = {name: random.standard_normal(shape, np.float32) for name, shape in shapes.items()}
            cycles = run_pass(conv, "fwd", arrays, chip=chip).recording.cycles
    except TileEmuError:
        return None
    return 2 * conv.macs / (cycles / load_chip(chip).clock_hz) / 1e12


def main(arguments: Sequence[str] | None = None) -> int:
    """``python benchmarks/validation.py planner|convolution``: 0 where the target is met, 1 where it is not."""
    parser = argparse.ArgumentParser(prog="python benchmarks/validation.py", description=__doc__)
    parser.add_argument("table", choices=("planner", "convolution"))
    parser.add_argument("--chip", help="default: bow for the planner, gc2 for the convolutions")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="rows whose name contains TEXT")
    parser.add_argument("--processes", type=int, default=1, help="layers emulated at a time (planner)")
    parser.add_argument("--planned", action="store_true", help="expected in place of emulated cycles (convolution)")
    options = parser.parse_args(arguments)
    if options.table == "planner":
        return 0 if validate_planner(options.chip or "bow", options.only, options.processes) else 1
    return 0 if validate_convolution(options.chip or "gc2", options.only, options.planned) else 1


if __name__ == "__main__":
    sys.exit(main())

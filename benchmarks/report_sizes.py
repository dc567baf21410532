"""Sizes and times of reports, a full-chip layer and a whole network, as a Markdown table.

    python benchmarks/report_sizes.py [--layer resnet50.conv3_2b] [--network resnet50] [--jobs 2] [--repeat 3]
        [--keep FOLDER]

Every command runs in a process of its own, as a user's would, without and with --report in turns; the time is the best
of --repeat (the network runs once each). Nothing is taken from the result cache. Bounds, from what the reports promise:
3 MB for the page of a layer, 15 MB for that of a network, 20 MB for the trace of a layer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

MAIN = (sys.executable, "-c", "import sys; from tile_emu.cli import main; sys.exit(main())")
FILES = ("report.html", "recording.npz", "summary.json", "trace.perfetto-trace")
HEAD = ("what", "without, s", "with, s", *FILES)


def seconds(arguments: Sequence[str]) -> float:
    """Wall time of a command; its failure ends the script."""
    began = time.perf_counter()
    done = subprocess.run([*MAIN, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


def measured(arguments: Sequence[str], folder: Path, repeat: int, more: Sequence[str] = ()) -> tuple[float, float]:
    """Best times without and with a report, in turns so that a change of the computer's load meets both."""
    plain, reported = [], []
    for _ in range(repeat):
        plain.append(seconds(arguments))
        reported.append(seconds([*arguments, "--report", str(folder), *more]))
    return min(plain), min(reported)


def size(folder: Path, name: str) -> str:
    """Size of a report's file; of a network, of all its layers' together where it has none of its own."""
    own = folder / name
    files = [own] if own.is_file() else list(folder.rglob(name))
    return f"{sum(file.stat().st_size for file in files) / 1e3:,.0f} kB"


def row(what: str, times: tuple[float, float], folder: Path) -> str:
    """A line of the table."""
    return f"| {what} | {times[0]:.1f} | {times[1]:.1f} | {' | '.join(size(folder, name) for name in FILES)} |"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", default="resnet50.conv3_2b")
    parser.add_argument("--network", default="resnet50", help="empty: none")
    parser.add_argument("--jobs", default="2", help="processes for the network")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder in which the reports stay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        seconds(["run", options.layer])  # compiles what must be compiled
        print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
        layer, network = folder / "layer", folder / "network"
        for what, more in (("", ()), (", all tiles timed", ("--report-tiles", "all,slowest"))):
            times = measured(["run", options.layer], layer, options.repeat, more)
            print(row(f"{options.layer}{what}", times, layer), flush=True)
        if options.network:
            arguments = ["network", options.network, "--fresh", "--jobs", options.jobs]
            print(row(f"{options.network}, {options.jobs} jobs", measured(arguments, network, 1), network), flush=True)


if __name__ == "__main__":
    main()

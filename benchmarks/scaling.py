"""How emulation time and memory grow, as Markdown tables: with tiles, with the batch, with threads; peak memory.

    python -m benchmarks.scaling [memory] [tiles] [batch] [threads]      (all of them by default)

Times are the least of three runs of ``Machine.run`` alone, in processor seconds of all threads and in wall seconds,
after one run that compiles; memory is the largest resident set of a process of its own for each layer.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from kernels.contraction.run import plan_and_lower
from kernels.networks import Sizes, load_layer
from kernels.networks.execute import emulate_prepared, job_choices, prepare
from kernels.networks.job import Job
from tile_emu.chips import load_chip
from tile_emu.graph import Image
from tile_emu.machine import Machine

LAYER = "resnet50.conv3_2b"
TILES = (64, 128, 256, 512, 1024, 1472)
BATCHES = (1, 2, 4, 8, 16)
MEMORY_LAYERS = (
    ("resnet50.conv1", 4, 128), ("resnet50.conv2_1b", 4, 128), ("resnet50.conv5_1c", 4, 128),
    ("bert-large.qkv", 1, 384), ("bert-large.scores", 1, 384), ("bert-large.ffn_up", 1, 384),
    ("bert-large.ffn_down", 1, 384), ("bert-large.ffn_up", 4, 512),
)  # fmt: skip
_ROUNDS = 3


def _measure(image: Image, threads: int | None) -> tuple[float, float, int]:
    """Least wall and processor seconds of a run, and its instructions."""
    machine = Machine("bow", image.tiles, threads)
    wall, cpu, instructions = [], [], 0
    for round_ in range(_ROUNDS + 1):
        machine.load(image)
        began, began_cpu = time.perf_counter(), time.process_time()
        recording = machine.run()
        if round_:
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - began_cpu)
        instructions = int(recording.instructions.sum())
    return min(wall), min(cpu), instructions


def _image(batch: int, tiles: int | None = None) -> tuple[Image, int]:
    """The layer lowered, and its MACs."""
    network, layer = load_layer(LAYER, Sizes(batch=batch))
    return plan_and_lower(job_choices(Job(network.name, layer)), load_chip("bow"), tiles=tiles)[1], layer.macs


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(heads) + " |")
    print("|" + " ---: |" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def _row(first: str, image: Image, macs: int, threads: int | None = 1) -> list[str]:
    wall, cpu, instructions = _measure(image, threads)
    return [first, f"{wall:.3f}", f"{cpu:.3f}", f"{instructions / 1e6:.2f}", f"{instructions / cpu / 1e6:.1f}",
            f"{macs / cpu / 1e6:,.0f}"]  # fmt: skip


_HEADS = ("wall s", "CPU s", "M instructions", "M instructions/CPU s", "M MAC/CPU s")


def by_tiles() -> None:
    """The same layer on more and more tiles."""
    print(f"{LAYER}, batch 1, on part of a Bow, one thread:\n")
    _table(("tiles", *_HEADS), [_row(str(tiles), *_image(1, tiles)) for tiles in TILES])


def by_batch() -> None:
    """More and more work on all tiles."""
    print(f"{LAYER} on a whole Bow, one thread:\n")
    _table(("batch", *_HEADS), [_row(str(batch), *_image(batch)) for batch in BATCHES])


def by_threads() -> None:
    """One and two threads."""
    print(f"{LAYER}, batch 16, on a whole Bow:\n")
    image, macs = _image(16)
    _table(("threads", *_HEADS), [_row(str(threads), image, macs, threads) for threads in (1, 2)])


def memory() -> None:
    """Peak memory of layers, each in a process of its own."""
    rows = []
    for name, batch, seq in MEMORY_LAYERS:
        rows.append((f"{name}, batch {batch}" + (f", seq {seq}" if "bert" in name else ""), _peak(name, batch, seq, 0)))
    rows.append(("resnet50.conv5_2a, 16 tiles", _peak("resnet50.conv5_2a", 1, 128, 16)))
    print("Peak resident set, MiB:\n")
    _table(("layer", "MiB"), rows)


def _peak(name: str, batch: int, seq: int, tiles: int) -> str:
    command = [sys.executable, "-m", "benchmarks.scaling", "--peak", name, str(batch), str(seq), str(tiles)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _print_peak(name: str, batch: int, seq: int, tiles: int) -> None:
    network, layer = load_layer(name, Sizes(batch=batch, seq=seq if "bert" in name else None))
    job = Job(network.name, layer, tiles=tiles or None)
    emulate_prepared(prepare(job))
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}")


# Memory first: to Linux a process has at least the peak of the one that started it.
PARTS: dict[str, Callable[[], None]] = {"memory": memory, "tiles": by_tiles, "batch": by_batch, "threads": by_threads}


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--peak"]:
        name, *numbers = arguments[1:]
        _print_peak(name, *(int(number) for number in numbers))
        return 0
    unknown = [name for name in arguments if name not in PARTS]
    if unknown:
        print(f"unknown part {unknown[0]}: choose among {', '.join(PARTS)}", file=sys.stderr)
        return 2
    with np.errstate(all="ignore"):
        for name in arguments or PARTS:
            PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A small report whose figures were worked out by hand; nothing of the emulator runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tests.recordings import small_recording
from tile_emu.chips import load_chip
from tile_emu.profile import Recording, summarise
from tile_emu.profile.listing import CodeListing
from tile_emu.profile.memory import SramMap
from tile_emu.profile.recording import columns
from tile_emu.profile.report import Report
from tile_emu.profile.traffic import Traffic


def small_document(**changed: Any) -> dict[str, Any]:
    """summary.json of the small recording."""
    sram = np.array([1000, 3000, 2000, 0])
    summary = summarise(small_recording(), useful_macs=11_776_000, dtype="f16", sram_bytes=sram)
    head = {"kernel": "matmul", "m": 8, "k": 16, "n": 4, "dtype": "f16", "chip": "bow"}
    plan = {"predicted": {"gather": 150, "multiply": 300}, "padding": 0.25}
    return {**head, **summary.to_dict(), "plan": plan, **changed}


def plan_choices() -> list[dict[str, Any]]:
    """Three plans as a kernel hands them over; the first was run."""
    wanted = (
        (1, "p2 o1", 2, {"gather": 150, "multiply": 300}, 150, 0.25),
        (2, "p3 o1", 3, {"gather": 200, "multiply": 295}, 200, 0.125),
        (3, "p1 o4", 4, {"gather": 90, "multiply": 500}, 90, 0.3),
    )
    return [
        {
            **{"rank": rank, "chosen": rank == 1, "division": division, "tiles": tiles},
            "predicted": {**parts, "total": sum(parts.values())},
            **{"exchange": exchange, "padding": padding, "sram_bytes": 2048 * rank},
        }
        for rank, division, tiles, parts, exchange, padding in wanted
    ]


def column(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def small_sram() -> SramMap:
    """Variables x (tiles 0..2, live until the first exchange), y (tiles 1 and 2, live to the end)."""
    live = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 1]], bool)
    return SramMap(
        names=("x", "y"),
        name_index=column([0, 0, 1, 0, 1]),
        shard=column([0, 1, 0, 2, 1]),
        tile=column([0, 1, 1, 2, 2]),
        address=column([0x4D000, 0x4D000, 0x80000, 0x4D000, 0x80000]),
        nbytes=column([600, 2000, 600, 600, 1000]),
        code=np.array([[200, 100, 60, 40]] * 4, np.int64),
        live=live,
        base=0x4C000,
        size=638_976,
    )


def small_listing() -> CodeListing:
    """Three words of two sources; the recording's fourth place stands for all others."""
    return CodeListing(
        base=0x4C000,
        word=column([0, 1, 2]),
        line=column([2, 3, 2]),
        file=column([0, 0, 1]),
        unit=column([0, 0, 1]),
        files=("alpha.S", "beta.S"),
        source=("// first\nworker: nop\nexitz $mzero\n", "// second\nbr $m10 // <script>&\n"),
        symbol=("worker", "worker", "beta"),
        text=("nop", "exitz $m15", "br $m10"),
    )


def small_report(**changed: Any) -> Report:
    """The whole report; ``changed`` replaces parts of the document."""
    runs = np.array([[0, 1, 0, 6, 5], [0, 1, 5, 11, 3], [2, 1, 0, 366, 6]], np.int64)
    recording = dataclasses.replace(small_recording(), worker_runs=runs)
    words = np.array([[[0, 250], [0, 0]], [[0, 0], [0, 0]]], np.int64)
    return Report(small_document(**changed), recording, small_sram(), small_listing(), Traffic(2, words))


def random_report(tiles: int = 1472, phases: int = 4, words: int = 40) -> Report:
    """A report of a whole chip in which every counter is another random number; its times are consistent."""
    random = np.random.default_rng(1)
    chip = load_chip("bow")
    names = tuple(f"phase {i}" for i in range(phases))
    blank = Recording.zeros(chip, tiles, names, tuple(f"exchange {i}" for i in range(phases - 1)), "test", words)
    data = {}
    for name, dims in columns():
        most = 1 << 40 if name == "executions" else 5000
        data[name] = random.integers(0, most, getattr(blank, name).shape)
        assert data[name].ndim == len(dims)
    for barrier in range(phases - 1):
        before = data["row_end"][barrier - 1] if barrier else np.zeros(tiles, np.int64)
        data["arrival"][barrier] += before
        data["release"][barrier] = data["arrival"][barrier].max() + 90
        data["row_end"][barrier] += data["release"][barrier]
    data["finish"] += data["row_end"][-1]
    recording = dataclasses.replace(blank, **data, worker_runs=np.array([[1, 7, 3, 6000, 40]], np.int64))
    summary = summarise(recording, useful_macs=10**9, dtype="f16", sram_bytes=np.array([1000]))
    document = {"kernel": "test", "dtype": "f16", "chip": "bow", **summary.to_dict()}
    blocks = 3 * tiles
    sram = SramMap(
        names=("x", "y", "z"),
        name_index=np.tile(np.arange(3), tiles),
        shard=np.repeat(np.arange(tiles), 3),
        tile=np.repeat(np.arange(tiles), 3),
        address=0x50000 + np.tile(np.arange(3) * 0x10000, tiles),
        nbytes=random.integers(1, 0x10000, blocks),
        code=random.integers(1, 2000, (tiles, 4)),
        live=random.integers(0, 2, (2 * phases - 1, 3)).astype(bool),
        base=0x4C000,
        size=638_976,
    )
    lines = np.arange(words)
    listing = CodeListing(
        base=0x4C000,
        word=lines,
        line=lines // 2 + 1,
        file=lines % 2,
        unit=lines % 2,
        files=("one.S", "two.S"),
        source=("\n".join(f"line {i}" for i in range(words)), "\n".join(f"row {i}" for i in range(words))),
        symbol=("start",) * words,
        text=("nop",) * words,
    )
    traffic = Traffic(32, random.integers(0, 10**6, (phases - 1, 46, 46)))
    return Report(document, recording, sram, listing, traffic)

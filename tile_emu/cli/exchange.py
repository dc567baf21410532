"""`tile-emu exchange`: a named pattern scheduled, run and checked; cycles against the bound."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tile_emu.chips import Chip, load_chip
from tile_emu.cli.progress import Progress
from tile_emu.errors import UsageError

if TYPE_CHECKING:
    from tile_emu.traffic import TrafficResult


@dataclass(frozen=True)
class Options:
    """The command's options as typed."""

    pattern: str
    nbytes: int
    chip: str
    tiles: int | None
    seed: int
    threads: int | None
    as_json: bool


def run_exchange(options: Options) -> bool:
    """Run, check, print; True when every word arrived where it should."""
    chip = load_chip(options.chip)
    tiles = chip.tiles if options.tiles is None else options.tiles
    if not 2 <= tiles <= chip.tiles:
        raise UsageError(f"--tiles {tiles}: {chip.name} has {chip.tiles} tiles and an exchange needs at least 2")
    if options.threads is not None and options.threads < 1:
        raise UsageError(f"--threads {options.threads}: it must be at least 1")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: it must not be negative")
    with Progress() as progress:
        progress("starting")
        from tile_emu.exchange.patterns import PATTERNS, pattern_copies
        from tile_emu.traffic import run_traffic

        copies = pattern_copies(options.pattern, tiles, options.nbytes, options.seed)
        progress.watch_compiler()
        result = run_traffic(chip, tiles, copies, options.seed, options.threads, progress)
    document = _document(options, tiles, result)
    if options.as_json:
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(_text(document, chip, PATTERNS[options.pattern].summary)))
    return result.wrong_words == 0


def _document(options: Options, tiles: int, result: TrafficResult) -> dict[str, Any]:
    """The object of ``--json``."""
    recording, received = result.recording, result.received_bytes
    return {
        "pattern": options.pattern,
        "bytes": options.nbytes,
        "chip": options.chip,
        "tiles": tiles,
        "seed": options.seed,
        "cycles": result.cycles,
        "bound": result.bound,
        "ratio": result.cycles / result.bound,
        "word_bound": result.word_bound,
        "bytes_per_cycle_per_tile": result.bytes_per_cycle_per_tile,
        "bytes_per_cycle_busiest_tile": int(received.max()) / result.cycles,
        "row_bytes_max": int(result.row_bytes.max()),
        "row_bytes_mean": float(result.row_bytes.mean()),
        "sync_cycles": int(recording.sync_cycles[0]),
        "superstep_cycles": recording.cycles,
        "copies": result.copies,
        "transfers": result.transfers,
        "words": {"sent": int(recording.sent.sum()), "received": int(recording.received.sum())},
        "check": {"ok": result.wrong_words == 0, "wrong_words": result.wrong_words},
        "timing_model": recording.model,
        "emulation": {"lower_s": result.lower_seconds, "run_s": result.run_seconds},
    }


def _text(document: dict[str, Any], chip: Chip, summary: str) -> list[str]:
    """The report for people."""
    words, emulation = document["words"], document["emulation"]
    wrong = document["check"]["wrong_words"]
    aggregate = document["bytes_per_cycle_per_tile"] * document["tiles"] * chip.clock_hz
    return [
        f"exchange     {document['pattern']}, {document['bytes']:,} B per tile, on {chip.title}, "
        f"{document['tiles']:,} tiles",
        f"             {summary}",
        f"check        {'ok' if not wrong else 'FAILED'}, "
        + (f"all {words['received']:,} words received are right" if not wrong else f"{wrong:,} words are wrong"),
        f"cycles       {document['cycles']:,} from the barrier's release to the end of the last row; with it and the "
        f"barrier {document['superstep_cycles']:,}",
        f"bound        {document['bound']:,} ({document['word_bound']:,} words through the busiest tile, "
        "two at a time to whole pairs of tiles; the fabric, call and return)",
        f"ratio        {document['ratio']:.3f}",
        f"rate         {document['bytes_per_cycle_per_tile']:.3f} B per cycle and tile received (mean), "
        f"{document['bytes_per_cycle_busiest_tile']:.3f} by the busiest; {aggregate / 1e9:,.1f} GB/s on the chip",
        f"rows         {document['row_bytes_max']:,} B of code at most, {document['row_bytes_mean']:,.0f} B mean; "
        f"{document['copies']:,} copies in {document['transfers']:,} transfers",
        f"emulation    {emulation['lower_s']:.2f} s to schedule, {emulation['run_s']:.2f} s to run and check",
    ]

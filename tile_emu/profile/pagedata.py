"""What report.html is drawn from: one JSON object, its arrays compressed inside it."""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips.topology import physical_ids
from tile_emu.profile.analysis import FABRIC_BYTES, SRAM_BYTES, roofline, stretches
from tile_emu.profile.memory import CODE_PARTS
from tile_emu.profile.recording import I64, Column, Recording, column_table
from tile_emu.profile.report import Report

# Counters offered for the tiles, by column, with the words a legend has room for.
_COUNTERS = {
    "turns": "worker turns",
    "worker_busy": "cycles with workers running",
    "supervisor_busy": "cycles of the supervisor alone",
    "instructions": "instructions",
    "amp": "AMP instructions",
    "slic": "SLIC instructions",
    "macs": "MACs",
    "f16_operations": "f16 operations",
    "f32_operations": "f32 operations",
    "bytes_loaded": "bytes loaded",
    "bytes_stored": "bytes stored",
    "launches": "launches",
    "wait_cycles": "cycles waited for the barrier",
    "sent": "words sent",
    "received": "words received",
    "send_cycles": "cycles sending",
    "receive_cycles": "cycles receiving",
    "exchange_idle": "cycles idle in the exchange",
}
# Shares of 1: the counter that is divided, by "cycles" (of the superstep, or all of the program) or by "turns".
_SHARES = (
    ("turns", "cycles", "issue utilisation", "turns used / turns available in the superstep's or the program's cycles"),
    ("amp", "turns", "AMP utilisation", "AMP instructions / turns used"),
    ("worker_busy", "cycles", "time with workers running", "cycles with workers running / cycles"),
)
_DERIVED = {
    "supervisor_busy": Column("CT", "cycles of compute phases in which no launch was under way"),
    "wait_cycles": Column("BT", "cycles from the tile's arrival at the barrier to its release"),
    "exchange_idle": Column("BT", "cycles of the exchange in which the tile neither sent nor stored"),
}


def packed(values: NDArray[Any]) -> dict[str, Any]:
    """An integer array as text: int32, byte planes apart, deflated; counts beyond 32 bits as high and low words."""
    flat = np.ascontiguousarray(values, np.int64).ravel()
    wide = bool(flat.size) and not (-(1 << 31) <= int(flat.min()) and int(flat.max()) < 1 << 31)
    words = np.concatenate([flat >> 32, flat & 0xFFFFFFFF]).astype(np.uint32) if wide else flat.astype("<i4")
    planes = words.astype("<u4" if wide else "<i4").view(np.uint8).reshape(-1, 4).T
    data = zlib.compress(np.ascontiguousarray(planes).tobytes(), 9)
    return {"wide": wide, "data": base64.b64encode(data).decode()}


def page_data(report: Report) -> dict[str, Any]:
    """The object; see page/*.js for who reads what."""
    recording = report.recording
    data: dict[str, Any] = {
        "tiles": recording.tiles,
        "cycles": recording.cycles,
        "turn": recording.chip.timing.worker_turn,
        "workers": recording.chip.worker_contexts,
        "chip": _grid(recording),
        "computeNames": recording.compute_names,
        "exchangeNames": recording.exchange_names,
        "computeCycles": recording.compute_cycles.tolist(),
        "releases": recording.release.tolist(),
        "stretches": [asdict(stretch) for stretch in stretches(report)],
        "counters": _counters(recording),
        "sampled": sorted({int(tile) for tile in recording.worker_runs[:, 1]}),
        "roofline": _roofline(report),
        "slowTiles": recording.slow_tiles(),
        "firstTile": _first_tile(recording),
        "words": recording.words,
        "arrays": {name: packed(values) for name, values in _arrays(report).items()},
    }
    for name, part in (("sram", _sram(report)), ("listing", _listing(report)), ("traffic", _traffic(report))):
        data[name] = part
    return data


def _roofline(report: Report) -> dict[str, Any] | None:
    """What the roofline is drawn from: MACs a cycle, and of each traffic its name, MACs a byte and bytes a cycle."""
    roof = roofline(report)
    if roof is None:
        return None
    traffics = (("SRAM", roof.macs_per_sram_byte, SRAM_BYTES), ("exchange", roof.macs_per_exchange_byte, FABRIC_BYTES))
    known = [{"name": n, "intensity": i, "bytes": b} for n, i, b in traffics if i != float("inf")]
    return {"reached": roof.macs_per_cycle, "peak": roof.peak, "traffics": known}


def _first_tile(recording: Recording) -> int:
    """The tile shown at first: one that held the chip up and was timed, else the busiest timed one, else of all."""
    busy = recording.worker_busy.sum(axis=0)
    timed = np.unique(recording.worker_runs[:, 1])
    slow = [tile for tile in recording.slow_tiles() if tile in timed]
    if slow:
        return slow[0]
    return int(timed[busy[timed].argmax()] if len(timed) else busy.argmax())


def _grid(recording: Recording) -> dict[str, int]:
    exchange = recording.chip.exchange
    return {"rows": exchange.rows, "columns": exchange.columns, "lanes": exchange.lanes}


def places(recording: Recording) -> I64:
    """i64[tiles of the chip]: (row * columns + column) * lanes + lane of every tile."""
    physical = physical_ids(recording.chip).astype(np.int64)
    grid = recording.chip.exchange
    row, column, lane = physical >> 6, (physical >> 2) & 15, physical & 3
    return (row * grid.columns + column) * grid.lanes + lane


def _counters(recording: Recording) -> list[dict[str, Any]]:
    """What can be shown of every tile: shares first, then counts."""
    shares = [
        {"name": name, "per": per, "label": label, "meaning": meaning, "exchange": False}
        for name, per, label, meaning in _SHARES
        if name not in recording.missing
    ]
    return shares + [_counter(name) for name in _COUNTERS if name not in recording.missing]


def _counter(name: str) -> dict[str, Any]:
    column = _DERIVED.get(name) or column_table()[name]
    return {
        "name": name,
        "per": "",
        "label": _COUNTERS[name],
        "meaning": column.meaning,
        "exchange": column.dims[0] == "B",
    }


def _arrays(report: Report) -> dict[str, NDArray[Any]]:
    recording = report.recording
    arrays: dict[str, NDArray[Any]] = {name: getattr(recording, name) for name in _COUNTERS}
    arrays |= {"start": recording.tile_start, "end": recording.tile_end, "runs": recording.worker_runs}
    arrays |= {"place": places(recording), "worker_turns": recording.worker_turns}
    if report.listing is not None:
        names = ("executions", "extra_turns", "supervisor_executions")
        arrays |= {name: getattr(recording, name) for name in names}
        arrays |= {"code_word": report.listing.word, "code_line": report.listing.line, "code_file": report.listing.file}
    if report.traffic is not None:
        arrays["traffic"] = report.traffic.words
    if report.sram is not None:
        sram = report.sram
        arrays |= {"sram_name": sram.name_index, "sram_tile": sram.tile, "sram_address": sram.address}
        arrays |= {"sram_bytes": sram.nbytes, "sram_code": sram.code, "live": sram.live_bytes()}
    return arrays


def _sram(report: Report) -> dict[str, Any] | None:
    sram = report.sram
    if sram is None:
        return None
    return {
        "names": sram.names,
        "codeParts": CODE_PARTS,
        "base": sram.base,
        "size": sram.size,
        "steps": len(sram.live),
    }


def _listing(report: Report) -> dict[str, Any] | None:
    listing = report.listing
    return None if listing is None else {"files": listing.files, "source": listing.source}


def _traffic(report: Report) -> dict[str, Any] | None:
    traffic = report.traffic
    return None if traffic is None else {"groups": traffic.words.shape[1], "groupTiles": traffic.group_tiles}

"""Why a run took its cycles: supersteps with the tile that held them up, and the roofline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tile_emu.profile.listing import codelet_uses
from tile_emu.profile.recording import Recording
from tile_emu.profile.report import Report

FABRIC_BYTES = 8  # a tile stores at most one item a cycle from the fabric, of one word or two (exchange/schedule.py)
# Most that one instruction reads and writes (two 64-bit loads and a 64-bit store); a tile issues one a cycle.
SRAM_BYTES = 24


@dataclass(frozen=True)
class Stretch:
    """One superstep's compute, sync or exchange at chip level, the tile that held it up, and why."""

    kind: str
    name: str
    phase: int  # compute phase, or barrier
    start: int
    cycles: int
    tile: int  # the last tile to arrive, or to leave its row; the first to arrive for a sync
    why: str


def stretches(report: Report) -> Iterator[Stretch]:
    """All stretches in program order; those of no cycles too."""
    recording = report.recording
    codelets = _main_codelets(report)
    at = 0
    for phase, name in enumerate(recording.compute_names):
        cycles = int(recording.compute_cycles[phase])
        tile = int(recording.tile_end[phase].argmax())
        why = _why_compute(recording, phase, tile, codelets.get(phase, ""))
        yield Stretch("compute", name, phase, at, cycles, tile, why)
        at += cycles
        if phase < len(recording.exchange_names):
            label = recording.exchange_names[phase]
            yield _sync(recording, phase, label, at)
            at = int(recording.release[phase])
            yield _exchange(report, phase, label, at)
            at = int(recording.exchange_end[phase])


def slowest(report: Report, count: int = 10) -> list[Stretch]:
    """The longest stretches, the longest first; of equal ones the earlier first."""
    return sorted((s for s in stretches(report) if s.cycles), key=lambda s: -s.cycles)[:count]


def _main_codelets(report: Report) -> dict[int, str]:
    """The codelet with the most turns of every compute phase."""
    best: dict[int, tuple[int, str]] = {}
    if report.listing is not None:
        for use in codelet_uses(report.recording, report.listing):
            best[use.phase] = max(best.get(use.phase, (0, "")), (use.turns, use.name))
    return {phase: name for phase, (turns, name) in best.items() if turns}


def _why_compute(recording: Recording, phase: int, tile: int, codelet: str) -> str:
    elapsed = int(recording.tile_end[phase, tile] - recording.tile_start[phase, tile])
    busy = int(recording.worker_busy[phase, tile])
    if not busy:
        return "no vertices: the supervisor's own instructions"
    turns = recording.worker_turns[phase, tile]
    share, slowest_worker = 100 * busy / elapsed, int(turns.argmax())
    late = elapsed - busy
    worker = f", worker {slowest_worker} the busiest" if len(set(turns.tolist())) > 1 else ""
    by = f" in {codelet}" if codelet else ""
    return f"workers {busy:,} cycles ({share:.0f} %){by}{worker}; supervisor alone {late:,}"


def _sync(recording: Recording, phase: int, name: str, at: int) -> Stretch:
    cycles, first = int(recording.sync_cycles[phase]), int(recording.arrival[phase].argmin())
    waited = int(recording.release[phase] - recording.arrival[phase, first])
    return Stretch("sync", name, phase, at, cycles, first, f"barrier; the first tile there waited {waited:,} cycles")


def _exchange(report: Report, phase: int, name: str, at: int) -> Stretch:
    recording = report.recording
    cycles, tile = int(recording.exchange_cycles[phase]), int(recording.row_end[phase].argmax())
    if not recording.sent[phase].any():
        return Stretch("exchange", name, phase, at, cycles, tile, "no words")
    receive, send = recording.receive_cycles[phase], recording.send_cycles[phase]
    receiver, sender = int(receive.argmax()), int(send.argmax())
    if receive[receiver] >= send[sender]:
        busiest, verb, most, words = receiver, "receives", int(receive[receiver]), recording.received[phase]
    else:
        busiest, verb, most, words = sender, "sends", int(send[sender]), recording.sent[phase]
    share = 100 * most / cycles if cycles else 0
    why = f"tile {busiest} {verb} {int(words[busiest]):,} words in {most:,} cycles ({share:.0f} %)"
    if share < 75:
        why += "; the rest is path, gaps and waiting for others"
    return Stretch("exchange", name, phase, at, cycles, tile, why)


@dataclass(frozen=True)
class Roofline:
    """Rates of an average tile of the chip, a cycle, and the bounds its traffic sets, in MAC a cycle."""

    macs_per_cycle: float  # useful MACs
    peak: int
    sram_bytes_per_cycle: float
    exchange_bytes_per_cycle: float
    macs_per_sram_byte: float
    macs_per_exchange_byte: float

    @property
    def sram_bound(self) -> float:
        """At this many MACs a byte, what SRAM can feed."""
        return self.macs_per_sram_byte * SRAM_BYTES

    @property
    def exchange_bound(self) -> float:
        """At this many MACs a byte, what the fabric can feed."""
        return self.macs_per_exchange_byte * FABRIC_BYTES

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values; None for the intensity of a traffic that there was not."""
        plain = {name: value if value != float("inf") else None for name, value in self.__dict__.items()}
        return {**plain, "limit": self.limit}

    @property
    def limit(self) -> str:
        """The lowest of the three roofs."""
        roofs = {"the AMP units": float(self.peak), "SRAM": self.sram_bound, "the exchange": self.exchange_bound}
        return min(roofs, key=lambda name: roofs[name])


def roofline(report: Report) -> Roofline | None:
    """None when nothing was multiplied, or the report does not say what was useful."""
    recording, document = report.recording, report.document
    tiles, cycles = recording.chip.tiles, recording.cycles
    peak = recording.chip.macs_per_cycle.get(str(document.get("dtype", "f16")), 0)
    share = document.get("utilisation", {}).get("mac", 0)
    macs = share * peak * tiles * cycles
    if not macs or "bytes_loaded" in recording.missing:
        return None
    sram = int(recording.bytes_loaded.sum() + recording.bytes_stored.sum())
    exchanged = 4 * int(recording.received.sum())
    return Roofline(
        macs_per_cycle=macs / (tiles * cycles),
        peak=peak,
        sram_bytes_per_cycle=sram / (tiles * cycles),
        exchange_bytes_per_cycle=exchanged / (tiles * cycles),
        macs_per_sram_byte=macs / sram if sram else float("inf"),
        macs_per_exchange_byte=macs / exchanged if exchanged else float("inf"),
    )


def predicted_cycles(plan: Any) -> dict[str, int]:
    """The plan's predicted cycles by part, and their ``total``; empty when a report has none."""
    predicted = plan.get("predicted") if isinstance(plan, Mapping) else None
    if not isinstance(predicted, Mapping):
        return {}
    parts = {name: int(value) for name, value in predicted.items() if isinstance(value, (int, float))}
    return parts if "total" in parts else {**parts, "total": sum(parts.values())}

"""The summary: a recording boiled down to the figures a person asks for first.

Definitions (T_u = tiles used: those on which a worker issued at least one bundle; cycles = the whole program's):

    issue utilisation  turns used / turns available          available = T_u * workers * cycles / cycles per turn
    AMP utilisation    AMP instructions / turns used
    MAC efficiency     useful MACs / (all tiles of the chip * peak MAC per tile and cycle at this dtype * cycles)
    tile balance       mean / max busy cycles over T_u       busy = its busiest worker's cycles, summed over the phases
    peak share         TFLOPS reached / the chip's TFLOPS at this dtype and clock; equal to MAC efficiency while the
                       chip's clock is the one that both are reckoned with

Useful MACs are those of the mathematics (M * K * N), so padding and replication count against MAC efficiency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tile_emu.profile.recording import Recording
from tile_emu.profile.text import kib, percent, seconds

_BAR = 40  # characters of the longest histogram bar
_BINS = 10
_SUPERSTEPS_SHOWN = 12


@dataclass(frozen=True)
class Superstep:
    """One chip-level stretch of the program."""

    kind: str  # compute | sync | exchange
    name: str
    cycles: int


@dataclass(frozen=True)
class Histogram:
    """Tiles used by their issue utilisation; ``edges`` has one more entry than ``counts``. Shares of 1."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    idle: int  # tiles of the chip on which no worker issued anything

    def lines(self) -> list[str]:
        """One text line for each bin, the idle tiles first (without a bar: they would dwarf the rest)."""
        most = max(*self.counts, 1)
        rows = [("idle", "", self.idle)]
        for low, high, count in zip(self.edges, self.edges[1:], self.counts):
            rows.append((f"{100 * low:.3g}..{100 * high:.3g} %", "#" * _bar(count, most), count))
        width = max(len(label) for label, _, _ in rows)
        return [f"{label:>{width}}  {bar:<{_BAR}}  {count:,}" for label, bar, count in rows]


def _bar(count: int, most: int) -> int:
    """Length of a bar; a bin that holds anything shows at least one character."""
    return max(round(_BAR * count / most), 1 if count else 0)


@dataclass(frozen=True)
class Summary:
    """Figures of one run; cycles are tile clock cycles, memory is bytes, shares are of 1."""

    chip: str
    dtype: str
    model: str  # version of the timing model
    cycles: int
    seconds_on_chip: float
    tflops: float
    peak_tflops: float
    peak_share: float
    tiles: int  # of the chip
    tiles_used: int
    compute_cycles: int
    exchange_cycles: int
    sync_cycles: int
    issue_utilisation: float
    amp_utilisation: float
    mac_efficiency: float
    tile_balance: float
    sram_max_bytes: int
    sram_mean_bytes: float
    sram_size_bytes: int
    instructions: int
    words_sent: int
    words_received: int
    supersteps: tuple[Superstep, ...]
    histogram: Histogram

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, under the keys of ``tile-emu run --json``."""
        return {
            "cycles": self.cycles,
            "seconds_on_chip": self.seconds_on_chip,
            "tflops": self.tflops,
            "peak_share": self.peak_share,
            "tiles_used": self.tiles_used,
            "phases": {"compute": self.compute_cycles, "exchange": self.exchange_cycles, "sync": self.sync_cycles},
            "utilisation": {
                "issue": self.issue_utilisation,
                "amp": self.amp_utilisation,
                "mac": self.mac_efficiency,
                "balance": self.tile_balance,
            },
            "sram": {"max_bytes": self.sram_max_bytes, "mean_bytes": self.sram_mean_bytes},
            "supersteps": [{"kind": s.kind, "name": s.name, "cycles": s.cycles} for s in self.supersteps],
            "words": {"sent": self.words_sent, "received": self.words_received},
            "timing_model": self.model,
        }

    def lines(self) -> list[str]:
        """The text report, one line each, without the histogram."""
        return [
            f"cycles       {self.cycles:,} ({seconds(self.seconds_on_chip)} at the chip's clock)",
            f"rate         {self.tflops:.4g} TFLOPS, {percent(self.peak_share)} of the {self.dtype} peak "
            f"({self.peak_tflops:.1f} TFLOPS)",
            "phases       "
            + ", ".join(
                f"{kind} {cycles:,} ({percent(cycles / self.cycles if self.cycles else 0.0)})"
                for kind, cycles in (
                    ("compute", self.compute_cycles),
                    ("exchange", self.exchange_cycles),
                    ("sync", self.sync_cycles),
                )
            ),
            f"tiles        {self.tiles_used:,} of {self.tiles:,} used, tile balance {percent(self.tile_balance)}",
            f"utilisation  issue {percent(self.issue_utilisation)} (turns used / available), "
            f"AMP {percent(self.amp_utilisation)} (AMP instructions / turns)",
            f"efficiency   MAC {percent(self.mac_efficiency)} (useful MACs / peak of the whole chip)",
            f"SRAM         max {kib(self.sram_max_bytes)}, mean {kib(self.sram_mean_bytes)} "
            f"of {kib(self.sram_size_bytes)} per tile",
            f"exchange     {4 * self.words_sent:,} B sent, {4 * self.words_received:,} B received",
        ]

    def superstep_lines(self) -> list[str]:
        """The longest compute and exchange phases in program order, one text line each."""
        named = [(i, s) for i, s in enumerate(self.supersteps) if s.kind != "sync" and s.cycles]
        shown = sorted(sorted(named, key=lambda item: -item[1].cycles)[:_SUPERSTEPS_SHOWN])
        lines = [f"{s.kind:<8}  {s.cycles:>12,}  {s.name or '(no vertices)'}" for _, s in shown]
        if len(named) > len(shown):
            lines.append(f"({len(named) - len(shown)} shorter ones not shown)")
        return lines


def summarise(
    recording: Recording, *, useful_macs: int, dtype: str, sram_bytes: npt.NDArray[np.integer[Any]]
) -> Summary:
    """Boil a recording down.

    ``useful_macs`` MACs of the mathematics; ``dtype`` one of the chip's ``macs_per_cycle`` keys; ``sram_bytes[tiles]``
    bytes placed on each tile (variables, code, rows, vertex states): max and mean are over the tiles that the program
    was laid out on, which may be fewer than the chip has.
    """
    chip, cycles = recording.chip, recording.cycles
    turns = recording.turns.sum(axis=0)
    used = turns > 0
    tiles_used = int(used.sum())
    turns_used = int(turns.sum())
    per_tile_turns = chip.worker_contexts * cycles / chip.timing.worker_turn
    busy = recording.worker_busy.sum(axis=0)[used]
    seconds = cycles / chip.clock_hz
    peak_macs_per_cycle = chip.tiles * chip.macs_per_cycle[dtype]
    peak_tflops = 2 * peak_macs_per_cycle * chip.clock_hz / 1e12
    tflops = _ratio(2 * useful_macs / 1e12, seconds)
    return Summary(
        chip=chip.name,
        dtype=dtype,
        model=recording.model,
        cycles=cycles,
        seconds_on_chip=seconds,
        tflops=tflops,
        peak_tflops=peak_tflops,
        peak_share=tflops / peak_tflops,
        tiles=chip.tiles,
        tiles_used=tiles_used,
        compute_cycles=int(recording.compute_cycles.sum()),
        exchange_cycles=int(recording.exchange_cycles.sum()),
        sync_cycles=int(recording.sync_cycles.sum()),
        issue_utilisation=_ratio(turns_used, tiles_used * per_tile_turns),
        amp_utilisation=_ratio(int(recording.amp.sum()), turns_used),
        mac_efficiency=_ratio(useful_macs, peak_macs_per_cycle * cycles),
        tile_balance=_ratio(float(busy.mean()), float(busy.max())) if tiles_used else 0.0,
        sram_max_bytes=int(sram_bytes.max(initial=0)),
        sram_mean_bytes=float(sram_bytes.mean()) if sram_bytes.size else 0.0,
        sram_size_bytes=chip.memory.size,
        instructions=int(recording.instructions.sum()),
        words_sent=int(recording.sent.sum()),
        words_received=int(recording.received.sum()),
        supersteps=_supersteps(recording),
        histogram=_histogram(turns[used] / per_tile_turns if cycles else np.zeros(0), chip.tiles - tiles_used),
    )


def _supersteps(recording: Recording) -> tuple[Superstep, ...]:
    """Compute, sync and exchange stretches in program order."""
    compute, sync, exchange = recording.compute_cycles, recording.sync_cycles, recording.exchange_cycles
    steps = []
    for index, name in enumerate(recording.compute_names):
        steps.append(Superstep("compute", name, int(compute[index])))
        if index < len(recording.exchange_names):
            after = recording.exchange_names[index]
            steps.append(Superstep("sync", after, int(sync[index])))
            steps.append(Superstep("exchange", after, int(exchange[index])))
    return tuple(steps)


def _histogram(utilisation: npt.NDArray[np.float64], idle: int) -> Histogram:
    """Ten equal bins from zero to the first of 1, 2, 5, 10, 20, 50, 100 % that holds every tile."""
    highest = float(utilisation.max(initial=0.0))
    top = next((edge for edge in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if highest <= edge), 1.0)
    counts, edges = np.histogram(np.minimum(utilisation, top), bins=_BINS, range=(0.0, top))
    return Histogram(tuple(float(edge) for edge in edges), tuple(int(count) for count in counts), idle)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

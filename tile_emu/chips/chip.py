"""The chip description and its loader."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any

from tile_emu.chips.whatif import split_name, with_figures
from tile_emu.errors import UsageError


@dataclass(frozen=True)
class Memory:
    """Tile SRAM. All values in bytes; addresses are tile byte addresses."""

    base: int  # first byte
    size: int
    interleaved_base: int  # start of region 1 (data only, two banks interleaved on address bit 3)
    element_bytes: int  # one bank; in region 1 two of them form a block of twice this size

    @property
    def end(self) -> int:
        """First address past the SRAM."""
        return self.base + self.size


@dataclass(frozen=True)
class SupervisorTiming:
    """Supervisor costs in tile cycles (fitted, isa semantics 14.2)."""

    result_latency: int  # issue of a producer to issue of a dependent instruction
    taken_branch: int  # issue of a taken branch, call or br to the next issue
    put: int  # put to a CSR
    launch: int  # runall issue to the first possible worker turn
    local_sync: int  # last worker exit to the instruction after sync 2


@dataclass(frozen=True)
class Timing:
    """Tile and chip timing in tile cycles."""

    worker_turn: int  # cycles between two bundles of one worker
    sync_release: int  # chip barrier: last arrival to release of every tile
    supervisor: SupervisorTiming


@dataclass(frozen=True)
class Exchange:
    """Fabric layout and delays; the formula is in tile_emu.exchange.fabric."""

    rows: int  # islands per column
    columns: int
    lanes: int  # tiles per island
    store_offset: int  # mux sample event to store event, row 0
    row_delay: int  # further events per row of the destination
    drain: int  # events a receiver's row must last after its last store event
    neutral_mux: int  # mux value that selects nobody


@dataclass(frozen=True)
class Chip:
    """One emulated chip type."""

    name: str
    title: str
    architecture: str  # "ipu1" | "ipu2" | "ipu21": which instruction forms exist
    tiles: int
    clock_hz: float
    worker_contexts: int
    amp_sets: int  # sets of 8 AMP units: 1 on ipu1, 2 later
    macs_per_cycle: dict[str, int]  # per tile; keys f16, f16f32, f32
    memory: Memory
    timing: Timing
    exchange: Exchange

    @property
    def weight_slots(self) -> int:
        """64-bit slots of the common weight store: 4 per AMP unit."""
        return 32 * self.amp_sets

    @property
    def accumulators(self) -> int:
        """Accumulators per worker: 2 per AMP unit."""
        return 16 * self.amp_sets


_KNOWN = ("gc2", "gc200", "bow", "ipu21")


def chip_names() -> tuple[str, ...]:
    """Names accepted by :func:`load_chip`, oldest chip first."""
    return _KNOWN


@functools.cache
def load_chip(name: str) -> Chip:
    """Load a chip by name, maybe with figures changed: ``bow[clock_hz=2e9]``. Raises UsageError for an unknown one."""
    base, figures = split_name(name)
    if base not in _KNOWN:
        raise UsageError(f"unknown chip '{base}': choose one of {', '.join(_KNOWN)}")
    if figures:
        return with_figures(load_chip(base), figures)
    text = resources.files("tile_emu.chips").joinpath(f"{base}.toml").read_text(encoding="utf-8")
    return _build(Chip, tomllib.loads(text))


def chip_from(data: dict[str, Any]) -> Chip:
    """The chip of a plain dict as ``dataclasses.asdict`` makes it; TypeError for missing or unknown keys."""
    chip: Chip = _build(Chip, data)
    return chip


_NESTED = {"memory": Memory, "timing": Timing, "exchange": Exchange, "supervisor": SupervisorTiming}


def _build(kind: Any, data: dict[str, Any]) -> Any:
    """Make the dataclass from a TOML table; a missing or unknown key is a bug in the TOML and raises TypeError."""
    known = {f.name for f in fields(kind)}
    if known != set(data):
        raise TypeError(f"{kind.__name__}: keys {sorted(known ^ set(data))} missing or unknown")
    return kind(**{key: _build(_NESTED[key], value) if key in _NESTED else value for key, value in data.items()})

"""The graph's own codelets: data moved within a tile, rows summed. The contracts are in the ``.S``, ``.inc`` files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tile_emu.chips import Chip
from tile_emu.graph.variables import Codelet

Int = Any  # int or an integer array

HERE = Path(__file__).parent
WORKERS = 6
BLOCK = 8  # bytes; the grain of all these codelets
MOST_BLOCKS = WORKERS * 4095  # per vertex: a repeat of the Mk1 counts to 4,095
NEAR_BYTES = 1 << 16  # reach of a table of byte offsets
FAR_UNITS = 1 << 16  # reach of a table of unit numbers

COLUMN = 16  # bytes; the grain of the reduction codelets and their over-read

_GATHER_RECORD = ("source", "table", "dest", "blocks")


_REDUCE_RECORD = ("own", "recv", "out", "columns", "pitch", "rows", "back")


def worker_records(record: tuple[str, ...]) -> tuple[str, ...]:
    """Field names of a vertex state that holds one record for each worker."""
    return tuple(f"{name}{worker}" for worker in range(WORKERS) for name in record)


def launch_cycles(chip: Chip, turns: Int) -> Int:
    """Tile cycles, call to return, of a vertex that launches its workers once, the busiest taking ``turns``."""
    timing = chip.timing.supervisor
    after = timing.launch + timing.local_sync - 1 + timing.taken_branch
    return timing.result_latency + chip.timing.worker_turn * turns + after


@dataclass(frozen=True)
class LocalCodelet:
    """Worker turns = base + blocks * per block; ``idle`` for a worker without blocks.

    A block moves the worker's record on by ``source_step``, ``dest_step`` and ``table_step`` bytes.
    """

    codelet: Codelet
    base_turns: int
    block_turns: int
    idle_turns: int
    source_step: int
    dest_step: int
    table_step: int

    def cycles(self, chip: Chip, blocks: Int) -> Int:
        """Tile cycles of one vertex of ``blocks`` blocks (at least one), from the codelet's first instruction on.

        ``runall`` waits for the setzi before it. Exact where six divides the blocks; otherwise the busiest worker is
        taken to have the last slot, and the true figure may be up to 5 less.
        """
        return launch_cycles(chip, self.base_turns + -(-blocks // WORKERS) * self.block_turns)


def _codelet(name: str, record: tuple[str, ...], summary: str) -> Codelet:
    return Codelet(f"graph_{name}", HERE / f"{name}.S", f"graph_{name}", worker_records(record), summary)


def _gather(unit: int, far: bool, base: int, per_block: int, idle: int) -> LocalCodelet:
    reach = "units" if far else "bytes"
    summary = f"gather of {unit}-byte units by a table of {reach}"
    codelet = _codelet(f"gather{unit}{'_far' if far else ''}", _GATHER_RECORD, summary)
    return LocalCodelet(codelet, base, per_block, idle, 0, BLOCK, 2 * BLOCK // unit)


# By unit in bytes. Bytes have one codelet: a table of bytes is a table of units.
NEAR = {
    8: _gather(8, False, 7, 2, 7),
    4: _gather(4, False, 7, 3, 7),
    2: _gather(2, False, 10, 5, 7),
    1: _gather(1, False, 7, 24, 7),
}
FAR = {8: _gather(8, True, 7, 3, 7), 4: _gather(4, True, 7, 5, 7), 2: _gather(2, True, 7, 10, 7), 1: NEAR[1]}

_COPY = _codelet("copy8", ("source", "dest", "blocks"), "copy of contiguous blocks")
_SCATTER = _codelet("scatter8", _GATHER_RECORD, "blocks to places given by a table")
_MERGE = _codelet("merge8", (*_GATHER_RECORD, "mask"), "parts of blocks to places given by a table")
_TRANSPOSE = _codelet(
    "transpose4",
    ("source", "source_pitch", "dest", "dest_pitch", "table", "blocks"),
    "4 x 4 tiles of halves transposed",
)
COPY = LocalCodelet(_COPY, 10, 1, 5, BLOCK, BLOCK, 0)
SCATTER = LocalCodelet(_SCATTER, 6, 3, 6, BLOCK, 0, 2)
MERGE = LocalCodelet(_MERGE, 7, 7, 7, BLOCK, 0, 2)
TRANSPOSE = LocalCodelet(_TRANSPOSE, 20, 10, 5, 0, 0, 4)  # its blocks are tiles


@dataclass(frozen=True)
class ReduceCodelet:
    """A reduction codelet: worker turns = base + columns * (received rows + per column)."""

    codelet: Codelet
    base_turns: int
    column_turns: int

    def cycles(self, chip: Chip, nbytes: Int, rows: Int) -> Int:
        """Tile cycles of one vertex over ``nbytes`` of sums and ``rows`` received rows, call to return."""
        columns = -(-nbytes // (COLUMN * WORKERS))
        return launch_cycles(chip, self.base_turns + columns * (rows + self.column_turns))


def reduce_codelet(out_bytes: int) -> ReduceCodelet:
    """The codelet that adds terms of ``out_bytes`` (2: f16, 4: f32)."""
    name = {2: "reduce_f16", 4: "reduce_f32"}[out_bytes]
    summary = "sum of the own and the received terms"
    codelet = Codelet(name, HERE / f"{name}.S", name, worker_records(_REDUCE_RECORD), summary)
    return ReduceCodelet(codelet, 14, 5)

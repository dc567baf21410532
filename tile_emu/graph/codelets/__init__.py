"""The graph's own codelets for moving data within a tile. The contracts are in the ``.S`` and ``.inc`` files."""

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

_GATHER_RECORD = ("source", "table", "dest", "blocks")


@dataclass(frozen=True)
class LocalCodelet:
    """Worker turns = base + blocks * per block; ``idle`` for a worker without blocks."""

    codelet: Codelet
    base_turns: int
    block_turns: int
    idle_turns: int

    def cycles(self, chip: Chip, blocks: Int) -> Int:
        """Tile cycles of one vertex of ``blocks`` blocks (at least one), from the codelet's first instruction on.

        ``runall`` waits for the setzi before it. Exact where six divides the blocks; otherwise the busiest worker is
        taken to have the last slot, and the true figure may be up to 5 less.
        """
        timing = chip.timing.supervisor
        turns = self.base_turns + -(-blocks // WORKERS) * self.block_turns
        after = timing.launch + timing.local_sync - 1 + timing.taken_branch
        return timing.result_latency + chip.timing.worker_turn * turns + after


def _codelet(name: str, record: tuple[str, ...], summary: str) -> Codelet:
    fields = tuple(f"{field}{worker}" for worker in range(WORKERS) for field in record)
    return Codelet(f"graph_{name}", HERE / f"{name}.S", f"graph_{name}", fields, summary)


def _gather(unit: int, far: bool, base: int, per_block: int, idle: int) -> LocalCodelet:
    reach = "units" if far else "bytes"
    summary = f"gather of {unit}-byte units by a table of {reach}"
    return LocalCodelet(
        _codelet(f"gather{unit}{'_far' if far else ''}", _GATHER_RECORD, summary), base, per_block, idle
    )


# By unit in bytes. Bytes have one codelet: a table of bytes is a table of units.
NEAR = {
    8: _gather(8, False, 7, 2, 7),
    4: _gather(4, False, 7, 3, 7),
    2: _gather(2, False, 10, 5, 7),
    1: _gather(1, False, 7, 24, 7),
}
FAR = {8: _gather(8, True, 7, 3, 7), 4: _gather(4, True, 7, 5, 7), 2: _gather(2, True, 7, 10, 7), 1: NEAR[1]}

COPY = LocalCodelet(_codelet("copy8", ("source", "dest", "blocks"), "copy of contiguous blocks"), 10, 1, 5)
SCATTER = LocalCodelet(_codelet("scatter8", _GATHER_RECORD, "blocks to places given by a table"), 6, 3, 6)
MERGE = LocalCodelet(
    _codelet("merge8", (*_GATHER_RECORD, "mask"), "parts of blocks to places given by a table"), 7, 7, 7
)

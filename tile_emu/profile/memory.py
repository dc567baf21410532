"""What lies in every tile's SRAM, and which of it is live when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tile_emu.graph.image import Image

I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# Parts of a tile's SRAM beside variables, in address order. There are no stacks: codelets keep none.
CODE_PARTS = ("codelets", "supervisor program", "exchange rows", "vertex states")


@dataclass(frozen=True, eq=False)
class SramMap:
    """SRAM of T tiles: k blocks of V variables, and code.

    Blocks, sorted by tile and address: ``name_index`` (into ``names``), ``shard``, ``tile``, ``address``, ``nbytes``,
    i64[k]. ``code`` i64[T, 4]: bytes of CODE_PARTS, which lie one after another from ``base``. ``live``
    bool[C + B, V]: compute phases and exchanges in program order (0, 2, .. are compute phases). A variable is live from
    its first use to its last. A host tensor that an exchange reads first is an input, live from the start; one that an
    exchange writes first is a result, live to the end; one that vertices use first may be either: live throughout.
    """

    names: tuple[str, ...]
    name_index: I64
    shard: I64
    tile: I64
    address: I64
    nbytes: I64
    code: I64
    live: Bool
    base: int
    size: int

    @property
    def tiles(self) -> int:
        """Tiles the program was laid out on."""
        return len(self.code)

    @property
    def code_bytes(self) -> I64:
        """i64[T]: codelets, programs, rows and vertex states."""
        total: I64 = self.code.sum(axis=1)
        return total

    @property
    def variable_bytes(self) -> I64:
        """i64[T, V]."""
        total = np.zeros((self.tiles, len(self.names)), np.int64)
        np.add.at(total, (self.tile, self.name_index), self.nbytes)
        return total

    @property
    def used_bytes(self) -> I64:
        """i64[T]: everything placed; gaps between variables are not counted."""
        return self.code_bytes + self.variable_bytes.sum(axis=1)

    def live_bytes(self) -> I64:
        """i64[C + B, T]: code and live variables, by superstep."""
        return self.live.astype(np.int64) @ self.variable_bytes.T + self.code_bytes

    def parts(self, tile: int) -> list[tuple[str, int]]:
        """Name and bytes of everything placed on a tile, largest first."""
        here = [(name, int(count)) for name, count in zip(CODE_PARTS, self.code[tile])]
        here += [(name, int(count)) for name, count in zip(self.names, self.variable_bytes[tile])]
        return sorted((part for part in here if part[1]), key=lambda part: -part[1])

    def peak(self) -> tuple[int, int, int, list[tuple[str, int]]]:
        """Superstep and tile of the most live bytes, those bytes, and what they are, largest first."""
        live = self.live_bytes()
        step, tile = (int(i) for i in np.unravel_index(int(live.argmax()), live.shape))
        alive = {name for name, is_live in zip(self.names, self.live[step]) if is_live}
        parts = [part for part in self.parts(tile) if part[0] in alive or part[0] in CODE_PARTS]
        return step, tile, int(live[step, tile]), parts

    def to_dict(self) -> dict[str, Any]:
        """The figures of summary.json."""
        used, (step, tile, most, parts) = self.used_bytes, self.peak()
        return {
            "max_bytes": int(used.max()),
            "fullest_tile": int(used.argmax()),
            "mean_bytes": float(used.mean()),
            "size_bytes": self.size,
            "live_peak": {"superstep": step, "tile": tile, "bytes": most, "parts": dict(parts)},
        }


def sram_map(image: Image) -> SramMap:
    """The map of an image."""
    where, memory = image.memory_map, image.chip.memory
    codelets = np.full(image.tiles, where.shared_bytes, np.int64)
    return SramMap(
        names=where.names,
        name_index=where.name_index.astype(np.int64),
        shard=where.shard.astype(np.int64),
        tile=where.tile.astype(np.int64),
        address=where.address.astype(np.int64),
        nbytes=where.nbytes.astype(np.int64),
        code=np.stack([codelets, where.program_bytes, where.row_bytes, where.state_bytes], axis=1).astype(np.int64),
        live=_live(where.computes, where.reads, where.writes, where.hosts),
        base=memory.base,
        size=memory.size,
    )


def _live(computes: Bool, reads: Bool, writes: Bool, hosts: Bool) -> Bool:
    """See SramMap.live. Vertices may read and write what they point to: never less than what really is live."""
    steps = np.zeros((len(computes) + len(reads), computes.shape[1]), bool)
    steps[0::2] = computes
    steps[1::2] = reads | writes
    touched = steps.any(axis=0)
    first = np.where(touched, steps.argmax(axis=0), len(steps))
    last = np.where(touched, len(steps) - 1 - steps[::-1].argmax(axis=0), -1)
    before = np.zeros_like(steps)  # what an exchange reads, or writes, at the step of the first touch
    before[1::2] = reads
    read_first = before[np.minimum(first, len(steps) - 1), np.arange(len(first))] & touched
    before[1::2] = writes
    written_first = before[np.minimum(first, len(steps) - 1), np.arange(len(first))] & touched & ~read_first
    first = np.where(hosts & touched & ~written_first, 0, first)
    last = np.where(hosts & touched & ~read_first, len(steps) - 1, last)
    order = np.arange(len(steps))[:, None]
    return np.asarray((order >= first) & (order <= last), bool)

"""The image: what every tile's SRAM holds before a run, and where everything lies."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.graph.hosttensor import HostTensor
from tile_emu.graph.variables import I32, I64, U32

if TYPE_CHECKING:
    from tile_emu.exchange.transfers import Transfers


def same(a: Any, b: Any) -> bool:
    """Deep equality of plain values, arrays (dtype, shape and content) and dataclasses of them."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and bool(np.array_equal(a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


@dataclass(frozen=True, eq=False)
class LineTable:
    """Source position of every instruction word of the codelets: byte address, line number, index into ``files``.

    ``unit``: index of the source that was assembled, which may have included that file.
    """

    address: I32
    line: I32
    file: I32
    unit: I32
    files: tuple[str, ...]

    def at(self, address: int) -> tuple[str, int] | None:
        """File and line of the instruction at a byte address, if it is known."""
        found = np.flatnonzero(self.address == address)
        if not len(found):
            return None
        return self.files[self.file[found[0]]], int(self.line[found[0]])


@dataclass(frozen=True, eq=False)
class MemoryMap:
    """Where variables and code lie. Variable blocks i32[k], sorted by (tile, address); empty shards are left out.

    ``shared_bytes``: codelets, the same on every tile; ``program_bytes``, ``row_bytes``, ``state_bytes`` i64[tiles];
    ``row_address`` i32[exchanges, tiles], 0 = the tile has no row there. ``computes`` bool[stretches between barriers,
    names]: variables that vertices point to; ``reads`` and ``writes`` bool[exchanges, names]: those that an exchange
    reads and writes; ``hosts`` bool[names]: those that the host reads or writes. ``spare`` i32[k]: bytes at the end of
    a block that may be read and hold nothing.
    """

    names: tuple[str, ...]
    name_index: I32
    shard: I32
    tile: I32
    address: I32
    nbytes: I32
    shared_bytes: int
    program_bytes: I64
    row_bytes: I64
    state_bytes: I64
    row_address: I32
    computes: NDArray[np.bool_]
    reads: NDArray[np.bool_]
    writes: NDArray[np.bool_]
    hosts: NDArray[np.bool_]
    spare: I32

    def code_bytes(self) -> I64:
        """i64[tiles]: codelets, supervisor program, rows and vertex states."""
        return self.shared_bytes + self.program_bytes + self.row_bytes + self.state_bytes

    def row_span(self, exchange: int) -> tuple[I64, I64]:
        """First byte of each tile's row in an exchange and the one past it: i64[tiles] each, 0 = no row."""
        begin = self.row_address[exchange].astype(np.int64)
        return begin, np.where(begin > 0, self._row_ends[exchange], 0)

    @functools.cached_property
    def _row_ends(self) -> I64:
        """i64[exchanges, tiles]: where the next row of the tile begins, or its rows end."""
        rows = np.where(self.row_address > 0, self.row_address, np.iinfo(np.int64).max).astype(np.int64)
        end = rows.min(axis=0, initial=np.iinfo(np.int64).max) + self.row_bytes
        following = np.concatenate([rows[1:], end[np.newaxis]])
        return np.minimum.accumulate(following[::-1], axis=0)[::-1]

    def variable_bytes(self) -> I64:
        """i64[tiles]: bytes of all variables."""
        return np.bincount(self.tile, self.nbytes, len(self.program_bytes)).astype(np.int64)

    def used_bytes(self) -> I64:
        """i64[tiles]: SRAM in use, gaps between variables not counted."""
        return self.code_bytes() + self.variable_bytes()

    def by_variable(self, tile: int) -> list[tuple[str, int]]:
        """Variables on a tile with their bytes there, largest first."""
        here = self.tile == tile
        total = np.bincount(self.name_index[here], self.nbytes[here], len(self.names)).astype(np.int64)
        order = np.argsort(-total, kind="stable")
        return [(self.names[i], int(total[i])) for i in order if total[i]]


@dataclass(frozen=True, eq=False)
class Image:
    """Everything the machine loads. Addresses are tile byte addresses.

    ``shared``: (address, u32 words) on every tile. Segment i: ``segment_words[segment_start[i]:segment_start[i + 1]]``
    at ``segment_address[i]`` of ``segment_tile[i]``. ``entry`` i32[tiles]: supervisor programs; ``code_end``
    i32[tiles]: first byte past code, rows and vertex states. ``exchanges``: (name, intended
    transfers) in program order.
    """

    chip: Chip
    tiles: int
    shared: tuple[tuple[int, U32], ...]
    segment_tile: I32
    segment_address: I32
    segment_start: I64
    segment_words: U32
    entry: I32
    code_end: I32
    symbols: dict[str, int]
    lines: LineTable
    compute_names: tuple[str, ...]
    exchanges: tuple[tuple[str, Transfers], ...]
    tensors: dict[str, HostTensor]
    memory_map: MemoryMap

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and same(self, other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def exchange_names(self) -> tuple[str, ...]:
        """Names of the exchanges in program order."""
        return tuple(name for name, _ in self.exchanges)

    def shared_words(self) -> U32:
        """The code that all tiles share, from the start of SRAM, as u32 words; zero where there is none."""
        base = self.chip.memory.base
        end = max((address + words.nbytes for address, words in self.shared), default=base)
        code = np.zeros((end - base) // 4, np.uint32)
        for address, words in self.shared:
            code[(address - base) // 4 :][: len(words)] = words
        return code

    def fill(self, memory: NDArray[np.uint8]) -> None:
        """Write all code and vertex states into ``memory`` u8[tiles, size]."""
        base = self.chip.memory.base
        for address, words in self.shared:
            memory[: self.tiles, address - base : address - base + words.nbytes] = words.view(np.uint8)
        stream = self.segment_words.view(np.uint8)
        bounds = zip(self.segment_tile, self.segment_address, self.segment_start[:-1], self.segment_start[1:])
        for tile, address, low, high in bounds:
            start = address - base
            memory[tile, start : start + 4 * (high - low)] = stream[4 * low : 4 * high]

    def name_at(self, tile: int, address: int) -> str:
        """What lies at an address of a tile: `variable[shard]+offset`, code, or free memory."""
        memory, where = self.chip.memory, self.memory_map
        if not (0 <= tile < self.tiles and memory.base <= address < memory.end):
            return "outside tile memory"
        if address < self.code_end[tile]:
            return self._code_at(tile, address)
        low, high = np.searchsorted(where.tile, [tile, tile + 1])
        i = int(low + np.searchsorted(where.address[low:high], address, side="right")) - 1
        if i >= low and address < int(where.address[i]) + int(where.nbytes[i]):
            offset = address - int(where.address[i])
            return f"{where.names[where.name_index[i]]}[{where.shard[i]}]" + (f"+{offset:#x}" if offset else "")
        return "free memory"

    def _code_at(self, tile: int, address: int) -> str:
        where, program = self.memory_map, int(self.entry[tile])
        if address < program:
            below = [(at, name) for name, at in self.symbols.items() if at <= address]
            if not below:
                return "codelets"
            at, name = max(below)
            return f"codelet {name}" + (f"+{address - at:#x}" if address > at else "")
        rows_at = program + int(where.program_bytes[tile])
        states_at = rows_at + int(where.row_bytes[tile])
        if address < rows_at:
            return f"supervisor program+{address - program:#x}"
        if address >= states_at:
            return f"vertex state+{address - states_at:#x}"
        rows = where.row_address[:, tile]
        row = int(np.argmax(np.where(rows <= address, rows, 0)))
        return f"row of exchange '{self.exchanges[row][0]}'+{address - int(rows[row]):#x}"

    def save(self, path: str | Path) -> None:
        """Write the image to one file (complete or not at all). Raises UsageError."""
        from tile_emu.graph.imagefile import save_image

        save_image(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> Image:
        """Read what :meth:`save` wrote; raises UsageError for a missing or damaged file."""
        from tile_emu.graph.imagefile import load_image

        return load_image(Path(path))

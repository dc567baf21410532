"""Copies within tiles: units of 1 to 8 bytes from anywhere to anywhere, turned into vertices of the copy codelets.

Destinations are worked on in blocks of 8 bytes. Blocks that a job fills completely and that lie together are gathered
where they belong; scattered ones are gathered into a temporary area first and then stored one by one; of blocks that
are filled in part, the rest is kept (merge). 4 x 4 tiles of halves are transposed as such. A job is one source shard,
destination shard, and window of each that a table can reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.graph.arrays import Cursor, changes, counts_of, positions, spans
from tile_emu.graph.codelets import (
    BLOCK,
    COPY,
    FAR,
    FAR_UNITS,
    MERGE,
    MOST_BLOCKS,
    NEAR,
    NEAR_BYTES,
    SCATTER,
    TRANSPOSE,
    WORKERS,
    LocalCodelet,
)
from tile_emu.graph.computeset import ComputeSet, Field
from tile_emu.graph.transposes import SIDE, find_transposes
from tile_emu.graph.variables import I64, Pointer, Variable

LONG_RUN = 32  # blocks; from here on a run is worth a vertex of its own (call, launch and table cost about as much)
FEW_RUNS = 4  # of a job: each is worth a vertex
COPY_RUN = 64  # blocks; mean length of the pieces from which on a job is copied without tables
_DIRECT, _SCATTER, _MERGE = range(3)


@dataclass(frozen=True, eq=False)
class Units:
    """n units of ``size`` bytes: shard numbers and byte offsets, i64[n] each; offsets are multiples of the size."""

    size: int
    source_shard: I64
    source_offset: I64
    dest_shard: I64
    dest_offset: I64

    def __len__(self) -> int:
        return len(self.source_shard)

    def take(self, which: NDArray[Any]) -> Units:
        """Some of them, by index or mask."""
        columns = (self.source_shard, self.source_offset, self.dest_shard, self.dest_offset)
        return Units(self.size, *(column[which] for column in columns))


@dataclass(frozen=True, eq=False)
class _Batch:
    """Vertices of one codelet; i64[n] each, offsets in bytes. ``table`` and ``mask`` lie in the tile's table shard."""

    local: LocalCodelet
    source: str
    dest: str
    tile: I64
    source_shard: I64
    source_offset: I64
    dest_shard: I64
    dest_offset: I64
    blocks: I64
    table: I64 | None = None
    mask: I64 | None = None
    source_pitch: I64 | None = None
    dest_pitch: I64 | None = None


class Tables:
    """The tables of all tiles, filled piece by piece; in the end one constant."""

    def __init__(self, tiles: int) -> None:
        self.cursor = Cursor(tiles)
        self._pieces: list[tuple[I64, I64, I64, NDArray[np.uint16]]] = []

    def put(self, tile: I64, counts: I64, values: NDArray[np.uint16], spare: int = 0) -> I64:
        """n tables of ``counts`` u16 entries, ``values`` those of all; byte offsets i64[n]. ``spare`` entries follow
        each table."""
        offset = self.cursor.take(tile, 2 * (counts + spare))
        self._pieces.append((tile, offset, counts, values))
        return offset

    def words(self) -> tuple[I64, NDArray[np.uint32]]:
        """Tiles that have tables and the contents of their shards, one after another."""
        used = self.cursor.used
        start = np.cumsum(used) - used
        flat = np.zeros(int(used.sum()) // 2, np.uint16)
        for tile, offset, counts, values in self._pieces:
            flat[spans((start[tile] + offset) // 2, counts)] = values
        return np.flatnonzero(used), flat.view(np.uint32)


class LocalCopies:
    """Vertices that move units between areas of the same tiles, in the order added.

    An area is a name for a variable that may not exist yet; "temporary" and "tables" have a shard for each tile.
    """

    def __init__(self, tiles: int, tables: Tables, temporary: Cursor) -> None:
        self.tiles, self.tables, self.temporary = tiles, tables, temporary
        self.batches: list[_Batch] = []

    def add(self, units: Units, source: str, dest: str, tile_of: NDArray[Any], owned: bool) -> None:
        """Move ``units`` from area ``source`` to ``dest``; ``tile_of`` gives the tile of each destination shard.

        ``owned``: the blocks belong to these units alone, what lies between them may be overwritten; then no two source
        shards may meet in one block.
        """
        if len(units):
            _Mover(self, units, source, dest, tile_of, owned).move()

    def cycles(self, chip: Chip) -> int:
        """Tile cycles of the busiest tile, by the formulas of the codelets and a setzi and a call for each vertex."""
        total = np.zeros(self.tiles, np.int64)
        call = 1 + chip.timing.supervisor.taken_branch
        for batch in self.batches:
            np.add.at(total, batch.tile, call + batch.local.cycles(chip, batch.blocks))
        return int(total.max(initial=0))

    def apart(self) -> list[tuple[str, str]]:
        """Areas that one instruction touches both of: they must lie in different SRAM elements."""
        pairs = []
        for batch in self.batches:
            if batch.local is COPY:
                pairs.append((batch.source, batch.dest))
            elif batch.local in NEAR.values():
                pairs.append((batch.source, "tables"))
        return list(dict.fromkeys(pairs))

    def emit(self, compute: ComputeSet, areas: dict[str, Variable], tables: Variable | None, shard_of: I64) -> None:
        """Add the vertices; ``shard_of`` i64[tiles] is the shard of each tile in ``tables``."""
        for batch in self.batches:
            fields: dict[str, Field] = {}
            for worker in range(WORKERS):
                first = batch.blocks * worker // WORKERS
                record = self._record(batch, first, areas, tables, shard_of)
                record["blocks"] = batch.blocks * (worker + 1) // WORKERS - first
                fields |= {f"{name}{worker}": value for name, value in record.items()}
            compute.add(batch.local.codelet, batch.tile, **fields)

    def _record(
        self, batch: _Batch, first: I64, areas: dict[str, Variable], tables: Variable | None, shard_of: I64
    ) -> dict[str, Field]:
        """Fields of the worker whose first block is ``first``."""
        local = batch.local
        record: dict[str, Field] = {
            "source": Pointer(areas[batch.source], batch.source_shard, batch.source_offset + local.source_step * first),
            "dest": Pointer(areas[batch.dest], batch.dest_shard, batch.dest_offset + local.dest_step * first),
        }
        if batch.table is not None:
            assert tables is not None
            record["table"] = Pointer(tables, shard_of[batch.tile], batch.table + local.table_step * first)
            if batch.mask is not None:
                record["mask"] = Pointer(tables, shard_of[batch.tile], batch.mask + BLOCK * first)
        if batch.source_pitch is not None and batch.dest_pitch is not None:
            record |= {"source_pitch": batch.source_pitch, "dest_pitch": batch.dest_pitch}
        return record


@dataclass(frozen=True, eq=False)
class _Segments:
    """What one gather vertex fills each: i64[n]. ``room`` is the byte offset at which it stores, in the destination
    shard (kind direct) or in the tile's temporary shard. ``table`` is 0 where none is needed (``plain``)."""

    kind: I64
    plain: NDArray[np.bool_]
    far: NDArray[np.bool_]
    tile: I64
    blocks: I64
    source_shard: I64
    base: I64  # byte offset in the source shard that the table counts from
    dest_shard: I64
    room: I64
    table: I64


class _Mover:
    """One call of LocalCopies.add."""

    def __init__(
        self, copies: LocalCopies, units: Units, source: str, dest: str, tile_of: NDArray[Any], owned: bool
    ) -> None:
        self.copies, self.source, self.dest = copies, source, dest
        self.per_block = BLOCK // units.size
        reach = units.source_offset // (FAR_UNITS * units.size)
        self.owned = owned and not reach.any()
        order = np.lexsort((units.dest_offset, reach, units.source_shard, units.dest_shard))
        self.units = units = units.take(order)
        block = units.dest_offset // BLOCK
        new_job = changes(units.dest_shard, units.source_shard, reach[order], block // FAR_UNITS)
        self.head = np.flatnonzero(new_job | changes(block))  # first unit of each block
        self.filled = counts_of(self.head, len(units))  # units in each block
        self.job = np.cumsum(new_job)[self.head] - 1
        self.block = block[self.head]
        self.tile = tile_of[units.dest_shard[self.head]].astype(np.int64)

    def move(self) -> None:
        """Segments, their tables, and the vertices."""
        if self.units.size == BLOCK // SIDE:
            self._transpose()
        if not len(self.head):
            return
        order, heads, kind = self._divide()
        segments = self._segments(order, heads, kind)
        for local, chosen in (
            (COPY, segments.plain),
            (NEAR[self.units.size], ~segments.plain & ~segments.far),
            (FAR[self.units.size], ~segments.plain & segments.far),
        ):
            for dest, mask in ((self.dest, segments.kind == _DIRECT), ("temporary", segments.kind != _DIRECT)):
                self._gather(local, dest, segments, np.flatnonzero(chosen & mask))
        for local, mask in ((SCATTER, segments.kind == _SCATTER), (MERGE, segments.kind == _MERGE)):
            self._store(local, segments, order, heads, np.flatnonzero(mask))

    def _transpose(self) -> None:
        """Vertices for 4 x 4 tiles of halves; their blocks are done with."""
        whole = np.flatnonzero(self.filled == self.per_block)
        source = self.units.source_offset[self.head[whole][:, None] + np.arange(SIDE)]
        found = find_transposes(self.job[whole], self.block[whole], source)
        if found is None:
            return
        first = whole[found.first_block]
        tile, unit = self.tile[first], self.head[first]
        table = self.copies.tables.put(tile, 2 * found.tiles, found.entries.reshape(-1).astype(np.uint16), spare=1)
        batch = _Batch(
            local=TRANSPOSE,
            source=self.source,
            dest=self.dest,
            tile=tile,
            source_shard=self.units.source_shard[unit],
            source_offset=found.source_offset,
            dest_shard=self.units.dest_shard[unit],
            dest_offset=found.dest_offset,
            blocks=found.tiles,
            table=table,
            source_pitch=found.source_pitch,
            dest_pitch=found.dest_pitch,
        )
        self.copies.batches.append(batch)
        left = np.ones(len(self.head), bool)
        left[whole[found.block.reshape(-1)]] = False
        self.head, self.filled, self.job = self.head[left], self.filled[left], self.job[left]
        self.block, self.tile = self.block[left], self.tile[left]

    def _divide(self) -> tuple[I64, I64, I64]:
        """Blocks in the order of their segments, the first of each segment in that order, and the segments' kinds."""
        whole = np.ones(len(self.block), bool) if self.owned else self.filled == self.per_block
        run = self._runs(whole)
        length = np.bincount(run)[run]
        runs_of_job = np.bincount(self.job[changes(run)])
        direct = whole & ((length >= LONG_RUN) | (runs_of_job[self.job] <= FEW_RUNS))
        kind = np.where(direct, _DIRECT, np.where(whole, _SCATTER, _MERGE))
        part = np.where(direct, run, 0)
        order = np.lexsort((self.block, part, self.job, kind))
        new = changes(kind[order], self.job[order], part[order])
        at = positions(counts_of(np.flatnonzero(new), len(order)))
        heads = np.flatnonzero(new | (at % MOST_BLOCKS == 0))
        return order, heads, kind[order][heads]

    def _runs(self, whole: NDArray[np.bool_]) -> I64:
        """Number of the run of destination blocks each block belongs to; where it pays, of source blocks as well."""
        breaks = changes(self.job, whole)
        breaks[1:] |= np.diff(self.block) != 1
        if self.units.size == BLOCK:
            torn = breaks.copy()
            torn[1:] |= np.diff(self.units.source_offset) != BLOCK
            mean = np.bincount(self.job) / np.bincount(self.job, torn)
            breaks |= torn & (mean >= COPY_RUN)[self.job]
        return np.cumsum(breaks) - 1

    def _segments(self, order: I64, heads: I64, kind: I64) -> _Segments:
        units, size = self.units, self.units.size
        blocks = counts_of(heads, len(order))
        first = order[heads]
        filled = self.filled[order]
        which = spans(self.head[order], filled)  # units, segment after segment
        segment = np.repeat(np.repeat(np.arange(len(heads)), blocks), filled)
        begins = np.flatnonzero(changes(segment))
        offset = units.source_offset[which]
        base = np.minimum.reduceat(offset, begins)
        far = np.maximum.reduceat(offset, begins) - base >= NEAR_BYTES
        entry = np.repeat(positions(blocks), filled) * self.per_block + units.dest_offset[which] % BLOCK // size
        beyond = offset - base[segment]
        plain = np.zeros(len(heads), bool)
        if size == BLOCK:
            plain = (kind == _DIRECT) & np.logical_and.reduceat(beyond == BLOCK * entry, begins)
        tile, dest_shard = self.tile[first], units.dest_shard[self.head[first]]
        room = BLOCK * self.block[first]
        staged = kind != _DIRECT
        room[staged] = self.copies.temporary.take(tile[staged], BLOCK * blocks[staged])
        table = np.zeros(len(heads), np.int64)
        counts = np.where(plain, 0, blocks * self.per_block)
        values = np.zeros(int(counts.sum()), np.uint16)
        used = ~plain[segment]
        start = np.cumsum(counts) - counts
        scaled = np.where(far[segment], beyond // size, beyond)
        values[(start[segment] + entry)[used]] = scaled[used]
        table[~plain] = self.copies.tables.put(tile[~plain], counts[~plain], values, spare=1)
        source_shard = units.source_shard[self.head[first]]
        return _Segments(kind, plain, far, tile, blocks, source_shard, base, dest_shard, room, table)

    def _gather(self, local: LocalCodelet, dest: str, s: _Segments, some: I64) -> None:
        if len(some):
            shard = s.tile if dest == "temporary" else s.dest_shard
            batch = _Batch(
                local=local,
                source=self.source,
                dest=dest,
                tile=s.tile[some],
                source_shard=s.source_shard[some],
                source_offset=s.base[some],
                dest_shard=shard[some],
                dest_offset=s.room[some],
                blocks=s.blocks[some],
                table=None if local is COPY else s.table[some],
            )
            self.copies.batches.append(batch)

    def _store(self, local: LocalCodelet, s: _Segments, order: I64, heads: I64, some: I64) -> None:
        """From the temporary area to where the blocks belong."""
        if not len(some):
            return
        blocks, tile = s.blocks[some], s.tile[some]
        which = order[spans(heads[some], blocks)]
        owner = np.repeat(np.arange(len(some)), blocks)
        lowest = np.minimum.reduceat(self.block[which], np.flatnonzero(changes(owner)))
        number = (self.block[which] - lowest[owner]).astype(np.uint16)
        table = self.copies.tables.put(tile, blocks, number)
        mask = self._masks(tile, blocks, which) if local is MERGE else None
        columns = (tile, tile, s.room[some], s.dest_shard[some], BLOCK * lowest, blocks)
        self.copies.batches.append(_Batch(local, "temporary", self.dest, *columns, table=table, mask=mask))

    def _masks(self, tile: I64, blocks: I64, which: I64) -> I64:
        """Offsets of mask tables: ones where the blocks ``which`` are filled."""
        ones = np.zeros((len(which), BLOCK), np.uint8)
        row = np.repeat(np.arange(len(which)), self.filled[which])
        inside = self.units.dest_offset[spans(self.head[which], self.filled[which])] % BLOCK
        for byte in range(self.units.size):
            ones[row, inside + byte] = 0xFF
        return self.copies.tables.put(tile, blocks * (BLOCK // 2), ones.reshape(-1).view(np.uint16))

"""SRAM placement: an address for every shard, tile by tile, from the top of memory down.

Shards that must behave alike (same variable, same part in every exchange) form a column. A tile's signature is the row
of its column sizes; each distinct signature is placed once and the result goes to all tiles that have it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Memory
from tile_emu.chips.elements import element, element_start
from tile_emu.graph.firstfit import first_fit
from tile_emu.graph.variables import I32, I64

Bool = NDArray[np.bool_]

MAX_CLASS_ORDERS = 24  # orders of the conflict classes tried for a signature that does not fit at once


@dataclass(frozen=True, eq=False)
class Shards:
    """All shards of a graph, variable after variable. ``align`` and ``interleaved`` are per variable."""

    tiles: int
    variable: I32  # [n]
    tile: I32  # [n]
    nbytes: I32  # [n]
    align: I64  # [variables] bytes
    interleaved: Bool  # [variables]


@dataclass(frozen=True, eq=False)
class Placement:
    """Address of every shard (i32[n], bytes) and the tiles on which no order of placing fitted (i64[k])."""

    address: I32
    failed: I64


@dataclass(frozen=True, eq=False)
class _Columns:
    of_shard: I64  # [n]
    align: I64  # [C]
    interleaved: Bool  # [C]
    exchanged: Bool  # [C]
    conflict: Bool  # [C, C] columns that may not share an element
    sizes: I64  # [tiles, C] bytes
    shard_offset: I64  # [n] byte offset in its tile's block of the column


def place(shards: Shards, separated: Bool, source: Bool, dest: Bool, memory: Memory) -> Placement:
    """Place all shards.

    ``separated`` bool[variables, variables] as asked for with Graph.separate; ``source`` and ``dest``
    bool[n, exchanges] say which shards an exchange reads and writes. Deterministic.
    """
    if not len(shards.tile):
        return Placement(np.zeros(0, np.int32), np.zeros(0, np.int64))
    columns = _columns(shards, separated, source, dest)
    signatures, of_tile = np.unique(columns.sizes, axis=0, return_inverse=True)
    of_tile = of_tile.reshape(-1)
    blocks, fits = _place_signatures(signatures, columns, memory)
    address = blocks[of_tile[shards.tile], columns.of_shard] + columns.shard_offset
    return Placement(address.astype(np.int32), np.flatnonzero(~fits[of_tile]))


def _columns(shards: Shards, separated: Bool, source: Bool, dest: Bool) -> _Columns:
    part = _part_numbers(source, dest)
    # A variable separated from itself keeps each shard of a tile in a column of its own.
    ordinal = np.where(np.diagonal(separated)[shards.variable], _ordinal(shards), 0)
    key = (shards.variable.astype(np.int64) * (part.max() + 1) + part) * (ordinal.max() + 1) + ordinal
    _, first, of_shard = np.unique(key, return_index=True, return_inverse=True)
    of_shard = of_shard.reshape(-1).astype(np.int64)
    variable = shards.variable[first]
    reads, writes = source[first].astype(np.int32), dest[first].astype(np.int32)
    conflict = separated[np.ix_(variable, variable)] | (reads @ writes.T > 0) | (writes @ reads.T > 0)
    np.fill_diagonal(conflict, False)

    align = shards.align[variable]
    count = len(first)
    group = shards.tile.astype(np.int64) * count + of_shard
    order = np.argsort(group, kind="stable")
    padded = _round_up(shards.nbytes.astype(np.int64), align[of_shard])
    end = np.cumsum(padded[order])
    sizes = np.bincount(group, padded, shards.tiles * count).astype(np.int64)
    before = np.cumsum(sizes) - sizes
    offset = np.empty_like(padded)
    offset[order] = end - padded[order] - before[group[order]]
    return _Columns(
        of_shard=of_shard,
        align=align,
        interleaved=shards.interleaved[variable],
        exchanged=np.asarray((source[first] | dest[first]).any(axis=1), bool),
        conflict=conflict,
        sizes=sizes.reshape(shards.tiles, count),
        shard_offset=offset,
    )


def _part_numbers(source: Bool, dest: Bool) -> I64:
    """i64[n]: equal exactly where two shards take the same part in every exchange."""
    number = np.zeros(len(source), np.int64)
    for reads, writes in zip(source.T, dest.T, strict=True):
        number = np.unique(number * 4 + reads * 2 + writes, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return number


def _ordinal(shards: Shards) -> I64:
    """i64[n]: how many shards of the same variable on the same tile come before."""
    key = shards.variable.astype(np.int64) * shards.tiles + shards.tile
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    ordinal = np.empty(len(key), np.int64)
    ordinal[order] = np.arange(len(key)) - np.searchsorted(ordered, ordered)
    return ordinal


def _round_up(value: I64, align: I64) -> I64:
    return (value + align - 1) // align * align


def _place_signatures(signatures: I64, columns: _Columns, memory: Memory) -> tuple[I64, Bool]:
    """Block addresses i64[signatures, C] and whether each signature fits; the order that leaves most room wins."""
    best = np.full(signatures.shape, memory.base, np.int64)
    room = np.full(len(signatures), -1, np.int64)
    colour = _colours(columns.conflict, signatures)
    lowest = np.where(columns.interleaved, memory.interleaved_base, memory.base).astype(np.int64)
    constants = (memory.base, memory.end, memory.interleaved_base, memory.element_bytes)

    def attempt(order: I64, which: I64) -> None:
        part = signatures[which]
        address = np.empty_like(part)
        first_fit(part, order, lowest, columns.align, columns.conflict, constants, address)
        left = _room(address, part, columns.exchanged, memory)
        better = left > room[which]
        best[which[better]], room[which[better]] = address[better], left[better]

    everyone = np.arange(len(signatures))
    for order in _orders(columns, colour, signatures):
        attempt(order, everyone)
    for order in _class_orders(columns, colour, signatures):
        missing = np.flatnonzero(room < 0)
        if not len(missing):
            break
        attempt(order, missing)
    return best, room >= 0


def _room(address: I64, sizes: I64, exchanged: Bool, memory: Memory) -> I64:
    """i64[signatures]: bytes left for code below everything placed; -1 if a block found no place."""
    held = sizes > 0
    bottom = np.where(held, address, memory.end).min(axis=1)
    shared = np.where(held & exchanged, address, memory.end - 1).min(axis=1)
    left = np.minimum(bottom, element_start(element(shared, memory), memory)) - memory.base
    return np.where((held & (address < 0)).any(axis=1), -1, left)


def _colours(conflict: Bool, signatures: I64) -> I64:
    """Greedy colouring of the separation graph, most conflicts first; i64[C], -1 for columns without conflicts."""
    degree = conflict.sum(axis=1)
    colour = np.full(len(conflict), -1, np.int64)
    for column in np.lexsort((-signatures.max(axis=0), -degree)):
        if degree[column]:
            taken = set(colour[conflict[column]].tolist())
            colour[column] = next(c for c in itertools.count() if c not in taken)
    return colour


def _orders(columns: _Columns, colour: I64, signatures: I64) -> Iterator[I64]:
    """Orders in which to place the columns: interleaved ones always first, since they can go nowhere else."""
    size = -signatures.max(axis=0)
    free = colour < 0  # without conflicts: last, they fill the gaps
    yield np.lexsort((size, colour, free, ~columns.exchanged, ~columns.interleaved))
    if len(size) > 1:
        yield np.lexsort((size, colour, free, ~columns.interleaved))
        yield np.lexsort((size, ~columns.interleaved))
        yield np.lexsort((size, -columns.align, ~columns.exchanged, ~columns.interleaved))


def _class_orders(columns: _Columns, colour: I64, signatures: I64) -> Iterator[I64]:
    size = -signatures.max(axis=0)
    classes = np.unique(colour[colour >= 0])
    for permutation in itertools.islice(itertools.permutations(range(len(classes))), MAX_CLASS_ORDERS):
        rank = np.full(len(classes) + 1, len(classes), np.int64)
        rank[classes] = permutation
        yield np.lexsort((size, rank[colour], ~columns.interleaved))
        yield np.lexsort((-size, rank[colour], ~columns.interleaved))

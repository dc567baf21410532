"""Where the elements of a tensor's shards come from in the host's array: patterns of a few elements, many times over.

Elements of a tile lie in short runs of regular steps, so that the 8 bytes of an index for each element say little: a
block of elements is kept as the place of its first one and the number of the pattern that the others follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.jit import jit

I64 = NDArray[np.int64]

BLOCK = 16  # elements
NOWHERE = np.iinfo(np.int64).min  # in a pattern: an element that the host's array does not have
_HASH, _HASHED = 0x5E3779B1, 0x7FFFFFFF  # an odd factor; the bits that are kept, so that no product overflows
_EMPTY = -1


@dataclass(frozen=True, eq=False)
class HostOrder:
    """For each of ``elements`` of the concatenated shards a flat index into the host's array, or none: padding.

    Element BLOCK * b + i has index ``first[b] + patterns[pattern[b], i]``. ``first``, ``pattern`` i64[blocks],
    ``patterns`` i64[patterns, BLOCK].
    """

    elements: int
    first: I64
    pattern: I64
    patterns: I64

    @staticmethod
    def straight(elements: int) -> HostOrder:
        """Every element in its place."""
        blocks = -(-elements // BLOCK)
        first = BLOCK * np.arange(blocks)
        return HostOrder(elements, first, np.zeros(blocks, np.int64), np.arange(BLOCK)[None])

    @staticmethod
    def of(order: NDArray[np.integer[Any]]) -> HostOrder:
        """From an index for each element, negative where there is none."""
        flat = np.ascontiguousarray(order, np.int64).reshape(-1)
        blocks = -(-flat.size // BLOCK)
        first, pattern = np.zeros(blocks, np.int64), np.zeros(blocks, np.int64)
        patterns = np.empty((blocks, BLOCK), np.int64)
        table = np.full(1 << max(2 * blocks, 1).bit_length(), _EMPTY, np.int64)
        count = _compress(flat, first, pattern, patterns, table)
        return HostOrder(flat.size, first, pattern, patterns[:count].copy())

    def expanded(self) -> I64:
        """i64[elements]: the index of every element, -1 where there is none."""
        steps = self.patterns[self.pattern]
        index = np.where(steps == NOWHERE, -1, self.first[:, None] + steps)
        return np.asarray(index.reshape(-1)[: self.elements], np.int64)


@jit(leaf=True)
def _pattern_of(flat, begin, row):  # type: ignore[no-untyped-def]
    """Fill ``row`` with the steps of the block from ``begin`` on; its first index, 0 if it has none."""
    end = min(begin + row.size, flat.size)
    first = np.int64(-1)
    for i in range(row.size):
        index = flat[begin + i] if begin + i < end else np.int64(-1)
        if index < 0:
            row[i] = NOWHERE
            continue
        if first < 0:
            first = index
        row[i] = index - first
    return max(first, 0)


@jit(inline=True)
def _same(one, two):  # type: ignore[no-untyped-def]
    for i in range(one.size):
        if one[i] != two[i]:
            return False
    return True


@jit(leaf=True)
def _compress(flat, first, pattern, patterns, table):  # type: ignore[no-untyped-def]
    """Fill the arrays of a HostOrder; ``table``: of hashes, a power of two. Returns how many patterns."""
    count = 0
    for b in range(first.size):
        row = patterns[count]  # where it stays if it is new
        first[b] = _pattern_of(flat, b * row.size, row)
        if b > 0 and _same(row, patterns[pattern[b - 1]]):
            pattern[b] = pattern[b - 1]
            continue
        h = 0
        for i in range(row.size):
            h = ((h ^ (row[i] & _HASHED)) * _HASH) & _HASHED
            h ^= h >> 15
        h &= table.size - 1
        while table[h] >= 0 and not _same(row, patterns[table[h]]):
            h = (h + 1) & (table.size - 1)
        if table[h] < 0:
            table[h] = count
            count += 1
        pattern[b] = table[h]
    return count


@jit(leaf=True)
def scatter(flat, first, pattern, patterns, tile, begin, count, memory):  # type: ignore[no-untyped-def]
    """Write the elements of shards: ``count`` of them from column ``begin`` of row ``tile`` of ``memory`` on."""
    at, block = 0, patterns.shape[1]
    for s in range(tile.size):
        row, done = tile[s], 0
        while done < count[s]:
            b, i = at // block, at % block
            part = min(block - i, count[s] - done)
            column = begin[s] + done
            p, begins = pattern[b], first[b]
            for k in range(part):
                step = patterns[p, i + k]
                if step == NOWHERE:  # two assignments: one of either type would pass through float64
                    memory[row, column + k] = 0
                else:
                    memory[row, column + k] = flat[begins + step]
            at += part
            done += part


@jit(leaf=True)
def collect(out, first, pattern, patterns, tile, begin, count, memory):  # type: ignore[no-untyped-def]
    """Read the elements of shards, see :func:`scatter`, into the host's array ``out``, which is flat."""
    at, block = 0, patterns.shape[1]
    for s in range(tile.size):
        row, done = tile[s], 0
        while done < count[s]:
            b, i = at // block, at % block
            part = min(block - i, count[s] - done)
            column = begin[s] + done
            p, begins = pattern[b], first[b]
            for k in range(part):
                step = patterns[p, i + k]
                if step != NOWHERE:
                    out[begins + step] = memory[row, column + k]
            at += part
            done += part

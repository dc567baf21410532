"""Small array operations on groups and runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.graph.variables import I64

Bool = NDArray[np.bool_]


def changes(*columns: NDArray[Any]) -> Bool:
    """bool[n]: True where any column differs from the element before; True for the first."""
    new = np.zeros(len(columns[0]), bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def counts_of(heads: I64, total: int) -> I64:
    """Lengths of the groups that begin at ``heads``, ``total`` elements in all."""
    return np.diff(np.append(heads, total))


def positions(counts: I64) -> I64:
    """0..counts[0]-1, 0..counts[1]-1, ... in one array."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - counts, counts)


def spans(heads: I64, counts: I64) -> I64:
    """heads[0], heads[0]+1, ... counts[0] of them, then the same from heads[1], ..."""
    return np.repeat(heads, counts) + positions(counts)


def round_up(value: I64, grain: int) -> I64:
    """To the next multiple of ``grain``."""
    return (value + grain - 1) // grain * grain


class Cursor:
    """Room given out piece by piece in each of several places (tiles, shards); ``used`` i64[places] bytes."""

    def __init__(self, places: int) -> None:
        self.used = np.zeros(places, np.int64)

    def take(self, place: I64, nbytes: I64, grain: int = 8) -> I64:
        """Offsets i64[n] of n pieces, multiples of ``grain``; the pieces of one place follow each other in order."""
        self.used = round_up(self.used, grain)
        size = round_up(nbytes, grain)
        order = np.argsort(place, kind="stable")
        before = np.cumsum(size[order]) - size[order]
        head = changes(place[order])
        offset = np.empty(len(place), np.int64)
        offset[order] = before - before[head][np.cumsum(head) - 1]
        offset += self.used[place]
        np.add.at(self.used, place, size)
        return offset

"""Tiles of 4 x 4 halves that a local copy transposes: found among its blocks, so that they need no table of halves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tile_emu.graph.arrays import changes, counts_of, positions
from tile_emu.graph.codelets import BLOCK, MOST_BLOCKS
from tile_emu.graph.variables import I64

SIDE = 4  # halves
LEAST_TILES = 6  # of a vertex; fewer are not worth its launch


@dataclass(frozen=True, eq=False)
class TransposeJobs:
    """Vertices of transpose4, one for each combination of job and pitches; i64[n] unless said otherwise.

    ``block`` i64[tiles, 4] are the destination blocks, as indices into the caller's; ``entries`` the table [tiles][2].
    Offsets and pitches in bytes.
    """

    first_block: I64
    tiles: I64
    source_offset: I64
    dest_offset: I64
    source_pitch: I64
    dest_pitch: I64
    block: I64
    entries: I64


def find_transposes(job: I64, block: I64, source: I64) -> TransposeJobs | None:
    """Tiles among completely filled blocks of four halves: their ``job``, number ``block``, and ``source`` [n, 4], the
    byte offsets their halves come from. None if there are too few."""
    step = source[:, 1] - source[:, 0]
    rows = (np.diff(source, axis=1) == step[:, None]).all(axis=1) & (step % BLOCK == 0) & (step != 0)
    chosen = np.flatnonzero(rows)
    row, column = np.divmod(source[chosen, 0], BLOCK)
    step, job, number = step[chosen], job[chosen], block[chosen]
    order = np.lexsort((column, step, row, job))
    head = np.flatnonzero(changes(job[order], row[order], step[order]))
    head = head[counts_of(head, len(order)) == SIDE]
    tile = order[head[:, None] + np.arange(SIDE)]
    pitch = number[tile[:, 1]] - number[tile[:, 0]] if len(tile) else np.zeros(0, np.int64)
    regular = (column[tile] == 2 * np.arange(SIDE)).all(axis=1)
    regular &= (np.diff(number[tile], axis=1) == pitch[:, None]).all(axis=1)
    tile, pitch = tile[regular], pitch[regular]
    first = tile[:, 0]
    order = np.lexsort((number[first], pitch, step[first], job[first]))
    tile, pitch, first = tile[order], pitch[order], first[order]
    new = changes(job[first], step[first], pitch)
    head = np.flatnonzero(new)
    long = np.repeat(counts_of(head, len(first)) >= LEAST_TILES, counts_of(head, len(first)))
    if not long.any():
        return None
    tile, pitch, first, new = tile[long], pitch[long], first[long], new[long]
    at = positions(counts_of(np.flatnonzero(new), len(first)))
    head = np.flatnonzero(new | (at % MOST_BLOCKS == 0))
    tiles = counts_of(head, len(first))
    lowest_row, lowest = np.minimum.reduceat(row[first], head), np.minimum.reduceat(number[first], head)
    entries = np.stack([row[first] - np.repeat(lowest_row, tiles), number[first] - np.repeat(lowest, tiles)], axis=1)
    return TransposeJobs(
        first_block=chosen[first[head]],
        tiles=tiles,
        source_offset=BLOCK * lowest_row,
        dest_offset=BLOCK * lowest,
        source_pitch=step[first[head]],
        dest_pitch=BLOCK * pitch[head],
        block=chosen[tile],
        entries=entries,
    )

"""Where each logical tile sits on the die.

A physical id has 11 bits: row (island) = id >> 6, column = (id >> 2) & 15, lane = id & 3. The serpentine of tile pairs
was recovered from rows of the vendor's compiler for 23-row chips (ipu-stack, 2026); with 19 rows the same rule gives
the islands published for GC2, {0, 1, 74, 75} next to the spine and {36..39} at the far end (Jia et al. 2019).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip

ID_BITS = 11
HOST_MUX_BASE = 0x600  # mux values from here up are no tiles: the host selectors and, on Mk2, the neutral value


def physical_ids(chip: Chip) -> NDArray[np.int32]:
    """Physical id of every logical tile: int32[tiles], read-only."""
    return _ids(chip.tiles, chip.exchange.rows)[0]


def logical_ids(chip: Chip) -> NDArray[np.int32]:
    """Logical tile of every 11-bit physical id: int32[2048], -1 where there is no tile; read-only."""
    return _ids(chip.tiles, chip.exchange.rows)[1]


@functools.cache
def _ids(tiles: int, rows: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    tile = np.arange(tiles, dtype=np.int32)
    pair = tile // 2
    block, k = pair // rows, pair % rows
    row = np.where(block % 2 == 0, k, rows - 1 - k)
    physical = (64 * row + 4 * (block // 2) + block % 2 + 2 * (tile % 2)).astype(np.int32)
    logical = np.full(1 << ID_BITS, -1, dtype=np.int32)
    logical[physical] = tile
    physical.flags.writeable = logical.flags.writeable = False
    return physical, logical


def rows_of(chip: Chip) -> NDArray[np.int32]:
    """Row (island number from the spine) of every logical tile: int32[tiles]."""
    return physical_ids(chip) >> 6

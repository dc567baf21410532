"""What is said when a tile's SRAM is too small, and the check that code and data do not meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tile_emu.chips import Chip
from tile_emu.chips.elements import PREFETCH, element, element_start
from tile_emu.errors import OutOfTileMemory
from tile_emu.graph.placement import Bool, Shards
from tile_emu.graph.program import TileLayout
from tile_emu.graph.variables import I32, I64, Variable

LARGEST = 5  # variables named in a message


def _largest(variables: Sequence[Variable], shards: Shards, tile: int) -> str:
    here = shards.tile == tile
    total = np.bincount(shards.variable[here], shards.nbytes[here], len(variables)).astype(np.int64)
    order = [i for i in np.argsort(-total, kind="stable")[:LARGEST] if total[i]]
    return "largest variables: " + (", ".join(f"{variables[i].name} {total[i]:,}" for i in order) or "none")


def out_of_memory(
    chip: Chip, variables: Sequence[Variable], shards: Shards, failed: I64, code_bytes: int
) -> OutOfTileMemory:
    """The error for tiles whose variables found no place; it speaks of the one that needs most."""
    needs = np.bincount(shards.tile, shards.nbytes, shards.tiles).astype(np.int64)
    tile = int(failed[np.argmax(needs[failed])])
    memory = chip.memory
    here = shards.tile == tile
    upper = int(shards.nbytes[here & shards.interleaved[shards.variable]].sum(dtype=np.int64))
    needed, free, why = int(needs[tile]), memory.size - code_bytes, ""
    if upper > memory.end - memory.interleaved_base:
        needed, free, why = upper, memory.end - memory.interleaved_base, " of interleaved memory"
    elif needed <= free:
        why = (
            f", but not in one piece: alignment and the separation of variables into elements of "
            f"{memory.element_bytes // 1024} KiB (interleaved: {memory.element_bytes // 512} KiB) leave no place"
        )
    more = f" ({len(failed)} tiles like this)" if len(failed) > 1 else ""
    return OutOfTileMemory(
        f"tile {tile} is out of memory{more}: its variables need {needed:,} bytes, {free:,} are free{why}; "
        + _largest(variables, shards, tile)
    )


def check_code_room(
    chip: Chip, variables: Sequence[Variable], shards: Shards, address: I32, exchanged: Bool, layout: TileLayout
) -> None:
    """Raise OutOfTileMemory if code, rows or vertex states reach the variables, or share an element (the prefetch of
    the last row included) with data that an exchange reads or writes (exchange rule R13), or leave region 0 (R15)."""
    memory = chip.memory
    bottom = np.full(shards.tiles, memory.end, np.int64)
    shared = bottom.copy()
    held = shards.nbytes > 0
    np.minimum.at(bottom, shards.tile[held], address[held])
    np.minimum.at(shared, shards.tile[held & exchanged], address[held & exchanged])
    floor = np.where(shared < memory.end, element_start(element(shared, memory), memory), memory.end)
    fetched = layout.state_at + PREFETCH
    limits = (
        (layout.end, bottom, "below its variables"),
        (fetched, floor, "below the SRAM element that holds exchanged data"),
        (layout.state_at, np.full(shards.tiles, memory.interleaved_base), "in executable memory"),
    )
    for reach, limit, where in limits:
        over = reach - limit
        tile = int(np.argmax(over))
        if over[tile] > 0:
            parts = {
                "codelets": layout.program - memory.base,
                "supervisor program": layout.rows_at[tile] - layout.program,
                "exchange rows": layout.state_at[tile] - layout.rows_at[tile],
                "vertex state": layout.end[tile] - layout.state_at[tile],
            }
            detail = ", ".join(f"{name} {int(size):,}" for name, size in parts.items())
            raise OutOfTileMemory(
                f"tile {tile} is out of memory: its code needs {int(reach[tile]) - memory.base:,} bytes ({detail}), "
                f"{int(limit[tile]) - memory.base:,} are free {where}; {_largest(variables, shards, tile)}"
            )

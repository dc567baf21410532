"""Transfer sets used by the exchange tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tile_emu.chips import Chip
from tile_emu.exchange import Transfers


def transfers_of(chip: Chip, groups: Sequence[tuple[int, Sequence[int], int]]) -> Transfers:
    """(source, receivers, words) each; every tile reads from the lower third of its memory and stores to the upper."""
    base = chip.memory.base
    read = np.full(chip.tiles, base)
    write = np.full(chip.tiles, base + chip.memory.size // 3 // 4 * 4)
    source_address, dest_address = [], []
    for s, to, words in groups:
        source_address.append(int(read[s]))
        read[s] += 4 * words
        for d in to:
            dest_address.append(int(write[d]))
            write[d] += 4 * words
    assert read.max() <= base + chip.memory.size // 3 and write.max() <= chip.memory.end
    fan = [len(to) for _, to, _ in groups]
    return Transfers(
        np.array([s for s, _, _ in groups], dtype=np.int32),
        np.array(source_address, dtype=np.int32),
        np.array([words for _, _, words in groups], dtype=np.int32),
        np.concatenate([[0], np.cumsum(fan)]).astype(np.int64),
        np.concatenate([np.asarray(to) for _, to, _ in groups]).astype(np.int32),
        np.array(dest_address, dtype=np.int32),
        np.arange(len(groups), dtype=np.int32),
        tuple(f"copy {i}" for i in range(len(groups))),
    )


def all_gather(chip: Chip, tiles: int, group: int, words: int) -> Transfers:
    """Every tile multicasts to its group, itself included."""
    members = np.arange(tiles // group * group).reshape(-1, group)
    return transfers_of(chip, [(int(s), row.tolist(), words) for row in members for s in row])


def grid_gather(chip: Chip, rows: int, columns: int, along: int, across: int) -> Transfers:
    """All-gather in the rows and in the columns of a grid of tiles at once."""
    grid = np.arange(rows * columns).reshape(rows, columns)
    first = [(int(grid[i, j]), grid[i].tolist(), along) for i in range(rows) for j in range(columns)]
    second = [(int(grid[i, j]), grid[:, j].tolist(), across) for i in range(rows) for j in range(columns)]
    return transfers_of(chip, first + second)


def all_to_all(chip: Chip, tiles: int, group: int, words: int, stride: bool = False) -> Transfers:
    """Every tile sends a block of its own to every other tile of its group (also the traffic of a reduce-scatter)."""
    members = np.arange(tiles // group * group)
    members = members.reshape(group, -1).T if stride else members.reshape(-1, group)
    return transfers_of(chip, [(int(s), [int(d)], words) for row in members for s in row for d in row if s != d])

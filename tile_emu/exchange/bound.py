"""The least that an exchange can take, whatever its schedule."""

from __future__ import annotations

import numpy as np

from tile_emu.chips import Chip
from tile_emu.exchange.fabric import mux_offset, sample_to_store
from tile_emu.exchange.pairing import paired
from tile_emu.exchange.transfers import Transfers


def event_bound(chip: Chip, transfers: Transfers) -> int:
    """Events below which no longest row can come.

    A tile sends and receives one item per event, so each of its streams lasts as long as its items (two words each
    where whole pairs of tiles want them, else one); the first of them cannot be stored before it has crossed the fabric
    from the nearest of its sources, the last one sent has yet to cross to its receiver, and the row drains. Sources are
    read at event 0 or later, and so late that no receiver would have to listen before its own event 0.
    """
    if not len(transfers):
        return 0
    owner, first_dest = transfers.owner, transfers.dest_start[:-1]
    delay = mux_offset(chip, transfers.source_tile[owner], transfers.dest_tile).astype(np.int64)
    path = delay + sample_to_store(chip)[transfers.dest_tile]
    earliest = np.maximum(0, -np.minimum.reduceat(delay, first_dest))
    farthest = np.maximum.reduceat(path, first_dest)
    never = np.iinfo(np.int64).max // 2
    begin = np.full(chip.tiles, never)
    np.minimum.at(begin, transfers.dest_tile, earliest[owner] + path)
    pieces = paired(chip, transfers)
    cut, wide = pieces.transfers, pieces.wide
    received = np.bincount(cut.dest_tile, pieces.items[cut.owner], chip.tiles).astype(np.int64)
    start, crossing = np.full(chip.tiles, never), np.full(chip.tiles, never)
    np.minimum.at(start, transfers.source_tile, earliest)
    np.minimum.at(crossing, transfers.source_tile, farthest)
    sent = np.bincount(transfers.source_tile, transfers.words, chip.tiles)
    sent = (sent - np.bincount(cut.source_tile[wide], cut.words[wide] // 2, chip.tiles)).astype(np.int64)
    by_receiver = (begin + received)[received > 0].max()
    by_sender = (start + sent + crossing)[sent > 0].max()
    alone = (earliest + farthest + transfers.words // (2 if wide.any() else 1)).max()
    return int(max(by_receiver, by_sender, alone)) - 1 + chip.exchange.drain

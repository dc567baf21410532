"""Static check of a schedule: no tile sends, listens or stores twice at once, nothing is read that is written."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange.fabric import mux_offset, sample_to_store
from tile_emu.exchange.pairing import partner
from tile_emu.exchange.placing import FORMAT_LEAD
from tile_emu.exchange.schedule import Schedule
from tile_emu.exchange.transfers import I32, I64, Transfers

ADDRESS_BITS = 24  # more than any tile address has


def check_schedule(chip: Chip, schedule: Schedule) -> None:
    """Raise IllegalExchange naming both transfers, both tiles and both cycles if two transfers collide.

    Looks at send windows, mux windows and store windows (events counted from the barrier's release), at events before
    the release, at addresses outside tile memory, at words stored over each other and at words sent that are also
    stored over in this exchange.
    """
    t, items, wide = schedule.pieces.transfers, schedule.pieces.items, schedule.pieces.wide
    if not len(t):
        return
    owner, index = t.owner, np.arange(len(t))
    start = schedule.start.astype(np.int64)
    source = t.source_tile[owner]
    sample = start[owner] + mux_offset(chip, source, t.dest_tile)
    later = np.maximum(sample, start[owner] + mux_offset(chip, source, partner(t.dest_tile)))
    store = np.where(wide[owner], later, sample) + sample_to_store(chip)[t.dest_tile]
    _check_release(t, start, sample, owner)
    _check_memory(chip, t, owner)
    lanes = np.concatenate([t.source_tile, partner(t.source_tile[wide])])
    lane_owner = np.concatenate([index, index[wide]])
    nothing = np.zeros(lane_owner.size, dtype=np.int64)
    _check_windows(t, items, "send", lanes, start[lane_owner], lane_owner, nothing)
    _check_windows(t, items, "listen for", t.dest_tile, sample, owner, 0 * store)
    _check_windows(t, items, "store", t.dest_tile, store, owner, np.where(wide[owner], FORMAT_LEAD, 0))
    _check_destinations(t, owner)
    check_forwarding(t, owner, start, store)


def _check_release(t: Transfers, start: I64, sample: I64, owner: NDArray[np.int32]) -> None:
    early = np.nonzero((sample < 0) | (start[owner] < 0))[0]
    if early.size:
        j = early[0]
        i = owner[j]
        raise IllegalExchange(
            f"'{t.name(i)}': tile {t.source_tile[i]} sends at cycle {start[i]} and tile {t.dest_tile[j]} would have to "
            f"listen at cycle {sample[j]}, before the exchange begins"
        )


def _check_memory(chip: Chip, t: Transfers, owner: NDArray[np.int32]) -> None:
    memory = chip.memory
    for tiles, address, index in (
        (t.source_tile, t.source_address, np.arange(len(t))),
        (t.dest_tile, t.dest_address, owner),
    ):
        end = address.astype(np.int64) + 4 * t.words[index].astype(np.int64)
        bad = np.nonzero((address < memory.base) | (end > memory.end) | (address % 4 != 0))[0]
        if bad.size:
            k = bad[0]
            raise IllegalExchange(
                f"'{t.name(index[k])}': {t.words[index[k]]} words at {address[k]:#x} of tile {tiles[k]} are not in "
                f"tile memory {memory.base:#x}..{memory.end - 1:#x} or not 4-byte aligned"
            )


def _check_windows(
    t: Transfers, items: I32, what: str, tiles: NDArray[np.int32], begin: I64, owner: NDArray[Any], lead: I64
) -> None:
    """No two windows of a tile overlap; ``lead``: events before a window in which nothing of another lead may be."""
    order = np.lexsort((begin, tiles))
    end = begin[order] + items[owner[order]]
    ahead = np.where(lead[order][1:] != lead[order][:-1], lead[order][1:], 0)
    clash = np.nonzero((tiles[order][1:] == tiles[order][:-1]) & (begin[order][1:] - ahead < end[:-1]))[0]
    if clash.size:
        p, q = order[clash[0]], order[clash[0] + 1]
        i, k = owner[p], owner[q]
        raise IllegalExchange(
            f"tile {tiles[p]} would {what} two transfers at once: '{t.name(i)}' from tile {t.source_tile[i]} at cycles "
            f"{begin[p]}..{begin[p] + items[i] - 1} and '{t.name(k)}' from tile {t.source_tile[k]} at cycles "
            f"{begin[q]}..{begin[q] + items[k] - 1}"
        )


def _check_destinations(t: Transfers, owner: NDArray[np.int32]) -> None:
    begin = (t.dest_tile.astype(np.int64) << ADDRESS_BITS) + t.dest_address
    order = np.argsort(begin, kind="stable")
    clash = np.nonzero(begin[order][1:] < begin[order][:-1] + 4 * t.words[owner[order]][:-1])[0]
    if clash.size:
        p, q = order[clash[0]], order[clash[0] + 1]
        i, k = owner[p], owner[q]
        raise IllegalExchange(
            f"tile {t.dest_tile[p]}: '{t.name(i)}' from tile {t.source_tile[i]} ({t.words[i]} words to "
            f"{t.dest_address[p]:#x}) and '{t.name(k)}' from tile {t.source_tile[k]} ({t.words[k]} words to "
            f"{t.dest_address[q]:#x}) overlap"
        )


def overlap(read_key: I64, read_bytes: I64, write_key: I64, write_bytes: I64) -> tuple[int, int] | None:
    """First (read index, write index) whose byte ranges overlap, keys being tile << ADDRESS_BITS | address."""
    if not read_key.size:
        return None
    order = np.argsort(read_key, kind="stable")
    begin = read_key[order]
    reach = np.maximum.accumulate(begin + read_bytes[order])
    last = np.searchsorted(begin, write_key + write_bytes) - 1
    hit = np.nonzero((last >= 0) & (reach[np.maximum(last, 0)] > write_key))[0]
    if not hit.size:
        return None
    w = int(hit[0])
    both = (read_key < write_key[w] + write_bytes[w]) & (read_key + read_bytes > write_key[w])
    return int(np.nonzero(both)[0][0]), w


def check_forwarding(t: Transfers, owner: NDArray[np.int32], start: I64, store: I64) -> None:
    """Refuse words that are both read and stored over in one exchange: which value is sent is not known."""
    read = (t.source_tile.astype(np.int64) << ADDRESS_BITS) + t.source_address
    write = (t.dest_tile.astype(np.int64) << ADDRESS_BITS) + t.dest_address
    found = overlap(read, 4 * t.words.astype(np.int64), write, 4 * t.words[owner].astype(np.int64))
    if found:
        i, j = found
        k = owner[j]
        raise IllegalExchange(
            f"tile {t.source_tile[i]} sends '{t.name(i)}' from {t.source_address[i]:#x} ({t.words[i]} words) at cycle "
            f"{start[i]} and stores '{t.name(k)}' of tile {t.source_tile[k]} over it at cycle {store[j]}: forwarding "
            "within one exchange is not supported"
        )

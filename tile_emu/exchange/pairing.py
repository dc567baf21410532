"""Which transfers travel as 64-bit items: two words a cycle, into both tiles of a pair at once.

The partner of a tile is the one whose physical id differs in bit 1: logical tiles 2k and 2k + 1. Both take the same
stream, so what pays is a multicast whose receivers are whole pairs; a planner profits by giving the tiles 2k and 2k + 1
the same operand. The sender uses its partner's lane as well, so sending alone gains nothing when all tiles send alike.
A stream may come back to its own pair only if another pair takes it too (exchange rule R20).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.chips.topology import rows_of
from tile_emu.exchange.fabric import mux_offset
from tile_emu.exchange.transfers import I32, I64, Transfers

Bool = NDArray[np.bool_]

# The vendor's compiler uses 64-bit items from 64 on, later versions for less (ipu-stack, 2026). A message costs up to
# two cycles of its receivers for the change of format, so a few items suffice.
LEAST_ITEMS = 8


@dataclass(frozen=True, eq=False)
class Pieces:
    """Transfers and which of them are sent as 64-bit items (their lengths and addresses are multiples of 8 bytes)."""

    transfers: Transfers
    wide: Bool  # [n]

    @property
    def items(self) -> I32:
        """Events that each transfer takes: int32[n]."""
        return np.where(self.wide, self.transfers.words // 2, self.transfers.words).astype(np.int32)


def partner(tile: Any) -> Any:
    """The tile that shares a double-width path with a logical tile."""
    return tile ^ 1


def ordinary(transfers: Transfers) -> Pieces:
    """Everything as 32-bit items."""
    return Pieces(transfers, np.zeros(len(transfers), dtype=np.bool_))


def paired(chip: Chip, transfers: Transfers) -> Pieces:
    """The same words, with 64-bit items wherever whole pairs of tiles want them.

    A transfer is cut where it must be: receivers without their partner get 32-bit items, so do an odd word in front and
    one behind.
    """
    t, owner = transfers, transfers.owner
    whole = _whole_pairs(t, owner)
    foreign = whole & (t.dest_tile >> 1 != t.source_tile[owner] >> 1)
    lone = np.bincount(owner[~whole], minlength=len(t))
    back = np.bincount(owner[~whole & (t.dest_tile == t.source_tile[owner])], minlength=len(t))
    front = (t.source_address & 4) // 4
    items = (t.words - front) // 2
    chosen = (np.bincount(owner[foreign], minlength=len(t)) > 0) & (items >= LEAST_ITEMS)
    chosen &= (lone == 0) | (lone > back)  # what is left may not go to its own tile only
    if not chosen.any():
        return ordinary(t)
    return _cut(chip, t, whole, chosen, front, items)


def _whole_pairs(t: Transfers, owner: I32) -> Bool:
    """Destinations whose partner is one too, both at the source's place within 8 bytes: bool[m]."""
    fits = (t.dest_address - t.source_address[owner]) & 4 == 0
    key = (owner.astype(np.int64) << 32) + t.dest_tile
    order = np.argsort(key, kind="stable")
    low = order[:-1][(key[order][:-1] ^ 1 == key[order][1:]) & fits[order][:-1] & fits[order][1:]]
    high = order[1:][(key[order][:-1] ^ 1 == key[order][1:]) & fits[order][:-1] & fits[order][1:]]
    whole = np.zeros(owner.size, dtype=np.bool_)
    whole[low] = whole[high] = True
    return whole


def _cut(chip: Chip, t: Transfers, whole: Bool, chosen: Bool, front: I32, items: I32) -> Pieces:
    """Pieces in the order of the transfers they come from, without the lengths of _least_offset and _own_clash."""
    index, all_words = np.arange(len(t)), t.words.astype(np.int64)
    pick = index[chosen]
    head, count = front[pick].astype(np.int64), items[pick].astype(np.int64)
    least = _least_offset(chip)
    odd = np.where((count & 1 == 1) & (count >= least - 1), least // 2 - 1 | 1, 0)
    odd = np.where(count == _own_clash(chip, t.source_tile[pick]), count // 2, odd)
    lone = np.unique(t.owner[~whole & chosen[t.owner]])
    none = np.zeros(pick.size, dtype=np.int64)
    # columns: parent, first word, words, receivers (0 all, 1 whole pairs, 2 the others), 64-bit
    rest = index[~chosen]
    table: list[tuple[Any, Any, Any, int, bool]] = [
        (rest, 0 * rest, all_words[rest], 0, False),
        (pick, none, head, 1, False),
        (pick, head, 2 * (count - odd), 1, True),
        (pick, head + 2 * (count - odd), 2 * odd, 1, True),
        (pick, head + 2 * count, all_words[pick] - head - 2 * count, 1, False),
        (lone, 0 * lone, all_words[lone], 2, False),
    ]
    parent, first, words = (np.concatenate([row[k] for row in table]) for k in range(3))
    who = np.concatenate([np.full(row[0].size, row[3]) for row in table])
    wide = np.concatenate([np.full(row[0].size, row[4]) for row in table])
    order = np.lexsort((first, who, parent))
    order = order[words[order] > 0]
    parent, first, words, who, wide = parent[order], first[order], words[order], who[order], wide[order]
    return Pieces(t.cut(parent, first, words, lambda k, j: (who[k] == 0) | ((who[k] == 1) == whole[j])), wide)


def _least_offset(chip: Chip) -> int:
    """Smallest offset from sample to store. It is even on all tiles, which _cut relies on.

    On one tile of a pair the end of the paired mux, ``items`` - 1 after the first sample, may not meet the format's or
    the pointer's setting, two before and right at the first store: items = offset - 1 or offset + 1.
    """
    assert chip.exchange.store_offset % 2 == 0 and chip.exchange.row_delay % 2 == 0
    return chip.exchange.store_offset + chip.exchange.row_delay * int(rows_of(chip).min())


def _own_clash(chip: Chip, source: I32) -> I64:
    """Items for which a tile that gets its own stream would have to end its paired mux where it begins to send."""
    own, other = mux_offset(chip, source, source), mux_offset(chip, source, partner(source))
    return np.where(own < other, 1 - other, -1).astype(np.int64)


def divided(pieces: Pieces, receivers: int) -> Pieces:
    """The same words, no multicast to more than ``receivers`` tiles at once (an even number; 4 at least for pairs).

    Receivers that have to wait for each other are the weakness of large irregular multicasts; sending the words several
    times is often cheaper. Pairs stay together, and a tile's own pair with another one (exchange rule R20).
    """
    t, owner = pieces.transfers, pieces.transfers.owner
    own = t.dest_tile >> 1 == t.source_tile[owner] >> 1
    order = np.lexsort((t.dest_tile, ~own, owner))
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size) - t.dest_start[owner]
    most = np.where(pieces.wide, max(receivers, 4), receivers)
    parts = -(-np.diff(t.dest_start) // most)
    parent = np.repeat(np.arange(len(t)), parts)
    part = np.arange(parent.size) - np.repeat(np.cumsum(parts) - parts, parts)
    words = t.words[parent].astype(np.int64)
    return Pieces(
        t.cut(parent, 0 * parent, words, lambda k, j: rank[j] // most[owner[j]] == part[k]), pieces.wide[parent]
    )


def shortened(pieces: Pieces, words: int) -> Pieces:
    """The same words, the 32-bit ones in transfers of at most ``words`` words."""
    t = pieces.transfers
    most = np.where(pieces.wide, t.words, words)
    count = -(-t.words // most)
    parent = np.repeat(np.arange(len(t)), count)
    first = most[parent] * (np.arange(parent.size) - np.repeat(np.cumsum(count) - count, count))
    return Pieces(t.cut(parent, first, np.minimum(t.words[parent] - first, most[parent])), pieces.wide[parent])


def lane_bound(chip: Chip, pieces: Pieces) -> int:
    """Most events for which one tile's sending lane or its receiver is needed: no schedule of these takes fewer."""
    t, items, wide = pieces.transfers, pieces.items, pieces.wide
    if not len(t):
        return 0
    lane = np.bincount(t.source_tile, items, chip.tiles) + np.bincount(
        partner(t.source_tile[wide]), items[wide], chip.tiles
    )
    received = np.bincount(t.dest_tile, items[t.owner], chip.tiles)
    return int(max(lane.max(), received.max()))

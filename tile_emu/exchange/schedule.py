"""When each transfer of an exchange is sent: a greedy list scheduler over the busy lists of placing.py.

A tile sends one item and receives one item per cycle, an item being one word or, to whole pairs of tiles, two.

The order of placement decides the quality. Sources in a group should follow each other in an order in which their
delays to the common receivers change little, receivers of point-to-point traffic should meet their sources in a cyclic
shift, and overlapping groups (rows and columns of a grid) should run one family after the other. So every group of
transfers with the same set of receivers gets a colour, disjoint from the groups of its colour, and an order of its
sources; the running total of words in that order is the time at which a transfer would ideally be received.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tile_emu.chips import Chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange.fabric import direction, mux_offset, sample_to_store
from tile_emu.exchange.pairing import Pieces, divided, lane_bound, ordinary, paired, partner, shortened
from tile_emu.exchange.placing import NARROW, place, place_paired
from tile_emu.exchange.transfers import I32, I64, Transfers, mixed
from tile_emu.jit import jit

_SPARE_EVENTS = 1024  # tables of settings reach twice the bound and this; doubled while too short
_TABLE_DOUBLINGS = 4
_PAYS = 0.95  # 64-bit items are tried where they lower the bound to this
# When the events exceed the bound by more than this, transfers are divided: multicasts to so many tiles at most, 32-bit
# messages to so many words; taken if it saves some per cent.
_TOLERATED, _RECEIVERS, _SHORT, _WORTH = 1.2, (16, 8, 4, 2), 64, 0.97


@dataclass(frozen=True, eq=False)
class Schedule:
    """What is sent, the send event of every piece (int32[n]), and the events of the longest row, drain included."""

    pieces: Pieces
    start: I32
    horizon: int


@jit(leaf=True)
def _colour(member, dest_start, dest_tile, used, colour):  # type: ignore[no-untyped-def]
    """Lowest colour per group that none of its receivers has yet; ``member`` is one transfer of each group."""
    for g in range(member.size):
        taken = np.uint64(0)
        for j in range(dest_start[member[g]], dest_start[member[g] + 1]):
            taken |= used[dest_tile[j]]
        c = 0
        while c < 63 and (taken >> np.uint64(c)) & np.uint64(1):
            c += 1
        colour[g] = c
        for j in range(dest_start[member[g]], dest_start[member[g] + 1]):
            used[dest_tile[j]] |= np.uint64(1) << np.uint64(c)


@jit(leaf=True)
def _group_begin(order, member, words, dest_start, dest_tile, load, begin):  # type: ignore[no-untyped-def]
    """Words that the busiest receiver of each group gets from the groups before it in ``order``."""
    for g in order:
        first, last = dest_start[member[g]], dest_start[member[g] + 1]
        for j in range(first, last):
            begin[g] = max(begin[g], load[dest_tile[j]])
        for j in range(first, last):
            load[dest_tile[j]] += words[g]


def _by_ideal_time(chip: Chip, pieces: Pieces) -> I64:
    """Order of placement by the time at which a transfer would be received if nothing was in the way."""
    t, items = pieces.transfers, pieces.items
    keys = np.add.reduceat(mixed(t.dest_tile), t.dest_start[:-1])  # of the set of receivers; a collision costs quality
    _, member, group = np.unique(keys, return_index=True, return_inverse=True)
    appearance = np.argsort(np.argsort(member))
    group, member = appearance[group], np.sort(member)
    colour = np.zeros(member.size, dtype=np.int64)
    _colour(member, t.dest_start, t.dest_tile, np.zeros(chip.tiles, dtype=np.uint64), colour)
    group_words = np.bincount(group, weights=items).astype(np.int64)
    begin = np.zeros(member.size, dtype=np.int64)
    by_colour = np.argsort(colour, kind="stable")
    load = np.zeros(chip.tiles, dtype=np.int64)
    _group_begin(by_colour, member, group_words, t.dest_start, t.dest_tile, load, begin)
    # Point to point: receivers meet the sources in a cyclic shift. Multicast: sources in tile order, along the die.
    receiver = np.where(np.diff(t.dest_start) == 1, t.dest_tile[t.dest_start[:-1]], 0)
    place = (t.source_tile - receiver) % chip.tiles
    order = np.lexsort((np.arange(len(t)), place, group))
    before = np.cumsum(items[order], dtype=np.int64) - items[order]
    head = np.searchsorted(group[order], np.arange(member.size))
    ideal = np.empty(len(t), dtype=np.int64)
    ideal[order] = before - before[head][group[order]] + begin[group[order]]
    return np.lexsort((t.source_tile, ideal))


def _by_area(pieces: Pieces) -> I64:
    """Largest events x receivers first: the best simple rule found for irregular multicasts."""
    return np.argsort(-(np.diff(pieces.transfers.dest_start) * pieces.items), kind="stable")


class _Placer:
    """Arrays shared by the placements of one exchange."""

    def __init__(self, chip: Chip, pieces: Pieces) -> None:
        t = self.t = pieces.transfers
        self.chip, self.pieces = chip, pieces
        self.items = pieces.items
        self.owner = t.owner
        source = t.source_tile[self.owner]
        own = mux_offset(chip, source, t.dest_tile).astype(np.int64)
        wide = pieces.wide[self.owner]
        later = np.maximum(own, mux_offset(chip, source, partner(t.dest_tile)))
        self.delay = np.where(wide, later, own)  # from the send to the sample of the later tile of the pair
        self.first = np.maximum(0, -np.minimum.reduceat(own, t.dest_start[:-1]))
        self.early = own < self.delay
        self.code = np.where(wide, direction(chip, source, t.dest_tile), NARROW).astype(np.int64)
        self.to_store = sample_to_store(chip)[t.dest_tile].astype(np.int64)
        self.drain = chip.exchange.drain
        self.second = np.where(pieces.wide, partner(t.source_tile), -1).astype(np.int64)
        lanes = np.concatenate([t.source_tile, self.second[pieces.wide]])
        parts = [np.bincount(tiles, minlength=chip.tiles) for tiles in (lanes, t.dest_tile)]
        self.base = np.concatenate([[0], np.cumsum(np.concatenate(parts))]).astype(np.int64)

    def _lists(self) -> tuple[I64, I64, I64]:
        return (
            np.empty(int(self.base[-1]) + 1, dtype=np.int64),
            np.empty(int(self.base[-1]) + 1, dtype=np.int64),
            np.zeros(self.base.size - 1, dtype=np.int64),
        )

    def place(self, order: I64, delay: I64, first: I64) -> I32:
        """First fit in this order, with these delays (negated ones place the mirrored exchange), settings aside."""
        t = self.t
        start = np.zeros(len(t), dtype=np.int32)
        tiles = (t.source_tile, self.second, self.items, t.dest_start, t.dest_tile)
        place(order, first, *tiles, delay, self.base, *self._lists(), start)
        return start

    def place_legally(self, order: I64) -> I32 | None:
        """First fit in this order; None if some settings find no place."""
        if not self.pieces.wide.any():
            return self.place(order, self.delay, self.first)
        t = self.t
        nbytes = 4 * t.words[self.owner].astype(np.int64)
        dest = (t.dest_tile, t.dest_address, self.delay, self.to_store, self.code, self.early, nbytes)
        lanes = (t.source_tile, self.second, self.items)
        events = 2 * lane_bound(self.chip, self.pieces) + _SPARE_EVENTS
        for _ in range(_TABLE_DOUBLINGS):
            start = np.zeros(len(t), dtype=np.int32)
            low, high, count = self._lists()
            lists = (low, high, count, np.zeros_like(low), np.zeros_like(low))
            settings = np.zeros((self.chip.tiles, events), dtype=np.uint8)
            if place_paired(order, self.first, lanes, t.dest_start, dest, self.base, lists, settings, start):
                return start
            events *= 2
        return None

    def justify(self, start: I32) -> I32 | None:
        """Push everything late, then early again, in the order of the schedule given: closes gaps."""
        backwards = np.argsort(-(start + self.items), kind="stable")
        mirrored = self.place(backwards, -self.delay, np.maximum(0, np.maximum.reduceat(self.delay, self._heads())))
        return self.place_legally(np.argsort(-(mirrored + self.items), kind="stable"))

    def _heads(self) -> I64:
        return self.t.dest_start[:-1]

    def horizon(self, start: I32) -> int:
        """Events of the longest row."""
        last_store = start[self.owner] + self.delay + self.to_store + self.items[self.owner] - 1
        return int(max(last_store.max() + self.drain, (start + self.items).max()))


def schedule_pieces(chip: Chip, pieces: Pieces) -> Schedule | None:
    """The shortest of several schedules; None if the settings of 64-bit items find no place in any of them."""
    placer = _Placer(chip, pieces)
    starts = [placer.place_legally(order) for order in (_by_ideal_time(chip, pieces), _by_area(pieces))]
    legal = [start for start in starts if start is not None]
    if not legal:
        return None
    closer = placer.justify(min(legal, key=placer.horizon))
    legal += [closer] if closer is not None else []
    best = min(legal, key=placer.horizon)
    return Schedule(pieces, best, placer.horizon(best))


def schedule(chip: Chip, transfers: Transfers) -> Schedule:
    """Send events such that no tile sends or receives two items at once. Deterministic.

    Takes 64-bit items where their lower load on lanes and receivers also gives a shorter exchange. Raises
    IllegalExchange for a transfer that goes nowhere but to its own tile: the fabric cannot do that (a local copy can),
    or that has no receiver or no words.
    """
    pieces = ordinary(transfers)
    if not len(transfers):
        return Schedule(pieces, np.zeros(0, dtype=np.int32), 0)
    _refuse_impossible(transfers)
    doubled = paired(chip, transfers)
    bound = lane_bound(chip, pieces)
    faster = None
    if lane_bound(chip, doubled) < _PAYS * bound:
        faster = schedule_pieces(chip, doubled)
        if faster is not None and faster.horizon <= bound:
            return faster
    plain = schedule_pieces(chip, pieces)
    assert plain is not None  # 32-bit items can always be placed
    return _divide(chip, faster if faster is not None and faster.horizon < plain.horizon else plain)


def _divide(chip: Chip, best: Schedule) -> Schedule:
    """Cut what leaves the lanes idle: multicasts to many tiles into several, then long transfers into short ones."""
    tolerated = _TOLERATED * lane_bound(chip, best.pieces)
    whole, fan = best.pieces, int(np.diff(best.pieces.transfers.dest_start).max())
    for receivers in _RECEIVERS:
        if best.horizon <= tolerated or receivers >= fan:
            continue
        pieces = divided(whole, receivers)
        if lane_bound(chip, pieces) >= best.horizon:
            break
        best = _better(best, schedule_pieces(chip, pieces))
    if best.horizon > tolerated and best.pieces.transfers.words.max() > _SHORT:
        best = _better(best, schedule_pieces(chip, shortened(best.pieces, _SHORT)))
    return best


def _better(best: Schedule, other: Schedule | None) -> Schedule:
    """The other one if it is worth its longer rows."""
    return other if other is not None and other.horizon < _WORTH * best.horizon else best


def _refuse_impossible(t: Transfers) -> None:
    fan = np.diff(t.dest_start)
    if (fan < 1).any() or (t.words < 1).any():
        i = int(np.nonzero((fan < 1) | (t.words < 1))[0][0])
        raise IllegalExchange(f"'{t.name(i)}' from tile {t.source_tile[i]}: no receiver or no words")
    alone = (fan == 1) & (t.dest_tile[t.dest_start[:-1]] == t.source_tile)
    if alone.any():
        i = int(np.nonzero(alone)[0][0])
        raise IllegalExchange(
            f"'{t.name(i)}': tile {t.source_tile[i]} would send only to itself ({t.words[i]} words from "
            f"{t.source_address[i]:#x}): the fabric cannot, use a local copy"
        )


def load_bound(chip: Chip, transfers: Transfers) -> int:
    """Most words that one tile sends or receives.

    With 32-bit items no schedule takes fewer events (path delays come on top); for 64-bit items see lane_bound.
    """
    sent = np.bincount(transfers.source_tile, transfers.words, chip.tiles)
    received = np.bincount(transfers.dest_tile, transfers.words[transfers.owner], chip.tiles)
    return int(max(sent.max(), received.max()))

"""When each transfer of an exchange is sent: a greedy list scheduler over two busy lists per tile.

A tile sends one item and receives one item per cycle. For 32-bit items a receiver's mux window and its store window
differ by a constant, so one receive list stands for both. Every control can be encoded at every event (a `sendpicp`
that repeats the value in force for the control that does not change), so encoding adds no constraint; see rows.py.

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
from tile_emu.exchange.fabric import mux_offset, sample_to_store
from tile_emu.exchange.transfers import I32, I64, Transfers, mixed
from tile_emu.jit import jit


@dataclass(frozen=True, eq=False)
class Schedule:
    """Send event of every transfer (int32[n]) and the events of the longest row, its drain included."""

    start: I32
    horizon: int


@jit(inline=True)
def _first_at(high, base, count, t):  # type: ignore[no-untyped-def]
    """Index of the first busy interval that ends after t."""
    lo, hi = base, base + count
    if count == 0 or high[hi - 1] <= t:
        return hi
    while lo < hi:
        middle = (lo + hi) >> 1
        if high[middle] > t:
            hi = middle
        else:
            lo = middle + 1
    return lo


@jit
def _free_from(low, high, base, count, t, words):  # type: ignore[no-untyped-def]
    """Earliest t' >= t at which ``words`` cycles are free."""
    i = _first_at(high, base, count, t)
    while i < base + count and low[i] < t + words:
        t = high[i]
        i += 1
    return t


@jit
def _occupy(low, high, base, count, t, words):  # type: ignore[no-untyped-def]
    """Mark [t, t + words) busy, joining touching intervals; returns the new number of intervals."""
    end = base + count
    i = _first_at(high, base, count, t)
    before = i > base and high[i - 1] == t
    after = i < end and low[i] == t + words
    if before and after:
        high[i - 1] = high[i]
        for k in range(i, end - 1):
            low[k], high[k] = low[k + 1], high[k + 1]
        return count - 1
    if before:
        high[i - 1] = t + words
        return count
    if after:
        low[i] = t
        return count
    for k in range(end, i, -1):
        low[k], high[k] = low[k - 1], high[k - 1]
    low[i], high[i] = t, t + words
    return count + 1


@jit
def _place(order, first, source, words, dest_start, dest_tile, delay, base, low, high, count, start):  # type: ignore[no-untyped-def]
    """First fit in the given order. Lists: send list of tile t at index t, receive list at tiles + t."""
    tiles = (base.size - 1) // 2
    for o in range(order.size):
        i = order[o]
        s, n = source[i], words[i]
        a = np.int64(first[i])
        moved = True
        while moved:
            moved = False
            b = _free_from(low, high, base[s], count[s], a, n)
            for j in range(dest_start[i], dest_start[i + 1]):
                r = tiles + dest_tile[j]
                x = _free_from(low, high, base[r], count[r], b + delay[j], n)
                b = max(b, x - delay[j])
            moved = b > a
            a = b
        start[i] = a
        count[s] = _occupy(low, high, base[s], count[s], a, n)
        for j in range(dest_start[i], dest_start[i + 1]):
            r = tiles + dest_tile[j]
            count[r] = _occupy(low, high, base[r], count[r], a + delay[j], n)


@jit
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


@jit
def _group_begin(order, member, words, dest_start, dest_tile, load, begin):  # type: ignore[no-untyped-def]
    """Words that the busiest receiver of each group gets from the groups before it in ``order``."""
    for g in order:
        first, last = dest_start[member[g]], dest_start[member[g] + 1]
        for j in range(first, last):
            begin[g] = max(begin[g], load[dest_tile[j]])
        for j in range(first, last):
            load[dest_tile[j]] += words[g]


def _by_ideal_time(chip: Chip, t: Transfers) -> I64:
    """Order of placement by the time at which a transfer would be received if nothing was in the way."""
    keys = np.add.reduceat(mixed(t.dest_tile), t.dest_start[:-1])  # of the set of receivers; a collision costs quality
    _, member, group = np.unique(keys, return_index=True, return_inverse=True)
    appearance = np.argsort(np.argsort(member))
    group, member = appearance[group], np.sort(member)
    colour = np.zeros(member.size, dtype=np.int64)
    _colour(member, t.dest_start, t.dest_tile, np.zeros(chip.tiles, dtype=np.uint64), colour)
    group_words = np.bincount(group, weights=t.words).astype(np.int64)
    begin = np.zeros(member.size, dtype=np.int64)
    by_colour = np.argsort(colour, kind="stable")
    load = np.zeros(chip.tiles, dtype=np.int64)
    _group_begin(by_colour, member, group_words, t.dest_start, t.dest_tile, load, begin)
    # Point to point: receivers meet the sources in a cyclic shift. Multicast: sources in tile order, along the die.
    receiver = np.where(np.diff(t.dest_start) == 1, t.dest_tile[t.dest_start[:-1]], 0)
    place = (t.source_tile - receiver) % chip.tiles
    order = np.lexsort((np.arange(len(t)), place, group))
    before = np.cumsum(t.words[order], dtype=np.int64) - t.words[order]
    head = np.searchsorted(group[order], np.arange(member.size))
    ideal = np.empty(len(t), dtype=np.int64)
    ideal[order] = before - before[head][group[order]] + begin[group[order]]
    return np.lexsort((t.source_tile, ideal))


def _by_area(t: Transfers) -> I64:
    """Largest words x receivers first: the best simple rule found for irregular multicasts."""
    return np.argsort(-(np.diff(t.dest_start) * t.words), kind="stable")


class _Placer:
    """Arrays shared by the placements of one exchange."""

    def __init__(self, chip: Chip, t: Transfers) -> None:
        self.t = t
        self.owner = t.owner
        self.delay = mux_offset(chip, t.source_tile[self.owner], t.dest_tile).astype(np.int64)
        self.to_store = sample_to_store(chip)[t.dest_tile]
        self.drain = chip.exchange.drain
        parts = [np.bincount(tiles, minlength=chip.tiles) for tiles in (t.source_tile, t.dest_tile)]
        self.base = np.concatenate([[0], np.cumsum(np.concatenate(parts))]).astype(np.int64)

    def place(self, order: I64, delay: I64) -> I32:
        """First fit in this order, with these delays (negated ones place the mirrored exchange)."""
        t = self.t
        first = np.maximum(0, -np.minimum.reduceat(delay, t.dest_start[:-1]))
        low = np.empty(int(self.base[-1]) + 1, dtype=np.int64)
        high = np.empty_like(low)
        count = np.zeros(self.base.size - 1, dtype=np.int64)
        start = np.zeros(len(t), dtype=np.int32)
        args = (t.source_tile, t.words, t.dest_start, t.dest_tile, delay, self.base, low, high, count, start)
        _place(order.astype(np.int64), first, *args)
        return start

    def justify(self, start: I32) -> I32:
        """Push everything late, then early again, in the order of the schedule given: closes gaps."""
        mirrored = self.place(np.argsort(-(start + self.t.words), kind="stable"), -self.delay)
        return self.place(np.argsort(-(mirrored + self.t.words), kind="stable"), self.delay)

    def horizon(self, start: I32) -> int:
        """Events of the longest row."""
        t = self.t
        last_store = start[self.owner] + self.delay + self.to_store + t.words[self.owner] - 1
        return int(max(last_store.max() + self.drain, (start + t.words).max()))


def schedule(chip: Chip, transfers: Transfers) -> Schedule:
    """Send events such that no tile sends or receives two items at once. Deterministic.

    Raises IllegalExchange for a transfer that goes nowhere but to its own tile: the fabric cannot do that (a local copy
    can), or that has no receiver or no words.
    """
    if not len(transfers):
        return Schedule(np.zeros(0, dtype=np.int32), 0)
    _refuse_impossible(transfers)
    placer = _Placer(chip, transfers)
    starts = [placer.place(order, placer.delay) for order in (_by_ideal_time(chip, transfers), _by_area(transfers))]
    starts.append(placer.justify(min(starts, key=placer.horizon)))
    best = min(starts, key=placer.horizon)
    return Schedule(best, placer.horizon(best))


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
    """Most words that one tile sends or receives: no schedule takes fewer events (path delays come on top)."""
    sent = np.bincount(transfers.source_tile, transfers.words, chip.tiles)
    received = np.bincount(transfers.dest_tile, transfers.words[transfers.owner], chip.tiles)
    return int(max(sent.max(), received.max()))

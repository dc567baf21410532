"""What a receiver has to set and when: mux, store pointer, and for 64-bit items paired mux and format.

Receives of a tile in order of time. Their times are samples of the later tile of a pair, as in placing.py. Of a pair,
the early tile alone sets the paired mux, for both, one event ahead; both set format and pointer.
"""

from __future__ import annotations

import numpy as np

from tile_emu.exchange.placing import FORMAT_LEAD, KEPT_GAP, NARROW
from tile_emu.jit import jit

MUX, POINTER, PAIR, FORMAT = 1, 2, 4, 8  # kinds of settings; mux and pointer may come together
_PARTNER = 2  # bit of the physical id that tells the tiles of a pair apart


@jit(leaf=True)
def _last_receive(sample, lo, hi, event):  # type: ignore[no-untyped-def]
    """Last receive in lo..hi that begins at or before the event; lo - 1 if none."""
    while lo < hi:
        middle = (lo + hi) >> 1
        if sample[middle] <= event:
            lo = middle + 1
        else:
            hi = middle
    return lo - 1


@jit(leaf=True)
def mux_at(receive, tile, event, neutral):  # type: ignore[no-untyped-def]
    """Mux value that the row of the tile has in force at an event."""
    bounds, sample, items, source, _address, code, _early, _to_store = receive
    i = _last_receive(sample, bounds[tile], bounds[tile + 1], event)
    if i < bounds[tile] or event >= sample[i] + items[i] or code[i] != NARROW:
        return np.int64(neutral)
    return np.int64(source[i])


@jit(leaf=True)
def pointer_at(receive, tile, event):  # type: ignore[no-untyped-def]
    """Word address at which a word arriving at this event would be stored."""
    bounds, sample, items, _source, address, code, _early, to_store = receive
    lo, hi = bounds[tile], bounds[tile + 1]
    if lo == hi:
        return np.int64(0)
    i = _last_receive(sample, lo, hi, event - to_store[tile])
    if i < lo:
        return np.int64(address[lo] >> 2)
    stored = min(event - to_store[tile] - sample[i], items[i])
    return np.int64((address[i] >> 2) + (stored if code[i] == NARROW else 2 * stored))


@jit(inline=True)
def _add(events, kinds, values, count, event, kind, value):  # type: ignore[no-untyped-def]
    events[count], kinds[count], values[count] = event, kind, value
    return count + 1


@jit(leaf=True)
def _selectors(receive, tile, physical, neutral, events, kinds, values):  # type: ignore[no-untyped-def]
    """Settings of mux and paired mux; returns how many. Neutral wherever nothing of the same width follows at once."""
    bounds, sample, items, source, _address, code, early, _to_store = receive
    count = 0
    for i in range(bounds[tile], bounds[tile + 1]):
        begin, end, wide = sample[i], sample[i] + items[i], code[i] != NARROW
        after = i > bounds[tile] and sample[i - 1] + items[i - 1] == begin and (code[i - 1] != NARROW) == wide
        goes_on = i + 1 < bounds[tile + 1] and sample[i + 1] == end and (code[i + 1] != NARROW) == wide
        same = after and source[i - 1] == source[i]
        if wide and early[i]:
            if not same:
                value = source[i] ^ (physical[tile] & _PARTNER)
                count = _add(events, kinds, values, count, begin - 1, PAIR, value)
            if not goes_on:
                count = _add(events, kinds, values, count, end - 1, PAIR, neutral)
        elif not wide:
            if not same:
                count = _add(events, kinds, values, count, begin, MUX, 0)
            if not goes_on:
                count = _add(events, kinds, values, count, end, MUX, 0)
    return count


@jit(leaf=True)
def _stores(receive, tile, events, kinds, values, count):  # type: ignore[no-untyped-def]
    """Settings of format, and of the pointer where it is not in place already; returns how many there are now."""
    bounds, sample, items, _source, address, code, _early, to_store = receive
    for i in range(bounds[tile], bounds[tile + 1]):
        begin = sample[i] + to_store[tile]
        end = begin + items[i]
        after = i > bounds[tile] and begin - to_store[tile] - sample[i - 1] - items[i - 1] <= KEPT_GAP
        goes_on = i + 1 < bounds[tile + 1] and sample[i + 1] + to_store[tile] - end <= KEPT_GAP
        if code[i] != NARROW:
            if not (after and code[i - 1] == code[i]):
                count = _add(events, kinds, values, count, begin - FORMAT_LEAD, FORMAT, code[i])
            if not (goes_on and code[i + 1] == code[i]):
                count = _add(events, kinds, values, count, end - FORMAT_LEAD, FORMAT, NARROW)
        if i > bounds[tile]:
            stored = items[i - 1] if code[i - 1] == NARROW else 2 * items[i - 1]
            if address[i] == address[i - 1] + 4 * stored:
                continue
        count = _add(events, kinds, values, count, begin, POINTER, 0)
    return count


@jit
def collect(receive, tile, physical, neutral, events, kinds, values):  # type: ignore[no-untyped-def]
    """All settings of a tile in order of events; mux and pointer at one event become one. Returns how many.

    ``receive``: bounds by tile; sample, items, physical source, byte address, code (NARROW or direction) and whether
    the tile is the early one, by receive; offset from sample to store by tile. ``values`` are those of paired mux and
    format; the others follow from mux_at and pointer_at.
    """
    count = _selectors(receive, tile, physical, neutral, events, kinds, values)
    count = _stores(receive, tile, events, kinds, values, count)
    order = np.argsort(events[:count], kind="mergesort")
    event, kind, value = events[:count][order], kinds[:count][order], values[:count][order]
    kept = 0
    for i in range(count):
        if kept and events[kept - 1] == event[i]:
            kinds[kept - 1] |= kind[i]
        else:
            kept = _add(events, kinds, values, kept, event[i], kind[i], value[i])
    return kept

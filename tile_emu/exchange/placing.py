"""First fit of transfers in a given order: busy lists per tile, and for 64-bit items the settings they need.

Times of a receiver are counted on its own clock from the sample of the later tile of the pair (see arrivals.py; for
32-bit items simply its sample), so that one list stands for what it samples and for what it stores. A 64-bit message
keeps two more events in front of it, for the format: unless it soon follows another one of the same direction.

Mux and pointer settings and the opening of a message may coincide (`sendpicp` carries them). A paired mux setting or a
format setting must be alone on its event; and since a `sendpicp`, which must lie on 8 bytes, needs an instruction
before it that can be stretched, no two ordinary ones coincide right after it. Tables of settings by tile and event keep
that; an exchange without 64-bit items needs none.
"""

from __future__ import annotations

import numpy as np

from tile_emu.jit import jit

FORMAT_LEAD = 2  # a store is governed by the format in force two events before (exchange notes, section 6)
KEPT_GAP = 32  # longest gap between 64-bit messages of one direction over which the format stays on (inferred harmless)
NARROW = 0  # tail of a busy interval that ends with 32-bit items; else the direction code of the 64-bit ones

_PAIR, _FORMAT, _MUX, _POINTER, _OPENING = 1, 2, 4, 8, 16
_ALONE, _ORDINARY = _PAIR | _FORMAT, _MUX | _POINTER | _OPENING
_NOWHERE = -1
_TOO_LATE = 2


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


@jit(leaf=True)
def _free_from(low, high, base, count, t, events):  # type: ignore[no-untyped-def]
    """Earliest t' >= t at which ``events`` cycles are free."""
    i = _first_at(high, base, count, t)
    while i < base + count and low[i] < t + events:
        t = high[i]
        i += 1
    return t


@jit(leaf=True)
def _occupy(low, high, base, count, t, end):  # type: ignore[no-untyped-def]
    """Mark [t, end) busy, joining touching intervals; returns the new number of intervals and which one it is in."""
    stop = base + count
    i = _first_at(high, base, count, t)
    before = i > base and high[i - 1] == t
    after = i < stop and low[i] == end
    if before and after:
        high[i - 1] = high[i]
        for k in range(i, stop - 1):
            low[k], high[k] = low[k + 1], high[k + 1]
        return count - 1, i - 1
    if before:
        high[i - 1] = end
        return count, i - 1
    if after:
        low[i] = t
        return count, i
    for k in range(stop, i, -1):
        low[k], high[k] = low[k - 1], high[k - 1]
    low[i], high[i] = t, end
    return count + 1, i


@jit(leaf=True)
def place(order, first, source, second, items, dest_start, dest_tile, delay, base, low, high, count, start):  # type: ignore[no-untyped-def]
    """First fit without regard to settings. Lists: lane of tile t at index t, its receiver at tiles + t.

    ``second`` is the tile whose lane is needed besides the sender's own, or -1.
    """
    tiles = (base.size - 1) // 2
    for o in range(order.size):
        i = order[o]
        s, n, p = source[i], items[i], second[i]
        a = np.int64(first[i])
        moved = True
        while moved:
            b = _free_from(low, high, base[s], count[s], a, n)
            if p >= 0:
                b = _free_from(low, high, base[p], count[p], b, n)
            for j in range(dest_start[i], dest_start[i + 1]):
                r = tiles + dest_tile[j]
                x = _free_from(low, high, base[r], count[r], b + delay[j], n)
                b = max(b, x - delay[j])
            moved = b > a
            a = b
        start[i] = a
        count[s], _at = _occupy(low, high, base[s], count[s], a, a + n)
        if p >= 0:
            count[p], _at = _occupy(low, high, base[p], count[p], a, a + n)
        for j in range(dest_start[i], dest_start[i + 1]):
            r = tiles + dest_tile[j]
            count[r], _at = _occupy(low, high, base[r], count[r], a + delay[j], a + delay[j] + n)


# --- with 64-bit items -----------------------------------------------------------------------------------------------


@jit(leaf=True)
def _receiver_from(low, high, tail, base, count, t, n, code):  # type: ignore[no-untyped-def]
    """Earliest t' >= t at which a receiver can take n items, 64-bit ones if ``code`` is not NARROW."""
    lead = FORMAT_LEAD if code != NARROW else 0
    i, stop = _first_at(high, base, count, t - lead), base + count
    while i < stop:
        apart = 0 if code == NARROW or tail[i] == code else FORMAT_LEAD
        if high[i] <= t:
            t = max(t, high[i] + apart)
        elif low[i] < t + n:
            t = high[i] + apart
        else:
            break
        i += 1
    return t


@jit(leaf=True)
def _continued(low, high, tail, base, count, t, code):  # type: ignore[no-untyped-def]
    """Interval that a message of this kind taken from t on continues, or -1.

    32-bit items only without a gap; of 64-bit ones the format stays on over a short gap, which then counts as busy.
    """
    kept = KEPT_GAP if code != NARROW else 0
    i = _first_at(high, base, count, t - kept - 1)
    while i + 1 < base + count and high[i + 1] <= t:
        i += 1
    if i < base + count and high[i] <= t and tail[i] == code:
        return i
    return np.int64(_NOWHERE)


@jit(inline=True)
def _alone_fits(line, event, same):  # type: ignore[no-untyped-def]
    """Whether a setting that must be alone can be made; ``same``: its own kind may be there already."""
    after = line[event + 1] & _ORDINARY
    return line[event] & ~same == 0 and after & (after - 1) == 0


@jit(inline=True)
def _ordinary_fits(line, event, kind):  # type: ignore[no-untyped-def]
    """Whether a mux or pointer setting or an opening can be made."""
    if line[event] & _ALONE:
        return False
    there = (line[event] & _ORDINARY) | kind
    return there & (there - 1) == 0 or event == 0 or line[event - 1] & _ALONE == 0


@jit(leaf=True)
def _settings_fit(line, t, n, to_store, code, early, continuing, adjoining):  # type: ignore[no-untyped-def]
    """Whether a tile can make the settings for a message taken from t on; ``line``: its table of settings."""
    if not adjoining and not _ordinary_fits(line, t + to_store, _POINTER):
        return False
    if code == NARROW:
        return _ordinary_fits(line, t, _MUX) and _ordinary_fits(line, t + n, _MUX)
    if early and not (_alone_fits(line, t - 1, _PAIR) and _alone_fits(line, t - 1 + n, _PAIR)):
        return False
    if early and n == to_store and line[t + to_store] & _ORDINARY:
        return False  # the end of the paired mux right before the pointer's setting and another one
    begin = t + to_store - FORMAT_LEAD
    return (continuing or _alone_fits(line, begin, 0)) and _alone_fits(line, begin + n, 0)


@jit(leaf=True)
def _set(line, t, n, to_store, code, early, before, adjoining):  # type: ignore[no-untyped-def]
    """Enter these settings; ``before``: end of the message that this one continues, or -1."""
    if not adjoining:
        line[t + to_store] |= _POINTER
    if code == NARROW:
        line[t] |= _MUX
        line[t + n] |= _MUX
        return
    if early:
        line[t - 1] |= _PAIR
        line[t - 1 + n] |= _PAIR
    begin = t + to_store - FORMAT_LEAD
    if before >= 0:
        line[before + to_store - FORMAT_LEAD] &= ~_FORMAT  # the format stays on
    else:
        line[begin] |= _FORMAT
    line[begin + n] |= _FORMAT


@jit(inline=True)
def _lanes_from(low, high, base, count, s, p, a, n, line):  # type: ignore[no-untyped-def]
    """Earliest event from a on at which the lanes are free for n items and the sender can open the message."""
    while True:
        b = _free_from(low, high, base[s], count[s], a, n)
        if p >= 0:
            b = _free_from(low, high, base[p], count[p], b, n)
        if b + 1 < line.size and (b > a or not _ordinary_fits(line, b, _OPENING)):
            a = max(b, a + 1)
        else:
            return b


@jit(inline=True)
def _destination_at(t, n, j, dest, base, lists, settings):  # type: ignore[no-untyped-def]
    """Whether destination j can take n items from t on: 1 or 0, or _TOO_LATE for the table of settings."""
    tile, address, _delay, to_store, code, early, _nbytes = dest
    low, high, count, tail, ends_at = lists
    d = tile[j]
    r = (base.size - 1) // 2 + d
    if _receiver_from(low, high, tail, base[r], count[r], t, n, code[j]) > t:
        return 0
    if t + to_store[j] + n + 2 >= settings.shape[1]:
        return _TOO_LATE
    k = _continued(low, high, tail, base[r], count[r], t, code[j])
    adjoining = k >= 0 and ends_at[k] == address[j]
    return int(_settings_fit(settings[d], t, n, to_store[j], code[j], early[j], k >= 0, adjoining))


@jit(leaf=True)
def _destination_from(t, n, j, dest, base, lists, settings):  # type: ignore[no-untyped-def]
    """Earliest t' > t at which destination j may be able to take n items, as far as that lies within the table."""
    tile, code = dest[0], dest[4]
    low, high, count, tail = lists[:4]
    r = (base.size - 1) // 2 + tile[j]
    t = _receiver_from(low, high, tail, base[r], count[r], t + 1, n, code[j])
    while _destination_at(t, n, j, dest, base, lists, settings) == 0:
        t = _receiver_from(low, high, tail, base[r], count[r], t + 1, n, code[j])
    return t


@jit(leaf=True)
def place_paired(order, first, lanes, dest_start, dest, base, lists, settings, start):  # type: ignore[no-untyped-def]
    """First fit with settings, as :func:`place`; False if the tables of settings are too short.

    ``lanes``: source, second, items. ``dest`` per destination: tile, address, delay, event from sample to store, code,
    whether the tile is the early one, bytes. ``lists``: low, high, count, tail, place: what follows an interval's last
    store in memory. ``settings`` uint8[tiles, events].
    """
    source, second, items = lanes
    low, high, count, _tail, _ends_at = lists
    delay = dest[2]
    for o in range(order.size):
        i = order[o]
        s, n, p = source[i], items[i], second[i]
        begin, fan = dest_start[i], dest_start[i + 1] - dest_start[i]
        a = np.int64(first[i])
        asked = fitting = 0  # destinations are asked in turn, until all of them fit one after another
        while fitting < fan:
            if fitting == 0:
                a = _lanes_from(low, high, base, count, s, p, a, n, settings[s])
                if a + 1 >= settings.shape[1]:
                    return False
                settings[s, a] |= _OPENING
            j = begin + asked
            x = _destination_at(a + delay[j], n, j, dest, base, lists, settings)
            if x == _TOO_LATE:
                return False
            if x:
                fitting += 1
                asked = asked + 1 if asked + 1 < fan else 0
                continue
            settings[s, a] &= ~_OPENING
            fitting = 0
            x = _destination_from(a + delay[j], n, j, dest, base, lists, settings)
            a = max(a + 1, x - delay[j])
        start[i] = a
        count[s], _at = _occupy(low, high, base[s], count[s], a, a + n)
        if p >= 0:
            count[p], _at = _occupy(low, high, base[p], count[p], a, a + n)
        for j in range(dest_start[i], dest_start[i + 1]):
            _receive(dest[0][j], a + delay[j], n, j, dest, base, lists, settings)
    return True


@jit(leaf=True)
def _receive(d, t, n, j, dest, base, lists, settings):  # type: ignore[no-untyped-def]
    """Enter destination j, taken from t on, into the lists and settings of its tile."""
    _tile, address, _delay, to_store, code, early, nbytes = dest
    low, high, count, tail, ends_at = lists
    r = (base.size - 1) // 2 + d
    k = _continued(low, high, tail, base[r], count[r], t, code[j])
    adjoining = k >= 0 and ends_at[k] == address[j]
    before = high[k] if k >= 0 else np.int64(_NOWHERE)
    _set(settings[d], t, n, to_store[j], code[j], early[j], before, adjoining)
    begin = t
    if k >= 0:
        begin = before
    elif code[j] != NARROW:
        begin = t - FORMAT_LEAD
        i = _first_at(high, base[r], count[r], begin)
        if i < base[r] + count[r] and high[i] <= t:
            begin = high[i]
    old = count[r]
    count[r], at = _occupy(low, high, base[r], old, begin, t + n)
    if count[r] > old:
        for k in range(base[r] + old, at, -1):
            tail[k], ends_at[k] = tail[k - 1], ends_at[k - 1]
    elif count[r] < old:
        for k in range(at, base[r] + count[r]):
            tail[k], ends_at[k] = tail[k + 1], ends_at[k + 1]
    if high[at] == t + n:
        tail[at], ends_at[at] = code[j], address[j] + nbytes[j]

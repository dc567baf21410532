"""From the logs of all rows to blocks: runs of consecutive words that travel from one tile to another.

64-bit items: a pair of tiles (physical ids that differ in bit 1) takes one stream. A paired mux setting acts on the
tile that made it at once and on its partner one event later (inferred); its value names the source xor the setter's own
bit 1. Both tiles store an item at the same event, counted from the later of the two. The format in force two events
before a store must name the direction the item came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tile_emu.chips.topology import HOST_MUX_BASE, ID_BITS
from tile_emu.exchange import log as layout
from tile_emu.exchange.fabric import direction_code, mux_delay
from tile_emu.exchange.transfers import I32, I64
from tile_emu.jit import jit

Run = Callable[..., Any]  # as map: a function for each of some arguments, maybe at the same time
FOREVER = 1 << 40
_MUX_MASK = (1 << ID_BITS) - 1
_KINDS = 5  # log kinds 1..5, each with an array int64[4, n] of (event, value, count, sctl)
_SENDS, _MUXES, _PAIRS, _POINTERS, _FORMATS = (
    kind - 1 for kind in (layout.SEND, layout.MUX, layout.MUXPAIR, layout.POINTER, layout.FORMAT)
)
_PARTNER = 2  # bit of the physical id that tells the tiles of a pair apart
WIDE = 4  # sctl bit of 64-bit items

# Outcomes of the kernels: (code, tile, event, value).
FINE, BACKWARDS, TWICE, NO_TILE, LANE, WIDTH, AT_ONCE, FORMAT, LEFT_ON, TOGETHER = range(10)

# Rows of the block table, int32[9, n]; PER_EVENT: words stored per event, 1 or 2; RUN: number of the send run.
DEST, TO, WORDS, SOURCE, FROM, SENT_AT, STORED_AT, PER_EVENT, RUN = range(9)
BLOCK_ROWS = 9
ARRIVAL_ROWS = 7  # store event, items, source, address, send event, whether wide, send run


@jit(leaf=True)
def count_kinds(log, log_count, first, last, bounds):  # type: ignore[no-untyped-def]
    """Lines of each kind of tiles first..last in bounds[5, tiles + 1], one place on; two outcomes.

    The first is of the order of events. The second of rules R1 and R18: of the settings of a tile only mux and pointer
    may be made at one event.
    """
    alone = 1 << layout.MUXPAIR | 1 << layout.FORMAT
    fine = (FINE, 0, np.int64(0), np.int64(0))
    together = fine
    for tile in range(first, last):
        previous, at, kinds = np.int64(-1), np.int64(-1), np.int64(0)
        for i in range(log_count[tile]):
            kind, event = np.int64(log[tile, i, 0]), np.int64(log[tile, i, 1])
            if event < previous:
                return (BACKWARDS, tile, event, previous), fine
            previous = event
            bounds[kind - 1, tile + 1] += 1
            if kind == layout.SEND:
                continue
            if event != at:
                at, kinds = event, np.int64(0)
            twice = kinds >> kind & 1
            kinds |= np.int64(1) << kind
            if together[0] == FINE and (twice or (kinds & alone and kinds & (kinds - 1))):
                together = (TOGETHER, tile, event, kinds)
    return fine, together


@jit
def separate(log, log_count, first, last, bounds, parts):  # type: ignore[no-untyped-def]
    """Sort the log lines of tiles first..last by kind into ``parts``, five arrays int64[4, n]."""
    at = np.empty(_KINDS, dtype=np.int64)
    for tile in range(first, last):
        for k in range(_KINDS):
            at[k] = bounds[k, tile]
        for i in range(log_count[tile]):
            kind = log[tile, i, 0] - 1
            part = parts[kind]
            for column in range(4):
                part[column, at[kind]] = log[tile, i, column + 1]
            at[kind] += 1


@jit(leaf=True)
def check_sends(fabric, bounds, send, first, last):  # type: ignore[no-untyped-def]
    """No tile of first..last sends twice at once; a 64-bit message has its partner's lane for itself."""
    physical, logical, _to_store = fabric
    tiles = bounds.shape[1] - 1
    for tile in range(first, last):
        for i in range(bounds[_SENDS, tile], bounds[_SENDS, tile + 1]):
            event, end = send[0, i], send[0, i] + send[2, i]
            if i + 1 < bounds[_SENDS, tile + 1] and send[0, i + 1] < end:
                return TWICE, tile, send[0, i + 1], event
            partner = logical[physical[tile] ^ _PARTNER]
            if send[3, i] & WIDE and partner < tiles:
                k = _first_run(send, bounds[_SENDS, partner], bounds[_SENDS, partner + 1], event)
                if k < bounds[_SENDS, partner + 1] and send[0, k] < end:
                    return LANE, tile, event, send[0, k]
    return FINE, 0, np.int64(0), np.int64(0)


@jit(leaf=True)
def _first_run(send, lo, hi, event):  # type: ignore[no-untyped-def]
    """First send run in lo..hi that ends after the event."""
    while lo < hi:
        middle = (lo + hi) >> 1
        if send[0, middle] + send[2, middle] > event:
            hi = middle
        else:
            lo = middle + 1
    return lo


@jit(leaf=True)
def _listen(arrival, n, d, s, begin, end, wide, fabric, bounds, send):  # type: ignore[no-untyped-def]
    """Append what d samples from s at events begin..end.

    Returns the new count, and the run whose items have the other width, or -1. What finds no room is only counted.
    """
    physical, _logical, to_store = fabric
    m = mux_delay(physical[s], physical[d])
    later = max(m, mux_delay(physical[s], physical[d] ^ _PARTNER)) if wide else m
    code = direction_code(physical[s], physical[d])
    hi = bounds[_SENDS, s + 1]
    i = _first_run(send, bounds[_SENDS, s], hi, begin - m)
    while i < hi and send[0, i] < end - m:
        if send[3, i] & code:
            if (send[3, i] & WIDE != 0) != wide:
                return n, i
            first = max(send[0, i], begin - m)
            if n < arrival.shape[1]:
                arrival[0, n] = first + later + to_store[d]
                arrival[1, n] = min(send[0, i] + send[2, i], end - m) - first
                arrival[2, n] = s
                arrival[3, n] = send[1, i] + (8 if wide else 4) * (first - send[0, i])
                arrival[4, n] = first
                arrival[5, n] = wide
                arrival[6, n] = i
            n += 1
        i += 1
    return n, np.int64(-1)


@jit(leaf=True)
def _hear(arrival, n, d, value, begin, end, wide, neutral, fabric, bounds, send):  # type: ignore[no-untyped-def]
    """As _listen, from a mux value; returns the count and an outcome."""
    fine = (FINE, 0, np.int64(0), np.int64(0))
    source = value & _MUX_MASK
    if source == neutral or source >= HOST_MUX_BASE or end <= begin:
        return n, fine
    s = np.int64(fabric[1][source])
    if s < 0 or s >= bounds.shape[1] - 1:
        return n, (NO_TILE, d, begin, value)
    n, odd = _listen(arrival, n, d, s, begin, end, wide, fabric, bounds, send)
    if odd >= 0:
        return n, (WIDTH, d, send[0, odd], s)
    return n, fine


@jit(leaf=True)
def _ordinary(arrival, d, value, neutral, fabric, bounds, parts):  # type: ignore[no-untyped-def]
    """32-bit arrivals of d, its mux having ``value`` before; returns count, outcome, last mux value."""
    mux = parts[_MUXES]
    n = 0
    outcome = (FINE, 0, np.int64(0), np.int64(0))
    begin = np.int64(-FOREVER)
    for x in range(bounds[_MUXES, d], bounds[_MUXES, d + 1] + 1):
        last = x == bounds[_MUXES, d + 1]
        end = np.int64(FOREVER) if last else mux[0, x]
        n, outcome = _hear(arrival, n, d, value, begin, end, False, neutral, fabric, bounds, parts[_SENDS])
        if outcome[0] != FINE:
            break
        if not last:
            begin, value = end, mux[1, x]
    return n, outcome, value


@jit(leaf=True)
def _paired(arrival, n, d, partner, neutral, fabric, bounds, parts):  # type: ignore[no-untyped-def]
    """Append the 64-bit arrivals of d: its own paired settings, and its partner's one event later."""
    pair = parts[_PAIRS]
    physical = fabric[0]
    own, own_end = bounds[_PAIRS, d], bounds[_PAIRS, d + 1]
    other, other_end = bounds[_PAIRS, partner], bounds[_PAIRS, partner + 1]
    value, begin = np.int64(neutral), np.int64(-FOREVER)
    outcome = (FINE, 0, np.int64(0), np.int64(0))
    while own < own_end or other < other_end:
        mine = pair[0, own] if own < own_end else np.int64(FOREVER)
        theirs = pair[0, other] + 1 if other < other_end else np.int64(FOREVER)
        end = min(mine, theirs)
        n, outcome = _hear(arrival, n, d, value, begin, end, True, neutral, fabric, bounds, parts[_SENDS])
        if outcome[0] != FINE:
            return n, outcome
        own_turn = mine < theirs  # at the same event the tile's own setting comes last and holds
        setter = d if own_turn else partner
        value = pair[1, own] if own_turn else pair[1, other]
        if value != neutral:
            value ^= physical[setter] & _PARTNER
        own, other = (own + 1, other) if own_turn else (own, other + 1)
        begin = end
    if value != neutral:
        outcome = (LEFT_ON, d, begin, value)
    return n, outcome


@jit(leaf=True)
def _format_is(parts, lo, hi, first, last, value):  # type: ignore[no-untyped-def]
    """Whether the format is ``value`` at all events first..last."""
    setting = parts[_FORMATS]
    now = np.int64(0)
    for i in range(lo, hi):
        if setting[0, i] > last:
            break
        if setting[0, i] > first and now != value:
            return False
        now = setting[1, i]
        if setting[0, i] > first and now != value:
            return False
    return now == value


@jit(leaf=True)
def _check_arrivals(arrival, n, d, fabric, bounds, parts):  # type: ignore[no-untyped-def]
    """Arrivals in order of their stores do not overlap, and each comes under its format."""
    physical = fabric[0]
    lo, hi = bounds[_FORMATS, d], bounds[_FORMATS, d + 1]
    for i in range(n):
        stored, items, s = arrival[0, i], arrival[1, i], arrival[2, i]
        if i and stored < arrival[0, i - 1] + arrival[1, i - 1]:
            return AT_ONCE, d, stored, s
        wide = arrival[5, i] == 1
        code = direction_code(physical[s], physical[d]) if wide else 0
        last = stored + items - 3 if wide else stored + items - 1
        if not _format_is(parts, lo, hi, stored - 2, last, code):
            return FORMAT, d, stored, s
    if hi > lo and parts[_FORMATS][1, hi - 1] != 0:
        return LEFT_ON, d, parts[_FORMATS][0, hi - 1], parts[_FORMATS][1, hi - 1]
    return FINE, 0, np.int64(0), np.int64(0)


@jit(leaf=True)
def _store(block, n, d, arrival, i, parts, cursor):  # type: ignore[no-untyped-def]
    """Append one arrival as blocks; ``cursor`` is (next pointer setting, their end, store address).

    Returns the new count and cursor. What finds no room is only counted.
    """
    pointer = parts[_POINTERS]
    p, p_end, at = cursor
    stored_at, items, s, address, sent_at = arrival[0, i], arrival[1, i], arrival[2, i], arrival[3, i], arrival[4, i]
    per_event = 1 + arrival[5, i]
    while items > 0:
        while p < p_end and pointer[0, p] <= stored_at:
            at = pointer[1, p]
            p += 1
        part = items
        if p < p_end:
            part = min(part, pointer[0, p] - stored_at)
        if n < block.shape[1]:
            block[0, n], block[1, n], block[2, n], block[3, n] = d, at, part * per_event, s
            block[4, n], block[5, n], block[6, n], block[7, n] = address, sent_at, stored_at, per_event
            block[8, n] = arrival[6, i]
        n += 1
        at += 4 * part * per_event
        address += 4 * part * per_event
        sent_at += part
        stored_at += part
        items -= part
    return n, (p, p_end, at)


@jit(inline=True)
def _sets_nothing(d, partner, bounds):  # type: ignore[no-untyped-def]
    """Whether a tile makes no settings, and its partner no paired ones."""
    for kind in (_MUXES, _PAIRS, _POINTERS, _FORMATS):
        if bounds[kind, d] != bounds[kind, d + 1]:
            return False
    within = partner >= 0 and partner < bounds.shape[1] - 1
    return not within or bounds[_PAIRS, partner] == bounds[_PAIRS, partner + 1]


@jit(leaf=True)
def _merged(arrival, other, ordinary, n):  # type: ignore[no-untyped-def]
    """Put the arrivals of a tile, the first ``ordinary`` of 32-bit items, then those of 64-bit ones, in the order of
    their stores. Each kind is in that order; ``other`` is another table of the same shape."""
    a, b = 0, ordinary
    for i in range(n):
        first = b == n or (a < ordinary and arrival[0, a] <= arrival[0, b])
        taken = a if first else b
        for row in range(arrival.shape[0]):
            other[row, i] = arrival[row, taken]
        a, b = (a + 1, b) if first else (a, b + 1)
    for row in range(arrival.shape[0]):
        for i in range(n):
            arrival[row, i] = other[row, i]


@jit(inline=True)
def find_blocks(d, fabric, bounds, parts, before, after, neutral, scratch, block, n):  # type: ignore[no-untyped-def]
    """Append the blocks of receiver d, in the order of their stores, to the ``n`` in the table.

    ``fabric``: physical ids, logical ids, sample_to_store; ``before``: mux and pointer of all tiles in force before,
    ``after`` int64[2, tiles] gets those in force after the last setting; ``scratch`` int64[2, ARRIVAL_ROWS, k].
    Returns the new number, the arrivals that need room in scratch, and an outcome. What does not find room in the
    tables is only counted; then the outcome means nothing.
    """
    fine = (FINE, 0, np.int64(0), np.int64(0))
    physical, logical, _to_store = fabric
    mux_before, pointer_before = before
    arrival, other = scratch[0], scratch[1]
    tiles = bounds.shape[1] - 1
    partner = logical[physical[d] ^ _PARTNER]
    if _sets_nothing(d, partner, bounds) and mux_before[d] == neutral:
        after[0, d], after[1, d] = neutral, pointer_before[d]
        return n, 0, fine
    count, outcome, after[0, d] = _ordinary(arrival, d, np.int64(mux_before[d]), neutral, fabric, bounds, parts)
    if outcome[0] == FINE and partner >= 0 and partner < tiles and parts[_PAIRS].shape[1]:
        ordinary = count
        count, outcome = _paired(arrival, count, d, partner, neutral, fabric, bounds, parts)
        if ordinary < count and count <= arrival.shape[1]:
            _merged(arrival, other, ordinary, count)
    if count > arrival.shape[1]:
        return n, count, fine
    if outcome[0] == FINE:
        outcome = _check_arrivals(arrival, count, d, fabric, bounds, parts)
    if outcome[0] != FINE:
        return n, count, outcome
    lo, hi = bounds[_POINTERS, d], bounds[_POINTERS, d + 1]
    cursor = (lo, hi, np.int64(pointer_before[d]))
    for i in range(count):
        n, cursor = _store(block, n, d, arrival, i, parts, cursor)
    after[1, d] = cursor[2] if cursor[0] == hi else parts[_POINTERS][1, hi - 1]
    return n, count, fine


def read_log(
    log: I32, log_count: I32, spans: list[tuple[int, int]], run: Run
) -> tuple[I64, tuple[I64, ...], tuple[int, int, int, int]]:
    """bounds int64[5, tiles + 1] and the five arrays of log lines by kind, and an outcome.

    ``run``, as map, reads one of ``spans`` of tiles at a time.
    """
    bounds = np.zeros((_KINDS, log_count.size + 1), dtype=np.int64)
    outcomes = list(run(lambda span: count_kinds(log, log_count, *span, bounds), spans))
    bad = [outcome for check in zip(*outcomes, strict=True) for outcome in check if outcome[0] != FINE]
    np.cumsum(bounds, axis=1, out=bounds)
    parts = tuple(np.empty((4, total), dtype=np.int64) for total in bounds[:, -1].tolist())
    if bad:
        return bounds, parts, bad[0]
    list(run(lambda span: separate(log, log_count, *span, bounds, parts), spans))
    return bounds, parts, (FINE, 0, 0, 0)


def room_for_blocks(bounds: I64, first: int, last: int) -> int:
    """How many blocks tiles first..last are expected to receive at most."""
    # Few settings begin more than two blocks, paired ones on both tiles.
    settings = (bounds[:, last] - bounds[:, first]).tolist()
    return int(2 * (settings[_MUXES] + 2 * settings[_PAIRS] + settings[_POINTERS]) + 16)

"""Rows: the timed supervisor program of each tile that carries out a schedule.

A row is one timeline. Idle time is `delay`; a mux or pointer setting in idle time ends a `delayxpic` / `delaypic`
exactly at its event. A setting that falls inside an outgoing message splits it: `sendpic` carries one setting,
`sendpicp` two. A `sendpicp` also serves where one setting falls on the first item of a message: its other half then
repeats the value already in force (inferred to be harmless, as it changes nothing). `sendpicp` lies on 8 bytes; if the
row is at an odd word, the instruction before is split, or becomes a `sendpicp` itself when it lasts one event. The mux
is made neutral wherever nothing is due next, and a row lasts until its last store has drained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.chips.topology import physical_ids
from tile_emu.exchange.fabric import direction_codes, mux_offset, sample_to_store
from tile_emu.exchange.schedule import Schedule
from tile_emu.exchange.transfers import I32, I64, Transfers
from tile_emu.isa.table import table
from tile_emu.jit import jit

MINIMUM_EVENTS = 6  # every known sender-only row has at least these (ipu-stack, 2026)
RETURN_REGISTER = 10  # rows are entered by `call $m10, row`


@dataclass(frozen=True, eq=False)
class Rows:
    """Row of tile t: ``words[start[t]:start[t + 1]]`` (none if empty), to be placed on 8 bytes; ``events[t]`` long."""

    words: NDArray[np.uint32]
    start: I64
    events: I32


def _bit(mnemonic: str, operand: int, value: int = 1) -> int:
    """Weight in the word of one unit of an operand, from the instruction table."""
    form = table().by_mnemonic[mnemonic][0]
    values = [0] * len(form.operands)
    blank = form.encode(values)
    values[operand] = value
    return form.encode(values) ^ blank


def _match(mnemonic: str) -> int:
    return table().by_mnemonic[mnemonic][0].match


_DELAY, _DELAY_N = _match("delay"), _bit("delay", 0)
_PIC, _PIC_N, _PIC_V = _match("delaypic"), _bit("delaypic", 0), _bit("delaypic", 2)
_XPIC, _XPIC_N, _XPIC_V = _match("delayxpic"), _bit("delayxpic", 0), _bit("delayxpic", 2)
_SEND, _SEND_N, _SEND_ITEM, _SEND_CTL = _match("send"), _bit("send", 0), _bit("send", 1), _bit("send", 2)
_OFF, _OFF_N, _OFF_HIGH, _OFF_CTL = _match("sendoff"), _bit("sendoff", 0), _bit("sendoff", 0, 64), _bit("sendoff", 2)
_SPIC, _SPIC_N, _SPIC_SEL, _SPIC_V = _match("sendpic"), _bit("sendpic", 0), _bit("sendpic", 1), _bit("sendpic", 2)
_PICP, _PICP_N, _PICP_ITEM = _match("sendpicp"), _bit("sendpicp", 0), _bit("sendpicp", 1)
_PICP_CTL = _bit("sendpicp", 2)
_RETURN = table().by_name["br_mmmn"].encode([RETURN_REGISTER])
_PICP_XPIC = 1 << 18  # second word of sendpicp (data, not in the table): mux setting above, pointer below

# Longest duration of one instruction in events: the width of its n - 1 field.
_MAX_DELAY, _MAX_PIC, _MAX_XPIC, _MAX_SEND, _MAX_OFF = 1 << 19, 1 << 7, 1 << 12, 1 << 6, 1 << 12
_SPIC_POINTER = 2  # selector of sendpic: 0 mux, 2 pointer

# Emitter state, int64[8]: next word, next event, and the last one-word instruction for alignment.
_POS, _TIME, _KIND, _LAST_EVENT, _LAST_N, _LAST_ITEM, _LAST_CTL, _TILE = range(8)
_K_DELAY, _K_PIC, _K_XPIC, _K_SEND, _K_OFF, _K_SPIC = range(6)
_MUX_SETTING, _POINTER_SETTING = 1, 2


@jit
def _last_receive(sample, lo, hi, event):  # type: ignore[no-untyped-def]
    """Last receive in lo..hi that begins at or before the event; lo - 1 if none."""
    while lo < hi:
        middle = (lo + hi) >> 1
        if sample[middle] <= event:
            lo = middle + 1
        else:
            hi = middle
    return lo - 1


@jit
def _mux_at(receive, tile, event, neutral):  # type: ignore[no-untyped-def]
    """Mux value that the row of the tile has in force at an event."""
    bounds, sample, words, mux, _address, _to_store = receive
    i = _last_receive(sample, bounds[tile], bounds[tile + 1], event)
    if i < bounds[tile] or event >= sample[i] + words[i]:
        return np.int64(neutral)
    return np.int64(mux[i])


@jit
def _pointer_at(receive, tile, event):  # type: ignore[no-untyped-def]
    """Word address at which a word arriving at this event would be stored."""
    bounds, sample, words, _mux, address, to_store = receive
    lo, hi = bounds[tile], bounds[tile + 1]
    if lo == hi:
        return np.int64(0)
    i = _last_receive(sample, lo, hi, event - to_store[tile])
    if i < lo:
        return np.int64(address[lo] >> 2)
    stored = min(event - to_store[tile] - sample[i], words[i])
    return np.int64((address[i] >> 2) + stored)


@jit(inline=True)
def _put(out, st, word, kind, n, item, sctl):  # type: ignore[no-untyped-def]
    """Append a one-word instruction of n events."""
    out[st[_POS]] = word
    st[_POS] += 1
    st[_KIND], st[_LAST_EVENT], st[_LAST_N], st[_LAST_ITEM], st[_LAST_CTL] = kind, st[_TIME], n, item, sctl
    st[_TIME] += n


@jit
def _delay(out, st, n):  # type: ignore[no-untyped-def]
    while n > 0:
        part = min(n, _MAX_DELAY)
        _put(out, st, _DELAY + (part - 1) * _DELAY_N, _K_DELAY, part, 0, 0)
        n -= part


@jit(inline=True)
def _put_off(out, st, n, item, sctl):  # type: ignore[no-untyped-def]
    word = _OFF + ((n - 1) & 63) * _OFF_N + ((n - 1) >> 6) * _OFF_HIGH + sctl * _OFF_CTL
    _put(out, st, word, _K_OFF, n, item, sctl)


@jit
def _continue_send(out, st, n, item, sctl):  # type: ignore[no-untyped-def]
    while n > 0:
        part = min(n, _MAX_OFF)
        _put_off(out, st, part, item, sctl)
        n -= part
        item += part


@jit(inline=True)
def _put_picp(out, st, receive, n, item, sctl, neutral):  # type: ignore[no-untyped-def]
    """Append a sendpicp at an even word: both halves name the values in force at its event."""
    tile, event = st[_TILE], st[_TIME]
    out[st[_POS]] = _PICP + (n - 1) * _PICP_N + item * _PICP_ITEM + sctl * _PICP_CTL
    out[st[_POS] + 1] = _mux_at(receive, tile, event, neutral) * _PICP_XPIC + _pointer_at(receive, tile, event)
    st[_POS] += 2
    st[_TIME] += n


@jit
def _align(out, st, receive, neutral):  # type: ignore[no-untyped-def]
    """Bring the row to an even word by changing the last instruction (always one word if the row is at an odd one)."""
    if st[_POS] & 1 == 0:
        return
    kind, n, item, sctl = st[_KIND], st[_LAST_N], st[_LAST_ITEM], st[_LAST_CTL]
    st[_POS] -= 1
    st[_TIME] = st[_LAST_EVENT]
    word = np.int64(out[st[_POS]])
    if n == 1:
        _put_picp(out, st, receive, 1, item, sctl, neutral)
    elif kind == _K_DELAY or kind == _K_PIC or kind == _K_XPIC:
        unit = _DELAY_N if kind == _K_DELAY else _PIC_N if kind == _K_PIC else _XPIC_N
        _delay(out, st, n - 1)
        _put(out, st, word - (n - 1) * unit, kind, 1, 0, 0)
    else:
        if kind == _K_OFF:
            _put_off(out, st, n - 1, item, sctl)
        else:
            unit = _SEND_N if kind == _K_SEND else _SPIC_N
            _put(out, st, word - unit, kind, n - 1, item, sctl)
        _put_off(out, st, 1, item + n - 1, sctl)


@jit
def _set_in_idle(out, st, receive, event, setting, neutral):  # type: ignore[no-untyped-def]
    """Wait until the event and make the setting there."""
    if setting == _MUX_SETTING | _POINTER_SETTING:
        _delay(out, st, event - st[_TIME])
        _align(out, st, receive, neutral)
        _put_picp(out, st, receive, 1, 0, 0, neutral)
        return
    longest = _MAX_XPIC if setting == _MUX_SETTING else _MAX_PIC
    n = event + 1 - st[_TIME]
    _delay(out, st, max(n - longest, 0))
    n = min(n, longest)
    if setting == _MUX_SETTING:
        value = _mux_at(receive, st[_TILE], event, neutral)
        _put(out, st, _XPIC + (n - 1) * _XPIC_N + value * _XPIC_V, _K_XPIC, n, 0, 0)
    else:
        value = _pointer_at(receive, st[_TILE], event)
        _put(out, st, _PIC + (n - 1) * _PIC_N + value * _PIC_V, _K_PIC, n, 0, 0)


@jit
def _send_part(out, st, receive, n, item, sctl, opening, setting, neutral):  # type: ignore[no-untyped-def]
    """Send n items of which the first coincides with the setting (0: none)."""
    part = min(n, _MAX_SEND)
    event = st[_TIME]
    if setting == _MUX_SETTING | _POINTER_SETTING or (setting and opening):
        _align(out, st, receive, neutral)
        _put_picp(out, st, receive, part, item, sctl, neutral)
    elif setting == _MUX_SETTING:
        value = _mux_at(receive, st[_TILE], event, neutral)
        _put(out, st, _SPIC + (part - 1) * _SPIC_N + value * _SPIC_V, _K_SPIC, part, item, sctl)
    elif setting == _POINTER_SETTING:
        value = _pointer_at(receive, st[_TILE], event)
        word = _SPIC + (part - 1) * _SPIC_N + _SPIC_POINTER * _SPIC_SEL + value * _SPIC_V
        _put(out, st, word, _K_SPIC, part, item, sctl)
    elif opening:
        word = _SEND + (part - 1) * _SEND_N + item * _SEND_ITEM + sctl * _SEND_CTL
        _put(out, st, word, _K_SEND, part, item, sctl)
    else:
        part = 0
    _continue_send(out, st, n - part, item + part, sctl)


@jit
def _settings(receive, tile, events, kinds):  # type: ignore[no-untyped-def]
    """Mux and pointer settings of a tile in order of events; returns how many."""
    bounds, sample, words, mux, _address, to_store = receive
    lo, hi, shift = bounds[tile], bounds[tile + 1], to_store[tile]
    count = 0
    pointer = lo  # next receive whose pointer is to be set
    for i in range(lo, hi + 1):
        for second in range(2):  # the end of receive i - 1, then the beginning of receive i
            if second == 0:
                if i == lo or (i < hi and sample[i] == sample[i - 1] + words[i - 1]):
                    continue
                event = sample[i - 1] + words[i - 1]
            else:
                if i == hi:
                    continue
                event = sample[i]
                if i > lo and event == sample[i - 1] + words[i - 1] and mux[i] == mux[i - 1]:
                    continue
            count, pointer = _pointers_until(receive, tile, event, pointer, events, kinds, count)
            count = _append_setting(events, kinds, count, event, _MUX_SETTING)
    if hi > lo:
        last = sample[hi - 1] + shift + 1
        count, pointer = _pointers_until(receive, tile, last, pointer, events, kinds, count)
    return count


@jit
def _append_setting(events, kinds, count, event, kind):  # type: ignore[no-untyped-def]
    if count and events[count - 1] == event:
        kinds[count - 1] |= kind
        return count
    events[count], kinds[count] = event, kind
    return count + 1


@jit
def _pointers_until(receive, tile, event, pointer, events, kinds, count):  # type: ignore[no-untyped-def]
    """Append the pointer settings at or before the event, leaving out those that name where the pointer already is."""
    bounds, sample, words, _mux, address, to_store = receive
    lo, hi = bounds[tile], bounds[tile + 1]
    while pointer < hi and sample[pointer] + to_store[tile] <= event:
        if pointer == lo or address[pointer] != address[pointer - 1] + 4 * words[pointer - 1]:
            count = _append_setting(events, kinds, count, sample[pointer] + to_store[tile], _POINTER_SETTING)
        pointer += 1
    return count, pointer


@jit
def _emit_row(out, st, receive, sends, lo, hi, events, kinds, settings, last, neutral):  # type: ignore[no-untyped-def]
    """One tile's row: sends lo..hi of ``sends`` and its settings, until event ``last``."""
    begin, words, item, sctl = sends
    c = 0
    for i in range(lo, hi):
        while c < settings and events[c] < begin[i]:
            _set_in_idle(out, st, receive, events[c], kinds[c], neutral)
            c += 1
        _delay(out, st, begin[i] - st[_TIME])
        end = begin[i] + words[i]
        while st[_TIME] < end:
            now = st[_TIME]
            setting = 0
            if c < settings and events[c] == now:
                setting = kinds[c]
                c += 1
            stop = min(end, events[c]) if c < settings else end
            done = now - begin[i]
            _send_part(out, st, receive, stop - now, item[i] + done, sctl[i], done == 0, setting, neutral)
    while c < settings:
        _set_in_idle(out, st, receive, events[c], kinds[c], neutral)
        c += 1
    _delay(out, st, last - st[_TIME])
    out[st[_POS]] = _RETURN
    st[_POS] += 1


@jit
def _emit(receive, sends, send_bounds, last, neutral, out, start):  # type: ignore[no-untyped-def]
    bounds = receive[0]
    st = np.zeros(8, dtype=np.int64)
    events = np.empty(3 * receive[1].size + 1, dtype=np.int64)
    kinds = np.empty(3 * receive[1].size + 1, dtype=np.int64)
    position = 0
    for tile in range(bounds.size - 1):
        start[tile] = position
        if last[tile] == 0:
            continue
        st[_POS] = 0
        st[_TIME] = 0
        st[_TILE] = tile
        settings = _settings(receive, tile, events, kinds)
        lo, hi = send_bounds[tile], send_bounds[tile + 1]
        _emit_row(out[position:], st, receive, sends, lo, hi, events, kinds, settings, last[tile], neutral)
        position += st[_POS]
    start[bounds.size - 1] = position


def send_controls(chip: Chip, transfers: Transfers) -> I32:
    """sctl of every transfer: the direction bits of all its receivers."""
    ids, owner = physical_ids(chip), transfers.owner
    codes = np.empty(owner.size, dtype=np.int32)
    direction_codes(ids[transfers.source_tile[owner]], ids[transfers.dest_tile], codes)
    return np.bitwise_or.reduceat(codes, transfers.dest_start[:-1]).astype(np.int32)


def _bounds(tiles: NDArray[np.int32], count: int) -> I64:
    return np.concatenate([[0], np.cumsum(np.bincount(tiles, minlength=count))]).astype(np.int64)


def emit_rows(chip: Chip, transfers: Transfers, schedule: Schedule) -> Rows:
    """Encode a schedule that :func:`~tile_emu.exchange.check.check_schedule` accepts.

    Addresses in rows are absolute: both base registers are to be 0, and the mux neutral, when a row begins.
    """
    t, tiles = transfers, chip.tiles
    if not len(t):
        return Rows(np.zeros(0, np.uint32), np.zeros(tiles + 1, np.int64), np.zeros(tiles, np.int32))
    owner, begin = t.owner, schedule.start.astype(np.int64)
    to_store = sample_to_store(chip).astype(np.int64)
    sample = begin[owner] + mux_offset(chip, t.source_tile[owner], t.dest_tile)
    by_time = np.lexsort((sample, t.dest_tile))
    receive = (
        _bounds(t.dest_tile, tiles),
        sample[by_time],
        t.words[owner[by_time]],
        physical_ids(chip)[t.source_tile[owner[by_time]]],
        t.dest_address[by_time],
        to_store,
    )
    order = np.lexsort((begin, t.source_tile))
    sends = (begin[order], t.words[order], t.source_address[order] >> 2, send_controls(chip, t)[order])
    last = np.zeros(tiles, dtype=np.int64)
    np.maximum.at(last, t.source_tile, np.maximum(begin + t.words, MINIMUM_EVENTS))
    drained = sample + to_store[t.dest_tile] + t.words[owner] - 1 + chip.exchange.drain
    np.maximum.at(last, t.dest_tile, drained)
    long = int((t.words // _MAX_OFF).sum() + last.sum() // _MAX_DELAY)
    # Per setting: delay, a two-word form, a split of the instruction before and the rest of a message.
    out = np.zeros(4 * tiles + 5 * len(t) + 3 * 5 * owner.size + 2 * long, dtype=np.uint32)
    start = np.zeros(tiles + 1, dtype=np.int64)
    _emit(receive, sends, _bounds(t.source_tile, tiles), last, chip.exchange.neutral_mux, out, start)
    return Rows(out[: start[-1]].copy(), start, last.astype(np.int32))

"""Rows: the timed supervisor program of each tile that carries out a schedule.

A row is one timeline. Idle time is `delay`; a mux or pointer setting in idle time ends a `delayxpic` / `delaypic`
exactly at its event. A setting that falls inside an outgoing message splits it: `sendpic` carries one setting,
`sendpicp` two. A `sendpicp` also serves where one setting falls on the first item of a message: its other half then
repeats the value already in force (inferred to be harmless, as it changes nothing). Paired mux and format ride alone on
a `sendpic` or end a wait, never on a `sendpicp`. `sendpicp` lies on 8 bytes; if the
row is at an odd word, the instruction before is split, or becomes a `sendpicp` itself when it lasts one event. The mux
is made neutral wherever nothing is due next, and a row lasts until its last store has drained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.chips.topology import physical_ids
from tile_emu.errors import IllegalExchange
from tile_emu.exchange.arrivals import WIDE
from tile_emu.exchange.fabric import direction, direction_codes, mux_offset, sample_to_store
from tile_emu.exchange.pairing import partner
from tile_emu.exchange.placing import NARROW
from tile_emu.exchange.schedule import Schedule
from tile_emu.exchange.settings import FORMAT, MUX, PAIR, POINTER, collect, mux_at, pointer_at
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
_PIC, _PIC_N, _PIC_SEL, _PIC_V = _match("delaypic"), *(_bit("delaypic", i) for i in range(3))
_XPIC, _XPIC_N, _XPIC_SEL, _XPIC_V = _match("delayxpic"), *(_bit("delayxpic", i) for i in range(3))
_SEND, _SEND_N, _SEND_ITEM, _SEND_CTL = _match("send"), _bit("send", 0), _bit("send", 1), _bit("send", 2)
_OFF, _OFF_N, _OFF_HIGH, _OFF_CTL = _match("sendoff"), _bit("sendoff", 0), _bit("sendoff", 0, 64), _bit("sendoff", 2)
_SPIC, _SPIC_N, _SPIC_SEL, _SPIC_V = _match("sendpic"), _bit("sendpic", 0), _bit("sendpic", 1), _bit("sendpic", 2)
_PICP, _PICP_N, _PICP_ITEM = _match("sendpicp"), _bit("sendpicp", 0), _bit("sendpicp", 1)
_PICP_CTL = _bit("sendpicp", 2)
_RETURN = table().by_name["br_mmmn"].encode([RETURN_REGISTER])
_PICP_XPIC = 1 << 18  # second word of sendpicp (data, not in the table): mux setting above, pointer below

# Longest duration of one instruction in events: the width of its n - 1 field.
_MAX_DELAY, _MAX_PIC, _MAX_XPIC, _MAX_SEND, _MAX_OFF = 1 << 19, 1 << 7, 1 << 12, 1 << 6, 1 << 12
# Selectors of sendpic.
_SPIC_MUX, _SPIC_PAIR, _SPIC_POINTER, _SPIC_FORMAT = range(4)
_PAIRED_SELECTOR = 1  # of delayxpic: paired mux; of delaypic: format

# Emitter state, int64[10]: next word, next event, the last one-word instruction for alignment, and the event of the
# first setting that found no instruction, or -1.
_POS, _TIME, _KIND, _LAST_EVENT, _LAST_N, _LAST_ITEM, _LAST_CTL, _TILE, _STUCK = range(9)
_STATES = 9
_K_DELAY, _K_PIC, _K_XPIC, _K_SEND, _K_OFF, _K_SPIC, _K_ALONE = range(7)  # alone: a paired setting of one event


@jit(inline=True)
def _put(out, st, word, kind, n, item, sctl):  # type: ignore[no-untyped-def]
    """Append a one-word instruction of n events."""
    out[st[_POS]] = word
    st[_POS] += 1
    st[_KIND], st[_LAST_EVENT], st[_LAST_N], st[_LAST_ITEM], st[_LAST_CTL] = kind, st[_TIME], n, item, sctl
    st[_TIME] += n


@jit(leaf=True)
def _delay(out, st, n):  # type: ignore[no-untyped-def]
    while n > 0:
        part = min(n, _MAX_DELAY)
        _put(out, st, _DELAY + (part - 1) * _DELAY_N, _K_DELAY, part, 0, 0)
        n -= part


@jit(inline=True)
def _put_off(out, st, n, item, sctl):  # type: ignore[no-untyped-def]
    word = _OFF + ((n - 1) & 63) * _OFF_N + ((n - 1) >> 6) * _OFF_HIGH + sctl * _OFF_CTL
    _put(out, st, word, _K_OFF, n, item, sctl)


@jit(leaf=True)
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
    out[st[_POS] + 1] = mux_at(receive, tile, event, neutral) * _PICP_XPIC + pointer_at(receive, tile, event)
    st[_POS] += 2
    st[_TIME] += n


@jit(inline=True)
def _stuck(st):  # type: ignore[no-untyped-def]
    if st[_STUCK] < 0:
        st[_STUCK] = st[_TIME]


@jit(leaf=True)
def _align(out, st, receive, neutral):  # type: ignore[no-untyped-def]
    """Bring the row to an even word by changing the last instruction (always one word if the row is at an odd one)."""
    if st[_POS] & 1 == 0:
        return
    kind, n, item, sctl = st[_KIND], st[_LAST_N], st[_LAST_ITEM], st[_LAST_CTL]
    st[_POS] -= 1
    st[_TIME] = st[_LAST_EVENT]
    word = np.int64(out[st[_POS]])
    if kind == _K_ALONE:
        _stuck(st)
    elif n == 1:
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


@jit(leaf=True)
def _set_in_idle(out, st, receive, event, setting, value, neutral):  # type: ignore[no-untyped-def]
    """Wait until the event and make the setting there."""
    if setting == MUX | POINTER:
        _delay(out, st, event - st[_TIME])
        _align(out, st, receive, neutral)
        _put_picp(out, st, receive, 1, 0, 0, neutral)
        return
    longest = _MAX_XPIC if setting == MUX or setting == PAIR else _MAX_PIC
    n = event + 1 - st[_TIME]
    _delay(out, st, max(n - longest, 0))
    n = min(n, longest)
    kind = _K_XPIC if setting == MUX or setting == PAIR else _K_PIC
    if (setting == PAIR or setting == FORMAT) and n == 1:
        kind = _K_ALONE
    if setting == MUX:
        value = mux_at(receive, st[_TILE], event, neutral)
        word = _XPIC + (n - 1) * _XPIC_N + value * _XPIC_V
    elif setting == PAIR:
        word = _XPIC + (n - 1) * _XPIC_N + _PAIRED_SELECTOR * _XPIC_SEL + value * _XPIC_V
    elif setting == POINTER:
        word = _PIC + (n - 1) * _PIC_N + pointer_at(receive, st[_TILE], event) * _PIC_V
    elif setting == FORMAT:
        word = _PIC + (n - 1) * _PIC_N + _PAIRED_SELECTOR * _PIC_SEL + value * _PIC_V
    else:
        word = np.int64(0)
        _stuck(st)
    _put(out, st, word, kind, n, 0, 0)


@jit(leaf=True)
def _carried(st, receive, setting, value, neutral):  # type: ignore[no-untyped-def]
    """Selector and value for a sendpic that carries one setting."""
    event = st[_TIME]
    if setting == MUX:
        return _SPIC_MUX, mux_at(receive, st[_TILE], event, neutral)
    if setting == POINTER:
        return _SPIC_POINTER, pointer_at(receive, st[_TILE], event)
    if setting == PAIR:
        return _SPIC_PAIR, value
    if setting != FORMAT:
        _stuck(st)
    return _SPIC_FORMAT, value


@jit(leaf=True)
def _send_part(out, st, receive, n, item, sctl, opening, setting, value, neutral):  # type: ignore[no-untyped-def]
    """Send n items of which the first coincides with the setting (0: none)."""
    part = min(n, _MAX_SEND)
    if setting == MUX | POINTER or (setting and opening):
        if setting & (PAIR | FORMAT):
            _stuck(st)
        _align(out, st, receive, neutral)
        _put_picp(out, st, receive, part, item, sctl, neutral)
    elif setting:
        selector, carried = _carried(st, receive, setting, value, neutral)
        word = _SPIC + (part - 1) * _SPIC_N + selector * _SPIC_SEL + carried * _SPIC_V
        kind = _K_ALONE if part == 1 and setting & (PAIR | FORMAT) else _K_SPIC
        _put(out, st, word, kind, part, item, sctl)
    elif opening:
        word = _SEND + (part - 1) * _SEND_N + item * _SEND_ITEM + sctl * _SEND_CTL
        _put(out, st, word, _K_SEND, part, item, sctl)
    else:
        part = 0
    _continue_send(out, st, n - part, item + part, sctl)


@jit(leaf=True)
def _emit_row(out, st, receive, sends, lo, hi, settings, count, last, neutral):  # type: ignore[no-untyped-def]
    """One tile's row: sends lo..hi of ``sends`` and its ``count`` settings, until event ``last``."""
    begin, items, item, sctl = sends
    events, kinds, values = settings
    c = 0
    for i in range(lo, hi):
        while c < count and events[c] < begin[i]:
            _set_in_idle(out, st, receive, events[c], kinds[c], values[c], neutral)
            c += 1
        _delay(out, st, begin[i] - st[_TIME])
        end = begin[i] + items[i]
        while st[_TIME] < end:
            now = st[_TIME]
            setting = value = 0
            if c < count and events[c] == now:
                setting, value = kinds[c], values[c]
                c += 1
            stop = min(end, events[c]) if c < count else end
            done = now - begin[i]
            _send_part(out, st, receive, stop - now, item[i] + done, sctl[i], done == 0, setting, value, neutral)
    while c < count:
        _set_in_idle(out, st, receive, events[c], kinds[c], values[c], neutral)
        c += 1
    _delay(out, st, last - st[_TIME])
    out[st[_POS]] = _RETURN
    st[_POS] += 1


@jit
def _emit(receive, sends, send_bounds, last, physical, neutral, out, start):  # type: ignore[no-untyped-def]
    """All rows; returns tile and event of a setting that no instruction can make, or (-1, 0)."""
    bounds = receive[0]
    st = np.zeros(_STATES, dtype=np.int64)
    size = 5 * receive[1].size + 1
    events, kinds, values = (np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64))
    position = 0
    for tile in range(bounds.size - 1):
        start[tile] = position
        if last[tile] == 0:
            continue
        st[_POS] = 0
        st[_TIME] = 0
        st[_TILE] = tile
        st[_STUCK] = -1
        count = collect(receive, tile, physical, neutral, events, kinds, values)
        lo, hi = send_bounds[tile], send_bounds[tile + 1]
        settings = (events, kinds, values)
        _emit_row(out[position:], st, receive, sends, lo, hi, settings, count, last[tile], neutral)
        if st[_STUCK] >= 0:
            return tile, st[_STUCK]
        position += st[_POS]
    start[bounds.size - 1] = position
    return -1, np.int64(0)


def send_controls(chip: Chip, transfers: Transfers) -> I32:
    """sctl of every transfer: the direction bits of all its receivers."""
    ids, owner = physical_ids(chip), transfers.owner
    codes = np.empty(owner.size, dtype=np.int32)
    direction_codes(ids[transfers.source_tile[owner]], ids[transfers.dest_tile], codes)
    return np.bitwise_or.reduceat(codes, transfers.dest_start[:-1]).astype(np.int32)


def _bounds(tiles: NDArray[np.int32], count: int) -> I64:
    return np.concatenate([[0], np.cumsum(np.bincount(tiles, minlength=count))]).astype(np.int64)


def emit_rows(chip: Chip, schedule: Schedule) -> Rows:
    """Encode a schedule that :func:`~tile_emu.exchange.check.check_schedule` accepts.

    Addresses in rows are absolute: both base registers are to be 0, and the mux neutral, when a row begins. Raises
    IllegalExchange if settings coincide that no instruction can make together, which the scheduler avoids.
    """
    t, wide, items, tiles = schedule.pieces.transfers, schedule.pieces.wide, schedule.pieces.items, chip.tiles
    if not len(t):
        return Rows(np.zeros(0, np.uint32), np.zeros(tiles + 1, np.int64), np.zeros(tiles, np.int32))
    ids, owner, begin = physical_ids(chip), t.owner, schedule.start.astype(np.int64)
    source, to_store = t.source_tile[owner], sample_to_store(chip).astype(np.int64)
    own = mux_offset(chip, source, t.dest_tile)
    delay = np.where(wide[owner], np.maximum(own, mux_offset(chip, source, partner(t.dest_tile))), own)
    sample = begin[owner] + delay
    by_time = np.lexsort((sample, t.dest_tile))
    receive = (
        _bounds(t.dest_tile, tiles),
        sample[by_time],
        items[owner[by_time]],
        ids[source[by_time]],
        t.dest_address[by_time],
        np.where(wide[owner], direction(chip, source, t.dest_tile), NARROW)[by_time],
        (own < delay)[by_time],
        to_store,
    )
    order = np.lexsort((begin, t.source_tile))
    item = t.source_address >> np.where(wide, 3, 2)
    sctl = send_controls(chip, t) | np.where(wide, WIDE, 0)
    sends = (begin[order], items[order], item[order], sctl[order])
    last = np.zeros(tiles, dtype=np.int64)
    np.maximum.at(last, t.source_tile, np.maximum(begin + items, MINIMUM_EVENTS))
    np.maximum.at(last, t.dest_tile, sample + to_store[t.dest_tile] + items[owner] - 1 + chip.exchange.drain)
    long = int((items // _MAX_OFF).sum() + last.sum() // _MAX_DELAY)
    # Per setting: delay, a two-word form, a split of the instruction before and the rest of a message.
    room = 4 * tiles + 5 * len(t) + 5 * (3 * owner.size + 2 * int(wide[owner].sum())) + 2 * long
    out = np.zeros(room, dtype=np.uint32)
    start = np.zeros(tiles + 1, dtype=np.int64)
    bounds = _bounds(t.source_tile, tiles)
    tile, event = _emit(receive, sends, bounds, last, ids, chip.exchange.neutral_mux, out, start)
    if tile >= 0:
        raise IllegalExchange(f"tile {tile} at cycle {event}: no instruction makes all the settings due there")
    return Rows(out[: start[-1]].copy(), start, last.astype(np.int32))

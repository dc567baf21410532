"""Carry out an exchange from the logs of all rows: who stored what, and was it what was meant.

Interval form: for each span during which a receiver's mux names a source, the source's send runs that pass in that
span become blocks of consecutive words, cut where the store pointer is set. An item whose sctl lacks the direction of
the receiver never arrives; if nothing arrives, nothing is stored and the pointer stays (inferred). A stray word is thus
stored like any other, and found by comparison with what was intended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange import log as layout
from tile_emu.exchange.check import ADDRESS_BITS, overlap
from tile_emu.exchange.compare import Words, explain
from tile_emu.exchange.fabric import direction_code, mux_delay, sample_to_store
from tile_emu.exchange.topology import HOST_MUX_BASE, ID_BITS, logical_ids, physical_ids
from tile_emu.exchange.transfers import I32, I64, Transfers
from tile_emu.jit import jit

FOREVER = 1 << 40
_MUX_MASK = (1 << ID_BITS) - 1

# Outcome of the kernels: code, tile, event, value.
_FINE, _BACKWARDS, _TWICE, _WIDE, _NO_TILE = range(5)
_SEND, _MUX, _POINTER = layout.SEND, layout.MUX, layout.POINTER

# Rows of the block table, int64[8, capacity].
_DEST, _TO, _WORDS, _SOURCE, _FROM, _SENT_AT, _STORED_AT = range(7)


@dataclass(frozen=True, eq=False)
class Delivery:
    """What an exchange moved. sent and received: int64[tiles] words; last_store: int32[tiles] event, -1 if none."""

    sent: I64
    received: I64
    last_store: I32


@jit
def _count_kinds(log, log_count, bounds):  # type: ignore[no-untyped-def]
    """Running totals of sends, mux and pointer settings per tile in bounds[3, tiles + 1]; returns an outcome."""
    for tile in range(log_count.size):
        for k in range(3):
            bounds[k, tile + 1] = bounds[k, tile]
        previous = np.int64(-1)
        for i in range(log_count[tile]):
            kind, event = log[tile, i, 0], log[tile, i, 1]
            if event < previous:
                return _BACKWARDS, tile, event, previous
            previous = event
            if kind == _SEND:
                bounds[0, tile + 1] += 1
                if log[tile, i, 4] & 4:
                    return _WIDE, tile, event, np.int64(0)
            elif kind == _MUX:
                bounds[1, tile + 1] += 1
            elif kind == _POINTER:
                bounds[2, tile + 1] += 1
            elif log[tile, i, 2] != 0:
                return _WIDE, tile, event, np.int64(0)
    return _FINE, 0, np.int64(0), np.int64(0)


@jit
def _separate(log, log_count, bounds, send, mux, pointer):  # type: ignore[no-untyped-def]
    """Sort the log into send runs [4, n] (event, address, count, sctl) and settings [2, n] (event, value)."""
    for tile in range(log_count.size):
        s, x, p = bounds[0, tile], bounds[1, tile], bounds[2, tile]
        for i in range(log_count[tile]):
            kind = log[tile, i, 0]
            if kind == _SEND:
                for k in range(4):
                    send[k, s] = log[tile, i, k + 1]
                if s > bounds[0, tile] and send[0, s] < send[0, s - 1] + send[2, s - 1]:
                    return _TWICE, tile, np.int64(send[0, s]), np.int64(send[0, s - 1])
                s += 1
            elif kind == _MUX:
                mux[0, x], mux[1, x] = log[tile, i, 1], log[tile, i, 2]
                x += 1
            elif kind == _POINTER:
                pointer[0, p], pointer[1, p] = log[tile, i, 1], log[tile, i, 2]
                p += 1
    return _FINE, 0, np.int64(0), np.int64(0)


@jit
def _first_run(send, lo, hi, event):  # type: ignore[no-untyped-def]
    """First send run in lo..hi that ends after the event."""
    while lo < hi:
        middle = (lo + hi) >> 1
        if send[0, middle] + send[2, middle] > event:
            hi = middle
        else:
            lo = middle + 1
    return lo


@jit
def _store(block, n, d, s, address, words, sent_at, stored_at, pointer, cursor):  # type: ignore[no-untyped-def]
    """Append the blocks of consecutive words that arrive; ``cursor`` is (setting, last setting, store address)."""
    p, p_end, at = cursor
    while words > 0:
        while p < p_end and pointer[0, p] <= stored_at:
            at = np.int64(pointer[1, p])
            p += 1
        part = words
        if p < p_end:
            part = min(part, pointer[0, p] - stored_at)
        if n < block.shape[1]:
            block[0, n], block[1, n], block[2, n], block[3, n] = d, at, part, s
            block[4, n], block[5, n], block[6, n] = address, sent_at, stored_at
        n += 1
        at += 4 * part
        address += 4 * part
        sent_at += part
        stored_at += part
        words -= part
    return n, (p, p_end, at)


@jit
def _listen(block, n, d, value, begin, end, fabric, bounds, send, pointer, cursor):  # type: ignore[no-untyped-def]
    """Blocks received by d while its mux has a value, sample events begin..end."""
    physical, logical, to_store = fabric
    s = logical[value & _MUX_MASK]
    m = mux_delay(physical[s], physical[d])
    code = direction_code(physical[s], physical[d])
    hi = bounds[0, s + 1]
    i = _first_run(send, bounds[0, s], hi, begin - m)
    while i < hi and send[0, i] < end - m:
        if send[3, i] & code:
            first = max(np.int64(send[0, i]), begin - m)
            last = min(np.int64(send[0, i] + send[2, i]), end - m)
            address = np.int64(send[1, i]) + 4 * (first - send[0, i])
            stored_at = first + m + to_store[d]
            n, cursor = _store(block, n, d, s, address, last - first, first, stored_at, pointer, cursor)
        i += 1
    return n, cursor


@jit
def _blocks(fabric, bounds, send, mux, pointer, mux_before, pointer_before, after, neutral, block):  # type: ignore[no-untyped-def]
    """All blocks in order of receiver and store event; returns an outcome and their number (may exceed the room)."""
    tiles = bounds.shape[1] - 1
    logical = fabric[1]
    n = 0
    for d in range(tiles):
        cursor = (bounds[2, d], bounds[2, d + 1], np.int64(pointer_before[d]))
        value, begin = np.int64(mux_before[d]), np.int64(-FOREVER)
        for x in range(bounds[1, d], bounds[1, d + 1] + 1):
            end = np.int64(mux[0, x]) if x < bounds[1, d + 1] else np.int64(FOREVER)
            source = value & _MUX_MASK
            if source != neutral and source < HOST_MUX_BASE and end > begin:
                if logical[source] < 0 or logical[source] >= tiles:
                    return (_NO_TILE, d, begin, value), n
                n, cursor = _listen(block, n, d, value, begin, end, fabric, bounds, send, pointer, cursor)
            begin = end
            if x < bounds[1, d + 1]:
                value = np.int64(mux[1, x])
        after[0, d] = value
        after[1, d] = cursor[2] if cursor[0] == cursor[1] else pointer[1, cursor[1] - 1]
    return (_FINE, 0, np.int64(0), np.int64(0)), n


@jit
def _copy(memory, base, block):  # type: ignore[no-untyped-def]
    """Copy every block; memory as uint32[tiles, words]. Nothing stored is also sent, so the order does not matter."""
    for b in range(block.shape[1]):
        d, s = block[0, b], block[3, b]
        to, at = (block[1, b] - base) >> 2, (block[4, b] - base) >> 2
        for k in range(block[2, b]):
            memory[d, to + k] = memory[s, at + k]


def deliver(
    chip: Chip,
    memory: NDArray[np.uint8],
    log: I32,
    log_count: I32,
    mux: I32,
    pointer: I32,
    intended: Transfers | None,
    name_of: Callable[[int, int], str] | None = None,
) -> Delivery:
    """Move the words of one exchange in ``memory`` (uint8[tiles, chip.memory.size], byte 0 at chip.memory.base).

    ``log`` and ``log_count`` are what the rows of all tiles did (see log.py). ``mux`` and ``pointer`` (int32[tiles],
    pointer in bytes) hold the values in force before the exchange and are updated to those after it. ``name_of`` may
    name what lies at (tile, byte address) in messages.

    Raises IllegalExchange, before anything is stored, if a tile sends twice at once, an address is outside tile memory,
    a word is both sent and stored over, a mux names no tile, items are 64 bits wide, or - with ``intended`` - if any
    word stored differs from what was meant: both tiles, both cycles and the transfer are named.
    """
    tiles = log_count.size
    bounds, send, settings = _read_log(log, log_count)
    after = np.zeros((2, tiles), dtype=np.int64)
    block = _find_blocks(chip, bounds, send, settings, mux, pointer, after)
    _check_memory(chip, block)
    _check_forwarding(send, bounds, block)
    if intended is not None:
        passing = np.repeat(np.arange(tiles), np.diff(bounds[0]))
        explain(chip, Words.of_blocks(block), intended, send, passing, name_of)
    _copy(memory.view(np.uint32), chip.memory.base, block)
    mux[:], pointer[:] = after
    return _summary(tiles, bounds, send, block)


def _read_log(log: I32, log_count: I32) -> tuple[I64, I64, tuple[I64, I64]]:
    bounds = np.zeros((3, log_count.size + 1), dtype=np.int64)
    _raise(_count_kinds(log, log_count, bounds))
    send = np.empty((4, bounds[0, -1]), dtype=np.int64)
    mux = np.empty((2, bounds[1, -1]), dtype=np.int64)
    pointer = np.empty((2, bounds[2, -1]), dtype=np.int64)
    _raise(_separate(log, log_count, bounds, send, mux, pointer))
    return bounds, send, (mux, pointer)


def _find_blocks(
    chip: Chip, bounds: I64, send: I64, settings: tuple[I64, I64], mux: I32, pointer: I32, after: I64
) -> I64:
    fabric = (physical_ids(chip), logical_ids(chip), sample_to_store(chip))
    room = settings[0].shape[1] + settings[1].shape[1] + 16
    while True:
        block = np.empty((7, room), dtype=np.int64)
        neutral = chip.exchange.neutral_mux
        outcome, n = _blocks(fabric, bounds, send, *settings, mux, pointer, after, neutral, block)
        _raise(outcome)
        if n <= room:
            return block[:, :n]
        room = n


def _raise(outcome: tuple[int, int, int, int]) -> None:
    code, tile, event, value = outcome
    if code == _BACKWARDS:
        raise IllegalExchange(f"tile {tile}: log goes back from cycle {value} to cycle {event}")
    if code == _TWICE:
        raise IllegalExchange(f"tile {tile} sends at cycle {event} while the message of cycle {value} is still leaving")
    if code == _WIDE:
        raise IllegalExchange(f"tile {tile} at cycle {event}: 64-bit items are not supported yet")
    if code == _NO_TILE:
        raise IllegalExchange(f"tile {tile} listens from cycle {event} to mux value {value:#x}, which is no tile here")


def _check_memory(chip: Chip, block: I64) -> None:
    base, end = chip.memory.base, chip.memory.end
    for tiles, address, verb in ((_DEST, _TO, "stores"), (_SOURCE, _FROM, "sends")):
        outside = (block[address] < base) | (block[address] + 4 * block[_WORDS] > end) | (block[address] & 3 != 0)
        if outside.any():
            b = block[:, np.nonzero(outside)[0][0]]
            raise IllegalExchange(
                f"tile {b[tiles]} {verb} {b[_WORDS]} words at {b[address]:#x}, not all in tile memory {base:#x}.."
                f"{end - 1:#x}: sent by tile {b[_SOURCE]} at cycle {b[_SENT_AT]}, stored by tile {b[_DEST]} at cycle "
                f"{b[_STORED_AT]}"
            )


def _check_forwarding(send: I64, bounds: I64, block: I64) -> None:
    tile = np.repeat(np.arange(bounds.shape[1] - 1), np.diff(bounds[0]))
    live = np.nonzero(send[3] & 3)[0]
    read = (tile[live] << ADDRESS_BITS) + send[1][live]
    found = overlap(read, 4 * send[2][live], (block[_DEST] << ADDRESS_BITS) + block[_TO], 4 * block[_WORDS])
    if found:
        run, b = live[found[0]], block[:, found[1]]
        raise IllegalExchange(
            f"tile {b[_DEST]} sends {send[2, run]} words from {send[1, run]:#x} at cycle {send[0, run]} and stores "
            f"{b[_WORDS]} words of tile {b[_SOURCE]} at {b[_TO]:#x} at cycle {b[_STORED_AT]} over them: forwarding "
            "within one exchange is not supported"
        )


def _summary(tiles: int, bounds: I64, send: I64, block: I64) -> Delivery:
    tile = np.repeat(np.arange(tiles), np.diff(bounds[0]))
    sent = np.bincount(tile, np.where(send[3] & 3, send[2], 0), tiles).astype(np.int64)
    received = np.bincount(block[_DEST], block[_WORDS], tiles).astype(np.int64)
    last = np.full(tiles, -1, dtype=np.int64)
    np.maximum.at(last, block[_DEST], block[_STORED_AT] + block[_WORDS] - 1)
    return Delivery(sent, received, last.astype(np.int32))

"""Carry out an exchange from the logs of all rows: who stored what, and was it what was meant.

Interval form: for each span during which a receiver's mux names a source, the source's send runs that pass in that
span become blocks of consecutive words, cut where the store pointer is set. An item whose sctl lacks the direction of
the receiver never arrives; if nothing arrives, nothing is stored and the pointer stays (inferred). A stray word is thus
stored like any other, and found by comparison with what was intended.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.chips.topology import logical_ids, physical_ids
from tile_emu.errors import IllegalExchange
from tile_emu.exchange import arrivals
from tile_emu.exchange.arrivals import DEST, FROM, PER_EVENT, SENT_AT, SOURCE, STORED_AT, TO, WORDS, Run
from tile_emu.exchange.compare import BlockWords, Sends, Wanted, as_intended, explain, unmark
from tile_emu.exchange.elements import Namer, RowSpans, Taken, conflict, conflict_message, fetch_message, takes
from tile_emu.exchange.fabric import sample_to_store
from tile_emu.exchange.forwarding import check_forwarding, copy_blocks, copy_in_order
from tile_emu.exchange.marks import any_marked
from tile_emu.exchange.transfers import I32, I64, Transfers
from tile_emu.jit import jit

_MOST_SPANS = 8  # into which the tiles are divided, to be looked at on several threads
_WORTH_SHARING = 1 << 10  # log lines that are worth a span of their own
_ARRIVALS = 512  # of one tile for which there is room at first

# What may be wrong, in the order in which it is reported: with sends and with blocks (outcomes of arrivals.py); with
# one block or one send run, or both at an event; two things that are only suspected.
_SENDS, _BLOCKS, _STORED_OUTSIDE, _SENT_OUTSIDE = 0, 1, 2, 3
_SENT_IN_ROW, _STORED_IN_ROW, _CONFLICT, _FORWARDED, _DIFFERENT = 4, 5, 6, 7, 8
_CHECKS = 9


class _Totals(NamedTuple):
    """Sums by tile, int64[tiles] each; see Delivery."""

    sent: I64
    received: I64
    send_cycles: I64
    receive_cycles: I64
    busy_cycles: I64
    last_store: I64


@dataclass(frozen=True, eq=False)
class Delivery:
    """What an exchange moved, by tile.

    ``sent`` and ``received``: int64[tiles] words. ``send_cycles``, ``receive_cycles``, ``busy_cycles``: int64[tiles]
    cycles in which an item left, in which one was stored, and in which at least one of the two happened.
    ``last_store``: int64[tiles] event, -1 if none. ``tables``: runs of words by receiver, some tiles' in each.
    """

    sent: I64
    received: I64
    send_cycles: I64
    receive_cycles: I64
    busy_cycles: I64
    last_store: I64
    tables: list[I32]

    @property
    def blocks(self) -> I64:
        """All runs of words: int64[9, n], rows as named in arrivals.py (DEST, TO, WORDS, SOURCE, FROM, ..)."""
        return np.concatenate(self.tables, axis=1).astype(np.int64)


class _Exchange(NamedTuple):
    """What the kernels work with."""

    memory: tuple[int, int]  # address of a memory row's first byte, and the one past its last
    fabric: tuple[I32, I32, I32]  # physical ids, logical ids, sample_to_store
    bounds: I64  # of the log lines by kind, see arrivals.read_log
    parts: tuple[I64, ...]
    before: tuple[I32, I32]  # mux and pointer
    after: I64
    neutral: int
    taken: Taken
    wanted: Wanted
    elsewhere: NDArray[np.uint8]  # by send run: 1 if a tile or pair other than the sender's takes it
    totals: _Totals

    def receive(self, span: tuple[int, int]) -> tuple[I32, I64]:
        """The blocks of a span of receivers, and what is wrong with them: int64[checks, 4]."""
        spaces, blocks = _ARRIVALS, arrivals.room_for_blocks(self.bounds, *span)
        bits = np.zeros((self.memory[1] - self.memory[0] + 255) // 256, np.uint64)
        while True:
            scratch = np.empty((2, arrivals.ARRIVAL_ROWS, spaces), np.int64)
            block = np.empty((arrivals.BLOCK_ROWS, blocks), np.int32)
            wrong = np.zeros((_CHECKS, 4), np.int64)
            n, most = _receive(*span, self, scratch, block, bits, wrong)
            if n <= blocks and most <= spaces:
                return block[:, :n], wrong
            spaces, blocks = 2 * max(most, spaces), 2 * max(n, blocks)


def deliver(
    chip: Chip,
    memory: NDArray[np.uint8],
    log: I32,
    log_count: I32,
    mux: I32,
    pointer: I32,
    intended: Transfers | None,
    name_of: Namer | None = None,
    rows: RowSpans | None = None,
    run: Run = map,
) -> Delivery:
    """Move the words of one exchange in ``memory`` (uint8[tiles, chip.memory.size], byte 0 at chip.memory.base).

    ``log`` and ``log_count`` are what the rows of all tiles did (see log.py). ``mux`` and ``pointer`` (int32[tiles],
    pointer in bytes) hold the values in force before the exchange and are updated to those after it. ``name_of`` may
    name what lies at (tile, byte address) in messages. ``rows`` says where the tiles' rows lie, for the check of SRAM
    elements, which is left out without. ``run`` may be a pool's ``map``, to work on several threads.

    A word may be stored and then sent on, if enough events lie between (forwarding.py); the copies of ``intended`` all
    read what was there before. Raises IllegalExchange, before anything is stored, if a tile sends twice at once, sets
    what no instruction sets together, an address is outside tile memory, SRAM elements conflict, a word is sent on too
    soon, a tile or pair is the only one that takes its message, a mux names no tile, formats and widths do not match,
    or - with ``intended`` - if any word stored differs from what was meant: both tiles, both cycles and the transfer
    are named.
    """
    tiles = log_count.size
    spans = _spans(log_count)
    if len(spans) == 1:
        run = map
    bounds, parts, outcome = arrivals.read_log(log, log_count, spans, run)
    _raise(outcome)
    exchange = _Exchange(
        memory=(chip.memory.base, chip.memory.end),
        fabric=(physical_ids(chip), logical_ids(chip), sample_to_store(chip)),
        bounds=bounds,
        parts=parts,
        before=(mux, pointer),
        after=np.zeros((2, tiles), dtype=np.int64),
        neutral=chip.exchange.neutral_mux,
        taken=Taken.by(chip, tiles, rows),
        wanted=Wanted.of(intended, tiles),
        elsewhere=np.zeros(parts[0].shape[1], np.uint8),
        totals=_Totals(*np.zeros((len(_Totals._fields), tiles), np.int64)),
    )
    received = list(run(exchange.receive, spans))
    tables = [block for block, _ in received]
    suspected = _judge(chip, exchange, received, rows, name_of)
    delivery = Delivery(*exchange.totals, tables)
    if suspected:
        forwarded = _look_closely(chip, exchange, delivery, intended, name_of)
    if suspected and forwarded:
        copy_in_order(memory, chip.memory.base, delivery.blocks)
    else:
        words, pairs = memory.view(np.uint32), memory.view(np.uint64)
        list(run(lambda block: copy_blocks(words, pairs, chip.memory.base, block), tables))
    mux[:], pointer[:] = exchange.after
    return delivery


def _spans(log_count: I32) -> list[tuple[int, int]]:
    """Tiles in portions (first, last + 1) with about as many lines each."""
    lines = np.cumsum(log_count + np.int64(1))
    count = min(_MOST_SPANS, 1 + (int(lines[-1]) - log_count.size) // _WORTH_SHARING) if log_count.size else 1
    if count == 1:
        return [(0, log_count.size)]
    inner = np.searchsorted(lines, lines[-1] * np.arange(1, count) // count)
    cuts = np.unique([0, *inner, log_count.size]).tolist()
    return list(itertools.pairwise(cuts))


@jit(inline=True)
def _note(wrong, check, a, b, c, d):  # type: ignore[no-untyped-def]
    """Keep the first finding of a check; ``a`` is not 0."""
    if wrong[check, 0] == 0:
        wrong[check, 0], wrong[check, 1], wrong[check, 2], wrong[check, 3] = a, b, c, d


@jit(leaf=True)
def _receive(first, last, x, scratch, block, bits, wrong):  # type: ignore[no-untyped-def]
    """Find and check the blocks of receivers first..last: their number, and arrivals that need room in ``scratch``.

    x: _Exchange; bits: marks.py, none marked.
    """
    send = x.parts[0]
    _note(wrong, _SENDS, *arrivals.check_sends(x.fabric, x.bounds, send, first, last))
    n = most = 0
    for d in range(first, last):
        begin = n
        n, space, outcome = arrivals.find_blocks(
            d, x.fabric, x.bounds, x.parts, x.before, x.after, x.neutral, scratch, block, n
        )
        most = max(most, space)
        if n > block.shape[1] or most > scratch.shape[2]:
            continue  # to see how much room is needed
        if outcome[0] != arrivals.FINE:
            _note(wrong, _BLOCKS, *outcome)
            break
        lo, hi = x.bounds[0, d], x.bounds[0, d + 1]
        if _check_blocks(block, begin, n, x.memory, x.taken, x.elsewhere, wrong):
            if not as_intended(d, block, begin, n, x.wanted, x.memory[0], bits):
                _note(wrong, _DIFFERENT, 1, 0, 0, 0)
            _check_runs(d, send, lo, hi, x.memory, x.taken, bits, wrong)
            unmark(block, begin, n, x.memory[0], bits)
            both = _meet(send, lo, hi, block, begin, n, x.taken, wrong)
            _sum(d, send, lo, hi, block, begin, n, both, x.totals)
    return n, most


@jit(inline=True)
def _check_blocks(block, begin, end, memory, taken, elsewhere, wrong):  # type: ignore[no-untyped-def]
    """Blocks lie in tile memory, aligned, and are not stored in the running row; whether the former holds."""
    base, limit = memory
    inside = True
    for b in range(begin, end):
        d, s, words, unit = block[0, b], block[3, b], np.int64(block[2, b]), np.int64(block[7, b])
        to, at = np.int64(block[1, b]), np.int64(block[4, b])
        if to < base or to + 4 * words > limit or to & (4 * unit - 1) != 0:
            _note(wrong, _STORED_OUTSIDE, 1, b, 0, 0)
            inside = False
        if at < base or at + 4 * words > limit or at & (4 * unit - 1) != 0:
            _note(wrong, _SENT_OUTSIDE, 1, b, 0, 0)
            inside = False
        if takes(taken, d, to, words):
            _note(wrong, _STORED_IN_ROW, 1, b, 0, 0)
        if d >> (unit - 1) != s >> (unit - 1):
            elsewhere[block[8, b]] = 1
    return inside


@jit(inline=True)
def _check_runs(tile, send, lo, hi, memory, taken, bits, wrong):  # type: ignore[no-untyped-def]
    """What a tile sends does not lie in its running row, and is not among the marked words, those it stores."""
    for i in range(lo, hi):
        if send[3, i] & 3 != 0:
            at, words = send[1, i], send[2, i] << (send[3, i] >> 2 & 1)
            if takes(taken, tile, at, words):
                _note(wrong, _SENT_IN_ROW, 1, i, 0, 0)
            word = (at - memory[0]) >> 2
            if any_marked(bits, word, ((at + 4 * words - 1 - memory[0]) >> 2) + 1 - word):
                _note(wrong, _FORWARDED, 1, 0, 0, 0)


@jit(inline=True)
def _end(block, b):  # type: ignore[no-untyped-def]
    """Event after the last store of block b."""
    return np.int64(block[6, b]) + block[2, b] // block[7, b]


@jit(inline=True)
def _meet(send, lo, hi, block, begin, end, taken, wrong):  # type: ignore[no-untyped-def]
    """Cycles in which a tile both sends and stores an item; these must not be of one element."""
    both = np.int64(0)
    b = begin
    for i in range(lo, hi):
        if send[3, i] & 3 == 0:
            continue
        start, stop = send[0, i], send[0, i] + send[2, i]
        step = 4 << (send[3, i] >> 2 & 1)
        while b < end and _end(block, b) <= start:
            b += 1
        k = b
        while k < end and block[6, k] < stop:
            stored = np.int64(block[6, k])
            common = max(start, stored)
            events = min(stop, _end(block, k)) - common
            both += events
            read_at, unit = send[1, i] + step * (common - start), 4 * np.int64(block[7, k])
            bad = conflict(taken, read_at, step, block[1, k] + unit * (common - stored), unit, events)
            if bad >= 0:
                _note(wrong, _CONFLICT, 1, i, k, common + bad)
            k += 1
    return both


@jit(inline=True)
def _sum(tile, send, lo, hi, block, begin, end, both, totals):  # type: ignore[no-untyped-def]
    """What one tile sent and stored."""
    for i in range(lo, hi):
        if send[3, i] & 3 != 0:
            totals.sent[tile] += send[2, i] << (send[3, i] >> 2 & 1)
            totals.send_cycles[tile] += send[2, i]
    for b in range(begin, end):
        totals.received[tile] += block[2, b]
        totals.receive_cycles[tile] += block[2, b] // block[7, b]
    totals.busy_cycles[tile] = totals.send_cycles[tile] + totals.receive_cycles[tile] - both
    totals.last_store[tile] = _end(block, end - 1) - 1 if end > begin else -1


@jit(leaf=True)
def _alone(block, elsewhere):  # type: ignore[no-untyped-def]
    """First block of which nobody but the sender, or its pair, takes the message; -1 if there is none."""
    for b in range(block.shape[1]):
        if elsewhere[block[8, b]] == 0:
            return b
    return -1


def _judge(
    chip: Chip, exchange: _Exchange, received: list[tuple[I32, I64]], rows: RowSpans | None, name_of: Namer | None
) -> bool:
    """Raise IllegalExchange for the first thing wrong; whether there is something to look at closely."""
    found: list[tuple[Any, ...]] = [()] * _CHECKS  # by check: where it was first found (block table, a, b, c)
    for block, wrong in reversed(received):
        for check in np.flatnonzero(wrong[:, 0]).tolist():
            found[check] = (block, *wrong[check].tolist())
    for check in (_SENDS, _BLOCKS):
        if found[check]:
            _raise(found[check][1:])
    for check, tiles, address, verb in ((_STORED_OUTSIDE, DEST, TO, "stores"), (_SENT_OUTSIDE, SOURCE, FROM, "sends")):
        if found[check]:
            raise IllegalExchange(_outside(chip, found[check][0][:, found[check][2]], tiles, address, verb))
    _check_own(exchange, received)
    send = exchange.parts[0]
    if found[_SENT_IN_ROW] and rows:
        run = found[_SENT_IN_ROW][2]
        tile = int(np.searchsorted(exchange.bounds[0], run, side="right")) - 1
        event, address, items, sctl = send[:, run].tolist()
        raise IllegalExchange(fetch_message(tile, address, items << (sctl >> 2 & 1), event, None, rows, name_of))
    if found[_STORED_IN_ROW] and rows:
        b = found[_STORED_IN_ROW][0][:, found[_STORED_IN_ROW][2]].tolist()
        raise IllegalExchange(fetch_message(b[DEST], b[TO], b[WORDS], b[STORED_AT], b[SOURCE], rows, name_of))
    if found[_CONFLICT]:
        block, _, run, k, event = found[_CONFLICT]
        raise IllegalExchange(conflict_message(send[:, run], block[:, k], event, name_of))
    return bool(found[_FORWARDED] or found[_DIFFERENT])


def _look_closely(
    chip: Chip, exchange: _Exchange, delivery: Delivery, intended: Transfers | None, name_of: Namer | None
) -> bool:
    """Raise IllegalExchange if words are sent on that must not be, or others moved than intended; whether words that
    are sent are also stored over."""
    sends, block = Sends.of_log(exchange.bounds[0], exchange.parts[0]), delivery.blocks
    forwarded = check_forwarding(chip, sends, block, before_values=intended is not None, name_of=name_of)
    if intended is not None:
        explain(chip, BlockWords.of_blocks(block), intended, sends, name_of)
    return forwarded


def _raise(outcome: tuple[int, int, int, int]) -> None:
    code, tile, event, value = outcome
    if code == arrivals.FINE:
        return
    what = {
        arrivals.BACKWARDS: f"log goes back from cycle {value} to cycle {event}",
        arrivals.TWICE: f"sends at cycle {event} while the message of cycle {value} is still leaving",
        arrivals.NO_TILE: f"listens from cycle {event} to mux value {value:#x}, which is no tile here",
        arrivals.LANE: f"sends 64-bit items at cycle {event}, which needs the lane its partner uses at cycle {value}",
        arrivals.WIDTH: f"listens for another width of items than tile {value} sends at cycle {event}",
        arrivals.AT_ONCE: f"stores at cycle {event} what tile {value} sent while the store before is still going on",
        arrivals.FORMAT: f"stores at cycle {event} what tile {value} sent, with another incoming format in force",
        arrivals.LEFT_ON: f"leaves its paired mux or format at {value:#x}, set at cycle {event}",
        arrivals.TOGETHER: f"makes settings at cycle {event} that no instruction makes together: only mux and pointer "
        f"may coincide (log kinds {value:#b})",
    }[code]
    raise IllegalExchange(f"tile {tile}: {what}")


def _outside(chip: Chip, b: I32, tiles: int, address: int, verb: str) -> str:
    return (
        f"tile {b[tiles]} {verb} {b[WORDS]} words at {b[address]:#x}, not aligned or not all in tile memory "
        f"{chip.memory.base:#x}..{chip.memory.end - 1:#x}: sent by tile {b[SOURCE]} at cycle {b[SENT_AT]}, stored by "
        f"tile {b[DEST]} at cycle {b[STORED_AT]}"
    )


def _check_own(exchange: _Exchange, received: list[tuple[I32, I64]]) -> None:
    """A message that its own tile takes, or a 64-bit one that its own pair takes, needs another receiver (R20)."""
    if exchange.elsewhere.all():
        return
    for block, _ in received:
        alone = _alone(block, exchange.elsewhere)
        if alone >= 0:
            b = block[:, alone]
            who = "its own pair" if b[PER_EVENT] == 2 else "itself"
            raise IllegalExchange(
                f"tile {b[SOURCE]} sends {b[WORDS]} words from {b[FROM]:#x} at cycle {b[SENT_AT]} only to {who}, which "
                "the fabric cannot: let another tile take them too, or copy them by a codelet"
            )

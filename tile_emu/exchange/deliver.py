"""Carry out an exchange from the logs of all rows: who stored what, and was it what was meant.

Interval form: for each span during which a receiver's mux names a source, the source's send runs that pass in that
span become blocks of consecutive words, cut where the store pointer is set. An item whose sctl lacks the direction of
the receiver never arrives; if nothing arrives, nothing is stored and the pointer stays (inferred). A stray word is thus
stored like any other, and found by comparison with what was intended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.chips.topology import logical_ids, physical_ids
from tile_emu.errors import IllegalExchange
from tile_emu.exchange import arrivals
from tile_emu.exchange.arrivals import DEST, FROM, PER_EVENT, SENT_AT, SOURCE, STORED_AT, TO, WORDS
from tile_emu.exchange.compare import BlockWords, Sends, explain
from tile_emu.exchange.elements import Namer, RowSpans, check_elements
from tile_emu.exchange.fabric import sample_to_store
from tile_emu.exchange.forwarding import Run, check_forwarding, copy_blocks, copy_in_order
from tile_emu.exchange.transfers import I32, I64, Transfers
from tile_emu.jit import jit


@dataclass(frozen=True, eq=False)
class Delivery:
    """What an exchange moved, by tile.

    ``sent`` and ``received``: int64[tiles] words. ``send_cycles``, ``receive_cycles``, ``busy_cycles``: int64[tiles]
    cycles in which an item left, in which one was stored, and in which at least one of the two happened.
    ``last_store``: int32[tiles] event, -1 if none. ``blocks`` int64[8, n]: runs of words by receiver, rows as named in
    arrivals.py (DEST, TO, WORDS, SOURCE, FROM, ..).
    """

    sent: I64
    received: I64
    send_cycles: I64
    receive_cycles: I64
    busy_cycles: I64
    last_store: I32
    blocks: I64


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
    elements, which is left out without. ``run`` may be a pool's ``map``, to copy on several threads.

    A word may be stored and then sent on, if enough events lie between (forwarding.py); the copies of ``intended`` all
    read what was there before. Raises IllegalExchange, before anything is stored, if a tile sends twice at once, sets
    what no instruction sets together, an address is outside tile memory, SRAM elements conflict, a word is sent on too
    soon, a tile or pair is the only one that takes its message, a mux names no tile, formats and widths do not match,
    or - with ``intended`` - if any word stored differs from what was meant: both tiles, both cycles and the transfer
    are named.
    """
    tiles = log_count.size
    bounds, parts, outcome = arrivals.read_log(log, log_count)
    _raise(outcome)
    fabric = (physical_ids(chip), logical_ids(chip), sample_to_store(chip))
    _raise(arrivals.check_together(log, log_count))
    _raise(arrivals.check_sends(fabric, bounds, parts[0]))
    after = np.zeros((2, tiles), dtype=np.int64)
    block, outcome = arrivals.find_blocks(fabric, bounds, parts, mux, pointer, after, chip.exchange.neutral_mux)
    _raise(outcome)
    sends = Sends.of_log(bounds[0], parts[0])
    _check_memory(chip, block)
    _check_own(sends, block)
    if rows is not None:
        check_elements(chip, sends, block, rows, name_of)
    forwarded = check_forwarding(chip, sends, block, before_values=intended is not None, name_of=name_of)
    if intended is not None:
        explain(chip, BlockWords.of_blocks(block), intended, sends, name_of)
    if forwarded:
        copy_in_order(memory, chip.memory.base, block)
    else:
        copy_blocks(memory, chip.memory.base, block, run)
    mux[:], pointer[:] = after
    return _summary(tiles, sends, block)


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


def _check_memory(chip: Chip, block: I64) -> None:
    base, end = chip.memory.base, chip.memory.end
    for tiles, address, verb in ((DEST, TO, "stores"), (SOURCE, FROM, "sends")):
        outside = (
            (block[address] < base)
            | (block[address] + 4 * block[WORDS] > end)
            | (block[address] % (4 * block[PER_EVENT]) != 0)
        )
        if outside.any():
            b = block[:, np.nonzero(outside)[0][0]]
            raise IllegalExchange(
                f"tile {b[tiles]} {verb} {b[WORDS]} words at {b[address]:#x}, not aligned or not all in tile memory "
                f"{base:#x}..{end - 1:#x}: sent by tile {b[SOURCE]} at cycle {b[SENT_AT]}, stored by tile {b[DEST]} at "
                f"cycle {b[STORED_AT]}"
            )


def _check_own(sends: Sends, block: I64) -> None:
    """A message that its own tile takes, or a 64-bit one that its own pair takes, needs another receiver (R20)."""
    pair = np.where(block[PER_EVENT] == 2, 1, 0)
    own = block[DEST] >> pair == block[SOURCE] >> pair
    if not own.any():
        return
    key = (sends.tile << 40) + sends.event
    run = np.searchsorted(key, (block[SOURCE] << 40) + block[SENT_AT], side="right") - 1
    taken = np.bincount(run[~own], minlength=key.size)
    alone = np.flatnonzero(own & (taken[run] == 0))
    if alone.size:
        b = block[:, alone[0]]
        who = "its own pair" if b[PER_EVENT] == 2 else "itself"
        raise IllegalExchange(
            f"tile {b[SOURCE]} sends {b[WORDS]} words from {b[FROM]:#x} at cycle {b[SENT_AT]} only to {who}, which the "
            "fabric cannot: let another tile take them too, or copy them by a codelet"
        )


@jit(inline=True)
def _end(block, b):  # type: ignore[no-untyped-def]
    """Event after the last store of block b."""
    return block[6, b] + block[2, b] // block[7, b]


@jit(leaf=True)
def _overlaps(tile, event, items, block, out):  # type: ignore[no-untyped-def]
    """Cycles per tile in which an item leaves and another is stored; runs are in order of tile and event."""
    b, blocks = 0, block.shape[1]
    for i in range(tile.size):
        end = event[i] + items[i]
        while b < blocks and (block[0, b] < tile[i] or (block[0, b] == tile[i] and _end(block, b) <= event[i])):
            b += 1
        k = b
        while k < blocks and block[0, k] == tile[i] and block[6, k] < end:
            out[tile[i]] += min(end, _end(block, k)) - max(event[i], block[6, k])
            k += 1


def _summary(tiles: int, sends: Sends, block: I64) -> Delivery:
    live = sends.sctl & 3 != 0
    tile, words = sends.tile[live], sends.words[live]
    items = words // sends.per_event[live]
    sent, send_cycles = (np.bincount(tile, amount, tiles).astype(np.int64) for amount in (words, items))
    received = np.bincount(block[DEST], block[WORDS], tiles).astype(np.int64)
    receive_cycles = np.bincount(block[DEST], block[WORDS] // block[PER_EVENT], tiles).astype(np.int64)
    both = np.zeros(tiles, dtype=np.int64)
    _overlaps(tile, sends.event[live], items, block, both)
    last = np.full(tiles, -1, dtype=np.int32)
    end = np.flatnonzero(np.diff(block[DEST], append=-1))  # a tile's blocks are in the order of their stores
    last[block[DEST, end]] = (block[STORED_AT] + (block[WORDS] - 1) // block[PER_EVENT])[end]
    busy_cycles = send_cycles + receive_cycles - both
    return Delivery(sent, received, send_cycles, receive_cycles, busy_cycles, last, block)

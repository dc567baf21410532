"""Words that are stored and sent on in one exchange, and the copying of blocks.

A send that leaves before the store reads the old word. One that leaves at least as many events after it as a row must
outlast its last store reads the new one (exchange rule R19; inferred). In between it is not known what is read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange.arrivals import DEST, FROM, PER_EVENT, SENT_AT, SOURCE, STORED_AT, TO, WORDS
from tile_emu.exchange.check import ADDRESS_BITS, overlap
from tile_emu.exchange.compare import Sends
from tile_emu.exchange.elements import Namer
from tile_emu.exchange.transfers import I64
from tile_emu.jit import jit


def check_forwarding(chip: Chip, sends: Sends, block: I64, before_values: bool, name_of: Namer | None) -> bool:
    """Whether any word is both sent and stored over. Raises IllegalExchange if what is sent is not known, or not what
    was there before although that is wanted. ``block``: the table of arrivals.py, as int64."""
    live = np.nonzero(sends.sctl & 3)[0]
    read = (sends.tile[live] << ADDRESS_BITS) + sends.address[live]
    write = (block[DEST] << ADDRESS_BITS) + block[TO]
    if not overlap(read, 4 * sends.words[live], write, 4 * block[WORDS]):
        return False
    run = _words(read, sends.words[live], sends.event[live], sends.per_event[live])
    stored = _words(write, block[WORDS], block[STORED_AT], block[PER_EVENT])
    order = np.lexsort((stored[1], stored[0]))
    key, event, owner = (column[order] for column in stored)
    first, end = np.searchsorted(key, run[0]), np.searchsorted(key, run[0], side="right")
    for turn in range(int((end - first).max(initial=0))):  # a word may be stored several times
        at = np.minimum(first + turn, key.size - 1)
        after = run[1] - event[at]
        bad = (first + turn < end) & (after >= 0) & ((after < chip.exchange.drain) | before_values)
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            tile, address = int(run[0][k]) >> ADDRESS_BITS, int(run[0][k]) & (1 << ADDRESS_BITS) - 1
            name = f" ({name_of(tile, address)})" if name_of else ""
            raise IllegalExchange(
                f"tile {tile} sends the word at {address:#x}{name} at cycle {run[1][k]}, {after[k]} after it stores "
                f"one of tile {block[SOURCE, owner[at[k]]]} there at cycle {event[at[k]]}: "
                + (
                    "the copies of an exchange read what was there before it; use two exchanges"
                    if before_values
                    else f"sent on after fewer than {chip.exchange.drain} cycles it is not known which word leaves"
                )
            )
    return True


def _words(key: I64, words: I64, event: I64, per_event: I64) -> tuple[I64, I64, I64]:
    """Per word: key, event, and the run it belongs to."""
    owner = np.repeat(np.arange(words.size), words)
    inside = np.arange(owner.size) - np.repeat(np.cumsum(words) - words, words)
    return key[owner] + 4 * inside, event[owner] + inside // per_event[owner], owner


@jit(leaf=True)
def copy_blocks(memory, pairs, base, block):  # type: ignore[no-untyped-def]
    """Copy every block, two words at a time where that is aligned; memory as uint32 and uint64[tiles, n].

    For blocks of which nothing stored is also sent, so that only the order of the stores of a tile matters.
    """
    for b in range(block.shape[1]):
        d, s, words = block[0, b], block[3, b], block[2, b]
        to, at = (block[1, b] - base) >> 2, (block[4, b] - base) >> 2
        done = 0
        if (to | at) & 1 == 0:
            for k in range(words >> 1):
                pairs[d, (to >> 1) + k] = pairs[s, (at >> 1) + k]
            done = words & ~1
        for k in range(done, words):
            memory[d, to + k] = memory[s, at + k]


def copy_in_order(memory: NDArray[np.uint8], base: int, block: I64) -> None:
    """Copy word by word as the events go."""
    words, per_event = block[WORDS], block[PER_EVENT]
    source, sent_at, _ = _words(block[FROM], words, block[SENT_AT], per_event)
    dest, stored_at, owner = _words(block[TO], words, block[STORED_AT], per_event)
    value = np.zeros(owner.size, dtype=np.uint32)
    by_read, by_write = np.argsort(sent_at, kind="stable"), np.argsort(stored_at, kind="stable")
    places = (block[SOURCE][owner], (source - base) >> 2, block[DEST][owner], (dest - base) >> 2)
    _in_order(memory.view(np.uint32), *places, sent_at, stored_at, by_read, by_write, value)


@jit(leaf=True)
def _in_order(memory, s, at, d, to, sent_at, stored_at, by_read, by_write, value):  # type: ignore[no-untyped-def]
    done = 0
    for r in by_read:
        while done < by_write.size and stored_at[by_write[done]] <= sent_at[r]:
            w = by_write[done]
            memory[d[w], to[w]] = value[w]
            done += 1
        value[r] = memory[s[r], at[r]]
    for w in by_write[done:]:
        memory[d[w], to[w]] = value[w]

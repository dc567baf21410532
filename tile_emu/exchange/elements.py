"""SRAM element conflicts: instruction fetch, send reads and receive writes share one access per element and cycle.

Conflicts are faults, not stalls (exchange rules R13 and R14). The supervisor looks ahead while it executes a row, so
the elements of the row and of the bytes behind it are taken for as long as the row lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tile_emu.chips import Chip
from tile_emu.chips.elements import element
from tile_emu.errors import IllegalExchange
from tile_emu.exchange.arrivals import DEST, PER_EVENT, SOURCE, STORED_AT, TO, WORDS
from tile_emu.exchange.compare import Sends
from tile_emu.exchange.transfers import I64
from tile_emu.jit import jit

Namer = Callable[[int, int], str]


@dataclass(frozen=True, eq=False)
class RowSpans:
    """Bytes that each tile's row and its look-ahead occupy: [begin, end) i64[tiles]; end 0 = no row."""

    begin: I64
    end: I64


def check_elements(chip: Chip, sends: Sends, block: I64, rows: RowSpans, name_of: Namer | None = None) -> None:
    """Raise IllegalExchange for a send or a store in an element of the running row, or a send and a store in one
    element at one cycle. ``block``: the table of arrivals.py."""
    _check_fetch(chip, sends, block, rows, name_of)
    live = np.flatnonzero(sends.sctl & 3)
    reads = np.stack([sends.tile, sends.event, sends.words // sends.per_event])[:, live]
    writes = np.stack([block[DEST], block[STORED_AT], block[WORDS] // block[PER_EVENT]])
    read_at, write_at = sends.address[live], block[TO]
    ranges = [_range(chip, *part) for part in ((read_at, sends.words[live]), (write_at, block[WORDS]))]
    for i, b, begin, end in _meetings(reads, writes, *ranges[0], *ranges[1]).tolist():
        events = np.arange(begin, end)
        step_r, step_w = 4 * int(sends.per_event[live[i]]), 4 * int(block[PER_EVENT, b])
        read = read_at[i] + step_r * (events - reads[1, i])
        written = write_at[b] + step_w * (events - writes[1, b])
        same = np.flatnonzero(element(read, chip.memory) == element(written, chip.memory))
        if same.size:
            k, tile = int(same[0]), int(reads[0, i])
            raise IllegalExchange(
                f"tile {tile} reads {_place(tile, int(read[k]), name_of)} for a send and stores the word of tile "
                f"{block[SOURCE, b]} to {_place(tile, int(written[k]), name_of)} at cycle {events[k]}, in one SRAM "
                "element: keep the two variables in different elements (Graph.separate)"
            )


def _place(tile: int, address: int, name_of: Namer | None) -> str:
    name = name_of(tile, address) if name_of else ""
    return f"{address:#x}" + (f" ({name})" if name else "")


def _range(chip: Chip, address: I64, words: I64) -> tuple[I64, I64]:
    """First and last element of each run of words."""
    return element(address, chip.memory), element(address + 4 * words - 1, chip.memory)


def _check_fetch(chip: Chip, sends: Sends, block: I64, rows: RowSpans, name_of: Namer | None) -> None:
    low, high = element(rows.begin, chip.memory), element(rows.end - 1, chip.memory)
    live = np.flatnonzero(sends.sctl & 3)
    reads = (sends.tile[live], sends.address[live], sends.words[live], sends.event[live], "sends", sends.tile[live])
    writes = (block[DEST], block[TO], block[WORDS], block[STORED_AT], "stores", block[SOURCE])
    for tile, address, words, event, verb, other in (reads, writes):
        first, last = _range(chip, address, words)
        hit = np.flatnonzero((rows.end[tile] > 0) & (first <= high[tile]) & (last >= low[tile]))
        if hit.size:
            i = hit[0]
            t = int(tile[i])
            sent = f" sent by tile {other[i]}" if verb == "stores" else ""
            raise IllegalExchange(
                f"tile {t} {verb} {words[i]} words at {_place(t, int(address[i]), name_of)}{sent} at cycle {event[i]} "
                f"in an SRAM element of its running row ({rows.begin[t]:#x}..{rows.end[t] - 1:#x}, look-ahead "
                "included): move the variable up, or the code down, by an element"
            )


@jit
def _meetings(reads, writes, read_first, read_last, write_first, write_last):  # type: ignore[no-untyped-def]
    """Pairs of a send run and a block of one tile that overlap in time and may in elements: [n, 4] run, block, events.

    ``reads`` and ``writes``: tile, first event, events, in order of tile and event.
    """
    found = np.empty((16, 4), dtype=np.int64)
    n = b = 0
    blocks = writes.shape[1]
    for i in range(reads.shape[1]):
        tile, begin = reads[0, i], reads[1, i]
        end = begin + reads[2, i]
        while b < blocks and (writes[0, b] < tile or (writes[0, b] == tile and writes[1, b] + writes[2, b] <= begin)):
            b += 1
        k = b
        while k < blocks and writes[0, k] == tile and writes[1, k] < end:
            if read_first[i] <= write_last[k] and write_first[k] <= read_last[i]:
                if n == found.shape[0]:
                    grown = np.empty((2 * n, 4), dtype=np.int64)
                    grown[:n] = found
                    found = grown
                found[n, 0], found[n, 1] = i, k
                found[n, 2], found[n, 3] = max(begin, writes[1, k]), min(end, writes[1, k] + writes[2, k])
                n += 1
            k += 1
    return found[:n]

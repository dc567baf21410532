"""SRAM element conflicts: instruction fetch, send reads and receive writes share one access per element and cycle.

Conflicts are faults, not stalls (exchange rules R13 and R14). The supervisor looks ahead while it executes a row, so
the elements of the row and of the bytes behind it are taken for as long as the row lasts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.chips.chip import Memory
from tile_emu.chips.elements import element, element_start
from tile_emu.exchange.arrivals import DEST, PER_EVENT, SOURCE, STORED_AT, TO, WIDE
from tile_emu.exchange.transfers import I64
from tile_emu.jit import jit

Namer = Callable[[int, int], str]
_ABOVE = 1 << 30  # stands for the element of an address above tile memory


@dataclass(frozen=True, eq=False)
class RowSpans:
    """Bytes that each tile's row and its look-ahead occupy: [begin, end) i64[tiles]; end 0 = no row."""

    begin: I64
    end: I64


class Taken(NamedTuple):
    """For the kernels: elements by address, and the bytes of those that rows take."""

    base: int
    shift: int  # an address less base, shifted right by so much, is a place in ``number``
    number: NDArray[np.int32]  # of the element; none: nothing is checked
    begin: I64  # [tiles]
    end: I64  # [tiles], 0 where there is no row

    @classmethod
    def by(cls, chip: Chip, tiles: int, rows: RowSpans | None) -> Taken:
        """The elements that rows take; without ``rows`` none, and none conflict."""
        memory = chip.memory
        shift = memory.element_bytes.bit_length() - 1
        if memory.element_bytes != 1 << shift:
            raise ValueError(f"SRAM elements of {memory.element_bytes} bytes, which is no power of two")
        if rows is None:
            nothing = np.zeros(tiles, np.int64)
            return cls(memory.base, shift, np.zeros(0, np.int32), nothing, nothing)
        begin = element_start(element(rows.begin, memory), memory)
        end = np.where(rows.end > 0, element_start(element(rows.end - 1, memory) + 1, memory), 0)
        return cls(memory.base, shift, _numbers(memory), begin, end)


@functools.cache
def _numbers(memory: Memory) -> NDArray[np.int32]:
    return element(np.arange(memory.base, memory.end, memory.element_bytes), memory).astype(np.int32)


@jit(inline=True)
def takes(taken, tile, address, words):  # type: ignore[no-untyped-def]
    """Whether words lie in an element of the tile's running row (R13)."""
    return address < taken.end[tile] and address + 4 * words > taken.begin[tile]


@jit(inline=True)
def _number(taken, address):  # type: ignore[no-untyped-def]
    """Element of an address: ascending with it, -1 below tile memory."""
    place = (address - taken.base) >> taken.shift
    if place < 0:
        return np.int64(-1)
    return np.int64(taken.number[place]) if place < len(taken.number) else np.int64(_ABOVE)


@jit(leaf=True)
def conflict(taken, read_at, read_step, write_at, write_step, events):  # type: ignore[no-untyped-def]
    """First of some events at which an item is read and one is stored in the same element (R14), else -1.

    The one is read at ``read_at`` and then every ``read_step`` bytes, the other stored likewise.
    """
    after = events - 1
    if (
        len(taken.number) > 0
        and _number(taken, read_at) <= _number(taken, write_at + write_step * after)
        and _number(taken, write_at) <= _number(taken, read_at + read_step * after)
    ):
        for k in range(events):
            if _number(taken, read_at + read_step * k) == _number(taken, write_at + write_step * k):
                return k
    return -1


def place(tile: int, address: int, name_of: Namer | None) -> str:
    """An address for messages, with what lies there."""
    name = name_of(tile, address) if name_of else ""
    return f"{address:#x}" + (f" ({name})" if name else "")


def fetch_message(
    tile: int, address: int, words: int, event: int, source: int | None, rows: RowSpans, name_of: Namer | None
) -> str:
    """What is wrong if words sent, or those of tile ``source`` stored, lie in an element of the running row."""
    verb, sent = ("sends", "") if source is None else ("stores", f" sent by tile {source}")
    return (
        f"tile {tile} {verb} {words} words at {place(tile, address, name_of)}{sent} at cycle {event} "
        f"in an SRAM element of its running row ({rows.begin[tile]:#x}..{rows.end[tile] - 1:#x}, look-ahead "
        "included): move the variable up, or the code down, by an element"
    )


def conflict_message(send: I64, block: I64, event: int, name_of: Namer | None) -> str:
    """What is wrong if at an event a send (event, address, items, sctl) reads the element that a block is stored to."""
    tile = int(block[DEST])
    read = int(send[1]) + (8 if send[3] & WIDE else 4) * (event - int(send[0]))
    written = int(block[TO]) + 4 * int(block[PER_EVENT]) * (event - int(block[STORED_AT]))
    return (
        f"tile {tile} reads {place(tile, read, name_of)} for a send and stores the word of tile "
        f"{block[SOURCE]} to {place(tile, written, name_of)} at cycle {event}, in one SRAM "
        "element: keep the two variables in different elements (Graph.separate)"
    )

"""Decoded pages of code, shared by all tiles that hold the same words at any place, found by their content."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from tile_emu.jit import jit
from tile_emu.tile.decode import decode_page, decode_tables
from tile_emu.tile.layout import DECODED_FIELDS, PAGE_WORDS

_CONTENT = PAGE_WORDS + 2  # a page's words, the one behind it (second half of a bundle), and the mode
_FIELDS = PAGE_WORDS * DECODED_FIELDS
_LEAST_PAGES = 64
_EMPTY = -1


class DecodePool:
    """Decoded pages: ``rows`` int32[slots * PAGE_WORDS * DECODED_FIELDS]. A slot never moves and never changes."""

    def __init__(self, architecture: str) -> None:
        self.tables = decode_tables(architecture)
        self.rows = np.zeros(0, np.int32)
        self._content = np.zeros((0, _CONTENT), np.uint32)  # by slot
        self._table = np.zeros(0, np.int32)  # slots by hash of their content, open addressing
        self._used = 0
        self._lock = threading.Lock()

    def fill(
        self,
        pages: NDArray[np.int32],
        words: NDArray[np.uint32],
        tiles: NDArray[np.int64],
        modes: NDArray[np.int64],
        numbers: NDArray[np.int64],
    ) -> None:
        """Enter the slots of some pages of some tiles that have none into ``pages`` int32[tiles, modes, pages].

        words: uint32[tiles, n], the executable ones; tiles, modes and numbers: int64[k], a page each. What is not
        known yet is decoded. Safe from several threads.
        """
        with self._lock, np.errstate(over="ignore"):  # the hash wraps; only speaks up when the JIT is off
            self._reserve(self._used + len(tiles))
            self._used = _fill(
                self.tables, self.rows, self._content, self._table, self._used, pages, words, tiles, modes, numbers
            )

    def _reserve(self, slots: int) -> None:
        """Room for so many slots; threads that run go on with the arrays they have, which stay as they are."""
        if slots <= len(self._content):
            return
        capacity = max(2 * len(self._content), slots, _LEAST_PAGES)
        rows, content = np.zeros(capacity * _FIELDS, np.int32), np.zeros((capacity, _CONTENT), np.uint32)
        rows[: len(self.rows)], content[: len(self._content)] = self.rows, self._content
        table = np.full(1 << (2 * capacity).bit_length(), _EMPTY, np.int32)
        _rehash(content, self._used, table)
        self.rows, self._content, self._table = rows, content, table


@jit(leaf=True)
def _place(content, table):
    """Where in the table the search for some content begins."""
    value = np.uint64(14695981039346656037)
    for i in range(len(content)):
        value = (value ^ np.uint64(content[i])) * np.uint64(1099511628211)
        value ^= value >> np.uint64(29)
    return np.int64(value & np.uint64(len(table) - 1))


@jit(leaf=True)
def _same(first, second):
    for i in range(len(first)):
        if first[i] != second[i]:
            return False
    return True


@jit(leaf=True)
def _rehash(content, used, table):
    """Enter all slots into an empty table."""
    for slot in range(used):
        place = _place(content[slot], table)
        while table[place] != _EMPTY:
            place = (place + 1) & (len(table) - 1)
        table[place] = slot


@jit(leaf=True)
def _fill(tables, rows, content, table, used, pages, words, tiles, modes, numbers):
    """See DecodePool.fill; the new number of slots."""
    for k in range(len(tiles)):
        tile, mode, number = tiles[k], modes[k], numbers[k]
        if pages[tile, mode, number] >= 0:
            continue
        first = number * PAGE_WORDS
        wanted = content[used]
        for i in range(PAGE_WORDS + 1):
            wanted[i] = words[tile, first + i] if first + i < words.shape[1] else 0
        wanted[PAGE_WORDS + 1] = mode
        place = _place(wanted, table)
        while table[place] != _EMPTY and not _same(content[table[place]], wanted):
            place = (place + 1) & (len(table) - 1)
        if table[place] == _EMPTY:
            decode_page(tables, mode, words[tile], first, rows, used)
            table[place] = used
            used += 1
        pages[tile, mode, number] = table[place]
    return used

"""Words stored against words intended, and the message when they differ.

Whether they are the same is found out tile by tile (``as_intended``); only if not, all words are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import numpy as np

from tile_emu.chips import Chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange.check import ADDRESS_BITS
from tile_emu.exchange.fabric import direction, mux_offset, store_offset
from tile_emu.exchange.marks import forget, mark
from tile_emu.exchange.transfers import I64, Transfers
from tile_emu.jit import jit

_ADDRESS = (1 << ADDRESS_BITS) - 1


@dataclass(frozen=True, eq=False)
class Words:
    """Runs of words, sorted by ``to``; ``to`` and ``source`` are keys tile << 24 | byte address."""

    to: I64
    source: I64
    words: I64
    label: I64  # block number or transfer number

    @classmethod
    def of_transfers(cls, t: Transfers) -> Words:
        """What is intended."""
        owner = t.owner
        to = (t.dest_tile.astype(np.int64) << ADDRESS_BITS) + t.dest_address
        source = (t.source_tile.astype(np.int64) << ADDRESS_BITS) + t.source_address
        order = np.argsort(to, kind="stable")
        owner = owner[order]
        return Words(to[order], source[owner], t.words[owner].astype(np.int64), owner.astype(np.int64))

    def longest_runs(self) -> tuple[I64, I64, I64]:
        """The same words as (to, source, words) in runs that are as long as they can be, which makes them unique."""
        joined = np.zeros(self.to.size, dtype=bool)
        step = 4 * self.words[:-1]
        joined[1:] = (self.to[1:] - self.to[:-1] == step) & (self.source[1:] - self.source[:-1] == step)
        head = np.nonzero(~joined)[0]
        words = np.add.reduceat(self.words, head) if head.size else self.words
        return self.to[head], self.source[head], words

    def expanded(self) -> tuple[I64, I64, I64]:
        """Per word: to, source, label."""
        inside = 4 * (np.arange(int(self.words.sum())) - np.repeat(np.cumsum(self.words) - self.words, self.words))
        to, source, label = (np.repeat(column, self.words) for column in (self.to, self.source, self.label))
        return to + inside, source + inside, label


@dataclass(frozen=True, eq=False)
class BlockWords(Words):
    """Words stored; events and words per event by block number."""

    sent_at: I64
    stored_at: I64
    per_event: I64

    @classmethod
    def of_blocks(cls, block: I64) -> BlockWords:
        """From the block table of arrivals.py, as int64."""
        to = (block[0] << ADDRESS_BITS) + block[1]
        order = np.argsort(to, kind="stable")
        source = (block[3] << ADDRESS_BITS) + block[4]
        return cls(to[order], source[order], block[2][order], order, *block[5:8])


class Wanted(NamedTuple):
    """What is intended, for the kernel: the longest runs of words (to, source, words), those of tile t are
    bounds[t]:bounds[t + 1]; no bounds if nothing is known."""

    to: I64
    source: I64
    words: I64
    bounds: I64

    @classmethod
    def of(cls, intended: Transfers | None, tiles: int) -> Wanted:
        """From the transfers of an exchange."""
        if intended is None:
            return cls(*(np.zeros(0, np.int64) for _ in range(4)))
        to, source, words = Words.of_transfers(intended).longest_runs()
        return cls(to, source, words, np.searchsorted(to, np.arange(tiles + 1) << ADDRESS_BITS))


@jit(inline=True)
def as_intended(tile, block, lo, hi, wanted, base, bits):  # type: ignore[no-untyped-def]
    """Whether the blocks lo..hi, all that a tile stores, are what is wanted there: all of it, each word once.

    They mark their words in ``bits`` (marks.py); none is marked before.
    """
    known = len(wanted.bounds) != 0
    run, end = (wanted.bounds[tile], wanted.bounds[tile + 1]) if known else (0, 0)
    due = np.int64(0)
    for r in range(run, end):
        due += wanted.words[r]
    odd = 0  # blocks that are not wanted, or stored over
    for b in range(lo, hi):
        words = np.int64(block[2, b])
        odd += mark(bits, (block[1, b] - base) >> 2, words)
        due -= words
        to = (np.int64(tile) << ADDRESS_BITS) + block[1, b]
        source = (np.int64(block[3, b]) << ADDRESS_BITS) + block[4, b]
        if known:
            run = _run_at(wanted, run, end, wanted.bounds[tile], to)
            inside = to - wanted.to[run] if run < end else np.int64(0)
            if run == end or inside + 4 * words > 4 * wanted.words[run] or wanted.source[run] + inside != source:
                odd += 1
    return not known or (odd == 0 and due == 0)


@jit(inline=True)
def _run_at(wanted, run, end, first, to):  # type: ignore[no-untyped-def]
    """Last run of first..end that begins at ``to`` or before, ``run`` being a guess; ``end`` if there is none."""
    if run < end and wanted.to[run] <= to and (run + 1 == end or to < wanted.to[run + 1]):
        return run
    lo, hi = first, end
    while lo < hi:
        middle = (lo + hi) >> 1
        if wanted.to[middle] <= to:
            lo = middle + 1
        else:
            hi = middle
    return lo - 1 if lo > first else end


@jit(inline=True)
def unmark(block, lo, hi, base, bits):  # type: ignore[no-untyped-def]
    """Undo the marks that ``as_intended`` made."""
    for b in range(lo, hi):
        forget(bits, (block[1, b] - base) >> 2, block[2, b])


@dataclass(frozen=True, eq=False)
class Sends:
    """Every send run: tile, event, byte address, length in words, words per event, sctl; int64[runs] each."""

    tile: I64
    event: I64
    address: I64
    words: I64
    per_event: I64
    sctl: I64

    @classmethod
    def of_log(cls, bounds: I64, send: I64) -> Sends:
        """From the send lines of a log: int64[4, runs] event, address, items, sctl; bounds int64[tiles + 1]."""
        event, address, items, sctl = send
        per_event = 1 + (sctl >> 2 & 1)
        tile = np.repeat(np.arange(bounds.size - 1), np.diff(bounds))
        return cls(tile, event, address, items * per_event, per_event, sctl)


def explain(
    chip: Chip,
    stored: BlockWords,
    intended: Transfers,
    sends: Sends,
    name_of: Callable[[int, int], str] | None = None,
) -> None:
    """Raise IllegalExchange if the words stored are not exactly those intended.

    ``sends`` is used to say when a missing word passed.
    """
    want = Words.of_transfers(intended)
    pairs = zip(stored.longest_runs(), want.longest_runs(), strict=True)
    if all(np.array_equal(a, b) for a, b in pairs):
        return
    _Report(chip, stored, want, intended, sends, name_of).report()


def _place(key: int) -> str:
    return f"tile {key >> ADDRESS_BITS} {key & _ADDRESS:#x}"


class _Report:
    """Finds the first difference in order of tile and address, word by word; only used once something is wrong."""

    def __init__(
        self,
        chip: Chip,
        stored: BlockWords,
        want: Words,
        intended: Transfers,
        sends: Sends,
        name_of: Callable[[int, int], str] | None,
    ) -> None:
        self.chip, self.stored, self.intended, self.sends = chip, stored, intended, sends
        self.name_of = name_of
        got = stored.expanded()
        order = np.argsort(got[0], kind="stable")
        self.got_to, self.got_from, self.got_block = (column[order] for column in got)
        self.want_to, self.want_from, self.want_transfer = want.expanded()

    def report(self) -> NoReturn:
        wanted, there = self._match(self.got_to, self.want_to)
        wrong = np.nonzero(wanted & (self.want_from[there] != self.got_from))[0]
        if wrong.size:
            self._wrong(int(wrong[0]), int(there[wrong[0]]))
        arrived, _ = self._match(self.want_to, self.got_to)
        missing = np.nonzero(~arrived)[0]
        if missing.size:
            self._missing(int(missing[0]))
        surplus = np.nonzero(~wanted)[0]
        if surplus.size:
            self._surplus(int(surplus[0]), "where nothing is to be stored")
        twice = np.nonzero(self.got_to[1:] == self.got_to[:-1])[0]
        if twice.size:
            self._surplus(int(twice[0]) + 1, "a second time")
        raise IllegalExchange("the intended transfers overlap at a receiver")

    @staticmethod
    def _match(keys: I64, table: I64) -> tuple[I64, I64]:
        """Whether each key is in the sorted table, and where."""
        if not table.size:
            return np.zeros(keys.size, dtype=np.bool_), np.zeros(keys.size, dtype=np.int64)
        at = np.minimum(np.searchsorted(table, keys), table.size - 1)
        return table[at] == keys, at

    def _label(self, key: int) -> str:
        name = self.name_of(key >> ADDRESS_BITS, key & _ADDRESS) if self.name_of else ""
        return f" ({name})" if name else ""

    def _events(self, k: int) -> str:
        """Which word stored word k is and when it passed."""
        b = int(self.got_block[k])
        first = int(np.nonzero(self.stored.label == b)[0][0])
        inside = int((self.got_to[k] - self.stored.to[first]) // (4 * self.stored.per_event[b]))
        to, source = int(self.got_to[k]), int(self.got_from[k])
        return (
            f"{_place(to)}{self._label(to)} got at cycle {self.stored.stored_at[b] + inside} the word that "
            f"{_place(source)}{self._label(source)} sent at cycle {self.stored.sent_at[b] + inside}"
        )

    def _wrong(self, k: int, w: int) -> NoReturn:
        name = self.intended.name(int(self.want_transfer[w]))
        meant = _place(int(self.want_from[w]))
        raise IllegalExchange(f"'{name}': {self._events(k)}; it should hold the word of {meant}")

    def _surplus(self, k: int, how: str) -> NoReturn:
        source = int(self.got_from[k])
        t = self.intended
        begin = (t.source_tile.astype(np.int64) << ADDRESS_BITS) + t.source_address
        of = np.nonzero((begin <= source) & (source < begin + 4 * t.words.astype(np.int64)))[0]
        name = f"'{t.name(int(of[0]))}': " if of.size else ""
        raise IllegalExchange(f"{name}{self._events(k)}, {how}")

    def _missing(self, w: int) -> NoReturn:
        to, source = int(self.want_to[w]), int(self.want_from[w])
        name = self.intended.name(int(self.want_transfer[w]))
        s, d = source >> ADDRESS_BITS, to >> ADDRESS_BITS
        astray = np.nonzero((self.got_from == source) & (self.got_to >> ADDRESS_BITS == d))[0]
        if astray.size:
            raise IllegalExchange(f"'{name}': {self._events(int(astray[0]))}, which belongs to {_place(to)}")
        address = source & _ADDRESS
        sends = self.sends
        inside = (sends.address <= address) & (address < sends.address + 4 * sends.words)
        run = np.nonzero((sends.tile == s) & inside & (sends.sctl & 3 != 0))[0]
        what = f"'{name}': nothing came for {_place(to)}{self._label(to)}, which waits for the word of {_place(source)}"
        if not run.size:
            raise IllegalExchange(f"{what}: tile {s} never sends it")
        r = int(run[0])
        at = int(sends.event[r] + (address - sends.address[r]) // (4 * sends.per_event[r]))
        passes = f"tile {s} sends it at cycle {at}, it passes tile {d} at cycle {at + mux_offset(self.chip, s, d)}"
        if not int(sends.sctl[r]) & direction(self.chip, s, d):
            raise IllegalExchange(f"{what}: {passes}, but not in the direction of tile {d} (sctl {sends.sctl[r]})")
        stored = at + store_offset(self.chip, s, d)
        raise IllegalExchange(f"{what}: {passes} and would be stored at cycle {stored}, but the mux is elsewhere")

"""The copies of one exchange as multicast transfers, structure of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import IllegalExchange
from tile_emu.jit import jit

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Transfers:
    """n multicasts with m destinations in all; addresses in bytes (multiples of 4), lengths in 32-bit words.

    Transfer i is read once from ``source_tile[i]`` at ``source_address[i]`` and stored at every destination
    ``j in dest_start[i]:dest_start[i + 1]``; no two of these are on one tile.
    """

    source_tile: I32
    source_address: I32
    words: I32
    dest_start: I64
    dest_tile: I32
    dest_address: I32
    name_index: I32
    names: tuple[str, ...] = ("",)

    def __len__(self) -> int:
        return int(self.source_tile.size)

    @property
    def owner(self) -> I32:
        """Transfer that each destination belongs to: int32[m]."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.dest_start))

    def name(self, i: int) -> str:
        """Name of transfer i for messages; never empty."""
        return self.names[int(self.name_index[i])] or f"transfer {i}"

    @classmethod
    def merge(
        cls,
        source_tile: Any,
        source_address: Any,
        nbytes: Any,
        dest_tile: Any,
        dest_address: Any,
        name_index: Any = 0,
        names: Sequence[str] = ("",),
    ) -> Transfers:
        """Build transfers from flat fragments (arrays broadcast together; one fragment = one source, one destination).

        Identical source ranges become one multicast, then transfers that adjoin at the source and at every destination
        become one. A copy given twice counts once; a range wanted twice on one tile at different addresses is sent
        twice. Raises IllegalExchange if an address or a length is no multiple of 4.
        """
        columns = np.broadcast_arrays(source_tile, source_address, nbytes, dest_tile, dest_address, name_index)
        flat = np.stack([np.ravel(column).astype(np.int64) for column in columns])
        _check_alignment(flat, names)
        flat[2] //= 4
        flat = flat[:, flat[2] > 0]
        return _join(_multicast(flat, tuple(names)))

    @classmethod
    def empty(cls) -> Transfers:
        """No transfer at all."""
        none = np.zeros(0, dtype=np.int32)
        return cls(none, none, none, np.zeros(1, dtype=np.int64), none, none, none)

    def cut(
        self, parent: I64, first: I64, words: I64, keep: Callable[[I64, I64], NDArray[np.bool_]] | None = None
    ) -> Transfers:
        """Piece k is ``words[k]`` words of transfer ``parent[k]`` from its word ``first[k]`` on.

        ``keep(k, j)`` says (elementwise) whether piece k goes to destination j of its transfer; default: to all.
        """
        fan = np.diff(self.dest_start)[parent]
        start = np.cumsum(fan) - fan
        piece = np.repeat(np.arange(parent.size), fan)
        j = self.dest_start[parent][piece] + np.arange(piece.size) - start[piece]
        if keep is not None:
            kept = keep(piece, j)
            piece, j = piece[kept], j[kept]
        fan = np.bincount(piece, minlength=parent.size)
        return Transfers(
            self.source_tile[parent],
            (self.source_address[parent] + 4 * first).astype(np.int32),
            words.astype(np.int32),
            np.concatenate([[0], np.cumsum(fan)]).astype(np.int64),
            self.dest_tile[j],
            (self.dest_address[j] + 4 * first[piece]).astype(np.int32),
            self.name_index[parent],
            self.names,
        )


def _check_alignment(flat: I64, names: Sequence[str]) -> None:
    bad = np.nonzero((flat[1] | flat[2] | flat[4]) & 3)[0]
    if bad.size:
        s, address, nbytes, d, to, name = (int(v) for v in flat[:, bad[0]])
        raise IllegalExchange(
            f"copy '{names[name]}': {nbytes} bytes from tile {s} {address:#x} to tile {d} {to:#x}: exchange moves "
            "32-bit words, addresses and lengths must be multiples of 4"
        )


def _starts(new: NDArray[np.bool_]) -> I64:
    """Bounds of runs from a flag per element that says where a run begins: int64[runs + 1]."""
    return np.concatenate([np.nonzero(new)[0], [new.size]]).astype(np.int64)


def _changes(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """True where any sorted column differs from the element before; True for the first."""
    new = np.zeros(columns[0].size, dtype=bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _sorted(*columns: I64) -> I64:
    """Order by the first column, then by the second, and so on. Columns that fit share one number: fewer sorts."""
    keys: list[I64] = []
    room = 0
    for column in columns:
        least = column.min(initial=0)
        bits = int(column.max(initial=0) - least).bit_length()
        if keys and bits <= room:
            keys[-1] = (keys[-1] << bits) | (column - least)
            room -= bits
        else:
            keys.append(column - least)
            room = 63 - bits
    return np.lexsort(keys[::-1])


def _multicast(flat: I64, names: tuple[str, ...]) -> Transfers:
    """Group fragments of identical source range; a tile named k times in a group goes to k transfers."""
    s, a, w, d, to, name = flat
    flat = flat[:, _sorted(s, a, w, d, to, name)]
    flat = flat[:, _changes(*flat[:5])]
    s, a, w, d, to, name = flat
    place = np.arange(s.size)
    repeat = place - np.maximum.accumulate(np.where(_changes(s, a, w, d), place, 0))
    order = _sorted(s, a, w, repeat, d) if repeat.any() else place
    s, a, w, d, to, name = flat[:, order].astype(np.int32)
    start = _starts(_changes(s, a, w, repeat[order]))
    head = start[:-1]
    return Transfers(s[head], a[head], w[head], start, d, to, name[head], names)


def mixed(values: NDArray[Any]) -> NDArray[np.uint64]:
    """A 64-bit hash of every value (the finisher of splitmix64)."""
    h = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ h >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ h >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return h ^ h >> np.uint64(31)


@jit(leaf=True)
def _same_destinations(start, dest_tile, shift, i, k):  # type: ignore[no-untyped-def]
    if start[i + 1] - start[i] != start[k + 1] - start[k]:
        return False
    for j in range(start[i + 1] - start[i]):
        p, q = start[i] + j, start[k] + j
        if dest_tile[p] != dest_tile[q] or shift[p] != shift[q]:
            return False
    return True


@jit(leaf=True)
def _join_flags(order, source, address, words, start, dest_tile, shift, joined):  # type: ignore[no-untyped-def]
    """Flag each transfer, in ``order``, that continues the one before it."""
    for o in range(1, order.size):
        i, k = order[o - 1], order[o]
        if source[i] == source[k] and address[i] + 4 * words[i] == address[k]:
            joined[o] = _same_destinations(start, dest_tile, shift, i, k)


def _join(t: Transfers) -> Transfers:
    """Merge transfers that adjoin at the source and at every destination."""
    if len(t) < 2:
        return t
    shift = t.dest_address - t.source_address[t.owner]
    destinations = mixed((t.dest_tile.astype(np.int64) << 32) + shift)
    key = np.add.reduceat(destinations, t.dest_start[:-1])
    order = np.lexsort((t.source_address, key, t.source_tile))
    joined = np.zeros(len(t), dtype=np.bool_)
    _join_flags(order, t.source_tile, t.source_address, t.words, t.dest_start, t.dest_tile, shift, joined)
    head = order[~joined]
    words = np.add.reduceat(t.words[order], np.nonzero(~joined)[0])
    back = np.argsort(head)  # keep the order by source tile and address
    return t.cut(head[back], 0 * back, words[back].astype(np.int64))

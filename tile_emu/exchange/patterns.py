"""Named traffic patterns: which bytes of which tile go where, for any number of tiles and bytes per tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import UsageError

I64 = NDArray[np.int64]

WORD = 4  # bytes; the fabric carries whole words
PIECES = 16  # of a tile's bytes in the random pattern


@dataclass(frozen=True, eq=False)
class Copies:
    """n copies from the tiles' outgoing areas to their incoming areas: i64[n], offsets and sizes in bytes."""

    source_tile: I64
    source_offset: I64
    dest_tile: I64
    dest_offset: I64
    nbytes: I64

    def area_bytes(self, tiles: int) -> tuple[I64, I64]:
        """Bytes of the outgoing and of the incoming area of every tile: i64[tiles] each."""
        areas = []
        for tile, offset in ((self.source_tile, self.source_offset), (self.dest_tile, self.dest_offset)):
            size = np.zeros(tiles, np.int64)
            np.maximum.at(size, tile, offset + self.nbytes)
            areas.append(size)
        return areas[0], areas[1]


@dataclass(frozen=True)
class Pattern:
    """One kind of traffic. ``copies(tiles, words, generator)`` makes it; ``summary`` says what N bytes per tile are."""

    name: str
    summary: str
    copies: Callable[[int, int, np.random.Generator], Copies]


def _copies(source_tile: I64, source_offset: I64, dest_tile: I64, dest_offset: I64, nbytes: I64 | int) -> Copies:
    columns = np.broadcast_arrays(source_tile, source_offset, dest_tile, dest_offset, nbytes)
    flat = [np.ascontiguousarray(column, np.int64).reshape(-1) for column in columns]
    kept = flat[4] > 0
    return Copies(*(column[kept] for column in flat))


def _p2p(tiles: int, words: int, _: np.random.Generator) -> Copies:
    tile, zero = np.arange(tiles), np.zeros(1, np.int64)
    return _copies(tile, zero, (tile + tiles // 2) % tiles, zero, WORD * words)


def _broadcast(tiles: int, words: int, _: np.random.Generator) -> Copies:
    zero = np.zeros(1, np.int64)
    return _copies(zero, zero, np.arange(tiles), zero, WORD * words)


def _gather(tiles: int, words: int, _: np.random.Generator) -> Copies:
    others, zero = np.arange(1, tiles), np.zeros(1, np.int64)
    return _copies(others, zero, zero, WORD * words * (others - 1), WORD * words)


def _scatter(tiles: int, words: int, _: np.random.Generator) -> Copies:
    others, zero = np.arange(1, tiles), np.zeros(1, np.int64)
    return _copies(zero, WORD * words * (others - 1), others, zero, WORD * words)


def _all_to_all(tiles: int, words: int, _: np.random.Generator) -> Copies:
    """Tile t sends share d - 1 of its words to tile t + d, so that every tile receives as much as it sends."""
    if words < tiles - 1:
        raise UsageError(
            f"all-to-all among {tiles} tiles needs at least one word for each of the others: "
            f"{WORD * (tiles - 1)} bytes per tile"
        )
    cut = WORD * (np.arange(tiles) * words // (tiles - 1))
    tile = np.arange(tiles)[:, None]
    distance = np.arange(1, tiles)
    return _copies(tile, cut[:-1], (tile + distance) % tiles, cut[:-1], np.diff(cut))


def _random(tiles: int, words: int, generator: np.random.Generator) -> Copies:
    """Each piece of the area goes round a random ring of all tiles: nobody sends to itself, the load is even."""
    pieces = min(PIECES, words)
    cut = WORD * (np.arange(pieces + 1) * words // pieces)
    ring = np.stack([generator.permutation(tiles) for _ in range(pieces)])
    return _copies(ring, cut[:-1, None], np.roll(ring, -1, axis=1), cut[:-1, None], np.diff(cut)[:, None])


def _transpose(tiles: int, words: int, _: np.random.Generator) -> Copies:
    """Words of the matrix [tiles][words], a row on each tile, to its transpose, again spread evenly in order."""
    place = np.arange(tiles * words)  # in the transpose, row after row
    column, row = np.divmod(place, tiles)
    dest, at = np.divmod(place, words)
    moves = row != dest  # a word that stays on its tile is no business of the fabric
    return _copies(row[moves], WORD * column[moves], dest[moves], WORD * at[moves], WORD)


PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern("p2p", "every tile sends N bytes to the tile half way round", _p2p),
        Pattern("broadcast", "tile 0 sends the same N bytes to every tile, itself included", _broadcast),
        Pattern("gather", "every other tile sends N bytes to tile 0", _gather),
        Pattern("scatter", "tile 0 sends N bytes of their own to every other tile", _scatter),
        Pattern("all-to-all", "every tile divides N bytes among all others", _all_to_all),
        Pattern("random", f"every tile sends N bytes in {PIECES} pieces to random tiles, load even", _random),
        Pattern("transpose", "N bytes per tile: a matrix of 32-bit words, a row on each tile, transposed", _transpose),
    )
}


def pattern_copies(name: str, tiles: int, nbytes: int, seed: int = 0) -> Copies:
    """The copies of a pattern for ``nbytes`` per tile. Deterministic. Raises UsageError for what cannot be."""
    if name not in PATTERNS:
        raise UsageError(f"unknown pattern '{name}': choose one of {', '.join(PATTERNS)}")
    if tiles < 2:
        raise UsageError(f"an exchange among {tiles} tiles: at least 2 are needed")
    if nbytes < WORD or nbytes % WORD:
        raise UsageError(f"{nbytes} bytes per tile: a positive multiple of {WORD} is needed, the fabric carries words")
    return PATTERNS[name].copies(tiles, nbytes // WORD, np.random.default_rng(seed))

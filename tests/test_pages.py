"""Decoded pages are found by their content: the same words share a slot, and anything else does not."""

from __future__ import annotations

import numpy as np
import pytest

from tile_emu.tile.decode import SUPERVISOR_MODE, WORKER_MODE, decode_page, decode_tables
from tile_emu.tile.layout import DECODED_FIELDS, PAGE_WORDS
from tile_emu.tile.pages import DecodePool

PAGES = 4
TILES = 300  # more than a pool begins with


@pytest.fixture
def words() -> np.ndarray:
    """Tiles 0..99 hold one program, 100..199 another, the others each its own; the last word of a page differs."""
    rng = np.random.default_rng(5)
    words = np.tile(rng.integers(0, 1 << 32, PAGES * PAGE_WORDS, dtype=np.uint32), (TILES, 1))
    words[100:200, PAGE_WORDS - 1] ^= 1
    words[200:, 3 * PAGE_WORDS - 1] = np.arange(100)
    return words


def slots(pool: DecodePool, words: np.ndarray, mode: int) -> np.ndarray:
    """int32[TILES, PAGES], asked for in a random order."""
    pages = np.full((TILES, 2, PAGES), -1, np.int32)
    tile, number = np.divmod(np.random.default_rng(mode).permutation(TILES * PAGES), PAGES)
    for part in np.array_split(np.arange(TILES * PAGES), 7):
        pool.fill(pages, words, tile[part], np.full(len(part), mode), number[part])
    assert (pages[:, 1 - mode] == -1).all()
    return pages[:, mode]


def test_slots(words: np.ndarray) -> None:
    pool = DecodePool("ipu21")
    found = slots(pool, words, WORKER_MODE)
    assert len(set(found[:100, 0])) == len(set(found[100:200, 0])) == 1 and found[0, 0] != found[100, 0]
    assert len(set(found[:200, 1])) == len(set(found[:, 3])) == 1
    assert len(set(found[200:, 2])) == 100
    # The page before one that begins with another word: its last bundle has another second half.
    assert len(set(found[:, 0])) == 2 and len(set(np.concatenate([found.reshape(-1)]))) == 2 + 1 + 101 + 1
    supervisor = slots(pool, words, SUPERVISOR_MODE)
    assert not set(supervisor.reshape(-1)) & set(found.reshape(-1))
    assert np.array_equal(slots(pool, words, WORKER_MODE), found)


def test_rows_are_those_of_the_page(words: np.ndarray) -> None:
    pool = DecodePool("ipu21")
    found = slots(pool, words, WORKER_MODE)
    size = PAGE_WORDS * DECODED_FIELDS
    for tile, page in ((0, 0), (150, 0), (250, 2), (299, 2), (299, 3)):
        rows = np.zeros(size, np.int32)
        decode_page(decode_tables("ipu21"), WORKER_MODE, words[tile], page * PAGE_WORDS, rows, 0)
        slot = int(found[tile, page])
        assert np.array_equal(pool.rows[slot * size : (slot + 1) * size], rows)

"""Emitted rows on the real interpreter: the words arrive, and the log is what the plain decoder reads from the row."""

from __future__ import annotations

import numpy as np
import pytest

from tests import exchange_oracle as oracle
from tile_emu.chips import load_chip
from tile_emu.graph import Graph, Image, Pointer
from tile_emu.machine import Machine
from tile_emu.tile import layout

BOW = load_chip("bow")
TILES, SLOTS, SLOT_WORDS = 24, 24, 40


def random_exchange(rng: np.random.Generator) -> tuple[Image, np.ndarray, np.ndarray]:
    """Every tile fills its slots from random slots of others: unicasts and multicasts of 1..40 words."""
    graph = Graph(BOW, TILES)
    shape, tiles = (TILES, SLOTS * SLOT_WORDS), np.arange(TILES)
    nbytes = np.full(TILES, 4 * SLOTS * SLOT_WORDS)
    source, dest = graph.variable("source", tiles, nbytes), graph.variable("dest", tiles, nbytes)
    graph.tensor("a", shape, np.dtype(np.uint32), source)
    graph.tensor("b", shape, np.dtype(np.uint32), dest)
    phase = graph.exchange("mixed")
    a = rng.integers(0, 2**32, shape, dtype=np.uint32)
    b = np.zeros(shape, np.uint32)
    for d in range(TILES):
        for slot in range(SLOTS):
            s, taken, words = int(rng.integers(TILES)), SLOT_WORDS * int(rng.integers(4)), int(rng.choice([1, 7, 40]))
            if s != d:
                phase.copy(Pointer(source, s, 4 * taken), Pointer(dest, d, 4 * SLOT_WORDS * slot), 4 * words)
                b[d, SLOT_WORDS * slot :][:words] = a[s, taken : taken + words]
    return graph.lower(), a, b


def row_words(image: Image, tile: int) -> list[int]:
    """The row of a tile, found in its code by the return at its end."""
    address = int(image.memory_map.row_address[0, tile])
    k = int(np.flatnonzero((image.segment_tile == tile) & (image.segment_address <= address))[-1])
    words = image.segment_words[image.segment_start[k] : image.segment_start[k + 1]]
    words = words[(address - int(image.segment_address[k])) // 4 :].tolist()
    end = 0
    while words[end] != 0x43A00000:
        end += 2 if words[end] >> 28 == 0xF else 1
    return words[: end + 1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_exchange_on_a_machine(seed):
    image, a, b = random_exchange(np.random.default_rng(seed))
    machine = Machine("bow", tiles=TILES)
    machine.load(image)
    machine.write_tensor("a", a)
    machine.write_tensor("b", np.zeros_like(b))
    record = machine.run()
    assert np.array_equal(machine.read_tensor("b"), b)
    again = machine.run()  # with all code decoded already
    assert np.array_equal(again.row_end - again.release[:, None], record.row_end - record.release[:, None])
    transfers = image.exchanges[0][1]
    assert record.received.sum() == transfers.words[transfers.owner].sum()
    rows = [oracle.log_of(row_words(image, tile)) for tile in range(TILES)]
    for tile, lines in enumerate(rows):
        assert record.sent[0, tile] == sum(n * (2 if sctl & 4 else 1) for kind, _, _, n, sctl in lines if kind == 1)

    arrays = machine.arrays
    for tile in range(TILES):
        count = arrays.sup[tile, layout.LOG_COUNT]
        got = sorted(arrays.log[tile, :count].tolist(), key=lambda line: (line[1], line[0]))
        wanted = sorted(rows[tile], key=lambda line: (line[1], line[0]))
        first = got[0][1] - wanted[0][1]  # call into the row: the same on every tile
        assert first == arrays.log[0, 0, 1] - rows[0][0][1]
        for mine, theirs in zip(got, wanted, strict=True):
            columns = slice(0, 5) if mine[0] == 1 else slice(0, 3)
            assert [mine[0], mine[1] - first, *mine[2:5]][columns] == theirs[columns]

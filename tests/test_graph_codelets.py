"""The graph's copy codelets against NumPy, their cycles against their formulas."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tile_emu.asm import Code, assemble
from tile_emu.chips import load_chip
from tile_emu.graph.codelets import BLOCK, COPY, FAR, MERGE, NEAR, SCATTER, TRANSPOSE, WORKERS, LocalCodelet
from tile_emu.tile import Tile

CHIPS = ("bow", "gc2")
BLOCKS = (1, 5, 6, 13, 60)
GATHERS = [(unit, far) for unit in (1, 2, 4, 8) for far in (False, True)]


@functools.cache
def code(codelet: LocalCodelet, chip: str) -> Code:
    return assemble(codelet.codelet.source, chip=chip)


class Bench:
    """One tile with source, table and destination in SRAM elements of their own."""

    def __init__(self, codelet: LocalCodelet, chip: str) -> None:
        self.local, self.chip = codelet, load_chip(chip)
        memory = self.chip.memory
        self.tile = Tile(chip)
        self.tile.load(code(codelet, chip))
        self.state, self.table, self.mask = (memory.base + n * memory.element_bytes for n in (1, 2, 3))
        self.dest = memory.base + 4 * memory.element_bytes
        self.source = memory.interleaved_base

    def run(self, blocks: int, per_block: dict[str, int], **fields: int) -> None:
        """Divide the blocks, run, compare the cycles. ``per_block``: bytes by which a field moves on for each block."""
        words: list[int] = []
        for worker in range(WORKERS):
            first, last = blocks * worker // WORKERS, blocks * (worker + 1) // WORKERS
            for name in self.local.codelet.fields[: len(self.local.codelet.fields) // WORKERS]:
                field = name[:-1]
                words.append(last - first if field == "blocks" else fields[field] + first * per_block.get(field, 0))
        self.tile.write(self.state, np.array(words, np.uint32))
        run = self.tile.run_supervisor(self.local.codelet.entry, {0: self.state})
        predicted = self.local.cycles(self.chip, blocks)
        # The formula has the busiest worker in the last slot to be given out; with equal shares there is one.
        assert 0 <= predicted - run.cycles <= (0 if blocks % WORKERS == 0 else 5)
        shares = np.diff(blocks * np.arange(WORKERS + 1) // WORKERS)
        busy = self.local.base_turns + self.local.block_turns * shares
        assert list(run.turns) == np.where(shares, busy, self.local.idle_turns).tolist()


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize(("unit", "far"), GATHERS)
@pytest.mark.parametrize("chip", CHIPS)
def test_gather(chip: str, unit: int, far: bool, blocks: int) -> None:
    bench = Bench((FAR if far else NEAR)[unit], chip)
    generator = np.random.default_rng(blocks)
    reach = 1 << 16 if far or unit == 1 else (1 << 16) // unit  # units that a table can name
    source = generator.integers(0, 256, min(reach * unit, 120_000) // unit * unit, dtype=np.uint8)
    bench.tile.write(bench.source, source)
    units = source.reshape(-1, unit)
    number = generator.integers(0, len(units), blocks * BLOCK // unit)
    number[-1] = len(units) - 1
    scale = 1 if far else unit
    bench.tile.write(bench.table, (number * scale).astype(np.uint16))
    bench.tile.write(bench.dest, np.full((blocks + 1) * BLOCK, 0x55, np.uint8))
    per_block = {"table": 2 * BLOCK // unit, "dest": BLOCK}
    bench.run(blocks, per_block, source=bench.source, table=bench.table, dest=bench.dest)
    got = bench.tile.read(bench.dest, np.uint8, (blocks + 1) * BLOCK)
    assert np.array_equal(got[:-BLOCK].reshape(-1, unit), units[number])
    assert (got[-BLOCK:] == 0x55).all()


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("chip", CHIPS)
def test_copy(chip: str, blocks: int) -> None:
    bench = Bench(COPY, chip)
    source = np.random.default_rng(blocks).integers(0, 256, blocks * BLOCK, dtype=np.uint8)
    bench.tile.write(bench.source, source)
    bench.tile.write(bench.dest, np.full((blocks + 1) * BLOCK, 0x55, np.uint8))
    bench.run(blocks, {"source": BLOCK, "dest": BLOCK}, source=bench.source, dest=bench.dest)
    got = bench.tile.read(bench.dest, np.uint8, (blocks + 1) * BLOCK)
    assert np.array_equal(got[:-BLOCK], source)
    assert (got[-BLOCK:] == 0x55).all()


@pytest.mark.parametrize("merge", [False, True], ids=["scatter", "merge"])
@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("chip", CHIPS)
def test_scatter_and_merge(chip: str, blocks: int, merge: bool) -> None:
    bench = Bench(MERGE if merge else SCATTER, chip)
    generator = np.random.default_rng(blocks)
    source, mask = generator.integers(0, 256, (2, blocks, BLOCK), dtype=np.uint8)
    before = generator.integers(0, 256, (100, BLOCK), dtype=np.uint8)
    where = generator.permutation(100)[:blocks]
    bench.tile.write(bench.source, source)
    bench.tile.write(bench.mask, mask)
    bench.tile.write(bench.table, where.astype(np.uint16))
    bench.tile.write(bench.dest, before)
    per_block = {"source": BLOCK, "table": 2, "mask": BLOCK}
    bench.run(blocks, per_block, source=bench.source, table=bench.table, dest=bench.dest, mask=bench.mask)
    wanted = before.copy()
    wanted[where] = source & mask | before[where] & ~mask if merge else source
    assert np.array_equal(bench.tile.read(bench.dest, np.uint8, before.size).reshape(before.shape), wanted)


@pytest.mark.parametrize("tiles", BLOCKS)
@pytest.mark.parametrize(("rows", "columns"), [(32, 40), (120, 8)])
@pytest.mark.parametrize("chip", CHIPS)
def test_transpose(chip: str, rows: int, columns: int, tiles: int) -> None:
    """Some 4 x 4 tiles of a matrix of halves; what is not transposed stays. Bit patterns of any kind, NaN included."""
    bench = Bench(TRANSPOSE, chip)
    generator = np.random.default_rng(tiles)
    source = generator.integers(0, 1 << 16, (rows, columns), dtype=np.uint16)
    before = generator.integers(0, 1 << 16, (columns, rows), dtype=np.uint16)
    chosen = generator.permutation(rows * columns // 16)[:tiles]
    row, column = 4 * (chosen // (columns // 4)), 4 * (chosen % (columns // 4))
    table = np.stack([(row * columns + column) // 4, (column * rows + row) // 4], axis=1)
    bench.tile.write(bench.source, source)
    bench.tile.write(bench.table, table.astype(np.uint16))
    bench.tile.write(bench.dest, before)
    pitches = {"source_pitch": 2 * columns, "dest_pitch": 2 * rows}
    bench.run(tiles, {"table": 4}, source=bench.source, table=bench.table, dest=bench.dest, **pitches)
    wanted = before.copy()
    for r, c in zip(row, column, strict=True):
        wanted[c : c + 4, r : r + 4] = source[r : r + 4, c : c + 4].T
    assert np.array_equal(bench.tile.read(bench.dest, np.uint16, before.size).reshape(before.shape), wanted)

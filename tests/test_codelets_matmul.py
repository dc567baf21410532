"""The matmul and reduction codelets against sums worked out by NumPy, their cycles against the planner's formulas."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.codelets import (
    HERE,
    K_GROUP_BYTES,
    UNROLLED,
    WORKERS,
    X_OVERREAD,
    MatmulCodelet,
    copy_codelet,
    matmul_codelet,
    reduce_codelet,
)
from kernels.planner.cost import copy_cycles, matmul_cycles, reduce_cycles
from tile_emu.asm import Code, assemble
from tile_emu.chips import load_chip
from tile_emu.errors import TileFault
from tile_emu.tile import Tile

FAMILIES = [("bow", "f16"), ("gc2", "f16"), ("bow", "f16f32"), ("gc2", "f16f32"), ("bow", "f32"), ("gc2", "f32")]
IN = {"f16": np.float16, "f16f32": np.float16, "f32": np.float32}
OUT = {"f16": np.float16, "f16f32": np.float32, "f32": np.float32}


@functools.cache
def code(name: str, architecture: str, base: int) -> Code:
    return assemble(HERE / f"{name}.S", architecture=architecture, base=base)


@dataclass
class Vertex:
    """One matmul vertex on one tile: operands as integers, placed as the contract of the .S files says."""

    chip: str
    dtype: str
    positions: int
    k_groups: int
    out_groups: int
    gap: int = 0  # bytes between planes of X
    x_at_end: bool = False  # X as high in memory as its over-read allows
    shared_element: bool = False
    x: NDArray[Any] = field(init=False)
    w: NDArray[Any] = field(init=False)
    partials: NDArray[Any] = field(init=False)
    order: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.positions * 100 + self.k_groups)
        c = self.codelet
        depth = self.k_groups * c.inputs
        self.order = random.permutation(self.k_groups)  # of the planes in memory
        self.x = random.integers(-2, 3, (self.positions, depth)).astype(float)
        self.w = random.integers(-2, 3, (self.out_groups * c.outputs, depth)).astype(float)
        self.partials = random.integers(-9, 9, (self.positions, self.out_groups * c.outputs)).astype(float)

    @property
    def codelet(self) -> MatmulCodelet:
        return matmul_codelet(self.dtype, load_chip(self.chip))

    def run(self, acc: bool) -> tuple[NDArray[Any], Any]:
        """C[positions, outputs] and the run."""
        chip, c = load_chip(self.chip), self.codelet
        memory = chip.memory
        tile = Tile(chip)
        tile.load(code(c.name, chip.architecture, memory.base))
        # what an earlier vertex may have left behind
        tile.set_aacc(np.full((6, 32), np.nan, np.float32))
        tile.arf[:, :8] = 0x7FC07E00
        pitch = self.positions * K_GROUP_BYTES + self.gap
        nbytes = pitch * self.k_groups
        low, high = memory.base + 2 * memory.element_bytes, memory.interleaved_base
        out_bytes = self.positions * c.position_bytes
        at_out, at_w = high, high + 4 * memory.element_bytes
        at_x = memory.end - nbytes - X_OVERREAD if self.x_at_end else low
        if self.shared_element:
            at_x = at_out + -(-out_bytes * self.out_groups // 16) * 16
        state = memory.base + memory.element_bytes
        planes = np.zeros((self.k_groups, pitch // np.dtype(IN[self.dtype]).itemsize), IN[self.dtype])
        x = self.x.reshape(self.positions, self.k_groups, c.inputs).transpose(1, 0, 2).reshape(self.k_groups, -1)
        planes[self.order, : x.shape[1]] = x
        tile.write(at_x, planes)
        w = self.w.reshape(self.out_groups, c.outputs, self.k_groups, c.inputs).transpose(0, 2, 1, 3)
        tile.write(at_w, w.astype(IN[self.dtype]))
        before = self.partials if acc else np.full(self.partials.shape, np.nan)
        groups = before.reshape(self.positions, self.out_groups, c.outputs).transpose(1, 0, 2)
        guard = np.full(64, 0x55, np.uint8)
        tile.write(at_out + groups.size * c.out_bytes, guard)
        tile.write(at_out, groups.astype(OUT[self.dtype]))
        tile.write(state, self.state(at_x, at_w, at_out, pitch, out_bytes))
        run = tile.run_supervisor((c.acc if acc else c.zero)(self.k_groups).entry, {0: state})
        got = tile.read(at_out, OUT[self.dtype], groups.size).reshape(groups.shape).transpose(1, 0, 2)
        assert (tile.read(at_out + groups.size * c.out_bytes, np.uint8, 64) == guard).all()
        return got.reshape(self.positions, -1), run

    def state(self, x: int, w: int, out: int, x_pitch: int, out_pitch: int) -> NDArray[np.uint32]:
        c = self.codelet
        words: dict[str, int] = {}
        for worker in range(WORKERS):
            start = self.positions * worker // WORKERS
            n = self.positions * (worker + 1) // WORKERS - start
            words |= {
                f"x{worker}": x + 32 * start + x_pitch * self.order[0],
                f"out{worker}": out + c.position_bytes * start,
                f"tail{worker}": c.position_bytes * n - 8 * c.tail,
                f"wrap{worker}": 1024 - (c.chunks * n - 1),
                f"count{worker}": n - 4,
                f"out_pitch{worker}": out_pitch,
            }
            for plane in range(1, self.k_groups):
                words[f"plane{plane}_{worker}"] = x + 32 * start + x_pitch * self.order[plane]
        later = self.k_groups - 1
        passes = -(-later // UNROLLED)
        entry = (passes * UNROLLED - later) * c.launch_bytes if later else UNROLLED * c.launch_bytes + 4
        words |= {"weights": w, "out_groups": self.out_groups - 1, "rounds": max(passes - 1, 0), "entry": entry}
        return np.array([words[name] for name in c.zero(self.k_groups).fields], np.uint32)


@pytest.mark.parametrize("acc", [False, True], ids=["zero", "acc"])
@pytest.mark.parametrize("shape", [(24, 1, 1), (24, 2, 1), (26, 3, 2), (31, 1, 3), (48, 6, 2), (25, 9, 1), (29, 5, 3)])
@pytest.mark.parametrize(("chip", "dtype"), FAMILIES)
def test_product_of_small_integers(chip: str, dtype: str, shape: tuple[int, int, int], acc: bool) -> None:
    vertex = Vertex(chip, dtype, *shape, gap=8 * (shape[0] % 3))
    got, _ = vertex.run(acc)
    np.testing.assert_array_equal(got, vertex.x @ vertex.w.T + (vertex.partials if acc else 0))


@pytest.mark.parametrize(("chip", "dtype"), FAMILIES)
def test_most_positions_a_worker_takes(chip: str, dtype: str) -> None:
    codelet = matmul_codelet(dtype, load_chip(chip))
    vertex = Vertex(chip, dtype, WORKERS * codelet.max_positions, 2, 1)
    got, _ = vertex.run(False)
    np.testing.assert_array_equal(got, vertex.x @ vertex.w.T)


@pytest.mark.parametrize(("chip", "dtype"), FAMILIES)
def test_over_read_of_x_is_what_the_contract_says(chip: str, dtype: str) -> None:
    vertex = Vertex(chip, dtype, 24, 2, 1, x_at_end=True)
    got, _ = vertex.run(False)
    np.testing.assert_array_equal(got, vertex.x @ vertex.w.T)


def test_x_and_out_in_one_element_conflict() -> None:
    with pytest.raises(TileFault) as caught:
        Vertex("bow", "f16", 24, 1, 1, shared_element=True).run(False)
    assert caught.value.kind == "CONFLICT"


@pytest.mark.parametrize("acc", [False, True], ids=["zero", "acc"])
@pytest.mark.parametrize(("chip", "dtype"), FAMILIES)
def test_cycles_follow_the_formula(chip: str, dtype: str, acc: bool) -> None:
    where = load_chip(chip)
    for shape in ((24, 1, 1), (24, 1, 3), (30, 2, 1), (24, 3, 2), (36, 9, 2), (24, 6, 1), (30, 5, 2)):
        vertex = Vertex(chip, dtype, *shape)
        assert vertex.run(acc)[1].cycles == matmul_cycles(vertex.codelet, where, *shape, acc), shape
    for shape in ((26, 5, 2), (31, 1, 3), (47, 4, 2)):  # six does not divide the positions: never more than predicted
        vertex = Vertex(chip, dtype, *shape)
        predicted, cycles = int(matmul_cycles(vertex.codelet, where, *shape, acc)), vertex.run(acc)[1].cycles
        hidden = 6 * shape[1] * shape[2] + 2 * where.timing.supervisor.taken_branch * shape[2]
        assert 0 <= predicted - cycles <= hidden, shape


def test_rate_of_the_inner_loop() -> None:
    """A launch costs weights + 4 turns per position + 5 turns + 7 cycles: 88 % of 64 MAC per cycle at 128 positions."""
    short, long = (Vertex("bow", "f16", 126, groups, 1).run(False)[1].cycles for groups in (5, 13))
    assert (long - short) / 8 == pytest.approx(32 + 6 * (4 * 21 + 5) + 7 + 11 / 4)


def narrowed_sums(x: NDArray[Any], w: NDArray[Any]) -> NDArray[np.float16]:
    """f16 partial sums: four exact products at a time onto an f32 sum, narrowed to f16 after every 16."""
    partial = np.zeros((len(x), len(w)), np.float16)
    for group in range(0, x.shape[1], 16):
        total = partial.astype(np.float32)
        for first in range(group, group + 16, 4):
            products = x[:, None, first : first + 4].astype(float) * w[None, :, first : first + 4].astype(float)
            total = (total.astype(float) + products.sum(axis=2)).astype(np.float32)
        partial = total.astype(np.float16)
    return partial


@pytest.mark.parametrize("chip", ["bow", "gc2"])
def test_partials_are_narrowed_after_every_16_products(chip: str) -> None:
    vertex = Vertex(chip, "f16", 24, 4, 1)
    random = np.random.default_rng(5)
    vertex.x = random.standard_normal(vertex.x.shape).astype(np.float16)
    vertex.w = random.standard_normal(vertex.w.shape).astype(np.float16)
    got, _ = vertex.run(False)
    np.testing.assert_array_equal(got, narrowed_sums(vertex.x, vertex.w))


@pytest.mark.parametrize(("columns", "rows", "pitch"), [(6, 1, 6), (5, 3, 7), (20, 4, 22), (1, 1, 1), (37, 15, 37)])
@pytest.mark.parametrize("chip", ["bow", "gc2"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_reduction(dtype: Any, chip: str, columns: int, rows: int, pitch: int) -> None:
    where = load_chip(chip)
    memory = where.memory
    size = np.dtype(dtype).itemsize
    reducer = reduce_codelet(size)
    random = np.random.default_rng(columns)
    own = random.integers(-9, 9, columns * 16 // size).astype(dtype)
    received = random.integers(-9, 9, (rows, pitch * 16 // size)).astype(dtype)
    tile = Tile(where)
    tile.load(assemble(reducer.codelet.source, chip=where))
    at_own, at_received, at_out = memory.end - own.nbytes - 16, memory.interleaved_base, memory.base + 0x8000
    tile.write(at_own, own)
    tile.write(at_received, received)
    tile.write(at_out + own.nbytes, np.full(16, 0x55, np.uint8))
    words: list[int] = []
    for worker in range(WORKERS):
        first, last = columns * worker // WORKERS, columns * (worker + 1) // WORKERS
        words += [at_own + 16 * first, at_received + 16 * first, at_out + 16 * first, last - first - 1, pitch]
        words += [rows - 1, 1 - (rows - 1) * pitch]
    tile.write(memory.base + 0x4000, np.array(words, np.int64).astype(np.uint32))
    run = tile.run_supervisor(reducer.codelet.entry, {0: memory.base + 0x4000})
    got = tile.read(at_out, dtype, len(own))
    np.testing.assert_array_equal(got, own + received[:, : len(own)].astype(float).sum(axis=0))
    assert (tile.read(at_out + own.nbytes, np.uint8, 16) == 0x55).all()
    predicted = int(reduce_cycles(reducer, where, own.nbytes, rows))
    assert 0 <= predicted - run.cycles <= (0 if columns % WORKERS == 0 else 6)


def test_reduction_of_halves_rounds_once() -> None:
    """1 + 8 * 2**-12 = 1 + 2**-9; adding f16 by f16 would stay at 1."""
    memory = load_chip("bow").memory
    tile = Tile("bow")
    tile.load(assemble(reduce_codelet(2).codelet.source, chip="bow"))
    tile.write(memory.interleaved_base, np.ones(8, np.float16))
    tile.write(memory.interleaved_base + 0x100, np.full((8, 8), 2.0**-12, np.float16))
    record = [memory.interleaved_base, memory.interleaved_base + 0x100, memory.base + 0x8000, 0, 1, 7, 1 - 7]
    idle = [0, 0, 0, -1, 0, 0, 0]
    tile.write(memory.base + 0x4000, np.array(record + 5 * idle, np.int64).astype(np.uint32))
    tile.run_supervisor("reduce_f16", {0: memory.base + 0x4000})
    np.testing.assert_array_equal(tile.read(memory.base + 0x8000, np.float16, 8), np.float16(1 + 2**-9))


@pytest.mark.parametrize(("rows", "pieces", "gap"), [(1, 12, 0), (3, 6, 16), (5, 32, 48), (2, 3, 8)])
def test_rows_copied_within_a_tile(rows: int, pieces: int, gap: int) -> None:
    """Six workers share every row of 16-byte ``pieces``; nothing else is written; cycles by the formula."""
    where = load_chip("bow")
    memory = where.memory
    source, dest = memory.base + 4 * memory.element_bytes, memory.base + 8 * memory.element_bytes
    pitches = 16 * pieces + 32, 16 * pieces + gap
    tile = Tile(where)
    tile.load(code("copy_rows", where.architecture, memory.base))
    data = np.random.default_rng(rows).integers(0, 256, (rows, pitches[0])).astype(np.uint8)
    tile.write(source, data)
    tile.write(dest, np.full(rows * pitches[1] + 16, 0x55, np.uint8))
    words: list[int] = []
    counts = []
    for worker in range(WORKERS):
        first, last = pieces * worker // WORKERS, pieces * (worker + 1) // WORKERS
        counts.append(last - first)
        words += [source + 16 * first, dest + 16 * first, last - first, rows - 1 if last > first else -1, *pitches]
    tile.write(memory.base + 0x4000, np.array(words, np.int64).astype(np.uint32))
    run = tile.run_supervisor(copy_codelet().entry, {0: memory.base + 0x4000})
    got = tile.read(dest, np.uint8, rows * pitches[1]).reshape(rows, -1)
    np.testing.assert_array_equal(got[:, : 16 * pieces], data[:, : 16 * pieces])
    assert (got[:, 16 * pieces :] == 0x55).all()
    assert (tile.read(dest + rows * pitches[1], np.uint8, 16) == 0x55).all()
    assert 0 <= int(copy_cycles(where, rows, max(counts))) - run.cycles <= (0 if pieces % WORKERS == 0 else 6)

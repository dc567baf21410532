"""Runs one program text on the emulated tile and on the oracle from the same state, and compares what is left."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.naive import MODEL_C, NaiveFault, NaiveTile
from tile_emu.asm import assemble
from tile_emu.errors import TileFault
from tile_emu.tile import Tile

BASE, END = 0x4C000, 0xE8000
FP_STS, FP_ICTL = 0x100, 0x20
TRAPS, NANOO = 7, 1 << 20
SUPERVISOR = 6

#: Seeds of random machine states: one integer is quick to draw, and a failing one reproduces the state.
seeds = st.integers(0, 2**32 - 1)

_WORDS = [0, 1, 2, 3, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1]
# Zeros, ones, subnormals, the ends of the range, infinities, NaNs, the f16 limits and ties, 2**24 and 2**31.
_F32 = [
    0x00000000, 0x80000000, 0x3F800000, 0xBF800000, 0x00000001, 0x807FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF,
    0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0x477FE000, 0x477FEFFF, 0x477FF000, 0xC77FF000, 0x33000000,
    0x33000001, 0x4B800001, 0x4F000000, 0xCF000000, 0x4F800000, 0x3F000000, 0x3FC00000, 0x40200000, 0x38800000,
    0x387FE000,
]  # fmt: skip
_F16 = [
    0, 0x8000, 0x3C00, 0xBC00, 1, 0x8001, 0x3FF, 0x400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0x7C01, 0x3C01, 0x6800,
]  # fmt: skip


def any_word(rng: random.Random) -> int:
    return rng.choice(_WORDS) if rng.random() < 0.4 else rng.getrandbits(32)


def any_f32(rng: random.Random) -> int:
    """An f32 pattern: special, near 1, or anything."""
    draw = rng.random()
    if draw < 0.3:
        return rng.choice(_F32)
    exponent = rng.randint(100, 150) if draw < 0.8 else rng.randint(0, 255)
    return rng.getrandbits(1) << 31 | exponent << 23 | rng.getrandbits(23)


def any_f16(rng: random.Random) -> int:
    draw = rng.random()
    if draw < 0.25:
        return rng.choice(_F16)
    exponent = rng.randint(8, 20) if draw < 0.8 else rng.randint(0, 31)
    return rng.getrandbits(1) << 15 | exponent << 10 | rng.getrandbits(10)


def finite_f16(rng: random.Random, low: int = 8, high: int = 20) -> int:
    """A finite f16 pattern with a biased exponent in the range."""
    return rng.getrandbits(1) << 15 | rng.randint(low, high) << 10 | rng.getrandbits(10)


def finite_f32(rng: random.Random, low: int = 110, high: int = 140) -> int:
    return rng.getrandbits(1) << 31 | rng.randint(low, high) << 23 | rng.getrandbits(23)


def any_float_word(rng: random.Random) -> int:
    return any_f32(rng) if rng.random() < 0.5 else any_f16(rng) | any_f16(rng) << 16


@dataclass
class Start:
    """State before the run. Lists are per worker; what is left out is zero. ``memory``: address -> bytes."""

    m: list[list[int]] = field(default_factory=lambda: [[0] * 12 for _ in range(6)])
    a: list[list[int]] = field(default_factory=lambda: [[0] * 8 for _ in range(6)])
    acc: list[list[int]] = field(default_factory=lambda: [[0] * 32 for _ in range(6)])
    cwei: list[list[int]] = field(default_factory=lambda: [[0] * 4 for _ in range(64)])
    memory: dict[int, bytes] = field(default_factory=dict)
    fp_ictl: int = 0
    vertex_base: int = 0


@dataclass
class Pair:
    """A finished program on both sides; ``fault`` is the architectural kind both stopped with, if any."""

    tile: Tile
    naive: NaiveTile
    run: Any
    fault: str | None


def text_of(body: str) -> str:
    return f".worker\n.globl start\nstart:\n{body}\nexitz $m15\n"


def new_tile(text: str, start: Start) -> Tile:
    tile = Tile("ipu21")
    tile.load(assemble(text=text))
    tile.mrf[:6, :12] = np.array(start.m, np.uint32)
    tile.arf[:6, :8] = np.array(start.a, np.uint32)
    tile.set_aacc(np.array(start.acc, np.uint32).view(np.float32))
    tile.set_cwei(np.array(start.cwei, np.uint16))
    tile.set_csr(SUPERVISOR, FP_ICTL, start.fp_ictl)
    for address, data in start.memory.items():
        tile.write(address, np.frombuffer(data, np.uint8))
    return tile


def new_naive(text: str, start: Start, tile: Tile, adder: Any = MODEL_C) -> NaiveTile:
    naive = NaiveTile(text, adder)
    for worker, m, a, acc in zip(naive.workers, start.m, start.a, start.acc, strict=True):
        worker.m, worker.a, worker.acc = list(m), list(a), list(acc)
    naive.cwei = [list(slot) for slot in start.cwei]
    naive.supervisor.fp_ictl = start.fp_ictl
    naive.memory.data[:] = tile.read(BASE, np.uint8, END - BASE).tobytes()
    return naive


def run_both(
    body: str, start: Start | None = None, workers: Iterable[int] = range(6), adder: Any = MODEL_C, whole: bool = False
) -> Pair:
    """Run a worker body (``whole``: a complete text with label ``start``) on both sides and compare everything."""
    start = start or Start()
    which = list(workers)
    text = body if whole else text_of(body)
    tile = new_tile(text, start)
    naive = new_naive(text, start, tile, adder)
    emulated = expected = None
    run = None
    try:
        naive.run_workers("start", start.vertex_base, which)
    except NaiveFault as fault:
        expected = fault
    try:
        run = tile.run_workers("start", vertex_base=start.vertex_base, workers=which)
    except TileFault as fault:
        emulated = fault
    note = f"emulator: {emulated}; oracle: {expected}\n{text}"
    assert (emulated.kind if emulated else None) == (expected.kind if expected else None), note
    pair = Pair(tile, naive, run, expected.kind if expected else None)
    if emulated is not None:
        assert emulated.kind == "INVALID_PC" or emulated.pc in {naive.workers[n].pc for n in which}, note
    else:
        assert run is not None
        assert list(run.turns) == [w.turns for w in naive.workers], text
        assert run.instructions == sum(w.instructions for w in naive.workers), text
    if emulated is None or len(which) == 1:
        compare(pair, text)
    return pair


def compare(pair: Pair, text: str = "") -> None:
    """Registers, accumulators, flags, weights and memory of both sides are equal, bit for bit."""
    tile, naive = pair.tile, pair.naive
    acc = tile.aacc.view(np.uint32)
    for worker in naive.workers:
        n = worker.number
        show = f"worker {n}\n{text}"
        assert [hex(v) for v in tile.mrf[n, :12]] == [hex(v) for v in worker.m], show
        assert [hex(v) for v in tile.arf[n, :8]] == [hex(v) for v in worker.a], show
        assert [hex(v) for v in acc[n]] == [hex(v) for v in worker.acc], show
        if pair.fault is None:
            assert tile.get_csr(n, FP_STS) == worker.fp_sts, show
    assert tile.cwei.tolist() == naive.cwei
    memory = tile.read(BASE, np.uint8, END - BASE)
    expected = np.frombuffer(bytes(naive.memory.data), np.uint8)
    different = np.flatnonzero(memory != expected)
    assert different.size == 0, (hex(int(different[0]) + BASE), text)


def run_supervisor_both(text: str, m: dict[int, int] | None = None, start: Start | None = None) -> Pair:
    """Call the supervisor function ``start`` on both sides; cycles, worker turns and all state must agree."""
    start = start or Start()
    tile = new_tile(text, start)
    naive = new_naive(text, start, tile)
    naive.run_supervisor("start", m)
    run = tile.run_supervisor("start", m=m or {})
    pair = Pair(tile, naive, run, None)
    emulated = (run.cycles, list(run.turns))
    assert emulated == (naive.cycle, [w.turns for w in naive.workers]), text
    assert [hex(v) for v in tile.mrf[SUPERVISOR, :10]] == [hex(v) for v in naive.supervisor.m[:10]], text
    compare(pair, text)
    return pair


def emulate(body: str, start: Start | None = None, workers: Iterable[int] = (0,)) -> Tile:
    """Run only the emulator: for programs whose outcome a test knows by itself."""
    tile = new_tile(text_of(body), start or Start())
    tile.run_workers("start", workers=list(workers))
    return tile


def f32_bits(x: float) -> int:
    return int(np.float32(x).view(np.uint32))


def f16_words(*values: float) -> list[int]:
    """f16 values packed two to a 32-bit word."""
    return [int(w) for w in np.array(values, np.float16).view(np.uint32)]

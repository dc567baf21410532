"""Random copy sets against NumPy, and rows with one mistake: small here, 10,000 of each by `make fuzz-exchange`.

Rows are read by the plain decoder of exchange_oracle.py, words are moved by deliver; what a damaged row does is judged
by the plain cycle-by-cycle model.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest

from tests import exchange_oracle as oracle
from tests.test_exchange_rows import Lazy
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange import Transfers, check_schedule, deliver, emit_rows, schedule
from tile_emu.exchange.pairing import paired
from tile_emu.exchange.schedule import schedule_pieces

COUNT = int(os.environ.get("TILE_EMU_FUZZ_EXCHANGE", "120"))
BATCH = 40
SIZE = 16384  # bytes of SRAM: the lower half is read, the upper half written
CHIPS = [
    dataclasses.replace(chip, memory=dataclasses.replace(chip.memory, size=SIZE))
    for chip in map(load_chip, ("bow", "gc2", "ipu21"))
]


def random_copies(chip: Chip, rng: np.random.Generator) -> np.ndarray:
    """Rows source tile, source word, words, destination tile, destination word; destinations never overlap.

    Strided regions, multicasts to pairs of tiles and single ones, overlapping sources, anything in 1 to 200 words.
    """
    first = rng.choice(chip.tiles // 2 - 4) * 2
    pool = np.concatenate([first + np.arange(4), rng.choice(chip.tiles, 5, replace=False)])
    half = SIZE // 8
    free = dict.fromkeys(map(int, pool), half)
    out: list[tuple[int, ...]] = []
    for _ in range(rng.integers(1, 12)):
        s = int(rng.choice(pool))
        to = np.unique(rng.choice(pool, rng.integers(1, pool.size), replace=True))
        if rng.random() < 0.5:
            to = np.unique(np.concatenate([to, to ^ 1]))
            to = to[np.isin(to, pool)]
        to = to[to != s] if to.size == 1 else to
        words, rows = int(rng.choice([1, 2, 7, 16, 33, 64, 200])), int(rng.choice([1, 1, 3]))
        stride, begin = words + int(rng.integers(0, 5)), int(rng.integers(0, half - 3 * 210) // 2 * 2)
        for d in map(int, to):
            at = free[d] + int(rng.integers(0, 3))
            if at + rows * stride > 2 * half:
                continue
            free[d] = at + rows * stride
            out += [(s, begin + k * stride, words, d, at + k * stride) for k in range(rows)]
    return np.array(out, np.int64).reshape(-1, 5)


def transfers_of(chip: Chip, copies: np.ndarray) -> Transfers:
    s, a, words, d, to = copies.T
    base = chip.memory.base
    return Transfers.merge(s, base + 4 * a, 4 * words, d, base + 4 * to)


def possible(t: Transfers) -> bool:
    """No transfer goes to its own tile only: no business of the fabric."""
    alone = np.diff(t.dest_start) == 1
    return len(t) > 0 and not (t.dest_tile[t.dest_start[:-1]] == t.source_tile)[alone].any()


def rows_by_tile(rows) -> dict[int, list[int]]:
    busy = np.flatnonzero(np.diff(rows.start))
    return {int(t): rows.words[rows.start[t] : rows.start[t + 1]].tolist() for t in busy}


def start_memory(chip: Chip) -> np.ndarray:
    words = np.arange(chip.tiles * SIZE // 4, dtype=np.uint32) * np.uint32(2654435761)
    return words.reshape(chip.tiles, SIZE // 4)


def simulate(chip: Chip, rows: dict[int, list[int]], memory: np.ndarray, intended: Transfers | None) -> np.ndarray:
    """Moves the words in ``memory``; last store event of every tile."""
    lines = {tile: oracle.log_of(row) for tile, row in rows.items()}
    log = np.zeros((chip.tiles, max(map(len, lines.values()), default=0), 5), np.int32)
    count = np.zeros(chip.tiles, np.int32)
    for tile, x in lines.items():
        log[tile, : len(x)], count[tile] = np.array(x, np.int64).reshape(-1, 5), len(x)
    mux = np.full(chip.tiles, chip.exchange.neutral_mux, np.int32)
    return deliver(chip, memory.view(np.uint8), log, count, mux, np.zeros_like(mux), intended).last_store


@pytest.mark.parametrize("batch", range(-(-COUNT // BATCH)))
def test_random_copies_arrive(batch):
    for seed in range(BATCH * batch, BATCH * (batch + 1)):
        rng = np.random.default_rng(seed)
        chip = CHIPS[seed % len(CHIPS)]
        copies = random_copies(chip, rng)
        t = transfers_of(chip, copies)
        if not possible(t):
            continue
        plan = schedule_pieces(chip, paired(chip, t)) if seed % 2 else schedule(chip, t)
        assert plan is not None
        check_schedule(chip, plan)
        memory = start_memory(chip)
        expected = memory.copy()
        for s, a, words, d, to in copies.tolist():
            expected[d, to : to + words] = memory[s, a : a + words]
        simulate(chip, rows_by_tile(emit_rows(chip, plan)), memory, t)
        assert np.array_equal(memory, expected), seed


# --- one mistake ---


def pieces_of(row: list[int]) -> list[list[int]]:
    """Instructions of a row; the return is left out."""
    out, k = [], 0
    while k < len(row) - 1:
        size = 2 if row[k] >> 28 == 0xF else 1
        out.append(row[k : k + size])
        k += size
    return out


def damaged(rng: np.random.Generator, row: list[int]) -> list[int]:
    """A wait by one, a source, an address, a count or a direction changed; an instruction dropped, doubled or moved."""
    parts = pieces_of(row)
    k = int(rng.integers(len(parts)))
    kind = rng.random()
    if kind < 0.1:
        del parts[k]
    elif kind < 0.2:
        parts.insert(k, parts[k])
    elif kind < 0.3 and k:
        parts[k - 1], parts[k] = parts[k], parts[k - 1]
    else:
        parts[k] = list(parts[k])
        word = int(rng.integers(len(parts[k])))
        low = {0x40: 19, 0x60: 26, 0x64: 26, 0x78: 27, 0x70: 27, 0xF0: 27}.get(parts[k][0] >> 24 & 0xFC, 26)
        parts[k][word] ^= 1 << int(rng.integers(32 if word else low))
    return [w for part in parts for w in part] + row[-1:]


@pytest.mark.parametrize("batch", range(-(-COUNT // BATCH)))
def test_no_mistake_goes_unnoticed(batch):
    """Either every word still arrives as meant, or the mistake is reported."""
    for seed in range(BATCH * batch, BATCH * (batch + 1)):
        rng = np.random.default_rng(1_000_000 + seed)
        chip = CHIPS[0] if seed % 3 else CHIPS[1]
        copies = random_copies(chip, rng)[:12]
        t = transfers_of(chip, copies)
        if not possible(t):
            continue
        plan = schedule_pieces(chip, paired(chip, t)) if seed % 2 else schedule(chip, t)
        assert plan is not None
        rows = rows_by_tile(emit_rows(chip, plan))
        tile = int(rng.choice(list(rows)))
        rows[tile] = damaged(rng, rows[tile])
        try:
            length = oracle.decode(rows[tile])[-1][0]
        except oracle.BadRow:
            continue  # not a row: a fault when it is executed
        before = start_memory(chip)
        memory = before.copy()
        try:
            last = simulate(chip, rows, memory, t)
        except IllegalExchange:
            assert np.array_equal(memory, before), seed  # found before anything was stored
            continue
        if last[tile] >= 0 and length < last[tile] + chip.exchange.drain:
            continue  # reported by the machine: the row must drain
        plain = {k: Lazy(chip, before[k].view(np.uint8)) for k in rows}
        oracle.lock_step(rows, plain, chip.exchange.rows)
        for k, words in plain.items():
            after = before[k].copy()
            for address, value in words.items():
                after[(address - chip.memory.base) >> 2] = value
            assert np.array_equal(after, memory[k]), seed
        for s, a, words, d, to in copies.tolist():
            assert np.array_equal(memory[d, to : to + words], before[s, a : a + words]), seed

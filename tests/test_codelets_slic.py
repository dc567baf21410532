"""The slim convolution codelet against sums worked out by NumPy, its cycles against the planner's formula."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.codelets import WORKERS, slic_codelet
from kernels.planner.cost import slic_cycles
from tile_emu.asm import assemble
from tile_emu.chips import load_chip
from tile_emu.tile import Tile


@pytest.mark.parametrize(("chip", "dtype"), [("bow", "f16"), ("bow", "f16f32"), ("gc2", "f16f32")])
@pytest.mark.parametrize(("positions", "windows"), [(48, 1), (60, 3), (50, 2), (98, 6), (96, 1)])
def test_sums_of_windows(positions: int, windows: int, chip: str, dtype: str) -> None:
    """Windows that begin anywhere in one field; small integers; nothing beyond OUT is written."""
    where = load_chip(chip)
    codelet = slic_codelet(dtype, where)
    assert codelet is not None
    outputs, kind = (4, np.float16) if dtype == "f16" else (2, np.float32)
    memory = where.memory
    random = np.random.default_rng(positions)
    shifts = random.integers(0, 20, windows)
    x = random.integers(-3, 4, (positions + 30, 4)).astype(np.float16)
    w = random.integers(-2, 3, (windows, 4, outputs, 4)).astype(np.float16)  # window, column, output, input
    at_x, at_out, at_w = memory.base + 4 * memory.element_bytes, memory.interleaved_base, memory.end - 4096
    tile = Tile(where)
    tile.load(assemble(codelet.zero(windows).source, chip=where))
    tile.set_aacc(np.full((6, 32), 100.0, np.float32))  # what an earlier vertex may have left behind
    tile.write(at_x, x)
    tile.write(at_w, w)
    tile.write(at_out, np.full(positions * 8 + 64, 0x55, np.uint8))
    words = {"weights": at_w, "later": windows - 2}
    for worker in range(WORKERS):
        first, last = (2 * (positions // 2 * edge // WORKERS) for edge in (worker, worker + 1))
        words |= {f"out{worker}": at_out + 8 * first, f"pairs{worker}": (last - first) // 2 - 4}
        words |= {f"x{worker}": at_x + 8 * (first + int(shifts[0]))}
        words |= {f"plane{v}_{worker}": at_x + 8 * (first + int(shifts[v])) for v in range(1, windows)}
    state = np.array([words[name] for name in codelet.zero(windows).fields], np.int64).astype(np.uint32)
    tile.write(memory.base + 0x4000, state)
    run = tile.run_supervisor(codelet.name, {0: memory.base + 0x4000})
    expected = np.zeros((positions, outputs))
    for window, shift in enumerate(shifts):
        for column in range(4):
            expected += x[shift + column : shift + column + positions].astype(float) @ w[window, column].T.astype(float)
    np.testing.assert_array_equal(tile.read(at_out, kind, outputs * positions).reshape(-1, outputs), expected)
    assert (tile.read(at_out + positions * 8, np.uint8, 64) == 0x55).all()
    difference = int(slic_cycles(codelet, where, positions, windows)) - run.cycles
    assert 0 <= difference <= (0 if positions % (2 * WORKERS) == 0 else 12 * windows), difference

"""Bias, activation and cast codelets: numbers against NumPy, cycles against the formulas at their heads."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.codelets import WORKERS
from kernels.codelets.elementwise import (
    ACTIVATIONS,
    activation_codelet,
    activation_fields,
    cast_codelet,
    cast_fields,
)
from kernels.planner.cost import launch_cycles
from tile_emu.asm import Code, assemble
from tile_emu.chips import load_chip
from tile_emu.graph.variables import Codelet
from tile_emu.tile import Tile

CHIP = load_chip("bow")
BASE = CHIP.memory.base
STATE, BIAS, OUT, RESULT = BASE + 0x4000, BASE + 0x8000, BASE + 0x34000 + 64, BASE + 0x40000


@functools.cache
def code(codelet: Codelet) -> Code:
    return assemble(codelet.source, architecture=CHIP.architecture, base=BASE)


def words(codelet: Codelet, fields: dict[str, Any], pointers: dict[str, int]) -> NDArray[np.uint32]:
    """The vertex state; ``pointers`` are added to the fields of that name."""
    return np.array(
        [int(fields[name][0]) + pointers.get(name.rstrip("0123456789"), 0) for name in codelet.fields], np.int64
    ).astype(np.uint32)


def reference(activation: str, s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The function in float64, GELU by its published tanh form."""
    if activation == "relu":
        return np.maximum(s, 0)
    if activation == "tanh":
        return np.tanh(s)
    if activation == "gelu":
        return 0.5 * s * (1 + np.tanh(math.sqrt(2 / math.pi) * (s + 0.044715 * s**3)))
    return s


def run(
    activation: str, out: NDArray[Any], bias: NDArray[Any], first_row: int, rows: int
) -> tuple[NDArray[Any], int, list[int]]:
    """Rows ``first_row`` and on of ``out`` [groups][rows][outputs] through the codelet: result, cycles, turns."""
    _, group_rows, outputs = out.shape
    size = out.dtype.itemsize
    codelet = activation_codelet(activation, size)
    chunks = outputs * size // 8
    arrays = (np.array([value]) for value in (first_row, rows, group_rows))
    fields = activation_fields(*arrays, chunks)
    tile = Tile(CHIP)
    tile.load(code(codelet.codelet))
    block = out.reshape(-1, outputs)[first_row : first_row + rows]
    tile.write(OUT - 64, np.full(rows * outputs * size + 128, 0x55, np.uint8))
    tile.write(OUT, block)
    first_group = first_row // group_rows
    tile.write(BIAS, bias[first_group:])
    tile.write(STATE, words(codelet.codelet, fields, {"out": OUT, "bias": BIAS}))
    done = tile.run_supervisor(codelet.codelet.entry, {0: STATE})
    for guard in (OUT - 64, OUT + block.nbytes):
        assert (tile.read(guard, np.uint8, 64) == 0x55).all()
    assert (tile.read(BIAS, out.dtype, bias[first_group:].size) == bias[first_group:].ravel()).all()
    return tile.read(OUT, out.dtype, block.size).reshape(block.shape), done.cycles, done.turns


def segments(first_row: int, rows: int, group_rows: int, worker: int) -> list[int]:
    """Rows of each group that fall to a worker, by counting them."""
    mine = range(first_row + rows * worker // WORKERS, first_row + rows * (worker + 1) // WORKERS)
    groups = [row // group_rows for row in mine]
    return [groups.count(group) for group in sorted(set(groups))]


# groups, rows of a group, outputs; first row, rows
BLOCKS = [((3, 10, 16), 0, 30), ((2, 24, 8), 5, 40), ((9, 4, 16), 3, 31), ((1, 7, 8), 2, 4), ((20, 2, 16), 1, 39)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("shape", "first_row", "rows"), BLOCKS)
def test_numbers_and_turns(shape: tuple[int, int, int], first_row: int, rows: int, activation: str, dtype: Any) -> None:
    random = np.random.default_rng(rows)
    out = (3 * random.standard_normal(shape)).astype(dtype)
    bias = random.standard_normal((shape[0], shape[2])).astype(dtype)
    got, cycles, turns = run(activation, out, bias, first_row, rows)
    exact = out.astype(float) + bias[:, None].astype(float)
    expected = reference(activation, exact).reshape(-1, shape[2])[first_row : first_row + rows]
    unit = np.finfo(dtype).eps / 2
    if activation in ("none", "relu"):
        np.testing.assert_array_equal(got, expected.astype(dtype))
    else:  # the sum is at most 16 wide: its rounding moves the function by as much
        assert np.abs(got - expected).max() <= 24 * unit
    codelet = activation_codelet(activation, np.dtype(dtype).itemsize)
    chunks = shape[2] * np.dtype(dtype).itemsize // 8
    counted = [codelet.turns(chunks, segments(first_row, rows, shape[1], worker)) for worker in range(WORKERS)]
    assert turns == counted
    assert cycles == pytest.approx(launch_cycles(CHIP, max(counted)), abs=5)


@pytest.mark.parametrize(("dtype", "relative"), [(np.float16, 0.012), (np.float32, 2e-6)])
def test_gelu_keeps_its_relative_accuracy(dtype: Any, relative: float) -> None:
    """Where gelu(x) is tiny too: the exponent of the logistic function carries 4 roundings of a value up to 10."""
    x = np.linspace(-4, 6, 64).astype(dtype).reshape(1, 8, 8)
    got, _, _ = run("gelu", x, np.zeros((1, 8), dtype), 0, 8)
    expected = reference("gelu", x.astype(float)).reshape(got.shape)
    erf = np.array([0.5 * v * math.erfc(-v / math.sqrt(2)) for v in x.astype(float).ravel()]).reshape(got.shape)
    assert (np.abs(got - expected) <= relative * np.abs(expected) + 1e-7).all()
    assert np.abs(got - erf).max() <= 5e-4 + 6 * np.finfo(dtype).eps


def test_activations_at_the_ends_of_the_range() -> None:
    x = np.array([65504, -65504, 300, -300, 0, 2.0**-24, -(2.0**-24), 1000], np.float16).reshape(1, 1, 8)
    zero = np.zeros((1, 8), np.float16)
    np.testing.assert_array_equal(run("gelu", x, zero, 0, 1)[0][0], [65504, 0, 300, 0, 0, 0, 0, 1000])
    np.testing.assert_array_equal(run("tanh", x, zero, 0, 1)[0][0, :5], [1, -1, 1, -1, 0])
    np.testing.assert_array_equal(run("relu", x, zero, 0, 1)[0][0], np.maximum(x[0, 0], 0))


@pytest.mark.parametrize("quads", [1, 5, 6, 40])
@pytest.mark.parametrize("narrow", [True, False])
def test_cast(quads: int, narrow: bool) -> None:
    source, target = (np.float32, np.float16) if narrow else (np.float16, np.float32)
    cast = cast_codelet(np.dtype(source).itemsize, np.dtype(target).itemsize)
    x = np.random.default_rng(quads).standard_normal(4 * quads).astype(source)
    tile = Tile(CHIP)
    tile.load(code(cast.codelet))
    at_in, at_out = CHIP.memory.end - x.nbytes - (16 if narrow else 8), RESULT
    tile.write(at_in, x)
    tile.write(at_out, np.full(x.size * cast.out_bytes + 16, 0x55, np.uint8))
    fields = cast_fields(np.array([quads]), cast)
    tile.write(STATE, words(cast.codelet, fields, {"in": at_in, "out": at_out}))
    done = tile.run_supervisor(cast.codelet.entry, {0: STATE})
    np.testing.assert_array_equal(tile.read(at_out, target, x.size), x.astype(target))
    assert (tile.read(at_out + x.size * cast.out_bytes, np.uint8, 16) == 0x55).all()
    shares = [quads * (worker + 1) // WORKERS - quads * worker // WORKERS for worker in range(WORKERS)]
    assert done.turns == [cast.base_turns + cast.quad_turns * n if n else cast.idle_turns for n in shares]

"""Matrix products through plan, graph, image and machine, against NumPy; predicted against counted cycles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.check import check_matmul
from kernels.contraction.builder import build_graph
from kernels.contraction.problem import Contraction
from kernels.contraction.run import used_sram
from kernels.matmul import OPERAND_DTYPE, RESULT_DTYPE, matmul
from kernels.planner.plan import ContractionPlan
from tests.contraction_tools import forced, plan_matmul, put
from tile_emu.chips import load_chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.machine import Machine

# parts of positions, outputs and K; steps
DIVISIONS = [((1, 1, 1), 1), ((3, 1, 1), 1), ((1, 3, 1), 2), ((2, 2, 1), 3), ((2, 2, 3), 2), ((1, 1, 4), 1)]


def integers(m: int, k: int, n: int, dtype: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Operands whose products and sums are exact in every format used here."""
    random = np.random.default_rng(m + k + n)
    kind = OPERAND_DTYPE[dtype]
    spread = 3 if k <= 512 else 2
    a, b = random.integers(1 - spread, spread, (m, k)), random.integers(1 - spread, spread, (k, n))
    return a.astype(kind), b.astype(kind)


def run_plan(contraction: Contraction, plan: ContractionPlan, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """The product by a given plan."""
    image = build_graph(contraction, plan).lower()
    machine = Machine(plan.chip, image.tiles, 1)
    machine.load(image)
    machine.write_tensor("a", a)
    machine.write_tensor("b", b)
    machine.run()
    return machine.read_tensor("c")


@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 13, 5), (1, 4096, 1), (33, 200, 50), (513, 77, 1030), (3, 5, 2000)])
def test_exact_products_on_bow(shape: tuple[int, int, int], dtype: str) -> None:
    a, b = integers(*shape, dtype)
    result = matmul(a, b, dtype, "bow")
    assert result.out.dtype == RESULT_DTYPE[dtype]
    np.testing.assert_array_equal(result.out, a.astype(float) @ b.astype(float))
    assert result.sram_bytes.shape == (result.plan.tiles,)
    assert result.recording.finish.max() == pytest.approx(result.plan.predicted.total, rel=0.05, abs=60)  # paths differ


@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
@pytest.mark.parametrize("shape", [(9, 40, 17), (130, 300, 100)])
def test_exact_products_on_gc2(shape: tuple[int, int, int], dtype: str) -> None:
    a, b = integers(*shape, dtype)
    np.testing.assert_array_equal(matmul(a, b, dtype, "gc2").out, a.astype(float) @ b.astype(float))


@pytest.mark.parametrize("dtype", ["f16", "f32"])
@pytest.mark.parametrize(("streamed", "partners"), [("a", "w"), ("b", "x")])
@pytest.mark.parametrize(("splits", "steps"), DIVISIONS)
def test_every_kind_of_division(
    splits: tuple[int, int, int], steps: int, streamed: str, partners: str, dtype: str
) -> None:
    """Operands in place and gathered, steps that accumulate, partial sums reduced; odd sizes everywhere."""
    a, b = integers(61, 250, 75, dtype)
    contraction = put(61, 250, 75, dtype, streamed)
    plan = forced(plan_matmul(61, 250, 75, dtype, "bow", tiles=16)[1], contraction, splits, steps, partners)
    np.testing.assert_array_equal(run_plan(contraction, plan, a, b), a.astype(float) @ b.astype(float))


@pytest.mark.parametrize("dtype", ["f16", "f32"])
def test_more_positions_than_one_vertex_takes(dtype: str) -> None:
    a, b = integers(1601, 50, 7, dtype)
    contraction, plan = plan_matmul(1601, 50, 7, dtype, "bow", tiles=2)
    assert plan.pieces > 1
    np.testing.assert_array_equal(run_plan(contraction, plan, a, b), a.astype(float) @ b.astype(float))


@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
def test_random_operands_stay_within_derived_bounds(dtype: str) -> None:
    random = np.random.default_rng(3)
    kind = OPERAND_DTYPE[dtype]
    a, b = random.standard_normal((100, 600)).astype(kind), random.standard_normal((600, 90)).astype(kind)
    result = matmul(a, b, dtype)
    assert check_matmul(a, b, result.out, dtype, k_splits=result.plan.k_splits, random_signs=True).ok


def test_same_run_same_bits_and_cycles() -> None:
    random = np.random.default_rng(4)
    a, b = random.standard_normal((200, 300)), random.standard_normal((300, 150))
    one, two = matmul(a, b, threads=1), matmul(a, b, threads=2)
    assert np.array_equal(one.out, two.out)
    assert np.array_equal(one.recording.finish, two.recording.finish)


def test_operands_are_rounded_to_the_format_of_the_chip() -> None:
    a, one = np.array([[1 + 2.0**-12]]), np.ones((1, 1))
    assert matmul(a, one, "f16").out[0, 0] == 1.0
    assert matmul(a, one, "f32").out[0, 0] == np.float32(1 + 2.0**-12)


def test_efficiency_of_512_on_bow() -> None:
    a, b = integers(512, 512, 512, "f16")
    result = matmul(a, b)
    np.testing.assert_array_equal(result.out, a.astype(float) @ b.astype(float))
    cycles = int(result.recording.finish.max())
    assert 512**3 / (1472 * 64 * cycles) > 0.2
    assert cycles == pytest.approx(result.plan.predicted.total, rel=0.02)
    assert result.sram_bytes.max() == used_sram(result.image).max() <= load_chip("bow").memory.size


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"shapes \(2, 3\) and \(4, 2\)"):
        matmul(np.zeros((2, 3)), np.zeros((4, 2)))
    with pytest.raises(UsageError, match="unknown dtype"):
        matmul(np.zeros((2, 3)), np.zeros((3, 2)), "i8")
    with pytest.raises(UsageError, match="at least 1"):
        matmul(np.zeros((0, 3)), np.zeros((3, 2)))
    with pytest.raises(OutOfTileMemory, match="do not fit"):
        matmul(
            np.broadcast_to(np.float32(0), (30_000, 30_000)), np.broadcast_to(np.float32(0), (30_000, 30_000)), "f32"
        )

"""Products in batches, transposed, backward, with bias, activation and other formats of the result."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.check import Finish, check_matmul
from kernels.contraction.builder import build_graph
from kernels.matmul import OPERAND_DTYPE, RESULT_DTYPE, matmul, matmul_backward, matmul_choices
from kernels.planner.contraction import plan_contraction
from tests.contraction_tools import forced
from tile_emu.errors import UsageError
from tile_emu.machine import Machine

DTYPES = ["f16", "f16f32", "f32"]


def integers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> NDArray[Any]:
    """Small integers: products and sums of them are exact."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(OPERAND_DTYPE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("lead", "m", "k", "n"), [((3,), 10, 40, 20), ((2, 2), 30, 17, 5), ((1,), 7, 8, 9)])
def test_batches(lead: tuple[int, ...], m: int, k: int, n: int, dtype: str) -> None:
    a, b = integers((*lead, m, k), dtype), integers((*lead, k, n), dtype, 1)
    result = matmul(a, b, dtype, tiles=24)
    assert result.out.shape == (*lead, m, n)
    np.testing.assert_array_equal(result.out, np.matmul(a.astype(float), b.astype(float)))


def test_one_b_for_the_whole_batch() -> None:
    a, b = integers((2, 3, 5, 16), "f16"), integers((16, 12), "f16")
    result = matmul(a, b, tiles=16)
    assert result.plan.shape.groups == 1
    np.testing.assert_array_equal(result.out, np.matmul(a.astype(float), b.astype(float)))


@pytest.mark.parametrize(("turned_a", "turned_b"), [(True, False), (False, True), (True, True)])
def test_transposed_operands(turned_a: bool, turned_b: bool) -> None:
    a, b = integers((2, 11, 36), "f16f32"), integers((2, 36, 14), "f16f32")
    given = (a.swapaxes(1, 2) if turned_a else a, b.swapaxes(1, 2) if turned_b else b)
    result = matmul(*given, "f16f32", tiles=16, transpose_a=turned_a, transpose_b=turned_b)
    np.testing.assert_array_equal(result.out, np.matmul(a.astype(float), b.astype(float)))


def test_backward() -> None:
    a, b, dc = integers((2, 9, 30), "f16"), integers((2, 30, 12), "f16", 1), integers((2, 9, 12), "f16", 2)
    da, db = matmul_backward(a, b, dc, tiles=16)
    np.testing.assert_array_equal(da.out, np.einsum("gmn,gkn->gmk", dc.astype(float), b.astype(float)))
    np.testing.assert_array_equal(db.out, np.einsum("gmk,gmn->gkn", a.astype(float), dc.astype(float)))
    shared = matmul_backward(a, b[0], dc, tiles=16)[1]
    np.testing.assert_array_equal(shared.out, np.einsum("gmk,gmn->kn", a.astype(float), dc.astype(float)))


def gelu(s: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * s * (1 + np.tanh(math.sqrt(2 / math.pi) * (s + 0.044715 * s**3)))


def run_forced(
    operands: dict[str, NDArray[Any]], dtype: str, splits: tuple[int, int, int], steps: int, **finish: Any
) -> tuple[NDArray[Any], int, int]:
    """C by a plan with the given parts; cycles counted and predicted for the whole program."""
    (m, k), n = operands["a"].shape, operands["b"].shape[1]
    contraction = matmul_choices(m, k, n, dtype, **finish)[0]
    plan = forced(plan_contraction(contraction.shape, "bow", tiles=16)[0], contraction, splits, steps)
    image = build_graph(contraction, plan).lower()
    machine = Machine(plan.chip, image.tiles, 1)
    machine.load(image)
    for name, array in operands.items():
        kind = RESULT_DTYPE[dtype] if name == "bias" else OPERAND_DTYPE[dtype]
        machine.write_tensor(name, array.astype(kind))
    recording = machine.run()
    return machine.read_tensor("c"), recording.cycles, plan.predicted.total


# parts of positions, outputs and K; steps: with and without a reduction, one tile and several for a block
PARTS = [((1, 1, 1), 1), ((3, 2, 1), 2), ((2, 2, 3), 2), ((1, 1, 4), 1), ((1, 3, 5), 1)]


@pytest.mark.parametrize("out", [None, "f16", "f32"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("splits", "steps"), PARTS)
def test_bias_relu_and_format_for_every_division(
    splits: tuple[int, int, int], steps: int, dtype: str, out: str | None
) -> None:
    """Integers, so every step is exact and one wrong row or bias shows."""
    a, b = integers((61, 250), dtype), integers((250, 75), dtype, 1)
    bias = np.arange(-37, 38, dtype=float)
    operands = {"a": a, "b": b, "bias": bias}
    got, _, _ = run_forced(operands, dtype, splits, steps, bias=True, activation="relu", out=out)
    assert got.dtype == {None: RESULT_DTYPE[dtype], "f16": np.float16, "f32": np.float32}[out]
    np.testing.assert_array_equal(got, np.maximum(a.astype(float) @ b.astype(float) + bias, 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "tanh"])
def test_activations(activation: str, dtype: str) -> None:
    random = np.random.default_rng(3)
    a = (random.standard_normal((40, 64)) / 8).astype(OPERAND_DTYPE[dtype])
    b = random.standard_normal((64, 48)).astype(OPERAND_DTYPE[dtype])
    bias = random.standard_normal(48).astype(RESULT_DTYPE[dtype])
    result = matmul(a, b, dtype, bias=bias, activation=activation, tiles=24)
    finish = Finish(bias, activation)
    check = check_matmul(a, b, result.out, dtype, k_splits=result.plan.k_splits, finish=finish)
    assert check.ok, check.line()
    s = a.astype(float) @ b.astype(float) + bias.astype(float)
    expected = {"none": s, "relu": np.maximum(s, 0), "gelu": gelu(s), "tanh": np.tanh(s)}[activation]
    assert np.abs(result.out - expected).max() < (0.02 if dtype == "f16" else 1e-5)


def test_activation_without_a_bias() -> None:
    a, b = integers((20, 32), "f16"), integers((32, 10), "f16")
    result = matmul(a, b, activation="relu", tiles=8)
    np.testing.assert_array_equal(result.out, np.maximum(a.astype(float) @ b.astype(float), 0))


def test_bias_of_a_batch_is_the_same_for_all() -> None:
    a, b = integers((3, 8, 16), "f32"), integers((3, 16, 24), "f32")
    bias = np.arange(24.0)
    result = matmul(a, b, "f32", bias=bias, tiles=6)
    np.testing.assert_array_equal(result.out, np.matmul(a, b) + bias)


@pytest.mark.parametrize("dtype", ["f16", "f32"])
def test_predicted_cycles_of_what_follows(dtype: str) -> None:
    """The part of the plan for bias and activation against the difference it makes."""
    a, b = integers((96, 64), dtype), integers((64, 64), dtype)
    bias = np.zeros(64)
    for activation in ("relu", "gelu"):
        with_it = run_forced({"a": a, "b": b, "bias": bias}, dtype, (1, 1, 1), 1, bias=True, activation=activation)[1]
        without = run_forced({"a": a, "b": b}, dtype, (1, 1, 1), 1)[1]
        contraction = matmul_choices(96, 64, 64, dtype, bias=True, activation=activation)[0]
        plan = plan_contraction(contraction.shape, "bow", tiles=1)[0]
        assert plan.k_splits == 1
        assert plan.predicted.finish == pytest.approx(with_it - without, rel=0.06)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bias": np.zeros(3)}, "bias of shape \\(3,\\): expected \\(4,\\)"),
        ({"activation": "swish"}, "unknown activation 'swish': choose one of none, relu, gelu, tanh"),
        ({"out": "f64"}, "unknown format of the result 'f64'"),
        ({"b": np.zeros((3, 2, 4))}, "matmul of batches"),
        ({"transpose_a": True}, "m x k and k x n are wanted"),
        ({"dtype": "bf16"}, "unknown dtype 'bf16'"),
    ],
)
def test_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        matmul(**({"a": np.zeros((5, 2)), "b": np.zeros((2, 4))} | change))  # type: ignore[arg-type]


def test_plans_are_the_same_without_a_finish() -> None:
    shape = matmul_choices(100, 100, 100, "f16")[0].shape
    assert not shape.finished
    assert dataclasses.replace(shape, bias=True).finished

"""The check of a product: passes honest rounding of every kind, catches one term left out."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.check import Finish, check_matmul, max_limit, rounding_depths

pytestmark = pytest.mark.nojit


def product(a: np.ndarray, b: np.ndarray, dtype: str, splits: int) -> np.ndarray:
    """Slow and obvious: f32 sums of 4 products, narrowed every 16 inputs when f16, K in ``splits`` parts."""
    k = a.shape[1]
    narrow = np.float16 if dtype == "f16" else np.float32
    share = -(-k // splits)
    total = None
    for low in range(0, k, share):
        part = np.zeros((a.shape[0], b.shape[1]), narrow)
        for first in range(low, min(low + share, k), 16):
            wide = part.astype(np.float32)
            last = min(first + 16, low + share, k)
            for i in range(first, last, 4):
                j = min(i + 4, last)
                wide = (wide + a[:, i:j].astype(np.float64) @ b[i:j].astype(np.float64)).astype(np.float32)
            part = wide.astype(narrow)
        total = part if total is None else (total + part).astype(narrow)
    assert total is not None
    return total


def operands(m: int, k: int, n: int, dtype: str, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    element = np.float32 if dtype == "f32" else np.float16
    return generator.standard_normal((m, k)).astype(element), generator.standard_normal((k, n)).astype(element)


@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 4096, 1, 16), (7, 13, 5, 1), (40, 2000, 40, 3), (64, 512, 64, 4)])
def test_honest_rounding_passes(dtype: str, shape: tuple[int, int, int, int]) -> None:
    m, k, n, splits = shape
    for seed in range(5):
        a, b = operands(m, k, n, dtype, seed)
        check = check_matmul(a, b, product(a, b, dtype, splits), dtype, k_splits=splits, random_signs=True)
        assert check.ok, check.line()


@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
def test_one_term_of_512_left_out_is_caught(dtype: str) -> None:
    a, b = operands(32, 512, 32, dtype)
    less = a.copy()
    less[:, 17] = 0
    check = check_matmul(a, b, product(less, b, dtype, 1), dtype, random_signs=True)
    assert not check.ok
    assert "FAILED" in check.line()


def test_one_wrong_element_is_caught_by_the_bound() -> None:
    a, b = operands(200, 64, 200, "f16")
    c = product(a, b, "f16", 1)
    c[123, 45] += 3
    check = check_matmul(a, b, c, "f16")
    assert not check.ok
    assert check.outside == 1


def test_not_finite_fails_and_is_counted() -> None:
    a, b = operands(4, 8, 4, "f16")
    c = product(a, b, "f16", 1)
    c[0, 0], c[1, 1] = np.inf, np.nan
    check = check_matmul(a, b, c, "f16")
    assert (check.ok, check.not_finite, check.outside) == (False, 2, 2)


def test_zero_magnitude_needs_zero() -> None:
    zeros = np.zeros((2, 3), np.float16)
    assert check_matmul(zeros, zeros.T, np.zeros((2, 2), np.float16), "f16").ok
    assert not check_matmul(zeros, zeros.T, np.full((2, 2), 1e-3, np.float16), "f16").ok


def test_stagnating_sum_of_ones_is_right_arithmetic() -> None:
    # f16 partials stop growing at 32,768: half an ulp there is 16, one position's worth, and ties go to even.
    ones = np.ones((1, 65536), np.float16)
    c = product(ones, ones.T, "f16", 1)
    assert float(c[0, 0]) == 32768.0
    assert check_matmul(ones, ones.T, c, "f16").ok


def test_blocks_cover_every_row() -> None:
    a, b = operands(3000, 4, 1500, "f32")  # more than one block of the reference
    c = a @ b
    assert check_matmul(a, b, c, "f32").ok
    c[2999, 0] += 1
    assert check_matmul(a, b, c, "f32").outside == 1


def test_depths_by_hand() -> None:
    assert rounding_depths(512, "f16") == (33, 129)
    assert rounding_depths(513, "f16", 2) == (19, 70)  # 257 inputs: 17 positions, and 2 additions
    assert rounding_depths(512, "f16f32", 4) == (0, 132)
    assert max_limit(1, "f32") == pytest.approx(2 * 2.0**-24, rel=1e-6)


def finished(s: np.ndarray, activation: str) -> np.ndarray:
    """The activations in the words of their definitions."""
    if activation == "relu":
        return np.where(s > 0, s, 0)
    if activation == "tanh":
        return np.tanh(s)
    if activation == "gelu":
        return 0.5 * s * (1 + np.tanh(np.sqrt(2 / np.pi) * (s + 0.044715 * s**3)))
    return s


@pytest.mark.parametrize("dtype", ["f16", "f32"])
@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "tanh"])
def test_bias_and_activation(activation: str, dtype: str) -> None:
    a, b = operands(20, 64, 30, dtype)
    element = np.float16 if dtype == "f16" else np.float32
    bias = np.linspace(-2, 2, 30).astype(element)
    c = finished(a.astype(np.float64) @ b.astype(np.float64) + bias, activation).astype(element)
    finish = Finish(bias, activation)
    assert check_matmul(a, b, c, dtype, random_signs=True, finish=finish).ok
    wrong = c.copy()
    at = tuple(int(i[0]) for i in np.nonzero(np.abs(c.astype(float) - 0.4) < 0.3))
    wrong[at] += element(0.25)
    assert check_matmul(a, b, wrong, dtype, finish=finish).outside == 1
    assert not check_matmul(a, b, c, dtype, finish=Finish(bias + element(0.5), activation)).ok


def test_f32_sums_rounded_to_f16() -> None:
    a, b = operands(20, 64, 30, "f16f32")
    c = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float16)
    assert not check_matmul(a, b, c, "f16f32").ok
    assert check_matmul(a, b, c, "f16f32", finish=Finish(out="f16")).ok


def test_stacks_of_products() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.standard_normal((2, 3, 4, 8)).astype(np.float32), generator.standard_normal((2, 3, 8, 5))
    b = b.astype(np.float32)
    c = np.matmul(a.astype(float), b.astype(float)).astype(np.float32)
    assert check_matmul(a, b, c, "f32").ok
    c[1, 2, 3, 4] += 0.01
    assert check_matmul(a, b, c, "f32").outside == 1

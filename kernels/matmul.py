"""Matrix product on the emulated chip."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.contraction.problem import OPERAND_DTYPE, RESULT_DTYPE, Contraction, finished, matrix_product
from kernels.contraction.run import ContractionResult, Progress, run_contraction
from kernels.stopwatch import Stopwatch
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import UsageError
from tile_emu.profile.timed import SAMPLE, TileChoice

__all__ = ["OPERAND_DTYPE", "RESULT_DTYPE", "matmul", "matmul_backward", "matmul_choices"]


def matmul(
    a: NDArray[Any],
    b: NDArray[Any],
    dtype: str = "f16",
    chip: str | Chip = "bow",
    threads: int | None = None,
    progress: Progress | None = None,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: NDArray[Any] | None = None,
    activation: str = "none",
    out: str | None = None,
    tiles: int | None = None,
    check: bool = False,
    plan_rank: int = 1,
    timed: TileChoice = SAMPLE,
    watch: Stopwatch | None = None,
) -> ContractionResult:
    """C = activation(A . B + bias) on an emulated chip.

    ``a`` [..., m, k] and ``b`` [..., k, n] are rounded to f16 (dtype f16, f16f32) or f32 first; ``transpose_a`` and
    ``transpose_b`` say that they are given as [..., k, m] and [..., n, k]. Leading dimensions are a batch of products,
    the same for both; a ``b`` without them serves the whole batch, whose rows then count as one matrix.

    Partial sums are f16 for dtype f16, narrowed after every 16 products, and f32 otherwise; ``bias`` [n] is rounded to
    the same format and added to them, then ``activation`` applied: none, relu, gelu (tanh form) or tanh, see
    codelets/elementwise.inc. ``out``: format of C, f16 or f32; None: that of the partial sums. ``tiles``: how many may
    be used (None: all). ``progress(stage, share)`` is called at times. With ``check`` the machine looks for
    errors that the hardware lets pass; the result has its findings. ``plan_rank`` 2 takes the second
    cheapest plan, and so on. ``timed``: tiles of which the recording keeps when each worker ran. ``watch``: what
    counts the time.
    Raises UsageError, OutOfTileMemory, and whatever the machine finds wrong.
    """
    left, right = _operands(a, b, transpose_a, transpose_b)
    where = load_chip(chip) if isinstance(chip, str) else chip
    lead, batch = left.shape[:-2], right.shape[:-2]
    if batch not in (lead, ()):
        raise UsageError(f"matmul of batches {lead} and {batch}: they must be the same")
    count = math.prod(batch)
    m, k, n = math.prod(left.shape[:-1]) // count, left.shape[-1], right.shape[-1]
    choices = matmul_choices(m, k, n, dtype, count, bias=bias is not None, activation=activation, out=out)
    group = (count,) if count > 1 else ()
    arrays = {"a": left.reshape(*group, m, k), "b": right.reshape(*group, k, n)}
    if choices[0].bias is not None:
        arrays["bias"] = np.zeros(n) if bias is None else np.asarray(bias)
        if arrays["bias"].shape != (n,):
            raise UsageError(f"bias of shape {arrays['bias'].shape}: expected ({n},)")
    result = run_contraction(choices, arrays, where, threads, progress, tiles, check, plan_rank, timed, watch)
    return dataclasses.replace(result, out=result.out.reshape(*left.shape[:-1], n))


def _operands(
    a: NDArray[Any], b: NDArray[Any], transpose_a: bool, transpose_b: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both operands as [..., m, k] and [..., k, n]. Raises UsageError."""
    left, right = (np.asarray(operand) for operand in (a, b))
    if min(left.ndim, right.ndim) > 1:
        left = left.swapaxes(-1, -2) if transpose_a else left
        right = right.swapaxes(-1, -2) if transpose_b else right
    if min(left.ndim, right.ndim) < 2 or left.shape[-1] != right.shape[-2]:
        raise UsageError(f"matmul of shapes {left.shape} and {right.shape}: m x k and k x n are wanted")
    if 0 in (*left.shape, *right.shape):
        sizes = (" x ".join(map(str, operand.shape)) for operand in (left, right))
        raise UsageError(f"matmul of {' by '.join(sizes)}: every size must be at least 1")
    return left, right


def matmul_backward(
    a: NDArray[Any], b: NDArray[Any], dc: NDArray[Any], dtype: str = "f16", chip: str | Chip = "bow", **options: Any
) -> tuple[ContractionResult, ContractionResult]:
    """Gradients of C = A . B for ``dc`` [..., m, n]: dA = dC . B^T and dB = A^T . dC.

    Batches as in matmul; a ``b`` without a batch gets the sum over the batch. ``options`` are matmul's.
    """
    left, grad = np.asarray(a), np.asarray(dc)
    by_a = matmul(grad, b, dtype, chip, transpose_b=True, **options)
    if left.ndim > 2 and np.ndim(b) == 2:
        left, grad = left.reshape(-1, left.shape[-1]), grad.reshape(-1, grad.shape[-1])
    return by_a, matmul(left, grad, dtype, chip, transpose_a=True, **options)


def matmul_choices(
    m: int,
    k: int,
    n: int,
    dtype: str,
    batch: int = 1,
    *,
    bias: bool = False,
    activation: str = "none",
    out: str | None = None,
) -> tuple[Contraction, ...]:
    """The ways to put a product: the rows of A, or the columns of B, as positions.

    A bias belongs to the outputs of the weights, so with one, or with an activation, only the rows of A can stream.
    """
    product = matrix_product(batch, m, k, n, dtype, streamed="a")
    by_rows = finished(product, bias=bias, activation=activation, out=out)
    if by_rows.shape.finished:
        return (by_rows,)
    by_columns = matrix_product(batch, m, k, n, dtype, streamed="b")
    return by_rows, finished(by_columns, bias=False, out=out)

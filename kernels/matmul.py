"""Matrix product on the emulated chip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.contraction.problem import OPERAND_DTYPE, RESULT_DTYPE, Contraction, matrix_product
from kernels.contraction.run import ContractionResult, Progress, run_contraction
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import UsageError

__all__ = ["OPERAND_DTYPE", "RESULT_DTYPE", "matmul", "matmul_choices"]


def matmul(
    a: NDArray[Any],
    b: NDArray[Any],
    dtype: str = "f16",
    chip: str | Chip = "bow",
    threads: int | None = None,
    progress: Progress | None = None,
) -> ContractionResult:
    """C = A . B on an emulated chip.

    ``a`` [m, k] and ``b`` [k, n] are rounded to f16 (dtype f16, f16f32) or f32 first. C is f16 for dtype f16, with
    partial sums narrowed to f16 after every 16 products, and f32 otherwise. ``progress(stage, share)`` is called at
    times.
    Raises UsageError, OutOfTileMemory, and whatever the machine finds wrong.
    """
    if dtype not in OPERAND_DTYPE:
        raise UsageError(f"unknown dtype '{dtype}': choose one of {', '.join(OPERAND_DTYPE)}")
    left, right = (np.asarray(operand) for operand in (a, b))
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise UsageError(f"matmul of shapes {left.shape} and {right.shape}: m x k and k x n are wanted")
    if 0 in (*left.shape, *right.shape):
        raise UsageError(
            f"matmul of {left.shape[0]} x {left.shape[1]} by {right.shape[0]} x {right.shape[1]}: "
            "every size must be at least 1"
        )
    where = load_chip(chip) if isinstance(chip, str) else chip
    choices = matmul_choices(left.shape[0], left.shape[1], right.shape[1], dtype)
    return run_contraction(choices, {"a": left, "b": right}, where, threads, progress)


def matmul_choices(m: int, k: int, n: int, dtype: str, batch: int = 1) -> tuple[Contraction, Contraction]:
    """The two ways to put a product: the rows of A, or the columns of B, as positions."""
    return tuple(matrix_product(batch, m, k, n, dtype, streamed=name) for name in ("a", "b"))  # type: ignore[return-value]

"""Square products on a whole emulated Bow: from the kernel call to the result, plan and lowering included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernels.matmul import matmul

SIZE = 512


@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
def test_matmul_512(dtype: str, benchmark: Any, against: Callable[..., Any]) -> None:
    generator = np.random.default_rng(0)
    element = np.float32 if dtype == "f32" else np.float16
    a = generator.standard_normal((SIZE, SIZE), dtype=np.float32).astype(element)
    b = generator.standard_normal((SIZE, SIZE), dtype=np.float32).astype(element)

    result = against("sgemm", lambda: matmul(a, b, dtype=dtype, chip="bow"), SIZE**3, "MAC", rounds=3)

    benchmark.extra_info["cycles"] = result.recording.cycles
    benchmark.extra_info["instructions"] = int(result.recording.instructions.sum())

"""512 x 512 x 512 on a whole emulated Bow: from the kernel call to the result, plan and lowering included."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernels.matmul import matmul

SIZE = 512


@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
def test_matmul_512(dtype: str, benchmark: Any, rate: Callable[[float, str], None]) -> None:
    generator = np.random.default_rng(0)
    element = np.float32 if dtype == "f32" else np.float16
    a = generator.standard_normal((SIZE, SIZE), dtype=np.float32).astype(element)
    b = generator.standard_normal((SIZE, SIZE), dtype=np.float32).astype(element)

    result = benchmark.pedantic(matmul, (a, b), {"dtype": dtype, "chip": "bow"}, rounds=3, warmup_rounds=1)

    wide_a, wide_b = a.astype(np.float32), b.astype(np.float32)
    began = time.perf_counter()
    wide_a @ wide_b
    numpy_seconds = time.perf_counter() - began
    benchmark.extra_info["cycles"] = result.recording.cycles
    rate(int(result.recording.instructions.sum()), "instructions")
    rate(SIZE**3, "MAC")
    if benchmark.stats is not None:
        # What emulating costs: how many times longer than the host's own product of the same size in f32.
        benchmark.extra_info["times_numpy_f32"] = benchmark.stats.stats.min / numpy_seconds

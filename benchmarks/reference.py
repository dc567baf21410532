"""What this core does today, measured in the same run as what is compared with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tile_emu.jit import jit


@jit
def integer_loop(count):  # type: ignore[no-untyped-def]
    """A fixed chain of dependent integer operations, 4 a round."""
    x = np.uint64(1)
    for _ in range(count):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
    return x


def best_cpu_seconds(function: Callable[[], Any], rounds: int = 5) -> float:
    """Least processor time of a call, over all threads, seconds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        function()
        best = min(best, time.process_time() - began)
    return best


def integer_rate() -> float:
    """Operations/s of the fixed integer loop on one core."""
    integer_loop(1000)
    return 4 * 20_000_000 / best_cpu_seconds(lambda: integer_loop(20_000_000), 3)


def sgemm_mac_rate() -> float:
    """MAC/s of NumPy's single-precision matrix product on one core (its processor time counts all threads)."""
    a = np.random.default_rng(0).standard_normal((768, 768)).astype(np.float32)
    a @ a
    return 768.0**3 / best_cpu_seconds(lambda: a @ a)


def memcpy_rate() -> float:
    """Bytes/s of copying 64 MiB."""
    source = np.ones(1 << 26, np.uint8)
    target = np.empty_like(source)
    target[:] = source
    return len(source) / best_cpu_seconds(lambda: np.copyto(target, source))

"""What this core does today, measured in the same run as what is compared with it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

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


class Reference(NamedTuple):
    """A fixed piece of work: ``once()`` does ``amount`` of ``unit``."""

    once: Callable[[], Any]
    amount: float
    unit: str

    def seconds(self) -> float:
        """Processor time of doing it once."""
        began = time.process_time()
        self.once()
        return time.process_time() - began


def _sgemm() -> Reference:
    a = np.random.default_rng(0).standard_normal((768, 768)).astype(np.float32)
    return Reference(lambda: a @ a, 768.0**3, "MAC")


def _memcpy() -> Reference:
    source = np.ones(1 << 26, np.uint8)
    target = np.empty_like(source)
    return Reference(lambda: np.copyto(target, source), len(source), "bytes")


def _integer() -> Reference:
    return Reference(lambda: integer_loop(10_000_000), 4 * 10_000_000, "operations")


_MAKERS = {"integer": _integer, "sgemm": _sgemm, "memcpy": _memcpy}


@functools.cache
def reference(name: str) -> Reference:
    """The fixed integer loop, NumPy's single-precision product (MAC), or a copy of 64 MiB; run once already."""
    made = _MAKERS[name]()
    made.once()
    return made


def best_cpu_seconds(function: Callable[[], Any], rounds: int = 5) -> float:
    """Least processor time of a call, over all threads, seconds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        function()
        best = min(best, time.process_time() - began)
    return best

"""Large arrays of which only parts are used, above all the SRAM of all tiles: only what is touched costs memory."""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def untouched(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros of a shape, untouched.

    Not ``np.zeros``: NumPy asks Linux for huge pages, so that the first byte touched costs 2 MiB to clear and hold.
    Tiles use a few KiB at either end of their 624; with huge pages a small program would clear the whole chip.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    # Private where that can be said: pages that could be shared with other processes cost half as much again.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, size, **private)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        try:
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        except OSError:  # a kernel without huge pages
            pass
    return np.frombuffer(memory, dtype).reshape(shape)


def allocate_sram(tiles: int, size: int) -> NDArray[np.uint8]:
    """Zeroed uint8[tiles, size], untouched."""
    return untouched((tiles, size), np.uint8)

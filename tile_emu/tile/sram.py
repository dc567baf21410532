"""The SRAM of all tiles: one buffer of which the host only gives memory to the pages that are touched."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray


def allocate_sram(tiles: int, size: int) -> NDArray[np.uint8]:
    """Zeroed uint8[tiles, size], untouched.

    Not ``np.zeros``: NumPy asks Linux for huge pages, so that the first byte touched costs 2 MiB to clear and hold.
    Tiles use a few KiB at either end of their 624; with huge pages a small program would clear the whole chip.
    """
    memory = mmap.mmap(-1, tiles * size)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        try:
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        except OSError:  # a kernel without huge pages
            pass
    return np.frombuffer(memory, np.uint8).reshape(tiles, size)

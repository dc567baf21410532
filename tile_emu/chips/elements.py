"""SRAM elements: the banks of which each serves one access a cycle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips.chip import Memory

I64 = NDArray[np.int64]

PREFETCH = 64  # bytes a supervisor may fetch past the instruction it executes (isa semantics 4.2)


def element(address: I64, memory: Memory) -> I64:
    """Number of the SRAM element that holds each address; in region 1 a pair of banks counts as one (exchange 7)."""
    low = (address - memory.base) // memory.element_bytes
    split = (memory.interleaved_base - memory.base) // memory.element_bytes
    high = split + (address - memory.interleaved_base) // (2 * memory.element_bytes)
    return np.where(address < memory.interleaved_base, low, high)


def element_start(number: I64, memory: Memory) -> I64:
    """First address of each element."""
    split = (memory.interleaved_base - memory.base) // memory.element_bytes
    high = memory.interleaved_base + (number - split) * 2 * memory.element_bytes
    return np.where(number < split, memory.base + number * memory.element_bytes, high)

"""Marked words of one tile's SRAM, a bit each: uint64[words / 64]."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from tile_emu.jit import jit


@jit(inline=True)
def _mask(low, count):
    """``count`` bits (1..64) from bit ``low`` on."""
    return (np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - count)) << np.uint64(low)


@jit(leaf=True)
def mark(bits, first, count):
    """Mark words; whether one of them was marked before."""
    before = np.uint64(0)
    while count > 0:
        low = first & 63
        part = min(count, 64 - low)
        mask = _mask(low, part)
        before |= bits[first >> 6] & mask
        bits[first >> 6] |= mask
        first += part
        count -= part
    return before != np.uint64(0)


@jit(leaf=True)
def any_marked(bits, first, count):
    """Whether any of some words is marked; words outside are not."""
    end = min(first + count, len(bits) << 6)
    first = max(first, 0)
    while first < end:
        low = first & 63
        part = min(end - first, 64 - low)
        if bits[first >> 6] & _mask(low, part) != np.uint64(0):
            return True
        first += part
    return False


@jit(leaf=True)
def forget(bits, first, count):
    """Unmark some words, and maybe others of their groups of 64."""
    for group in range(first >> 6, ((first + count - 1) >> 6) + 1):
        bits[group] = np.uint64(0)

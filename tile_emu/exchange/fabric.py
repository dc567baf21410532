"""Fabric delays and send directions between tiles.

The formula was recovered from rows of the vendor's compiler for 1,472-tile chips and checked on a C600 card (ipu-stack,
2026). On GC2 it reproduces the published one-column latencies 59 + 2 * row (Jia et al. 2019); its terms across columns
are inferred there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.chips.topology import physical_ids, rows_of
from tile_emu.jit import jit


@jit(inline=True)
def signed_distance(source, destination):  # type: ignore[no-untyped-def]
    """Signed distance along the spine between two physical ids; positive means direction 1."""
    h_s = 1 if (source & 63) >= 32 else 0
    h_d = 1 if (destination & 63) >= 32 else 0
    q_s, q_d = (source >> 2) & 15, (destination >> 2) & 15
    x_s = 15 - q_s if h_s else q_s
    x_d = 15 - q_d if h_d else q_d
    lane_low = destination & 1
    if destination & 2:
        e = 2 if h_d == lane_low else 4
    else:
        e = 1 if h_d == lane_low else 5
    return 6 * (x_d - x_s - (h_s ^ (source & 1))) + e


@jit(inline=True)
def direction_code(source, destination):  # type: ignore[no-untyped-def]
    """sctl bit that makes an item of ``source`` reach ``destination`` (physical ids): 1 or 2."""
    return 1 if signed_distance(source, destination) >= 1 else 2


@jit(inline=True)
def mux_delay(source, destination):  # type: ignore[no-untyped-def]
    """m(s, d) for physical ids: an item sent at event e is at the mux of d at d's event e + m."""
    q_s, q_d = (source >> 2) & 15, (destination >> 2) & 15
    h_s, h_d = q_s >> 3, q_d >> 3
    x_s = 15 - q_s if h_s else q_s
    x_d = 15 - q_d if h_d else q_d
    t = (q_s & 7) + 1 if h_s == h_d else 16 - (q_s & 7)
    rows = (source >> 6) - (destination >> 6)
    return 8 * h_s + t + 4 * x_s - 4 * x_d - q_d + 2 * rows + abs(signed_distance(source, destination)) - 31


@jit(leaf=True)
def mux_delays(source, destination, out):  # type: ignore[no-untyped-def]
    """m for pairs of physical ids given as equally long arrays."""
    for i in range(source.size):
        out[i] = mux_delay(source[i], destination[i])


@jit(leaf=True)
def direction_codes(source, destination, out):  # type: ignore[no-untyped-def]
    """Direction codes for pairs of physical ids given as equally long arrays."""
    for i in range(source.size):
        out[i] = direction_code(source[i], destination[i])


def _per_pair(kernel: Any, chip: Chip, source: Any, destination: Any) -> Any:
    ids = physical_ids(chip)
    s, d = np.broadcast_arrays(ids[np.asarray(source)], ids[np.asarray(destination)])
    out = np.empty(s.size, dtype=np.int32)
    kernel(s.ravel(), d.ravel(), out)
    return int(out[0]) if s.ndim == 0 else out.reshape(s.shape)


def mux_offset(chip: Chip, source: Any, destination: Any) -> Any:
    """m(s, d) in cycles for logical tiles; scalars give an int, arrays broadcast to int32."""
    return _per_pair(mux_delays, chip, source, destination)


def direction(chip: Chip, source: Any, destination: Any) -> Any:
    """Direction code (1 or 2) for logical tiles; scalars give an int, arrays broadcast to int32."""
    return _per_pair(direction_codes, chip, source, destination)


def sample_to_store(chip: Chip) -> NDArray[np.int32]:
    """Cycles from the mux's sample event to the store event, for every logical tile as receiver: int32[tiles]."""
    return (chip.exchange.store_offset + chip.exchange.row_delay * rows_of(chip)).astype(np.int32)


def store_offset(chip: Chip, source: Any, destination: Any) -> Any:
    """Send event at s to store event at d in cycles, each on its own clock: m + 52 + 2 * row of d."""
    total = mux_offset(chip, source, destination) + sample_to_store(chip)[np.asarray(destination)]
    return int(total) if np.ndim(total) == 0 else total

"""The matmul planner: C[M, N] = A[M, K] . B[K, N] over a grid of tiles and over time.

One operand streams through the tiles (its rows are *positions*), the other sits in the weight state (its rows are
*outputs*); both choices are tried. The grid cuts positions, outputs and K into parts. A tile holds a share of its two
blocks (the blocks lie spread over the tiles that use them), gathers them whole by multicast, in as many steps over K as
SRAM asks for, and multiplies. With K cut into parts, the partial sums are exchanged and added: each tile of a group
finishes its share of the block of C.

Search: every useful split of the three dimensions (a split s is useful if no smaller one gives blocks as small), the
smallest number of steps that fits, cost by kernels.planner.cost. Vectorised; nothing is pruned but what cannot fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import (
    COLUMN,
    K_GROUP_BYTES,
    MIN_POSITIONS,
    WORKERS,
    X_OVERREAD,
    MatmulCodelet,
    matmul_codelet,
    reduce_codelet,
)
from kernels.planner.cost import CALL, ceil_div, exchange_cycles, matmul_cycles, reduce_cycles
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import OutOfTileMemory, UsageError

I64 = NDArray[np.int64]

DTYPES = ("f16", "f16f32", "f32")
LEAST_POSITIONS = MIN_POSITIONS * WORKERS  # per tile; fewer are padded
CODE_BYTES = 28 * 1024  # kept free for code, exchange rows and vertex states


@dataclass(frozen=True)
class PlanCycles:
    """Predicted cycles of the busiest tile, by part. ``sync`` is contained in the two exchanges."""

    gather: int  # exchanges that collect the operand blocks
    compute: int  # matmul vertices
    reduce_exchange: int
    reduce: int

    @property
    def total(self) -> int:
        """Cycles of the whole program."""
        return self.gather + self.compute + self.reduce_exchange + self.reduce


@dataclass(frozen=True)
class MatmulPlan:
    """How a product is divided. Sizes per tile are those of the largest blocks."""

    m: int
    k: int
    n: int
    dtype: str
    chip: str
    streamed: str  # "a" or "b": the operand whose rows (columns of B) are the positions
    position_splits: int
    output_splits: int
    k_splits: int
    steps: int  # gathers and vertices over a tile's part of K
    codelet: str
    tile_positions: int  # padded to LEAST_POSITIONS
    tile_out_groups: int
    tile_k_groups: int
    pieces: int  # vertices per step: positions are cut where a worker would get more than the codelet takes
    sram_bytes: int  # predicted, data only
    padding: float  # share of the multiplications of the busiest tile times the tiles used that are not useful
    predicted: PlanCycles

    @property
    def tiles(self) -> int:
        """Tiles used."""
        return self.position_splits * self.output_splits * self.k_splits

    def describe(self) -> str:
        """The plan in a few lines of text."""
        p = self.predicted
        other = "b" if self.streamed == "a" else "a"
        return (
            f"{self.streamed.upper()} streams: {self.position_splits} parts of up to {self.tile_positions} positions; "
            f"{other.upper()} is the weights: {self.output_splits} parts of up to {self.tile_out_groups} groups; "
            f"K: {self.k_splits} parts of up to {self.tile_k_groups} groups, in {self.steps} step(s); "
            f"{self.tiles} tiles\n"
            f"predicted {p.total:,} cycles: gather {p.gather:,}, multiply {p.compute:,}, exchange of partial sums "
            f"{p.reduce_exchange:,}, reduction {p.reduce:,}; padding {100 * self.padding:.1f} %, "
            f"SRAM {self.sram_bytes / 1024:.0f} KiB"
        )


def useful_splits(n: int, most: int) -> I64:
    """The split counts up to ``most`` that are the smallest for their block size ceil(n / s), ascending."""
    counts = np.arange(1, min(n, most) + 1)
    sizes = ceil_div(n, counts)
    return counts[np.r_[True, sizes[1:] != sizes[:-1]]]


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Splits that use no more tiles than there are, and what follows from them; arrays of one length."""

    position_splits: I64
    output_splits: I64
    k_splits: I64
    positions: I64
    out_groups: I64
    k_groups: I64
    steps: I64
    sram: I64


def _grid(positions: int, out_groups: int, k_groups: int, tiles: int) -> tuple[I64, I64, I64]:
    """All triples of useful splits whose product is at most ``tiles``."""
    p, o, k = (useful_splits(n, tiles) for n in (positions, out_groups, k_groups))
    pair = p[:, None] * o[None, :]
    at_p, at_o = np.nonzero(pair <= tiles)
    product = pair[at_p, at_o][:, None] * k[None, :]
    at, at_k = np.nonzero(product <= tiles)
    return p[at_p[at]], o[at_o[at]], k[at_k]


def _candidates(
    codelet: MatmulCodelet, chip: Chip, positions: int, outputs: int, k: int, tiles: int, reserve: int
) -> _Candidates | None:
    """Candidates that fit the SRAM, or None."""
    out_total, k_total = ceil_div(outputs, codelet.outputs), ceil_div(k, codelet.inputs)
    ps, os, ks = _grid(positions, out_total, k_total, tiles)
    block_p = np.maximum(ceil_div(positions, ps), LEAST_POSITIONS)
    block_o, block_k = ceil_div(out_total, os), ceil_div(k_total, ks)
    weights = block_o * codelet.outputs  # rows of the weight block
    sums = block_o * block_p * codelet.position_bytes
    received = np.where(ks > 1, ceil_div(sums, ks * COLUMN) * COLUMN * (ks - 1), 0)
    result = np.where(ks > 1, ceil_div(sums, ks), 0)
    x_home = ceil_div(block_k * block_p * K_GROUP_BYTES, os)
    w_home = ceil_div(block_k * weights * K_GROUP_BYTES, ps)
    fixed = x_home + w_home + sums + received + result + X_OVERREAD + COLUMN
    x_row, w_row = np.where(os > 1, block_p, 0), np.where(ps > 1, weights, 0)  # gathered rows per K group
    memory = chip.memory
    room = memory.size - CODE_BYTES - reserve - fixed
    # the interleaved region holds the weights in use, the sums and what is received
    resident = np.where(ps > 1, 0, w_home)
    upper = memory.end - memory.interleaved_base - reserve // 2 - sums - received - resident
    per_group = np.maximum(x_row + w_row, 1) * K_GROUP_BYTES
    step_groups = np.minimum(room // per_group, block_k)
    at_most = np.where(w_row > 0, upper // np.maximum(w_row * K_GROUP_BYTES, 1), block_k)
    step_groups = np.minimum(step_groups, at_most)
    fits = (step_groups > 0) & (upper >= 0)
    if not fits.any():
        return None
    ps, os, ks, block_p, block_o, block_k, step_groups = (
        array[fits] for array in (ps, os, ks, block_p, block_o, block_k, step_groups)
    )
    steps = ceil_div(block_k, step_groups)
    steps = np.where((ps == 1) & (os == 1), 1, steps)
    sram = fixed[fits] + per_group[fits] * ceil_div(block_k, steps)
    return _Candidates(ps, os, ks, block_p, block_o, block_k, steps, sram)


def _pieces(codelet: MatmulCodelet, positions: Any) -> Any:
    """Vertices per step and tile: no worker of one takes more than codelet.max_positions."""
    return ceil_div(positions, WORKERS * codelet.max_positions)


def _costs(codelet: MatmulCodelet, chip: Chip, c: _Candidates) -> tuple[Any, Any, Any, Any]:
    """Predicted cycles of every candidate: gather, compute, exchange of partials, reduction."""
    x_row = np.where(c.output_splits > 1, c.positions, 0)
    w_row = np.where(c.position_splits > 1, c.out_groups * codelet.outputs, 0)
    words = (x_row + w_row) * K_GROUP_BYTES // 4  # per K group
    few = c.k_groups // c.steps  # K groups of the shorter steps, the first of them
    more = c.k_groups - few * c.steps  # steps with one more
    gather = (c.steps - more) * exchange_cycles(chip, words * few) + more * exchange_cycles(chip, words * (few + 1))
    pieces = _pieces(codelet, c.positions)
    size = ceil_div(c.positions, pieces)
    compute = matmul_cycles(codelet, chip, size, few, c.out_groups, False) + CALL * c.steps
    compute = compute + (c.steps - 1 - more) * matmul_cycles(codelet, chip, size, few, c.out_groups, True)
    compute = pieces * (compute + more * matmul_cycles(codelet, chip, size, few + 1, c.out_groups, True))
    sums = c.out_groups * c.positions * codelet.position_bytes
    share = ceil_div(sums, c.k_splits * COLUMN) * COLUMN
    split = c.k_splits > 1
    exchange = np.where(split, exchange_cycles(chip, share * (c.k_splits - 1) // 4), 0)
    reducer = reduce_codelet(codelet.out_bytes)
    reduce = np.where(split, reduce_cycles(reducer, chip, share, c.k_splits - 1) + CALL, 0)
    return gather, compute, exchange, reduce


def plan_matmul(
    m: int,
    k: int,
    n: int,
    dtype: str = "f16",
    chip: str | Chip = "bow",
    *,
    tiles: int | None = None,
    reserve: int | None = None,
) -> MatmulPlan:
    """The cheapest plan for C[m, n] = A[m, k] . B[k, n].

    ``dtype``: f16 (f16 partial sums and result), f16f32 (f16 operands, f32 sums and result) or f32. ``tiles``: how many
    tiles may be used. ``reserve``: bytes of SRAM to leave unused for the separation of variables into elements
    (default: six elements). Raises UsageError, or OutOfTileMemory if no division fits.
    """
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype '{dtype}': choose one of {', '.join(DTYPES)}")
    if min(m, k, n) < 1:
        raise UsageError(f"matmul of {m} x {k} by {k} x {n}: every size must be at least 1")
    where = load_chip(chip) if isinstance(chip, str) else chip
    most = where.tiles if tiles is None else tiles
    kept = 6 * where.memory.element_bytes * where.memory.size // 638_976 if reserve is None else reserve
    codelet = matmul_codelet(dtype, where)
    best: tuple[tuple[float, int], Any] | None = None
    for streamed, positions, outputs in (("a", m, n), ("b", n, m)):
        found = _candidates(codelet, where, positions, outputs, k, most, kept)
        if found is None:
            continue
        parts = _costs(codelet, where, found)
        total = sum(parts)
        at = int(np.lexsort((found.sram, total))[0])
        key = (float(total[at]), int(found.sram[at]))
        if best is None or key < best[0]:
            best = key, _plan((m, k, n), dtype, where, codelet, streamed, found, parts, at)
    if best is None:
        raise OutOfTileMemory(
            f"matmul of {m} x {k} by {k} x {n} in {dtype} does not fit the SRAM of {most} tiles of {where.name}"
        )
    plan: MatmulPlan = best[1]
    return plan


def _plan(
    shape: tuple[int, int, int],
    dtype: str,
    chip: Chip,
    codelet: MatmulCodelet,
    streamed: str,
    c: _Candidates,
    parts: Any,
    at: int,
) -> MatmulPlan:
    m, k, n = shape
    cycles = PlanCycles(*(int(part[at]) for part in parts))
    tiles = int(c.position_splits[at] * c.output_splits[at] * c.k_splits[at])
    work = int(c.positions[at] * c.out_groups[at] * c.k_groups[at]) * codelet.outputs * codelet.inputs * tiles
    return MatmulPlan(
        m=m,
        k=k,
        n=n,
        dtype=dtype,
        chip=chip.name,
        streamed=streamed,
        position_splits=int(c.position_splits[at]),
        output_splits=int(c.output_splits[at]),
        k_splits=int(c.k_splits[at]),
        steps=int(c.steps[at]),
        codelet=codelet.name,
        tile_positions=int(c.positions[at]),
        tile_out_groups=int(c.out_groups[at]),
        tile_k_groups=int(c.k_groups[at]),
        pieces=int(_pieces(codelet, c.positions[at])),
        sram_bytes=int(c.sram[at]),
        padding=1 - m * k * n / work,
        predicted=cycles,
    )

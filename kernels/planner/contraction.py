"""The planner of contractions: a grid of tiles over groups, K, taps, outputs and the field, and steps in time.

One operand streams through the tiles (its rows are *positions*), the other sits in the weight state (its rows are
*outputs*). The grid cuts groups, rows, columns, images, outputs, the inputs (K) and the kernel positions (taps) into
parts. A tile holds a share of its two blocks (the blocks lie spread over the tiles that use them), gathers them whole
by multicast, in as many steps over K as SRAM asks for, and multiplies. With K or taps cut into parts, the partial sums
are exchanged and added: each tile of a group finishes its share of the block of sums.

Search: every useful split of each dimension (a split s is useful if no smaller one gives blocks as small), the smallest
number of steps that fits, cost by kernels.planner.cost. Vectorised; nothing is pruned but what cannot fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import (
    COLUMN,
    WORKERS,
    MatmulCodelet,
    SlicCodelet,
    least_positions,
    reduce_codelet,
)
from kernels.codelets.elementwise import activation_codelet, cast_codelet
from kernels.contraction.problem import Shape
from kernels.planner.cost import (
    CALL,
    TAP_SLACK,
    ceil_div,
    codelet_for,
    copy_cycles,
    exchange_cycles,
    launch_cycles,
    reduce_cycles,
    vertex_cycles,
)
from kernels.planner.plan import ContractionPlan, PlanCycles
from kernels.planner.plancache import keep_plans, kept_plans
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import OutOfTileMemory
from tile_emu.exchange.pairing import LEAST_ITEMS

I64 = NDArray[np.int64]
AnyCodelet = MatmulCodelet | SlicCodelet

CODE_BYTES = 28 * 1024  # kept free for code and exchange rows
STATE_BYTES = 160  # of a vertex, addresses of planes not counted
PLANE_BYTES = 24  # addresses of one plane for the six workers
PARTNERS = ("w", "x")
KEPT = 10  # plans of a problem that are looked for and kept, even where fewer are wanted


def useful_splits(n: int, most: int) -> I64:
    """The split counts up to ``most`` that are the smallest for their block size ceil(n / s), ascending."""
    counts = np.arange(1, min(n, most) + 1)
    sizes = ceil_div(n, counts)
    return counts[np.r_[True, sizes[1:] != sizes[:-1]]]


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Splits that use no more tiles than there are, and what follows from them; arrays of one length."""

    splits: I64  # [7][n]: groups, K, taps, outputs, rows, columns, images
    groups: I64
    k_groups: I64
    taps: I64  # of the largest part, all variants
    out_groups: I64
    positions: I64  # padded
    units: I64  # of a block of X, per K group
    halo: I64  # units of it that neighbours own
    steps: I64
    sram: I64

    def members(self) -> tuple[I64, I64]:
        """Tiles that share a block of X and a block of W."""
        return self.splits[2] * self.splits[3], self.splits[4] * self.splits[5] * self.splits[6]

    @property
    def sum_splits(self) -> I64:
        """Parts of the sums of an output."""
        return self.splits[1] * self.splits[2]


def _grid(sizes: tuple[int, ...], tiles: int) -> I64:
    """All combinations of useful splits whose product is at most ``tiles``: [sizes][n]."""
    found = np.ones((1, 1), np.int64)
    for size in sizes:
        more = useful_splits(size, tiles)
        product = found[-1][:, None] * more
        at, which = np.nonzero(product <= tiles)
        found = np.concatenate([found[:-1, at], more[None, which], product[None, at, which]])
    return found[:-1]


def _field_blocks(shape: Shape, splits: I64) -> tuple[I64, I64, I64, I64]:
    """Positions (padded) of the largest block, its units per K group, those of a halo, and those of one's own."""
    row_splits, column_splits, image_splits = splits[4:]
    rows, columns, images = (
        ceil_div(n, s)
        for n, s in zip((shape.rows, shape.columns, shape.images), (row_splits, column_splits, image_splits))
    )
    shared = np.where(column_splits == 1, shape.shared_columns, 0)
    pitch = columns + shape.column_reach - shared
    positions = np.maximum(((rows - 1) * pitch + columns) * images, least_positions(shape.window))
    positions += positions % 2 * (shape.window > 1)
    reach = sum(shape.row_reach)
    # with one part of the outputs, tiles with other taps read the same rows (kernels.contraction.builder)
    units = _rows_read(shape, np.where(splits[3] > 1, splits[2], 1), rows) * pitch * images
    inner_rows = shape.planes * rows + np.where(row_splits == 1, reach, 0)
    inner_columns = np.where(column_splits == 1, pitch, columns)
    halo = units - inner_rows * inner_columns * images
    own = (shape.planes * rows + np.where(row_splits == 1, reach, np.minimum(reach, 2 * shape.planes))) * pitch * images
    return positions, units, halo, own


def _rows_read(shape: Shape, tap_splits: I64, rows: I64) -> I64:
    """Rows of a block that the part of the taps reads that reads most; ``rows`` those of the positions."""
    found = np.zeros_like(rows)
    for splits in np.unique(tap_splits).tolist():
        for part in shape.tap_parts(splits):
            planes: dict[int, list[int]] = {}
            for tap in (tap for variant in part for tap in variant):
                planes.setdefault(tap.plane, []).append(tap.row)
            more = sum(max(reached) - min(reached) for reached in planes.values())
            found = np.where(tap_splits == splits, np.maximum(found, len(planes) * rows + more), found)
    return found


def _candidates(shape: Shape, codelet: AnyCodelet, chip: Chip, tiles: int, reserve: int) -> _Candidates:
    """Candidates that fit the SRAM. Raises OutOfTileMemory if there are none."""
    out_total, k_total = ceil_div(shape.outputs, codelet.outputs), ceil_div(shape.inputs, codelet.inputs)
    sizes = (shape.groups, k_total, shape.most_tap_splits, out_total, shape.rows, shape.columns, shape.images)
    splits = _grid(sizes, tiles)
    positions, units, halo, own = _field_blocks(shape, splits)
    gs, ks, ts, os = splits[:4]
    ps, sums_of = splits[4] * splits[5] * splits[6], ks * ts
    groups, block_k, block_o = ceil_div(shape.groups, gs), ceil_div(k_total, ks), ceil_div(out_total, os)
    taps = ceil_div(shape.tap_count, ts)
    weights = block_o * codelet.outputs * taps * shape.window  # units of W per K group
    sums = groups * shape.variants * block_o * positions * codelet.position_bytes
    received = np.where(sums_of > 1, ceil_div(sums, sums_of * COLUMN) * COLUMN * (sums_of - 1), 0)
    result = np.where(sums_of > 1, ceil_div(sums, sums_of), 0)
    x_home = ceil_div(groups * block_k * own * codelet.unit_bytes, os * ts)
    w_home = ceil_div(groups * block_k * weights * codelet.unit_bytes, ps)
    pieces = _pieces(codelet, positions)
    state = groups * pieces * (block_k * taps * PLANE_BYTES + STATE_BYTES * shape.variants)
    fixed = x_home + w_home + sums + received + result + 2 * codelet.over_read + COLUMN + state
    fixed = fixed + _finish_bytes(shape, codelet, groups * block_o, np.where(sums_of > 1, result, sums))
    x_row = groups * np.where((os * ts > 1) | (halo > 0), units, 0)  # gathered units per K group
    w_row = groups * np.where(ps > 1, weights, 0)
    memory = chip.memory
    room = memory.size - CODE_BYTES - reserve - fixed
    # the interleaved region holds the weights in use, the sums and what is received
    resident = np.where(ps > 1, 0, w_home)
    upper = memory.end - memory.interleaved_base - reserve // 2 - sums - received - resident
    # code, rows and vertex states lie in the region below
    low = memory.interleaved_base - memory.base - CODE_BYTES - state
    per_group = np.maximum(x_row + w_row, 1) * codelet.unit_bytes
    step_groups = np.minimum(room // per_group, block_k)
    at_most = np.where(w_row > 0, upper // np.maximum(w_row * codelet.unit_bytes, 1), block_k)
    step_groups = np.minimum(step_groups, at_most)
    fits = (step_groups > 0) & (upper >= 0) & (low >= 0)
    steps = np.where((x_row == 0) & (w_row == 0), 1, ceil_div(block_k, np.maximum(step_groups, 1)))
    fits &= steps <= k_total // ks  # no step without a K group, in any part
    if not fits.any():
        # by how much every candidate misses the tighter of the rooms, even in steps of one K group
        lacking = np.maximum(np.maximum(per_group - room, w_row * codelet.unit_bytes - upper), -low)
        at = int(np.argmin(lacking))
        data = int(memory.size - room[at] - CODE_BYTES - reserve + per_group[at])
        raise _does_not_fit(shape, chip, tiles, len(lacking), int(splits[:, at].prod()), (data, int(lacking[at])))
    steps = steps[fits]
    sram = fixed[fits] + per_group[fits] * ceil_div(block_k[fits], steps)
    kept = {"groups": groups, "k_groups": block_k, "taps": taps, "out_groups": block_o, "positions": positions}
    kept |= {"units": units, "halo": halo}
    return _Candidates(splits[:, fits], **{name: array[fits] for name, array in kept.items()}, steps=steps, sram=sram)


def _does_not_fit(
    shape: Shape, chip: Chip, tiles: int, divisions: int, parts: int, nbytes: tuple[int, int]
) -> OutOfTileMemory:
    """The error; ``parts`` and ``nbytes`` (data on a tile, what it lacks) are those of the closest division."""
    data, lacking = nbytes
    return OutOfTileMemory(
        f"{shape.sizes()} in {shape.dtype} do not fit the SRAM of {tiles} tiles of {chip.name}: the closest of "
        f"{divisions:,} divisions, into {parts} parts, has {data / 1024:,.0f} KiB of data on a tile and "
        f"lacks {max(lacking, 1024) / 1024:,.0f} KiB"
    )


def _pieces(codelet: AnyCodelet, positions: Any) -> Any:
    """Vertices per step, group and variant: no worker of one takes more than codelet.max_positions."""
    return ceil_div(positions, WORKERS * codelet.max_positions)


def _finish_bytes(shape: Shape, codelet: AnyCodelet, out_groups: I64, sums: I64) -> I64:
    """Bytes of a tile for what follows the sums: the bias, at home and gathered, and a result of another format."""
    bias = 2 * out_groups * shape.variants * codelet.position_bytes if shape.finished else 0 * out_groups
    out = shape.out_dtype.itemsize
    return bias + (sums * out // codelet.out_bytes if out != codelet.out_bytes else 0)


def _finish_cycles(shape: Shape, codelet: AnyCodelet, chip: Chip, sums: Any, positions: Any) -> Any:
    """Predicted cycles of bias, activation and change of format, for ``sums`` bytes on the busiest tile."""
    cycles = 0 * sums
    if shape.finished:
        after = activation_codelet(shape.activation, codelet.out_bytes)
        turns = after.most_turns(codelet.chunks, ceil_div(sums, codelet.position_bytes), positions)
        cycles = cycles + CALL + launch_cycles(chip, turns)
    out = shape.out_dtype.itemsize
    if out != codelet.out_bytes:
        cast = cast_codelet(codelet.out_bytes, out)
        quads = ceil_div(sums // (4 * codelet.out_bytes), WORKERS)
        cycles = cycles + CALL + launch_cycles(chip, cast.base_turns + cast.quad_turns * quads)
    return cycles


def _gather_words(shape: Shape, codelet: AnyCodelet, c: _Candidates, partners: str) -> Any:
    """Cycles of the busiest receiver per K group: its words, those that both tiles of a pair take counted half.

    That takes several whole pairs and shares that are long enough (tile_emu.exchange.pairing), in all parts of K.
    """
    x_members, w_members = c.members()
    x = np.where(x_members > 1, c.units, c.halo)
    w = np.where(w_members > 1, c.out_groups * codelet.outputs * c.taps * shape.window, 0)
    # tiles with other taps read other rows of X: only those of a tap part receive the same
    readers = np.where(c.splits[3] > 1, c.splits[3], c.splits[2])
    shared, alone, members, together = (w, x, w_members, w_members) if partners == "w" else (x, w, x_members, readers)
    fewest = ceil_div(shape.inputs, codelet.inputs) // c.splits[1] // c.steps
    share = shared * fewest * codelet.unit_bytes // members
    in_pairs = (together % 2 == 0) & (together > 2) & (share >= 8 * LEAST_ITEMS)
    words = c.groups * (alone + np.where(in_pairs, ceil_div(shared, 2), shared)) * codelet.unit_bytes // 4
    return np.where((c.splits[2] > 1) & (c.splits[3] > 1), np.ceil(TAP_SLACK * words).astype(np.int64), words)


def _copy_cycles(shape: Shape, codelet: AnyCodelet, chip: Chip, c: _Candidates) -> Any:
    """Cycles in which tiles without partners copy their own share next to its halo.

    Most has the part of the last rows and columns, which owns all that its taps reach.
    """
    rows, columns, images = (
        ceil_div(n, s) for n, s in zip((shape.rows, shape.columns, shape.images), c.splits[4:], strict=True)
    )
    own_rows, row = shape.planes * rows + sum(shape.row_reach), (columns + shape.column_reach) * images
    whole = c.splits[5] == 1  # rows are: contiguous in every plane of the field
    pieces = np.where(whole, shape.planes, own_rows)
    units = np.where(whole, ceil_div(own_rows * (row - shape.shared_columns * images), shape.planes), row)
    planes = ceil_div(c.groups * c.k_groups, c.steps)
    each = pieces * (copy_cycles(chip, planes, ceil_div(units * codelet.unit_bytes, 16 * WORKERS)) + CALL)
    padding = copy_cycles(chip, 1, ceil_div(shape.shared_columns * images * codelet.unit_bytes, 16 * WORKERS)) + CALL
    each = each + np.where(whole & (shape.shared_columns > 0), padding, 0)
    return np.where((c.splits[2] * c.splits[3] == 1) & (c.halo > 0), c.steps * each, 0)


def _costs(shape: Shape, codelet: AnyCodelet, chip: Chip, c: _Candidates, partners: str) -> tuple[Any, ...]:
    """Predicted cycles of every candidate: gather, compute, exchange of partials, reduction, what follows."""
    words = _gather_words(shape, codelet, c, partners)
    few = c.k_groups // c.steps  # K groups of the shorter steps, the first of them
    more = c.k_groups - few * c.steps  # steps with one more
    gather = (c.steps - more) * exchange_cycles(chip, words * few) + more * exchange_cycles(chip, words * (few + 1))
    pieces = _pieces(codelet, c.positions)
    size = ceil_div(c.positions, pieces)
    compute = 0 * size
    # the taps of several variants are not cut
    for taps in (len(variant) for variant in shape.taps) if shape.variants > 1 else (c.taps,):
        cycles = vertex_cycles(codelet, chip, size, few * taps, c.out_groups, False) + CALL * c.steps
        cycles = cycles + (c.steps - 1 - more) * vertex_cycles(codelet, chip, size, few * taps, c.out_groups, True)
        longer = vertex_cycles(codelet, chip, size, (few + 1) * taps, c.out_groups, True)
        compute = compute + pieces * c.groups * (cycles + more * longer)
    sums = c.groups * shape.variants * c.out_groups * c.positions * codelet.position_bytes
    compute = compute + _copy_cycles(shape, codelet, chip, c)
    parts = c.sum_splits
    share = ceil_div(sums, parts * COLUMN) * COLUMN
    exchange = np.where(parts > 1, exchange_cycles(chip, share * (parts - 1) // 4), 0)
    reducer = reduce_codelet(codelet.out_bytes)
    reduce = np.where(parts > 1, reduce_cycles(reducer, chip, share, parts - 1) + CALL, 0)
    finish = _finish_cycles(shape, codelet, chip, np.where(parts > 1, share, sums), c.positions)
    return gather, compute, exchange, reduce, finish


def plan_contraction(
    shape: Shape, chip: str | Chip = "bow", *, tiles: int | None = None, reserve: int | None = None, best: int = 1
) -> list[ContractionPlan]:
    """The ``best`` cheapest plans, the cheapest first; kept on disk (kernels.planner.plancache).

    ``tiles``: how many tiles may be used. ``reserve``: bytes of SRAM to leave unused for the separation of variables
    into elements (default: six elements). Raises OutOfTileMemory if no division fits.
    """
    where = load_chip(chip) if isinstance(chip, str) else chip
    most = where.tiles if tiles is None else tiles
    free = 6 * where.memory.element_bytes * where.memory.size // 638_976 if reserve is None else reserve
    count = max(best, KEPT)
    limits = (most, free, count)
    kept = kept_plans(shape, where, limits)
    if kept is None:
        kept = search(shape, where, most, free, count)
        keep_plans(shape, where, limits, kept)
    return kept[:best]


def search(shape: Shape, where: Chip, most: int, reserve: int, best: int) -> list[ContractionPlan]:
    """The ``best`` cheapest plans for at most ``most`` tiles, worked out anew. Raises OutOfTileMemory."""
    codelet = codelet_for(shape, where)
    found = _candidates(shape, codelet, where, most, reserve)
    plans = []
    for partners in PARTNERS:
        parts = _costs(shape, codelet, where, found, partners)
        order = np.lexsort((found.sram, sum(parts)))[:best]
        plans += [_plan(shape, where, codelet, partners, found, parts, int(at)) for at in order]
    return sorted(plans, key=lambda plan: (plan.predicted.total, plan.sram_bytes))[:best]


def _plan(
    shape: Shape, chip: Chip, codelet: AnyCodelet, partners: str, c: _Candidates, parts: tuple[Any, ...], at: int
) -> ContractionPlan:
    cycles = PlanCycles(*(int(part[at]) for part in parts))
    gs, ks, ts, os, rs, cs, images = (int(split) for split in c.splits[:, at])
    per_tile = int(c.groups[at] * c.positions[at] * c.out_groups[at] * c.k_groups[at] * c.taps[at]) * shape.window
    work = per_tile * codelet.outputs * codelet.inputs * int(c.splits[:, at].prod())
    return ContractionPlan(
        shape=shape,
        chip=chip.name,
        group_splits=gs,
        row_splits=rs,
        column_splits=cs,
        image_splits=images,
        output_splits=os,
        k_splits=ks,
        steps=int(c.steps[at]),
        partners=partners,
        codelet=codelet.name,
        tile_groups=int(c.groups[at]),
        tile_positions=int(c.positions[at]),
        tile_out_groups=int(c.out_groups[at]),
        tile_k_groups=int(c.k_groups[at]),
        pieces=int(_pieces(codelet, c.positions[at])),
        sram_bytes=int(c.sram[at]),
        padding=1 - shape.macs / work,
        predicted=cycles,
        tap_splits=ts,
    )

"""Kernel positions cut over tiles: the planner's search against loops over every division, and its choices."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from kernels.codelets import matmul_codelet, reduce_codelet
from kernels.contraction.problem import Shape, Tap
from kernels.convolution import plan_pass
from kernels.convolution.geometry import Convolution, contractions
from kernels.planner import cost
from kernels.planner.contraction import plan_contraction
from tests.contraction_tools import gathered
from tile_emu.chips import load_chip

BOW = load_chip("bow")
CODELET = matmul_codelet("f16", BOW)


def shape_of(conv: Convolution) -> Shape:
    (put,) = contractions(conv, "fwd", "NCHW", "f16", CODELET)
    return put.shape


def rows_read(shape: Shape, parts: int, rows: int) -> list[int]:
    """Rows of X that each part of the taps reads for ``rows`` rows of positions, one after another in every plane."""
    (taps,) = shape.taps
    found = []
    for part in range(parts):
        read: dict[int, set[int]] = {}
        for tap in taps[part * len(taps) // parts : (part + 1) * len(taps) // parts]:
            read.setdefault(tap.plane, set()).update(range(tap.row, tap.row + rows))
        found.append(sum(max(rows) - min(rows) + 1 for rows in read.values()))
    return found


def predicted(shape: Shape, parts: tuple[int, int, int, int]) -> int:
    """Cycles of one division into K, tap, output and row parts, in one step, term by term; columns are whole."""
    ks, ts, os, rs = parts
    k_groups, taps = math.ceil(math.ceil(shape.inputs / 16) / ks), math.ceil(len(shape.taps[0]) / ts)
    out_groups, rows = math.ceil(math.ceil(shape.outputs / 16) / os), math.ceil(shape.rows / rs)
    pitch = shape.columns + shape.column_reach - shape.shared_columns
    positions = max((rows - 1) * pitch + shape.columns, 24)
    # where every part of the taps has one tile, all of them receive all rows
    readers, read = (os, ts) if os > 1 else (ts, 1)
    x = max(rows_read(shape, read, rows)) * pitch if os * ts > 1 else 0
    assert rs == 1 or os * ts > 1  # no tile reads its neighbours' rows alone
    w = out_groups * 16 * taps if rs > 1 else 0
    least = math.ceil(shape.inputs / 16) // ks
    words = min(gathered({rs: w}, {readers: x}, least), gathered({readers: x}, {rs: w}, least, homes=os * ts))
    words *= k_groups * 8
    if min(ts, os) > 1:
        words = math.ceil(cost.TAP_SLACK * words)
    total = int(cost.exchange_cycles(BOW, words))
    total += int(cost.matmul_cycles(CODELET, BOW, positions, k_groups * taps, out_groups, False)) + cost.CALL
    if ks * ts > 1:
        share = math.ceil(out_groups * positions * 32 / (16 * ks * ts)) * 16
        total += int(cost.exchange_cycles(BOW, share * (ks * ts - 1) // 4)) + cost.CALL
        total += int(cost.reduce_cycles(reduce_codelet(2), BOW, share, ks * ts - 1))
    return total


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("tiles", [6, 30, 64])
def test_no_division_of_a_few_tiles_is_cheaper(tiles: int, stride: int) -> None:
    """A field of few columns, which are never cut; images and groups there are none."""
    shape = shape_of(Convolution(1, 64, 12, 2, 48, (3, 3), (stride, 1), (1, 1, 1, 1)))
    best = min(
        predicted(shape, parts)
        for parts in itertools.product(range(1, 5), range(1, 10), range(1, 4), range(1, shape.rows + 1))
        if math.prod(parts) <= tiles and (parts[3] == 1 or parts[1] * parts[2] > 1)
    )
    plans = plan_contraction(shape, "bow", tiles=tiles, best=40)
    assert next(plan for plan in plans if plan.column_splits == 1).predicted.total == best


def test_parts_of_taps() -> None:
    """Consecutive, none lost, as equal as can be; windows and several sets of outputs stay whole."""
    (taps,) = shape_of(Convolution(1, 16, 8, 8, 16, (3, 3), padding=(1, 1, 1, 1))).taps
    shape = Shape(1, 1, 8, 8, 16, 16, "f16", (taps,))
    for splits in range(1, shape.most_tap_splits + 1):
        parts = shape.tap_parts(splits)
        assert tuple(tap for (part,) in parts for tap in part) == taps
        sizes = [len(part) for (part,) in parts]
        assert len(sizes) == splits and max(sizes) - min(sizes) <= 1
    assert shape.most_tap_splits == 9
    assert dataclasses.replace(shape, taps=((Tap(),), (Tap(0, 1),))).most_tap_splits == 1
    assert dataclasses.replace(shape, taps=((Tap(), Tap(0, 1)),), window=4).most_tap_splits == 1


@pytest.mark.parametrize(("size", "channels"), [(56, 64), (28, 128)])
def test_layers_of_one_image_gain(size: int, channels: int) -> None:
    """3 x 3 layers of ResNet-50 at batch 1: the kernel's rows on different tiles, fewer and longer launches."""
    conv = Convolution(1, channels, size, size, channels, (3, 3), padding=(1, 1, 1, 1))
    plans = plan_pass(conv, "fwd", best=2000)
    whole = next(plan for plan in plans if plan.tap_splits == 1)
    assert plans[0].tap_splits == 3 and plans[0].sum_splits == 3 * plans[0].k_splits
    assert plans[0].predicted.total < 0.96 * whole.predicted.total
    assert plans[0].launches < whole.launches
    assert "9 taps in 3 parts" in plans[0].describe()


def test_all_of_a_tile_s_launches_are_counted() -> None:
    conv = Convolution(1, 64, 12, 12, 48, (3, 3), padding=(1, 1, 1, 1))
    plan = plan_pass(conv, "fwd", tiles=4)[0]
    forced = dataclasses.replace(plan, k_splits=2, tap_splits=2, tile_k_groups=2)
    assert forced.launches == 2 * 5
    assert np.prod((forced.k_splits, forced.tap_splits)) == forced.sum_splits

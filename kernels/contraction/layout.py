"""Arrays of many blocks at once: cuts, indices of nested loops of differing sizes, places in host arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels.contraction.problem import Axis, HostView
from tile_emu.jit import jit

I64 = NDArray[np.int64]


def cuts(n: int, parts: int) -> I64:
    """Balanced cut points, i64[parts + 1]."""
    return np.arange(parts + 1) * n // parts


def offsets(sizes: I64) -> I64:
    """Where each of consecutive blocks begins."""
    return np.cumsum(sizes) - sizes


def ranges(start: I64, count: I64) -> I64:
    """start[0], start[0] + 1, ... (count[0] of them), start[1], ..."""
    return np.repeat(start - offsets(count), count) + np.arange(count.sum(dtype=np.int64))


def nested(*sizes: ArrayLike) -> list[I64]:
    """Indices of nested loops, first the number of the block, then the loops from outermost to innermost.

    Every size is an int array over the blocks (or an int); the results list all iterations of all blocks in order.
    """
    every = [np.asarray(size, np.int64).ravel() for size in np.broadcast_arrays(*sizes)]
    total = np.prod(np.stack(every), axis=0)
    block = np.repeat(np.arange(len(total)), total)
    rest = np.arange(total.sum(dtype=np.int64)) - np.repeat(offsets(total), total)
    found = []
    for size in reversed(every):
        rest, index = np.divmod(rest, size[block])
        found.append(index)
    return [block, *reversed(found)]


def add(*parts: Axis) -> Axis:
    """The sum of contributions, element by element."""
    return Axis(sum(p.base for p in parts), sum(p.y for p in parts), sum(p.x for p in parts))  # type: ignore[arg-type]


def take(axis: Axis, *index: I64) -> Axis:
    """The contributions at the given indices."""
    return Axis(axis.base[index], axis.y[index], axis.x[index])


@jit(leaf=True)
def _fill(base: Any, y: Any, x: Any, group: Any, ibase: Any, iy: Any, ix: Any, view: Any, at: Any, out: Any) -> None:
    height, width, row_stride, column_stride, inner = view
    for unit in range(len(base)):
        first = group[unit] * inner
        for i in range(inner):
            where = base[unit] + ibase[first + i]
            down = y[unit] + iy[first + i]
            across = x[unit] + ix[first + i]
            if where >= 0 and 0 <= down < height and 0 <= across < width:
                out[at[unit] + i] = where + down * row_stride + across * column_stride


def host_order(view: HostView, units: Axis, group: I64, inner: Axis, width: int, at: I64, elements: int) -> I64:
    """Host index of each of ``elements`` elements, -1 where there is none.

    Unit u covers ``width`` elements from ``at[u]`` on: indices ``group[u] * width`` and up of the axis ``inner``, added
    to the unit's own contribution.
    """
    out = np.full(elements, -1, np.int64)
    padded = inner.padded(-(-len(inner.base) // width) * width)
    bounds = (view.height, view.width, view.row_stride, view.column_stride, width)
    _fill(units.base, units.y, units.x, group, padded.base, padded.y, padded.x, bounds, at, out)
    return out

"""What all AMP work has in common: a contraction over input planes.

For every group g, every output position p, every output o of a variant v of the outputs:

    OUT[g][v][p][o] = sum over taps t of v, over inputs i of   X[g][plane_t][p + shift_t][i] * W[g][v][o][t][i]

A product of matrices has one tap and no shift. A convolution has a tap for each kernel position; a stride s splits the
padded field into s x s planes, of which each tap reads one, shifted. The gradient of a strided convolution by its data
has s x s variants of outputs, each with the taps that reach it. Groups are batches, attention heads, convolution
groups.

Positions are [row][column][image]. How the host's arrays map to this is said by axes: an element's place in the array
is a sum over the axes' contributions, and an element whose y or x leaves the array is padding.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels.codelets.elementwise import ACTIVATIONS
from tile_emu.errors import UsageError

I64 = NDArray[np.int64]

OPERAND_DTYPE = {"f16": np.float16, "f16f32": np.float16, "f32": np.float32}
RESULT_DTYPE = {"f16": np.float16, "f16f32": np.float32, "f32": np.float32}
OUT_DTYPE = {"f16": np.float16, "f32": np.float32}
NOWHERE = -(1 << 50)  # base of an index that holds no element, whatever the other axes add


@dataclass(frozen=True, order=True)
class Tap:
    """What one kernel position reads: a plane of the field, shifted down and right (shifts are not negative)."""

    plane: int = 0
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Shape:
    """The sizes of a contraction: all that a plan depends on.

    ``taps`` are listed for each variant. ``shared_columns``: how many of the columns that a row of a plane has beyond
    ``columns`` may be those of the next row's start, both being padding; that saves room and positions.

    A tap may be a ``window`` of columns, from its own on; the weights then have as many taps for it. Windows of four
    are for the slim convolution codelet, which takes few inputs and outputs.

    ``bias`` and ``activation`` (none, relu, gelu, tanh) follow the sums; ``out``: format of the result, f16 or f32,
    None: that of the sums.
    """

    groups: int
    images: int
    rows: int
    columns: int
    inputs: int
    outputs: int
    dtype: str
    taps: tuple[tuple[Tap, ...], ...] = ((Tap(),),)
    shared_columns: int = 0
    bias: bool = False
    activation: str = "none"
    out: str | None = None
    window: int = 1

    def __post_init__(self) -> None:
        if self.dtype not in OPERAND_DTYPE:
            raise UsageError(f"unknown dtype '{self.dtype}': choose one of {', '.join(OPERAND_DTYPE)}")
        if self.activation not in ACTIVATIONS:
            raise UsageError(f"unknown activation '{self.activation}': choose one of {', '.join(ACTIVATIONS)}")
        if self.out not in (None, *OUT_DTYPE):
            raise UsageError(f"unknown format of the result '{self.out}': choose one of {', '.join(OUT_DTYPE)}")
        if min(self.groups, self.images, self.rows, self.columns, self.inputs, self.outputs) < 1:
            raise UsageError(f"every size of a contraction must be at least 1: {self.sizes()}")
        if not self.taps or not all(self.taps):
            raise UsageError("every variant of the outputs needs a tap")

    def sizes(self) -> str:
        """The sizes in one line."""
        kernel = "" if self.flat else f" by {self.tap_count} taps"
        return (
            f"{self.groups} x {self.images} x {self.rows} x {self.columns} positions, {self.inputs} inputs{kernel}, "
            f"{self.outputs} outputs"
        )

    @property
    def variants(self) -> int:
        """How many sets of outputs there are."""
        return len(self.taps)

    @property
    def tap_count(self) -> int:
        """Taps of all variants."""
        return sum(len(taps) for taps in self.taps)

    @property
    def most_tap_splits(self) -> int:
        """Into how many parts the taps may be cut: those of one set of outputs; windows stay together."""
        return len(self.taps[0]) if self.variants == 1 and self.window == 1 else 1

    def tap_parts(self, splits: int) -> list[tuple[tuple[Tap, ...], ...]]:
        """The taps of each variant in each of ``splits`` parts of consecutive ones, of sizes as equal as can be."""
        if splits == 1:
            return [self.taps]
        cut = [len(self.taps[0]) * part // splits for part in range(splits + 1)]
        return [(self.taps[0][low:high],) for low, high in itertools.pairwise(cut)]

    @property
    def weight_taps(self) -> int:
        """Taps that the weights have, all columns of all windows."""
        return self.tap_count * self.window

    @property
    def planes(self) -> int:
        """Planes of the field."""
        return 1 + max(tap.plane for taps in self.taps for tap in taps)

    @property
    def row_reach(self) -> tuple[int, ...]:
        """For each plane, the rows it has beyond ``rows``."""
        every = [tap for taps in self.taps for tap in taps]
        return tuple(max((t.row for t in every if t.plane == plane), default=0) for plane in range(self.planes))

    @property
    def column_reach(self) -> int:
        """Columns that every plane has beyond ``columns``."""
        return max(tap.column for taps in self.taps for tap in taps) + self.window - 1

    @property
    def finished(self) -> bool:
        """Whether a bias or an activation follows the sums."""
        return self.bias or self.activation != "none"

    @property
    def out_dtype(self) -> np.dtype[Any]:
        """Format of the result."""
        return np.dtype(RESULT_DTYPE[self.dtype] if self.out is None else OUT_DTYPE[self.out])

    @property
    def flat(self) -> bool:
        """Whether positions are independent of one another: no taps but one, in place."""
        return self.taps == ((Tap(),),) and self.window == 1

    @property
    def macs(self) -> int:
        """Multiplications that are asked for, those with padding included."""
        return self.groups * self.images * self.rows * self.columns * self.inputs * self.outputs * self.weight_taps


@dataclass(frozen=True, eq=False)
class Axis:
    """What each index of one dimension adds to an element's place: three i64 arrays of one shape."""

    base: I64
    y: I64
    x: I64

    @staticmethod
    def of(base: ArrayLike = 0, y: ArrayLike = 0, x: ArrayLike = 0) -> Axis:
        """An axis of broadcast parts."""
        return Axis(*(np.ascontiguousarray(a, np.int64) for a in np.broadcast_arrays(*map(np.asarray, (base, y, x)))))

    @staticmethod
    def strided(n: int, stride: int) -> Axis:
        """n indices, ``stride`` elements apart."""
        return Axis.of(np.arange(n) * stride)

    def padded(self, n: int) -> Axis:
        """The last dimension lengthened to ``n`` by indices that hold nothing."""
        more = [(0, 0)] * (self.base.ndim - 1) + [(0, max(n - self.base.shape[-1], 0))]
        return Axis(np.pad(self.base, more, constant_values=NOWHERE), np.pad(self.y, more), np.pad(self.x, more))


@dataclass(frozen=True, eq=False)
class HostView:
    """An array of the host: place = base + y * row_stride + x * column_stride while 0 <= y < height, 0 <= x < width."""

    name: str
    shape: tuple[int, ...]
    axes: dict[str, Axis]
    height: int = 1
    width: int = 1
    row_stride: int = 0
    column_stride: int = 0

    def axis(self, name: str) -> Axis:
        """The named axis; one index that adds nothing if the array has no such dimension."""
        return self.axes.get(name, Axis.of([0]))


@dataclass(frozen=True, eq=False)
class Contraction:
    """A shape and the host's arrays.

    Axes of ``x``: group [groups], image [images], row [planes, rows + reach], column [planes, columns + reach],
    input [inputs]. Of ``w``: group, output [outputs], input, tap [all taps, variant after variant]. Of ``out``: group,
    image, row [variants, rows], column [variants, columns], output. Of ``bias``: output, and group where it has one for
    each; there must be one if the shape is ``finished``, zeros if need be.
    """

    shape: Shape
    x: HostView
    w: HostView
    out: HostView
    bias: HostView | None = None


def matrix_product(
    batch: int, m: int, k: int, n: int, dtype: str, *, names: tuple[str, str, str] = ("a", "b", "c"), streamed: str
) -> Contraction:
    """C[batch, m, n] = A[batch, m, k] . B[batch, k, n]; ``streamed`` "a" or "b": whose rows are the positions.

    The arrays of the host have the batch dimension only if ``batch`` is above 1.
    """
    lead = (batch,) if batch > 1 else ()
    group = {"a": m * k, "b": k * n, "c": m * n}
    strides = {"a": (k, 1), "b": (1, n)}  # of a row (m or n) and of the depth

    def operand(which: str, name: str, along: str) -> HostView:
        count = m if which == "a" else n
        row, depth = strides[which]
        axes = {"group": Axis.strided(batch, group[which]), "input": Axis.strided(k, depth)}
        line = Axis.strided(count, row)
        axes[along] = Axis(*(part[None] for part in (line.base, line.y, line.x))) if along == "column" else line
        return HostView(name, (*lead, *((m, k) if which == "a" else (k, n))), axes)

    other = {"a": "b", "b": "a"}[streamed]
    positions, outputs = (m, n) if streamed == "a" else (n, m)
    column, output = (n, 1) if streamed == "a" else (1, n)
    result = {
        "group": Axis.strided(batch, group["c"]),
        "column": Axis.of(np.arange(positions)[None] * column),
        "output": Axis.strided(outputs, output),
    }
    name = {"a": names[0], "b": names[1]}
    return Contraction(
        Shape(batch, 1, 1, positions, k, outputs, dtype),
        operand(streamed, name[streamed], "column"),
        operand(other, name[other], "output"),
        HostView(names[2], (*lead, m, n), result),
    )


def finished(
    contraction: Contraction, *, bias: bool, activation: str = "none", out: str | None = None, per_group: bool = False
) -> Contraction:
    """The contraction followed by bias, activation and change of format.

    The host's array "bias" has one element for each output, ``per_group`` for each output of each group, in that order.
    Raises UsageError for an unknown activation or format.
    """
    shape = dataclasses.replace(contraction.shape, bias=bias, activation=activation, out=out)
    if not shape.finished:
        return dataclasses.replace(contraction, shape=shape)
    axes = {"output": Axis.strided(shape.outputs, 1)}
    groups = shape.groups if per_group else 1
    if per_group:
        axes["group"] = Axis.strided(groups, shape.outputs)
    view = HostView("bias", (groups * shape.outputs,), axes)
    return dataclasses.replace(contraction, shape=shape, bias=view)

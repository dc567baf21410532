"""Sizes of a 2-D convolution, and its three passes put as contractions.

    out[n][o][y][x] = sum over c, i, j of  x[n][c][y s + i d - p][x s + j d - p] * w[o][c][i][j]

Forward: positions are the output's, taps the kernel positions; a stride s cuts the padded field into s x s planes.
Gradient by the data: positions are the input's, one variant for each remainder of y and x by the stride, with the
taps that reach it; or the remainders are packed into the outputs, which suits few channels. Gradient by the weights: K
runs over the output positions; the streamed rows are kernel positions and channels. There the host's elements appear
once for each kernel position (patches), already where they are needed; that rearrangement is not charged. The same is
done to pack the kernel positions of a first layer's few channels into inputs. Small groups are packed into one with
zero weights between them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.codelets import SLIC_COLUMNS, MatmulCodelet, SlicCodelet
from kernels.contraction.problem import NOWHERE, Axis, Contraction, HostView, Shape, Tap
from tile_emu.errors import UsageError

LAYOUTS = ("NCHW", "NHWC")
PASSES = ("fwd", "bwd-data", "bwd-weights")


@dataclass(frozen=True)
class Convolution:
    """Sizes. ``padding`` is (top, bottom, left, right); everything in elements. Raises UsageError."""

    batch: int
    channels: int
    height: int
    width: int
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        sizes = (self.batch, self.channels, self.height, self.width, self.outputs, self.groups)
        if min(*sizes, *self.kernel, *self.stride, *self.dilation) < 1:
            raise UsageError(f"every size, stride and dilation of a convolution must be at least 1: {self.describe()}")
        if min(self.padding) < 0:
            raise UsageError(f"padding {self.padding}: it must not be negative")
        if self.channels % self.groups or self.outputs % self.groups:
            raise UsageError(f"{self.groups} groups do not divide {self.channels} channels and {self.outputs} outputs")
        if min(self.out_height, self.out_width) < 1:
            raise UsageError(f"the kernel is larger than the padded input: {self.describe()}")

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        reach = self.dilation[0] * (self.kernel[0] - 1) + 1
        return (self.height + self.padding[0] + self.padding[1] - reach) // self.stride[0] + 1

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        reach = self.dilation[1] * (self.kernel[1] - 1) + 1
        return (self.width + self.padding[2] + self.padding[3] - reach) // self.stride[1] + 1

    @property
    def group_channels(self) -> int:
        """Channels of a group."""
        return self.channels // self.groups

    @property
    def group_outputs(self) -> int:
        """Outputs of a group."""
        return self.outputs // self.groups

    @property
    def macs(self) -> int:
        """Multiplications, those with padding included: the same for all three passes."""
        field = self.batch * self.out_height * self.out_width
        return field * self.outputs * self.group_channels * self.kernel[0] * self.kernel[1]

    def x_shape(self, layout: str) -> tuple[int, ...]:
        """Shape of the input as the host has it."""
        return _shape(layout, self.batch, self.channels, self.height, self.width)

    def out_shape(self, layout: str) -> tuple[int, ...]:
        """Shape of the output as the host has it."""
        return _shape(layout, self.batch, self.outputs, self.out_height, self.out_width)

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        """Shape of the weights: outputs, channels of a group, kernel rows, kernel columns."""
        return self.outputs, self.group_channels, *self.kernel

    def describe(self) -> str:
        """The sizes in one line."""
        kernel, stride = "x".join(map(str, self.kernel)), "x".join(map(str, self.stride))
        text = (
            f"batch {self.batch}, {self.channels} channels {self.height}x{self.width}, {self.outputs} outputs, "
            f"kernel {kernel}, stride {stride}, padding {','.join(map(str, self.padding))}"
        )
        if self.dilation != (1, 1):
            text += f", dilation {'x'.join(map(str, self.dilation))}"
        return text + (f", {self.groups} groups" if self.groups > 1 else "")


def check_layout(layout: str) -> None:
    """Raise UsageError for a layout that is none."""
    if layout not in LAYOUTS:
        raise UsageError(f"unknown layout '{layout}': choose one of {', '.join(LAYOUTS)}")


def _shape(layout: str, batch: int, channels: int, height: int, width: int) -> tuple[int, ...]:
    check_layout(layout)
    return (batch, channels, height, width) if layout == "NCHW" else (batch, height, width, channels)


@dataclass(frozen=True)
class _Strides:
    """Elements from index to index of an image array."""

    image: int
    channel: int
    row: int
    column: int

    @staticmethod
    def of(layout: str, channels: int, height: int, width: int) -> _Strides:
        if layout == "NCHW":
            return _Strides(channels * height * width, height * width, width, 1)
        return _Strides(channels * height * width, 1, width * channels, channels)


def contractions(
    conv: Convolution, which: str, layout: str, dtype: str, codelet: MatmulCodelet, slim: SlicCodelet | None = None
) -> list[Contraction]:
    """The ways to put one pass (PASSES). Views are named x, w, out; gradients dx, dw, dout.

    ``codelet`` and ``slim`` are those of the dtype on the chip; with ``slim``, groups of few channels are put as
    windows too.
    """
    found = _plain(conv, which, layout, dtype, codelet)
    inputs, outputs = (conv.group_channels, conv.group_outputs)[:: 1 if which == "fwd" else -1]
    most = 0 if slim is None else min(slim.inputs // inputs, slim.outputs // outputs)  # groups treated as one
    if most and conv.groups > 1 and which != "bwd-weights":
        pack = max(pack for pack in range(1, most + 1) if conv.groups % pack == 0)
        put = (_forward if which == "fwd" else _data)(conv, layout, dtype, pack)
        if not put.shape.flat:
            found.append(_windows(put, conv.stride[1] if which == "fwd" else 1))
    return found


def _stacked(plain: Contraction) -> Contraction:
    """The same with the images below one another in one field, the rows that a tap reaches between them."""
    s = plain.shape
    pitch = s.rows + max(s.row_reach)
    rows = s.images * pitch - max(s.row_reach)

    def stack(view: HostView, count: int, kept: Sequence[int]) -> HostView:
        image, row = np.divmod(np.arange(count), pitch)
        axis, images = view.axes["row"], view.axes["image"]
        inside = row < np.array(kept)[:, None]
        held = np.minimum(row, axis.y.shape[1] - 1)
        base = np.where(inside, images.base[np.minimum(image, s.images - 1)], NOWHERE)
        axes = view.axes | {"row": Axis.of(base, axis.y[:, held]), "image": Axis.of([0])}
        return dataclasses.replace(view, axes=axes)

    source = stack(plain.x, rows + max(s.row_reach), [s.rows + reach for reach in s.row_reach])
    out = stack(plain.out, rows, [s.rows] * s.variants)
    return dataclasses.replace(plain, shape=dataclasses.replace(s, images=1, rows=rows), x=source, out=out)


def _windows(plain: Contraction, step: int) -> Contraction:
    """Taps of one plane and row put together as windows; ``step``: columns of the host from column to column.

    Neighbouring positions of a window are neighbouring columns, so there may be only one image.
    """
    if plain.shape.images > 1:
        plain = _stacked(plain)
    taps, numbers, first = [], list[int](), 0
    for variant in plain.shape.taps:
        at = {(tap.plane, tap.row, tap.column): first + i for i, tap in enumerate(variant)}
        first += len(variant)
        left, windows = sorted(at), []
        while left:
            plane, row, start = left[0]
            inside = [(plane, row, start + more) for more in range(SLIC_COLUMNS)]
            numbers += [at.get(place, -1) for place in inside]
            left = [place for place in left if place not in inside]
            windows.append(Tap(plane, row, start))
        taps.append(tuple(windows))
    shape = dataclasses.replace(plain.shape, taps=tuple(taps), window=SLIC_COLUMNS)
    more = shape.column_reach - plain.shape.column_reach
    column = plain.x.axes["column"].x
    longer = np.concatenate([column, column[:, -1:] + step * np.arange(1, more + 1)], axis=1)
    tap = plain.w.axes["tap"]
    places = np.where(np.array(numbers) < 0, NOWHERE, tap.base[numbers])
    return dataclasses.replace(
        plain,
        shape=dataclasses.replace(shape, shared_columns=_shared(longer, plain.x.width, shape.column_reach)),
        x=dataclasses.replace(plain.x, axes=plain.x.axes | {"column": Axis.of(0, 0, longer)}),
        w=dataclasses.replace(plain.w, axes=plain.w.axes | {"tap": Axis.of(places)}),
    )


def _plain(conv: Convolution, which: str, layout: str, dtype: str, codelet: MatmulCodelet) -> list[Contraction]:
    """The ways that suit the matrix codelets."""
    pack = _pack(conv, which, codelet)
    if which == "bwd-weights":
        return [_weights(conv, layout, dtype, pack, swapped) for swapped in (False, True)]
    if which == "bwd-data":
        found = [_data(conv, layout, dtype, pack)]
        together = found[0].shape.variants > 1 and pack == 1 and conv.dilation == (1, 1)
        return [*found, _data_together(conv, layout, dtype)] if together else found
    if which != "fwd":
        raise UsageError(f"unknown pass '{which}': choose one of {', '.join(PASSES)}")
    if pack * conv.group_channels < codelet.inputs and conv.kernel != (1, 1):
        shallow = [_patches(conv, layout, dtype, pack), _forward(conv, layout, dtype, pack)]
        return shallow if conv.kernel[1] == 1 else [*shallow, _row_patches(conv, layout, dtype, pack)]
    found = [_forward(conv, layout, dtype, pack)]
    return [*found, _swapped(found[0])] if found[0].shape.flat else found


def _pack(conv: Convolution, which: str, codelet: MatmulCodelet) -> int:
    """Groups to treat as one: the largest divisor of those that make fewest multiplications with padding."""
    sizes = (conv.group_channels, conv.group_outputs)
    inputs, outputs = sizes if which == "fwd" else sizes[::-1]
    if which == "bwd-weights":  # the channels stream: no multiplications with padding there
        inputs, outputs = codelet.inputs, conv.group_outputs

    def work(pack: int) -> tuple[int, int]:
        deep = -(-pack * inputs // codelet.inputs) * codelet.inputs if which != "bwd-weights" else pack * inputs
        return deep * (-(-pack * outputs // codelet.outputs)) * codelet.outputs * (conv.groups // pack), -pack

    return min((pack for pack in range(1, conv.groups + 1) if conv.groups % pack == 0), key=work)


def _inside(pack: int, count: int, stride: int) -> Axis:
    """Indices of ``pack`` groups of ``count``, ``stride`` apart within a group; y tells the group."""
    group, index = np.divmod(np.arange(pack * count), count)
    return Axis.of(index * stride, group)


def _opposite(axis: Axis, group_stride: int) -> Axis:
    """The same with the group's own place in the array, and a y that cancels that of its own group only."""
    return Axis.of(axis.base + axis.y * group_stride, -axis.y)


def _weight_axes(conv: Convolution, pack: int) -> tuple[Axis, Axis, Axis]:
    """Group, output and channel axes of the weights; y is 0 where output and channel are of one group."""
    per_channel = conv.kernel[0] * conv.kernel[1]
    per_output = conv.group_channels * per_channel
    group = Axis.strided(conv.groups // pack, pack * conv.group_outputs * per_output)
    output = _opposite(_inside(pack, conv.group_outputs, per_output), conv.group_outputs * per_output)
    return group, output, _inside(pack, conv.group_channels, per_channel)


def _field_axes(rows: np.ndarray[Any, Any], columns: np.ndarray[Any, Any]) -> dict[str, Axis]:
    """Row and column axes of host coordinates [planes or variants][n]."""
    return {"row": Axis.of(0, rows), "column": Axis.of(0, 0, columns)}


def _view(
    name: str,
    layout: str,
    batch: int,
    channels: int,
    size: tuple[int, int],
    pack: int,
    groups: int,
    per_group: int,
    along: str,
    field: dict[str, Axis],
) -> HostView:
    """An image array: its channels in ``groups / pack`` groups along the axis ``along``."""
    strides = _Strides.of(layout, channels, *size)
    axes = {
        "group": Axis.strided(groups // pack, pack * per_group * strides.channel),
        "image": Axis.strided(batch, strides.image),
        along: Axis.strided(pack * per_group, strides.channel),
        **field,
    }
    return HostView(name, _shape(layout, batch, channels, *size), axes, *size, strides.row, strides.column)


def _forward(conv: Convolution, layout: str, dtype: str, pack: int, one_column: bool = False) -> Contraction:
    """Forward; with ``one_column`` only the kernel's first column has taps, at the padding's offset."""
    (sy, sx), (dy, dx) = conv.stride, conv.dilation
    width = 1 if one_column else conv.kernel[1]
    places = [(i * dy, j * dx) for i in range(conv.kernel[0]) for j in range(width)]
    phases = sorted({(r % sy, c % sx) for r, c in places})
    row_first = {p: min(r // sy for r, c in places if (r % sy, c % sx) == p) for p in phases}
    column_first = {p: min(c // sx for r, c in places if (r % sy, c % sx) == p) for p in phases}
    taps = tuple(
        Tap(
            phases.index((r % sy, c % sx)),
            r // sy - row_first[r % sy, c % sx],
            c // sx - column_first[r % sy, c % sx],
        )
        for r, c in places
    )
    reach = (max(tap.row for tap in taps), max(tap.column for tap in taps))
    index = [np.arange(n + more) for n, more in zip((conv.out_height, conv.out_width), reach)]
    rows = np.stack([(index[0] + row_first[p]) * sy + p[0] - conv.padding[0] for p in phases])
    columns = np.stack([(index[1] + column_first[p]) * sx + p[1] - conv.padding[2] for p in phases])
    out = (np.arange(conv.out_height)[None], np.arange(conv.out_width)[None])
    return _fields(
        conv, layout, dtype, pack, (taps,), _shared(columns, conv.width, reach[1]),
        ("x", conv.channels, (conv.height, conv.width), rows, columns),
        ("out", conv.outputs, (conv.out_height, conv.out_width), *out),
        np.arange(len(taps)) * (conv.kernel[1] // width),
    )  # fmt: skip


def _row_patches(conv: Convolution, layout: str, dtype: str, pack: int) -> Contraction:
    """Forward with the kernel's columns packed into the inputs, [kernel column][channel]; its rows are taps."""
    plain = _forward(conv, layout, dtype, pack, one_column=True)
    column, channel = (index.ravel() for index in np.indices((conv.kernel[1], plain.shape.inputs)))
    x, w = plain.x.axes["input"], plain.w.axes["input"]
    x_axes = plain.x.axes | {"input": Axis.of(x.base[channel], 0, column * conv.dilation[1])}
    w_axes = plain.w.axes | {"input": Axis.of(w.base[channel] + column, w.y[channel])}
    return dataclasses.replace(
        plain,
        shape=dataclasses.replace(plain.shape, inputs=len(column), shared_columns=0),
        x=dataclasses.replace(plain.x, axes=x_axes),
        w=dataclasses.replace(plain.w, axes=w_axes),
    )


def _reached(conv: Convolution) -> list[tuple[int, int, list[tuple[int, int, int]]]]:
    """The remainders of the input's rows and columns by the stride that any kernel position reaches.

    Each with what reaches it: rows and columns down and across in the output, number of the kernel position.
    """
    (sy, sx), (dy, dx) = conv.stride, conv.dilation
    found = []
    for vy in range(min(sy, conv.height)):
        for vx in range(min(sx, conv.width)):
            reached = []
            for number in range(conv.kernel[0] * conv.kernel[1]):
                i, j = divmod(number, conv.kernel[1])
                down, across = vy + conv.padding[0] - i * dy, vx + conv.padding[2] - j * dx
                if down % sy == 0 and across % sx == 0:
                    reached.append((down // sy, across // sx, number))
            if reached:
                found.append((vy, vx, reached))
    return found


def _data(conv: Convolution, layout: str, dtype: str, pack: int) -> Contraction:
    """By the data, a set of outputs for each remainder."""
    (sy, sx), remainders = conv.stride, _reached(conv)
    numbers = [number for *_, reached in remainders for *_, number in reached]
    first = [min(tap[axis] for *_, reached in remainders for tap in reached) for axis in (0, 1)]
    taps = tuple(
        tuple(Tap(0, down - first[0], across - first[1]) for down, across, _ in reached) for *_, reached in remainders
    )
    reach = [max(getattr(tap, name) for variant in taps for tap in variant) for name in ("row", "column")]
    sizes = (-(-conv.height // sy), -(-conv.width // sx))
    rows, columns = (np.arange(sizes[a] + reach[a])[None] + first[a] for a in (0, 1))
    out_rows = np.stack([np.arange(sizes[0]) * sy + vy for vy, _, _ in remainders])
    out_columns = np.stack([np.arange(sizes[1]) * sx + vx for _, vx, _ in remainders])
    return _fields(
        conv, layout, dtype, pack, taps, _shared(columns, conv.out_width, reach[1]),
        ("dout", conv.outputs, (conv.out_height, conv.out_width), rows, columns),
        ("dx", conv.channels, (conv.height, conv.width), out_rows, out_columns),
        np.array(numbers),
    )  # fmt: skip


def _data_together(conv: Convolution, layout: str, dtype: str) -> Contraction:
    """By the data, with the remainders packed into the outputs, [remainder][channel].

    The taps are those of any remainder; where one does not reach a remainder the weights are zero. There must be no
    dilation: then a kernel position is the remainder plus the padding less stride times shift.
    """
    remainders = _reached(conv)
    plain = _data(conv, layout, dtype, 1)
    shifts = sorted({(down, across) for *_, reached in remainders for down, across, _ in reached})
    first = [min(shift[axis] for shift in shifts) for axis in (0, 1)]
    down, across = np.array(shifts).T
    v, channel = (index.ravel() for index in np.indices((len(remainders), plain.shape.outputs)))
    vy, vx = (np.array([remainder[axis] for remainder in remainders])[v] for axis in (0, 1))
    channels = plain.out.axes["output"].base[channel]
    tap = Axis.of(0, conv.padding[0] - conv.stride[0] * down, conv.padding[2] - conv.stride[1] * across)
    w_axes = plain.w.axes | {"tap": tap, "output": Axis.of(plain.w.axes["output"].base[channel], vy, vx)}
    rows, columns = (np.arange(n)[None] * s for n, s in zip((plain.shape.rows, plain.shape.columns), conv.stride))
    out_axes = plain.out.axes | {"output": Axis.of(channels, vy, vx), **_field_axes(rows, columns)}
    taps = tuple(Tap(0, *(int(n) for n in np.subtract(shift, first))) for shift in shifts)
    w = HostView("w", conv.w_shape, w_axes, *conv.kernel, conv.kernel[1], 1)
    return dataclasses.replace(
        plain,
        shape=dataclasses.replace(plain.shape, outputs=len(v), taps=(taps,)),
        w=w,
        out=dataclasses.replace(plain.out, axes=out_axes),
    )


def _shared(columns: np.ndarray[Any, Any], width: int, reach: int) -> int:
    """Columns that are padding at both ends of the rows of every plane, at most what the taps reach."""
    left = np.argmax(columns >= 0, axis=1)
    right = np.argmax(columns[:, ::-1] < width, axis=1)
    return int(min(reach, left.min(), right.min()))


_Side = tuple[str, int, tuple[int, int], Any, Any]


def _fields(
    conv: Convolution, layout: str, dtype: str, pack: int, taps: tuple[tuple[Tap, ...], ...], shared: int,
    source: _Side, result: _Side, numbers: np.ndarray[Any, Any],
) -> Contraction:  # fmt: skip
    """A contraction over fields: forward, or by the data. Positions without neighbours are put in one row."""
    name, channels, size, rows, columns = source
    out_name, out_channels, out_size, out_rows, out_columns = result
    source_field, out_field = _field_axes(rows, columns), _field_axes(out_rows, out_columns)
    images, shape_rows, shape_columns = conv.batch, out_rows.shape[1], out_columns.shape[1]
    if taps == ((Tap(),),):
        source_field = _one_row(_Strides.of(layout, channels, *size).image, images, rows, columns)
        out_field = _one_row(_Strides.of(layout, out_channels, *out_size).image, images, out_rows, out_columns)
        images, shape_rows, shape_columns = 1, 1, images * shape_rows * shape_columns
    forward = name == "x"
    per_source, per_out = channels // conv.groups, out_channels // conv.groups
    group, output, channel = _weight_axes(conv, pack)
    tap = Axis.of(numbers)
    w_axes = {"group": group, "tap": tap, "output": output if forward else channel}
    w_axes["input"] = channel if forward else output
    return Contraction(
        Shape(
            conv.groups // pack, images, shape_rows, shape_columns, pack * per_source, pack * per_out, dtype, taps,
            shared,
        ),
        _view(name, layout, conv.batch, channels, size, pack, conv.groups, per_source, "input", source_field),
        HostView("w", conv.w_shape, w_axes),
        _view(out_name, layout, conv.batch, out_channels, out_size, pack, conv.groups, per_out, "output", out_field),
    )  # fmt: skip


def _one_row(image_stride: int, images: int, rows: Any, columns: Any) -> dict[str, Axis]:
    """All positions of all images as the columns of one row: [image][row][column]."""
    image, row, column = np.indices((images, rows.shape[1], columns.shape[1]))
    flat = Axis.of(image * image_stride, rows[0][row], columns[0][column])
    return {
        "image": Axis.of([0]),
        "column": Axis(flat.base.reshape(1, -1), flat.y.reshape(1, -1), flat.x.reshape(1, -1)),
    }


def _patches(conv: Convolution, layout: str, dtype: str, pack: int) -> Contraction:
    """Forward with the kernel positions packed into the inputs: [kernel position][channel]."""
    plain = _fields_of_positions(conv)
    out_name = "out"
    strides = _Strides.of(layout, conv.channels, conv.height, conv.width)
    out_strides = _Strides.of(layout, conv.outputs, conv.out_height, conv.out_width)
    i, j, channel = np.indices((*conv.kernel, pack * conv.group_channels)).reshape(3, -1)
    depth = Axis.of(
        channel * strides.channel,
        i * conv.dilation[0] - conv.padding[0],
        j * conv.dilation[1] - conv.padding[2],
    )
    image, row, column = plain
    source = Axis.of((image * strides.image)[None], row[None] * conv.stride[0], column[None] * conv.stride[1])
    target = Axis.of((image * out_strides.image + row * out_strides.row + column * out_strides.column)[None])
    group, output, inner = _weight_axes(conv, pack)
    w_depth = Axis.of(inner.base[channel] + i * conv.kernel[1] + j, inner.y[channel])
    groups = conv.groups // pack
    x_axes = {
        "group": Axis.strided(groups, pack * conv.group_channels * strides.channel), "column": source, "input": depth,
    }  # fmt: skip
    out_axes = {
        "group": Axis.strided(groups, pack * conv.group_outputs * out_strides.channel),
        "column": target,
        "output": Axis.strided(pack * conv.group_outputs, out_strides.channel),
    }
    size = (conv.height, conv.width)
    return Contraction(
        Shape(groups, 1, 1, len(image), len(i), pack * conv.group_outputs, dtype),
        HostView("x", conv.x_shape(layout), x_axes, *size, strides.row, strides.column),
        HostView("w", conv.w_shape, {"group": group, "output": output, "input": w_depth}),
        HostView(out_name, conv.out_shape(layout), out_axes),
    )


def _fields_of_positions(conv: Convolution) -> tuple[Any, Any, Any]:
    """Image, row and column of all output positions."""
    image, row, column = np.indices((conv.batch, conv.out_height, conv.out_width)).reshape(3, -1)
    return image, row, column


def _weights(conv: Convolution, layout: str, dtype: str, pack: int, swapped: bool) -> Contraction:
    """Gradient by the weights; ``swapped``: the output channels stream."""
    image, row, column = _fields_of_positions(conv)
    strides = _Strides.of(layout, conv.channels, conv.height, conv.width)
    out_strides = _Strides.of(layout, conv.outputs, conv.out_height, conv.out_width)
    i, j, channel = np.indices((*conv.kernel, pack * conv.group_channels)).reshape(3, -1)
    groups = conv.groups // pack
    patch = Axis.of(
        channel * strides.channel, i * conv.dilation[0] - conv.padding[0], j * conv.dilation[1] - conv.padding[2]
    )
    x_axes = {
        "group": Axis.strided(groups, pack * conv.group_channels * strides.channel),
        "input": Axis.of(image * strides.image, row * conv.stride[0], column * conv.stride[1]),
    }
    dout_axes = {
        "group": Axis.strided(groups, pack * conv.group_outputs * out_strides.channel),
        "input": Axis.of(image * out_strides.image + row * out_strides.row + column * out_strides.column),
    }
    group, output, inner = _weight_axes(conv, pack)
    taken = Axis.of(inner.base[channel] + i * conv.kernel[1] + j, inner.y[channel])
    outs = Axis.strided(pack * conv.group_outputs, out_strides.channel)
    positions, rows = ("output", "column") if swapped else ("column", "output")
    x_axes[positions] = _row_of(patch) if positions == "column" else patch
    dout_axes[rows] = _row_of(outs) if rows == "column" else outs
    dw_axes = {"group": group, positions: _row_of(taken) if positions == "column" else taken}
    dw_axes[rows] = _row_of(output) if rows == "column" else output
    x = HostView("x", conv.x_shape(layout), x_axes, conv.height, conv.width, strides.row, strides.column)
    dout = HostView("dout", conv.out_shape(layout), dout_axes)
    dw = HostView("dw", conv.w_shape, dw_axes)
    counts = (len(i), pack * conv.group_outputs)
    streamed, loaded = counts[::-1] if swapped else counts
    shape = Shape(groups, 1, 1, streamed, len(image), loaded, dtype)
    return Contraction(shape, dout, x, dw) if swapped else Contraction(shape, x, dout, dw)


def _row_of(axis: Axis) -> Axis:
    """An axis as the columns of one plane."""
    return Axis(axis.base[None], axis.y[None], axis.x[None])


def _swapped(contraction: Contraction) -> Contraction:
    """The same with the outputs streaming and the positions in the weight state; for contractions of one tap."""
    s, x, w, out = contraction.shape, contraction.x, contraction.w, contraction.out

    def moved(view: HostView, source: str, target: str) -> HostView:
        axes = dict(view.axes)
        axis = axes.pop(source)
        other = axes.pop(target, None)
        axes[target] = _row_of(axis) if target == "column" else Axis(axis.base[0], axis.y[0], axis.x[0])
        if other is not None:
            axes[source] = _row_of(other) if source == "column" else Axis(other.base[0], other.y[0], other.x[0])
        return HostView(view.name, view.shape, axes, view.height, view.width, view.row_stride, view.column_stride)

    shape = Shape(s.groups, 1, 1, s.outputs, s.inputs, s.columns, s.dtype)
    return Contraction(
        shape, moved(w, "output", "column"), moved(x, "column", "output"), moved(out, "output", "column")
    )

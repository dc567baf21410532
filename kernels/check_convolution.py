"""Is a pass of a convolution right? The same bound as for products (kernels/check.py), sums in float64 tap by tap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.check import Block, Check, Finish, check_blocks
from kernels.convolution import Convolution

Array = NDArray[Any]
F64 = NDArray[np.float64]

_NOTHING = Finish()


def check_convolution(
    conv: Convolution,
    which: str,
    arrays: Mapping[str, Array],
    found: Array,
    dtype: str,
    *,
    k_splits: int = 1,
    random_signs: bool = False,
    finish: Finish = _NOTHING,
    launches: int | None = None,
) -> Check:
    """Compare ``found``, the result of pass ``which`` (fwd, bwd-data, bwd-weights), with float64.

    ``arrays``: two of x, w, dout as the chip holds them; images NCHW. Sums have as many products as kernel and
    channels, or output positions, give; those with padding are zeros. ``random_signs`` and ``finish`` as in
    check_blocks.
    """
    operands = {name: array.astype(np.float64) for name, array in arrays.items()}
    sizes = {
        "fwd": conv.group_channels * conv.kernel[0] * conv.kernel[1],
        "bwd-data": conv.group_outputs * conv.kernel[0] * conv.kernel[1],
        "bwd-weights": conv.batch * conv.out_height * conv.out_width,
    }
    blocks = {"fwd": _forward, "bwd-data": _data, "bwd-weights": _weights}[which](conv, operands, found)
    k = sizes[which]
    return check_blocks(
        blocks, k, dtype, k_splits=k_splits, random_signs=random_signs, finish=finish, launches=launches
    )


def _taps(conv: Convolution) -> Iterator[tuple[int, int, slice, slice]]:
    """Kernel positions with the rows and columns of the padded field that they meet."""
    for i in range(conv.kernel[0]):
        for j in range(conv.kernel[1]):
            top, left = i * conv.dilation[0], j * conv.dilation[1]
            rows = slice(top, top + (conv.out_height - 1) * conv.stride[0] + 1, conv.stride[0])
            columns = slice(left, left + (conv.out_width - 1) * conv.stride[1] + 1, conv.stride[1])
            yield i, j, rows, columns


def _groups(conv: Convolution) -> Iterator[tuple[slice, slice]]:
    """Channels and outputs of each group."""
    c, o = conv.group_channels, conv.group_outputs
    for group in range(conv.groups):
        yield slice(group * c, (group + 1) * c), slice(group * o, (group + 1) * o)


def _padded(conv: Convolution, image: F64) -> F64:
    """[channels, height, width] with its padding."""
    top, bottom, left, right = conv.padding
    return np.pad(image, ((0, 0), (top, bottom), (left, right)))


def _both(left: F64, right: F64) -> F64:
    """[2, ...]: the product of two matrices, and that of their magnitudes."""
    return np.stack([left @ right, np.abs(left) @ np.abs(right)])


def _forward(conv: Convolution, operands: Mapping[str, F64], found: Array) -> Iterator[Block]:
    """Image by image, as [positions, outputs]: the last dimension is that of a bias."""
    w = operands["w"]
    for image, result in zip(operands["x"], found):
        field = _padded(conv, image)
        sums = np.zeros((2, conv.outputs, conv.out_height * conv.out_width))
        for channels, outputs in _groups(conv):
            for i, j, rows, columns in _taps(conv):
                seen = field[channels, rows, columns].reshape(conv.group_channels, -1)
                sums[:, outputs] += _both(w[outputs, :, i, j], seen)
        yield result.reshape(conv.outputs, -1).T, sums[0].T, sums[1].T


def _data(conv: Convolution, operands: Mapping[str, F64], found: Array) -> Iterator[Block]:
    """Image by image."""
    w = operands["w"]
    (top, bottom, left, right), (height, width) = conv.padding, (conv.height, conv.width)
    for gradient, result in zip(operands["dout"], found):
        field = np.zeros((2, conv.channels, height + top + bottom, width + left + right))
        for channels, outputs in _groups(conv):
            up = gradient[outputs].reshape(conv.group_outputs, -1)
            for i, j, rows, columns in _taps(conv):
                shape = (2, conv.group_channels, conv.out_height, conv.out_width)
                field[:, channels, rows, columns] += _both(w[outputs, :, i, j].T, up).reshape(shape)
        exact, magnitude = field[:, :, top : top + height, left : left + width]
        yield result, exact, magnitude


def _weights(conv: Convolution, operands: Mapping[str, F64], found: Array) -> Iterator[Block]:
    """All at once, the images added."""
    sums = np.zeros((2, *conv.w_shape))
    for image, gradient in zip(operands["x"], operands["dout"]):
        field = _padded(conv, image)
        for channels, outputs in _groups(conv):
            up = gradient[outputs].reshape(conv.group_outputs, -1)
            for i, j, rows, columns in _taps(conv):
                seen = field[channels, rows, columns].reshape(conv.group_channels, -1)
                sums[:, outputs, :, i, j] += _both(up, seen.T)
    yield found, sums[0], sums[1]

"""Convolutions as sums over shifted slices in float64: what the emulated ones are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.contraction.problem import OPERAND_DTYPE
from kernels.convolution.geometry import Convolution

F64 = NDArray[np.float64]


def taps(conv: Convolution) -> Any:
    """Kernel position, and the slice of the padded input that it multiplies."""
    for i in range(conv.kernel[0]):
        for j in range(conv.kernel[1]):
            y, x = i * conv.dilation[0], j * conv.dilation[1]
            rows = slice(y, y + (conv.out_height - 1) * conv.stride[0] + 1, conv.stride[0])
            columns = slice(x, x + (conv.out_width - 1) * conv.stride[1] + 1, conv.stride[1])
            yield i, j, rows, columns


def padded(conv: Convolution, x: NDArray[Any]) -> F64:
    top, bottom, left, right = conv.padding
    return np.pad(x.astype(float), ((0, 0), (0, 0), (top, bottom), (left, right)))


def channels(conv: Convolution, group: int) -> tuple[slice, slice]:
    c, o = conv.group_channels, conv.group_outputs
    return slice(group * c, group * c + c), slice(group * o, group * o + o)


def forward(conv: Convolution, x: NDArray[Any], w: NDArray[Any]) -> F64:
    out, source = np.zeros(conv.out_shape("NCHW")), padded(conv, x)
    for group in range(conv.groups):
        c, o = channels(conv, group)
        for i, j, rows, columns in taps(conv):
            out[:, o] += np.einsum("nchw,oc->nohw", source[:, c, rows, columns], w[o, :, i, j].astype(float))
    return out


def gradients(conv: Convolution, x: NDArray[Any], w: NDArray[Any], dout: NDArray[Any]) -> tuple[F64, F64]:
    source, dw, up = padded(conv, x), np.zeros(conv.w_shape), dout.astype(float)
    dx = np.zeros_like(source)
    for group in range(conv.groups):
        c, o = channels(conv, group)
        for i, j, rows, columns in taps(conv):
            dw[o, :, i, j] = np.einsum("nchw,nohw->oc", source[:, c, rows, columns], up[:, o])
            dx[:, c, rows, columns] += np.einsum("nohw,oc->nchw", up[:, o], w[o, :, i, j].astype(float))
    top, _, left, _ = conv.padding
    return dx[:, :, top : top + conv.height, left : left + conv.width], dw


def operands(conv: Convolution, dtype: str) -> list[NDArray[Any]]:
    """x, w, dout: small integers, whose sums are exact in every format."""
    random = np.random.default_rng(conv.channels + conv.outputs)
    shapes = (conv.x_shape("NCHW"), conv.w_shape, conv.out_shape("NCHW"))
    return [random.integers(-2, 3, shape).astype(OPERAND_DTYPE[dtype]) for shape in shapes]

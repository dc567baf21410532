"""The check of convolutions: passes an honest result of every pass, catches one wrong weight or product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.check import Finish
from kernels.check_convolution import check_convolution
from kernels.convolution import Convolution

CASES = [
    Convolution(2, 8, 9, 10, 6, (3, 3), (1, 1), (1, 1, 1, 1)),
    Convolution(1, 4, 12, 9, 8, (3, 2), (2, 3), (1, 0, 2, 1)),
    Convolution(2, 6, 7, 7, 9, (1, 1), (2, 2), (0, 0, 0, 0), groups=3),
    Convolution(1, 3, 11, 11, 4, (3, 3), (1, 1), (2, 2, 2, 2), (2, 2)),
]


def by_definition(conv: Convolution, x: Any, w: Any, dout: Any) -> tuple[Any, Any, Any]:
    """out, dx and dw, product by product."""
    out, dx, dw = np.zeros(conv.out_shape("NCHW")), np.zeros(x.shape), np.zeros(w.shape)
    for n, o, y, z in np.ndindex(*out.shape):
        for c, i, j in np.ndindex(conv.group_channels, *conv.kernel):
            channel = o // conv.group_outputs * conv.group_channels + c
            row = y * conv.stride[0] + i * conv.dilation[0] - conv.padding[0]
            column = z * conv.stride[1] + j * conv.dilation[1] - conv.padding[2]
            if 0 <= row < conv.height and 0 <= column < conv.width:
                out[n, o, y, z] += x[n, channel, row, column] * w[o, c, i, j]
                dx[n, channel, row, column] += dout[n, o, y, z] * w[o, c, i, j]
                dw[o, c, i, j] += dout[n, o, y, z] * x[n, channel, row, column]
    return out, dx, dw


def arrays(conv: Convolution) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(4)
    shapes = {"x": conv.x_shape("NCHW"), "w": conv.w_shape, "dout": conv.out_shape("NCHW")}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("conv", CASES, ids=["same", "strided", "groups", "dilated"])
def test_every_pass(conv: Convolution) -> None:
    given = arrays(conv)
    results = by_definition(conv, *(array.astype(float) for array in given.values()))
    operands = {"fwd": ("x", "w"), "bwd-data": ("dout", "w"), "bwd-weights": ("x", "dout")}
    for which, result in zip(operands, results):
        of_pass = {name: given[name] for name in operands[which]}
        right = result.astype(np.float32)
        check = check_convolution(conv, which, of_pass, right, "f32", random_signs=True)
        assert check.ok, (which, check.line())
        wrong = right.copy()
        wrong.flat[wrong.size // 2] += 0.01
        assert check_convolution(conv, which, of_pass, wrong, "f32").outside == 1


def test_bias_and_relu_follow_the_outputs() -> None:
    conv = CASES[0]
    given = arrays(conv)
    out = by_definition(conv, *(array.astype(float) for array in given.values()))[0]
    bias = np.arange(conv.outputs, dtype=np.float32)
    right = np.maximum(out + bias[:, None, None], 0).astype(np.float32)
    del given["dout"]
    assert check_convolution(conv, "fwd", given, right, "f32", finish=Finish(bias, "relu")).ok
    assert not check_convolution(conv, "fwd", given, right, "f32", finish=Finish(bias[::-1], "relu")).ok

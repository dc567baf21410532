"""Convolutions, all three passes, on a few tiles against sums over shifted slices in float64."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.codelets import matmul_codelet
from kernels.contraction.builder import build_graph
from kernels.contraction.problem import RESULT_DTYPE, finished
from kernels.contraction.run import run_contraction
from kernels.convolution import (
    convolution,
    convolution_backward_data,
    convolution_backward_weights,
    ways,
)
from kernels.convolution.geometry import Convolution, contractions
from kernels.planner.contraction import plan_contraction
from tests.convolution_tools import forward, gradients, operands
from tile_emu.chips import load_chip
from tile_emu.errors import UsageError
from tile_emu.machine import Machine

TILES = 48

CASES = {
    "3x3": Convolution(2, 16, 8, 8, 16, (3, 3), padding=(1, 1, 1, 1)),
    "odd sizes": Convolution(1, 20, 9, 7, 33, (3, 3), padding=(1, 1, 1, 1)),
    "1x1": Convolution(2, 48, 7, 7, 64, (1, 1)),
    "1x1 stride 2": Convolution(2, 32, 10, 9, 32, (1, 1), (2, 2)),
    "1x1 padded": Convolution(1, 16, 5, 5, 16, (1, 1), padding=(1, 1, 1, 1)),
    "3x3 stride 2": Convolution(2, 32, 12, 12, 40, (3, 3), (2, 2), (1, 1, 1, 1)),
    "first layer": Convolution(1, 3, 20, 20, 24, (7, 7), (2, 2), (3, 3, 3, 3)),
    "dilated": Convolution(1, 32, 11, 11, 16, (3, 3), padding=(2, 2, 2, 2), dilation=(2, 2)),
    "dilated, strided": Convolution(1, 16, 13, 13, 16, (3, 3), (2, 2), (3, 3, 3, 3), (3, 3)),
    "groups of few": Convolution(2, 16, 8, 8, 32, (3, 3), padding=(1, 1, 1, 1), groups=4),
    "groups": Convolution(1, 40, 8, 8, 80, (2, 2), (2, 2), groups=2),
    "depthwise": Convolution(1, 24, 9, 9, 24, (3, 3), padding=(1, 1, 1, 1), groups=24),
    "stride over kernel": Convolution(1, 16, 13, 13, 16, (2, 2), (3, 3)),
    "row kernel": Convolution(1, 16, 9, 30, 16, (1, 5), (1, 2), (0, 0, 2, 2)),
    "uneven padding": Convolution(1, 16, 8, 8, 16, (2, 2), padding=(0, 1, 1, 0)),
}


def laid(array: NDArray[Any], layout: str) -> NDArray[Any]:
    return array if layout == "NCHW" else np.ascontiguousarray(array.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", CASES)
def test_all_passes_on_bow(name: str, layout: str) -> None:
    conv = CASES[name]
    x, w, dout = operands(conv, "f16")
    dx, dw = gradients(conv, x, w, dout)
    how = (conv.stride, conv.padding, conv.dilation, conv.groups)
    options: dict[str, Any] = {"layout": layout, "tiles": TILES, "threads": 1}
    out = convolution(laid(x, layout), w, *how, **options)
    np.testing.assert_array_equal(out.out, laid(forward(conv, x, w), layout))
    assert out.out.dtype == np.float16
    found = convolution_backward_data(laid(dout, layout), w, (conv.height, conv.width), *how, **options)
    np.testing.assert_array_equal(found.out, laid(dx, layout))
    found = convolution_backward_weights(laid(x, layout), laid(dout, layout), conv.kernel, *how, **options)
    np.testing.assert_array_equal(found.out, dw)


@pytest.mark.parametrize("name", ["first layer", "groups of few", "row kernel", "dilated, strided"])
def test_every_way_to_put_a_layer(name: str) -> None:
    """Whole patches, patches of rows, taps alone: whatever the planner would choose."""
    conv = dataclasses.replace(CASES[name], channels=6, outputs=8, groups=2)
    chip = load_chip("bow")
    x, w, _ = operands(conv, "f16")
    found = ways(conv, "fwd", "NHWC", "f16", chip)
    assert {way.shape.window for way in found} == {1, 4}
    assert len({way.shape for way in found}) > 2
    for way in found:
        result = run_contraction([way], {"x": laid(x, "NHWC"), "w": w}, chip, 1, tiles=TILES)
        np.testing.assert_array_equal(result.out, laid(forward(conv, x, w), "NHWC"), str(way.shape))


SLIM = {
    "3x3": Convolution(1, 24, 9, 9, 24, (3, 3), padding=(1, 1, 1, 1), groups=24),
    "stride 2": Convolution(1, 24, 9, 8, 24, (3, 3), (2, 2), (1, 1, 1, 1), groups=24),
    "dilated": Convolution(1, 8, 11, 9, 16, (3, 3), padding=(2, 2, 2, 2), dilation=(2, 2), groups=4),
    "5x5, images": Convolution(3, 8, 9, 9, 8, (5, 5), padding=(2, 2, 2, 2), groups=2),
    "7x7, stride 2, images": Convolution(2, 4, 12, 13, 4, (7, 7), (2, 2), (3, 3, 3, 3), groups=4),
}


@pytest.mark.parametrize(("chip", "dtype"), [("bow", "f16"), ("bow", "f16f32"), ("gc2", "f16f32")])
@pytest.mark.parametrize("tiles", [2, 48])
@pytest.mark.parametrize("which", ["fwd", "bwd-data"])
@pytest.mark.parametrize("name", SLIM)
def test_windows_of_few_channels(name: str, which: str, tiles: int, chip: str, dtype: str) -> None:
    """The slim convolution codelets alone, whatever the planner would choose; images below one another."""
    conv, where = SLIM[name], load_chip(chip)
    x, w, dout = operands(conv, dtype)
    puts = [way for way in ways(conv, which, "NCHW", dtype, where) if way.shape.window > 1]
    if not puts:  # two outputs of f32
        assert dtype == "f16f32" and (conv.group_outputs if which == "fwd" else conv.group_channels) > 2
        return
    (put,) = puts
    arrays = {put.x.name: x if which == "fwd" else dout, "w": w}
    result = run_contraction([put], arrays, where, 1, tiles=tiles, check=True)
    expected = forward(conv, x, w) if which == "fwd" else gradients(conv, x, w, dout)[0]
    np.testing.assert_array_equal(result.out, expected)
    assert result.findings is not None and result.findings.total == 0


@pytest.mark.parametrize(
    ("name", "dtype"), [("3x3", "f16"), ("3x3", "f16f32"), ("dilated", "f16"), ("7x7, stride 2, images", "f16f32")]
)
def test_windows_with_bias_and_relu(name: str, dtype: str) -> None:
    conv, chip = SLIM[name], load_chip("bow")
    x, w, _ = operands(conv, dtype)
    bias = np.arange(conv.outputs) - conv.outputs // 2
    put = next(way for way in ways(conv, "fwd", "NCHW", dtype, chip) if way.shape.window > 1)
    put = finished(put, bias=True, activation="relu", per_group=True)
    result = run_contraction([put], {"x": x, "w": w, "bias": bias}, chip, 1, tiles=7)
    np.testing.assert_array_equal(result.out, np.maximum(forward(conv, x, w) + bias[:, None, None], 0))


STRIDED = {
    "3x3": Convolution(2, 16, 9, 10, 40, (3, 3), (2, 2), (1, 1, 1, 1)),
    "few channels": Convolution(1, 3, 21, 20, 24, (7, 7), (2, 2), (3, 3, 3, 3)),
    "gaps": Convolution(2, 5, 10, 9, 16, (2, 2), (3, 3), (1, 0, 0, 1)),
    "uneven": Convolution(1, 4, 9, 16, 16, (4, 3), (2, 4), (1, 2, 0, 1)),
    "groups": Convolution(1, 40, 9, 8, 80, (3, 3), (2, 1), (1, 1, 1, 1), groups=2),
}


@pytest.mark.parametrize("name", STRIDED)
def test_every_way_to_put_a_strided_gradient(name: str) -> None:
    """A set of outputs for each remainder by the stride; all of them packed into the outputs."""
    conv, chip = STRIDED[name], load_chip("bow")
    x, w, dout = operands(conv, "f16")
    found = ways(conv, "bwd-data", "NCHW", "f16", chip)
    assert [way.shape.variants > 1 for way in found] == [True, False]
    for way in found:
        result = run_contraction([way], {"dout": dout, "w": w}, chip, 1, tiles=TILES)
        np.testing.assert_array_equal(result.out, gradients(conv, x, w, dout)[0], str(way.shape))


@pytest.mark.parametrize(("chip", "dtype"), [("bow", "f16f32"), ("bow", "f32"), ("gc2", "f16"), ("gc2", "f32")])
@pytest.mark.parametrize("name", ["odd sizes", "3x3 stride 2", "groups of few"])
def test_formats_and_chips(name: str, chip: str, dtype: str) -> None:
    conv = CASES[name]
    x, w, dout = operands(conv, dtype)
    options: dict[str, Any] = {"dtype": dtype, "chip": chip, "tiles": TILES, "threads": 1}
    how = (conv.stride, conv.padding, conv.dilation, conv.groups)
    result = convolution(x, w, *how, **options)
    assert result.out.dtype == RESULT_DTYPE[dtype]
    np.testing.assert_array_equal(result.out, forward(conv, x, w))
    found = convolution_backward_data(dout, w, (conv.height, conv.width), *how, **options)
    np.testing.assert_array_equal(found.out, gradients(conv, x, w, dout)[0])


# parts: groups, K, taps, outputs, rows, columns, images; steps; partners
DIVISIONS = [
    ((1, 1, 1, 2, 3, 1, 1), 1, "w"),
    ((1, 2, 1, 2, 2, 2, 1), 2, "x"),
    ((1, 3, 1, 1, 1, 1, 2), 1, "w"),
    ((1, 1, 1, 3, 7, 1, 2), 3, "w"),
    ((1, 2, 1, 2, 1, 4, 1), 1, "x"),
    ((2, 1, 1, 2, 4, 1, 1), 2, "x"),
    ((1, 1, 1, 1, 4, 2, 1), 2, "x"),
    ((1, 1, 3, 1, 1, 1, 1), 1, "w"),
    ((1, 2, 3, 2, 4, 1, 2), 2, "x"),
    ((1, 1, 9, 1, 9, 1, 1), 1, "w"),
    ((2, 1, 2, 2, 2, 3, 1), 2, "x"),
    ((1, 1, 5, 2, 1, 2, 1), 1, "w"),
]


@pytest.mark.parametrize("which", ["fwd", "bwd-data"])
@pytest.mark.parametrize(
    "conv",
    [
        Convolution(2, 128, 9, 10, 120, (3, 3), padding=(1, 1, 1, 1), groups=2),
        Convolution(3, 56, 15, 12, 64, (3, 3), (2, 2), (1, 1, 1, 1)),
        Convolution(2, 64, 10, 10, 56, (5, 3), (1, 1), (2, 2, 0, 1)),
    ],
    ids=["groups", "stride", "tall kernel"],
)
@pytest.mark.parametrize(("splits", "steps", "partners"), DIVISIONS)
def test_every_kind_of_division(
    conv: Convolution, splits: tuple[int, ...], steps: int, partners: str, which: str
) -> None:
    """Halos over rows and columns, images, groups, steps, kernel positions, whatever a planner would choose."""
    chip = load_chip("bow")
    put = contractions(conv, which, "NCHW", "f16", matmul_codelet("f16", chip))[0]
    splits = (min(splits[0], conv.groups), splits[1], min(splits[2], put.shape.most_tap_splits), *splits[3:])
    names = ("group", "k", "tap", "output", "row", "column", "image")
    parts = {f"{name}_splits": count for name, count in zip(names, splits, strict=True)}
    plan = dataclasses.replace(plan_contraction(put.shape, chip, tiles=4)[0], steps=steps, partners=partners, **parts)
    x, w, dout = operands(conv, "f16")
    image = build_graph(put, plan).lower()
    check = plan.tap_splits > 1  # tiles that hold part of the rows must not read others
    machine = Machine("bow", image.tiles, 1, check=check)
    machine.load(image)
    machine.write_tensor(put.x.name, x if which == "fwd" else dout)
    machine.write_tensor("w", w)
    machine.run()
    expected = forward(conv, x, w) if which == "fwd" else gradients(conv, x, w, dout)[0]
    np.testing.assert_array_equal(machine.read_tensor(put.out.name), expected)
    assert not check or machine.findings().total == 0


@pytest.mark.parametrize("dtype", ["f16", "f32"])
@pytest.mark.parametrize("name", ["odd sizes", "3x3 stride 2", "groups of few", "groups", "first layer", "1x1"])
def test_bias_and_relu(name: str, dtype: str) -> None:
    conv = CASES[name]
    x, w, _ = operands(conv, dtype)
    bias = np.arange(conv.outputs) - conv.outputs // 2
    how = (conv.stride, conv.padding, conv.dilation, conv.groups)
    expected = forward(conv, x, w) + bias[:, None, None]
    options: dict[str, Any] = {"dtype": dtype, "tiles": TILES, "threads": 1}
    np.testing.assert_array_equal(convolution(x, w, *how, bias=bias, **options).out, expected)
    both = convolution(laid(x, "NHWC"), w, *how, layout="NHWC", bias=bias, relu=True, **options)
    np.testing.assert_array_equal(both.out, laid(np.maximum(expected, 0), "NHWC"))
    alone = convolution(x, w, *how, relu=True, **options)
    np.testing.assert_array_equal(alone.out, np.maximum(expected - bias[:, None, None], 0))


def test_whole_chip() -> None:
    conv = Convolution(1, 64, 56, 56, 64, (3, 3), padding=(1, 1, 1, 1))
    x, w, _ = operands(conv, "f16")
    result = convolution(x, w, 1, 1)
    np.testing.assert_array_equal(result.out, forward(conv, x, w))
    assert result.recording.cycles == pytest.approx(result.plan.predicted.total, rel=0.05)


def test_refusals() -> None:
    x, w = np.zeros((1, 4, 5, 5)), np.zeros((8, 4, 3, 3))
    with pytest.raises(UsageError, match="four dimensions"):
        convolution(x[0], w)
    with pytest.raises(UsageError, match=r"\(8, 2, 3, 3\) is wanted"):
        convolution(x, w, groups=2)
    with pytest.raises(UsageError, match="3 groups do not divide"):
        convolution(x, w, groups=3)
    with pytest.raises(UsageError, match="larger than the padded input"):
        convolution(x, np.zeros((8, 4, 7, 7)))
    with pytest.raises(UsageError, match="unknown layout 'CHWN'"):
        convolution(x, w, layout="CHWN")
    with pytest.raises(UsageError, match="at least 1"):
        convolution(x, w, stride=0)
    with pytest.raises(UsageError, match="padding"):
        convolution(x, w, padding=(1, 2, 3))
    with pytest.raises(UsageError, match=r"dout has shape \(1, 8, 5, 5\), \(1, 8, 3, 3\) is wanted"):
        convolution_backward_data(np.zeros((1, 8, 5, 5)), w, (5, 5))
    with pytest.raises(UsageError, match=r"bias has shape \(4,\), \(8,\) is wanted"):
        convolution(x, w, bias=np.zeros(4))
    with pytest.raises(UsageError, match="forward pass"):
        convolution_backward_data(np.zeros((1, 8, 3, 3)), w, (5, 5), relu=True)

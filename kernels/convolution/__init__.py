"""2-D convolutions on the emulated chip: forward, gradient by the data, gradient by the weights.

Arrays of images are NCHW or NHWC, weights are [outputs, channels of a group, kernel rows, kernel columns]. Operands are
rounded to f16 (dtype f16, f16f32) or f32; results are f16 for dtype f16, with partial sums narrowed to f16 after every
16 products, and f32 otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import matmul_codelet, slic_codelet
from kernels.contraction.problem import Contraction, finished
from kernels.contraction.run import ContractionResult, Progress, run_contraction
from kernels.convolution.geometry import Convolution, check_layout, contractions
from kernels.planner.contraction import plan_contraction
from kernels.planner.plan import ContractionPlan
from kernels.stopwatch import Stopwatch
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.profile.timed import SAMPLE, TileChoice

__all__ = ["Convolution", "convolution", "convolution_backward_data", "convolution_backward_weights"]

Pair = int | tuple[int, ...]


def _pair(value: Pair, what: str) -> tuple[int, int]:
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2:
        raise UsageError(f"{what} {value}: one number or two are wanted")
    return both[0], both[1]


def _padding(value: Pair) -> tuple[int, int, int, int]:
    if isinstance(value, int):
        return value, value, value, value
    if len(value) == 2:
        return value[0], value[0], value[1], value[1]
    if len(value) == 4:
        return value[0], value[1], value[2], value[3]
    raise UsageError(f"padding {value}: one number, two (rows, columns) or four (top, bottom, left, right) are wanted")


def sizes(
    x: tuple[int, ...], w: tuple[int, ...], stride: Pair, padding: Pair, dilation: Pair, groups: int, layout: str
) -> Convolution:
    """The sizes of a convolution from the shapes of its arrays. Raises UsageError for what does not fit together."""
    check_layout(layout)
    if len(x) != 4 or len(w) != 4:
        raise UsageError(f"convolution of shapes {x} and {w}: both need four dimensions")
    batch, channels, height, width = x if layout == "NCHW" else (x[0], x[3], x[1], x[2])
    made = Convolution(
        batch, channels, height, width, w[0], (w[2], w[3]),
        _pair(stride, "stride"), _padding(padding), _pair(dilation, "dilation"), groups,
    )  # fmt: skip
    if made.w_shape != tuple(w) or made.x_shape(layout) != tuple(x):
        raise UsageError(
            f"weights of shape {w} do not fit input of shape {x} ({layout}) with {groups} groups: "
            f"{made.w_shape} is wanted"
        )
    return made


def ways(conv: Convolution, which: str, layout: str, dtype: str, chip: Chip) -> list[Contraction]:
    """The ways to put a pass on a chip."""
    return contractions(conv, which, layout, dtype, matmul_codelet(dtype, chip), slic_codelet(dtype, chip))


def plan_pass(
    conv: Convolution,
    which: str,
    *,
    layout: str = "NCHW",
    dtype: str = "f16",
    chip: str | Chip = "bow",
    tiles: int | None = None,
    best: int = 1,
) -> list[ContractionPlan]:
    """The ``best`` cheapest plans of a pass, of all ways to put it. Raises UsageError, OutOfTileMemory."""
    where = load_chip(chip) if isinstance(chip, str) else chip
    plans: list[ContractionPlan] = []
    problem: OutOfTileMemory | None = None
    for choice in ways(conv, which, layout, dtype, where):
        try:
            plans += plan_contraction(choice.shape, where, tiles=tiles, best=best)
        except OutOfTileMemory as error:
            problem = error
    if not plans and problem is not None:
        raise problem
    return sorted(plans, key=lambda plan: (plan.predicted.total, plan.sram_bytes))[:best]


def run_pass(
    conv: Convolution,
    which: str,
    arrays: dict[str, NDArray[Any]],
    *,
    layout: str = "NCHW",
    dtype: str = "f16",
    chip: str | Chip = "bow",
    threads: int | None = None,
    progress: Progress | None = None,
    tiles: int | None = None,
    bias: NDArray[Any] | None = None,
    relu: bool = False,
    check: bool = False,
    plan_rank: int = 1,
    timed: TileChoice = SAMPLE,
    watch: Stopwatch | None = None,
) -> ContractionResult:
    """One pass ("fwd", "bwd-data", "bwd-weights"); ``arrays``: two of x, w, dout, as the pass needs.

    ``bias`` [outputs] and ``relu`` follow the sums of a forward pass. ``check``: the machine looks for errors that the
    hardware lets pass. ``plan_rank`` 2 takes the second cheapest plan, and so on. ``timed``: tiles of which the
    recording keeps when each worker ran. ``watch``: what counts the time. Raises UsageError, OutOfTileMemory, and
    whatever the machine finds wrong.
    """
    where = load_chip(chip) if isinstance(chip, str) else chip
    choices = ways(conv, which, layout, dtype, where)
    if bias is not None or relu:
        if which != "fwd":
            raise UsageError(f"bias and ReLU belong to the forward pass, not to {which}")
        # they follow outputs in the weight state: the way of putting it where the outputs stream is left out
        activation = "relu" if relu else "none"
        choices = [
            finished(choice, bias=bias is not None, activation=activation, per_group=True)
            for choice in choices
            if choice.x.name == "x"
        ]
        arrays = arrays | {"bias": np.zeros(conv.outputs) if bias is None else np.asarray(bias)}
        _require("bias", arrays["bias"].shape, (conv.outputs,))
    return run_contraction(choices, arrays, where, threads, progress, tiles, check, plan_rank, timed, watch)


def convolution(
    x: NDArray[Any],
    w: NDArray[Any],
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    **options: Any,
) -> ContractionResult:
    """out = x * w, plus bias, ReLU.

    ``padding``: one number, (rows, columns) or (top, bottom, left, right). Options as for run_pass.
    """
    conv = sizes(np.shape(x), np.shape(w), stride, padding, dilation, groups, layout)
    return run_pass(conv, "fwd", {"x": x, "w": w}, layout=layout, **options)


def convolution_backward_data(
    dout: NDArray[Any],
    w: NDArray[Any],
    size: tuple[int, int],
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    **options: Any,
) -> ContractionResult:
    """The gradient by x, which has ``size`` (rows, columns), from the gradient by the output."""
    batch, channels = np.shape(dout)[0], np.shape(w)[1] * groups
    x = (batch, channels, *size) if layout == "NCHW" else (batch, *size, channels)
    conv = sizes(x, np.shape(w), stride, padding, dilation, groups, layout)
    _require("dout", np.shape(dout), conv.out_shape(layout))
    return run_pass(conv, "bwd-data", {"dout": dout, "w": w}, layout=layout, **options)


def convolution_backward_weights(
    x: NDArray[Any],
    dout: NDArray[Any],
    kernel: tuple[int, int],
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    **options: Any,
) -> ContractionResult:
    """The gradient by w, whose kernel has the size ``kernel``, from x and the gradient by the output."""
    at = 1 if layout == "NCHW" else 3
    w = (np.shape(dout)[at], np.shape(x)[at] // groups, *kernel)
    conv = sizes(np.shape(x), w, stride, padding, dilation, groups, layout)
    _require("dout", np.shape(dout), conv.out_shape(layout))
    return run_pass(conv, "bwd-weights", {"x": x, "dout": dout}, layout=layout, **options)


def _require(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if found != wanted:
        raise UsageError(f"{name} has shape {found}, {wanted} is wanted")

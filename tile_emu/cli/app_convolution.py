"""Options of `tile-emu run convolution`; as in app.py, the body only hands over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tile_emu.cli.app_layers import (
    Best,
    Check,
    ChipName,
    Dtype,
    Json,
    Pass,
    PlanRank,
    Report,
    ReportParquet,
    ReportTiles,
    Seed,
    Threads,
    Tiles,
)

Images = Annotated[int, typer.Option(help="Images.")]
Channels = Annotated[int, typer.Option(help="Channels of the input.")]
Height = Annotated[int, typer.Option(help="Rows of the input.")]
Width = Annotated[int | None, typer.Option(help="Columns of the input; as many as rows without it.")]
Outputs = Annotated[int, typer.Option(help="Channels of the output.")]
Kernel = Annotated[str, typer.Option(help="Kernel: rows x columns as 3x3, or one number for both.")]
Stride = Annotated[str, typer.Option(help="Stride, one number or rows x columns.")]
Padding = Annotated[
    str, typer.Option(help="One number, rows,columns, or top,bottom,left,right; half the kernel without it.")
]
Dilation = Annotated[str, typer.Option(help="Dilation, one number or rows x columns.")]
Groups = Annotated[int, typer.Option(help="Groups; as many as channels: depthwise.")]


def convolution(
    batch: Images = 1,
    channels: Channels = 64,
    height: Height = 56,
    width: Width = None,
    outputs: Outputs = 64,
    kernel: Kernel = "3",
    stride: Stride = "1",
    padding: Padding = "",
    dilation: Dilation = "1",
    groups: Groups = 1,
    layout: Annotated[str, typer.Option(help="Order of the host's image arrays: NCHW or NHWC.")] = "NCHW",
    direction: Pass = "fwd",
    bias: Annotated[bool, typer.Option("--bias", help="Add a random bias (fwd).")] = False,
    relu: Annotated[bool, typer.Option("--relu", help="Apply ReLU (fwd).")] = False,
    dtype: Dtype = "f16",
    chip: ChipName = "bow",
    x: Annotated[Path | None, typer.Option(help="Input as .npy, fwd and bwd-weights; random without it.")] = None,
    w: Annotated[Path | None, typer.Option(help="Weights [outputs, channels / groups, rows, columns] as .npy.")] = None,
    dout: Annotated[Path | None, typer.Option(help="Gradient by the output as .npy, for the backward passes.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result as .npy.")] = None,
    seed: Seed = 0,
    tiles: Tiles = None,
    threads: Threads = None,
    report: Report = None,
    report_tiles: ReportTiles = None,
    report_parquet: ReportParquet = False,
    plan_rank: PlanRank = 1,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """One pass of a 2-D convolution over all tiles, checked against float64.

    Exit status: 0 when the check passes, 1 when it does not, --check finds something or the run fails, 2 for a usage
    error.
    """
    from tile_emu.cli.convolution import Options, Sizes, run_convolution
    from tile_emu.profile.request import ReportRequest

    image = (batch, channels, height, height if width is None else width, outputs)
    options = Options(
        Sizes(image, kernel, stride, padding, dilation, groups), layout, direction, bias, relu, dtype, chip,
        {name: path for name, path in (("x", x), ("w", w), ("dout", dout)) if path is not None}, out, seed, tiles,
        threads, ReportRequest.of(report, report_tiles, report_parquet), as_json, plan_rank, check,
    )  # fmt: skip
    raise typer.Exit(0 if run_convolution(options) else 1)


def plan_convolution(
    batch: Images = 1,
    channels: Channels = 64,
    height: Height = 56,
    width: Width = None,
    outputs: Outputs = 64,
    kernel: Kernel = "3",
    stride: Stride = "1",
    padding: Padding = "",
    dilation: Dilation = "1",
    groups: Groups = 1,
    direction: Pass = "fwd",
    dtype: Dtype = "f16",
    chip: ChipName = "bow",
    tiles: Tiles = None,
    best: Best = 10,
    as_json: Json = False,
) -> None:
    """Plans of a 2-D convolution."""
    from tile_emu.cli import plan
    from tile_emu.cli.convolution import Sizes
    from tile_emu.cli.layer import Choice

    image = (batch, channels, height, height if width is None else width, outputs)
    sizes = Sizes(image, kernel, stride, padding, dilation, groups)
    choice = Choice(1, None, None, direction, dtype, chip, 0, True, tiles)
    plan.plan_convolution(sizes, choice, plan.PlanOptions(best, as_json))

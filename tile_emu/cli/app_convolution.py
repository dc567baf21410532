"""Options of `tile-emu run convolution`; as in app.py, the body only hands over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tile_emu.cli.app_layers import (
    Check,
    ChipName,
    Dtype,
    DumpTranslated,
    Engine,
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


def convolution(
    batch: Annotated[int, typer.Option(help="Images.")] = 1,
    channels: Annotated[int, typer.Option(help="Channels of the input.")] = 64,
    height: Annotated[int, typer.Option(help="Rows of the input.")] = 56,
    width: Annotated[int | None, typer.Option(help="Columns of the input; as many as rows without it.")] = None,
    outputs: Annotated[int, typer.Option(help="Channels of the output.")] = 64,
    kernel: Annotated[str, typer.Option(help="Kernel: rows x columns as 3x3, or one number for both.")] = "3",
    stride: Annotated[str, typer.Option(help="Stride, one number or rows x columns.")] = "1",
    padding: Annotated[
        str, typer.Option(help="One number, rows,columns, or top,bottom,left,right; half the kernel without it.")
    ] = "",
    dilation: Annotated[str, typer.Option(help="Dilation, one number or rows x columns.")] = "1",
    groups: Annotated[int, typer.Option(help="Groups; as many as channels: depthwise.")] = 1,
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
    engine: Engine = None,
    dump_translated: DumpTranslated = None,
    as_json: Json = False,
) -> None:
    """One pass of a 2-D convolution over all tiles, checked against float64.

    Exit status: 0 when the check passes, 1 when it does not, --check finds something or the run fails, 2 for a usage
    error.
    """
    from tile_emu.cli.convolution import Options, run_convolution
    from tile_emu.engines import choose_engine
    from tile_emu.profile.request import ReportRequest

    choose_engine(engine, dump_translated)
    files = {"x": x, "w": w, "dout": dout}
    sizes = (batch, channels, height, height if width is None else width, outputs)
    options = Options(
        sizes, kernel, stride, padding, dilation, groups, layout, direction, bias, relu, dtype, chip,
        {name: path for name, path in files.items() if path is not None}, out, seed, tiles, threads,
        ReportRequest.of(report, report_tiles, report_parquet), as_json, plan_rank, check,
    )  # fmt: skip
    raise typer.Exit(0 if run_convolution(options) else 1)

"""`tile-emu run convolution`: sizes and operands in, kernel call, check, report."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tile_emu.chips import load_chip
from tile_emu.cli.layer import require_plan_rank
from tile_emu.cli.matmul import DTYPES, report_lines, timed_option
from tile_emu.cli.operands import Matrix, load_array
from tile_emu.cli.progress import Progress
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.profile.atomic import replacing, require_writable
from tile_emu.profile.report import Report
from tile_emu.profile.request import ReportRequest
from tile_emu.profile.summary import summarise

if TYPE_CHECKING:
    from kernels.contraction.run import ContractionResult
    from kernels.convolution import Convolution

_OPERANDS = {"fwd": ("x", "w"), "bwd-data": ("dout", "w"), "bwd-weights": ("x", "dout")}


@dataclass(frozen=True)
class Sizes:
    """The options that say what is convolved, as typed; ``image``: batch, channels, height, width, outputs."""

    image: tuple[int, int, int, int, int]
    kernel: str
    stride: str
    padding: str
    dilation: str
    groups: int

    def convolution(self) -> Convolution:
        """The sizes asked for. Raises UsageError for what does not fit together."""
        from kernels.convolution.geometry import Convolution

        kernel = _pair("kernel", self.kernel)
        margin = _numbers("padding", self.padding, ",") if self.padding else tuple((size - 1) // 2 for size in kernel)
        if len(margin) not in (1, 2, 4):
            raise UsageError(f"--padding {self.padding}: one number, two or four are wanted")
        top, bottom, left, right = margin if len(margin) == 4 else (margin[0], margin[0], margin[-1], margin[-1])
        stride, dilation = _pair("stride", self.stride), _pair("dilation", self.dilation)
        return Convolution(*self.image, kernel, stride, (top, bottom, left, right), dilation, self.groups)


@dataclass(frozen=True)
class Options:
    """The command's options as typed; ``files`` by operand."""

    sizes: Sizes
    layout: str
    direction: str
    bias: bool
    relu: bool
    dtype: str
    chip: str
    files: dict[str, Path]
    out: Path | None
    seed: int
    tiles: int | None
    threads: int | None
    report: ReportRequest | None
    as_json: bool
    plan_rank: int = 1
    check: bool = False


def _numbers(option: str, text: str, separator: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(separator))
    except ValueError:
        raise UsageError(f"--{option} {text}: whole numbers are wanted") from None


def _pair(option: str, text: str) -> tuple[int, int]:
    found = _numbers(option, text, "x")
    if len(found) > 2:
        raise UsageError(f"--{option} {text}: one number or two, as 3x3, are wanted")
    return found[0], found[-1]


def operands(options: Options, conv: Convolution) -> dict[str, Matrix]:
    """The operands of the pass, and "bias" if there is one: from files, the others random. Raises UsageError."""
    names = _OPERANDS[options.direction]
    for name, path in options.files.items():
        if name not in names:
            raise UsageError(f"--{name} {path}: pass {options.direction} takes {' and '.join(names)}")
    shapes = {"x": conv.x_shape(options.layout), "w": conv.w_shape, "dout": conv.out_shape(options.layout)}
    kind = DTYPES[options.dtype]
    generator = np.random.default_rng(options.seed)
    found: dict[str, Matrix] = {}
    for name in names:
        if name in options.files:
            found[name] = load_array(f"--{name}", options.files[name], kind, 4)
            if found[name].shape != shapes[name]:
                raise UsageError(f"--{name} {options.files[name]}: shape {found[name].shape}, not {shapes[name]}")
        else:
            found[name] = generator.standard_normal(shapes[name], dtype=np.float32).astype(kind)
    if options.bias:
        found["bias"] = generator.standard_normal(conv.outputs, dtype=np.float32).astype(kind)
    return found


def _refuse(options: Options, conv: Convolution) -> None:
    """Refuse before operands are drawn what can be refused. Raises UsageError, OutOfTileMemory."""
    chip = load_chip(options.chip)
    if options.direction not in _OPERANDS:
        raise UsageError(f"unknown pass '{options.direction}': choose one of {', '.join(_OPERANDS)}")
    if options.direction != "fwd" and (options.bias or options.relu):
        raise UsageError(f"--bias and --relu belong to the forward pass, not to {options.direction}")
    if options.dtype not in DTYPES:
        raise UsageError(f"unknown dtype '{options.dtype}': choose one of {', '.join(DTYPES)}")
    if options.tiles is not None and not 1 <= options.tiles <= chip.tiles:
        raise UsageError(f"--tiles {options.tiles}: {chip.name} has {chip.tiles} tiles")
    if options.threads is not None and options.threads < 1:
        raise UsageError(f"--threads {options.threads}: it must be at least 1")
    require_plan_rank(options.plan_rank)
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: it must not be negative")
    sizes = (conv.x_shape("NCHW"), conv.w_shape, conv.out_shape("NCHW"))
    needed = np.dtype(DTYPES[options.dtype]).itemsize * sum(int(np.prod(size, dtype=np.int64)) for size in sizes)
    available = chip.tiles * chip.memory.size
    if needed > available:
        raise OutOfTileMemory(
            f"convolution, {conv.describe()} in {options.dtype}: operands and result take {needed / 2**20:,.0f} MiB, "
            f"{chip.name} has {available / 2**20:,.0f} MiB of SRAM"
        )


def run_convolution(options: Options) -> bool:
    """Run, check, print; True when the check passed and --check found nothing.

    Everything that can be refused is refused before the run.
    """
    from kernels.convolution.geometry import check_layout

    check_layout(options.layout)
    conv = options.sizes.convolution()
    _refuse(options, conv)
    arrays = operands(options, conv)
    if options.out:
        require_writable(options.out)
    with Progress() as progress:
        progress("starting")
        from kernels.convolution import run_pass
        from kernels.outcome import run_document

        progress.watch_compiler()
        given = {name: array for name, array in arrays.items() if name != "bias"}
        began = time.perf_counter()
        result = run_pass(
            conv, options.direction, given, layout=options.layout, dtype=options.dtype, chip=options.chip,
            threads=options.threads, progress=progress, tiles=options.tiles, bias=arrays.get("bias"), relu=options.relu,
            plan_rank=options.plan_rank, check=options.check, **timed_option(options.report),
        )  # fmt: skip
        wall = time.perf_counter() - began
        progress("checking against float64")
        check = _check(options, conv, arrays, result)
        size = result.sram_bytes
        summary = summarise(result.recording, useful_macs=conv.macs, dtype=options.dtype, sram_bytes=size)
        document = run_document(_head(options, conv), summary, check, wall, result)
        if options.out:
            with replacing(options.out) as file:
                np.save(file, result.out)
        if options.report:
            options.report.save(Report.of(document, result.recording, result.image))
    if options.as_json:
        print(json.dumps(document, indent=2))
    else:
        lines = report_lines(document, result.plan.describe(), summary, check)
        print("\n".join([_title(options, conv), *lines, *_after(options, result)]))
    return check.ok and not result.findings


def _title(options: Options, conv: Convolution) -> str:
    chip = load_chip(options.chip)
    after = ", bias" * options.bias + ", ReLU" * options.relu
    title = f"{options.direction}: {conv.describe()}{after}, {options.dtype}"
    return f"convolution  {title}, on {chip.title}, {chip.tiles:,} tiles"


def _after(options: Options, result: ContractionResult) -> list[str]:
    """What was written, what --check found."""
    lines = ["", f"wrote {options.out}"] if options.out else []
    lines += ["", options.report.told()] if options.report else []
    return lines + (["", *result.findings.lines()] if result.findings is not None else [])


def _check(options: Options, conv: Convolution, arrays: dict[str, Matrix], result: Any) -> Any:
    from kernels.check import Finish
    from kernels.check_convolution import check_convolution

    def nchw(array: Matrix, images: bool = True) -> Matrix:
        return array.transpose(0, 3, 1, 2) if images and options.layout == "NHWC" else array

    images = {name: nchw(array, name != "w") for name, array in arrays.items() if name != "bias"}
    return check_convolution(
        conv,
        options.direction,
        images,
        nchw(result.out, options.direction != "bwd-weights"),
        options.dtype,
        k_splits=result.plan.sum_splits,
        random_signs=not options.files,
        launches=result.plan.launches,
        finish=Finish(arrays.get("bias"), "relu" if options.relu else "none"),
    )


def _head(options: Options, conv: Convolution) -> dict[str, Any]:
    """What was run."""
    return {
        "kernel": "convolution",
        "pass": options.direction,
        "batch": conv.batch,
        "channels": conv.channels,
        "height": conv.height,
        "width": conv.width,
        "outputs": conv.outputs,
        "kernel_size": list(conv.kernel),
        "stride": list(conv.stride),
        "padding": list(conv.padding),
        "dilation": list(conv.dilation),
        "groups": conv.groups,
        "bias": options.bias,
        "relu": options.relu,
        "layout": options.layout,
        "dtype": options.dtype,
        "chip": options.chip,
        "seed": options.seed,
    }

"""Commands about layers of networks and their options; as in app.py, bodies only hand over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tile_emu.cli.engine_options import with_engine


class LayerGroup(TyperGroup):
    """Takes NETWORK.LAYER in the place of a command: `run resnet50.conv1` is `run layer resnet50.conv1`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command for the first argument."""
        if self.get_command(ctx, args[0]) is None:
            if "." in args[0]:
                return "layer", self.get_command(ctx, "layer"), args
            self._refuse_network(args[0])
        return super().resolve_command(ctx, args)

    def _refuse_network(self, name: str) -> None:
        """Raise UsageError for the name of a network without a layer."""
        from kernels.networks import network_names
        from tile_emu.errors import UsageError

        for network in network_names():
            if len(name) > 2 and network.startswith(name):
                raise UsageError(
                    f"'{name}' is a network: one of its layers is run as {network}.LAYER (`tile-emu network {network} "
                    f"--list` shows them), all of them by `tile-emu network {network}`"
                )


Name = Annotated[str, typer.Argument(metavar="NETWORK.LAYER", help="May be shortened while unambiguous.")]
Batch = Annotated[int, typer.Option(help="Pictures or sequences.")]
Seq = Annotated[int | None, typer.Option(help="Tokens of a sequence (BERT; 128 without it).")]
Heads = Annotated[int | None, typer.Option(help="Attention heads (BERT; the network's own without it).")]
Pass = Annotated[str, typer.Option("--pass", help="fwd, bwd-data or bwd-weights.")]
Dtype = Annotated[str, typer.Option(help="f16 (f16 partials), f16f32 (f16 operands, f32 partials and result) or f32.")]
ChipName = Annotated[str, typer.Option(help="Chip name, see `tile-emu chips`.")]
Seed = Annotated[int, typer.Option(help="Seed of the random operands.")]
Bare = Annotated[bool, typer.Option("--bare", help="Leave out the layer's bias and activation.")]
Tiles = Annotated[int | None, typer.Option(help="Tiles that may be used; all without it.")]
Threads = Annotated[int | None, typer.Option(help="Host threads; results do not depend on it.")]
Report = Annotated[Path | None, typer.Option(help="Folder for the report, see `tile-emu report`.")]
ReportTiles = Annotated[
    str | None,
    typer.Option(
        help="Tiles whose workers are timed for the report: 0-15,720, A-B:STEP, spread (eight), slowest, all, none; "
        "spread,slowest without it."
    ),
]
ReportParquet = Annotated[
    bool, typer.Option("--report-parquet", help="Write the report's counters as recording.parquet too.")
]
PlanRank = Annotated[int, typer.Option(help="2 takes the second cheapest plan of `tile-emu plan`, and so on.")]
Check = Annotated[
    bool, typer.Option("--check", help="Look for errors the hardware lets pass: memory never written, races, ...")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def layer(
    name: Name,
    batch: Batch = 1,
    seq: Seq = None,
    heads: Heads = None,
    direction: Pass = "fwd",
    dtype: Dtype = "f16",
    chip: ChipName = "bow",
    seed: Seed = 0,
    bare: Bare = False,
    tiles: Tiles = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help="Picture(s) for a first convolution, or .npy; random without it."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help=".npz, .onnx or .safetensors that has the weights by name; random without it.")
    ] = None,
    encoder_layer: Annotated[int, typer.Option(help="Which of the alike layers --weights is read for (BERT).")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the result as .npy.")] = None,
    threads: Threads = None,
    report: Report = None,
    report_tiles: ReportTiles = None,
    report_parquet: ReportParquet = False,
    plan_rank: PlanRank = 1,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """One pass of a network's layer, checked against float64: `tile-emu run resnet50.conv3_2b --batch 4`.

    Networks: resnet50 (v1.5), resnet50-v1, bert-base, bert-large, minilm-l6; `tile-emu network NAME --list` shows
    their layers. Exit status: 0 when the check passes, 1 when it does not, --check finds something or the run fails, 2
    for a usage error.
    """
    from tile_emu.cli.layer import Choice, LayerOptions, run_layer
    from tile_emu.profile.request import ReportRequest

    wanted = ReportRequest.of(report, report_tiles, report_parquet)
    choice = Choice(batch, seq, heads, direction, dtype, chip, seed, bare, tiles, plan_rank, check)
    options = LayerOptions(tuple(inputs or ()), weights, encoder_layer, out, threads, wanted, as_json)
    passed = run_layer(name, choice, options)
    raise typer.Exit(0 if passed else 1)


def network(
    name: Annotated[str, typer.Argument(help="resnet50 (v1.5), resnet50-v1, bert-base, bert-large or minilm-l6.")],
    batch: Batch = 1,
    seq: Seq = None,
    heads: Heads = None,
    direction: Pass = "fwd",
    dtype: Dtype = "f16",
    chip: ChipName = "bow",
    seed: Seed = 0,
    bare: Annotated[bool, typer.Option("--bare", help="Leave out biases and activations.")] = False,
    tiles: Tiles = None,
    layers: Annotated[
        list[str] | None, typer.Option(help="Only layers whose names match, e.g. 'conv3*'; may be repeated.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes that emulate layers at the same time.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Host threads of each process.")] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Emulate everything, no kept results; kept plans, images and compiled code are still used."
        ),
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Show the layers' shapes, multiplications and bytes.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as Markdown, equal layers joined.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder for the network's page and every layer's report; emulates everything.")
    ] = None,
    report_tiles: ReportTiles = None,
    report_parquet: ReportParquet = False,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """Run all layers of a network, each emulated and checked, one row each; known results come from a cache.

    Exit status: 0 when every layer ran, its check passed and --check found nothing, 1 otherwise, 2 for a usage error.
    """
    # Layers are checked while others run: more threads would only wait for cores. Read when NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from tile_emu.cli.layer import Choice, NetworkOptions, run_network
    from tile_emu.profile.request import ReportRequest

    wanted = ReportRequest.of(report, report_tiles, report_parquet)
    choice = Choice(batch, seq, heads, direction, dtype, chip, seed, bare, tiles, check=check)
    options = NetworkOptions(tuple(layers or ()), jobs, threads, fresh, listed, markdown, wanted, as_json)
    raise typer.Exit(0 if run_network(name, choice, options) else 1)


Best = Annotated[int, typer.Option(help="How many plans to show.")]


def plan_layer(
    name: Name,
    batch: Batch = 1,
    seq: Seq = None,
    heads: Heads = None,
    direction: Pass = "fwd",
    dtype: Dtype = "f16",
    chip: ChipName = "bow",
    bare: Bare = False,
    tiles: Tiles = None,
    best: Best = 10,
    as_json: Json = False,
) -> None:
    """Plans of a network's layer: `tile-emu plan resnet50.conv3_2b`."""
    from tile_emu.cli import plan
    from tile_emu.cli.layer import Choice

    choice = Choice(batch, seq, heads, direction, dtype, chip, 0, bare, tiles)
    plan.plan_layer(name, choice, plan.PlanOptions(best, as_json))


def plan_matmul(
    m: Annotated[int, typer.Option(help="Rows of A and C.")],
    k: Annotated[int, typer.Option(help="Columns of A, rows of B.")],
    n: Annotated[int, typer.Option(help="Columns of B and C.")],
    batch: Annotated[int, typer.Option(help="Products of that size.")] = 1,
    direction: Pass = "fwd",
    dtype: Dtype = "f16",
    chip: ChipName = "bow",
    tiles: Tiles = None,
    best: Best = 10,
    as_json: Json = False,
) -> None:
    """Plans of a matrix product."""
    from tile_emu.cli import plan
    from tile_emu.cli.layer import Choice

    choice = Choice(1, None, None, direction, dtype, chip, 0, True, tiles)
    plan.plan_product(batch, m, k, n, choice, plan.PlanOptions(best, as_json))


def add_layer_commands(app: typer.Typer, run_app: typer.Typer, plan_app: typer.Typer) -> None:
    """Declare the commands; ``run_app`` and ``plan_app`` must be of class LayerGroup."""
    app.command()(with_engine(network))
    run_app.command()(with_engine(layer))
    plan_app.command("layer")(plan_layer)
    plan_app.command("matmul")(plan_matmul)

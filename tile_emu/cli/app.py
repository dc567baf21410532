"""Commands and their options. Bodies only hand over to a module that is imported when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tile_emu.cli.app_convolution import convolution, plan_convolution
from tile_emu.cli.app_layers import (
    Check,
    Json,
    LayerGroup,
    PlanRank,
    Report,
    ReportParquet,
    ReportTiles,
    add_layer_commands,
)
from tile_emu.cli.engine_options import with_engine

_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 110},
}
app = typer.Typer(help="Run Graphcore IPU machine code without an IPU.", **_SETTINGS)
run_app = typer.Typer(cls=LayerGroup, help="Run a kernel on an emulated chip and check its result.", **_SETTINGS)
app.add_typer(run_app, name="run")
plan_app = typer.Typer(cls=LayerGroup, help="Show the best plans of a problem with predicted cycles.", **_SETTINGS)
app.add_typer(plan_app, name="plan")
add_layer_commands(app, run_app, plan_app)
cache_app = typer.Typer(help="Show or delete what is kept on disk: compiled code, plans, results.", **_SETTINGS)
app.add_typer(cache_app, name="cache")
run_app.command()(with_engine(convolution))
plan_app.command("conv")(plan_convolution)

Include = Annotated[list[Path] | None, typer.Option("-I", "--include", help="Folder of included files.")]
Define = Annotated[list[str] | None, typer.Option("-D", "--define", help="Preprocessor definition NAME or NAME=VALUE.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="File to write.")]


def _version(wanted: bool) -> None:
    if wanted:
        from tile_emu import __version__

        typer.echo(f"tile-emu {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run Graphcore IPU machine code without an IPU."""


@app.command()
def chips(as_json: Json = False) -> None:
    """List the chips that can be emulated."""
    from tile_emu.cli.listing import print_chips

    print_chips(as_json)


@app.command()
def kernels(as_json: Json = False) -> None:
    """List the kernels that `tile-emu run` knows, with their options."""
    from tile_emu.cli.listing import print_kernels

    print_kernels(typer.main.get_command(run_app), as_json)


@app.command()
def isa(
    mnemonics: Annotated[list[str] | None, typer.Argument(help="Instructions to describe; all without it.")] = None,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of all forms and choices.")] = False,
) -> None:
    """What instructions do, their worker turns and encodings; where the meaning is a choice, it says so."""
    if markdown:
        from tile_emu.cli.isapage import isa_page

        typer.echo(isa_page(), nl=False)
        return
    from tile_emu.cli.isa import print_isa

    print_isa(mnemonics or [], as_json)


@run_app.callback()
def run() -> None:
    """Run a kernel on an emulated chip and check its result."""


@run_app.command()
@with_engine
def matmul(
    m: Annotated[int | None, typer.Option(help="Rows of A and C (taken from --a when given).")] = None,
    k: Annotated[int | None, typer.Option(help="Columns of A, rows of B.")] = None,
    n: Annotated[int | None, typer.Option(help="Columns of B and C.")] = None,
    dtype: Annotated[
        str, typer.Option(help="f16 (f16 partials), f16f32 (f16 operands, f32 partials and result) or f32.")
    ] = "f16",
    chip: Annotated[str, typer.Option(help="Chip name, see `tile-emu chips`.")] = "bow",
    a: Annotated[Path | None, typer.Option(help="A[m, k] as .npy; random without it.")] = None,
    b: Annotated[Path | None, typer.Option(help="B[k, n] as .npy; random without it.")] = None,
    batch: Annotated[int, typer.Option(help="Products of that size; files then have three dimensions.")] = 1,
    transpose_a: Annotated[bool, typer.Option("--transpose-a", help="The file of A holds [k, m].")] = False,
    transpose_b: Annotated[bool, typer.Option("--transpose-b", help="The file of B holds [n, k].")] = False,
    bias: Annotated[str | None, typer.Option(help="Add a bias[n]: a .npy file, or 'random'.")] = None,
    activation: Annotated[str, typer.Option(help="Then none, relu, gelu (tanh form) or tanh.")] = "none",
    result: Annotated[
        str | None, typer.Option(help="Format of C, f16 or f32; that of the partials without it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write C[m, n] as .npy.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random operands.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Host threads; results do not depend on it.")] = None,
    report: Report = None,
    report_tiles: ReportTiles = None,
    report_parquet: ReportParquet = False,
    plan_rank: PlanRank = 1,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """Matrix product C = A * B over all tiles, checked against float64.

    Exit status: 0 when the check passes, 1 when it does not, --check finds something or the run fails, 2 for a usage
    error.
    """
    from tile_emu.cli.matmul import Form, Options, run_matmul
    from tile_emu.profile.request import ReportRequest

    form = Form(batch, transpose_a, transpose_b, bias, activation, result)
    wanted = ReportRequest.of(report, report_tiles, report_parquet)
    options = Options(m, k, n, dtype, chip, a, b, out, seed, threads, wanted, as_json, form, check, plan_rank)
    passed = run_matmul(options)
    raise typer.Exit(0 if passed else 1)


@app.command()
@with_engine
def exchange(
    pattern: Annotated[
        str, typer.Argument(help="p2p, broadcast, gather, scatter, all-to-all, random or transpose.", metavar="PATTERN")
    ],
    nbytes: Annotated[int, typer.Option("--bytes", help="Bytes per tile, a multiple of 4.")],
    chip: Annotated[str, typer.Option(help="Chip name, see `tile-emu chips`.")] = "bow",
    tiles: Annotated[int | None, typer.Option(help="Tiles that take part; default: all of the chip.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the words and of the random pattern.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Host threads; results do not depend on it.")] = None,
    as_json: Json = False,
) -> None:
    """Schedule a traffic pattern, run its rows on the chip, check every word; cycles against the bound.

    Exit status: 0 when every word arrived where it should, 1 when not or the run fails, 2 for a usage error.
    """
    from tile_emu.cli.exchange import Options, run_exchange

    right = run_exchange(Options(pattern, nbytes, chip, tiles, seed, threads, as_json))
    raise typer.Exit(0 if right else 1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder that `tile-emu run ... --report` wrote.")],
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Make the folder's page and trace anew with this version.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Where the cycles of a saved run went: phases, slowest supersteps and why, utilisation, memory, advice."""
    from tile_emu.cli.report import print_report

    print_report(folder, as_json, rewrite)


@app.command()
def compare(
    reports: Annotated[list[Path], typer.Argument(help="Report folders, or files that --json was written to.")],
    html: Annotated[Path | None, typer.Option(help="Write the comparison as a page to this file.")] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option("--fail-if", help="Exit with 1 if this holds: 'cycles>+2%', 'utilisation.mac<0.5'. Repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Two or more reports side by side, the first one as the base: what differs, and what explains it."""
    from tile_emu.cli.compare import compare

    raise typer.Exit(0 if compare(reports, html, as_json, fail_if or []) else 1)


@app.command()
@with_engine
def sweep(
    grid: Annotated[Path | None, typer.Argument(help="TOML file with tables [[sweep]], see docs/reports.md.")] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(help="An axis and its values, m=256,512. Axes: kernel, sizes, dtype, chip, tiles, chip figures."),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Results as .csv or .parquet.")] = None,
    html: Annotated[Path | None, typer.Option(help="Results as a page.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of results; what is in it is not run again.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes that emulate points at the same time.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Dask scheduler, tcp://host:8786: run there instead.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the points and run nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Run a kernel over a grid of sizes, formats, chips and what-ifs, each point once, going on where it stopped.

    Exit status: 0 when all points ran and passed their checks, else 1.
    """
    from tile_emu.cli.sweep import SweepOptions, sweep

    options = SweepOptions(grid, axis or [], out, html, store, jobs, scheduler, as_json, listed)
    raise typer.Exit(0 if sweep(options) else 1)


@app.command()
def disasm(
    file: Annotated[Path | None, typer.Argument(help="Object file or executable.")] = None,
    words: Annotated[
        list[str] | None, typer.Option("--words", help="Instruction words, hex or decimal; commas allowed.")
    ] = None,
    mode: Annotated[str, typer.Option(help="worker or supervisor: which is tried first in a file.")] = "worker",
    base: Annotated[str, typer.Option(help="Byte address of the first of --words.")] = "0x4c000",
) -> None:
    """Disassemble an object file, an executable, or machine words."""
    from tile_emu.cli.code import print_disassembly

    print_disassembly(file, words or [], mode, base)


@app.command()
def asm(
    sources: Annotated[list[Path], typer.Argument(help="Assembly sources; .S goes through the C preprocessor.")],
    out: Out = None,
    include: Include = None,
    define: Define = None,
    chip: Annotated[str, typer.Option(help="Chip to assemble for, see `tile-emu chips`.")] = "ipu21",
    base: Annotated[str | None, typer.Option(help="Byte address of the first word; default: tile memory.")] = None,
) -> None:
    """Assemble. With -o one object file of all sources; without it, print addresses, words and symbols."""
    from tile_emu.cli.code import run_asm

    run_asm(sources, out, include or [], define or [], chip, base)


@app.command()
def link(
    objects: Annotated[list[Path], typer.Argument(help="Object files.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Executable to write.")],
    base: Annotated[str | None, typer.Option(help="Byte address of the first word; default: tile memory.")] = None,
    entry: Annotated[str | None, typer.Option(help="Symbol at which execution starts; default: the base.")] = None,
) -> None:
    """Place object files in tile memory and resolve their symbols."""
    from tile_emu.cli.code import run_link

    run_link(objects, out, base, entry)


@app.command()
@with_engine
def codelet(
    sources: Annotated[list[Path], typer.Argument(help="Assembly sources or object files of the codelet.")],
    entry: Annotated[str, typer.Option(help="Symbol to start at.")],
    state: Annotated[Path, typer.Option(help="State file, TOML: arrays, vertex state, what to print.")],
    include: Include = None,
    define: Define = None,
    chip: Annotated[str, typer.Option(help="Chip whose tile runs it, see `tile-emu chips`.")] = "ipu21",
    trace: Annotated[bool, typer.Option("--trace", help="List every executed bundle with what it changed.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Count executions of each source line.")] = False,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """Run one codelet on one tile: arrays in, results and cycles out (docs/codelets.md).

    Exit status: 0 after a run, 1 for a fault, an error in the source or a finding of --check, 2 for a usage error.
    """
    from tile_emu.cli.codelet import print_codelet

    clean = print_codelet(sources, entry, state, include or [], define or [], chip, as_json, trace, profile, check)
    raise typer.Exit(0 if clean else 1)


@app.command()
def debug(
    sources: Annotated[list[Path], typer.Argument(help="Assembly sources or object files of the codelet.")],
    entry: Annotated[str, typer.Option(help="Symbol to start at.")],
    state: Annotated[Path, typer.Option(help="State file, TOML, as of `tile-emu codelet`.")],
    include: Include = None,
    define: Define = None,
    chip: Annotated[str, typer.Option(help="Chip whose tile runs it, see `tile-emu chips`.")] = "ipu21",
    command: Annotated[
        list[str] | None, typer.Option("-c", "--command", help="Command to execute instead of asking for some.")
    ] = None,
) -> None:
    """Step through one codelet at a prompt; `help` there lists the commands.

    With --command, or when input is not a terminal, the first command that fails ends it with status 2, and status 1
    says that the codelet stopped with a fault.
    """
    from tile_emu.cli.debug import run_debugger

    raise typer.Exit(run_debugger(sources, entry, state, include or [], define or [], chip, command))


@app.command()
def warmup() -> None:
    """Compile everything ahead of the first run (once per version)."""
    from tile_emu.cli.warm import warm_up

    warm_up()


@cache_app.command("list")
def cache_list(as_json: Json = False) -> None:
    """How much is kept of each kind, and where."""
    from tile_emu.cli.cache import print_kept

    print_kept(as_json)


@cache_app.command("clear")
def cache_clear(
    kinds: Annotated[list[str] | None, typer.Argument(help="results, plans, compiled; all without it.")] = None,
) -> None:
    """Delete what is kept; it is made again when it is needed (compiling takes a minute or two)."""
    from tile_emu.cli.cache import clear_kept

    clear_kept(kinds or [])

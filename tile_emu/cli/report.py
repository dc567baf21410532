"""`tile-emu report`: a saved run on the terminal, and its files made anew."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tile_emu.profile.advice import advice
from tile_emu.profile.analysis import (
    FABRIC_BYTES,
    SRAM_BYTES,
    Stretch,
    predicted_cycles,
    roofline,
    slowest,
)
from tile_emu.profile.html import UTILISATIONS
from tile_emu.profile.network import HEAD, LAYERS, network_advice, network_rows, save_network, title_of_network
from tile_emu.profile.recording import Recording
from tile_emu.profile.report import RECORDING, Report, is_network, read_summary
from tile_emu.profile.text import count, kib, percent
from tile_emu.profile.trace import title_of

_TILES_SHOWN = 16
_PLAIN_WIDTH = 140  # columns where there is no terminal to ask


def print_report(folder: Path, as_json: bool, rewrite: bool) -> None:
    """Print the summary of a report folder. ``rewrite``: also make its page and trace anew."""
    if is_network(folder):
        _print_network(folder, as_json, rewrite)
        return
    report = Report.load(folder)
    if rewrite:
        report.save_views(folder)
    if as_json:
        print(json.dumps(report_document(report), indent=2))
        return
    console = _console()
    for part in _parts(report):
        console.print(part)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def _print_network(folder: Path, as_json: bool, rewrite: bool) -> None:
    """The same for the folder of a network."""
    document = read_summary(folder)
    if rewrite:
        for own in sorted((folder / LAYERS).glob(f"*/{RECORDING}")):
            Report.load(own.parent).save_views(own.parent)
        save_network(document, folder)
    if as_json:
        print(json.dumps({**document, "advice": network_advice(document)}, indent=2))
        return
    console, totals = _console(), document["totals"]
    console.print(f"[bold]{title_of_network(document)}[/]: {count(totals['cycles'])} cycles")
    phases = ", ".join(f"{name} {percent(cycles / totals['cycles'])}" for name, cycles in totals["phases"].items())
    console.print(f"{phases}; MAC efficiency {percent(totals['mac_efficiency'])}, {totals['tflops']:.4g} TFLOPS")
    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(HEAD):
        table.add_column(name, justify="right" if 0 < i < len(HEAD) - 1 else "left")
    for row in network_rows(document):
        table.add_row(*row)
    console.print(table)
    for line in network_advice(document):
        console.print(f"  - {line}")
    console.print(f"\none layer: tile-emu report {folder / LAYERS}/NAME")


def report_document(report: Report) -> dict[str, Any]:
    """summary.json with what is worked out from the recording beside it."""
    roof = roofline(report)
    return {
        **report.document,
        "slowest": [s.__dict__ for s in slowest(report)],
        "roofline": None if roof is None else roof.to_dict(),
        "advice": advice(report),
        "missing": sorted(report.recording.missing),
    }


def _parts(report: Report) -> Iterable[Any]:
    document, recording = report.document, report.recording
    yield f"[bold]{title_of(document)}[/]: {count(recording.cycles)} cycles"
    if recording.missing:
        yield f"[yellow]an earlier version of tile-emu wrote this: without {', '.join(sorted(recording.missing))}[/]"
    yield ""
    yield _phases(recording)
    yield _utilisation(report)
    yield _slowest(slowest(report))
    yield from _roofline(report)
    yield from _memory(report)
    yield from _timed(recording)
    line = plan_line(report)
    if line:
        yield f"\n[bold]plan[/]\n  {line}"
    yield from _parts_beside(report)
    lines = advice(report)
    if lines:
        yield "\n[bold]advice[/]"
        yield from (f"  - {line}" for line in lines)


def _phases(recording: Recording) -> Table:
    table = Table("phase", title="phases", title_justify="left", box=None, pad_edge=False)
    for name in ("cycles", "share", "supersteps"):
        table.add_column(name, justify="right")
    parts = (
        ("compute", recording.compute_cycles),
        ("exchange", recording.exchange_cycles),
        ("sync", recording.sync_cycles),
    )
    for name, cycles in parts:
        total = int(cycles.sum())
        share = total / recording.cycles if recording.cycles else 0.0
        table.add_row(name, count(total), percent(share), str(int((cycles > 0).sum())))
    return table


def _utilisation(report: Report) -> Table:
    figures = report.document.get("utilisation", {})
    table = Table(title="\nutilisation", title_justify="left", box=None, show_header=False, pad_edge=False)
    for key, name, meaning in UTILISATIONS:
        if key in figures:
            table.add_row(name, f"{percent(figures[key]):>8}", f"[dim]{meaning}[/]")
    return table


def _slowest(found: list[Stretch]) -> Table:
    table = Table(title="\nslowest supersteps", title_justify="left", box=None, pad_edge=False)
    table.add_column("cycles", justify="right")
    table.add_column("kind")
    table.add_column("name")
    table.add_column("tile", justify="right")
    table.add_column("why")
    for s in found:
        table.add_row(count(s.cycles), s.kind, s.name or "(no vertices)", str(s.tile), s.why)
    return table


def _roofline(report: Report) -> Iterable[str]:
    roof = roofline(report)
    if roof is None:
        return
    yield "\n[bold]roofline[/] (an average tile of the chip)"
    yield f"  {roof.macs_per_cycle:.2f} MAC/cycle of {roof.peak}; the lowest roof is that of {roof.limit}"
    for name, rate, intensity, bound, most in (
        ("SRAM", roof.sram_bytes_per_cycle, roof.macs_per_sram_byte, roof.sram_bound, SRAM_BYTES),
        ("exchange", roof.exchange_bytes_per_cycle, roof.macs_per_exchange_byte, roof.exchange_bound, FABRIC_BYTES),
    ):
        allowed = f"{intensity:.2f} MAC/B: allows {bound:.1f} MAC/cycle" if rate else "no bound"
        yield f"  {name:<8}  {rate:.2f} B/cycle of {most}, {allowed}"


def _memory(report: Report) -> Iterable[str]:
    if report.sram is None:
        return
    used, size = report.sram.used_bytes, report.sram.size
    step, tile, most, parts = report.sram.peak()
    fullest = int(used.argmax())
    yield "\n[bold]memory[/] of a tile"
    yield f"  tile {fullest} holds {kib(used.max())} of {kib(size)}, the mean is {kib(used.mean())}"
    where = ("compute", "exchange")[step % 2]
    names = (report.recording.compute_names, report.recording.exchange_names)[step % 2]
    label = names[step // 2] or "before the first exchange"
    yield f"  most live at once: {kib(most)} on tile {tile} in {where} '{label}'"
    yield "  " + ", ".join(f"{name} {kib(part)}" for name, part in parts[:6])


def _timed(recording: Recording) -> Iterable[str]:
    """Of which tiles page and trace show when each worker ran."""
    tiles = sorted({int(tile) for tile in recording.worker_runs[:, 1]})
    if not tiles:
        return
    slow = [str(tile) for tile in recording.slow_tiles() if tile in tiles]
    shown = ", ".join(map(str, tiles[:_TILES_SHOWN])) + (", ..." if len(tiles) > _TILES_SHOWN else "")
    held = f"; {' and '.join(slow)} held the chip up" if slow else ""
    yield f"\n[bold]workers timed[/] on {len(tiles)} tiles\n  {shown}{held}"


def _parts_beside(report: Report) -> Iterable[Table]:
    """Predicted and counted cycles of the plan's parts, where the kernel handed them over."""
    found = report.document.get("parts")
    if not found:
        return
    table = Table("  part", box=None, pad_edge=False)
    for name in ("predicted", "counted"):
        table.add_column(name, justify="right")
    for group in found:
        parts = ", ".join(part.replace("_", " ") for part in group["parts"]) or "foreseen by no part"
        table.add_row(f"  {parts}", count(group["predicted"]), count(group["counted"]))
    yield table


def plan_line(report: Report) -> str:
    """Predicted and counted cycles in a line; empty without a prediction."""
    predicted = predicted_cycles(report.document.get("plan"))
    if not predicted:
        return ""
    plans = report.document.get("plans") or ()
    rank = next((f"plan {plan['rank']} of {len(plans)}: " for plan in plans if plan["chosen"]), "")
    return f"{rank}predicted {count(predicted['total'])} cycles, counted {count(report.recording.cycles)}"

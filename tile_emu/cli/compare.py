"""`tile-emu compare`: saved reports side by side, and gates for continuous integration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tile_emu.errors import UsageError
from tile_emu.profile.atomic import replacing, require_writable
from tile_emu.profile.compare import (
    Distribution,
    Row,
    comparison_document,
    distribution,
    explanation,
    layer_rows,
    rows,
    superstep_rows,
    version_note,
)
from tile_emu.profile.gates import Failure, failures, parse_gate
from tile_emu.profile.subject import Subject, load_subjects

_PLAIN_WIDTH = 140  # columns where there is no terminal to ask
_BAR = 24  # characters
_STEPS = 12  # supersteps shown


def compare(paths: Sequence[Path], page: Path | None, as_json: bool, fail_if: Sequence[str]) -> bool:
    """Print the comparison, write its page; whether no gate was met."""
    if len(paths) < 2:
        raise UsageError("compare needs at least two reports")
    gates = [parse_gate(text) for text in fail_if]
    if page is not None:
        require_writable(page)
    subjects = load_subjects(paths)
    failed = failures(gates, subjects)
    if page is not None:
        from tile_emu.profile.comparepage import comparison_page

        with replacing(page) as file:
            file.write(comparison_page(subjects).encode())
    if as_json:
        gated = [{**failure.__dict__} for failure in failed]
        print(json.dumps({**comparison_document(subjects), "failed": gated}, indent=2))
    else:
        _print(subjects, failed)
    return not failed


def _print(subjects: Sequence[Subject], failed: Sequence[Failure]) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PLAIN_WIDTH)
    for subject in subjects:
        console.print(f"{subject.name}: {subject.title}{version_note(subject, subjects)}")
    console.print(_table("", rows(subjects), subjects))
    layers = layer_rows(subjects)
    if layers:
        console.print(_table("cycles by layer", layers, subjects))
    steps = superstep_rows(subjects)
    if steps:
        console.print(_table("cycles by superstep, the most different first", steps[:_STEPS], subjects))
    spread = distribution(subjects)
    if spread is not None:
        console.print(_spread(spread, subjects))
    for other in subjects[1:]:
        head, *parts = explanation(subjects[0], other)
        console.print(f"\n{head}")
        for line in parts:
            console.print(f"  {line}")
    for failure in failed:
        console.print(f"failed: {failure}")


def _table(title: str, found: Sequence[Row], subjects: Sequence[Subject]) -> Table:
    table = Table(title=f"\n{title}" if title else None, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for subject in subjects:
        table.add_column(subject.name, justify="right")
    for row in found:
        table.add_row(row.name or "(no vertices)", *row.texts())
    return table


def _spread(spread: Distribution, subjects: Sequence[Subject]) -> Table:
    table = Table(title="\ntiles used by issue utilisation", title_justify="left", box=None, pad_edge=False)
    table.add_column("", justify="right")
    for subject in subjects:
        table.add_column(subject.name)
    most = max(max(counts) for counts in spread.counts if counts is not None)
    filled = [i for counts in spread.counts if counts is not None for i, number in enumerate(counts) if number]
    for i in range(min(filled), max(filled) + 1):
        low, high = spread.edges[i], spread.edges[i + 1]
        cells = []
        for counts in spread.counts:
            number = 0 if counts is None else counts[i]
            bar = "#" * max(round(_BAR * number / most), 1 if number else 0)
            cells.append(f"{bar:<{_BAR}} {number:,}" if counts is not None else "-")
        table.add_row(f"{100 * low:.3g}..{100 * high:.3g} %", *cells)
    return table

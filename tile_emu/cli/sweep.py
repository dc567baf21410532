"""`tile-emu sweep`: a kernel over a grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tile_emu.cli.listing import print_table
from tile_emu.cli.progress import Progress
from tile_emu.errors import UsageError
from tile_emu.profile.atomic import replacing, require_writable
from tile_emu.profile.sweeptable import records, require_format, sweep_page, write_records
from tile_emu.profile.text import count, percent


@dataclass(frozen=True)
class SweepOptions:
    """The command's options as typed."""

    grid: Path | None
    axes: Sequence[str]
    out: Path | None
    page: Path | None
    store: Path | None
    jobs: int
    scheduler: str | None
    as_json: bool
    listed: bool


def sweep(options: SweepOptions) -> bool:
    """Run the grid, print a table, write files; whether every point ran and passed its check."""
    from kernels.sweep.grid import axes_from_options, expand, read_grid

    given = axes_from_options(options.axes)
    if (options.grid is None) == (not given):
        raise UsageError("give a grid: a TOML file, or --axis options")
    tables = [given] if options.grid is None else read_grid(options.grid)
    points = expand(tables)
    if options.listed:
        for point in points:
            print(point.name)
        return True
    if options.jobs < 1:
        raise UsageError(f"--jobs {options.jobs}: it must be at least 1")
    for path in (options.out, options.page):
        if path is not None:
            require_writable(path)
    if options.out is not None:
        require_format(options.out)
    with Progress() as progress:
        progress("starting")
        from kernels.networks.cache import ResultCache
        from kernels.sweep.run import run_sweep

        progress.watch_compiler()
        store = ResultCache(options.store)
        results = run_sweep(points, store=store, processes=options.jobs, scheduler=options.scheduler, progress=progress)
    found = records([result.point.identity() for result in results], [result.document for result in results])
    axes = list(dict.fromkeys(axis for result in results for axis in result.point.identity()))
    if options.out is not None:
        write_records(found, options.out)
    if options.page is not None:
        with replacing(options.page) as file:
            file.write(sweep_page(found, axes).encode())
    if options.as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found, [result.point.name for result in results], sum(result.cached for result in results))
    return all(record["error"] is None and record["check.ok"] is not False for record in found)


def _print(found: Sequence[dict[str, Any]], names: Sequence[str], cached: int) -> None:
    rows: list[tuple[str, ...]] = []
    for name, record in zip(names, found):
        if record["error"] is not None:
            rows.append((name, "-", "-", "-", f"error: {record['error']}"))
            continue
        check = "estimate" if record["estimated"] else "ok" if record["check.ok"] else "FAILED"
        mac = record.get("utilisation.mac")
        figures = (count(record["cycles"]), f"{record['tflops']:.4g}", percent(mac) if mac is not None else "-")
        rows.append((name, *figures, check))
    print_table(("point", "cycles", "TFLOPS", "MAC efficiency", "check"), rows)
    print(f"{len(found)} points, {cached} of them known before")

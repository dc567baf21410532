"""Results of a sweep as a table: columns of axes and figures, as CSV, Parquet or a page."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tile_emu.errors import UsageError
from tile_emu.profile.atomic import replacing
from tile_emu.profile.html import PARTS, part_key, pieces, plain_page, table
from tile_emu.profile.parquet import parquet_bytes, pyarrow
from tile_emu.profile.subject import Subject
from tile_emu.profile.text import count, kib, percent

Record = Mapping[str, Any]

# Columns after the axes, in this order; every other number of a document follows by its path.
_FIRST = ("cycles", "seconds_on_chip", "tflops", "peak_share", "phases.compute", "phases.exchange", "phases.sync")
# Not a result: how long this computer took, and what merely repeats an axis.
_LEFT_OUT = ("emulation.", "estimate.", "check.max_limit", "check.rms_limit")
FORMATS = (".csv", ".parquet")


def records(points: Sequence[Mapping[str, Any]], documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record a point: its axes, its figures, whether the check passed, its error. All have the same keys."""
    axes = list(dict.fromkeys(name for point in points for name in point))
    figures = [Subject("", document).figures for document in documents]
    names = dict.fromkeys(_FIRST) | dict.fromkeys(sorted(name for found in figures for name in found))
    kept = [name for name in names if not name.startswith(_LEFT_OUT) and name not in axes]
    made = []
    for point, document, found in zip(points, documents, figures):
        check, error = document.get("check", {}), document.get("error", {})
        made.append(
            {name: point.get(name) for name in axes}
            | {name: found.get(name) for name in kept}
            | {"check.ok": check.get("ok"), "estimated": bool(document.get("estimated")), "error": error.get("message")}
        )
    return made


def write_records(found: Sequence[Record], path: Path) -> None:
    """Write ``.csv`` or ``.parquet`` (extra ``report``); the file appears whole or not at all. Raises UsageError."""
    content = _parquet(found) if path.suffix == ".parquet" else _csv(found)
    with replacing(path) as file:
        file.write(content)


def require_format(path: Path) -> None:
    """Refuse, before the work, what write_records could not write. Raises UsageError."""
    if path.suffix not in FORMATS:
        raise UsageError(f"cannot write {path}: the name must end in {' or '.join(FORMATS)}")
    if path.suffix == ".parquet":
        pyarrow()


def _csv(found: Sequence[Record]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue().encode()


def _parquet(found: Sequence[Record]) -> bytes:
    return parquet_bytes(pyarrow().Table.from_pylist([dict(record) for record in found]))


# --- the page ---

_COLUMNS = (
    ("cycles", "cycles", count),
    ("TFLOPS", "tflops", "{:.4g}".format),
    ("compute", "phases.compute", count),
    ("exchange", "phases.exchange", count),
    ("sync", "phases.sync", count),
    ("MAC efficiency", "utilisation.mac", percent),
    ("issue utilisation", "utilisation.issue", percent),
    ("tile balance", "utilisation.balance", percent),
    ("SRAM, fullest tile", "sram.max_bytes", kib),
)


def sweep_page(found: Sequence[Record], axes: Sequence[str]) -> str:
    """All points side by side as one offline page; ``axes`` are the keys of the records that were varied or set."""
    varied = [axis for axis in axes if len({str(record[axis]) for record in found}) > 1]
    common = ", ".join(f"{axis} {found[0][axis]}" for axis in axes if axis not in varied and found[0][axis] is not None)
    rows = []
    for record in found:
        figures = [write(record[key]) if record.get(key) is not None else "-" for _, key, write in _COLUMNS]
        note = record["error"] or ("estimated" if record["estimated"] else "")
        rows.append([*(_text(record[axis]) for axis in varied), *figures, note])
    head = [*varied, *(name for name, _, _ in _COLUMNS), ""]
    numeric = range(len(varied), len(varied) + len(_COLUMNS))
    body = f"{_bars(found, varied)}<h2>Figures</h2>{table(head, rows, numeric=numeric)}"
    return plain_page(f"{len(found):,} points", common, body)


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _bars(found: Sequence[Record], varied: Sequence[str]) -> str:
    """Compute, exchange and sync of every point, to one scale."""
    longest = max((record["cycles"] or 0 for record in found), default=0)
    if not longest:
        return ""
    rows = []
    for record in found:
        name = ", ".join(f"{axis} {_text(record[axis])}" for axis in varied) or "the only point"
        bar = pieces({part: record[f"phases.{part}"] or 0 for part in PARTS}, longest)
        cycles = count(record["cycles"]) + " cycles" if record["cycles"] is not None else "did not run"
        rows.append(f'<p>{html.escape(name)}: {cycles}</p><div class="split" style="margin-top:2px">{bar}</div>')
    return f"<h2>Where the cycles go</h2>{part_key()}{''.join(rows)}"

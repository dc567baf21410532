"""How reports, recordings and summaries look in a notebook: small tables, readable in light and dark themes."""

from __future__ import annotations

import html

from tile_emu.profile.advice import advice
from tile_emu.profile.analysis import slowest
from tile_emu.profile.html import UTILISATIONS, listed, table
from tile_emu.profile.recording import Recording
from tile_emu.profile.report import Report
from tile_emu.profile.text import count, percent
from tile_emu.profile.trace import title_of

# One colour for each part that is told apart on both backgrounds.
_COLOURS = {"compute": "#3b78d8", "exchange": "#d9803a", "sync": "#8d97a5"}
_SHOWN = 5


def recording_html(recording: Recording) -> str:
    """Where the cycles went, and how evenly the tiles were used."""
    cycles = recording.cycles
    parts = {
        "compute": int(recording.compute_cycles.sum()),
        "exchange": int(recording.exchange_cycles.sum()),
        "sync": int(recording.sync_cycles.sum()),
    }
    rows = [(name, count(value), percent(value / cycles if cycles else 0.0)) for name, value in parts.items()]
    used = int((recording.turns.sum(axis=0) > 0).sum())
    head = f"{count(cycles)} cycles on {recording.chip.title}, {used:,} of {recording.chip.tiles:,} tiles used"
    return f"<p><b>{html.escape(head)}</b></p>{_bar(parts, cycles)}{table(('phase', 'cycles', 'share'), rows)}"


def report_html(report: Report) -> str:
    """The recording, the utilisations by their full names, the slowest supersteps, advice."""
    figures = report.document.get("utilisation", {})
    use = [(name, percent(figures[key])) for key, name, _ in UTILISATIONS if key in figures]
    slow = [(count(s.cycles), s.kind, s.name, str(s.tile), s.why) for s in slowest(report, _SHOWN)]
    parts = [f"<h4>{html.escape(title_of(report.document))}</h4>", recording_html(report.recording)]
    parts += [table(("", ""), use), table(("cycles", "slowest", "name", "tile", "why"), slow)]
    parts.append(listed(advice(report), "advice"))
    return "".join(parts)


def _bar(parts: dict[str, int], whole: int) -> str:
    pieces = "".join(
        f'<span title="{name}" style="display:inline-block;height:14px;width:{100 * cycles / max(1, whole):.2f}%;'
        f'background:{_COLOURS[name]}"></span>'
        for name, cycles in parts.items()
    )
    return f'<div style="max-width:600px;line-height:0">{pieces}</div>'

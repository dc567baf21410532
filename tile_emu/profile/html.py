"""report.html: one file that shows a report in a browser, without network. Figures in words and tables are written
here; what is drawn is drawn by page/*.js from the data that pagedata.py embeds."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from tile_emu.profile.analysis import advice, predicted_cycles, roofline, stretches
from tile_emu.profile.listing import codelet_uses
from tile_emu.profile.pagedata import page_data
from tile_emu.profile.report import Report
from tile_emu.profile.text import count, kib, percent, seconds
from tile_emu.profile.trace import title_of

_SCRIPTS = ("data.js", "draw.js", "timeline.js", "tiles.js", "code.js", "traffic.js", "memory.js", "main.js")
_SLOWEST = 10
_MOST_STEPS = 40  # of what happened, beside the prediction


def report_page(report: Report) -> str:
    """The page as text."""
    recording = report.recording
    grid = recording.chip.exchange
    return fill_page(
        page_resource("page.html"),
        {
            "TITLE": html.escape(title_of(report.document)),
            "SUBTITLE": html.escape(_subtitle(report)),
            "CSS": page_resource("page.css"),
            "OVERVIEW": _overview(report),
            "COLUMNS": str(grid.columns),
            "ROWS": str(grid.rows),
            "LANES": str(grid.lanes),
            "CODELETS": _codelets(report),
            "MEMORY": _memory(report),
            "PLAN": _plan(report),
            "FOOT": _foot(report),
            "DATA": embedded(page_data(report)),
            "SCRIPT": "\n".join(page_resource(name) for name in _SCRIPTS),
        },
    )


def fill_page(template: str, parts: Mapping[str, str]) -> str:
    """The template with every ``@NAME@`` replaced; what is put in is not looked at again."""
    pieces = template.split("@")
    out = pieces[:1]
    for at, piece in enumerate(pieces[1:], 1):
        if piece in parts:
            out.append(parts[piece])
        else:
            out += ["" if pieces[at - 1] in parts else "@", piece]
    return "".join(out)


def embedded(data: Any) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\u0021--")


def page_resource(name: str) -> str:
    """A file of profile/page."""
    return resources.files("tile_emu.profile").joinpath("page", name).read_text(encoding="utf-8")


def figure(name: str, text: str) -> str:
    """A figure that tests find by its name."""
    return f'<b data-figure="{name}">{html.escape(text)}</b>'


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Cards of (name, figure, caption)."""
    made = (
        f'<div class="card">{figure(n, text)}<span>{html.escape(caption)}</span></div>' for n, text, caption in entries
    )
    return f'<div class="cards">{"".join(made)}</div>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = (), attributes: Any = None
) -> str:
    """A table; ``numeric`` columns are set right; ``attributes(i)`` are put into the i-th row's tag."""

    def cells(tag: str, row: Sequence[str]) -> str:
        marks = [' class="n"' if i in numeric else "" for i in range(len(row))]
        return "".join(f"<{tag}{mark}>{html.escape(text)}</{tag}>" for mark, text in zip(marks, row))

    body = "".join(f"<tr{attributes(i) if attributes else ''}>{cells('td', row)}</tr>" for i, row in enumerate(rows))
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def _subtitle(report: Report) -> str:
    chip = report.recording.chip
    used = int((report.recording.turns.sum(axis=0) > 0).sum())
    return f"{chip.title}, {chip.tiles:,} tiles at {chip.clock_hz / 1e9:.3g} GHz, {used:,} of them used"


def _overview(report: Report) -> str:
    document, recording = report.document, report.recording
    figures = document.get("utilisation", {})
    clock = recording.chip.clock_hz
    entries = [("cycles", count(recording.cycles), f"cycles, {seconds(recording.cycles / clock)} at the chip's clock")]
    if "tflops" in document:
        share = percent(document["peak_share"])
        entries.append(("tflops", f"{document['tflops']:.4g} TFLOPS", f"{share} of the chip's peak"))
    used = int((recording.turns.sum(axis=0) > 0).sum())
    entries.append(("tiles_used", f"{used:,} of {recording.chip.tiles:,}", "tiles on which a worker ran"))
    for key, name, meaning in UTILISATIONS:
        if key in figures:
            entries.append((f"utilisation.{key}", percent(figures[key]), f"{name}: {meaning}"))
    return cards(entries) + _split(report) + _advice(report) + _slow(report) + _roof(report)


UTILISATIONS = (
    ("issue", "issue utilisation", "turns used / turns available"),
    ("amp", "AMP utilisation", "AMP instructions / turns used"),
    ("mac", "MAC efficiency", "useful MACs / peak of the whole chip"),
    ("balance", "tile balance", "mean / max busy cycles over the tiles used"),
)


def _split(report: Report) -> str:
    recording = report.recording
    parts = {
        "compute": int(recording.compute_cycles.sum()),
        "exchange": int(recording.exchange_cycles.sum()),
        "sync": int(recording.sync_cycles.sum()),
    }
    total = max(1, recording.cycles)
    bars = "".join(
        f'<div style="width:{100 * cycles / total:.3f}%;background:var(--{name})"></div>'
        for name, cycles in parts.items()
    )
    key = "".join(
        f'<span><i style="background:var(--{name})"></i>{name} '
        f'<span data-figure="phases.{name}">{count(cycles)}</span> cycles ({percent(cycles / total)})</span>'
        for name, cycles in parts.items()
    )
    return f'<div class="split">{bars}</div><div class="key">{key}</div>'


def _advice(report: Report) -> str:
    lines = advice(report)
    if not lines:
        return ""
    return f'<h3>What the numbers advise</h3><ul id="advice">{"".join(f"<li>{html.escape(t)}" for t in lines)}</ul>'


def _slow(report: Report) -> str:
    found = list(stretches(report))
    order = sorted((i for i, s in enumerate(found) if s.cycles), key=lambda i: -found[i].cycles)[:_SLOWEST]
    rows = [
        (count(found[i].cycles), found[i].kind, found[i].name or "(no vertices)", str(found[i].tile), found[i].why)
        for i in order
    ]

    def attributes(row: int) -> str:
        return f' class="go" tabindex="0" data-tile="{found[order[row]].tile}" data-stretch="{order[row]}"'

    head = ("cycles", "kind", "name", "tile", "why")
    return "<h3>Slowest supersteps</h3>" + table(head, rows, numeric=(0, 3), attributes=attributes)


def _roof(report: Report) -> str:
    roof = roofline(report)
    if roof is None:
        return ""
    rows = [("AMP units", f"{roof.macs_per_cycle:.2f} MAC/cycle", "", f"{roof.peak} MAC/cycle")]
    for name, rate, intensity, bound in (
        ("SRAM", roof.sram_bytes_per_cycle, roof.macs_per_sram_byte, roof.sram_bound),
        ("exchange", roof.exchange_bytes_per_cycle, roof.macs_per_exchange_byte, roof.exchange_bound),
    ):
        allowed = (f"{intensity:.2f} MAC/B", f"{bound:.1f} MAC/cycle") if rate else ("-", "none")
        rows.append((name, f"{rate:.2f} B/cycle", *allowed))
    text = f'<p class="soft">An average tile of the chip. The lowest roof is that of {html.escape(roof.limit)}.</p>'
    return "<h3>Roofline</h3>" + text + table(("", "reached", "intensity", "roof"), rows, numeric=(1, 2, 3))


def _codelets(report: Report) -> str:
    if report.listing is None:
        return '<p class="soft">This report does not have the code that ran.</p>'
    names = report.recording.compute_names
    rows = [
        (
            f"{use.phase}: {names[use.phase] or '(no vertices)'}",
            use.name,
            count(use.turns),
            count(use.executions),
            count(use.supervisor_instructions),
        )
        for use in codelet_uses(report.recording, report.listing)
    ]
    head = ("superstep", "codelet", "worker turns", "bundles and instructions", "supervisor instructions")
    return table(head, rows, numeric=(2, 3, 4), attributes=lambda i: ' data-codelet="yes"')


def _memory(report: Report) -> str:
    if report.sram is None:
        return ""
    used, size = report.sram.used_bytes, report.sram.size
    step, tile, most, parts = report.sram.peak()
    names = (report.recording.compute_names, report.recording.exchange_names)[step % 2]
    where = f"{('compute', 'exchange')[step % 2]} '{names[step // 2] or 'before the first exchange'}'"
    entries = [
        ("sram.max_bytes", kib(used.max()), f"most on a tile (tile {int(used.argmax())}) of {kib(size)}"),
        ("sram.mean_bytes", kib(used.mean()), "mean over the tiles of the program"),
        ("sram.live", kib(most), f"most live at once: tile {tile} in {where}"),
    ]
    rows = [(name, count(part)) for name, part in parts]
    return cards(entries) + "<h3>What is live at that peak</h3>" + table(("part", "bytes"), rows, numeric=(1,))


def _plan(report: Report) -> str:
    plan = report.document.get("plan")
    if not isinstance(plan, Mapping):
        return '<p class="soft">This report does not have a plan.</p>'
    predicted = predicted_cycles(plan)
    text = ""
    if predicted:
        total, cycles = predicted["total"], report.recording.cycles
        error = f"{100 * (cycles / total - 1):+.1f} %" if total else ""
        entries = [
            ("plan.predicted", count(total), "cycles predicted"),
            ("plan.counted", count(cycles), "cycles counted"),
        ]
        text += cards([*entries, ("plan.error", error, "counted beyond predicted")])
        rows = [(name.replace("_", " "), count(cycles)) for name, cycles in predicted.items() if name != "total"]
        foreseen = table(("part of the prediction", "cycles"), rows, numeric=(1,))
        steps = [(f"{s.kind} {s.name}".strip(), count(s.cycles)) for s in stretches(report) if s.cycles]
        happened = table(("what happened", "cycles"), steps[:_MOST_STEPS], numeric=(1,))
        text += f'<div class="two"><div>{foreseen}</div><div id="happened">{happened}</div></div>'
    plain = [(name.replace("_", " "), _value(value)) for name, value in plan.items() if not isinstance(value, Mapping)]
    return text + table(("plan", ""), plain)


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _foot(report: Report) -> str:
    from tile_emu import __version__

    lacking = sorted(report.recording.missing)
    text = f"tile-emu {__version__}, {report.recording.model}."
    if lacking:
        text += f" An earlier version recorded this run, without {', '.join(lacking)}."
    return html.escape(text)

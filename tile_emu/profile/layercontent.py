"""One run as report.html shows it: the figures in words and tables, as markup, and the data of what is drawn.

Markup is written here; what is drawn is drawn by page/*.js from the data that pagedata.py makes.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from tile_emu.profile.advice import advice
from tile_emu.profile.analysis import Stretch, predicted_cycles, roofline, stretches
from tile_emu.profile.html import UTILISATIONS, cards, listed, split, table
from tile_emu.profile.listing import codelet_uses
from tile_emu.profile.pagedata import page_data
from tile_emu.profile.report import Report
from tile_emu.profile.text import count, kib, percent, seconds, step_name
from tile_emu.profile.trace import title_of

_SLOWEST = 10
_MOST_STEPS = 40  # of what happened, beside the prediction


def layer_content(report: Report) -> dict[str, Any]:
    """``title``, ``subtitle``, ``parts`` (markup by the name of its place in page.html) and ``report`` (data)."""
    steps = list(stretches(report))
    return {
        "title": title_of(report.document),
        "subtitle": _subtitle(report),
        "parts": {
            "overview": _overview(report, steps),
            "codelets": _codelets(report),
            "exchanges": _exchanges(report),
            "memory": _memory(report),
            "peak": _live_at_peak(report),
            "plan": _plan(report, steps),
            "foot": _foot(report),
        },
        "report": page_data(report),
    }


def _subtitle(report: Report) -> str:
    chip = report.recording.chip
    used = int((report.recording.turns.sum(axis=0) > 0).sum())
    return f"{chip.title}, {chip.tiles:,} tiles at {chip.clock_hz / 1e9:.3g} GHz, {used:,} of them used"


def _overview(report: Report, steps: Sequence[Stretch]) -> str:
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
    phases = {
        "compute": int(recording.compute_cycles.sum()),
        "exchange": int(recording.exchange_cycles.sum()),
        "sync": int(recording.sync_cycles.sum()),
    }
    return cards(entries) + split(phases, recording.cycles) + _advice(report) + _slow(steps) + _roof(report)


def _advice(report: Report) -> str:
    lines = advice(report)
    return f"<h3>What the numbers advise</h3>{listed(lines, 'advice')}" if lines else ""


def _slow(found: Sequence[Stretch]) -> str:
    order = sorted((i for i, s in enumerate(found) if s.cycles), key=lambda i: -found[i].cycles)[:_SLOWEST]
    rows = [
        (count(found[i].cycles), found[i].kind, found[i].name or "(no vertices)", str(found[i].tile), found[i].why)
        for i in order
    ]

    def attributes(row: int) -> str:
        return f' class="go" tabindex="0" data-tile="{found[order[row]].tile}" data-stretch="{order[row]}"'

    head = ("cycles", "kind", "name", "tile", "why")
    return (
        '<div id="slowest"><h3>Slowest supersteps</h3>'
        + table(head, rows, numeric=(0, 3), attributes=attributes)
        + "</div>"
    )


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
    found = table(("", "reached", "intensity", "roof"), rows, numeric=(1, 2, 3))
    drawn = '<canvas id="roof-canvas" style="height:210px" role="img" aria-label="roofline"></canvas>'
    return (
        f'<div id="roofline" class="two"><div><h3>Roofline</h3>{text}{found}</div><div>{drawn}'
        '<p class="soft">MAC a cycle against MAC a byte; the lines are what each traffic allows, the dots this run.</p>'
        "</div></div>"
    )


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


def _exchanges(report: Report) -> str:
    """A row for each exchange: how long, how much, and its busiest tiles."""
    recording = report.recording
    rows = []
    for phase, name in enumerate(recording.exchange_names):
        received, sent = recording.received[phase], recording.sent[phase]
        most = [(int(words.argmax()), int(words.max())) for words in (received, sent)]
        busiest = (f"{count(words)} (tile {tile})" if words else "-" for tile, words in most)
        cycles, words = int(recording.exchange_cycles[phase]), int(received.sum())
        rate = f"{words / cycles:,.1f}" if cycles else "-"
        rows.append((f"{phase}: {name}", count(cycles), count(words), rate, *busiest))
    head = ("exchange", "cycles", "words delivered", "words a cycle", "most received", "most sent")
    return table(head, rows, numeric=range(1, 6)) if rows else ""


def _memory(report: Report) -> str:
    if report.sram is None:
        return ""
    used, size = report.sram.used_bytes, report.sram.size
    step, tile, most, _ = report.sram.peak()
    names = (report.recording.compute_names, report.recording.exchange_names)[step % 2]
    where = f"{('compute', 'exchange')[step % 2]} '{names[step // 2] or 'before the first exchange'}'"
    entries = [
        ("sram.max_bytes", kib(used.max()), f"most on a tile (tile {int(used.argmax())}) of {kib(size)}"),
        ("sram.mean_bytes", kib(used.mean()), "mean over the tiles of the program"),
        ("sram.live", kib(most), f"most live at once: tile {tile} in {where}"),
    ]
    return cards(entries)


def _live_at_peak(report: Report) -> str:
    if report.sram is None:
        return ""
    *_, parts = report.sram.peak()
    rows = [(name, count(part)) for name, part in parts]
    return f"<h3>What is live at the peak</h3>{table(('part', 'bytes'), rows, numeric=(1,))}"


def _plan(report: Report, steps: Sequence[Stretch]) -> str:
    plan = report.document.get("plan")
    if not isinstance(plan, Mapping):
        return '<p class="soft">This report does not have a plan.</p>'
    text = _prediction(report, predicted_cycles(plan), steps)
    plain = [(name.replace("_", " "), _value(value)) for name, value in plan.items() if not isinstance(value, Mapping)]
    pairs = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in plain)
    return f'{text}<h3>The plan</h3><dl id="plan-values" class="pairs">{pairs}</dl>{_plans(report)}'


def _prediction(report: Report, predicted: Mapping[str, int], steps: Sequence[Stretch]) -> str:
    if not predicted:
        return ""
    total, cycles = predicted["total"], report.recording.cycles
    error = f"{100 * (cycles / total - 1):+.1f} %" if total else ""
    entries = [
        ("plan.predicted", count(total), "cycles predicted"),
        ("plan.counted", count(cycles), "cycles counted"),
        ("plan.error", error, "counted beyond predicted"),
    ]
    foreseen = _parts(report, predicted)
    happened = [(step_name(s.kind, s.name), count(s.cycles)) for s in steps if s.cycles][:_MOST_STEPS]
    counted = table(("what happened", "cycles"), happened, numeric=(1,))
    both = f'<div id="foreseen">{foreseen}</div><div id="happened">{counted}</div>'
    return f'{cards(entries)}<div class="two">{both}</div>'


def _parts(report: Report, predicted: Mapping[str, int]) -> str:
    """The prediction part by part, beside what the kernel says that each part's supersteps took."""
    found = report.document.get("parts")
    if not found:
        rows = [(name.replace("_", " "), count(value)) for name, value in predicted.items() if name != "total"]
        return table(("part of the prediction", "cycles"), rows, numeric=(1,))
    lines = []
    for group in found:
        name = ", ".join(part.replace("_", " ") for part in group["parts"]) or "foreseen by no part"
        was, cycles = group["predicted"], group["counted"]
        error = f"{100 * (cycles / was - 1):+.1f} %" if was else ""
        lines.append((name, count(was), count(cycles), error))
    return table(("part of the plan", "predicted", "counted", "difference"), lines, numeric=(1, 2, 3))


def _plans(report: Report) -> str:
    """The planner's best plans side by side; empty when the report does not have them."""
    plans = report.document.get("plans")
    if not plans:
        return ""
    parts = list(dict.fromkeys(name for plan in plans for name in plan["predicted"] if name != "total"))
    rows = [
        (
            str(plan["rank"]),
            plan["division"] + (" (this run)" if plan["chosen"] else ""),
            count(plan["tiles"]),
            count(plan["predicted"]["total"]),
            *(count(plan["predicted"].get(part, 0)) for part in parts),
            percent(plan["padding"]),
            kib(plan["sram_bytes"]),
        )
        for plan in plans
    ]
    head = ("rank", "plan", "tiles", "predicted cycles", *(p.replace("_", " ") for p in parts), "padding", "SRAM")
    numeric = (0, *range(2, len(head)))
    return f'<div id="plans"><h3>The best plans</h3>{table(head, rows, numeric=numeric)}</div>'


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _foot(report: Report) -> str:
    from tile_emu import __version__

    recording = report.recording
    text = f"Page by tile-emu {__version__}; recorded by {recording.writer}, {recording.model}."
    lacking = sorted(recording.missing)
    if lacking:
        text += f" That version did not record {', '.join(lacking)}."
    return html.escape(text)

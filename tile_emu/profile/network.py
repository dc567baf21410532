"""A network's report: the documents of its layers and what they add up to, as summary.json and a page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tile_emu.profile.atomic import replacing
from tile_emu.profile.html import cards, page_resource, table
from tile_emu.profile.report import PAGE, SUMMARY
from tile_emu.profile.text import count, kib, percent, seconds

LAYERS = "layers"  # folder of the layers' own reports
Document = Mapping[str, Any]
PARTS = ("compute", "exchange", "sync")

# Head of a row of network_rows.
HEAD = (
    *("layer", "times", "cycles", "of all", "compute", "exchange", "sync"),
    *("MAC efficiency", "AMP utilisation", "tile balance", "SRAM", "check"),
)


def save_network(document: Document, folder: Path) -> None:
    """Write summary.json and report.html of ``{network, layers, totals, ..}``; pages of layers found are linked."""
    with replacing(folder / SUMMARY) as file:
        file.write((json.dumps(document, indent=2) + "\n").encode())
    with replacing(folder / PAGE) as file:
        file.write(network_page(document, folder).encode())


def ran(document: Document) -> list[Document]:
    """The layers that ran."""
    return [layer for layer in document["layers"] if "error" not in layer]


def network_rows(document: Document) -> list[tuple[str, ...]]:
    """A row of text for each layer, under HEAD."""
    total = document["totals"]["cycles"] or 1
    return [_row(layer, total) for layer in document["layers"]]


def _row(layer: Document, total: int) -> tuple[str, ...]:
    name, times = str(layer["layer"]), int(layer.get("count", 1))
    if "error" in layer:
        return (name, str(times), *("-",) * 9, str(layer["error"]["message"]))
    use, phases = layer["utilisation"], layer["phases"]
    return (
        name,
        str(times),
        count(layer["cycles"]),
        percent(times * layer["cycles"] / total),
        *(percent(phases[part] / layer["cycles"]) for part in PARTS),
        *(percent(use[key]) for key in ("mac", "amp", "balance")),
        kib(layer["sram"]["max_bytes"]),
        "ok" if layer["check"]["ok"] else "FAILED",
    )


def network_advice(document: Document) -> list[str]:
    """The layers that take the most cycles, and the one that wastes the most, a line each."""
    layers, total = ran(document), document["totals"]["cycles"]
    if not layers or not total:
        return []
    by_cycles = sorted(layers, key=lambda layer: -_cycles(layer))[:3]
    names = ", ".join(f"{layer['layer']} {100 * _cycles(layer) / total:.0f} %" for layer in by_cycles)
    lines = [f"the layers that take the most cycles: {names}"]
    worst = max(layers, key=_lost)
    part = max(PARTS, key=lambda name: worst["phases"][name])
    lines.append(
        f"the most cycles beyond those of its multiplications at the peak: {worst['layer']}, {count(_lost(worst))} "
        f"({100 * worst['utilisation']['mac']:.0f} % MAC efficiency, most of its cycles in {part})"
    )
    return lines


def _cycles(layer: Document) -> int:
    return int(layer.get("count", 1) * layer["cycles"])


def _lost(layer: Document) -> float:
    """Cycles beyond those that the useful multiplications take at the chip's peak."""
    return _cycles(layer) * (1 - float(layer["utilisation"]["mac"]))


def title_of_network(document: Document) -> str:
    """What was run."""
    parts = (document.get("network"), document.get("pass"), f"batch {document['batch']}" if "batch" in document else "")
    return " ".join(str(p) for p in (*parts, document.get("dtype")) if p) + f" on {document.get('chip', 'a chip')}"


def network_page(document: Document, folder: Path | None = None) -> str:
    """The page as text. With ``folder``, layers whose reports lie there are linked."""
    title, totals = html.escape(title_of_network(document)), document["totals"]
    entries = [
        ("cycles", count(totals["cycles"]), f"cycles, {seconds(totals['seconds_on_chip'])} at the chip's clock"),
        ("tflops", f"{totals['tflops']:.4g} TFLOPS", "over all layers"),
        ("mac_efficiency", percent(totals["mac_efficiency"]), "MAC efficiency: useful MACs / peak of the whole chip"),
        ("layers", f"{totals['ran']} of {totals['layers']}", "layers ran"),
        ("checked", str(totals["checked"]), "of them passed the check against float64"),
        ("sram_max_bytes", kib(totals["sram_max_bytes"]), "SRAM of the fullest tile"),
    ]
    advised = "".join(f"<li>{html.escape(line)}" for line in network_advice(document))
    body = cards(entries) + _split(totals["phases"], totals["cycles"]) + f'<ul id="advice">{advised}</ul>'
    body += f"<h2>Cycles by layer</h2>{_bars(ran(document), folder)}"
    body += f"<h2>Layers</h2>{table(HEAD, network_rows(document), numeric=range(1, 11))}"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{page_resource('page.css')}</style><header><h1>{title}</h1>"
        f'<p class="soft">{html.escape(_subtitle(document))}</p></header><main>{body}</main></html>\n'
    )


def _subtitle(document: Document) -> str:
    return f"{document['totals']['macs']:,} multiplications; cycles count a layer as often as it occurs"


def _split(phases: Mapping[str, int], total: int) -> str:
    bars = "".join(
        f'<div style="width:{100 * phases[part] / max(1, total):.3f}%;background:var(--{part})"></div>'
        for part in PARTS
    )
    key = "".join(
        f'<span><i style="background:var(--{part})"></i>{part} <span data-figure="phases.{part}">'
        f"{count(phases[part])}</span> cycles ({percent(phases[part] / max(1, total))})</span>"
        for part in PARTS
    )
    return f'<div class="split">{bars}</div><div class="key">{key}</div>'


def pieces(phases: Mapping[str, int], whole: float) -> str:
    """Compute, exchange and sync side by side, ``whole`` the full width."""
    return "".join(
        f'<div style="width:{100 * phases[part] / whole:.3f}%;background:var(--{part})"></div>' for part in PARTS
    )


def _bars(layers: Sequence[Document], folder: Path | None) -> str:
    """One bar a layer, its occurrences together, in the network's order."""
    longest = max((_cycles(layer) for layer in layers), default=1)
    rows = []
    for layer in layers:
        name = html.escape(str(layer["layer"]))
        page = f"{LAYERS}/{layer.get('same_as', layer['layer'])}/{PAGE}"
        if folder is not None and (folder / page).is_file():
            name = f'<a href="{html.escape(page)}" style="color:var(--compute)">{name}</a>'
        times = int(layer.get("count", 1))
        bar = pieces({part: times * layer["phases"][part] for part in PARTS}, longest)
        note = f"{times} times " if times > 1 else ""
        text = f"{note}{count(layer['cycles'])} cycles, {percent(layer['utilisation']['mac'])} MAC efficiency"
        rows.append(f'<p>{name}: {text}</p><div class="split" style="height:14px;margin:1px 0 6px">{bar}</div>')
    return "".join(rows)

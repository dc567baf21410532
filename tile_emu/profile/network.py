"""A network's report: the documents of its layers and what they add up to, as summary.json and one page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tile_emu.profile.atomic import replacing
from tile_emu.profile.html import PARTS, cards, listed, part_key, pieces, split, table
from tile_emu.profile.layercontent import layer_content
from tile_emu.profile.page import whole_page
from tile_emu.profile.report import PAGE, RECORDING, SUMMARY, Report
from tile_emu.profile.text import count, kib, percent, seconds

LAYERS = "layers"  # folder of the layers' own reports
Document = Mapping[str, Any]

# Head of a row of network_rows.
HEAD = (
    *("layer", "times", "cycles", "of all", "compute", "exchange", "sync"),
    *("MAC efficiency", "AMP utilisation", "tile balance", "SRAM", "check"),
)


def save_network(document: Document, folder: Path) -> None:
    """Write summary.json and report.html of ``{network, layers, totals, ..}``.

    The page holds the contents of the layers' own reports that lie in ``folder``/layers. Raises UsageError when one of
    them is damaged.
    """
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
    """The layers that take the most cycles, and those that waste the most, a line each; equal layers count together."""
    groups, total = _alike(ran(document)), document["totals"]["cycles"]
    if not groups or not total:
        return []
    spent = sorted(groups, key=lambda group: -sum(map(_cycles, group)))[:3]
    names = ", ".join(f"{_name(group)} {100 * sum(map(_cycles, group)) / total:.0f} %" for group in spent)
    lines = [f"the layers that take the most cycles: {names}"]
    worst = max(groups, key=lambda group: sum(map(_lost, group)))
    part = max(PARTS, key=lambda name: worst[0]["phases"][name])
    lines.append(
        f"the most cycles beyond those of its multiplications at the peak: {_name(worst)}, "
        f"{count(sum(map(_lost, worst)))} ({100 * worst[0]['utilisation']['mac']:.0f} % MAC efficiency, most of its "
        f"cycles in {part})"
    )
    return lines


def _alike(layers: Sequence[Document]) -> list[list[Document]]:
    """Equal layers together, in the order of the first of each."""
    groups: dict[str, list[Document]] = {}
    for layer in layers:
        groups.setdefault(str(layer.get("same_as", layer["layer"])), []).append(layer)
    return list(groups.values())


def _name(group: Sequence[Document]) -> str:
    """The first layer of a group, and how often it occurs."""
    times = sum(int(layer.get("count", 1)) for layer in group)
    return str(group[0]["layer"]) + (f" ({times} times)" if times > 1 else "")


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
    """The page as text. With ``folder``, layers whose reports lie there can be chosen, each with its whole content."""
    blocks: dict[str, int] = {}
    contents: list[dict[str, Any]] = []
    entries = []
    for layer in document["layers"]:
        source = str(layer.get("same_as", layer["layer"]))
        own = None if folder is None else folder / LAYERS / source
        if own is not None and source not in blocks and (own / RECORDING).is_file():
            blocks[source] = len(contents)
            contents.append(layer_content(Report.load(own)))
        entries.append({"name": layer["layer"], "block": blocks.get(source), "note": _note(layer)})
    return whole_page(title_of_network(document), _overview(document), entries, contents)


def _note(layer: Document) -> str:
    """What the chooser says of a layer beside its name."""
    parts = [f"{layer['count']} times"] if layer.get("count", 1) > 1 else []
    parts += [f"the same as {layer['same_as']}, run once"] if "same_as" in layer else []
    return ", ".join(parts)


def _overview(document: Document) -> str:
    """Everything above the chosen layer, as markup."""
    totals = document["totals"]
    entries = [
        (
            "network.cycles",
            count(totals["cycles"]),
            f"cycles, {seconds(totals['seconds_on_chip'])} at the chip's clock",
        ),
        ("network.tflops", f"{totals['tflops']:.4g} TFLOPS", "over all layers"),
        ("network.mac_efficiency", percent(totals["mac_efficiency"]), "MAC efficiency: useful MACs / peak of the chip"),
        ("network.layers", f"{totals['ran']} of {totals['layers']}", "layers ran"),
        ("network.checked", str(totals["checked"]), "of them passed the check against float64"),
        ("network.sram_max_bytes", kib(totals["sram_max_bytes"]), "SRAM of the fullest tile"),
    ]
    title = html.escape(title_of_network(document))
    return (
        f'<header id="network"><h1>{title}</h1><p class="soft">{html.escape(_subtitle(document))}</p></header>'
        f'<main class="network">{cards(entries)}{split(totals["phases"], totals["cycles"])}'
        f"{listed(network_advice(document), 'network-advice')}"
        f"<h2>Layers over time</h2>{_strip(ran(document))}{part_key()}<h2>Layers</h2>{_table(document)}</main>"
    )


def _subtitle(document: Document) -> str:
    totals = document["totals"]
    return f"{totals['ran']} layers run one after another, {count(totals['macs'])} useful MACs"


def _strip(layers: Sequence[Document]) -> str:
    """The layers one after another, as wide as their cycles; each from top to bottom compute, exchange, sync."""
    columns = []
    for layer in layers:
        name, cycles, phases = html.escape(str(layer["layer"])), max(1, layer["cycles"]), layer["phases"]
        parts = "".join(
            f'<div style="height:{100 * phases[part] / cycles:.2f}%;background:var(--{part})"></div>' for part in PARTS
        )
        about = f"{name}: {count(_cycles(layer))} cycles, {percent(layer['utilisation']['mac'])} MAC efficiency"
        columns.append(
            f'<div data-layer="{name}" class="go" tabindex="0" title="{about}" aria-label="{about}" '
            f'style="flex:{_cycles(layer)} 0 0">{parts}<span>{name}</span></div>'
        )
    return f'<div class="strip">{"".join(columns)}</div>'


def _table(document: Document) -> str:
    """A row for each layer, with a bar of its cycles in all its occurrences, to one scale."""
    longest = max((_cycles(layer) for layer in ran(document)), default=1)
    rows = [
        (*row[:4], _bar(layer, longest), *row[4:]) for row, layer in zip(network_rows(document), document["layers"])
    ]

    def attributes(row: int) -> str:
        return f' class="go" tabindex="0" data-layer="{html.escape(str(document["layers"][row]["layer"]))}"'

    head = (*HEAD[:4], "", *HEAD[4:])
    found = table(head, rows, numeric=(*range(1, 4), *range(5, 12)), attributes=attributes, raw=(4,))
    return f'<div id="layers">{found}</div>'


def _bar(layer: Document, longest: int) -> str:
    if "error" in layer:
        return ""
    times = int(layer.get("count", 1))
    return f'<div class="split">{pieces({part: times * layer["phases"][part] for part in PARTS}, longest)}</div>'

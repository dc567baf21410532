"""The network table: one row for each layer's document, totals, as aligned text or Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernels.outcome import plan_text
from kernels.stopwatch import PARTS
from tile_emu.chips import Chip

Document = Mapping[str, Any]

HEADER = (
    "layer",
    "x",
    "plan",
    "cycles",
    "us",
    "compute",
    "exchange",
    "sync",
    "MAC eff.",
    "AMP util.",
    "balance",
    "SRAM max",
    "error",
)
LEGEND = (
    "x: times in the network; plan: tiles as parts of g groups, p rows x columns x images of positions, o outputs, "
    "k inputs, t kernel positions, in s steps; MAC eff.: useful MACs / peak of the whole chip; AMP util.: AMP "
    "instructions / turns; balance: mean / max busy cycles over tiles; SRAM max: KiB of the fullest tile; error: "
    "largest, relative to the sum of the products' magnitudes"
)


def totals(documents: Sequence[Document], chip: Chip, dtype: str) -> dict[str, Any]:
    """Sums over the layers that ran, each as often as it occurs in the network; shares are of 1."""
    ran = [document for document in documents if "error" not in document]

    def total(*path: str) -> int:
        return sum(document["count"] * _at(document, path) for document in ran)

    cycles, macs = total("cycles"), total("macs")
    peak = chip.tiles * chip.macs_per_cycle[dtype]
    phases = {phase: total("phases", phase) for phase in ("compute", "exchange", "sync")}
    return {
        "layers": len(documents),
        "ran": len(ran),
        "checked": sum(document["check"]["ok"] for document in ran),
        "macs": macs,
        "cycles": cycles,
        "seconds_on_chip": cycles / chip.clock_hz,
        "tflops": 2 * macs * chip.clock_hz / cycles / 1e12 if cycles else 0.0,
        "phases": phases,
        "mac_efficiency": macs / (peak * cycles) if cycles else 0.0,
        "compute_mac_efficiency": macs / (peak * phases["compute"]) if cycles else 0.0,
        "sram_max_bytes": max((document["sram"]["max_bytes"] for document in ran), default=0),
    }


def emulation(documents: Sequence[Document], elapsed_s: float) -> dict[str, Any]:
    """What the emulation took: sums over distinct layers, cached ones with the figures of when they were emulated.

    ``wall_s``: the kernels; ``parts_s``: by part, see kernels.stopwatch. Layers are prepared and checked while others
    run, so that together they may be more than ``elapsed_s``.
    """
    distinct = [document for document in documents if "error" not in document and "same_as" not in document]
    return {
        "wall_s": sum(document["emulation"]["wall_s"] for document in distinct),
        "parts_s": {part: sum(_part(document, part) for document in distinct) for part in PARTS},
        "instructions": sum(document["emulation"]["instructions"] for document in distinct),
        "emulated": sum("cached" not in document for document in distinct),
        "from_cache": sum("cached" in document for document in distinct),
        "elapsed_s": elapsed_s,
    }


def _part(document: Document, part: str) -> float:
    return float(document["emulation"].get("parts_s", {}).get(part, 0.0))


def distinct(documents: Sequence[Document]) -> list[Document]:
    """The documents with equal layers joined: the first one's, counted as often as all of them."""
    joined: dict[str, dict[str, Any]] = {}
    for document in documents:
        source = joined.setdefault(document.get("same_as", document["layer"]), {**document, "count": 0})
        source["count"] += document["count"]
    return list(joined.values())


def rows(documents: Sequence[Document], summed: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """HEADER's columns as text; the last row holds the totals."""
    made = [_row(document) for document in documents]
    cycles = summed["cycles"]
    made.append(
        (
            "total",
            str(sum(document["count"] for document in documents if "error" not in document)),
            "",
            f"{cycles:,}",
            _microseconds(summed["seconds_on_chip"]),
            *_shares(summed["phases"], cycles),
            _percent(summed["mac_efficiency"]),
            "",
            "",
            _kib(summed["sram_max_bytes"]),
            "",
        )
    )
    return made


def _row(document: Document) -> tuple[str, ...]:
    name, count = document["layer"], str(document["count"])
    if "error" in document:
        kind = document["error"]["kind"]
        reason = "does not fit" if kind == "OutOfTileMemory" else f"failed: {kind}"
        return (name, count, reason, *[""] * (len(HEADER) - 3))
    use, cycles = document["utilisation"], document["cycles"]
    check = document["check"]
    error = "infinite" if check["max_rel_error"] is None else f"{check['max_rel_error']:.1e}"
    return (
        name,
        count,
        plan_text(document["plan"]),
        f"{cycles:,}",
        _microseconds(document["seconds_on_chip"]),
        *_shares(document["phases"], cycles),
        _percent(use["mac"]),
        _percent(use["amp"]),
        _percent(use["balance"]),
        _kib(document["sram"]["max_bytes"]),
        error if check["ok"] else f"{error} FAILED",
    )


def footnotes(documents: Sequence[Document], summed: Mapping[str, Any], emulation: Mapping[str, Any]) -> list[str]:
    """What the table does not say: totals in words, equal layers, failures with their reasons, the legend."""
    lines = [
        f"{summed['checked']} of {summed['layers']} layers right; {summed['macs'] / 1e9:.3f} GMAC in "
        f"{1e3 * summed['seconds_on_chip']:.4g} ms, {summed['tflops']:.1f} TFLOPS; MAC efficiency "
        f"{_percent(summed['mac_efficiency'])}, of the compute phases {_percent(summed['compute_mac_efficiency'])}",
        f"emulated {emulation['emulated']} layers, {emulation['from_cache']} from the cache, "
        f"{emulation['instructions']:,} instructions in {emulation['parts_s']['run']:.1f} s of emulation; "
        + ", ".join(f"{part} {emulation['parts_s'][part]:.1f} s" for part in PARTS if part != "run")
        + f"; this table took {emulation['elapsed_s']:.1f} s",
    ]
    equal: dict[str, list[str]] = {}
    for document in documents:
        if "same_as" in document:
            equal.setdefault(document["same_as"], []).append(document["layer"])
    for source, names in equal.items():
        lines.append(f"{', '.join(names)}: equal to {source}, not emulated again")
    for document in documents:
        if "error" in document:
            lines.append(f"{document['layer']}: {document['error']['message']}")
        elif document.get("findings", {"total": 0})["total"]:
            where = f"`tile-emu run {document['network']}.{document['layer']} --check`"
            lines.append(f"{document['layer']}: check: {document['findings']['total']} found; {where} shows them")
    checked = [document for document in documents if "findings" in document]
    if checked and not any(document["findings"]["total"] for document in checked):
        lines.append(f"check: nothing found in {len(checked)} layers")
    return [*lines, LEGEND]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart, all but the first and third to the right."""
    header, *body = [list(HEADER), *map(list, table)]
    widths = [max(len(row[column]) for row in [header, *body]) for column in range(len(header))]
    return [
        "  ".join(
            f"{cell:<{width}}" if column in (0, 2) else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in [header, *body]
    ]


def markdown(table: Sequence[Sequence[str]]) -> list[str]:
    """The same as a Markdown table."""
    rule = ["---" if column in (0, 2) else "---:" for column in range(len(HEADER))]
    return [f"| {' | '.join(row)} |" for row in [HEADER, rule, *table]]


def _at(document: Any, path: Sequence[str]) -> Any:
    for key in path:
        document = document[key]
    return document


def _shares(phases: Mapping[str, int], cycles: int) -> tuple[str, ...]:
    return tuple(_percent(phases[phase] / cycles if cycles else 0.0) for phase in ("compute", "exchange", "sync"))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _microseconds(seconds: float) -> str:
    return f"{1e6 * seconds:,.1f}"


def _kib(nbytes: int) -> str:
    return f"{nbytes / 1024:.0f}"

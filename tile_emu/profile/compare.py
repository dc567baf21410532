"""What differs between reports, and which parts of them the difference comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tile_emu.profile.recording import Recording
from tile_emu.profile.subject import Subject
from tile_emu.profile.text import count, kib, percent, seconds, step_name

_BINS = 12


@dataclass(frozen=True)
class Row:
    """A figure of every report: name, how it is written, values (None where a report lacks it)."""

    name: str
    kind: str  # count | share | bytes | seconds | number
    values: tuple[float | None, ...]

    def texts(self) -> list[str]:
        """The values as written; from the second on with the change from the first."""
        first = self.values[0]
        texts = [self._text(first)]
        for value in self.values[1:]:
            texts.append(self._text(value) + self._change(first, value))
        return texts

    def _text(self, value: float | None) -> str:
        if value is None:
            return "-"
        write = {"count": count, "share": percent, "bytes": kib, "seconds": seconds}.get(self.kind, "{:.4g}".format)
        return write(value)

    def _change(self, first: float | None, value: float | None) -> str:
        if first is None or value is None:
            return ""
        if self.kind == "share":
            return f" ({100 * (value - first):+.1f})"
        return f" ({100 * (value / first - 1):+.1f} %)" if first else ""


_FIGURES = (
    ("cycles", "cycles", "count"),
    ("time on the chip", "seconds_on_chip", "seconds"),
    ("TFLOPS", "tflops", "number"),
    ("compute", "phases.compute", "count"),
    ("exchange", "phases.exchange", "count"),
    ("sync", "phases.sync", "count"),
    ("tiles used", "tiles_used", "count"),
    ("issue utilisation", "utilisation.issue", "share"),
    ("AMP utilisation", "utilisation.amp", "share"),
    ("MAC efficiency", "utilisation.mac", "share"),
    ("MAC efficiency", "mac_efficiency", "share"),
    ("tile balance", "utilisation.balance", "share"),
    ("SRAM, fullest tile", "sram.max_bytes", "bytes"),
    ("SRAM, fullest tile", "sram_max_bytes", "bytes"),
    ("words sent", "words.sent", "count"),
    ("words received", "words.received", "count"),
)


def rows(subjects: Sequence[Subject]) -> list[Row]:
    """The figures that any of the reports has."""
    figures = [subject.figures for subject in subjects]
    found = [Row(name, kind, tuple(f.get(path) for f in figures)) for name, path, kind in _FIGURES]
    return [row for row in found if any(value is not None for value in row.values)]


def superstep_rows(subjects: Sequence[Subject]) -> list[Row]:
    """Cycles by kind and name of the superstep, the most different first."""
    return [row for _, row in _supersteps(subjects)]


def _supersteps(subjects: Sequence[Subject]) -> list[tuple[tuple[str, str], Row]]:
    """The same with kind and name of each."""
    steps = [subject.supersteps for subject in subjects]
    names = list(dict.fromkeys(key for step in steps for key in step))
    found = [(key, Row(step_name(*key), "count", tuple(step.get(key) for step in steps))) for key in names]
    return sorted((pair for pair in found if any(pair[1].values)), key=lambda pair: _spread(pair[1]), reverse=True)


def _spread(row: Row) -> float:
    known = [value or 0.0 for value in row.values]
    return max(known) - min(known)


def layer_rows(subjects: Sequence[Subject]) -> list[Row]:
    """Cycles of every layer of networks, in the order of the first that has it."""
    layers = [subject.layers for subject in subjects]
    names = list(dict.fromkeys(name for every in layers for name in every))

    def cycles(layer: Mapping[str, Any] | None) -> float | None:
        return None if layer is None or "cycles" not in layer else float(layer["cycles"])

    return [Row(name, "count", tuple(cycles(every.get(name)) for every in layers)) for name in names]


def explanation(base: Subject, other: Subject) -> list[str]:
    """Lines that say where the difference in cycles comes from, the largest parts first, and what was run otherwise."""
    before, after = float(base.document["cycles"]), float(other.document["cycles"])
    change = after - before
    lines = [f"{other.name} takes {_signed(change)} cycles ({100 * change / before:+.1f} %)" if before else "no cycles"]
    steps = _supersteps([base, other])
    parts = [(row, _reason(*key, base, other)) for key, row in steps] or [(r, "") for r in layer_rows([base, other])]
    moved = [(f"{row.name}{reason}", (row.values[1] or 0) - (row.values[0] or 0)) for row, reason in parts]
    moved = sorted(((name, by) for name, by in moved if by), key=lambda part: -abs(part[1]))
    lines += [f"{_signed(by)} in {name}" for name, by in moved[:5]]
    rest = sum(by for _, by in moved[5:])
    if rest:
        lines.append(f"{_signed(rest)} in {len(moved) - 5} other parts")
    return lines + [f"changed {text}" for text in _settings(base.document, other.document)]


def version_note(subject: Subject, subjects: Sequence[Subject]) -> str:
    """Which version wrote a report, where it recorded less than this one or others were written by other versions."""
    differ = len({s.writer for s in subjects}) > 1
    if subject.missing:
        return f", written by {subject.writer}: without {', '.join(sorted(subject.missing))}"
    return f", written by {subject.writer}" if differ and subject.writer else ""


def _signed(value: float) -> str:
    return f"{round(value):+,}"


def _reason(kind: str, name: str, base: Subject, other: Subject) -> str:
    """What of a superstep's work changed on its busiest tile; empty when that is not known or did not change."""
    if base.recording is None or other.recording is None or kind not in ("compute", "exchange"):
        return ""
    before, after = (_work(recording, kind, name) for recording in (base.recording, other.recording))
    changed = [
        f"{what} {before[what]:,} -> {after[what]:,}"
        for what in before
        if before[what] != after.get(what) and what in after
    ]
    return f" (busiest tile: {', '.join(changed)})" if changed else ""


def _work(recording: Recording, kind: str, name: str) -> dict[str, int]:
    """Work of the busiest tile in all phases of a name together."""
    names = recording.compute_names if kind == "compute" else recording.exchange_names
    phases = [i for i, found in enumerate(names) if found == name]
    counters = {"worker turns": "turns", "launches": "launches", "MACs": "macs"}
    if kind == "exchange":
        counters = {"words received": "received", "words sent": "sent"}
    known = {text: column for text, column in counters.items() if column not in recording.missing}
    return {text: int(getattr(recording, column)[phases].sum(axis=0).max(initial=0)) for text, column in known.items()}


_SETTINGS = ("kernel", "network", "chip", "dtype", "m", "k", "n", "pass", "batch", "seed", "timing_model", "version")


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Inputs that differ: what was run, and the choices of the plan."""
    found = [f"{key}: {before[key]} -> {after[key]}" for key in _SETTINGS if key in before and key in after
             and before[key] != after[key]]  # fmt: skip
    plans = [plan if isinstance(plan, Mapping) else {} for plan in (before.get("plan"), after.get("plan"))]
    for key in plans[0]:
        old, new = plans[0][key], plans[1].get(key)
        if new is not None and old != new and not isinstance(old, (Mapping, list)) and key not in _SETTINGS:
            found.append(f"plan, {key.replace('_', ' ')}: {_short(old)} -> {_short(new)}")
    return found


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Distribution:
    """Tiles by issue utilisation: ``edges`` one more than bins; ``counts`` one row for each report, None without."""

    edges: tuple[float, ...]
    counts: tuple[tuple[int, ...] | None, ...]


def distribution(subjects: Sequence[Subject]) -> Distribution | None:
    """All reports over the same bins; None when no report has a recording."""
    shares = [subject.utilisation for subject in subjects]
    highest = max((float(values.max(initial=0)) for values in shares if values is not None), default=0.0)
    if not highest:
        return None
    top = next((edge for edge in (0.06, 0.12, 0.24, 0.36, 0.48, 0.6, 0.72, 0.84) if highest <= edge), 1.0)
    counted: list[tuple[int, ...] | None] = []
    for values in shares:
        if values is None:
            counted.append(None)
            continue
        found, _ = np.histogram(np.minimum(values, top), bins=_BINS, range=(0.0, top))
        counted.append(tuple(int(n) for n in found))
    return Distribution(tuple(float(edge) for edge in np.linspace(0, top, _BINS + 1)), tuple(counted))


def comparison_document(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Everything as plain values, for ``--json``."""
    base = subjects[0]
    spread = distribution(subjects)
    return {
        "reports": [{"name": s.name, "title": s.title, "figures": s.figures} for s in subjects],
        "figures": [{"name": row.name, "values": row.values} for row in rows(subjects)],
        "supersteps": [{"name": row.name, "values": row.values} for row in superstep_rows(subjects)],
        "layers": [{"name": row.name, "values": row.values} for row in layer_rows(subjects)],
        "distribution": None if spread is None else {"edges": spread.edges, "counts": spread.counts},
        "explanation": {s.name: explanation(base, s) for s in subjects[1:]},
    }

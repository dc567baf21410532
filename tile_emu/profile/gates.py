"""Conditions under which a comparison fails, such as ``cycles>+2%``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tile_emu.errors import UsageError
from tile_emu.profile.subject import Subject

_GATE = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(<=|>=|<|>)\s*([+-]?)(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(%?)\s*\Z")
_LAYERS = "layers."


@dataclass(frozen=True)
class Gate:
    """``figure`` compared with ``limit``: itself, or (``change``) how much it changed, in per cent if ``percent``.

    A figure that begins with ``layers.`` is looked up in every layer of a network; one is enough to fail.
    """

    text: str
    figure: str
    relation: str
    limit: float
    change: bool
    percent: bool

    def holds(self, value: float, base: float) -> bool:
        """Whether the condition is met, which is a failure of the comparison."""
        measured = value - base if self.change else value
        if self.percent and measured:
            # A change from nothing is beyond any share.
            measured = 100 * measured / abs(base) if base else math.copysign(math.inf, measured)
        return {
            "<": measured < self.limit,
            ">": measured > self.limit,
            "<=": measured <= self.limit,
            ">=": measured >= self.limit,
        }[self.relation]


@dataclass(frozen=True)
class Failure:
    """A gate that was met, by whom and with which values."""

    gate: str
    subject: str
    where: str  # the layer, or empty
    base: float
    value: float

    def __str__(self) -> str:
        place = f" in layer {self.where}" if self.where else ""
        return f"{self.subject}: {self.gate}{place} ({self.base:,.6g} -> {self.value:,.6g})"


def parse_gate(text: str) -> Gate:
    """Read a condition. With a sign or a % it is about the change from the first report, else about the value itself.

    Raises UsageError.
    """
    match = _GATE.match(text)
    if match is None:
        raise UsageError(f"--fail-if '{text}': write a figure, < or >, and a limit, as in cycles>+2% or cycles>50000")
    figure, relation, sign, digits, percent = match.groups()
    limit = float(digits) * (-1 if sign == "-" else 1)
    return Gate(text.strip(), figure, relation, limit, bool(sign or percent), bool(percent))


def failures(gates: Sequence[Gate], subjects: Sequence[Subject]) -> list[Failure]:
    """Every gate that another report than the first meets. Raises UsageError for a figure that a report lacks."""
    base, *others = subjects
    return [failure for other in others for gate in gates for failure in _of(gate, base, other)]


def _of(gate: Gate, base: Subject, other: Subject) -> list[Failure]:
    found = []
    for where, before, after in _pairs(gate, base, other):
        if gate.holds(after, before):
            found.append(Failure(gate.text, other.name, where, before, after))
    return found


def _pairs(gate: Gate, base: Subject, other: Subject) -> list[tuple[str, float, float]]:
    """Where a figure is, and its value in both reports."""
    if not gate.figure.startswith(_LAYERS):
        return [("", _figure(gate.figure, base), _figure(gate.figure, other))]
    figure = gate.figure.removeprefix(_LAYERS)
    layers = base.layers
    if not layers:
        raise UsageError(f"--fail-if '{gate.text}': {base.name} is no network, it has no layers")
    pairs = []
    for name, document in layers.items():
        if name not in other.layers:
            raise UsageError(f"--fail-if '{gate.text}': {other.name} has no layer '{name}'")
        before, after = Subject(base.name, document), Subject(other.name, other.layers[name])
        if "error" not in before.document or "error" not in after.document:
            pairs.append((name, _figure(figure, before), _figure(figure, after)))
    return pairs


def _figure(name: str, subject: Subject) -> float:
    figures = subject.figures
    if name not in figures:
        known = ", ".join(sorted(figures))
        raise UsageError(f"{subject.name} has no figure '{name}'; it has {known}")
    return figures[name]

"""Control and status registers: names, index spaces, modes and architectures from ``csr.csv``."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

UPPER_SPACE_START = 256  # uget / uput address a register by its index minus this


@dataclass(frozen=True, slots=True)
class Csr:
    """One status register. ``index`` counts from 0 in the lower space, from 256 in the upper, in slots in ``cwei``."""

    name: str
    index: int
    modes: frozenset[str]
    architectures: frozenset[str]
    space: str  # lower | upper | cwei
    fields: str

    @property
    def encoded(self) -> int:
        """The 8-bit number an instruction carries."""
        return self.index - UPPER_SPACE_START if self.space == "upper" else self.index


@functools.cache
def csrs() -> tuple[Csr, ...]:
    """All registers in file order; a name may occur twice when architectures differ in its width."""
    with Path(__file__).with_name("csr.csv").open(newline="", encoding="utf-8") as handle:
        return tuple(
            Csr(
                name=row["name"],
                index=int(row["index"], 0),
                modes=frozenset(row["mode"].split("|")),
                architectures=frozenset(row["architectures"].replace(" ", "").split(",")),
                space=row["space"],
                fields=row["fields"],
            )
            for row in csv.DictReader(handle)
        )


@functools.cache
def csrs_by_name() -> dict[str, tuple[Csr, ...]]:
    groups: dict[str, list[Csr]] = {}
    for csr in csrs():
        groups.setdefault(csr.name, []).append(csr)
    return {name: tuple(group) for name, group in groups.items()}


@functools.cache
def csr_index(name: str, mode: str | None = None) -> int:
    """Index of a register by name (upper space from 256, weight slots from 0); KeyError if there is none."""
    for csr in csrs_by_name()[name]:
        if mode is None or mode in csr.modes:
            return csr.index
    raise KeyError(name)


@functools.cache
def csr_name(index: int, mode: str, architecture: str = "ipu21", space: str | None = None) -> str | None:
    """Name of the register at an index of ``mode`` (weight slots only when ``space`` is ``cwei``), or None."""
    for csr in csrs():
        wanted = csr.space == space if space else csr.space != "cwei"
        if wanted and csr.index == index and mode in csr.modes and architecture in csr.architectures:
            return csr.name
    return None

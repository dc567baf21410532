"""What a checked run found: errors that the hardware would let pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tile_emu.tile import notes
from tile_emu.tile.faults import context_name, symbol_at
from tile_emu.tile.inspection import Inspection
from tile_emu.tile.notes import Kind

LISTED = 1000  # findings listed at most
_SHOWN = 20  # lines printed at most

_WHAT = {
    Kind.UNWRITTEN_READ: "reads memory that was never written",
    Kind.UNWRITTEN_SEND: "sends memory that was never written",
    Kind.RACE: "touches a word that another context writes in the same phase, or writes one it touches",
    Kind.WEIGHTS_CHANGED: "changes the common weight store while workers run",
    Kind.CODE_STORED: "stores into code",
    Kind.STORED_EXECUTED: "executes what a store wrote",
}
_REMEDY = {
    Kind.UNWRITTEN_READ: "write it first (host, store or exchange); if it is read past an end on purpose, provide it",
    Kind.UNWRITTEN_SEND: "write it before the exchange",
    Kind.RACE: "put a `sync 2` of the supervisor between the two, or give each worker its own words",
    Kind.WEIGHTS_CHANGED: "put a `sync 2` before it",
    Kind.CODE_STORED: "check the address; data belongs outside the code",
    Kind.STORED_EXECUTED: "check the address of the store and of the branch",
}


@dataclass(frozen=True)
class Place:
    """An instruction: who executed it, and where it stands. ``pc`` -1: none, an exchange moved the word."""

    context: str  # "supervisor" or "worker n"
    pc: int
    symbol: str  # symbol+offset, empty where unknown
    line: str  # file:line, empty where unknown

    def __str__(self) -> str:
        known = [text for text in (self.symbol, self.line) if text]
        where = f" at pc {self.pc:#x}" + (f" ({', '.join(known)})" if known else "") if self.pc >= 0 else ""
        return self.context + where


@dataclass(frozen=True)
class Finding:
    """One error, with its first occurrence; ``count`` occurrences of the same instructions on the tile."""

    kind: str  # name of a notes.Kind
    tile: int
    by: Place
    address: int | None  # byte address of the memory concerned
    what_lies_there: str  # name of a variable, empty where unknown
    other: Place | None  # of a race: the earlier access to the same address
    count: int

    def __str__(self) -> str:
        kind = Kind[self.kind]
        text = f"tile {self.tile}: {self.by} {_WHAT[kind]}"
        if self.address is not None:
            text += f", {self.address:#x}" + (f" in {self.what_lies_there}" if self.what_lies_there else "")
        if self.other is not None:
            text += f", touched before by {self.other}"
        times = f" [{self.count} times]" if self.count > 1 else ""
        return f"{text}{times}: {_REMEDY[kind]}"


@dataclass(frozen=True)
class Findings:
    """What was found so far: at most LISTED findings, and how many occurrences there were in all."""

    listed: tuple[Finding, ...]
    total: int

    def __bool__(self) -> bool:
        return self.total > 0

    def lines(self) -> list[str]:
        """For people: one line for each instruction concerned, on the first tile it was found on."""
        tiles: dict[tuple[str, int, int], list[Finding]] = {}
        for finding in self.listed:
            other = finding.other.pc if finding.other is not None else -1
            tiles.setdefault((finding.kind, finding.by.pc, other), []).append(finding)
        lines = []
        for group in list(tiles.values())[:_SHOWN]:
            more = f" (and {len(group) - 1} more tiles)" if len(group) > 1 else ""
            lines.append(f"{group[0]}{more}")
        if len(tiles) > _SHOWN:
            lines.append(f"and {len(tiles) - _SHOWN} more")
        return [f"check: {self.total} found" if self else "check: nothing found", *(f"  {line}" for line in lines)]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"total": self.total, "listed": [asdict(finding) for finding in self.listed]}


def collect(
    inspection: Inspection,
    symbols: Mapping[str, int],
    lines: Mapping[int, str],
    name_at: Callable[[int, int], str] | None = None,
) -> Findings:
    """Findings of all tiles, those of low tile numbers first. ``lines``: 'file:line' by instruction address."""
    states, base = inspection.states, inspection.base

    def place(context: int, offset: int) -> Place:
        if offset < 0:
            return Place(context_name(context), -1, "", "")
        pc = base + offset
        return Place(context_name(context), pc, symbol_at(symbols, pc), lines.get(pc, ""))

    def finding(tile: int, row: Sequence[int]) -> Finding:
        other = row[notes.OTHER_CONTEXT]
        address = base + row[notes.ADDRESS] if row[notes.ADDRESS] >= 0 else None
        return Finding(
            kind=Kind(row[notes.KIND]).name,
            tile=tile,
            by=place(row[notes.CONTEXT], row[notes.OFFSET]),
            address=address,
            what_lies_there=name_at(tile, address) if name_at is not None and address is not None else "",
            other=place(other, row[notes.OTHER_OFFSET]) if other >= 0 else None,
            count=row[notes.COUNT],
        )

    found: list[Finding] = []
    for tile in np.flatnonzero(states[:, notes.FINDINGS_KEPT]):
        rows = inspection.findings[tile, : states[tile, notes.FINDINGS_KEPT]].tolist()
        found += [finding(int(tile), row) for row in rows[: LISTED - len(found)]]
        if len(found) >= LISTED:
            break
    return Findings(tuple(found), int(states[:, notes.FINDINGS_TOTAL].sum()))

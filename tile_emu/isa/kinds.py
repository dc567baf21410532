"""Operand kinds of the instruction table: what a field means and which values it takes.

Source: assembly_syntax.md section 4 (kinds) and section 3 (register groups) of the reference texts.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One operand kind.

    A value ``v`` is legal when ``low <= v <= high`` and ``v & step == 0``; its field holds ``v >> shift``, cut to the
    width of the field. Registers are given by their first number.
    """

    name: str
    low: int
    high: int
    step: int = 0
    shift: int = 0
    signed: bool = False
    file: str = ""  # "m" or "a"; "" for immediates
    group: int = 1  # registers read or written
    select: str = ""  # broadcast selector written after the colon: BL, BU or B
    target: bool = False  # branch target: field counts words, text labels count bytes
    relocatable: bool = False  # a symbol may stand here

    @property
    def is_register(self) -> bool:
        return bool(self.file)

    @property
    def register_class(self) -> str:
        """Class letter used to match text against forms: M, A, MP, AP, AQ, BL, BU, B; X for an immediate."""
        if not self.file:
            return "X"
        if self.select:
            return self.select
        return self.file.upper() + {1: "", 2: "P", 4: "Q"}[self.group]


def _register(name: str, file: str, group: int = 1, select: str = "") -> Kind:
    return Kind(name, 0, 15, step=group - 1, file=file, group=group, select=select)


_REGISTERS = {
    kind.name: kind
    for kind in (
        _register("MR", "m"),
        _register("AR", "a"),
        _register("MRPair", "m", 2),
        _register("ARPair", "a", 2),
        _register("ARQuad", "a", 4),
        _register("BroadcastLower", "a", select="BL"),
        _register("BroadcastUpper", "a", select="BU"),
        _register("Broadcast", "a", select="B"),
    )
}

# width 0: the width of the field (19 bits in branches, 20 in call)
_RELOCATABLE = {"Rel8": 8, "Rel16": 16, "Rel19S2": 0, "Rel20": 20, "Run": 16}
_IMMEDIATE = re.compile(r"imm(\d+)(zi|si|iz)\Z")


@functools.cache
def kind_of(name: str, width: int) -> Kind | None:
    """The kind called ``name`` in a field of ``width`` bits, or None if there is no such kind or width."""
    if name in _REGISTERS:
        return _REGISTERS[name] if width in (3, 4) else None
    if name in _RELOCATABLE:
        bits = _RELOCATABLE[name] or width
        kind = Kind(name, 0, (1 << bits) - 1, target=name == "Rel19S2", relocatable=True)
        return kind if bits == width else None
    match = _IMMEDIATE.match(name)
    if match is None or int(match[1]) != width:
        return None
    if match[2] == "zi":
        return Kind(name, 0, (1 << width) - 1)
    if match[2] == "si":
        return Kind(name, -(1 << (width - 1)), (1 << (width - 1)) - 1, signed=True)
    # "zero tailed": the field is the top of a 32-bit number, negative spellings allowed
    shift = 32 - width
    return Kind(name, -(1 << 31), (1 << 32) - 1, step=(1 << shift) - 1, shift=shift)

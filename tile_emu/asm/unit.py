"""The result of assembling one source: sections, symbols, relocations. Object files and the linker work on it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from tile_emu.asm.source import Location
from tile_emu.isa.table import Form

SECTION_ALIGN = 8  # code and data start at least this aligned: rpt bodies and 64-bit loads need it


ABSOLUTE = ""  # symbol of a relocation whose target is its addend alone


class Reloc(enum.IntEnum):
    """Relocation types of the object format (assembly_syntax.md section 9)."""

    NONE = 0
    ABS8 = 1
    ABS16 = 2
    ABS20 = 3
    ABS32 = 4
    ABS64 = 5
    RELATIVE_16_S2 = 6
    ABS18_S2 = 7
    ABS19_S2 = 8
    RUN = 9
    ABS16_S3 = 14
    ABS16_S4 = 15
    ABS16_S5 = 16
    ABS21 = 17


@dataclass(frozen=True, slots=True)
class Relocation:
    """``symbol + addend`` goes into the place at ``offset`` of its section."""

    offset: int
    kind: Reloc
    symbol: str | int  # name, section number for the start of a section, or ABSOLUTE
    addend: int
    location: Location


@dataclass(slots=True)
class Section:
    """Bytes of one section. Lists over instruction words: offset, form and place, in order of emission."""

    name: str
    flags: str  # letters as in .section: a allocated, x code, w writable
    nobits: bool = False
    align: int = SECTION_ALIGN
    data: bytearray = field(default_factory=bytearray)
    relocations: list[Relocation] = field(default_factory=list)
    instruction_offset: list[int] = field(default_factory=list)
    instruction_form: list[Form] = field(default_factory=list)
    instruction_place: list[Location] = field(default_factory=list)
    in_bundle: list[bool] = field(default_factory=list)

    @property
    def allocated(self) -> bool:
        return "a" in self.flags


@dataclass(slots=True)
class Symbol:
    """A symbol of a unit. ``section`` is a section number, or None for an absolute or undefined one."""

    name: str
    section: int | None = None
    value: int = 0
    defined: bool = False
    binding: str = "local"  # local | global | weak
    kind: str = ""  # function | object | ...
    size: int = 0
    location: Location | None = None


@dataclass(slots=True)
class Unit:
    """One assembled source."""

    file: str
    architecture: str
    sections: list[Section] = field(default_factory=list)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

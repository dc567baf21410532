"""Placing units in tile memory and resolving their relocations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tile_emu.asm.code import Code
from tile_emu.asm.unit import ABSOLUTE, Reloc, Relocation, Symbol, Unit
from tile_emu.errors import TileEmuError

_UNIT_ALIGN = 8


class LinkError(TileEmuError):
    """Units that do not fit together."""


# kind: (bits of the field, right shift, bytes of the place, relative to the image base)
PLACES: dict[Reloc, tuple[int, int, int, bool]] = {
    Reloc.ABS8: (8, 0, 1, False),
    Reloc.ABS16: (16, 0, 2, False),
    Reloc.ABS20: (20, 0, 4, False),
    Reloc.ABS32: (32, 0, 4, False),
    Reloc.ABS64: (64, 0, 8, False),
    Reloc.RELATIVE_16_S2: (16, 2, 2, True),
    Reloc.ABS18_S2: (18, 2, 4, False),
    Reloc.ABS19_S2: (19, 2, 4, False),
    Reloc.RUN: (16, 2, 4, True),
    Reloc.ABS16_S3: (16, 3, 2, False),
    Reloc.ABS16_S4: (16, 4, 2, False),
    Reloc.ABS16_S5: (16, 5, 2, False),
    Reloc.ABS21: (21, 0, 4, False),
}


def _round_up(value: int, align: int) -> int:
    return -(-value // align) * align


def apply_relocation(data: bytearray, relocation: Relocation, target: int, region_base: int) -> str | None:
    """Write ``target`` (S + A, bytes) into its place; a message if it does not fit."""
    bits, shift, size, relative = PLACES[relocation.kind]
    value = target - region_base if relative else target
    if value & (1 << shift) - 1:
        return f"address {target:#x} is not a multiple of {1 << shift}"
    value >>= shift
    if not 0 <= value < 1 << bits:
        return f"address {target:#x} does not fit {bits} bits" + (f" (address / {1 << shift})" if shift else "")
    at = relocation.offset
    place = int.from_bytes(data[at : at + size], "little")
    if relocation.kind == Reloc.RUN:
        place = place & ~0xF0FFF | (value >> 12) << 16 | value & 0xFFF
    else:
        place = place & ~((1 << bits) - 1) | value
    data[at : at + size] = place.to_bytes(size, "little")
    return None


class _Placement:
    """Addresses of the allocated sections of all units: ``address[unit][section]``, None for one not in the image."""

    def __init__(self, units: Sequence[Unit], base: int) -> None:
        self.units = units
        self.address: list[list[int | None]] = []
        at = base
        for unit in units:
            places: list[int | None] = []
            at = _round_up(at, _UNIT_ALIGN)
            for section in unit.sections:
                if not section.allocated or not section.data:
                    places.append(at if section.allocated else None)
                    continue
                at = _round_up(at, section.align)
                places.append(at)
                at += len(section.data)
            self.address.append(places)
        self.end = _round_up(at, 4)

    def value(self, unit: int, symbol: Symbol) -> int | None:
        """Address of a defined symbol (its value if absolute), None if its section is not placed."""
        if symbol.section is None:
            return symbol.value
        start = self.address[unit][symbol.section]
        return None if start is None else start + symbol.value


def _globals(placement: _Placement) -> dict[str, int]:
    found: dict[str, tuple[int, Symbol]] = {}
    for number, unit in enumerate(placement.units):
        for name, symbol in unit.symbols.items():
            if not symbol.defined or symbol.binding == "local":
                continue
            other = found.get(name)
            if other is not None and other[1].binding == symbol.binding == "global":
                raise LinkError(
                    f"{_where(symbol)}symbol `{name}` is defined twice (first in {placement.units[other[0]].file})"
                )
            if other is None or symbol.binding == "global":
                found[name] = (number, symbol)
    values = {name: placement.value(unit, symbol) for name, (unit, symbol) in found.items()}
    return {name: value for name, value in values.items() if value is not None}


def _where(symbol: Symbol) -> str:
    return f"{symbol.location.file}:{symbol.location.line}: " if symbol.location else ""


def _target(placement: _Placement, number: int, relocation: Relocation, known: dict[str, int]) -> int:
    unit = placement.units[number]
    if relocation.symbol == ABSOLUTE:
        return relocation.addend
    if isinstance(relocation.symbol, int):
        start = placement.address[number][relocation.symbol]
        if start is None:
            raise relocation.location.error(f"section {unit.sections[relocation.symbol].name} is not in the image")
        return start + relocation.addend
    symbol = unit.symbols.get(relocation.symbol)
    value = placement.value(number, symbol) if symbol is not None and symbol.defined else known.get(relocation.symbol)
    if value is None:
        if symbol is not None and symbol.binding == "weak":
            return relocation.addend
        raise relocation.location.error(f"undefined symbol `{relocation.symbol}`")
    return value + relocation.addend


def link(units: Sequence[Unit], base: int, region_base: int | None = None) -> Code:
    """Place units one after another from ``base`` (bytes) and resolve everything.

    ``region_base`` is the start of tile memory, used by ``run`` and relative relocations (default ``base``).
    Raises AssemblyError or LinkError for undefined, duplicate or misfitting symbols.
    """
    _architecture(units)
    if base % _UNIT_ALIGN:
        raise LinkError(f"base {base:#x} is not a multiple of {_UNIT_ALIGN}")
    placement = _Placement(units, base)
    known = _globals(placement)
    image = bytearray(placement.end - base)
    lines: list[tuple[int, int, str, str]] = []
    for number, unit in enumerate(units):
        for index, section in enumerate(unit.sections):
            start = placement.address[number][index]
            if start is None or not section.data:
                continue
            data = bytearray(section.data)
            for relocation in section.relocations:
                target = _target(placement, number, relocation, known)
                problem = apply_relocation(data, relocation, target, base if region_base is None else region_base)
                if problem is not None:
                    raise relocation.location.error(problem)
            image[start - base : start - base + len(data)] = data
            places = zip(section.instruction_offset, section.instruction_place)
            lines += [(start + offset, place.line, place.file, unit.file) for offset, place in places]
    return Code(
        base=base,
        words=np.frombuffer(bytes(image), dtype="<u4").astype(np.uint32),
        symbols=_symbols(placement, known),
        line_address=np.array([line[0] for line in lines], dtype=np.int32),
        line_number=np.array([line[1] for line in lines], dtype=np.int32),
        line_file=tuple(line[2] for line in lines),
        line_unit=tuple(line[3] for line in lines),
    )


def merge(units: Sequence[Unit], file: str) -> Unit:
    """Several units as one, for one object file: all sections side by side, global names shared.

    A local label keeps its name only if no other unit has a symbol of that name. Raises LinkError for a global
    defined twice and for units of different architectures.
    """
    merged = Unit(file, _architecture(units))
    for unit in units:
        first = len(merged.sections)
        for section in unit.sections:
            relocations = [
                replace(r, symbol=r.symbol + first) if isinstance(r.symbol, int) else r for r in section.relocations
            ]
            merged.sections.append(replace(section, relocations=relocations))
        for name, symbol in unit.symbols.items():
            moved = replace(symbol, section=None if symbol.section is None else symbol.section + first)
            known = merged.symbols.get(name)
            merged.symbols[name] = moved if known is None else _joined(known, moved)
        merged.warnings += unit.warnings
    return merged


def _joined(first: Symbol, second: Symbol) -> Symbol:
    """The one symbol two units' symbols of a name become."""
    ranks = {"local": 0, "weak": 1, "global": 2}
    if first.defined and second.defined and first.binding == second.binding == "global":
        raise LinkError(f"{_where(second)}symbol `{second.name}` is defined twice")

    def rank(symbol: Symbol) -> tuple[bool, bool, int]:
        # A reference that leaves its unit outranks a local label, which nothing refers to by name.
        needed = symbol.binding != "local" or not symbol.defined
        return needed, symbol.defined, ranks[symbol.binding]

    return second if rank(second) > rank(first) else first


def _architecture(units: Sequence[Unit]) -> str:
    found = {unit.architecture: unit.file for unit in units}
    if not found:
        raise LinkError("nothing to link")
    if len(found) > 1:
        raise LinkError(" and ".join(f"{file} is {name}" for name, file in found.items()) + ": they cannot be linked")
    return next(iter(found))


def _symbols(placement: _Placement, known: dict[str, int]) -> dict[str, int]:
    """Label addresses: all globals; a local label too unless an earlier unit or a global has its name."""
    found: dict[str, int] = {}
    for number, unit in enumerate(placement.units):
        for name, symbol in unit.symbols.items():
            if symbol.defined and symbol.section is not None and not name.startswith("\x01"):
                value = known.get(name) if symbol.binding != "local" else placement.value(number, symbol)
                if value is not None and (symbol.binding != "local" or name not in known):
                    found.setdefault(name, value)
    return found

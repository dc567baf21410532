"""Checks of hardware loops: alignment and contents of ``rpt`` bodies (assembly_syntax.md section 7)."""

from __future__ import annotations

from bisect import bisect_left

from tile_emu.asm.state import State
from tile_emu.asm.unit import Reloc, Section
from tile_emu.errors import AssemblyError

_SIZE_MASK = 0xFF
_BODY_ALIGN = 8
_FORBIDDEN = ("control", "system")


def check_repeats(state: State) -> None:
    """Raise AssemblyError for the first ``rpt`` whose body is misaligned or holds what a body may not hold."""
    unresolved = [
        {relocation.offset for relocation in section.relocations if relocation.kind == Reloc.ABS8}
        for section in state.unit.sections
    ]
    for number, index in state.repeats:
        section = state.unit.sections[number]
        if section.instruction_offset[index] in unresolved[number]:
            continue  # the size is left to the linker
        problem = _check(section, index)
        if problem is not None:
            raise problem


def _check(section: Section, index: int) -> AssemblyError | None:
    offset, location = section.instruction_offset[index], section.instruction_place[index]
    bundled = section.in_bundle[index]
    size = (int.from_bytes(section.data[offset : offset + 4], "little") & _SIZE_MASK) + 1
    start = offset + (8 if bundled else 4)
    if start % _BODY_ALIGN:
        place = "a bundled rpt stands at a multiple of 8 bytes" if bundled else "a single rpt stands 4 bytes after one"
        return location.error(f"the body of this rpt is not 8-byte aligned: {place}")
    position = bisect_left(section.instruction_offset, start)
    for step in range(2 * size):
        at = start + 4 * step
        if position >= len(section.instruction_offset) or section.instruction_offset[position] != at:
            return location.error(f"the body of this rpt needs {size} bundles, there are {step // 2}")
        form, place_of = section.instruction_form[position], section.instruction_place[position]
        if not section.in_bundle[position]:
            return place_of.error(f"the body of an rpt holds only bundles, {form.mnemonic} stands alone")
        if form.klass in _FORBIDDEN:
            return place_of.error(f"{form.mnemonic} ({form.klass}) cannot stand in the body of an rpt")
        position += 1
    return None

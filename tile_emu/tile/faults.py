"""From a status code to an error a person can act on."""

from __future__ import annotations

from collections.abc import Mapping

from tile_emu.errors import TileFault
from tile_emu.tile import layout
from tile_emu.tile.layout import Status
from tile_emu.tile.state import TileArrays

_REASONS = {
    Status.FP: "floating-point exception enabled in FP_CTL",
    Status.CONFLICT: "two accesses of one instruction hit the same SRAM element",
    Status.INVALID_ADDR: "address outside tile memory, misaligned, or in the wrong region",
    Status.INVALID_OP: "operation not allowed here (status register, weight slot, load destinations, active workers)",
    Status.INVALID_PC: "program counter misaligned or outside executable memory",
    Status.INVALID_INSTR: "not an instruction of this mode and chip, or not allowed in a repeat body",
    Status.PBRK0: "breakpoint (trap)",
    Status.PBRK1: "breakpoint (trap)",
    Status.UNSUPPORTED: "this emulator has no semantics for the instruction yet",
    Status.ENDLESS: "no end in sight; the program loops",
}
_WITH_ADDRESS = (Status.CONFLICT, Status.INVALID_ADDR)


def context_name(context: int) -> str:
    """'supervisor' or 'worker n'."""
    return "supervisor" if context == layout.SUPERVISOR else f"worker {context}"


def symbol_at(symbols: Mapping[str, int], address: int) -> str:
    """The nearest label at or below an address, as 'label+0x10'; empty without one."""
    below = [(value, name) for name, value in symbols.items() if value <= address]
    if not below:
        return ""
    value, name = max(below)
    return f"{name}+{address - value:#x}" if address > value else name


def tile_fault(
    arrays: TileArrays, tile: int, status: int, symbols: Mapping[str, int], lines: Mapping[int, str]
) -> TileFault:
    """The fault a tile stopped with. ``lines`` gives 'file:line' by instruction address where known."""
    from tile_emu.asm import disassemble_one

    kind = Status(status)
    context = int(arrays.sup[tile, layout.STOPPED_CONTEXT])
    pc = int(arrays.progress[tile, context, layout.PC])
    address = int(arrays.progress[tile, context, layout.FAULT_ADDRESS]) if kind in _WITH_ADDRESS else None
    base = arrays.chip.memory.base
    mode = "supervisor" if context == layout.SUPERVISOR else "worker"
    text = "no code there"
    if pc % 4 == 0 and base <= pc < base + arrays.executable:
        words = arrays.memory[tile, : arrays.executable].view("<u4")
        index = (pc - base) // 4
        text, _ = disassemble_one(words[index : index + 2].tolist(), 0, mode, base=pc)
    where = [f"tile {tile}", context_name(context), f"pc {pc:#x}"]
    near = symbol_at(symbols, pc)
    if near:
        where.append(near)
    if pc in lines:
        where.append(lines[pc])
    message = f"{kind.name} at {', '.join(where)}: `{text}`: {_REASONS[kind]}"
    if address is not None and address >= 0:
        message += f" (address {address:#x})"
    return TileFault(message, tile=tile, context=context_name(context), kind=kind.name, pc=pc, address=address)

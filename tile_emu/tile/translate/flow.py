"""Which instructions a worker can reach from an entry, cut into basic blocks; repeat bodies stay inside theirs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.semantics import SEMANTICS, Shape
from tile_emu.isa.table import Form, table
from tile_emu.tile import csrspace, layout
from tile_emu.tile.opcodes import opcode_of

# A unit that would grow beyond this many instructions or pages is cut: what lies outside is another unit's, or the
# interpreter's. Compile time grows faster than length.
MOST_INSTRUCTIONS = 480
MOST_PAGES = 16

_JUMPS = (Shape.BRANCH, Shape.BRANCH_DECREMENT, Shape.JUMP, Shape.CALL)
_CONTROL = (*_JUMPS, Shape.JUMP_REGISTER, Shape.REPEAT, Shape.EXIT, Shape.TRAP)
_FALL_THROUGH = (Shape.BRANCH, Shape.BRANCH_DECREMENT)

RowAt = Callable[[int], Any]  # pc -> decoded row, None where nothing can be executed


@functools.cache
def _forms() -> dict[int, Form]:
    return {opcode_of(form): form for form in table().forms if form.mnemonic in SEMANTICS}


def form_of(opcode: int) -> Form | None:
    """The form with an opcode of a decoded row; None for none, invalid and unsupported."""
    return _forms().get(opcode) if opcode > 0 else None


@dataclass
class Instruction:
    """One instruction or bundle. ``body``: of a rpt, the bundles it repeats."""

    pc: int
    row: Any
    main: Form | None
    aux: Form | None
    body: list[Instruction] = field(default_factory=list)

    @property
    def size(self) -> int:
        return int(self.row[layout.FIELD_SIZE])

    @property
    def next_pc(self) -> int:
        return self.pc + self.size

    @property
    def shape(self) -> Shape | None:
        return SEMANTICS[self.main.mnemonic].shape if self.main is not None else None

    @property
    def is_amp(self) -> bool:
        return self.aux is not None and bool(SEMANTICS[self.aux.mnemonic].attributes.get("amp"))

    def operand(self, number: int) -> int:
        """Decoded value of a printed operand of the main half."""
        assert self.main is not None
        operand = [self.main.operands[index] for index, _ in self.main.text_operands][number]
        return int(self.row[layout.FIELD_MAIN_OPERANDS + int(operand.name[2:])])

    @property
    def target_field(self) -> int:
        """Position of the target in the decoded row."""
        assert self.main is not None
        number = 0 if self.shape is Shape.JUMP else 1
        operand = self.main.operands[self.main.text_operands[number][0]]
        return layout.FIELD_MAIN_OPERANDS + int(operand.name[2:])

    @property
    def end(self) -> int:
        """Where execution goes on after the instruction, for a rpt after its body."""
        return self.next_pc + sum(i.size for i in self.body)

    @property
    def target(self) -> int | None:
        """Address a jump goes to, if it is written in the instruction."""
        if self.shape not in _JUMPS:
            return None
        word = self.operand(0 if self.shape is Shape.JUMP else 1)
        return 4 * (word & 0x7FFFF if self.shape is Shape.CALL else word)


@dataclass
class Block:
    """Instructions executed in order. ``stop``: the last leaves the unit before it is executed."""

    pc: int
    instructions: list[Instruction] = field(default_factory=list)
    stop: bool = False
    index: int = -1


@dataclass
class Unit:
    """Blocks in order of address, from ``low`` to before ``high``; their words lie in ``pages`` from ``first_page``."""

    entry: int
    blocks: list[Block]
    first_page: int
    pages: int
    low: int
    high: int


def _decode(pc: int, row: Any) -> Instruction | None:
    """The instruction of a row; None if it faults or is none for a worker's translation."""
    main, aux = int(row[layout.FIELD_MAIN]), int(row[layout.FIELD_AUX])
    forms = form_of(main), form_of(aux)
    if (main and forms[0] is None) or (aux and forms[1] is None) or not (main or aux):
        return None
    return Instruction(pc, row, *forms)


class _Reader:
    """Decodes instructions and repeat bodies. ``slots``: csrspace.slot_tables of the chip."""

    def __init__(self, row_at: RowAt, slots: NDArray[np.uint8]) -> None:
        self._row_at = row_at
        self._slots = slots

    def _is_special(self, instruction: Instruction) -> bool:
        """Whether an instruction writes FP_CTL, on which translated code relies, or a status register that is none."""
        halves = ((instruction.main, layout.FIELD_MAIN_OPERANDS), (instruction.aux, layout.FIELD_AUX_OPERANDS))
        for space, (form, base) in enumerate(halves):
            shape = SEMANTICS[form.mnemonic].shape if form is not None else None
            if form is not None and shape in (Shape.GET, Shape.PUT):
                operand = form.operands[form.text_operands[0 if shape is Shape.PUT else 1][0]]
                slot = int(self._slots[space, int(instruction.row[base + int(operand.name[2:])])])
                if slot == csrspace.NO_SLOT or (shape is Shape.PUT and slot == csrspace.W_FP_CTL):
                    return True
        return False

    def read(self, pc: int) -> Instruction | None:
        """The instruction at an address with its repeat body; None if it has to be left to the interpreter."""
        row = self._row_at(pc)
        found = None if row is None else _decode(pc, row)
        if found is None or found.shape is Shape.TRAP or self._is_special(found):
            return None
        if found.shape is Shape.REPEAT and not self._read_body(found):
            return None
        return found

    def _read_body(self, repeat: Instruction) -> bool:
        """Whether the body is straight code that ends where the repeat does."""
        pc = repeat.next_pc
        end = pc + 8 * (repeat.operand(1) + 1)
        if pc & 7:
            return False
        while pc < end:
            row = self._row_at(pc)
            bundle = None if row is None else _decode(pc, row)
            if bundle is None or int(row[layout.FIELD_NO_REPEAT]) or self._is_special(bundle):
                return False
            repeat.body.append(bundle)
            pc = bundle.next_pc
        return pc == end


def find_unit(entry: int, row_at: RowAt, sram_base: int, slots: NDArray[np.uint8]) -> Unit | None:
    """The unit that starts at an entry; None if its first instruction is none for translation."""
    reader = _Reader(row_at, slots)
    found: dict[int, Instruction | None] = {}
    leaders = {entry}
    todo = [entry]
    budget = MOST_INSTRUCTIONS
    while todo and budget > 0:
        pc = todo.pop(0)
        while pc not in found:
            instruction = found[pc] = reader.read(pc) if _near(pc, entry) else None
            if instruction is None:
                break
            budget -= 1 + len(instruction.body)
            if instruction.target is not None:
                leaders.add(instruction.target)
                todo.append(instruction.target)
            if instruction.shape in _CONTROL and instruction.shape not in (*_FALL_THROUGH, Shape.REPEAT):
                if instruction.shape is Shape.CALL:
                    leaders.add(instruction.next_pc)
                    todo.append(instruction.next_pc)
                break
            pc = instruction.end
            if instruction.shape in _FALL_THROUGH:
                leaders.add(pc)
    if found.get(entry) is None:
        return None
    return _cut(entry, found, leaders, sram_base)


def _near(pc: int, entry: int) -> bool:
    """Near enough to stay within MOST_PAGES, in either direction."""
    return abs(pc - entry) < MOST_PAGES // 2 * layout.PAGE_BYTES - layout.PAGE_BYTES


def _cut(entry: int, found: dict[int, Instruction | None], leaders: set[int], sram_base: int) -> Unit:
    """Blocks from the instructions found."""
    blocks: list[Block] = []
    for pc in sorted(leaders & set(found)):
        if found[pc] is None:
            continue
        block = Block(pc)
        while True:
            instruction = found.get(pc)
            if instruction is None:
                block.stop = True
                break
            block.instructions.append(instruction)
            if instruction.shape in _CONTROL and instruction.shape is not Shape.REPEAT:
                break
            pc = instruction.end
            if pc in leaders and found.get(pc) is not None:
                break
        blocks.append(block)
    for index, block in enumerate(blocks):
        block.index = index
    low = min(block.pc for block in blocks)
    # The word behind the last instruction counts: a page is decoded together with the first word of the next.
    high = max(i.end for block in blocks for i in block.instructions)
    first = (low - sram_base) // layout.PAGE_BYTES
    return Unit(entry, blocks, first, (high - 1 - sram_base) // layout.PAGE_BYTES - first + 1, low, high)

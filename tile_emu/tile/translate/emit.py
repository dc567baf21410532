"""Source of a unit: one function with a worker's registers in local arrays and its blocks one after another.

Time and instructions are added up at the end of a block; a check that fails leaves the function *before* its
instruction, with the number of the place in ``where``. Tables by place say how far into its block that is. The
interpreter then executes the instruction and raises what there is to raise.
"""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

import numpy as np

from tile_emu.isa.semantics import SEMANTICS, Shape
from tile_emu.isa.table import Form
from tile_emu.tile import csrspace, layout
from tile_emu.tile.branch import parameters
from tile_emu.tile.translate.amp_group import PHASES
from tile_emu.tile.translate.amp_usual import USUAL
from tile_emu.tile.translate.bundles import (
    VARIABLES,
    Amp,
    BundleFunction,
    ControlFunction,
    MemoryMap,
    PackFunction,
    mentions,
    sorted_fields,
    touches_memory,
)
from tile_emu.tile.translate.calls import CONTEXT_FIELDS, CONTEXT_RAN
from tile_emu.tile.translate.flow import Block, Instruction, Unit
from tile_emu.tile.translate.guard import Guard
from tile_emu.tile.translate.vectors import VECTORS

_INDENT = "    "
_BRANCHES = (Shape.BRANCH, Shape.BRANCH_DECREMENT)
_CONTROL = (*_BRANCHES, Shape.JUMP, Shape.CALL, Shape.JUMP_REGISTER, Shape.EXIT)
_LEAST_GUARDED = 2  # accesses of straight code that are worth a guard


class Segment:
    """Instructions that run one after another, counted together."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.instructions: list[Instruction] = []

    @property
    def turns(self) -> int:
        return len(self.instructions)


IN_PC_OUT = 1  # an address is a multiple of 4


class Place(NamedTuple):
    """Where a unit can be left: bytes from its lowest address, or IN_PC_OUT, and how far into which segment."""

    offset: int
    segment: int
    turns: int


class ChipFacts(NamedTuple):
    """What of the chip decides what is emitted. ``slots``: csrspace.slot_tables."""

    sram: tuple[int, ...]  # base, size, interleaved, executable, repeat mask, end of code
    slots: Any


def indented(lines: list[str]) -> list[str]:
    return [_INDENT + line for line in lines]


def _immediate(instruction: Instruction) -> int:
    """Last operand of the aux half."""
    assert instruction.aux is not None
    operand = instruction.aux.operands[instruction.aux.text_operands[-1][0]]
    return int(instruction.row[layout.FIELD_AUX_OPERANDS + int(operand.name[2:])])


def _is_usual(instruction: Instruction) -> bool:
    """Whether the aux half is an AMP instruction with a form for the usual case."""
    return instruction.aux is not None and instruction.aux.mnemonic in USUAL and _immediate(instruction) & 3 == 0


def amp_group_at(run: list[Instruction], guarded: bool) -> list[Instruction]:
    """The whole AMP group that some instructions start with, if they do and nothing may leave or look inside it."""
    name = run[0].aux.mnemonic if run[0].aux is not None else ""
    group = run[: PHASES.get(name, 0)]
    if not group or len(group) < PHASES[name]:
        return []
    for phase, one in enumerate(group):
        if one.aux is None or one.aux.mnemonic != name or _immediate(one) != 4 * phase:
            return []
        if touches_memory(one.main) and not guarded:
            return []
        if one.main is not None and not touches_memory(one.main) and one.shape not in (Shape.ALU, Shape.ALU_PAIR):
            return []
    return group


class Emitter:
    """Emits one unit."""

    def __init__(self, unit: Unit, chip: ChipFacts) -> None:
        self.unit = unit
        self.chip = chip
        base, size, interleaved, _, _, code_end = chip.sram
        self.map = MemoryMap(base, size, interleaved, code_end, unit.high - unit.low)
        self.base = unit.low
        self.block_of = {block.pc: block.index for block in unit.blocks}
        self.places: list[Place] = [Place(0, 0, 0)]  # number 0 is no place
        self.segments: list[Segment] = []
        self.functions: dict[str, BundleFunction | ControlFunction | PackFunction] = {}
        everything = [i for block in unit.blocks for j in block.instructions for i in (j, *j.body)]
        self.keeps = any(_is_usual(i) for i in everything)

    def _segment(self) -> Segment:
        self.segments.append(Segment(len(self.segments)))
        return self.segments[-1]

    def _leave(self, pc: int, done: Segment | None = None) -> list[str]:
        """Leave before the instruction at an address, of whose segment ``done`` has been executed."""
        place = (done.number, done.turns) if done is not None else (0, 0)
        self.places.append(Place(pc - self.base if pc >= 0 else IN_PC_OUT, *place))
        return [f"where = {len(self.places) - 1}", "break"]

    # One instruction.

    def _run(self, run: list[Instruction], done: Segment, passes: int, guard: Guard | None) -> list[str]:
        """Lines of instructions and bundles in a row that are not control flow.

        ``passes``: turns of a pass in a loop, else 0. ``guard``: what their accesses have passed, if anything.
        """
        lines: list[str] = []
        position = 0
        while position < len(run):
            group = amp_group_at(run[position:], guard is not None)
            if group:
                lines += self._amp_group(group, done, passes, guard)
            else:
                lines += self._call(run[position], run[position].main, done, passes, guard)
                done.instructions.append(run[position])
            position += max(len(group), 1)
        return lines

    def _amp_group(self, group: list[Instruction], done: Segment, passes: int, guard: Guard | None) -> list[str]:
        """A whole AMP group: its results first, then its bundles, then its sums."""
        form = group[0].aux
        assert form is not None
        name, phases = form.mnemonic, range(len(group))
        weights = next(w for w in ("weights16", "weights32") if w in parameters(SEMANTICS[name]))
        inputs, partials = [f"x{k}" for k in phases], [f"p{k}" for k in phases]
        lines = [f"{', '.join(f'y{k}' for k in phases)} = leaving_{name}(held, acc, marks, ctl)"]
        for k, one in enumerate(group):
            assert one.aux is not None
            _, x, p, _ = (one.aux.operands[index] for index, _ in one.aux.text_operands)
            for kept, operand in ((inputs[k], x), (partials[k], p)):
                number = int(one.row[layout.FIELD_AUX_OPERANDS + int(operand.name[2:])])
                pair = operand.meaning.group == 2
                lines.append(f"{kept} = " + (f"arf64[{number >> 1}]" if pair else f"int64(arf[{number}])"))
            lines += self._call(one, one.main, done, passes, guard, f"y{k}")
            done.instructions.append(one)
        arguments = ["held", "trial", "acc", "marks", "ctl", weights, *inputs, *partials]
        return [*lines, f"entering_{name}({', '.join(arguments)})"]

    def _call(
        self,
        instruction: Instruction,
        main: Form | None,
        done: Segment,
        passes: int,
        guard: Guard | None,
        result: str = "",
    ) -> list[str]:
        """Lines of one instruction or bundle. ``result``: variable that holds the result of its AMP instruction."""
        amp = Amp.GROUPED if result else Amp.USUAL if _is_usual(instruction) else Amp.WHOLE
        pair = guard.paced(instruction) if guard is not None else -1
        new = BundleFunction(
            main, instruction.aux, self.map, checked=guard is None, keeps=self.keeps, amp=amp, paced=pair >= 0
        )
        function = self.functions.setdefault(new.name, new)
        assert isinstance(function, BundleFunction)
        turns = f"turns + marks[1] + {done.turns}" + (f" + done * {passes}" if passes else "")
        values = {"pc": f"base + {instruction.pc - self.base}", "cycle": f"start + 6 * ({turns})", "result": result}
        values |= {f"q{which}": f"q{pair}_{which}" for which in range(3)}
        given = [values[name] for name in (*function.timed, *function.given)]
        arguments = [*function.variables, *given, *self._fields(instruction, function.fields())]
        text = f"{function.name}({', '.join(arguments)})"
        status = self._touches_status(instruction)
        lines = [f"own[REPEAT_LEFT] = {'count - done' if passes else 0}"] if status else []
        if function.may_leave:
            assert guard is None and not result
            lines += [f"if {text} != 0:", *indented(self._leave(instruction.pc, done))]
        else:
            lines.append(text)
        return lines + (guard.advance(instruction) if guard is not None else [])

    def _packed(self, guard: Guard | None) -> list[str]:
        """Lines that put addresses kept unpacked back into their registers."""
        calls = guard.pack() if guard is not None else []
        for function, _ in calls:
            self.functions.setdefault(function.name, function)
        return [call for _, call in calls]

    def _touches_status(self, instruction: Instruction) -> bool:
        halves = (form for form in (instruction.main, instruction.aux) if form is not None)
        return any(SEMANTICS[form.mnemonic].shape in (Shape.GET, Shape.PUT) for form in halves)

    def _fields(self, instruction: Instruction, names: list[str]) -> list[str]:
        """Operand values of a call."""
        values = []
        for name in names:
            aux = name.startswith("x")
            first = layout.FIELD_AUX_OPERANDS if aux else layout.FIELD_MAIN_OPERANDS
            value = int(instruction.row[first + int(name.lstrip("xrs"))])
            form = instruction.aux if aux else instruction.main
            assert form is not None
            if SEMANTICS[form.mnemonic].shape in (Shape.GET, Shape.PUT) and name.lstrip("x").startswith("s"):
                value = int(self.chip.slots[int(aux), value])
            values.append(str(value))
        return values

    # Blocks.

    def block(self, block: Block) -> list[str]:
        """Lines of a block under its ``if``."""
        last = None if block.stop or block.instructions[-1].shape not in _CONTROL else block.instructions[-1]
        straight = block.instructions if last is None else block.instructions[:-1]
        lines, done = self._straight(straight)
        if last is not None:
            return lines + self._control(block, last, done)
        end = straight[-1].end if straight else block.pc
        if block.stop:
            return lines + self._leave(end, done)
        return [*lines, *self._add_up(done), *self._go(block, end)]

    def _straight(self, instructions: list[Instruction]) -> tuple[list[str], Segment]:
        lines: list[str] = []
        done = self._segment()
        position = 0
        while position < len(instructions):
            instruction = instructions[position]
            if instruction.shape is Shape.REPEAT:
                lines += self._repeat(instruction, done)
                done = self._segment()
                position += 1
                continue
            run, guard = self._guarded_run(instructions[position:])
            if guard is not None:
                leave = indented(self._leave(instruction.pc, done))
                lines += [*guard.lines, "if not safe:", *leave, *guard.unpack()]
            lines += self._run(run, done, 0, guard)
            lines += self._packed(guard)
            position += len(run)
        return lines, done

    def _guarded_run(self, instructions: list[Instruction]) -> tuple[list[Instruction], Guard | None]:
        """The longest start of some instructions under one guard, with it.

        Where none is worth a guard: what comes before the next that is, or the next loop, without.
        """
        longest: tuple[list[Instruction], Guard | None] = (instructions[:1], None)
        for end in range(1, len(instructions) + 1):
            if instructions[end - 1].shape is Shape.REPEAT:
                break
            guard = Guard(instructions[:end], self.map, loops=False)
            if not guard.build():
                break
            if guard.accesses >= _LEAST_GUARDED:
                longest = instructions[:end], guard
        return longest

    @staticmethod
    def _add_up(done: Segment) -> list[str]:
        return [f"turns += {done.turns}", f"ran[{done.number}] += 1"] if done.turns else []

    def _endless(self, instruction: Instruction, done: Segment) -> list[str]:
        leave = indented(self._leave(instruction.pc, done))
        return [f"if turns + marks[1] + {done.turns} >= limit:", *leave]

    def _control_call(self, instruction: Instruction) -> str:
        assert instruction.main is not None
        new = ControlFunction(instruction.main, self.chip.sram[4])
        function = self.functions.setdefault(new.name, new)
        assert isinstance(function, ControlFunction)
        values = self._fields(instruction, sorted_fields(function.branch))
        # A target is an address: it does not decide what the function does, and the source must not depend on it.
        if instruction.target is not None:
            names = sorted_fields(function.branch)
            field = f"s{instruction.target_field - layout.FIELD_MAIN_OPERANDS}"
            values = ["0" if name == field else value for name, value in zip(names, values, strict=True)]
        return f"{function.name}({', '.join(['mrf', f'base + {instruction.next_pc - self.base}', *values])})"

    def _control(self, block: Block, instruction: Instruction, done: Segment) -> list[str]:
        """The last instruction of a block and the way to the next."""
        shape = instruction.shape
        if shape is Shape.EXIT:
            return [f"ended = {self._control_call(instruction)}", *self._leave(instruction.pc, done)]
        lines = self._endless(instruction, done)
        if instruction.aux is not None:  # it sees nothing of what the main half decides
            lines += self._call(instruction, None, done, 0, None)
        done.instructions.append(instruction)
        lines += self._add_up(done)
        if shape is Shape.JUMP_REGISTER:
            return lines + self._dynamic(block, instruction)
        assert instruction.target is not None
        if shape in _BRANCHES:
            lines += [f"if {self._control_call(instruction)} != 0:", *indented(self._set_block(instruction.target))]
            lines += ["else:", *indented(self._set_block(instruction.end))]
        else:
            if shape is Shape.CALL:
                lines.append(self._control_call(instruction))
            lines += self._set_block(instruction.target)
        ends = [instruction.target] + [instruction.end] * (shape in _BRANCHES)
        if any(end not in self.block_of for end in ends):
            lines += ["if where != 0:", "    break"]
        if any(self.block_of.get(end, block.index + 1) <= block.index for end in ends):
            lines += [f"if block <= {block.index}:", "    continue"]
        return lines

    def _set_block(self, pc: int) -> list[str]:
        """Go on at a known address once the block is done."""
        if pc in self.block_of:
            return [f"block = {self.block_of[pc]}"]
        return self._leave(pc)[:1]

    def _dynamic(self, block: Block, instruction: Instruction) -> list[str]:
        """A jump through a register: to a block if it is a return to one, else out of the unit."""
        calls = [i for b in self.unit.blocks for i in b.instructions if i.shape is Shape.CALL]
        returns = sorted({i.next_pc for i in calls} & set(self.block_of))
        lines = [f"pc_out = {self._control_call(instruction)}", *self._leave(-1)[:1]]
        for pc in returns:
            lines += [f"if pc_out == base + {pc - self.base}:", f"    block = {self.block_of[pc]}", "    where = 0"]
        return [*lines, "if where != 0:", "    break", f"if block <= {block.index}:", "    continue"]

    def _go(self, block: Block, pc: int) -> list[str]:
        """Fall through to an address."""
        if pc not in self.block_of:
            return self._leave(pc)
        lines = [f"block = {self.block_of[pc]}"]
        return lines + (["continue"] if self.block_of[pc] <= block.index else [])

    # Repeat loops.

    def _repeat(self, repeat: Instruction, done: Segment) -> list[str]:
        guard = Guard(repeat.body, self.map, loops=True)
        guarded = guard.build()
        lines = [*self._endless(repeat, done), f"count = {self._control_call(repeat)}"]
        if guard.lines:
            leave = indented(indented(self._leave(repeat.pc, done)))
            lines += ["if count != 0:", *indented([*guard.lines, "if not safe:"]), *leave[:1]]
            lines += ["if where != 0:", "    break"]
        if repeat.aux is not None:
            lines += self._call(repeat, None, done, 0, None)
        done.instructions.append(repeat)
        lines += self._add_up(done)
        one_pass = self._segment()
        inner = [
            f"own[REPEAT_FIRST] = base + {repeat.next_pc - self.base}",
            f"own[REPEAT_END] = base + {repeat.end - self.base}",
            "done = 0",
            *self._loop(repeat, one_pass, guard if guarded else None),
            f"turns += done * {one_pass.turns}",
            f"ran[{one_pass.number}] += done",
        ]
        if any("where = " in line for line in inner):
            inner += ["if where != 0:", "    left = count - done", "    break"]
        return [*lines, "if count != 0:", *indented(inner)]

    def _loop(self, repeat: Instruction, one_pass: Segment, guard: Guard | None) -> list[str]:
        body = self._run(repeat.body, one_pass, len(repeat.body), guard)
        loop = ["while done != count:", *indented([*body, "done += 1"])]
        return [*guard.unpack(), *loop, *self._packed(guard)] if guard is not None else loop

    # The function.

    def source(self) -> str:
        """Source of the module."""
        blocks: list[str] = []
        for block in self.unit.blocks:
            body = self.block(block)
            if self._loops_on_itself(block):
                body = self._own_loop(block, body)
            blocks += [f"if block == {block.index}:", *indented(body)]
        lines = [*self._prologue("\n".join(blocks)), "while True:", *indented(blocks), *self._epilogue()]
        function = "@native\ndef translated(context_address):\n" + textwrap.indent("\n".join(lines), _INDENT)
        called = ["\n".join(self.functions[name].source()) for name in sorted(self.functions)]
        return "\n\n\n".join(["\n".join(self._header()), *called, function]) + "\n"

    def _loops_on_itself(self, block: Block) -> bool:
        """A block whose branch goes to its own start gets a loop of its own, which LLVM sees through."""
        last = block.instructions[-1] if block.instructions else None
        return not block.stop and last is not None and last.shape in _BRANCHES and last.target == block.pc

    def _own_loop(self, block: Block, body: list[str]) -> list[str]:
        """The block's lines with the way back made an inner continue."""
        assert body[-2:] == [f"if block <= {block.index}:", "    continue"]
        loop = [*body[:-2], f"if block == {block.index}:", "    continue", "break"]
        lines = ["while True:", *indented(loop), "if where != 0:", "    break"]
        after = block.instructions[-1].end
        return lines + ["continue"] * (self.block_of.get(after, block.index + 1) <= block.index)

    def _prologue(self, body: str) -> list[str]:
        """Variables that ``body`` mentions. csr, own, acc and base are always there."""
        size, code_end = self.map.sram_size, self.map.code_end
        lines = [
            f"context = view_i64(context_address, {CONTEXT_FIELDS})",
            "base = context[CONTEXT_BASE]",
            "limit = context[CONTEXT_LIMIT]",
            "block = context[CONTEXT_BLOCK]",
            f"own = view_i64(context[CONTEXT_OWN], {layout.PROGRESS_FIELDS})",
            f"csr = view_u32(context[CONTEXT_CSR], {csrspace.WORKER_CSRS})",
            "acc = view_f32(context[CONTEXT_ACC], 32)",
            "mrf, arf, marks = local_mrf(), local_arf(), local_marks()",
            "arf64 = as_pairs(arf)",
            "ran = local_counts()",
            "load_registers(mrf, arf, arf64, context[CONTEXT_MRF], context[CONTEXT_ARF])",
            f"held, trial = {'local_accumulators(), local_accumulators()' if self.keeps else 'acc, acc'}",
            *(["copy_accumulators(held, acc)"] * self.keeps),
        ]
        wanted = {f"mem{8 * n}": f"point_u{8 * n}(context[CONTEXT_MEMORY], {size // n})" for n in (1, 2, 4, 8)}
        wanted |= {
            "pages": f"view_pages(context[CONTEXT_PAGES], {code_end // layout.PAGE_BYTES})",
            "weights16": "view_f64(context[CONTEXT_WEIGHTS16], 256)",
            "weights32": "view_f32(context[CONTEXT_WEIGHTS32], 128)",
            "ctl": "int64(csr[W_FP_CTL])",
        }
        lines += [f"{name} = {wanted[name]}" for name in VARIABLES if name in wanted and mentions(body, name)]
        return [
            *lines,
            "counters = view_i64(context[CONTEXT_COUNTERS], context[CONTEXT_COUNTERS_LENGTH])",
            "start = own[START_CYCLE]",
            "turns = own[TURNS]",
            "where = left = ended = count = done = 0",
            "pc_out = base",
        ]

    def _epilogue(self) -> list[str]:
        return [
            "offset = OFFSET_OF[where]",
            f"own[PC] = pc_out if offset == {IN_PC_OUT} else base + offset",
            "own[TURNS] = turns + marks[1] + TURNS_OF[where]",
            "own[REPEAT_LEFT] = left",
            f"copy_counts(point_i64(context_address + {8 * CONTEXT_RAN}, {len(self.segments)}), ran)",
            f"count_executions(context, counters, base, {self.map.sram_base}, SEGMENT_FIRST, WORDS, SIZES, AMP, "
            "SEGMENT_OF[where], TURNS_OF[where])",
            "csr[W_FP_STS] |= uint32(marks[0])",
            "store_registers(mrf, arf, context[CONTEXT_MRF], context[CONTEXT_ARF])",
            *(["copy_accumulators(acc, held)"] * self.keeps),
            "return ended",
        ]

    def _header(self) -> list[str]:
        imports = {found for function in self.functions.values() for found in function.imports}
        lines = [
            '"""Translated worker code of tile-emu; made anew when anything it depends on changes."""',
            "",
            "import numpy as np",
            "from numpy import int64, uint32, uint64",
            "",
            "from tile_emu.isa.semantics.bits import join_words, sign_extend",
            "from tile_emu.isa.semantics.memory import pace_address, pace_stride",
            "from tile_emu.jit import native",
            "from tile_emu.tile.csrspace import *",
            "from tile_emu.tile.layout import *",
            "from tile_emu.tile.support import forget_page, same_element",
            "from tile_emu.tile.translate.amp_group import *",
            "from tile_emu.tile.translate.amp_usual import *",
            "from tile_emu.tile.translate.calls import *",
            "from tile_emu.tile.translate.runtime import *",
            "from tile_emu.tile.translate.vectors import unusual_f16, unusual_f32",
            "from tile_emu.tile.translate.vectors_rare import *",
        ]
        lines += [f"from {module} import {name} as S_{name}" for module, name in sorted(imports)]
        lines += [f"from tile_emu.tile.translate.vectors import {name} as vector_{name}" for name in VECTORS]
        lines += ["", "M32 = 0xFFFFFFFF"]
        lines += [f"{s.name} = {int(s)}" for s in (layout.Status.EXITED_TRUE, layout.Status.EXITED_FALSE)]
        for field in Place._fields:
            values = [getattr(place, field) for place in self.places]
            lines.append(f"{field.upper()}_OF = np.array({values}, np.int64)")
        return lines + self._segment_tables()

    def _segment_tables(self) -> list[str]:
        """What ran when, for the counters."""
        instructions = [i for segment in self.segments for i in segment.instructions]
        tables = {
            "SEGMENT_FIRST": np.cumsum([0, *(segment.turns for segment in self.segments)]).tolist(),
            "WORDS": [(i.pc - self.base) // 4 for i in instructions],
            "SIZES": [i.size // 4 for i in instructions],
            "AMP": [int(i.is_amp) for i in instructions],
        }
        lines = [f"{name} = np.array({values}, np.int64)" for name, values in tables.items()]
        return [*lines, f"local_counts, copy_counts = counts_of({len(self.segments)})"]

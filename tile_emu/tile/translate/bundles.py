"""What translated code calls for each instruction or bundle: the interpreter's branches with operands as parameters.

A bundle function works on variables of the translated function, whose register files are local arrays. It is inlined
there with constant operands, so LLVM folds away what the operands decide and keeps the registers in machine registers.
The text of a branch is the interpreter's own (tile_emu.tile.branch); only its way out differs: a check that fails
returns 1 before anything has changed.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from tile_emu.isa.semantics import SEMANTICS, Shape
from tile_emu.isa.table import Form, Operand
from tile_emu.tile.branch import Branch, parameters
from tile_emu.tile.groups import EXTRA_TURNS_SHIFT
from tile_emu.tile.opcodes import group_of
from tile_emu.tile.translate.amp_usual import USUAL
from tile_emu.tile.translate.vectors import VECTORS

MEMORY = (
    Shape.LOAD, Shape.LOAD_STEP, Shape.LOAD_DELTA, Shape.LOAD_TWO, Shape.PACE, Shape.STORE, Shape.STORE_STEP,
    Shape.STORE_INDEXED, Shape.STORE_INDEXED_STEP,
)  # fmt: skip

# Variables of the translated function that a branch may use. Registers (mrf, arf, marks and, where kept, held and
# trial) are arrays of its own; held: the accumulators, acc: their place in memory, trial: room for a copy; marks: flags
# raised for FP_STS, turns beyond one an instruction.
VARIABLES = (
    "mem8", "mem16", "mem32", "mem64", "pages", "mrf", "arf", "arf64", "acc", "held", "trial", "marks", "csr", "own",
    "weights16", "weights32", "ctl", "counters", "base",
)  # fmt: skip
_TIMED = ("pc", "cycle")
_GIVEN = ("q0", "q1", "q2", "result")  # positions of packed addresses, the result word of an AMP instruction


class MemoryMap(NamedTuple):
    """Addresses and sizes in bytes, ``interleaved`` and ``code_end`` as offsets, ``code_bytes`` of the unit."""

    sram_base: int
    sram_size: int
    interleaved: int
    code_end: int
    code_bytes: int


_HELD_WORD = "arf[t{n} & HELD_REGISTER] = uint32(w{n} & M32)"
_HELD_PAIR = "arf64[t{n} >> 1] = w{n}"


def _held(n: int, lines: list[str]) -> list[str]:
    """Lines that write what a load held back in w0 or w1, if its lines do."""
    targets = [line.split(" = ", 1)[1] for line in lines if line.lstrip().startswith(f"t{n} = ")]
    if not targets:
        return []
    words = ["HELD_WORD" in target for target in targets]
    assert all(words) == any(words)
    return [f"if t{n} >= 0:", "    " + (_HELD_WORD if words[0] else _HELD_PAIR).format(n=n)]


class TranslatedBranch(Branch):
    """A branch as translated code needs it. ``checked``: with its address checks, else they are known to pass.

    ``paced``: packed addresses are kept unpacked outside, as positions q0..q2 in units of the access.
    """

    def __init__(self, form: Form, checked: bool, paced: bool = False) -> None:
        super().__init__(form)
        self._checked = checked
        self._paced = paced

    def field(self, operand: Operand) -> str:
        name = super().field(operand)
        if self.form.pipe == "aux":
            self.fields.discard(name)
            name = "x" + name
            self.fields.add(name)
        return name

    def value(self, operand: Operand, word: int = 0) -> str:
        kind = operand.meaning
        if kind.file != "a" or kind.group < 2 or kind.select:
            return super().value(operand, word)
        # Of a pair, which LLVM keeps in one machine register as long as nothing touches one word of it.
        pair = f"arf64[({self.field(operand)} >> 1) + {word >> 1}]"
        return f"(({pair} >> 32) & M32)" if word & 1 else f"({pair} & M32)"

    def fail(self, status: str, address: str = "-1") -> list[str]:
        return ["    return 1"]

    def note(self, action: str, offset: str, size: int) -> list[str]:
        return []  # what is noted is noted by the instrumented interpreter

    def _check(self, address: str, size: int, store: bool = False) -> list[str]:
        if self._checked:
            return super()._check(address, size, store)
        return [f"o = {address} - sram_base"]

    def _before_store(self, offset: str) -> list[str]:
        if not self._checked:
            return []
        return [
            f"if {offset} < code_end:",
            f"    if holds_unit({offset}, base - sram_base, code_bytes):",
            "        return 1",
            f"    forget_page(pages, {offset})",
        ]

    def _two_accesses(self, sizes: tuple[int, int]) -> list[str]:
        return super()._two_accesses(sizes) if self._checked else self._check("a1", sizes[1])

    def _pace_checks(self, accesses: tuple[tuple[int, int, str], ...]) -> list[str]:
        if self._checked:
            return super()._pace_checks(accesses)
        return [f"o{which} = a{which} - sram_base" for which, _, _ in accesses]

    def _pace(self) -> list[str]:
        if not self._paced:
            return super()._pace()
        registers, accesses = self.printed[:-3], self.semantic.attributes["accesses"]
        transfers = self._pace_transfers(registers, accesses)
        return self._pace_targets(registers, accesses) + [re.sub(r"\bo(\d) >> \d", r"q\1", t) for t in transfers]

    def _pace_targets(self, registers: list[Operand], accesses: tuple[tuple[int, int, str], ...]) -> list[str]:
        lines = super()._pace_targets(registers, accesses)
        # What no guard lets pass, two streams into one register, needs no test.
        return lines if self._checked else [line for line in lines if line.startswith("d")]

    def _alu(self) -> list[str]:
        lines = super()._alu()
        name = self.form.mnemonic
        whole = all(o.meaning.file == "a" and o.meaning.group == 2 and not o.meaning.select for o in self.printed)
        if name not in VECTORS or not whole:
            return lines
        target, first, second = (f"arf64[{self.field(operand)} >> 1]" for operand in self.printed)
        return [
            f"both = vector_{name}({first}, {second})",
            f"if unusual_{name[:3]}(both):",
            f"    both, raised = rare_{name}(ctl, {first}, {second})",
            "    marks[0] |= raised",
            f"{target} = both",
        ]

    def _slot(self, index: Operand) -> list[str]:
        # The slot itself is passed: which one an index means is known when a unit is found.
        return [f"slot = {self.field(index)}"]

    def _put(self) -> list[str]:
        index, source = self.printed
        return [*self._slot(index), f"write_worker(csr, slot, {self.value(source)}, acc)"]


def sorted_fields(branch: Branch) -> list[str]:
    """Parameters for a branch's operands, in the order they are passed; call after ``lines``."""
    return sorted(branch.fields)


class Amp(StrEnum):
    """How a bundle function does an AMP instruction of its aux half; the value is part of the function's name."""

    WHOLE = ""  # the semantic function
    USUAL = "usual"  # mode E4: tried in vector registers
    GROUPED = "grouped"  # one of a whole group: its result is known, its sums are formed later (amp_group)


def touches_memory(form: Form | None) -> bool:
    """Whether a main half accesses tile memory."""
    return form is not None and SEMANTICS[form.mnemonic].shape in MEMORY


class BundleFunction:
    """One bundle function: of a pair of forms, of which one may be missing."""

    def __init__(
        self,
        main: Form | None,
        aux: Form | None,
        where: MemoryMap,
        *,
        checked: bool,
        keeps: bool,
        amp: Amp = Amp.WHOLE,
        paced: bool = False,
    ) -> None:
        """``keeps``: accumulators live in ``held``. ``checked``, ``paced``: see TranslatedBranch."""
        checked = checked and touches_memory(main)
        self.main = None if main is None else TranslatedBranch(main, checked, paced)
        self.aux = None if aux is None else TranslatedBranch(aux, checked)
        self._amp, self._keeps = amp, keeps
        self.lines: list[str] = []
        self.imports: set[tuple[str, str]] = set()  # module, name
        if self.main is not None:
            self.lines += self._main(self.main)
        aux_lines = [] if self.aux is None else self._aux(self.aux)
        self.lines += aux_lines
        held = [_held(n, self.lines) for n in (0, 1)]
        before = [line for n in (0, 1) if held[n] for line in (f"t{n} = -1", f"w{n} = 0")]
        self.lines = [*before, *self.lines, *held[0], *held[1]]
        forms = [str(form.index) if form is not None else "" for form in (main, aux)]
        ways = ["checked"] * checked + ["paced"] * paced + [amp.value] * bool(amp)
        self.name = "_".join(["bundle", *forms, *ways])
        self.title = " ; ".join(form.mnemonic for form in (main, aux) if form is not None)
        body = "\n".join(self.lines)
        self._constants = [f"{name} = {value}" for name, value in where._asdict().items() if mentions(body, name)] + [
            "draw = 0"
        ] * mentions(body, "draw")
        self.variables = [name for name in VARIABLES if mentions(body, name)]
        self.timed = [name for name in _TIMED if mentions(body, name)]
        self.given = [name for name in _GIVEN if mentions(body, name)]
        self.may_leave = any("return 1" in line for line in self.lines)

    def _main(self, branch: TranslatedBranch) -> list[str]:
        lines = [line for text in branch.lines() for line in text.splitlines()]
        return self._calling(branch, self._keeping(branch, lines))

    def _keeping(self, branch: TranslatedBranch, lines: list[str]) -> list[str]:
        """Have what works on accumulators in memory find them there."""
        uses = "acc" in parameters(branch.semantic) or branch.semantic.shape is Shape.PUT
        if not (self._keeps and uses):
            return lines
        return ["copy_accumulators(acc, held)", *lines, "copy_accumulators(held, acc)"]

    def _calling(self, branch: TranslatedBranch, lines: list[str]) -> list[str]:
        if branch.semantic.function is not None:
            self.imports.add((branch.semantic.module, branch.semantic.name))
        if branch.semantic.shape in (Shape.GET, Shape.PUT):
            return ["csr[W_FP_STS] |= uint32(marks[0])", "marks[0] = 0", *lines]
        return lines

    def _aux(self, branch: TranslatedBranch) -> list[str]:
        if self._amp is Amp.GROUPED:
            return [f"arf64[{branch.field(branch.destinations[0])} >> 1] = result"]
        lines = [line for text in branch.lines() for line in text.splitlines()]
        flags = any(line.lstrip().startswith("flags =") for line in lines)
        lines = self._usual_call(branch, lines) if self._amp is Amp.USUAL else self._keeping(branch, lines)
        if flags and group_of(branch.form) == "special":
            lines += [f"extra = flags >> {EXTRA_TURNS_SHIFT}", "marks[0] |= flags & 7", "if extra != 0:"]
            lines += ["    marks[1] += extra", "    count_extra(counters, sram_base, pc, extra)"]
        elif flags:
            lines.append("marks[0] |= flags")
        return self._calling(branch, lines)

    def _usual_call(self, branch: TranslatedBranch, lines: list[str]) -> list[str]:
        """The AMP step tried on a copy of the accumulators, done again in full if it was not the usual case."""
        assert branch.form.mnemonic in USUAL
        targets, call = lines[0].split(" = ", 1)
        arguments = call.split("(acc, ", 1)[1]
        first = targets.split(",")[0]
        return [
            "copy_accumulators(trial, held)",
            f"{targets} = usual_{branch.form.mnemonic}(trial, {arguments}",
            f"if {first} >= ATTENTION:",
            "    copy_accumulators(acc, held)",
            f"    {targets} = rare_{branch.form.mnemonic}(acc, {arguments}",
            "    copy_accumulators(held, acc)",
            "else:",
            "    copy_accumulators(held, trial)",
            *lines[1:],
        ]

    def fields(self) -> list[str]:
        """Names of the operands, main half first."""
        return [name for branch in (self.main, self.aux) if branch is not None for name in sorted_fields(branch)]

    def source(self) -> list[str]:
        """Lines of the function."""
        return [
            "@bundle",
            f"def {self.name}({', '.join([*self.variables, *self.timed, *self.given, *self.fields()])}):",
            f'    """{self.title}"""',
            *(f"    {line}" for line in self._constants),
            *(f"    {line}" for line in self.lines),
            *["    return 0"] * self.may_leave,
        ]


_RETURNS = {
    Shape.BRANCH: "taken", Shape.BRANCH_DECREMENT: "taken", Shape.JUMP_REGISTER: "next_pc", Shape.CALL: "taken",
    Shape.REPEAT: "repeat_count", Shape.EXIT: "ended",
}  # fmt: skip


class ControlFunction:
    """The function of a branch, jump through a register, call, rpt or exit; returns what its shape decides."""

    def __init__(self, form: Form, repeat_mask: int) -> None:
        self.branch = TranslatedBranch(form, False)
        lines = [line for text in self.branch.lines() for line in text.splitlines()]
        self.name = f"control_{form.index}"
        self.imports = (
            {(self.branch.semantic.module, self.branch.semantic.name)} if self.branch.semantic.name else set()
        )
        self._lines = [
            "@bundle",
            f"def {self.name}(mrf, next_pc, {', '.join(sorted_fields(self.branch))}):",
            f'    """{form.mnemonic}"""',
            f"    repeat_mask = {repeat_mask}",
            "    taken = repeat_count = ended = 0",
            *(f"    {line}" for line in lines),
            f"    return {_RETURNS[self.branch.semantic.shape]}",
        ]

    def source(self) -> list[str]:
        """Lines of the function."""
        return self._lines


class PackFunction:
    """Packs addresses that were kept unpacked back into their register pair. ``used``: which of the three."""

    def __init__(self, used: tuple[int, ...]) -> None:
        self.name = "pack_" + "".join(map(str, used))
        self.imports: set[tuple[str, str]] = set()
        self._used = used

    def source(self) -> list[str]:
        """Lines of the function."""
        return [
            "@bundle",
            f"def {self.name}(mrf, pair, {', '.join(f'a{which}' for which in self._used)}):",
            "    low, high = int64(mrf[pair]), int64(mrf[pair + 1])",
            *(f"    {line}" for line in TranslatedBranch.pack(set(self._used))),
        ]


def mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None

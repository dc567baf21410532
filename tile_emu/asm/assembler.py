"""Assembling one source into a unit: labels, instructions, bundles, deferred operands."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tile_emu.asm.directives import Directives
from tile_emu.asm.expressions import ExpressionError, Node, Symbolic, Value, evaluate
from tile_emu.asm.macros import MacroLayer
from tile_emu.asm.operands import Argument, CsrName, OperandError, Payload, parse_operand
from tile_emu.asm.patterns import ARG, CONST, CSR_SPACE, NEG, Pattern, expectation, lookup, patterns, suffix_problem
from tile_emu.asm.repeat import check_repeats
from tile_emu.asm.source import Location
from tile_emu.asm.state import State
from tile_emu.asm.unit import ABSOLUTE, Reloc, Relocation, Unit
from tile_emu.errors import AssemblyError, UsageError
from tile_emu.isa.csr import csrs_by_name
from tile_emu.isa.table import ARCHITECTURES, COISSUE, Form, Operand

_RELOC_OF_KIND = {
    "Rel8": Reloc.ABS8,
    "Rel16": Reloc.ABS16,
    "Rel19S2": Reloc.ABS19_S2,
    "Rel20": Reloc.ABS20,
    "Run": Reloc.RUN,
}
_CONSTANT_BITS = 20  # setzi part of ldconst
_WORD = 0xFFFFFFFF
_NEGATED_LIMIT = 32767  # of `sub $d, $s, imm`, which is an add


@dataclass(slots=True)
class _Instruction:
    """An encoded instruction; ``deferred`` holds patterns and operands when a value is not known yet."""

    form: Form
    values: tuple[int, ...] | None
    word: int
    deferred: tuple[tuple[Pattern, ...], list[Payload]] | None
    location: Location
    text: str
    second: int | None = None  # inline word of sendpicp


@functools.lru_cache(maxsize=4096)
def _destinations(form: Form, registers: tuple[int, ...]) -> frozenset[tuple[str, int]]:
    """Registers written: (file, number), groups register by register; the zero registers count."""
    found: set[tuple[str, int]] = set()
    for operand, value in zip(form.operands, registers):
        if operand.writes and operand.meaning.is_register:
            found.update((operand.meaning.file, value + k) for k in range(operand.meaning.group))
    return frozenset(found)


class Assembler:
    """Assembles one source text. Use ``assemble_unit``."""

    def __init__(self, file: str, architecture: str, include: Iterable[str | Path] = ()) -> None:
        if architecture not in ARCHITECTURES:
            raise UsageError(f"unknown architecture '{architecture}': use one of {', '.join(ARCHITECTURES)}")
        self.unit = Unit(file, architecture)
        self.state = State(self.unit)
        self.layer = MacroLayer(self.state.absolute, self.state.is_defined)
        self.directives = Directives(self.state, self.layer, [Path(file).parent, *map(Path, include)])
        self._level = ARCHITECTURES.index(architecture)
        self._operands: dict[bool, dict[str, Argument]] = {True: {}, False: {}}
        self._selected: dict[tuple[object, ...], tuple[Pattern, ...]] = {}
        self._bundle: list[_Instruction] | None = None
        self._bundle_start: Location | None = None
        self._deferred: list[tuple[int, int, bool, _Instruction]] = []
        self._known = patterns()

    def predefine(self, symbols: Mapping[str, int]) -> None:
        """Define absolute symbols before the source is read."""
        for name, value in symbols.items():
            self.state.set_symbol(name, str(value), Location("<define>", 0))

    def run(self, text: str) -> Unit:
        self.layer.push(text, self.unit.file)
        for statement, location in self.layer:
            try:
                self._statement(statement, location)
            except (ExpressionError, OperandError) as error:
                raise location.error(str(error), statement) from None
        if self._bundle is not None and self._bundle_start is not None:
            raise self._bundle_start.error("bundle is not terminated: `}` expected")
        self.state.finish_symbols()
        self._finish()
        self.directives.finish()
        check_repeats(self.state)
        return self.unit

    def _statement(self, text: str, location: Location) -> None:
        last = text[-1]
        if last == ":" and (label := text[:-1].strip('"')) and " " not in label:
            if self._bundle:
                raise location.error("a label cannot stand inside a bundle", text)
            self.state.define_label(label, location)
        elif text == "{":
            if self._bundle is not None:
                raise location.error("bundles cannot be nested")
            self._bundle, self._bundle_start = [], location
        elif text == "}":
            self._close_bundle(location)
        elif text[0] == "." or ("=" in text and self.directives.is_assignment(text)):
            if self._bundle is not None and not self.directives.allowed_in_bundle(text):
                raise location.error("a directive cannot stand inside a bundle", text)
            self.directives.run(text, location)
        else:
            self._instruction(text, location)

    # Instructions

    def _instruction(self, text: str, location: Location) -> None:
        mnemonic, _, rest = text.partition(" ")
        if "\t" in mnemonic:
            mnemonic, _, tail = text.partition("\t")
            rest = tail
        if mnemonic not in self._known:
            if mnemonic == "ldconst":
                self._ldconst(rest, text, location)
                return
            if mnemonic.lower() not in self._known:
                raise location.error(self._unknown(mnemonic), text)
            mnemonic = mnemonic.lower()
        arguments = self._arguments(rest, text, location)
        second = None
        if mnemonic == "sendpicp":
            second = self._picp_word(arguments, text, location)
        instruction = self._encode(mnemonic, arguments, text, location)
        instruction.second = second
        if self._bundle is not None:
            self._bundle.append(instruction)
        else:
            self._emit(instruction)

    def _arguments(self, rest: str, text: str, location: Location) -> list[Argument]:
        rest = rest.strip()
        if not rest:
            return []
        check = self.state.check_operands
        cache = self._operands[check]
        found = []
        for piece in rest.split(","):
            piece = piece.strip()
            argument = cache.get(piece)
            if argument is None:
                try:
                    argument = parse_operand(piece, cache, check, self._here, self.state.local_name)
                except OperandError as error:
                    raise location.error(str(error), text) from None
            found.append(argument)
        return found

    def _here(self) -> Symbolic:
        here = self.state.here()
        return Symbolic(here.base, here.offset + 4 * len(self._bundle)) if self._bundle else here

    def _unknown(self, mnemonic: str) -> str:
        near = difflib.get_close_matches(mnemonic, self._known, n=1, cutoff=0.75)
        return f"unknown instruction `{mnemonic}`" + (f", did you mean `{near[0]}`?" if near else "")

    def _select(self, mnemonic: str, arguments: list[Argument], text: str, location: Location) -> tuple[Pattern, ...]:
        signature = tuple([argument[0] for argument in arguments])
        state = self.state
        key = (mnemonic, signature, state.mode, state.check_mode)
        found = self._selected.get(key)
        if found is None:
            group = lookup(mnemonic, signature)
            if not group:
                problem = suffix_problem(mnemonic, signature)
                raise location.error(f"{mnemonic}: {problem}" if problem else self._explain(mnemonic, signature), text)
            if state.check_mode:
                fitting = tuple(p for p in group if p.form.mode in (state.mode, "both"))
                if not fitting:
                    needed = group[0].form.mode
                    raise location.error(f"{mnemonic} is a {needed} instruction, this is {state.mode} code", text)
                group = fitting
            found = tuple(p for p in group if p.arch_level <= self._level)
            if not found:
                needed = group[0].form.since
                raise location.error(f"{mnemonic} needs {needed}, this is {self.unit.architecture} code", text)
            self._selected[key] = found
        return found

    def _explain(self, mnemonic: str, signature: tuple[str, ...]) -> str:
        counts = {len(known) for known in self._known[mnemonic]}
        amount = "too few operands, " if len(signature) < min(counts) else ""
        amount = "too many operands, " if len(signature) > max(counts) else amount
        return f"{amount}{mnemonic} takes {expectation(mnemonic)}"

    def _encode(self, mnemonic: str, arguments: list[Argument], text: str, location: Location) -> _Instruction:
        group = self._select(mnemonic, arguments, text, location)
        payloads = [argument[1] for argument in arguments]
        for position, payload in enumerate(payloads):
            if not isinstance(payload, int):
                if mnemonic == "run" and not isinstance(payload, CsrName):
                    # a symbol is an address relative to the base of memory, which only the linker knows
                    return _Instruction(group[0].form, None, 0, (group, payloads), location, text)
                resolved = self._resolve(payload, mnemonic, text, location)
                if resolved is None:
                    return _Instruction(group[0].form, None, 0, (group, payloads), location, text)
                payloads[position] = resolved
        values, form = self._fill(group, payloads, text, location)
        return _Instruction(form, values, self._word(form, values, text, location), None, location, text)

    def _resolve(self, payload: Payload, mnemonic: str, text: str, location: Location) -> int | None:
        """A payload's number if it is known already."""
        if isinstance(payload, CsrName):
            return self._csr(payload.name, mnemonic, text, location)
        value = self.state.try_evaluate(payload, location)
        return value if isinstance(value, int) else None

    def _fill(
        self, group: tuple[Pattern, ...], payloads: list[Payload], text: str, location: Location
    ) -> tuple[tuple[int, ...], Form]:
        for pattern in group:
            values = _values(pattern, payloads)
            if len(group) == 1 or pattern.form.fits(values):
                return values, pattern.form
        lows = [pattern.form.operands[-1].meaning.low for pattern in group]
        highs = [pattern.form.operands[-1].meaning.high for pattern in group]
        numbers = ", ".join(str(p) for k, p in enumerate(payloads) if any((ARG, k) == s for s in group[0].slots[-1:]))
        raise location.error(f"value {numbers} does not fit: {min(lows)}..{max(highs)}", text)

    def _word(self, form: Form, values: tuple[int, ...], text: str, location: Location) -> int:
        try:
            return form.encode(values)
        except UsageError as error:
            if not self.state.check_operands:
                return form.encode([_cut(operand, value) for operand, value in zip(form.operands, values)])
            raise location.error(str(error), text) from None

    def _csr(self, name: str, mnemonic: str, text: str, location: Location) -> int:
        space = CSR_SPACE.get(mnemonic.partition("_")[0])
        if space is None:
            raise location.error(f"${name} is a status register, {mnemonic} does not take one", text)
        group = csrs_by_name()[name]
        state = self.state
        if not state.check_mode:
            return group[0].encoded
        if mnemonic in ("get", "put"):  # also spellings of uget, uput
            space = "upper" if "$a" in text.replace(name, "") else "lower"
        if group[0].space != space:
            where = {"lower": "get/put $m", "upper": "uget/uput $a", "cwei": "ld64putcs/ld128putcs"}[group[0].space]
            raise location.error(f"${name} is in the {group[0].space} space ({where})", text)
        fitting = [csr for csr in group if state.mode in csr.modes]
        if not fitting:
            raise location.error(f"${name} does not exist in {state.mode} mode", text)
        if not any(self.unit.architecture in csr.architectures for csr in fitting):
            raise location.error(f"${name} does not exist on {self.unit.architecture}", text)
        return fitting[0].encoded

    def _ldconst(self, rest: str, text: str, location: Location) -> None:
        if self._bundle is not None:
            raise location.error("ldconst cannot stand in a bundle", text)
        arguments = self._arguments(rest, text, location)
        if len(arguments) != 2 or arguments[0][0] not in ("M", "A") or arguments[1][0] != "X":
            raise location.error("ldconst takes a register and a constant", text)
        value = self._resolve(arguments[1][1], "ldconst", text, location)
        if value is None:
            raise location.error("ldconst takes a constant, known at this place", text)
        if not -(1 << 31) <= value <= _WORD:
            raise location.error(f"value {value} does not fit in 32 bits", text)
        file = "mmmn" if arguments[0][0] == "M" else "aaan"
        number, value = arguments[0][1], value & _WORD
        low, high = value & (1 << _CONSTANT_BITS) - 1, value >> _CONSTANT_BITS << _CONSTANT_BITS
        steps: list[tuple[str, tuple[Payload, ...]]] = [(f"setzi_{file}_zi", (number, low))]
        if high:
            steps.append((f"or_{file}_iz", (number, number, high)))
        for name, values in steps:
            arguments = [("X" if k == len(values) - 1 else arguments[0][0], v) for k, v in enumerate(values)]
            self._emit(self._encode(name, arguments, text, location))

    def _picp_word(self, arguments: list[Argument], text: str, location: Location) -> int | None:
        """``sendpicp c, addr, ctl, ps, xpic, pic``: the last two make the inline word; with four it is left out."""
        if self.state.here().offset % 8:
            raise location.error("sendpicp must start at a multiple of 8 bytes", text)
        if len(arguments) != 6:
            return None
        values = []
        for (_, payload), bits in zip(arguments[4:], (14, 18)):
            value = self._resolve(payload, "sendpicp", text, location)
            if value is None or not 0 <= value < 1 << bits:
                raise location.error(f"sendpicp: the inline word takes a constant of {bits} bits here", text)
            values.append(value)
        del arguments[4:]
        return values[0] << 18 | values[1]

    # Bundles and emission

    def _close_bundle(self, location: Location) -> None:
        bundle, self._bundle = self._bundle, None
        if bundle is None:
            raise location.error("`}` without a bundle")
        if not bundle:
            raise location.error("bundle is empty")
        if len(bundle) != 2:
            count = "too few" if len(bundle) < 2 else "too many"
            raise bundle[-1].location.error(f"{count} instructions in the bundle: two are needed", bundle[-1].text)
        state = self.state
        if state.optimise and bundle[0].form.pipe == "aux" and bundle[1].form.pipe == "main":
            bundle.reverse()
        problem = self._bundle_problem(bundle)
        if problem is not None:
            if state.bundle_errors:
                raise problem
            self.unit.warnings.append(str(problem))
        main, aux = bundle
        at_four = state.here().offset % 8 == 4
        if state.optimise and main.form.mnemonic == "rpt" and _is_fnop(aux) and at_four:
            self._emit(main)
            return
        self._emit(main, bundled=True)
        self._emit(aux, bundled=True)

    def _bundle_problem(self, bundle: list[_Instruction]) -> AssemblyError | None:
        for instruction, pipe in zip(bundle, ("main", "aux")):
            form = instruction.form
            if not form.coissue:
                return instruction.location.error(f"{form.mnemonic} cannot stand in a bundle", instruction.text)
            if form.pipe != pipe:
                order = "first" if pipe == "main" else "second"
                return instruction.location.error(
                    f"{form.mnemonic} is in the wrong lane: the {order} of a bundle is a {pipe} instruction",
                    instruction.text,
                )
        clash = self._written(bundle[0]) & self._written(bundle[1])
        if clash:
            file, number = min(clash)
            return bundle[1].location.error(f"both halves of the bundle write ${file}{number}", bundle[1].text)
        return None

    def _written(self, instruction: _Instruction) -> frozenset[tuple[str, int]]:
        values = instruction.values
        if values is None and instruction.deferred is not None:
            pattern, payloads = instruction.deferred[0][0], instruction.deferred[1]
            values = _values(pattern, [p if isinstance(p, int) else 0 for p in payloads])
        form = instruction.form
        registers = [v if o.meaning.is_register else 0 for o, v in zip(form.operands, values or ())]
        return _destinations(form, tuple(registers))

    def _emit(self, instruction: _Instruction, bundled: bool = False) -> None:
        state, form = self.state, instruction.form
        section = state.code_section(instruction.location)
        offset = len(section.data)
        if instruction.deferred is not None:
            self._deferred.append((state.section_number, offset, bundled, instruction))
        word = instruction.word | (COISSUE if bundled and form.coissue else 0)
        section.data += word.to_bytes(4, "little")
        section.instruction_offset.append(offset)
        section.instruction_form.append(form)
        section.instruction_place.append(instruction.location)
        section.in_bundle.append(bundled)
        if form.mnemonic == "rpt" and state.check_repeat:
            state.repeats.append((state.section_number, len(section.instruction_offset) - 1))
        if instruction.second is not None:
            section.data += instruction.second.to_bytes(4, "little")

    # Deferred operands

    def _finish(self) -> None:
        for section, offset, bundled, instruction in self._deferred:
            try:
                self._finish_one(section, offset, bundled, instruction)
            except ExpressionError as error:
                raise instruction.location.error(str(error), instruction.text) from None

    def _finish_one(self, section: int, offset: int, bundled: bool, instruction: _Instruction) -> None:
        assert instruction.deferred is not None
        group, payloads = instruction.deferred
        location, text = instruction.location, instruction.text
        symbols: dict[int, Symbolic] = {}
        numbers: list[Payload] = []
        for position, payload in enumerate(payloads):
            if isinstance(payload, CsrName):
                numbers.append(self._csr(payload.name, group[0].form.mnemonic, text, location))
                continue
            value: Value = evaluate(payload, self.state.final_lookup)
            if group[0].form.mnemonic == "run" and isinstance(value, int) and _names_symbol(payload):
                value = Symbolic(ABSOLUTE, value)
            if isinstance(value, Symbolic):
                symbols[position] = value
                value = 0
            numbers.append(value)
        values, form = self._fill(group, numbers, text, location)
        home = self.unit.sections[section]
        for position, symbolic in symbols.items():
            index = next(k for pattern in group[:1] for k, slot in enumerate(pattern.slots) if slot == (ARG, position))
            kind = form.operands[index].meaning
            if not kind.relocatable:
                name = symbolic.base if isinstance(symbolic.base, str) else "an address"
                raise location.error(f"a constant is needed here, `{name}` is a symbol not defined as one", text)
            reloc = _RELOC_OF_KIND[kind.name]
            home.relocations.append(Relocation(offset, reloc, symbolic.base, symbolic.offset, location))
        word = self._word(form, values, text, location) | (COISSUE if bundled and form.coissue else 0)
        home.data[offset : offset + 4] = word.to_bytes(4, "little")


def _values(pattern: Pattern, payloads: list[Payload]) -> tuple[int, ...]:
    found = []
    for source, index in pattern.slots:
        if source == CONST:
            found.append(index)
            continue
        payload = payloads[index]
        assert isinstance(payload, int)
        if source == NEG and not -_NEGATED_LIMIT <= payload <= _NEGATED_LIMIT:
            raise ExpressionError(f"value {payload} is outside -{_NEGATED_LIMIT}..{_NEGATED_LIMIT}")
        found.append(payload if source == ARG else -payload)
    return tuple(found)


def _cut(operand: Operand, value: int) -> int:
    """A value that does not fit made to fit by dropping bits (``.allow_invalid_operands``)."""
    kind = operand.meaning
    width = sum(bits for _, _, bits in operand.parts)
    value = value >> kind.shift & (1 << width) - 1
    if kind.signed and value > kind.high:
        value -= 1 << width
    return (value & ~kind.step if kind.is_register else value) << kind.shift


def _names_symbol(node: Node | CsrName) -> bool:
    return isinstance(node, tuple) and (node[0] == "sym" or any(_names_symbol(part) for part in node[1:]))


def _is_fnop(instruction: _Instruction) -> bool:
    fnop = patterns()["fnop"][()][0]
    return instruction.form is fnop.form and instruction.values == _values(fnop, [])


def assemble_unit(
    text: str,
    file: str,
    architecture: str,
    include: Iterable[str | Path] = (),
    symbols: Mapping[str, int] | None = None,
) -> Unit:
    """Assemble a source text (already through the C preprocessor) into a unit; raises AssemblyError.

    ``symbols`` are absolute symbols defined beforehand.
    """
    try:
        assembler = Assembler(file, architecture, include)
        assembler.predefine(symbols or {})
        return assembler.run(text)
    except RecursionError:
        raise AssemblyError("expression or macro is nested too deeply", file) from None

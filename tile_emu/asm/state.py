"""What the assembler knows while it reads one source: sections, symbols, local labels, mode and check switches."""

from __future__ import annotations

import re

from tile_emu.asm.expressions import ExpressionError, Node, Symbolic, Value, evaluate, parse_expression
from tile_emu.asm.source import Location
from tile_emu.asm.unit import Section, Symbol, Unit
from tile_emu.isa.flags import PRIVATE_FLAGS

# Name prefix -> flags of sections that .section gives none.
_DEFAULT_FLAGS = {".text": "ax", ".data": "aw", ".sdata": "aw", ".bss": "aw", ".rodata": "a", ".tdata": "aw"}
_LOCAL_NAME = "\x01{}\x01{}"  # numeric label and its occurrence; cannot be typed
_MAX_SET_DEPTH = 100


class _NotYet(ExpressionError):
    """A symbol that later text may still define."""


def default_flags(name: str) -> str:
    """Flags of a section by its name: ``.text.foo`` counts as ``.text``; an unknown name is not allocated."""
    for prefix, flags in _DEFAULT_FLAGS.items():
        if name == prefix or name.startswith(prefix + "."):
            return flags
    return ""


class State:
    """Mutable state of one source. Section numbers are indices into ``unit.sections``."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.mode = "worker"
        self.check_mode = True
        self.check_operands = True
        self.check_repeat = True
        self.bundle_errors = True
        self.optimise = False
        self.repeats: list[tuple[int, int]] = []  # section number, instruction index of every rpt to check
        self._numbers: dict[str, int] = {}
        self._local: dict[str, int] = {}
        self._set: dict[str, Node] = {}  # latest .set of a symbol
        self._depth = 0
        self.section_number = 0
        self.previous_section = 0
        self.section_stack: list[tuple[int, int]] = []
        self.use_section(".text")
        self.section = self.unit.sections[0]

    # Sections

    def use_section(self, name: str, flags: str | None = None, nobits: bool | None = None) -> None:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.unit.sections)
            is_bss = name == ".bss" or name.startswith(".bss.")
            chosen = default_flags(name) if flags is None else flags
            self.unit.sections.append(Section(name, chosen, is_bss if nobits is None else nobits))
        self.previous_section, self.section_number = self.section_number, number
        self.section = self.unit.sections[number]

    def switch_section(self, number: int) -> None:
        self.previous_section, self.section_number = self.section_number, number
        self.section = self.unit.sections[number]

    def code_section(self, location: Location) -> Section:
        if self.section.nobits or len(self.section.data) % 4:
            what = "has no contents" if self.section.nobits else "is not at a multiple of 4 bytes here"
            raise location.error(f"an instruction cannot stand here: section {self.section.name} {what}")
        return self.section

    def here(self) -> Symbolic:
        return Symbolic(self.section_number, len(self.section.data))

    # Symbols

    def symbol(self, name: str) -> Symbol:
        found = self.unit.symbols.get(name)
        if found is None:
            found = self.unit.symbols[name] = Symbol(name)
        return found

    def define_label(self, name: str, location: Location) -> None:
        if name.isdigit():
            count = self._local.get(name, 0)
            self._local[name] = count + 1
            name = _LOCAL_NAME.format(name, count)
        elif not re.match(r"[A-Za-z_.$]", name):
            raise location.error(f"`{name}` cannot be a label")
        symbol = self.symbol(name)
        if symbol.defined or name in self._set:
            raise location.error(f"symbol `{name}` is already defined" + _first(symbol))
        symbol.section, symbol.value = self.section_number, len(self.section.data)
        symbol.defined, symbol.location = True, location

    def set_symbol(self, name: str, text: str, location: Location, once: bool = False) -> None:
        symbol = self.unit.symbols.get(name)
        if (symbol is not None and symbol.defined) or (once and name in self._set):
            raise location.error(f"symbol `{name}` is already defined")
        node = self.parse(text)
        try:
            node = evaluate(node, self._lookup)
        except _NotYet:
            pass  # forward reference: evaluated when used, at the latest at the end
        self._set[name] = node
        self.symbol(name).location = location

    def local_name(self, text: str) -> str:
        """Internal name of ``1f`` / ``1b``."""
        number, direction = text[:-1].lstrip("0") or "0", text[-1]
        count = self._local.get(number, 0)
        if direction == "b":
            if count == 0:
                raise ExpressionError(f"there is no local label `{number}` before")
            count -= 1
        return _LOCAL_NAME.format(number, count)

    def is_defined(self, name: str) -> bool:
        symbol = self.unit.symbols.get(name)
        return name in self._set or (symbol is not None and symbol.defined)

    def parse(self, text: str) -> Node:
        return parse_expression(text, self.here(), self.local_name)

    def _find(self, name: str) -> Value | None:
        symbol = self.unit.symbols.get(name)
        if symbol is not None and symbol.defined and symbol.section is not None:
            return Symbolic(symbol.section, symbol.value)
        node = self._set.get(name)
        if node is not None:
            self._depth += 1
            try:
                if self._depth > _MAX_SET_DEPTH:
                    raise ExpressionError(f"symbol `{name}` is defined by itself")
                return evaluate(node, self._current)
            finally:
                self._depth -= 1
        return PRIVATE_FLAGS.get(name.lstrip("$"))

    def _lookup(self, name: str) -> Value:
        self._current = self._lookup
        value = self._find(name)
        if value is None:
            raise _NotYet(f"`{_shown(name)}` is not defined at this place")
        return value

    def final_lookup(self, name: str) -> Value:
        """Value of a symbol after the whole source was read; an undefined one is left to the linker."""
        self._current = self.final_lookup
        value = self._find(name)
        if value is None:
            if name.startswith("\x01"):
                raise ExpressionError(f"there is no local label `{name.split(chr(1))[1]}` after this")
            if not re.match(r"[A-Za-z_.$]", name):
                raise ExpressionError(f"`{name}` is not defined")
            self.symbol(name)
            return Symbolic(name, 0)
        return value

    def try_evaluate(self, node: Node, location: Location) -> Value | None:
        """The value if known at this place, else None."""
        try:
            return evaluate(node, self._lookup)
        except _NotYet:
            return None

    def absolute(self, text: str, location: Location) -> int:
        """An absolute number that must be known now (``.if``, ``.space``, ``.align`` ...)."""
        try:
            value = evaluate(self.parse(text), self._lookup)
        except ExpressionError as error:
            raise location.error(str(error), text) from None
        if not isinstance(value, int):
            raise location.error("a constant is needed here", text)
        return value

    def finish_symbols(self) -> None:
        """Give .set symbols their final place or value."""
        for name, node in self._set.items():
            symbol = self.symbol(name)
            try:
                value = evaluate(node, self.final_lookup)
            except ExpressionError as error:
                if symbol.location is None:
                    raise
                raise symbol.location.error(str(error)) from None
            if isinstance(value, int):
                symbol.section, symbol.value, symbol.defined = None, value, True
            elif isinstance(value.base, int):
                symbol.section, symbol.value, symbol.defined = value.base, value.offset, True


def _first(symbol: Symbol) -> str:
    return f" at {symbol.location.file}:{symbol.location.line}" if symbol.location else ""


def _shown(name: str) -> str:
    return name.split("\x01")[1] + "f" if name.startswith("\x01") else name

"""Assembler directives: data, sections, symbols, alignment, mode and check switches."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tile_emu.asm.expressions import ExpressionError, Node, Symbolic, Value, evaluate
from tile_emu.asm.macros import MacroLayer, split_arguments
from tile_emu.asm.source import Location
from tile_emu.asm.state import State
from tile_emu.asm.unit import Reloc, Relocation
from tile_emu.isa.table import NOP, Form, table

_ASSIGNMENT = re.compile(r"([A-Za-z_.$][\w.$]*)\s*=(?![=>])\s*(.+)\Z", re.DOTALL)
_SIZES = {
    **dict.fromkeys((".byte", ".1byte"), 1),
    **dict.fromkeys((".short", ".half", ".hword", ".value", ".2byte"), 2),
    **dict.fromkeys((".word", ".long", ".int", ".4byte"), 4),
    **dict.fromkeys((".quad", ".8byte", ".xword", ".dword"), 8),
}
_DATA_RELOC = {1: Reloc.ABS8, 2: Reloc.ABS16, 4: Reloc.ABS32, 8: Reloc.ABS64}
_MODIFIERS = {
    "@relative@16@s2": (Reloc.RELATIVE_16_S2, 2),
    "@abs18@s2": (Reloc.ABS18_S2, 4),
    "@abs19@s2": (Reloc.ABS19_S2, 4),
    "@abs@18@s2": (Reloc.ABS18_S2, 4),
    "@abs@19@s2": (Reloc.ABS19_S2, 4),
    "@abs@20": (Reloc.ABS20, 4),
    "@abs@21": (Reloc.ABS21, 4),
    "@abs@16@s3": (Reloc.ABS16_S3, 2),
    "@abs@16@s4": (Reloc.ABS16_S4, 2),
    "@abs@16@s5": (Reloc.ABS16_S5, 2),
}
_IGNORED = frozenset(
    ".file .loc .ident .addrsig .addrsig_sym .hidden .protected .internal .local .line .ln .version .sleb128 .uleb128 "
    ".title .sbttl .list .nolist .end".split()
)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]+)|(.))", re.DOTALL)
_ESCAPES = {"n": 10, "t": 9, "r": 13, "b": 8, "f": 12}
_MAX_FILL = 1 << 24  # bytes one directive may add: more than any tile has


class Directives:
    """Runs directives on the state of one source."""

    def __init__(self, state: State, layer: MacroLayer, directories: list[Path]) -> None:
        self.state = state
        self.layer = layer
        self.directories = directories
        self._includes = 0
        self._pending: list[tuple[int, int, int, Node, Location, Reloc | None]] = []
        self._handlers: dict[str, Callable[[str, Location], None]] = {}
        self._add_symbol_directives()
        self._add_switches()
        for name, size in _SIZES.items():
            self._handlers[name] = lambda rest, at, size=size: self._data(size, rest, at)  # type: ignore[misc]
        self._handlers |= {
            ".float": lambda rest, at: self._floats("<f4", rest, at),
            ".single": lambda rest, at: self._floats("<f4", rest, at),
            ".double": lambda rest, at: self._floats("<f8", rest, at),
            ".ascii": lambda rest, at: self._strings(rest, at, b""),
            ".asciz": lambda rest, at: self._strings(rest, at, b"\0"),
            ".string": lambda rest, at: self._strings(rest, at, b"\0"),
            ".space": self._space,
            ".skip": self._space,
            ".zero": self._space,
            ".fill": self._fill,
            ".org": self._org,
            ".align": lambda rest, at: self._align(rest, at, power=False),
            ".balign": lambda rest, at: self._align(rest, at, power=False),
            ".p2align": lambda rest, at: self._align(rest, at, power=True),
            ".include": self._include,
            ".incbin": self._incbin,
            ".error": self._error,
            ".err": self._error,
            ".warning": lambda rest, at: state.unit.warnings.append(str(at.error(rest.strip('"')))),
            ".print": lambda rest, at: state.unit.warnings.append(rest.strip('"')),
        }

    def is_assignment(self, text: str) -> bool:
        return _ASSIGNMENT.match(text) is not None

    def allowed_in_bundle(self, text: str) -> bool:
        """Directives that emit nothing may stand between the instructions of a bundle."""
        word = text.split(None, 1)[0]
        return word in (".set", ".equ", ".equiv", ".loc", ".file") or word.startswith((".cfi_", ".allow_", ".error_on"))

    def run(self, text: str, location: Location) -> None:
        word, _, rest = text.replace("\t", " ", 1).partition(" ")
        handler = self._handlers.get(word)
        if handler is None:
            assignment = _ASSIGNMENT.match(text)
            if assignment is not None:
                self._assign(assignment[1], assignment[2], location)
                return
            if word in _IGNORED or word.startswith((".cfi_", ".debug_")):
                return
            raise location.error(f"unknown directive `{word}`", text)
        handler(rest.strip(), location)

    def finish(self) -> None:
        """Fill in data whose symbols were defined later; what is left becomes relocations."""
        for section, offset, size, node, location, reloc in self._pending:
            try:
                value = evaluate(node, self.state.final_lookup)
            except ExpressionError as error:
                raise location.error(str(error)) from None
            home = self.state.unit.sections[section]
            if isinstance(value, Symbolic):
                kind = reloc if reloc is not None else _DATA_RELOC[size]
                home.relocations.append(Relocation(offset, kind, value.base, value.offset, location))
            else:
                home.data[offset : offset + size] = _bytes(value, size, location)

    # Symbols and sections

    def _add_symbol_directives(self) -> None:
        state = self.state
        self._handlers |= {
            ".set": lambda rest, at: self._equate(rest, at),
            ".equ": lambda rest, at: self._equate(rest, at),
            ".equiv": lambda rest, at: self._equate(rest, at, once=True),
            ".globl": lambda rest, at: self._bind(rest, at, "global"),
            ".global": lambda rest, at: self._bind(rest, at, "global"),
            ".extern": lambda rest, at: self._bind(rest, at, ""),
            ".weak": lambda rest, at: self._bind(rest, at, "weak"),
            ".type": self._type,
            ".size": self._size,
            ".section": self._section,
            ".pushsection": self._push_section,
            ".popsection": self._pop_section,
            ".previous": lambda rest, at: state.switch_section(state.previous_section),
            ".text": lambda rest, at: state.use_section(".text"),
            ".data": lambda rest, at: state.use_section(".data"),
            ".bss": lambda rest, at: state.use_section(".bss"),
            ".rodata": lambda rest, at: state.use_section(".rodata"),
        }

    def _equate(self, rest: str, location: Location, once: bool = False) -> None:
        name, comma, text = rest.partition(",")
        if not comma or not re.match(r"[A-Za-z_.$][\w.$]*\Z", name.strip()):
            raise location.error("a symbol and a value are needed, separated by a comma", rest)
        self._assign(name.strip(), text, location, once)

    def _assign(self, name: str, text: str, location: Location, once: bool = False) -> None:
        if name == ".":
            self._org(text, location)
            return
        self.state.set_symbol(name, text.strip(), location, once)

    def _bind(self, rest: str, location: Location, binding: str) -> None:
        for name in split_arguments(rest):
            symbol = self.state.symbol(name.strip('"'))
            symbol.binding = binding or symbol.binding

    def _type(self, rest: str, location: Location) -> None:
        match = re.match(r"([\w.$]+)\s*,?\s*[@%\"]?\s*(?:STT_)?(\w+)\"?\Z", rest)
        if match is None:
            raise location.error("a symbol and a type are needed", rest)
        kind = match[2].lower()
        self.state.symbol(match[1]).kind = {"func": "function"}.get(kind, kind)

    def _size(self, rest: str, location: Location) -> None:
        name, comma, text = rest.partition(",")
        if not comma:
            raise location.error("a symbol and a size are needed, separated by a comma", rest)
        value = self.state.try_evaluate(self.state.parse(text), location)
        if isinstance(value, int):
            self.state.symbol(name.strip()).size = value

    def _section(self, rest: str, location: Location) -> None:
        parts = split_arguments(rest, blanks=False)
        if not parts or not parts[0]:
            raise location.error("a section needs a name")
        flags = parts[1].strip('"') if len(parts) > 1 else None
        kinds = [part.strip('@%"') for part in parts[2:]]
        self.state.use_section(parts[0].strip('"'), flags, "nobits" in kinds if kinds else None)

    def _push_section(self, rest: str, location: Location) -> None:
        self.state.section_stack.append((self.state.section_number, self.state.previous_section))
        self._section(rest, location)

    def _pop_section(self, rest: str, location: Location) -> None:
        if not self.state.section_stack:
            raise location.error(".popsection without .pushsection")
        number, previous = self.state.section_stack.pop()
        self.state.switch_section(number)
        self.state.previous_section = previous

    # Switches

    def _add_switches(self) -> None:
        switches: dict[str, dict[str, object]] = {
            ".worker": {"mode": "worker"},
            ".supervisor": {"mode": "supervisor"},
            ".allow_invalid_execution_mode": {"check_mode": False},
            ".error_on_invalid_execution_mode": {"check_mode": True},
            ".allow_invalid_operands": {"check_operands": False},
            ".error_on_invalid_operands": {"check_operands": True},
            ".warn_on_invalid_bundles": {"bundle_errors": False},
            ".error_on_invalid_bundles": {"bundle_errors": True},
            ".allow_invalid_repeat": {"check_repeat": False},
            ".error_on_invalid_repeat": {"check_repeat": True},
            ".allow_optimizations": {"optimise": True},
        }
        for name, changes in switches.items():
            self._handlers[name] = lambda rest, at, changes=changes: self._switch(changes)  # type: ignore[misc]

    def _switch(self, changes: dict[str, object]) -> None:
        for name, value in changes.items():
            setattr(self.state, name, value)

    # Data

    def _data(self, size: int, rest: str, location: Location) -> None:
        state = self.state
        for text in rest.split(",") if rest else ():
            self._contents(location)
            reloc = None
            width = size
            if "@" in text:
                text, at, modifier = text.partition("@")
                if at + modifier.strip() not in _MODIFIERS:
                    raise location.error(f"unknown relocation `{at}{modifier.strip()}`", rest)
                reloc, width = _MODIFIERS[at + modifier.strip()]
                if width > size:
                    raise location.error(f"relocation `{at}{modifier.strip()}` needs {width} bytes", rest)
            node = state.parse(text)
            value: Value | None = node if isinstance(node, int) else state.try_evaluate(node, location)
            if not isinstance(value, int) or reloc is not None:
                self._pending.append((state.section_number, len(state.section.data), size, node, location, reloc))
                value = 0
            state.section.data += _bytes(value, size, location)

    def _contents(self, location: Location) -> None:
        if self.state.section.nobits:
            raise location.error(f"section {self.state.section.name} has no contents")

    def _floats(self, dtype: str, rest: str, location: Location) -> None:
        try:
            values = np.array([float(text) for text in rest.split(",")], dtype=np.float64)
        except ValueError:
            raise location.error("numbers are needed", rest) from None
        with np.errstate(over="ignore"):
            self.state.section.data += values.astype(dtype).tobytes()

    def _strings(self, rest: str, location: Location, end: bytes) -> None:
        self._contents(location)
        for text in split_arguments(rest, blanks=False):
            if len(text) < 2 or text[0] != '"' or text[-1] != '"':
                raise location.error("a string in double quotes is needed", rest)
            self.state.section.data += _unescape(text[1:-1]) + end

    def _grow(self, count: int, fill: int, location: Location) -> None:
        if not 0 <= count <= _MAX_FILL:
            raise location.error(f"{count} bytes cannot be added here")
        self.state.section.data += bytes([fill & 0xFF]) * count

    def _space(self, rest: str, location: Location) -> None:
        parts = split_arguments(rest, blanks=False) or [""]
        fill = self.state.absolute(parts[1], location) if len(parts) > 1 else 0
        self._grow(self.state.absolute(parts[0], location), fill, location)

    def _fill(self, rest: str, location: Location) -> None:
        parts = [self.state.absolute(text, location) for text in split_arguments(rest, blanks=False)]
        count, size, value = (parts + [0, 1, 0][len(parts) :])[:3] if parts else (0, 1, 0)
        if not 0 <= size <= 8 or not 0 <= count * size <= _MAX_FILL:
            raise location.error("bad .fill", rest)
        self._contents(location)
        self.state.section.data += (value & (1 << 8 * size) - 1).to_bytes(size, "little") * count

    def _org(self, rest: str, location: Location) -> None:
        value = self.state.try_evaluate(self.state.parse(rest), location)
        target = value.offset if isinstance(value, Symbolic) else value
        if target is None or (isinstance(value, Symbolic) and value.base != self.state.section_number):
            raise location.error("a place in this section is needed", rest)
        self._grow(target - len(self.state.section.data), 0, location)

    def _align(self, rest: str, location: Location, power: bool) -> None:
        parts = split_arguments(rest, blanks=False)
        number = self.state.absolute(parts[0] if parts else "", location)
        size = 1 << number if power and 0 <= number < 20 else number
        if size < 1 or size & (size - 1) or size > 1 << 20:
            raise location.error(f"alignment {number} is not possible", rest)
        section = self.state.section
        gap = -len(section.data) % size
        if len(parts) > 2 and parts[2] and gap > self.state.absolute(parts[2], location):
            return
        section.align = max(section.align, size)
        if len(parts) > 1 and parts[1]:
            self._grow(gap, self.state.absolute(parts[1], location), location)
        elif "x" in section.flags:
            self._grow(gap % 4, 0, location)
            offset = len(section.data)
            section.data += NOP.to_bytes(4, "little") * (gap // 4)
            form = _nop_form()
            for at in range(offset, len(section.data), 4):
                section.instruction_offset.append(at)
                section.instruction_form.append(form)
                section.instruction_place.append(location)
                section.in_bundle.append(False)
        else:
            self._grow(gap, 0, location)

    # Files and messages

    def _open(self, rest: str, location: Location) -> Path:
        name = rest.strip().strip('"')
        for directory in self.directories:
            path = directory / name
            if name and path.is_file():
                return path
        raise location.error(f"file '{name}' not found")

    def _include(self, rest: str, location: Location) -> None:
        self._includes += 1
        if self._includes > 1000:
            raise location.error("too many .include")
        path = self._open(rest, location)
        self.layer.push(path.read_text(encoding="utf-8", errors="replace"), str(path))

    def _incbin(self, rest: str, location: Location) -> None:
        parts = split_arguments(rest, blanks=False)
        content = self._open(parts[0] if parts else "", location).read_bytes()
        skip = self.state.absolute(parts[1], location) if len(parts) > 1 else 0
        count = self.state.absolute(parts[2], location) if len(parts) > 2 else len(content)
        self.state.section.data += content[skip : skip + count]

    def _error(self, rest: str, location: Location) -> None:
        raise location.error(rest.strip('"') or ".error")


def _bytes(value: int, size: int, location: Location) -> bytes:
    bits = 8 * size
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise location.error(f"value {value} does not fit in {size} bytes")
    return (value & (1 << bits) - 1).to_bytes(size, "little")


def _unescape(text: str) -> bytes:
    out = bytearray()
    position = 0
    for match in _ESCAPE.finditer(text):
        out += text[position : match.start()].encode()
        if match[1]:
            out.append(int(match[1], 8) & 0xFF)
        elif match[2]:
            out.append(int(match[2], 16) & 0xFF)
        else:
            out += bytes([_ESCAPES[match[3]]]) if match[3] in _ESCAPES else match[3].encode()
        position = match.end()
    return bytes(out + text[position:].encode())


def _nop_form() -> Form:
    return table().by_name["setzi_mmmn_zi"]

"""Object files and executables: ELF32 little-endian, machine 248, RELA (assembly_syntax.md section 9).

Units are written as relocatable objects and read back as units for the linker; placed code is written as an
executable with one segment. Damaged files raise ElfError, nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tile_emu.asm.code import Code
from tile_emu.asm.link import PLACES
from tile_emu.asm.source import Location
from tile_emu.asm.unit import ABSOLUTE, Reloc, Relocation, Section, Symbol, Unit
from tile_emu.errors import TileEmuError

MACHINE = 248
OSABI_STANDALONE = 255
ARCHITECTURE_FLAG = {"ipu1": 0x01, "ipu2": 0x02, "ipu21": 0x21}  # low byte of e_flags

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<IIIIIIIIII")
_SEGMENT = struct.Struct("<IIIIIIII")
_SYMBOL = struct.Struct("<IIIBBH")
_RELA = struct.Struct("<IIi")
_IDENT = b"\x7fELF\x01\x01\x01" + bytes([OSABI_STANDALONE]) + bytes(8)

_ET_REL, _ET_EXEC = 1, 2
_PROGBITS, _SYMTAB, _STRTAB, _RELA_TYPE, _NOBITS = 1, 2, 3, 4, 8
_WRITE, _ALLOC, _EXEC, _INFO_LINK = 1, 2, 4, 0x40
_ABS = 0xFFF1
_RESERVED = 0xFF00  # section indices from here on are not sections
_BINDINGS = {"local": 0, "global": 1, "weak": 2}
_KINDS = {"": 0, "object": 1, "function": 2, "section": 3}
_MAX_NOBITS = 1 << 24  # bytes: more than any tile has


class ElfError(TileEmuError):
    """A file that is not an object file of this machine, or is damaged."""


class _Strings:
    """A string table under construction."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self._known: dict[str, int] = {"": 0}

    def add(self, text: str) -> int:
        if text not in self._known:
            self._known[text] = len(self.data)
            self.data += text.encode() + b"\0"
        return self._known[text]


@dataclass(slots=True)
class _Piece:
    """One section of a file to be written."""

    name: str
    kind: int
    flags: int = 0
    data: bytes = b""
    link: int = 0
    info: int = 0
    align: int = 1
    entry: int = 0
    address: int = 0
    size: int = field(default=-1)  # of a section without contents


def _file(pieces: list[_Piece], kind: int, architecture: str, entry: int = 0, load: int | None = None) -> bytes:
    """Lay out header, (segment,) sections and section headers. ``load`` is the index of the piece to be loaded."""
    names = _Strings()
    pieces = [*pieces, _Piece(".shstrtab", _STRTAB)]
    starts = [names.add(piece.name) for piece in pieces]
    pieces[-1].data = bytes(names.data)
    segments = 0 if load is None else 1
    body = bytearray(_HEADER.size + segments * _SEGMENT.size)
    headers = bytearray(_SECTION.size)
    offsets = []
    for name, piece in zip(starts, pieces):
        body += bytes(-len(body) % max(piece.align, 1))
        offsets.append(len(body))
        size = len(piece.data) if piece.size < 0 else piece.size
        headers += _SECTION.pack(
            name,
            piece.kind,
            piece.flags,
            piece.address,
            len(body),
            size,
            piece.link,
            piece.info,
            piece.align,
            piece.entry,
        )
        body += piece.data
    body += bytes(-len(body) % 4)
    if load is not None:
        piece = pieces[load]
        length = len(piece.data)
        _SEGMENT.pack_into(body, _HEADER.size, 1, offsets[load], piece.address, piece.address, length, length, 7, 8)
    head = (_IDENT, kind, MACHINE, 1, entry, _HEADER.size * segments, len(body), ARCHITECTURE_FLAG[architecture])
    sizes = (_HEADER.size, _SEGMENT.size * segments, segments, _SECTION.size, len(pieces) + 1, len(pieces))
    _HEADER.pack_into(body, 0, *head, *sizes)
    return bytes(body + headers)


def _symbol_table(unit: Unit) -> tuple[bytes, bytes, dict[str | int, int], int]:
    """Symbols, their names, index of every name and section number, number of local symbols."""
    names = _Strings()
    index: dict[str | int, int] = {ABSOLUTE: 0}
    table = bytearray(_SYMBOL.size)
    for number in range(len(unit.sections)):
        index[number] = len(table) // _SYMBOL.size
        table += _SYMBOL.pack(0, 0, 0, _KINDS["section"], 0, number + 1)
    shown = [symbol for name, symbol in unit.symbols.items() if not name.startswith("\x01")]
    for symbol in shown:
        if not symbol.defined and symbol.binding == "local":
            symbol.binding = "global"
    used = {relocation.symbol for section in unit.sections for relocation in section.relocations}
    shown = [symbol for symbol in shown if symbol.defined or symbol.binding == "weak" or symbol.name in used]
    shown.sort(key=lambda symbol: symbol.binding != "local")
    local = len(table) // _SYMBOL.size + sum(symbol.binding == "local" for symbol in shown)
    for symbol in shown:
        index[symbol.name] = len(table) // _SYMBOL.size
        home = 0 if not symbol.defined else _ABS if symbol.section is None else symbol.section + 1
        info = _BINDINGS[symbol.binding] << 4 | _KINDS.get(symbol.kind, 0)
        value = symbol.value & 0xFFFFFFFF
        table += _SYMBOL.pack(names.add(symbol.name), value, symbol.size & 0xFFFFFFFF, info, 0, home)
    return bytes(table), bytes(names.data), index, local


def write_object(unit: Unit) -> bytes:
    """A unit as a relocatable object file."""
    table, names, index, local = _symbol_table(unit)
    pieces = []
    for section in unit.sections:
        flags = _ALLOC * ("a" in section.flags) | _EXEC * ("x" in section.flags) | _WRITE * ("w" in section.flags)
        kind = _NOBITS if section.nobits else _PROGBITS
        piece = _Piece(section.name, kind, flags, bytes(section.data), align=section.align)
        if section.nobits:
            piece.size, piece.data = len(section.data), b""
        pieces.append(piece)
    relocated = [(number, section) for number, section in enumerate(unit.sections) if section.relocations]
    symtab = len(pieces) + len(relocated) + 1
    for number, section in relocated:
        rows = b"".join(
            _RELA.pack(r.offset, index[r.symbol] << 8 | r.kind, _signed(r.addend)) for r in section.relocations
        )
        name = f".rela{section.name}"
        pieces.append(_Piece(name, _RELA_TYPE, _INFO_LINK, rows, symtab, number + 1, 4, _RELA.size))
    pieces.append(_Piece(".symtab", _SYMTAB, 0, table, symtab + 1, local, 4, _SYMBOL.size))
    pieces.append(_Piece(".strtab", _STRTAB, 0, names))
    return _file(pieces, _ET_REL, unit.architecture)


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def write_executable(code: Code, architecture: str, entry: int | None = None) -> bytes:
    """Placed code as an executable with one segment; labels become global symbols."""
    names = _Strings()
    table = bytearray(_SYMBOL.size)
    for name, address in code.symbols.items():
        table += _SYMBOL.pack(names.add(name), address, 0, _BINDINGS["global"] << 4, 0, 1)
    data = code.words.astype("<u4").tobytes()
    pieces = [
        _Piece(".text", _PROGBITS, _ALLOC | _EXEC | _WRITE, data, align=8, address=code.base),
        _Piece(".symtab", _SYMTAB, 0, bytes(table), 3, 1, 4, _SYMBOL.size),
        _Piece(".strtab", _STRTAB, 0, bytes(names.data)),
    ]
    return _file(pieces, _ET_EXEC, architecture, code.base if entry is None else entry, load=0)


@dataclass(frozen=True, slots=True)
class _Header:
    """A section header as read."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


class _Reader:
    """Bounds-checked access to a file's tables."""

    def __init__(self, content: bytes, file: str) -> None:
        self.content = content
        self.file = file
        if len(content) < _HEADER.size or content[:7] != _IDENT[:7]:
            raise ElfError(f"{file}: not a 32-bit little-endian ELF file")
        fields = _HEADER.unpack_from(content)
        self.kind, machine, self.entry, flags = fields[1], fields[2], fields[4], fields[7]
        if machine != MACHINE:
            raise ElfError(f"{file}: machine {machine} is not the tile's ({MACHINE})")
        known = {value: name for name, value in ARCHITECTURE_FLAG.items()}
        if flags & 0xFF not in known:
            raise ElfError(f"{file}: unknown architecture in the flags {flags:#x}")
        self.architecture = known[flags & 0xFF]
        self.sections = self._sections(fields[6], fields[12], fields[13])

    def _sections(self, offset: int, count: int, names: int) -> list[_Header]:
        raw = [_SECTION.unpack(self.part(offset + k * _SECTION.size, _SECTION.size)) for k in range(count)]
        if names >= count:
            raise ElfError(f"{self.file}: there is no section {names} of section names")
        strings = self.part(raw[names][4], raw[names][5])
        return [_Header(self.text(strings, row[0]), *row[1:]) for row in raw]

    def part(self, offset: int, size: int) -> bytes:
        if offset + size > len(self.content):
            raise ElfError(f"{self.file}: the file ends inside a table or section")
        return self.content[offset : offset + size]

    def text(self, strings: bytes, offset: int) -> str:
        end = strings.find(b"\0", offset)
        if offset >= len(strings) or end < 0:
            raise ElfError(f"{self.file}: a name lies outside its table")
        return strings[offset:end].decode("utf-8", errors="replace")

    def data(self, header: _Header) -> bytes:
        if header.kind == _NOBITS:
            if header.size > _MAX_NOBITS:
                raise ElfError(f"{self.file}: section {header.name} is too large")
            return bytes(header.size)
        return self.part(header.offset, header.size)

    def section(self, index: int) -> _Header:
        if index >= len(self.sections):
            raise ElfError(f"{self.file}: there is no section {index}")
        return self.sections[index]

    def symbols(self) -> list[tuple[str, int, int, int, int]]:
        """(name, value, size, info, section index) of every symbol; [] without a symbol table."""
        for header in self.sections:
            if header.kind == _SYMTAB:
                data = self.data(header)
                strings = self.data(self.section(header.link))
                rows = [_SYMBOL.unpack_from(data, at) for at in range(0, len(data) - _SYMBOL.size + 1, _SYMBOL.size)]
                return [(self.text(strings, row[0]), row[1], row[2], row[3], row[5]) for row in rows]
        return []


def read_object(content: bytes, file: str = "<object>") -> Unit:
    """A relocatable object file as a unit; raises ElfError for anything else."""
    reader = _Reader(content, file)
    if reader.kind != _ET_REL:
        raise ElfError(f"{file}: not a relocatable object file")
    unit = Unit(file, reader.architecture)
    numbers: dict[int, int] = {}
    for index, header in enumerate(reader.sections):
        if header.kind in (_PROGBITS, _NOBITS):
            flags = "a" * bool(header.flags & _ALLOC) + "x" * bool(header.flags & _EXEC)
            flags += "w" * bool(header.flags & _WRITE)
            align = max(header.align, 1)
            if align & (align - 1) or align > 1 << 20:
                raise ElfError(f"{file}: section {header.name} has alignment {align}")
            numbers[index] = len(unit.sections)
            data = bytearray(reader.data(header))
            unit.sections.append(Section(header.name, flags, header.kind == _NOBITS, align, data))
    targets = _read_symbols(reader, unit, numbers)
    for header in reader.sections:
        if header.kind == _RELA_TYPE and header.info in numbers:
            _read_relocations(reader, header, unit.sections[numbers[header.info]], targets)
    return unit


def _read_symbols(reader: _Reader, unit: Unit, numbers: dict[int, int]) -> list[tuple[str | int, int] | None]:
    """Fill the unit's symbols; what every symbol index means to a relocation: (symbol, addend) or None."""
    bindings = {value: name for name, value in _BINDINGS.items()}
    kinds = {value: name for name, value in _KINDS.items()}
    targets: list[tuple[str | int, int] | None] = []
    for position, (name, value, size, info, home) in enumerate(reader.symbols()):
        binding = bindings.get(info >> 4, "local")
        defined = home != 0
        section = numbers.get(home) if home < _RESERVED else None
        if position == 0:
            targets.append((ABSOLUTE, 0))
            continue
        if defined and section is None and home != _ABS:
            targets.append(None)  # in a section that is not part of the unit
            continue
        if binding == "local" or not name:
            targets.append((ABSOLUTE if section is None else section, value))
        else:
            targets.append((name, 0))
        if name and (info & 15) != _KINDS["section"] and (name not in unit.symbols or binding != "local"):
            kind = kinds.get(info & 15, "")
            place = Location(unit.file, 0)
            unit.symbols[name] = Symbol(name, section, value, defined, binding, kind, size, place)
    return targets


def _read_relocations(
    reader: _Reader, header: _Header, section: Section, targets: Sequence[tuple[str | int, int] | None]
) -> None:
    data = reader.data(header)
    for at in range(0, len(data) - _RELA.size + 1, _RELA.size):
        offset, info, addend = _RELA.unpack_from(data, at)
        place = Location(f"{reader.file}({section.name}+{offset:#x})", 0)
        if info & 0xFF == Reloc.NONE:
            continue
        try:
            kind = Reloc(info & 0xFF)
        except ValueError:
            raise ElfError(f"{place.file}: unknown relocation {info & 0xFF}") from None
        target = targets[info >> 8] if info >> 8 < len(targets) else None
        if target is None:
            raise ElfError(f"{place.file}: relocation against a symbol that is not there")
        if section.nobits or offset + PLACES[kind][2] > len(section.data):
            raise ElfError(f"{place.file}: relocation outside the section")
        section.relocations.append(Relocation(offset, kind, target[0], target[1] + addend, place))


def read_file(content: bytes, file: str) -> Unit | tuple[Code, str]:
    """What an ELF file holds: a unit, or for an executable its code and architecture. Raises ElfError."""
    reader = _Reader(content, file)
    if reader.kind == _ET_EXEC:
        return read_executable(content, file), reader.architecture
    return read_object(content, file)


def read_executable(content: bytes, file: str = "<executable>") -> Code:
    """Code of an executable written by ``write_executable`` (its allocated sections, gaps filled with zeros)."""
    reader = _Reader(content, file)
    if reader.kind != _ET_EXEC:
        raise ElfError(f"{file}: not an executable")
    loaded = [h for h in reader.sections if h.flags & _ALLOC and h.kind in (_PROGBITS, _NOBITS) and h.size]
    if not loaded:
        raise ElfError(f"{file}: nothing to load")
    base = min(header.address for header in loaded)
    end = max(header.address + header.size for header in loaded)
    if base % 4 or end - base > _MAX_NOBITS:
        raise ElfError(f"{file}: sections at {base:#x}..{end:#x} do not fit a tile")
    image = bytearray(-(-(end - base) // 4) * 4)
    for header in loaded:
        image[header.address - base : header.address - base + header.size] = reader.data(header)
    return Code(
        base=base,
        words=np.frombuffer(bytes(image), dtype="<u4").astype(np.uint32),
        symbols={name: value for name, value, _, _, home in reader.symbols() if name and 0 < home < _RESERVED},
        line_address=np.zeros(0, dtype=np.int32),
        line_number=np.zeros(0, dtype=np.int32),
        line_file=(),
    )

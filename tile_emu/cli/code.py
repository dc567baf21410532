"""`tile-emu asm`, `tile-emu disasm` and `tile-emu link`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tile_emu.asm import Code, assemble_units, disassemble_one, link, merge
from tile_emu.asm.elf import read_file, write_executable, write_object
from tile_emu.asm.headers import architecture_chip
from tile_emu.asm.link import LinkError
from tile_emu.asm.unit import Section, Unit
from tile_emu.chips import load_chip
from tile_emu.errors import UsageError
from tile_emu.profile.atomic import replacing, require_writable

_MODES = ("worker", "supervisor")
ELF_MAGIC = b"\x7fELF"


def number(what: str, text: str) -> int:
    """A 32-bit number, hex with 0x or decimal."""
    try:
        value = int(text, 0)
    except ValueError:
        raise UsageError(f"{what} '{text}' is not a number (hex needs 0x)") from None
    if not 0 <= value < 1 << 32:
        raise UsageError(f"{what} '{text}' does not fit 32 bits")
    return value


def _base(text: str, align: int) -> int:
    base = number("--base", text)
    if base % align:
        raise UsageError(f"--base {text} is not a multiple of {align}")
    return base


def definitions(define: Sequence[str]) -> dict[str, int | str | None]:
    """``NAME`` or ``NAME=VALUE`` of every -D; a value that is a number becomes one."""
    found: dict[str, int | str | None] = {}
    for text in define:
        name, equals, value = text.partition("=")
        if not name.isidentifier():
            raise UsageError(f"-D '{text}' is not NAME or NAME=VALUE")
        try:
            found[name] = int(value, 0) if equals else None
        except ValueError:
            found[name] = value
    return found


def read_bytes(path: Path) -> bytes:
    """Content of an input file; UsageError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from None


def read_objects(paths: Sequence[Path]) -> list[Unit]:
    """Units of object files."""
    units = []
    for path in paths:
        found = read_file(read_bytes(path), str(path))
        if not isinstance(found, Unit):
            raise LinkError(f"{path}: an executable, not an object file")
        units.append(found)
    return units


def warn(units: Sequence[Unit]) -> None:
    """What the assembler remarked, one line each, on stderr."""
    for unit in units:
        for warning in unit.warnings:
            print(f"tile-emu: warning: {' '.join(warning.split())}", file=sys.stderr)


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)


# Assembling and linking


def run_asm(
    sources: Sequence[Path],
    out: Path | None,
    include: Sequence[Path],
    define: Sequence[str],
    chip: str,
    base: str | None,
) -> None:
    """Write one object file of all sources, or without ``out`` print the linked code."""
    described = load_chip(chip)
    if out is not None:
        if base is not None:
            raise UsageError("--base has no meaning with -o: an object file is placed by `tile-emu link`")
        require_writable(out)
    units = assemble_units(
        list(sources), architecture=described.architecture, include=include, define=definitions(define)
    )
    warn(units)
    if out is None:
        start = described.memory.base if base is None else _base(base, 8)
        _print_code(link(units, start, described.memory.base))
        return
    _write(out, write_object(units[0] if len(units) == 1 else merge(units, str(out))))


def _print_code(code: Code) -> None:
    """Address, word and source line of every word, then the symbols."""
    lines = {int(address): int(number) for address, number in zip(code.line_address, code.line_number)}
    for index, word in enumerate(code.words):
        address = code.base + 4 * index
        print(f"{address:05x}  {int(word):08x}" + (f"  line {lines[address]}" if address in lines else ""))
    for name, address in sorted(code.symbols.items(), key=lambda item: (item[1], item[0])):
        print(f"{address:05x}  {name}")


def run_link(objects: Sequence[Path], out: Path, base: str | None, entry: str | None) -> None:
    """Write the executable of some object files and say where it lies."""
    require_writable(out)
    units = read_objects(objects)
    memory = architecture_chip(units[0].architecture).memory
    code = link(units, memory.base if base is None else _base(base, 8), memory.base)
    if not memory.base <= code.base <= code.end <= memory.end:
        place = f"{code.base:#x}..{code.end:#x}"
        raise LinkError(f"the code at {place} does not lie in tile memory {memory.base:#x}..{memory.end:#x}")
    if entry is not None and entry not in code.symbols:
        raise LinkError(f"entry symbol `{entry}` is not defined")
    start = code.base if entry is None else code.symbols[entry]
    _write(out, write_executable(code, units[0].architecture, start))
    print(f"{out}: {code.base:#x}..{code.end:#x}, {len(code.symbols)} symbols, entry {start:#x}")


# Disassembling


def print_disassembly(file: Path | None, words: Sequence[str], mode: str, base: str) -> None:
    """One line for each bundle or instruction of a file or of some words."""
    if mode not in _MODES:
        raise UsageError(f"--mode '{mode}': choose worker or supervisor")
    if (file is None) == (not words):
        raise UsageError("give either a file or --words")
    if file is None:
        values = [number("word", word) for text in words for word in text.replace(",", " ").split()]
        _print_lines(_lines(values, _base(base, 4), (mode,), {}), {}, {})
        return
    found = read_file(read_bytes(file), str(file))
    modes = (mode, *(other for other in _MODES if other != mode))
    if isinstance(found, Unit):
        for index, section in enumerate(found.sections):
            if section.data:
                _print_section(found, index, section, modes)
    else:
        code, architecture = found
        print(f"{file}: executable, {architecture}")
        _print_lines(_lines(code.words.tolist(), code.base, modes, code.symbols), _labels(code.symbols), {})


def _labels(symbols: Mapping[str, int]) -> dict[int, list[str]]:
    labels: dict[int, list[str]] = {}
    for name, address in symbols.items():
        labels.setdefault(address, []).append(name)
    return labels


def _lines(
    values: Sequence[int], base: int, modes: Sequence[str], symbols: Mapping[str, int]
) -> Iterator[tuple[int, list[int], str]]:
    """Address, words and text of everything; what is nothing in the first mode is tried in the next."""
    index = 0
    while index < len(values):
        for mode in modes:
            text, size = disassemble_one(values, index, mode, base, symbols)
            if not text.startswith(".word"):
                break
        count = min(size // 4, len(values) - index)
        yield base + 4 * index, list(values[index : index + count]), text
        index += count


def _print_lines(
    lines: Iterator[tuple[int, list[int], str]], labels: Mapping[int, list[str]], notes: Mapping[int, list[str]]
) -> None:
    for address, words, text in lines:
        for name in labels.get(address, ()):
            print(f"{name}:")
        shown = " ".join(f"{word:08x}" for word in words)
        inside = [note for at in range(address, address + 4 * len(words)) for note in notes.get(at, ())]
        print(f"{address:05x}  {shown:<17}  {text}" + "".join(f"  # {note}" for note in inside))


def _print_section(unit: Unit, index: int, section: Section, modes: Sequence[str]) -> None:
    """A section from offset 0, with its labels, and its relocations as remarks."""
    print(f"section {section.name} ({section.flags or 'not allocated'}), {len(section.data)} bytes")
    if section.nobits:
        return
    data = bytes(section.data) + bytes(-len(section.data) % 4)
    values = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
    symbols = {s.name: s.value for s in unit.symbols.values() if s.defined and s.section == index}
    notes: dict[int, list[str]] = {}
    for r in section.relocations:
        target = unit.sections[r.symbol].name if isinstance(r.symbol, int) else r.symbol or "absolute"
        notes.setdefault(r.offset, []).append(f"{r.kind.name} {target}" + (f"{r.addend:+#x}" if r.addend else ""))
    if "x" in section.flags:
        # Targets are relocations, not offsets: no symbols for them.
        _print_lines(_lines(values, 0, modes, {}), _labels(symbols), notes)
    else:
        _print_lines(((4 * k, [v], f".word {v:#010x}") for k, v in enumerate(values)), _labels(symbols), notes)

"""`tile-emu disasm` and `tile-emu asm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tile_emu.asm import assemble, disassemble_one
from tile_emu.errors import UsageError

_ARCHITECTURES = ("ipu1", "ipu2", "ipu21")


def _number(what: str, text: str) -> int:
    """A 32-bit number, hex with 0x or decimal."""
    try:
        value = int(text, 0)
    except ValueError:
        raise UsageError(f"{what} '{text}' is not a number (hex needs 0x)") from None
    if not 0 <= value < 1 << 32:
        raise UsageError(f"{what} '{text}' does not fit 32 bits")
    return value


def _base(text: str) -> int:
    base = _number("--base", text)
    if base % 4:
        raise UsageError(f"--base {text} is not a multiple of 4")
    return base


def print_disassembly(words: Sequence[str], mode: str, base: str) -> None:
    """One line for each bundle or instruction."""
    if mode not in ("worker", "supervisor"):
        raise UsageError(f"--mode '{mode}': choose worker or supervisor")
    values = [_number("word", word) for text in words for word in text.replace(",", " ").split()]
    address, index = _base(base), 0
    while index < len(values):
        text, size = disassemble_one(values, index, mode, address)
        count = min(size // 4, len(values) - index)
        shown = " ".join(f"{word:08x}" for word in values[index : index + count])
        print(f"{address + 4 * index:05x}  {shown:<17}  {text}")
        index += count


def print_assembly(source: Path, architecture: str, base: str, include: Sequence[Path]) -> None:
    """Address, word and source line of every word, then the symbols."""
    if architecture not in _ARCHITECTURES:
        raise UsageError(f"--architecture '{architecture}': choose one of {', '.join(_ARCHITECTURES)}")
    if not source.is_file():
        raise UsageError(f"{source}: no such file")
    code = assemble(source, architecture=architecture, base=_base(base), include=include)
    lines = {int(address): int(number) for address, number in zip(code.line_address, code.line_number)}
    for index, word in enumerate(code.words):
        address = code.base + 4 * index
        print(f"{address:05x}  {int(word):08x}" + (f"  line {lines[address]}" if address in lines else ""))
    for name, address in sorted(code.symbols.items(), key=lambda item: (item[1], item[0])):
        print(f"{address:05x}  {name}")

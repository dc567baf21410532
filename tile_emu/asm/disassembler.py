"""Words to text, in the canonical spelling of assembly_syntax.md: plain register numbers, preferred aliases."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from tile_emu.asm.patterns import ARG, CONST, Pattern, lookup, patterns
from tile_emu.isa.registers import register_text
from tile_emu.isa.table import COISSUE, Form, table

_WORD = 0xFFFFFFFF
# Aliases the printer prefers, in the order tried.
_PRINTED = ("nop", "fnop", "strap", "zero", "mov", "movnz", "get", "put", "swap16")


@functools.cache
def _aliases() -> dict[str, list[tuple[str, Pattern, int]]]:
    """Printed aliases by form name: (mnemonic, pattern, number of written operands)."""
    found: dict[str, list[tuple[str, Pattern, int]]] = {}
    for mnemonic in _PRINTED:
        for signature, group in patterns()[mnemonic].items():
            for pattern in group:
                if pattern.form.mnemonic != mnemonic:
                    found.setdefault(pattern.form.name, []).append((mnemonic, pattern, len(signature)))
    return found


def _as_alias(form: Form, values: tuple[int, ...]) -> tuple[str, list[int]] | None:
    """Alias mnemonic and operand indices in text order, if an alias describes these values."""
    for mnemonic, pattern, count in _aliases().get(form.name, ()):
        order = [-1] * count
        for index, (source, number) in enumerate(pattern.slots):
            if source == CONST:
                if values[index] != number:
                    break
            elif order[number] >= 0 and values[order[number]] != values[index]:
                break
            else:
                order[number] = index
        else:
            return mnemonic, order
    return None


class _Printer:
    """Prints instructions. ``round_trip`` writes branch targets as the numbers the assembler takes back."""

    def __init__(self, symbols: Mapping[str, int] | None, round_trip: bool) -> None:
        self.round_trip = round_trip
        self.names: dict[int, str] = {}
        for name, address in (symbols or {}).items():
            self.names.setdefault(address, f"({name})" if name.startswith("$") else name)

    def value(self, form: Form, index: int, value: int, suffix: str) -> str:
        kind = form.operands[index].meaning
        if kind.is_register:
            return register_text(kind.register_class, value) + suffix
        if kind.target:
            name = self.names.get(value * 4)
            return str(value) if self.round_trip else name or f"{value * 4:#x}"
        return str(value)

    def instruction(self, form: Form, values: tuple[int, ...]) -> str:
        alias = _as_alias(form, values)
        if alias is not None:
            mnemonic, order = alias
            written = [self.value(form, index, values[index], "") for index in order]
        else:
            mnemonic = form.mnemonic
            written = [self.value(form, index, values[index], suffix) for index, suffix in form.text_operands]
            if self.round_trip and not _reads_back(form, values):
                mnemonic = form.name
        return f"{mnemonic} {', '.join(written)}" if written else mnemonic


def _reads_back(form: Form, values: tuple[int, ...]) -> bool:
    """Whether the mnemonic with these operands selects this form again (``add`` has a signed and an unsigned one)."""
    signature = tuple(form.operands[index].meaning.register_class + suffix for index, suffix in form.text_operands)
    group = lookup(form.mnemonic, signature)
    if len(group) == 1:
        return True
    for pattern in group:
        chosen = pattern.form
        if chosen is form:
            return True
        same = all(source == ARG for source, _ in pattern.slots)
        if same and chosen.fits(values):
            return False
    return False


def _decode(words: Sequence[int], index: int, mode: str) -> tuple[str, tuple[Form, ...]]:
    """What starts at a word: ("bundle", forms), ("pair", form) with inline word, ("single", form) or ("data", ())."""
    word = int(words[index])
    form = table().match(word, mode)
    if form is None:
        return "data", ()
    if form.coissue and word & COISSUE:
        second = table().match(int(words[index + 1]), mode) if index + 1 < len(words) else None
        if form.pipe == "main" and second is not None and second.pipe == "aux" and second.coissue:
            if int(words[index + 1]) & COISSUE:
                return "bundle", (form, second)
        return "data", ()
    if form.mnemonic == "sendpicp":
        return ("pair", (form,)) if index + 1 < len(words) else ("single", (form,))
    return "single", (form,)


def _one(words: Sequence[int], index: int, mode: str, printer: _Printer, base: int) -> tuple[str, int]:
    what, forms = _decode(words, index, mode)
    word = int(words[index])
    if what == "data":
        return f".word {word:#010x}", 4
    text = printer.instruction(forms[0], forms[0].extract(word))
    if what == "bundle":
        other = int(words[index + 1])
        second = printer.instruction(forms[1], forms[1].extract(other))
        if printer.round_trip and not _independent(forms, (word, other)):
            return f".word {word:#010x}, {other:#010x}", 8
        return f"{{ {text} ; {second} }}", 8
    if forms[0].mnemonic == "sendpicp":
        if printer.round_trip and (base + 4 * index) % 8:
            return f".word {word:#010x}", 4
        if what == "pair":
            other = int(words[index + 1]) & _WORD
            return f"{text}, {other >> 18}, {other & 0x3FFFF}", 8
    return text, 4


def _independent(forms: tuple[Form, ...], pair: tuple[int, int]) -> bool:
    """Whether the two halves of a bundle write different registers, as the assembler demands."""
    written = []
    for form, word in zip(forms, pair):
        registers: set[tuple[str, int]] = set()
        for operand, value in zip(form.operands, form.extract(word)):
            if operand.writes and operand.meaning.is_register:
                registers.update((operand.meaning.file, value + k) for k in range(operand.meaning.group))
        written.append(registers)
    return not written[0] & written[1]


def disassemble_one(
    words: Sequence[int],
    index: int = 0,
    mode: str = "worker",
    base: int = 0x4C000,
    symbols: Mapping[str, int] | None = None,
    round_trip: bool = False,
) -> tuple[str, int]:
    """Text and size in bytes (4 or 8) of the instruction or bundle at ``words[index]``; ``base`` is words[0]'s address.

    A word that is no instruction of ``mode`` is printed as ``.word``.
    """
    return _one(words, index, mode, _Printer(symbols, round_trip), base)


def disassemble(
    words: Sequence[int],
    base: int = 0x4C000,
    mode: str = "worker",
    symbols: Mapping[str, int] | None = None,
    round_trip: bool = False,
) -> list[str]:
    """One line per bundle or instruction.

    Branch targets are printed as byte addresses in hex or as symbols, as the vendor's tool does, which is not valid
    input; with ``round_trip`` every line assembles back to the same words (in code of the same mode).
    """
    printer = _Printer(symbols, round_trip)
    listed = [int(word) for word in words]
    lines = []
    index = 0
    while index < len(listed):
        text, size = _one(listed, index, mode, printer, base)
        lines.append(text)
        index += size // 4
    return lines


def disassemble_source(words: Sequence[int], base: int = 0x4C000, mode: str = "worker") -> str:
    """A whole source text that assembles to ``words`` at ``base``, whatever they hold."""
    head = [f".{mode}", ".allow_invalid_repeat"]
    return "\n".join(head + disassemble(words, base, mode, round_trip=True)) + "\n"

"""Instructions and programs before they have addresses: text for the oracle, words for the emulator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tile_emu.isa.registers import register_text
from tile_emu.isa.table import COISSUE, NOP, Form, table

BASE = 0x4C000


@dataclass(frozen=True)
class Written:
    """An instruction: operand values in the table's order, a label where one stands, and names of symbolic values."""

    form: Form
    values: tuple[int | str, ...]
    names: tuple[tuple[int, str], ...] = ()

    def text(self, exact: bool = False) -> str:
        """Assembly. ``exact`` names the form, so that assembling gives these very words."""
        names = dict(self.names)
        parts = []
        for index, suffix in self.form.text_operands:
            value, kind = self.values[index], self.form.operands[index].meaning
            if kind.is_register:
                assert isinstance(value, int)
                parts.append(register_text(kind.register_class, value) + suffix)
            else:
                parts.append(str(names.get(index, value)))
        name = self.form.name if exact and len(table().by_mnemonic[self.form.mnemonic]) > 1 else self.form.mnemonic
        return f"{name} {', '.join(parts)}"

    def word(self, labels: dict[str, int], bundled: bool) -> int:
        values = []
        for value, operand in zip(self.values, self.form.operands, strict=True):
            if isinstance(value, str):
                value = labels[value] // 4 if operand.meaning.target else labels[value]
            values.append(value)
        return self.form.encode(values, bundled)

    def registers(self, writing: bool) -> set[tuple[str, int]]:
        """Stored registers that the instruction writes, or reads."""
        found = set()
        for value, operand in zip(self.values, self.form.operands, strict=True):
            kind = operand.meaning
            wanted = operand.writes if writing else operand.direction != "out"
            if kind.is_register and wanted:
                assert isinstance(value, int)
                group = 1 if kind.select else kind.group
                found |= {(kind.file, value + i) for i in range(group) if value + i < (12 if kind.file == "m" else 8)}
        return found

    @property
    def written_twice(self) -> bool:
        """Whether two operands write one register, which has no defined result."""
        outs = [(o.meaning, v) for v, o in zip(self.values, self.form.operands, strict=True) if o.writes]
        all_registers = [(k.file, v + i) for k, v in outs for i in range(k.group) if isinstance(v, int)]
        stored = [r for r in all_registers if r[1] < (12 if r[0] == "m" else 8)]
        return len(stored) != len(set(stored))


@dataclass(frozen=True)
class Line:
    """A label, an instruction or a bundle. ``align_end``: nop before it, if its end would not be a multiple of 8."""

    instructions: tuple[Written, ...] = ()
    label: str = ""
    align_end: bool = False

    @property
    def size(self) -> int:
        return 4 * len(self.instructions)


@dataclass
class Program:
    """A program's lines; ``supervised``: it starts in the supervisor, else in a worker."""

    lines: list[Line]
    supervised: bool = False
    seed: int = 0


@dataclass
class Image:
    """Programs laid out one after another."""

    words: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    exact: list[str] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    forms: dict[int, tuple[str, ...]] = field(default_factory=dict)  # address -> names of the forms there

    @property
    def end(self) -> int:
        return BASE + 4 * len(self.words)


def lay_out(programs: Iterable[Sequence[Line]]) -> Image:
    """Addresses for all lines, then words and text. Labels must differ between programs."""
    image = Image()
    placed: list[tuple[Line, bool]] = []
    address = BASE
    for line in (line for lines in programs for line in lines):
        if line.label:
            image.labels[line.label] = address
        pad = line.align_end and (address + line.size) % 8 != 0
        placed.append((line, pad))
        address += line.size + 4 * pad
    for line, pad in placed:
        if pad:
            image.words.append(NOP)
            image.text.append("nop")
            image.exact.append("nop")
        _emit(image, line)
    return image


def _emit(image: Image, line: Line) -> None:
    if line.label:
        image.text.append(f"{line.label}:")
        image.exact.append(f"{line.label}:")
    if not line.instructions:
        return
    image.forms[image.end] = tuple(written.form.name for written in line.instructions)
    bundled = len(line.instructions) == 2
    for exact, out in ((False, image.text), (True, image.exact)):
        texts = [written.text(exact) for written in line.instructions]
        out.append(f"{{{'; '.join(texts)}}}" if bundled else texts[0])
    image.words += [written.word(image.labels, bundled) for written in line.instructions]
    assert not bundled or all(word & COISSUE for word in image.words[-2:])

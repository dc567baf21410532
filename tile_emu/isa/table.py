"""The instruction table: the only source of opcodes for the assembler, the disassembler and the decoder.

``table()`` loads ``instructions.csv`` once and checks it: every bit of a form is constant, operand or the bundle flag
exactly once; no two forms that one mode can decode overlap; every operand of the text is declared and of a known kind.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tile_emu.errors import TileEmuError, UsageError
from tile_emu.isa.kinds import Kind, kind_of

COISSUE_BIT = 31
COISSUE = 1 << COISSUE_BIT
ARCHITECTURES = ("ipu1", "ipu2", "ipu21")  # oldest first
MODES = ("worker", "supervisor")

NOP = 0x19E00000  # setzi $m14, 0: padding of code; checked against the table by the tests

_WORD_MASK = 0xFFFFFFFF
_PART = re.compile(r"(\d+):(\d+)\Z")
_FIELD = re.compile(r"(op\d+)(?:\[(\d+):(\d+)\])?=([\d:+]+)\Z")
_TEXT_OPERAND = re.compile(r"\$(op\d+)(\+=|\+\+|>>|@)?\Z")


class TableError(TileEmuError):
    """The instruction table contradicts itself."""


@dataclass(frozen=True, slots=True)
class Operand:
    """One operand of a form.

    ``parts`` lists (value low bit, word low bit, width): which bits of the field value sit where in the word.
    """

    name: str
    kind: str
    direction: str  # in | out | inout
    parts: tuple[tuple[int, int, int], ...]
    meaning: Kind

    @property
    def writes(self) -> bool:
        return self.direction != "in"

    def raw(self, word: int) -> int:
        """The bits of the operand's field, without sign or scale."""
        value = 0
        for value_low, word_low, width in self.parts:
            value |= (word >> word_low & (1 << width) - 1) << value_low
        return value


@dataclass(frozen=True, slots=True, eq=False)  # one object per row: compared and hashed by identity
class Form:
    """One instruction form (a row of the table). ``index`` is the row number and serves as the opcode everywhere."""

    index: int
    name: str
    mnemonic: str
    text: str
    mode: str  # worker | supervisor | both
    pipe: str  # main | aux
    coissue: bool
    klass: str  # ordinary | control | system | exchange
    since: str
    operands: tuple[Operand, ...]
    match: int
    mask: int
    text_operands: tuple[tuple[int, str], ...] = field(repr=False)  # (operand index, suffix) as written
    _plan: tuple[tuple[int, int, int, int, tuple[tuple[int, int, int], ...]], ...] = field(repr=False)

    def encode(self, values: Sequence[int], coissue: bool = False) -> int:
        """The 32-bit word of this form.

        ``values`` in op0.. order: registers by first number, immediates by meaning (signed for ``si``, the whole
        32-bit number for ``iz``), branch targets as word addresses. ``coissue`` sets the bundle flag.
        Raises UsageError for a value that does not fit.
        """
        plan = self._plan
        if len(values) != len(plan):
            raise UsageError(f"{self.name} takes {len(plan)} operands, {len(values)} given")
        word = self.match
        for value, (low, high, step, shift, parts) in zip(values, plan, strict=True):
            if value < low or value > high or value & step:
                raise UsageError(self._misfit(values))
            value >>= shift
            for value_low, word_low, mask in parts:
                word |= (value >> value_low & mask) << word_low
        if coissue:
            if not self.coissue:
                raise UsageError(f"{self.mnemonic} cannot stand in a bundle")
            word |= COISSUE
        return word

    def fits(self, values: Sequence[int]) -> bool:
        """Whether every value is legal for its operand."""
        return all(
            low <= value <= high and not value & step
            for value, (low, high, step, _, _) in zip(values, self._plan, strict=True)
        )

    def extract(self, word: int) -> tuple[int, ...]:
        """The operand values in a word of this form: the inverse of ``encode``."""
        values = []
        for operand in self.operands:
            raw = operand.raw(word)
            kind = operand.meaning
            if kind.signed and raw > kind.high:
                raw -= (kind.high + 1) * 2
            values.append(raw << kind.shift)
        return tuple(values)

    def _misfit(self, values: Sequence[int]) -> str:
        for operand, value in zip(self.operands, values, strict=True):
            kind = operand.meaning
            if kind.low <= value <= kind.high and not value & kind.step:
                continue
            if kind.is_register:
                return f"{self.mnemonic}: ${kind.file}{value} cannot start a {operand.kind} operand"
            if kind.step and kind.low <= value <= kind.high:
                return f"{self.mnemonic}: immediate {value} is not a multiple of 2^{kind.shift}"
            return f"{self.mnemonic}: value {value} is outside {kind.low}..{kind.high}"
        return f"{self.mnemonic}: value does not fit"


class InstructionTable:
    """All forms, with lookups by name, by mnemonic and by word."""

    def __init__(self, forms: Iterable[Form], version: str) -> None:
        self.forms: tuple[Form, ...] = tuple(forms)
        self.version = version
        self.by_name: dict[str, Form] = {form.name: form for form in self.forms}
        by_mnemonic: defaultdict[str, list[Form]] = defaultdict(list)
        for form in self.forms:
            by_mnemonic[form.mnemonic].append(form)
        self.by_mnemonic: dict[str, tuple[Form, ...]] = {name: tuple(group) for name, group in by_mnemonic.items()}
        self._decode: dict[str, list[tuple[int, dict[int, Form]]]] = {}
        for mode in MODES:
            masks: defaultdict[int, dict[int, Form]] = defaultdict(dict)
            for form in self.of_mode(mode):
                masks[form.mask][form.match] = form
            self._decode[mode] = list(masks.items())

    def of_mode(self, mode: str) -> tuple[Form, ...]:
        """The forms that ``mode`` can execute."""
        return tuple(form for form in self.forms if form.mode in (mode, "both"))

    def match(self, word: int, mode: str) -> Form | None:
        """The form of a word in ``mode``; None for no instruction, which includes a misaligned register group."""
        for mask, forms in self._decode[mode]:
            form = forms.get(word & mask)
            if form is not None:
                for operand in form.operands:
                    if operand.meaning.group > 1 and operand.raw(word) & operand.meaning.step:
                        return None
                return form
        return None


def _parse_parts(text: str, high: int | None, low: int | None) -> tuple[tuple[int, int, int], ...] | None:
    """Parts of ``19:16+11:0`` (most significant first), the value's lowest bit being ``low`` (default 0)."""
    pieces = []
    for piece in text.split("+"):
        match = _PART.match(piece)
        if match is None or int(match[1]) < int(match[2]):
            return None
        pieces.append((int(match[2]), int(match[1]) - int(match[2]) + 1))
    position = low or 0
    parts = []
    for word_low, width in reversed(pieces):
        parts.append((position, word_low, width))
        position += width
    if high is not None and position != high + 1:
        return None
    return tuple(reversed(parts))


def _parse_fields(row: dict[str, str]) -> tuple[dict[str, tuple[tuple[int, int, int], ...]], bool]:
    fields: dict[str, tuple[tuple[int, int, int], ...]] = {}
    coissue = False
    for text in filter(None, row["fields"].split(";")):
        if text == f"coissue={COISSUE_BIT}":
            coissue = True
            continue
        match = _FIELD.match(text)
        bounds = (int(match[2]), int(match[3])) if match and match[2] else (None, None)
        parts = _parse_parts(match[4], *bounds) if match else None
        if match is None or parts is None or match[1] in fields:
            raise TableError(f"instruction table: {row['name']}: bad field '{text}'")
        fields[match[1]] = parts
    return fields, coissue


def _parse_operands(row: dict[str, str], fields: dict[str, tuple[tuple[int, int, int], ...]]) -> tuple[Operand, ...]:
    operands = []
    for position, text in enumerate(row["operands"].split()):
        name, kind_name, direction = text.split(":")
        if name != f"op{position}" or name not in fields or direction not in ("in", "out", "inout"):
            raise TableError(f"instruction table: {row['name']}: operand '{text}' has no field or is out of order")
        parts = fields[name]
        kind = kind_of(kind_name, sum(width for _, _, width in parts))
        if kind is None:
            raise TableError(f"instruction table: {row['name']}: unknown operand kind or width in '{text}'")
        operands.append(Operand(name, kind_name, direction, parts, kind))
    if len(operands) != len(fields):
        raise TableError(f"instruction table: {row['name']}: a field has no operand")
    return tuple(operands)


def _parse_text(row: dict[str, str], count: int) -> tuple[tuple[int, str], ...]:
    order = []
    for piece in filter(None, (piece.strip() for piece in row["operands_text"].split(","))):
        match = _TEXT_OPERAND.match(piece)
        if match is None:
            raise TableError(f"instruction table: {row['name']}: cannot read operand text '{piece}'")
        order.append((int(match[1][2:]), match[2] or ""))
    if sorted(index for index, _ in order) != list(range(count)):
        raise TableError(f"instruction table: {row['name']}: operand text does not name every operand once")
    return tuple(order)


def _check_coverage(form: Form) -> None:
    pieces = [form.mask] + ([COISSUE] if form.coissue else [])
    pieces += [((1 << w) - 1) << low for operand in form.operands for _, low, w in operand.parts]
    covered = 0
    for piece in pieces:
        if covered & piece:
            raise TableError(f"instruction table: {form.name}: bits {covered & piece:#010x} are covered twice")
        covered |= piece
    if covered != _WORD_MASK:
        raise TableError(f"instruction table: {form.name}: bits {covered ^ _WORD_MASK:#010x} are not covered")
    if form.match & ~form.mask:
        raise TableError(f"instruction table: {form.name}: match has bits outside its mask")


def _check_ambiguity(forms: Sequence[Form]) -> None:
    for mode in MODES:
        group = [form for form in forms if form.mode in (mode, "both")]
        for position, first in enumerate(group):
            for second in group[:position]:
                if not (first.match ^ second.match) & first.mask & second.mask:
                    raise TableError(f"instruction table: {first.name} and {second.name} overlap in {mode} mode")


def _parse_form(index: int, row: dict[str, str]) -> Form:
    choices = {
        "mode": (*MODES, "both"),
        "pipe": ("main", "aux"),
        "coissue": ("0", "1"),
        "klass": ("ordinary", "control", "system", "exchange"),
        "since": ARCHITECTURES,
    }
    for column, allowed in choices.items():
        if row[column] not in allowed:
            raise TableError(f"instruction table: {row['name']}: {column} is '{row[column]}'")
    fields, coissue = _parse_fields(row)
    if coissue != (row["coissue"] == "1"):
        raise TableError(f"instruction table: {row['name']}: the bundle flag does not agree with the coissue column")
    operands = _parse_operands(row, fields)
    plan = tuple(
        (
            o.meaning.low,
            o.meaning.high,
            o.meaning.step,
            o.meaning.shift,
            tuple((v, w, (1 << n) - 1) for v, w, n in o.parts),
        )
        for o in operands
    )
    form = Form(
        index=index,
        name=row["name"],
        mnemonic=row["mnemonic"],
        text=row["operands_text"],
        mode=row["mode"],
        pipe=row["pipe"],
        coissue=coissue,
        klass=row["klass"],
        since=row["since"],
        operands=operands,
        match=int(row["match"], 16),
        mask=int(row["mask"], 16),
        text_operands=_parse_text(row, len(operands)),
        _plan=plan,
    )
    _check_coverage(form)
    return form


def load_table(content: bytes) -> InstructionTable:
    """Read and check a table given as CSV bytes; raises TableError with the first contradiction."""
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
    try:
        forms = [_parse_form(index, row) for index, row in enumerate(rows)]
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise TableError(f"instruction table: a column is missing or malformed ({error})") from error
    if len({form.name for form in forms}) != len(forms):
        raise TableError("instruction table: two forms have one name")
    _check_ambiguity(forms)
    return InstructionTable(forms, hashlib.sha256(content).hexdigest()[:16])


@functools.cache
def table() -> InstructionTable:
    """The project's instruction table, loaded and checked once."""
    return load_table(Path(__file__).with_name("instructions.csv").read_bytes())

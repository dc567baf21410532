"""From machine words to decoded rows, table-driven.

A row of DECODED_FIELDS int32 describes what executes when a context of one mode fetches at a word: the opcodes of the
main and of the aux half (tile_emu.tile.opcodes), the size in bytes, and operand values with register numbers already
turned into positions of the state arrays. Everything is derived from the instruction table.
"""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.semantics import SEMANTICS
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.table import ARCHITECTURES, Form, table
from tile_emu.jit import jit
from tile_emu.tile.csrspace import NO_SLOT, slot_tables
from tile_emu.tile.layout import (
    ARF_SINK,
    ARF_STORED,
    ARF_ZERO,
    DECODED_FIELDS,
    FIELD_AUX,
    FIELD_AUX_OPERANDS,
    FIELD_MAIN,
    FIELD_MAIN_OPERANDS,
    FIELD_NO_REPEAT,
    FIELD_SECOND_WORD,
    FIELD_SIZE,
    FIELD_SOURCES,
    FIELD_TARGETS,
    MRF_SINK,
    MRF_WRITABLE,
    OPCODE_INVALID,
    OPCODE_NO_CSR,
    OPCODE_UNSUPPORTED,
    PAGE_WORDS,
)
from tile_emu.tile.opcodes import opcode_of

MAX_OPERANDS = 5
MAX_PARTS = 3
WORKER_MODE = 0
SUPERVISOR_MODE = 1

READS = 1  # the supervisor waits for the register
WRITES = 2  # the register is ready a latency later

# How a raw field becomes an operand value.
PLAIN, SIGNED, SHIFTED, MRF_READ, MRF_WRITE, ARF_READ, ARF_WRITE, MRF_PAIR = range(8)


# Columns of a form in the decoder's table, and from _FIRST_OPERAND on those of each of its operands.
(
    _MATCH, _MASK,
    _AUX,  # 1 for the aux pipe
    _COISSUE,
    _NO_REPEAT,  # 1 for control, system or exchange class
    _OPCODE,  # tile_emu.tile.opcodes, OPCODE_UNSUPPORTED without semantics
    _TWO_WORDS,
    _UPPER,  # which operand of uget and uput is the register's number, -1 for others
    _OPERANDS,  # how many
    _FIRST_OPERAND,
) = range(10)  # fmt: skip
(
    _TRANSFORM,
    _ARGUMENT,  # sign bit, shift or register group size
    _ACCESS,  # READS and WRITES bits of a main register
    _PARTS,  # of each part: low bit in the value, low bit in the word, mask; 0 behind the last
) = range(4)
_PART_COLUMNS = 3
_OPERAND_COLUMNS = _PARTS + MAX_PARTS * _PART_COLUMNS
_COLUMNS = _FIRST_OPERAND + MAX_OPERANDS * _OPERAND_COLUMNS


class DecodeTables(NamedTuple):
    """What the compiled decoder looks up. Few arrays, as each costs time in a call that takes them."""

    forms: NDArray[np.int64]  # [F, _COLUMNS]
    first: NDArray[np.int32]  # [2, 129] start of the candidates of word bits 30:24, by mode
    candidates: NDArray[np.int32]  # form indices
    upper_slots: NDArray[np.uint8]  # NO_SLOT for numbers that no register of a worker's upper space has


def _transform(form: Form, operand: Any) -> tuple[int, int]:
    kind = operand.meaning
    if kind.file == "m":
        if kind.group == 2 and operand.direction == "inout":
            return MRF_PAIR, 2
        return (MRF_WRITE if operand.direction == "out" else MRF_READ), kind.group
    if kind.file == "a":
        return (ARF_WRITE if operand.direction == "out" else ARF_READ), kind.group
    if kind.signed:
        return SIGNED, int(kind.high + 1)
    if kind.shift:
        return SHIFTED, int(kind.shift)
    return PLAIN, 0


@functools.cache
def decode_tables(architecture: str) -> DecodeTables:
    """Decoder arrays with the forms that an architecture has."""
    forms = table().forms
    rows = np.zeros((len(forms), _COLUMNS), np.int64)
    for form, row in zip(forms, rows, strict=True):
        row[_MATCH], row[_MASK] = form.match, form.mask
        row[_AUX], row[_COISSUE] = form.pipe == "aux", form.coissue
        row[_NO_REPEAT] = form.klass != "ordinary"
        row[_OPCODE] = opcode_of(form) if form.mnemonic in SEMANTICS else OPCODE_UNSUPPORTED
        row[_TWO_WORDS] = form.mnemonic == "sendpicp"
        row[_UPPER] = 1 if form.mnemonic in ("uget", "uput") else -1
        row[_OPERANDS] = len(form.operands)
        for number, operand in enumerate(form.operands):
            own = row[_FIRST_OPERAND + number * _OPERAND_COLUMNS :][:_OPERAND_COLUMNS]
            own[[_TRANSFORM, _ARGUMENT]] = _transform(form, operand)
            own[_ACCESS] = _main_access(form, operand)
            for p, (value_low, word_low, width) in enumerate(operand.parts):
                own[_PARTS + p * _PART_COLUMNS :][:_PART_COLUMNS] = (value_low, word_low, (1 << width) - 1)
    known = [form for form in forms if ARCHITECTURES.index(form.since) <= ARCHITECTURES.index(architecture)]
    return DecodeTables(rows, *_candidates(known), slot_tables(architecture)[1])


def _main_access(form: Form, operand: Any) -> int:
    """Whether an operand is a main register that is read or written. A put does not wait for its operand (14.2)."""
    if operand.meaning.file != "m":
        return 0
    reads = READS if operand.direction != "out" and form.mnemonic != "put" else 0
    return reads | (WRITES if operand.writes else 0)


def _candidates(forms: list[Form]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each mode and value of word bits 30:24, the forms that could match."""
    first = np.zeros((2, 129), np.int32)
    found: list[int] = []
    for mode, name in ((WORKER_MODE, "worker"), (SUPERVISOR_MODE, "supervisor")):
        of_mode = [form for form in forms if form.mode in (name, "both")]
        for key in range(128):
            first[mode, key] = len(found)
            high = key << 24
            found += [f.index for f in of_mode if (high ^ f.match) & f.mask & 0x7F000000 == 0]
        first[mode, 128] = len(found)
    return first, np.array(found, np.int32)


@jit(inline=True)
def match_form(tables, mode, word):  # type: ignore[no-untyped-def]
    """Form index of a word in a mode, -1 if there is none."""
    key = (word >> 24) & 127
    for i in range(tables.first[mode, key], tables.first[mode, key + 1]):
        form = np.int64(tables.candidates[i])
        if (word ^ tables.forms[form, _MATCH]) & tables.forms[form, _MASK] == 0:
            return form
    return np.int64(-1)


@jit(inline=True)
def _operand(forms, form, column, word):  # type: ignore[no-untyped-def]
    """Value of the operand described from a column on; -1000000 for a register number that its group does not allow."""
    raw = np.int64(0)
    for part in range(column + _PARTS, column + _OPERAND_COLUMNS, _PART_COLUMNS):
        mask = forms[form, part + 2]
        if mask == 0:
            break
        raw |= ((word >> forms[form, part + 1]) & mask) << forms[form, part]
    how = forms[form, column + _TRANSFORM]
    argument = forms[form, column + _ARGUMENT]
    if how == SIGNED:
        return raw - 2 * argument if raw >= argument else raw
    if how == SHIFTED:
        value = raw << argument
        return value - (1 << 32) if value >= (1 << 31) else value
    if how == PLAIN:
        return raw
    if raw & (argument - 1):
        return -1000000
    if how == MRF_WRITE:
        return raw if raw < MRF_WRITABLE else MRF_SINK
    if how == ARF_READ:
        return raw if raw < ARF_STORED else ARF_ZERO
    if how == ARF_WRITE:
        return raw if raw < ARF_STORED else ARF_SINK
    if how == MRF_PAIR and raw >= MRF_WRITABLE:
        return -1000000
    return raw


@jit(inline=True)
def _half(forms, form, word, row, opcode_field, operand_field):  # type: ignore[no-untyped-def]
    row[opcode_field] = forms[form, _OPCODE]
    sources = 0
    targets = MRF_SINK << 5 | MRF_SINK  # a step load writes two: datum and delta
    for number in range(forms[form, _OPERANDS]):
        column = _FIRST_OPERAND + number * _OPERAND_COLUMNS
        value = _operand(forms, form, column, word)
        if value == -1000000:
            row[opcode_field] = OPCODE_INVALID
        row[operand_field + number] = value
        access = forms[form, column + _ACCESS]
        if access & READS:
            sources = (sources << 5) | (value + 1)
        if access & WRITES:
            # A register without storage is always ready.
            targets = (targets << 5 | (value if value < MRF_WRITABLE else MRF_SINK)) & 0x3FF
    if opcode_field == FIELD_MAIN:
        row[FIELD_SOURCES] = sources
        row[FIELD_TARGETS] = targets


@jit(inline=True)
def decode_word(tables, mode, word, following, row):  # type: ignore[no-untyped-def]
    """Fill the decoded row of one word; ``following`` is the next word in memory (second half of a bundle)."""
    forms = tables.forms
    for field in range(DECODED_FIELDS):
        row[field] = 0
    row[FIELD_SIZE] = 4
    row[FIELD_NO_REPEAT] = 1
    second = np.int64(-1)
    form = match_form(tables, mode, word)
    if form >= 0 and word >> 31 != 0:
        row[FIELD_SIZE] = 8
        if forms[form, _TWO_WORDS]:
            row[FIELD_SECOND_WORD] = np.int32(np.uint32(following))
        else:
            second = _second(tables, mode, form, following)
            form = form if second >= 0 else second
    if form < 0:
        row[FIELD_MAIN] = OPCODE_INVALID
        return
    if forms[form, _AUX]:
        _half(forms, form, word, row, FIELD_AUX, FIELD_AUX_OPERANDS)
    else:
        _half(forms, form, word, row, FIELD_MAIN, FIELD_MAIN_OPERANDS)
    if second >= 0:
        row[FIELD_NO_REPEAT] = forms[form, _NO_REPEAT] | forms[second, _NO_REPEAT]
        _half(forms, second, following, row, FIELD_AUX, FIELD_AUX_OPERANDS)
    if row[FIELD_AUX] < 0 and row[FIELD_MAIN] >= 0:
        row[FIELD_MAIN] = row[FIELD_AUX]
    # Known before the main half has done anything.
    if second >= 0 and forms[second, _UPPER] >= 0:
        if tables.upper_slots[row[FIELD_AUX_OPERANDS + forms[second, _UPPER]]] == NO_SLOT:
            row[FIELD_MAIN] = OPCODE_NO_CSR


@jit(inline=True)
def _second(tables, mode, form, word):  # type: ignore[no-untyped-def]
    """Form of the second word of a bundle that begins with a form; -1 if they make none."""
    if mode != WORKER_MODE or word >> 31 == 0:
        return np.int64(-1)
    forms = tables.forms
    second = match_form(tables, mode, word)
    if second < 0 or forms[form, _AUX] != 0 or forms[second, _AUX] != 1:
        return np.int64(-1)
    return second if forms[form, _COISSUE] == 1 and forms[second, _COISSUE] == 1 else np.int64(-1)


@jit(leaf=True)
def decode_fetched(tables, word, following, rows, slot):  # type: ignore[no-untyped-def]
    """Decode a word of a supervisor into the row of a slot. Called, not inlined: the supervisor's loop stays small."""
    outlined()
    decode_word(tables, SUPERVISOR_MODE, word, following, rows[slot * DECODED_FIELDS : (slot + 1) * DECODED_FIELDS])


@jit(leaf=True)
def decode_page(tables, mode, words, first_word, pool, slot):  # type: ignore[no-untyped-def]
    """Decode PAGE_WORDS words of a tile from ``words[first_word]`` into pool rows of page ``slot``."""
    for i in range(PAGE_WORDS):
        position = first_word + i
        following = np.int64(words[position + 1]) if position + 1 < len(words) else 0
        start = (slot * PAGE_WORDS + i) * DECODED_FIELDS
        decode_word(tables, mode, np.int64(words[position]), following, pool[start : start + DECODED_FIELDS])

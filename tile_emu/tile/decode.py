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


class DecodeTables(NamedTuple):
    """Arrays over forms (F), operands (5) and bit-field parts (3) for the compiled decoder."""

    match: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    aux: NDArray[np.uint8]  # 1 for the aux pipe
    coissue: NDArray[np.uint8]
    no_repeat: NDArray[np.uint8]  # control, system or exchange class
    opcode: NDArray[np.int32]  # tile_emu.tile.opcodes, OPCODE_UNSUPPORTED without semantics
    main_access: NDArray[np.uint8]  # [F, 5] READS and WRITES bits of main-register operands
    two_words: NDArray[np.uint8]
    upper_index: NDArray[np.int8]  # which operand of uget and uput is the register's number, -1 for others
    upper_slots: NDArray[np.uint8]  # NO_SLOT for numbers that no register of a worker's upper space has
    operands: NDArray[np.uint8]  # [F] how many
    transform: NDArray[np.uint8]  # [F, 5]
    argument: NDArray[np.int32]  # [F, 5] sign bit, shift or register group size
    parts: NDArray[np.int32]  # [F, 5, 3, 3] value low bit, word low bit, mask
    first: NDArray[np.int32]  # [2, 129] start of the candidates of word bits 30:24, by mode
    candidates: NDArray[np.int32]  # form indices


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
    count = len(forms)
    transform = np.zeros((count, MAX_OPERANDS), np.uint8)
    argument = np.zeros((count, MAX_OPERANDS), np.int32)
    parts = np.zeros((count, MAX_OPERANDS, MAX_PARTS, 3), np.int32)
    for form in forms:
        for number, operand in enumerate(form.operands):
            transform[form.index, number], argument[form.index, number] = _transform(form, operand)
            for p, (value_low, word_low, width) in enumerate(operand.parts):
                parts[form.index, number, p] = (value_low, word_low, (1 << width) - 1)
    known = [form for form in forms if ARCHITECTURES.index(form.since) <= ARCHITECTURES.index(architecture)]
    first, candidates = _candidates(known)
    return DecodeTables(
        match=np.array([f.match for f in forms], np.uint32),
        mask=np.array([f.mask for f in forms], np.uint32),
        aux=np.array([f.pipe == "aux" for f in forms], np.uint8),
        coissue=np.array([f.coissue for f in forms], np.uint8),
        no_repeat=np.array([f.klass != "ordinary" for f in forms], np.uint8),
        opcode=np.array([opcode_of(f) if f.mnemonic in SEMANTICS else OPCODE_UNSUPPORTED for f in forms], np.int32),
        main_access=_main_access(forms),
        upper_index=np.array([1 if f.mnemonic in ("uget", "uput") else -1 for f in forms], np.int8),
        upper_slots=slot_tables(architecture)[1],
        two_words=np.array([f.mnemonic == "sendpicp" for f in forms], np.uint8),
        operands=np.array([len(f.operands) for f in forms], np.uint8),
        transform=transform,
        argument=argument,
        parts=parts,
        first=first,
        candidates=candidates,
    )


def _main_access(forms: tuple[Form, ...]) -> NDArray[np.uint8]:
    """Which operands are main registers that are read or written. A put does not wait for its operand (14.2)."""
    access = np.zeros((len(forms), MAX_OPERANDS), np.uint8)
    for form in forms:
        for number, operand in enumerate(form.operands):
            if operand.meaning.file == "m":
                reads = READS if operand.direction != "out" and form.mnemonic != "put" else 0
                access[form.index, number] = reads | (WRITES if operand.writes else 0)
    return access


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


@jit(leaf=True)
def match_form(tables, mode, word):  # type: ignore[no-untyped-def]
    """Form index of a word in a mode, -1 if there is none."""
    key = (word >> 24) & 127
    for i in range(tables.first[mode, key], tables.first[mode, key + 1]):
        form = tables.candidates[i]
        if (word ^ np.int64(tables.match[form])) & np.int64(tables.mask[form]) == 0:
            return np.int64(form)
    return np.int64(-1)


@jit(leaf=True)
def _operand(tables, form, number, word):  # type: ignore[no-untyped-def]
    """Value of one operand; -1000000 for a register number that its group does not allow."""
    raw = 0
    for p in range(MAX_PARTS):
        value_low, word_low, mask = (
            np.int64(tables.parts[form, number, p, 0]),
            np.int64(tables.parts[form, number, p, 1]),
            np.int64(tables.parts[form, number, p, 2]),
        )
        if mask == 0:
            break
        raw |= ((word >> word_low) & mask) << value_low
    how = tables.transform[form, number]
    argument = np.int64(tables.argument[form, number])
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


@jit(leaf=True)
def _half(tables, form, word, row, opcode_field, operand_field):  # type: ignore[no-untyped-def]
    row[opcode_field] = tables.opcode[form]
    sources = 0
    targets = MRF_SINK << 5 | MRF_SINK  # a step load writes two: datum and delta
    for number in range(np.int64(tables.operands[form])):
        value = _operand(tables, form, number, word)
        if value == -1000000:
            row[opcode_field] = OPCODE_INVALID
        row[operand_field + number] = value
        if tables.main_access[form, number] & READS:
            sources = (sources << 5) | (value + 1)
        if tables.main_access[form, number] & WRITES:
            # A register without storage is always ready.
            targets = (targets << 5 | (value if value < MRF_WRITABLE else MRF_SINK)) & 0x3FF
    if opcode_field == FIELD_MAIN:
        row[FIELD_SOURCES] = sources
        row[FIELD_TARGETS] = targets


@jit(leaf=True)
def decode_word(tables, mode, word, following, row):  # type: ignore[no-untyped-def]
    """Fill the decoded row of one word; ``following`` is the next word in memory (second half of a bundle)."""
    row[:] = 0
    row[FIELD_SIZE] = 4
    row[FIELD_NO_REPEAT] = 1
    form = match_form(tables, mode, word)
    if form < 0:
        row[FIELD_MAIN] = OPCODE_INVALID
    elif tables.two_words[form]:
        _half(tables, form, word, row, FIELD_MAIN, FIELD_MAIN_OPERANDS)
        row[FIELD_SIZE] = 8
        row[FIELD_SECOND_WORD] = np.int32(np.uint32(following))
    elif word >> 31 == 0:
        if tables.aux[form]:
            _half(tables, form, word, row, FIELD_AUX, FIELD_AUX_OPERANDS)
            if row[FIELD_AUX] < 0:
                row[FIELD_MAIN] = row[FIELD_AUX]
        else:
            _half(tables, form, word, row, FIELD_MAIN, FIELD_MAIN_OPERANDS)
    else:
        row[FIELD_SIZE] = 8
        second = match_form(tables, mode, following)
        legal = second >= 0 and following >> 31 != 0 and mode == WORKER_MODE
        if legal:
            legal = tables.aux[form] == 0 and tables.aux[second] == 1
            legal = legal and tables.coissue[form] == 1 and tables.coissue[second] == 1
        if legal:
            row[FIELD_NO_REPEAT] = tables.no_repeat[form] | tables.no_repeat[second]
            _half(tables, form, word, row, FIELD_MAIN, FIELD_MAIN_OPERANDS)
            _half(tables, second, following, row, FIELD_AUX, FIELD_AUX_OPERANDS)
            if row[FIELD_AUX] < 0 and row[FIELD_MAIN] >= 0:
                row[FIELD_MAIN] = row[FIELD_AUX]
            # Known before the main half has done anything.
            index = np.int64(tables.upper_index[second])
            if index >= 0 and tables.upper_slots[row[FIELD_AUX_OPERANDS + index]] == NO_SLOT:
                row[FIELD_MAIN] = OPCODE_NO_CSR
        else:
            row[FIELD_MAIN] = OPCODE_INVALID


@jit(leaf=True)
def decode_page(tables, mode, words, first_word, pool, slot):  # type: ignore[no-untyped-def]
    """Decode PAGE_WORDS words of a tile from ``words[first_word]`` into pool rows of page ``slot``."""
    for i in range(PAGE_WORDS):
        position = first_word + i
        following = np.int64(words[position + 1]) if position + 1 < len(words) else 0
        start = (slot * PAGE_WORDS + i) * DECODED_FIELDS
        decode_word(tables, mode, np.int64(words[position]), following, pool[start : start + DECODED_FIELDS])

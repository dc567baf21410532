"""The per-tile code: supervisor programs, exchange rows and vertex states, built for all tiles at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tile_emu.graph.variables import I32, I64, U32
from tile_emu.isa.csr import csr_index
from tile_emu.isa.table import Form, table

WORD = 4  # bytes
START_WORDS = 1  # setzi $m1, 1
VERTEX_WORDS = 2  # setzi $m0, state; call $m10, entry
EXCHANGE_WORDS = 3  # setzi $m1, 1; put; sync 3; a call follows on tiles that have a row
END_WORDS = 2  # sync 7; bri start

STATE_REGISTER = 0  # $m0: a supervisor codelet's argument
ARM_REGISTER = 1  # $m1
RETURN_REGISTER = 10  # $m10, where codelets and rows return to
ZONE_CHIP = 3
ZONE_HOST = 7


@dataclass(frozen=True, eq=False)
class Vertices:
    """All vertices in program order: ``step`` (index into the program), ``tile`` i32[v], ``words`` of state i64[v],
    ``entry`` i64[v] byte address of the codelet."""

    step: I32
    tile: I32
    words: I64
    entry: I64


@dataclass(frozen=True, eq=False)
class TileLayout:
    """Byte addresses in every tile. ``row_address`` i32[E, tiles], 0 = no row; ``state_address`` i32[vertices].

    ``program`` is where every supervisor program starts; ``rows_at``, ``state_at`` and ``end`` i64[tiles] are where the
    rows begin, where the vertex states begin, and where they end.
    """

    program: int
    program_words: I64  # [tiles]
    step_word: I64  # [steps + 1, tiles] word offset of each step in the tile's program
    ordinal: I64  # [vertices] how many vertices of the same step and tile come before
    rows_at: I64
    row_address: I32
    state_at: I64
    state_address: I32
    end: I64


def fill(form: Form, values: Sequence[int | ArrayLike]) -> U32:
    """Words of one form with some operands given as arrays (u32, broadcast together)."""
    fixed = [value if isinstance(value, int) else 0 for value in values]
    words = np.array(form.encode(fixed), np.int64)
    for operand, value in zip(form.operands, values, strict=True):
        if isinstance(value, int):
            continue
        array = np.asarray(value, np.int64)
        if array.size:  # the ends stand for all: encode rejects what does not fit
            for extreme in (int(array.min()), int(array.max())):
                form.encode([extreme if o is operand else v for o, v in zip(form.operands, fixed, strict=True)])
        for value_low, word_low, width in operand.parts:
            words = words | ((array >> value_low) & ((1 << width) - 1)) << word_low
    return words.astype(np.uint32)


def round8(value: I64) -> I64:
    """Up to the next multiple of 8 bytes."""
    return (value + 7) // 8 * 8


def within_groups(key: I64) -> I64:
    """For each element, how many equal keys come before it."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    rank = np.empty(len(key), np.int64)
    rank[order] = np.arange(len(key)) - np.searchsorted(ordered, ordered)
    return rank


def lay_out(kinds: Sequence[str], tiles: int, vertices: Vertices, row_words: I64, program: int) -> TileLayout:
    """Lay program, rows and states out from ``program`` up, all 8-byte aligned.

    ``kinds`` "execute" or "exchange" per step; ``row_words`` i64[exchanges, tiles].
    """
    step_words = np.zeros((len(kinds), tiles), np.int64)
    np.add.at(step_words, (vertices.step, vertices.tile), VERTEX_WORDS)
    rows = iter(row_words)
    for step, kind in enumerate(kinds):
        if kind == "exchange":
            step_words[step] = EXCHANGE_WORDS + (next(rows) > 0)
    step_word = START_WORDS + np.concatenate([np.zeros((1, tiles), np.int64), np.cumsum(step_words, axis=0)])
    program_words = step_word[-1] + END_WORDS

    rows_at = round8(program + WORD * program_words)
    row_bytes = round8(WORD * row_words)
    row_end = rows_at + np.cumsum(row_bytes, axis=0)
    row_address = np.where(row_words > 0, row_end - row_bytes, 0)
    state_at = row_end[-1] if len(row_words) else rows_at

    size = round8(WORD * vertices.words)
    order = np.argsort(vertices.tile, kind="stable")
    running = np.cumsum(size[order])
    of_tile = np.bincount(vertices.tile, size, tiles).astype(np.int64)
    before = np.cumsum(of_tile) - of_tile
    state_address = np.empty(len(size), np.int64)
    sorted_tile = vertices.tile[order]
    state_address[order] = state_at[sorted_tile] + running - size[order] - before[sorted_tile]
    return TileLayout(
        program=program,
        program_words=program_words,
        step_word=step_word,
        ordinal=within_groups(vertices.step.astype(np.int64) * tiles + vertices.tile),
        rows_at=rows_at,
        row_address=row_address.astype(np.int32),
        state_at=state_at,
        state_address=state_address.astype(np.int32),
        end=state_at + of_tile,
    )


def segment_starts(layout: TileLayout) -> I64:
    """Word offsets i64[tiles + 1] of the tiles' segments; a segment runs from ``program`` to ``end``."""
    return np.concatenate([[0], np.cumsum(round8(layout.end - layout.program) // WORD)]).astype(np.int64)


def write_programs(out: U32, start: I64, kinds: Sequence[str], layout: TileLayout, vertices: Vertices) -> None:
    """Write every tile's supervisor program into its segment of ``out``."""
    forms = table().by_name
    setzi, call, put = forms["setzi_mmmn_zi"], forms["call_mmmn_zi"], forms["put_mmmn_zi"]
    arm = setzi.encode([ARM_REGISTER, 1])
    expect = put.encode([ARM_REGISTER, csr_index("INCOMING_DCOUNT", "supervisor")])
    first = start[:-1]
    out[first] = arm

    at = first[vertices.tile] + layout.step_word[vertices.step, vertices.tile] + VERTEX_WORDS * layout.ordinal
    out[at] = fill(setzi, [STATE_REGISTER, layout.state_address])
    out[at + 1] = fill(call, [RETURN_REGISTER, vertices.entry // WORD])

    rows = iter(layout.row_address)
    for step, kind in enumerate(kinds):
        if kind == "exchange":
            at = first + layout.step_word[step]
            out[at] = arm
            out[at + 1] = expect
            out[at + 2] = forms["sync"].encode([ZONE_CHIP])
            row = next(rows)
            has = np.flatnonzero(row)
            out[at[has] + EXCHANGE_WORDS] = fill(call, [RETURN_REGISTER, row[has] // WORD])
    at = first + layout.step_word[-1]
    out[at] = forms["sync"].encode([ZONE_HOST])
    out[at + 1] = forms["bri_mmmn_zi"].encode([layout.program // WORD])


def write_rows(out: U32, start: I64, layout: TileLayout, exchange: int, words: U32, row_start: I64) -> None:
    """Write the rows of one exchange (``words``, word offsets ``row_start`` i64[tiles + 1]) into the segments."""
    tiles = len(start) - 1
    counts = np.diff(row_start[: tiles + 1])
    to = start[:-1] + (layout.row_address[exchange] - layout.program) // WORD - row_start[:tiles]
    low, high = int(row_start[0]), int(row_start[tiles])
    out[np.repeat(to, counts) + np.arange(low, high)] = words[low:high]


def write_states(out: U32, start: I64, layout: TileLayout, which: slice, tile: I32, states: U32) -> None:
    """Write the states u32[n, fields] of the vertices ``which`` into the segments."""
    at = start[tile] + (layout.state_address[which] - layout.program) // WORD
    out[at[:, None] + np.arange(states.shape[1])] = states

"""Lowering with the project's own assembler and exchange scheduler."""

from __future__ import annotations

import numpy as np
import pytest

from tile_emu.asm import disassemble
from tile_emu.chips import chip_names, load_chip
from tile_emu.errors import UsageError
from tile_emu.exchange.check import check_schedule
from tile_emu.exchange.rows import emit_rows
from tile_emu.exchange.schedule import schedule
from tile_emu.graph import Codelet, Graph, Image, Pointer

FIRST = """
.supervisor
.globl first
first:
    ld32 $m2, $m0, $mzero, 0
loop:
    brnzdec $m2, loop
    br $m10
"""
SECOND = """
.supervisor
.globl second
second:
    nop
loop:
    br $m10
"""


@pytest.fixture
def codelets(tmp_path):
    made = []
    for name, text in (("first", FIRST), ("second", SECOND)):
        path = tmp_path / f"{name}.S"
        path.write_text(text)
        made.append(Codelet(name, path, name, ("count", "where")))
    return made


def ring(chip, codelets):
    """Different codelets on odd and even tiles, and every tile sends to the next."""
    graph = Graph(chip)
    tile = np.arange(chip.tiles)
    a = graph.variable("a", tile, 256, "interleaved")
    b = graph.variable("b", tile, 256)
    work = graph.execute("work")
    for parity, codelet in enumerate(codelets):
        work.add(codelet, tile[parity::2], count=3, where=Pointer(a, tile[parity::2]))
    graph.exchange("ring").copy(Pointer(a, tile), Pointer(b, (tile + 1) % chip.tiles), 256)
    return graph


@pytest.mark.parametrize("name", chip_names())
def test_ring_on_every_chip(name, codelets):
    chip = load_chip(name)
    image = ring(chip, codelets).lower()
    (base, shared), program = image.shared[0], int(image.entry[0])
    assert base == chip.memory.base
    rows = int(image.memory_map.row_address[0, 5])
    state = program + int(image.memory_map.program_bytes[5] + image.memory_map.row_bytes[5])
    low, high = image.segment_start[5:7]
    words = image.segment_words[low:high]
    entry = image.symbols["second"]
    text = [" ".join(line.split()) for line in disassemble(words[:9], base=program, mode="supervisor")]
    assert [line for line in text if not line.startswith("put")] == [
        *("setzi $m1, 1", f"setzi $m0, {state}", f"call $m10, {entry:#x}"),
        *("setzi $m1, 1", "sync 3", f"call $m10, {rows:#x}", "sync 7", f"bri {program:#x}"),
    ]
    assert int(words[4]) == 0x431080A6  # put $INCOMING_DCOUNT, $m1

    transfers = image.exchanges[0][1]
    plan = schedule(chip, transfers)
    check_schedule(chip, plan)
    expected = emit_rows(chip, plan)
    row = expected.words[expected.start[5] : expected.start[6]]
    at = (rows - program) // 4
    assert rows % 8 == 0 and words[at : at + len(row)].tolist() == row.tolist()
    assert int(row[-1]) == 0x43A00000  # br $m10
    assert image.name_at(5, entry).startswith("codelet second")
    assert image.lines.at(entry) == (str(codelets[1].source), 5)
    assert len(shared) and set(image.symbols) >= {"first", "second"}


def test_deterministic_and_savable(codelets, tmp_path):
    chip = load_chip("bow")
    image = ring(chip, codelets).lower()
    assert image == ring(chip, codelets).lower()
    image.save(tmp_path / "ring.image")
    assert Image.load(tmp_path / "ring.image") == image


def test_progress_goes_up(codelets):
    seen = []
    ring(load_chip("bow"), codelets).lower(progress=lambda stage, fraction: seen.append((stage, fraction)))
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert "schedule exchange ring" in [stage for stage, _ in seen]


def test_missing_source(tmp_path):
    graph = Graph(load_chip("bow"), 1)
    graph.execute("c").add(Codelet("x", tmp_path / "x.S", "x", ()), 0)
    with pytest.raises(UsageError, match=r"x\.S"):
        graph.lower()


def test_empty_exchange_and_multicast_that_includes_its_sender():
    graph = Graph(load_chip("bow"), 16)
    a, b = graph.variable("a", 3, 64), graph.variable("b", np.arange(16), 64)
    graph.exchange("nothing")
    graph.exchange("all").copy(Pointer(a), Pointer(b, np.arange(16)), 64)
    image = graph.lower()
    assert [len(transfers) for _, transfers in image.exchanges] == [0, 1]
    assert (image.memory_map.row_address[0] == 0).all() and (image.memory_map.row_address[1] > 0).all()


def test_constants_are_in_the_image():
    chip = load_chip("bow")
    graph = Graph(chip, 4)
    graph.variable("other", range(4), 40)
    words = np.arange(100, 106, dtype=np.uint32)
    graph.constant("table", [2, 0], [16, 8], words)
    with pytest.raises(UsageError, match="5 words do not fill"):
        graph.constant("short", [2, 0], [16, 8], words[:5])
    image = graph.lower()
    memory = np.zeros((4, chip.memory.size), np.uint8)
    image.fill(memory)
    where = image.memory_map
    for tile, wanted in ((2, words[:4]), (0, words[4:])):
        i = int(np.flatnonzero((where.tile == tile) & (where.name_index == where.names.index("table")))[0])
        at = int(where.address[i]) - chip.memory.base
        assert memory[tile, at : at + int(where.nbytes[i])].view(np.uint32).tolist() == wanted.tolist()

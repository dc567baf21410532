"""Supervisor programs, rows and vertex states in the image, against words written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.graph_tools import ADD, CODELET_WORDS, COPY, fake_tools
from tile_emu.chips import load_chip
from tile_emu.errors import UsageError
from tile_emu.graph import Codelet, Graph, Image, Pointer
from tile_emu.graph.program import fill, within_groups
from tile_emu.isa.table import table

BASE, END = 0x4C000, 0xE8000
PROGRAM = BASE + 264  # 25 words of codelets, filled up to a decoded page of 256 bytes and 8 more

# Encodings of the ISA reference, by hand: setzi 0x19 | reg | imm20, call 0x18 | reg | word address, put, sync, bri.
ARM = 0x19100001  # setzi $m1, 1
EXPECT = 0x431080A6  # put $INCOMING_DCOUNT, $m1
SYNC_CHIP, SYNC_HOST = 0x41800003, 0x41800007


def state(address):
    return 0x19000000 | address  # setzi $m0, address


def call(address):
    return 0x18A00000 | address >> 2  # call $m10, address


def restart(address):
    return 0x40800000 | address >> 2


def small_graph():
    graph = Graph(load_chip("bow"), 3)
    a = graph.variable("a", [0, 1, 2], 64)
    b = graph.variable("b", [0, 1, 2], 32)
    first = graph.execute("first")
    first.add(ADD, [1, 0], x=[-1, 7])
    first.add(COPY, [1], source=Pointer(a, 1, 16), dest=Pointer(b, 1), count=4)
    graph.exchange("shift").copy(Pointer(a, 0), Pointer(b, 1), 32)
    graph.execute("second").add(ADD, [2, 1], x=Pointer(b, [2, 1], [4, 8]))
    graph.execute("third").add(ADD, 0, x=0xFFFFFFFF)
    return graph


def memory_of(image):
    memory = np.zeros((image.tiles, image.chip.memory.size), np.uint8)
    image.fill(memory)
    return memory


def words_at(image, tile, address, count):
    start = address - BASE
    return memory_of(image)[tile, start : start + 4 * count].view(np.uint32).tolist()


def test_programs_word_by_word():
    image = small_graph().lower(tools=fake_tools(row_words=3))
    assert image.entry.tolist() == [PROGRAM] * 3
    # tile 1: start, three vertices before the barrier, a row, one vertex after it
    rows = PROGRAM + 56  # 1 + 4 + 4 + 2 + 2 words, padded to 14
    states = rows + 16
    add, copy = BASE + 0x48, BASE + 0x10
    # fmt: off
    assert words_at(image, 1, PROGRAM, 13) == [
        ARM, state(states), call(add), state(states + 8), call(copy),
        ARM, EXPECT, SYNC_CHIP, call(rows),
        state(states + 24), call(add),
        SYNC_HOST, restart(PROGRAM),
    ]
    # fmt: on
    assert words_at(image, 1, rows, 4) == [0xE0000001] * 3 + [0]
    a1, b1 = (address_of(image, name, 1) for name in "ab")
    assert words_at(image, 1, states, 8) == [0xFFFFFFFF, 0, a1 + 16, b1, 4, 0, b1 + 8, 0]
    assert image.code_end[1] == states + 32

    # tile 2 has no part in the exchange: no row, but the barrier
    states = PROGRAM + 4 * 8
    assert words_at(image, 2, PROGRAM, 8) == [
        *(ARM, ARM, EXPECT, SYNC_CHIP, state(states), call(add), SYNC_HOST, restart(PROGRAM))
    ]
    assert words_at(image, 2, states, 1) == [address_of(image, "b", 2) + 4]
    assert image.code_end[2] == states + 8
    # every tile has the codelets
    assert words_at(image, 2, BASE, CODELET_WORDS) == [0xC0DE0000 + i for i in range(CODELET_WORDS)]


def address_of(image, name, shard):
    where = image.memory_map
    return int(where.address[(where.name_index == where.names.index(name)) & (where.shard == shard)][0])


@pytest.mark.nojit
def test_empty_graph_still_has_a_program():
    image = Graph(load_chip("gc2"), 2).lower(tools=fake_tools())
    base = load_chip("gc2").memory.base
    assert image.segment_words.tolist() == [ARM, SYNC_HOST, restart(base), 0] * 2
    assert image.compute_names == ("",) and image.shared == ()


def test_names_of_the_stretches_between_barriers():
    graph = small_graph()
    graph.exchange("last")
    image = graph.lower(tools=fake_tools())
    assert image.compute_names == ("first", "second + third", "")
    assert image.exchange_names == ("shift", "last")


def test_sources_once_and_in_order_of_use():
    sources = []
    small_graph().lower(tools=fake_tools(sources=sources))
    assert sources == [([Path("add.S"), Path("copy.S")], load_chip("bow").architecture)]


def test_missing_entry():
    graph = Graph(load_chip("bow"), 1)
    graph.execute("c").add(Codelet("gone", Path("gone.S"), "gone", ()), 0)
    with pytest.raises(UsageError, match=r"codelet 'gone': gone.S has no global label 'gone'"):
        graph.lower(tools=fake_tools())


def test_equal_sources_are_one_multicast():
    graph = Graph(load_chip("bow"), 8)
    a, b = graph.variable("a", 0, 64), graph.variable("b", np.arange(1, 8), 64)
    graph.exchange("e").copy(Pointer(a), Pointer(b, np.arange(7)), 64)
    name, transfers = graph.lower(tools=fake_tools()).exchanges[0]
    assert name == "e" and transfers.names == ("e: a -> b",)
    assert len(transfers.source_tile) == 1 and transfers.words.tolist() == [16]
    assert sorted(transfers.dest_tile.tolist()) == list(range(1, 8))


def test_same_graph_same_image():
    one, two = (small_graph().lower(tools=fake_tools()) for _ in range(2))
    assert one == two
    assert one != small_graph().lower(tools=fake_tools(row_words=4))


def test_save_and_load(tmp_path):
    graph = small_graph()
    order = np.array([1, 0, *range(2, 20), -1, -1, -1, -1])
    graph.tensor("b", (4, 5), np.float32, graph.variables[1], order)
    image = graph.lower(tools=fake_tools())
    path = tmp_path / "small.image"
    image.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["small.image"]
    loaded = Image.load(path)
    assert loaded == image
    assert loaded.chip == load_chip("bow") and loaded.tensors["b"].dtype == np.float32
    loaded.segment_words[5] ^= 1
    assert loaded != image


def test_damaged_and_foreign_files(tmp_path):
    with pytest.raises(UsageError, match="cannot read image"):
        Image.load(tmp_path / "none")
    image = small_graph().lower(tools=fake_tools())
    path = tmp_path / "it.image"
    image.save(path)
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:-200], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="not an image file, or it is damaged"):
            Image.load(path)
    path.write_text(json.dumps({"format": 99}) + "\n")
    with pytest.raises(UsageError, match="has format 99"):
        Image.load(path)
    with pytest.raises(UsageError, match="cannot write image"):
        image.save(tmp_path / "no" / "folder")


def test_name_at():
    image = small_graph().lower(tools=fake_tools(row_words=3))
    assert image.name_at(1, BASE) == "codelets"
    assert image.name_at(1, BASE + 0x14) == "codelet copy+0x4"
    assert image.name_at(1, BASE + 0x48) == "codelet add"
    assert image.name_at(1, PROGRAM + 4) == "supervisor program+0x4"
    assert image.name_at(1, PROGRAM + 56 + 8) == "row of exchange 'shift'+0x8"
    assert image.name_at(1, PROGRAM + 56 + 16 + 4) == "vertex state+0x4"
    assert image.name_at(1, 0x60000) == "free memory"
    assert image.name_at(1, address_of(image, "a", 1)) == "a[1]"
    assert image.name_at(2, address_of(image, "b", 2) + 31) == "b[2]+0x1f"
    assert image.name_at(1, END) == image.name_at(3, BASE) == "outside tile memory"


def test_memory_used():
    image = small_graph().lower(tools=fake_tools(row_words=3))
    # codelets a page and two words, program of 11, 13 and 8 words, row 16, states; a 64 + b 32
    tile0 = 264 + 48 + 16 + 16 + 96
    tile1 = 264 + 56 + 16 + 32 + 96
    tile2 = 264 + 32 + 0 + 8 + 96
    assert image.memory_map.used_bytes().tolist() == [tile0, tile1, tile2]
    assert image.memory_map.by_variable(2) == [("a", 64), ("b", 32)]


@pytest.mark.nojit
def test_fill_agrees_with_encode():
    """Vectorised operands against the form's own encoder, over a form with a split field."""
    for name, values in (
        ("sendoff", [np.array([0, 1, 77, 4095]), np.array([3, 0, 2047, 5]), 5]),
        ("setzi_mmmn_zi", [np.array([1, 14]), np.array([0xFFFFF, 3])]),
    ):
        form = table().by_name[name]
        columns = np.broadcast_arrays(*values)
        assert fill(form, values).tolist() == [form.encode([int(v) for v in row]) for row in zip(*columns)]
    with pytest.raises(UsageError):
        fill(table().by_name["setzi_mmmn_zi"], [0, np.array([1 << 20])])


@pytest.mark.nojit
def test_within_groups():
    assert within_groups(np.array([3, 1, 3, 3, 1, 2])).tolist() == [0, 0, 1, 2, 1, 0]

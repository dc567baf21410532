"""Placement against a checker that looks at every pair of shards."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph_tools import ADD, COPY, fake_tools
from tile_emu.chips import load_chip
from tile_emu.errors import OutOfTileMemory, UsageError
from tile_emu.graph import Graph, Pointer

# Bow figures of the Programmer's Guide, written out so that the oracle does not read what it checks.
BASE, END, SPLIT, BANK = 0x4C000, 0xE8000, 0x80000, 0x4000
TILES = 4


def elements(address: int, nbytes: int) -> set[tuple[str, int]]:
    """SRAM elements that hold any byte of a shard, looked up 4 bytes at a time at the edges of banks."""
    probes = {address, address + nbytes - 1, *range(-(-address // BANK) * BANK, address + nbytes, BANK)}
    return {("low", a >> 14) if a < SPLIT else ("pair", a >> 15) for a in probes}


def blocks(image):
    where = image.memory_map
    rows = zip(where.name_index, where.shard, where.tile, where.address, where.nbytes)
    return {(where.names[n], int(s)): (int(t), int(a), int(b)) for n, s, t, a, b in rows}


def check(image, regions, aligns, apart):
    """``apart``: pairs of (variable, shard) that may not share an element if on one tile."""
    placed = blocks(image)
    for (name, _), (tile, address, nbytes) in placed.items():
        assert address % max(8, aligns[name]) == 0
        assert address >= (SPLIT if regions[name] == "interleaved" else BASE) and address + nbytes <= END
        assert address >= image.code_end[tile]
    for (_, one), (_, two) in itertools.combinations(placed.items(), 2):
        if one[0] == two[0]:
            assert one[1] + one[2] <= two[1] or two[1] + two[2] <= one[1], "overlap"
    for one, two in apart:
        if one in placed and two in placed and one != two and placed[one][0] == placed[two][0]:
            assert not elements(*placed[one][1:]) & elements(*placed[two][1:]), (one, two)


SHARD = st.tuples(st.integers(0, TILES - 1), st.integers(0, 20_000).map(lambda n: 4 * n))
VARIABLE = st.tuples(
    st.lists(SHARD, min_size=1, max_size=6),
    st.sampled_from(["any", "any", "interleaved"]),
    st.sampled_from([1, 8, 16, 64]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(VARIABLE, min_size=1, max_size=7),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=6),
    st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=3), max_size=2),
)
def test_rules(variables, pairs, copies):
    graph = Graph(load_chip("bow"), TILES)
    made = [
        graph.variable(f"v{i}", [t for t, _ in shards], [n for _, n in shards], region, align)
        for i, (shards, region, align) in enumerate(variables)
    ]
    apart = set()
    for a, b in pairs:
        if a < len(made) and b < len(made):
            graph.separate(made[a], made[b])
            apart |= {((f"v{a}", i), (f"v{b}", j)) for i in range(6) for j in range(6)}
    exchanged = set()
    for number, phase in enumerate(copies):
        exchange = graph.exchange(f"e{number}")
        reads, writes = set(), set()
        for a, b in phase:
            # One 4-byte copy between the first shards, if that is legal at all.
            if a == b or max(a, b) >= len(made) or made[a].tile[0] == made[b].tile[0]:
                continue
            if min(made[a].nbytes[0], made[b].nbytes[0]) < 4 or a in writes or b in reads or b in writes:
                continue
            reads.add(a)
            writes.add(b)
            exchange.copy(Pointer(made[a]), Pointer(made[b]), 4)
        apart |= {((f"v{a}", 0), (f"v{b}", 0)) for a in reads for b in writes}
        exchanged |= reads | writes
    try:
        image = graph.lower(tools=fake_tools())
    except OutOfTileMemory:
        total = sum(n for shards, _, _ in variables for _, n in shards)
        assert total > 100_000  # never for a small load: worst case is one element pair per shard
        return
    check(
        image,
        {f"v{i}": region for i, (_, region, _) in enumerate(variables)},
        {f"v{i}": align for i, (_, _, align) in enumerate(variables)},
        apart,
    )
    for variable in exchanged:
        tile, address, nbytes = blocks(image)[f"v{variable}", 0]
        code = image.memory_map.code_bytes()[tile] - image.memory_map.state_bytes[tile] + 64
        assert not elements(BASE, int(code)) & elements(address, nbytes)


def lowered(fill):
    graph = Graph(load_chip("bow"), 2)
    fill(graph)
    return blocks(graph.lower(tools=fake_tools()))


@pytest.mark.nojit
def test_top_down_and_tight():
    placed = lowered(lambda g: [g.variable("a", [0, 1], 100), g.variable("b", 0, 50)])
    assert placed["a", 0] == (0, END - 104, 100)
    assert placed["a", 1] == (1, END - 104, 100)
    assert placed["b", 0] == (0, END - 160, 50)


@pytest.mark.nojit
def test_separated_variables_do_not_waste_the_gap():
    """Two separated halves of a region fit exactly, and a variable without conflicts fills what is left between."""

    def fill(graph):
        a = graph.variable("a", 0, 5 * 0x8000 + 0x100, "interleaved")
        b = graph.variable("b", 0, 6 * 0x8000 + 0x100, "interleaved")
        graph.separate(a, b)
        graph.variable("c", 0, 0x8000 - 0x100, "interleaved")
        graph.variable("d", 0, 0x8000 - 0x100, "interleaved")

    placed = lowered(fill)
    assert sum(nbytes for _, _, nbytes in placed.values()) == END - SPLIT
    assert min(address for _, address, _ in placed.values()) == SPLIT


@pytest.mark.nojit
def test_self_separation():
    def fill(graph):
        a = graph.variable("a", [0, 0, 0], 64)
        graph.separate(a, a)

    places = [elements(address, nbytes) for _, address, nbytes in lowered(fill).values()]
    assert len(set.union(*places)) == 3


@pytest.mark.parametrize("idle", [0, 1, 2])
def test_only_tiles_that_exchange_pay_for_separation(idle):
    graph = Graph(load_chip("bow"), 3)
    a, b = graph.variable("a", [0, 1, 2], 64), graph.variable("b", [0, 1, 2], 64)
    one, two = sorted({0, 1, 2} - {idle})
    graph.exchange("swap").copy(Pointer(a, [one, two]), Pointer(b, [two, one]), 64)
    placed = blocks(graph.lower(tools=fake_tools()))
    for tile in (one, two):
        assert not elements(*placed["a", tile][1:]) & elements(*placed["b", tile][1:])
    assert {placed["a", idle][1], placed["b", idle][1]} == {END - 64, END - 128}


def test_every_signature_is_placed():
    """More distinct signatures than tiles of one size: each tile of its own."""
    chip = load_chip("bow")
    graph = Graph(chip)
    tile = np.arange(chip.tiles)
    graph.variable("a", tile, 8 * (tile + 1))
    graph.variable("b", tile, 16)
    where = graph.lower(tools=fake_tools()).memory_map
    a = where.name_index == 0
    assert (where.nbytes[a] == 8 * (where.tile[a] + 1)).all()
    low = np.where(a, where.nbytes, 16).astype(int)
    assert (np.bincount(where.tile, low) == END - np.minimum.reduceat(where.address, np.arange(0, len(a), 2))).all()


def test_out_of_memory_message():
    graph = Graph(load_chip("bow"), 3)
    for i in range(7):
        graph.variable(f"weights{i}", [0, 1], [10_000, 100_000 + i])
    with pytest.raises(OutOfTileMemory) as error:
        graph.lower(tools=fake_tools())
    text = str(error.value)
    assert "\n" not in text and text.startswith(
        "tile 1 is out of memory: its variables need 700,021 bytes, 638,976 are"
    )
    assert "weights6 100,006, weights5 100,005" in text and "weights2" in text and "weights1" not in text


def test_out_of_interleaved_memory():
    graph = Graph(load_chip("bow"), 1)
    graph.variable("a", 0, 500_000, "interleaved")
    with pytest.raises(OutOfTileMemory, match="need 500,000 bytes, 425,984 are free of interleaved memory"):
        graph.lower(tools=fake_tools())


def test_separation_that_leaves_no_place():
    graph = Graph(load_chip("bow"), 1)
    many = [graph.variable(f"v{i}", 0, 8) for i in range(27)]  # 13 banks and 13 pairs
    for a, b in itertools.combinations(many, 2):
        graph.separate(a, b)
    with pytest.raises(OutOfTileMemory, match="separation of variables into elements of 16 KiB"):
        graph.lower(tools=fake_tools())


def test_code_meets_variables():
    graph = Graph(load_chip("bow"), 2)
    a = graph.variable("a", [0, 1], [100, 638_976 - 200])
    graph.execute("c").add(ADD, [0, 1, 1, 1, 1, 1, 1], x=Pointer(a, [0, 1, 1, 1, 1, 1, 1]))
    with pytest.raises(OutOfTileMemory) as error:
        graph.lower(tools=fake_tools())
    # codelets fill a page and two words, 4 * (1 + 6 * 2 + 2) = 60 -> 64 program, 6 states of 8 bytes
    assert str(error.value).startswith(
        "tile 1 is out of memory: its code needs 376 bytes (codelets 264, supervisor program 64, exchange rows 0, "
        "vertex state 48), 200 are free below its variables; largest variables: a 638,776"
    )


@pytest.mark.parametrize(("size", "legal"), [(4 * 0x4000 - 2 * 64, True), (4 * 0x4000 - 64, False)])
def test_rows_keep_out_of_exchanged_elements(size, legal):
    """13 banks: the row of nearly 4 banks and its prefetch of 64 bytes may not reach the 9 banks of the data."""
    graph = Graph(load_chip("bow"), 2)
    a = graph.variable("a", 0, 9 * 0x4000 + (END - SPLIT))
    graph.exchange("e").copy(Pointer(a), Pointer(graph.variable("b", 1, 64)), 64)
    program = 4 * (1 + 4 + 2)
    tools = fake_tools(row_words=(size - program) // 4)
    if legal:
        graph.lower(tools=tools)
    else:
        with pytest.raises(OutOfTileMemory, match="free below the SRAM element that holds exchanged data"):
            graph.lower(tools=tools)


def test_reading_and_writing_one_shard_is_refused():
    graph = Graph(load_chip("bow"), 3)
    a = graph.variable("a", [0, 1, 2], 64)
    graph.exchange("ring").copy(Pointer(a, [0, 1, 2]), Pointer(a, [1, 2, 0], 32), 32)
    with pytest.raises(UsageError, match=r"exchange 'ring' both reads and writes a shard of 'a' on tile 0"):
        graph.lower(tools=fake_tools())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile": 9, "nbytes": 4}, "tile numbers must lie in 0..1"),
        ({"tile": 0, "nbytes": -4}, "cannot have -4"),
        ({"tile": 0, "nbytes": 4, "align": 12}, "not a power of two"),
        ({"tile": 0, "nbytes": 4, "region": "fast"}, "region 'fast'"),
        ({"tile": [0, 1], "nbytes": [1, 2, 3]}, "different lengths"),
        ({"tile": 0.5, "nbytes": 4}, "integers wanted"),
    ],
)
def test_bad_variables(arguments, message):
    with pytest.raises(UsageError, match=message):
        Graph(load_chip("bow"), 2).variable("a", **arguments)


def test_two_variables_of_one_name():
    graph = Graph(load_chip("bow"), 2)
    graph.variable("a", 0, 4)
    with pytest.raises(UsageError, match="two variables named 'a'"):
        graph.variable("a", 0, 4)


def test_bad_vertices():
    graph = Graph(load_chip("bow"), 2)
    a = graph.variable("a", [0, 1], 64)
    cs = graph.execute("c")
    with pytest.raises(UsageError, match=r"unknown fields \['dst'\], missing fields \['dest'\]"):
        cs.add(COPY, 0, source=1, dst=2, count=3)
    with pytest.raises(UsageError, match="the vertex on tile 1 points to 'a' on tile 0"):
        cs.add(ADD, [0, 1], x=Pointer(a, 0))
    with pytest.raises(UsageError, match="offset 65 lies outside shard 1"):
        cs.add(ADD, 1, x=Pointer(a, 1, 65))
    with pytest.raises(UsageError, match="does not fit 32 bits"):
        cs.add(ADD, 1, x=1 << 32)
    with pytest.raises(UsageError, match="3 values for 2 vertices"):
        cs.add(ADD, [0, 1], x=[1, 2, 3])


def test_bad_copies():
    graph = Graph(load_chip("bow"), 2)
    a, b = graph.variable("a", [0, 1], 64), graph.variable("b", [0, 1], 64)
    exchange = graph.exchange("e")
    with pytest.raises(UsageError, match="multiples of 4 bytes"):
        exchange.copy(Pointer(a), Pointer(b, 1), 6)
    with pytest.raises(UsageError, match=r"bytes 60..67 lie outside shard 1 of 'b' \(64 bytes\)"):
        exchange.copy(Pointer(a), Pointer(b, 1, 60), 8)
    exchange.copy(Pointer(a), Pointer(b, 0), 8)
    with pytest.raises(UsageError, match="e: a -> b copies 8 bytes from tile 0 to itself"):
        graph.lower(tools=fake_tools())


def test_a_byte_written_twice():
    graph = Graph(load_chip("bow"), 3)
    a, b, c = (graph.variable(name, tile, 64) for name, tile in (("a", 0), ("b", 1), ("c", 2)))
    exchange = graph.exchange("e")
    exchange.copy(Pointer(a), Pointer(c), 8)
    exchange.copy(Pointer(b), Pointer(c, 0, 4), 8)
    with pytest.raises(UsageError, match=r"of tile 2 twice \(e: a -> c; e: b -> c\)"):
        graph.lower(tools=fake_tools())

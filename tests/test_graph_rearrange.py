"""Rearrangements on the machine against NumPy, for every way of carrying them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tile_emu.chips import load_chip
from tile_emu.errors import UsageError
from tile_emu.graph import Graph, Image, View
from tile_emu.graph.rearrange import Rearrangement
from tile_emu.machine import Machine
from tile_emu.profile.recording import Recording

BOW = load_chip("bow")
KINDS = (np.uint8, np.uint16, np.uint32, np.uint64)
WAYS = ("direct", "pack", "unpack", "both")


@dataclass
class Stage:
    """Two tensors over some tiles, random contents, one rearrangement, one run."""

    tiles: int
    kind: Any
    chip: str = "bow"
    graph: Graph = field(init=False)
    contents: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graph = Graph(load_chip(self.chip), self.tiles)

    def tensor(self, name: str, tile: Any, elements: Any) -> View:
        """A variable of shards of so many elements, filled with random values; its flat view."""
        size = np.dtype(self.kind).itemsize
        variable = self.graph.variable(name, tile, size * np.asarray(elements))
        total = int(np.sum(np.broadcast_to(elements, np.broadcast(tile, elements).shape)))
        self.graph.tensor(name, (total,), self.kind, variable)
        limit = np.iinfo(self.kind).max
        generator = np.random.default_rng(len(self.contents))
        self.contents[name] = generator.integers(0, limit, total, self.kind, endpoint=True)
        return self.graph.view(name)

    def move(self, source: View, dest: View, how: str = "auto") -> tuple[Rearrangement, Recording, Image]:
        """Rearrange, run, and compare everything: what was written and what was not."""
        names = {self.graph.tensors[n].variable.index: n for n in self.contents}
        wanted = {name: values.copy() for name, values in self.contents.items()}
        a, b = names[source.variable.index], names[dest.variable.index]
        wanted[b][dest.place] = self.contents[a][np.broadcast_to(source.place, dest.shape)]
        done = self.graph.rearrange("move", source, dest, how)
        image = self.graph.lower()
        machine = Machine(self.graph.chip, self.tiles, threads=1)
        machine.load(image)
        for name, values in self.contents.items():
            machine.write_tensor(name, values)
        recording = machine.run()
        for name, values in wanted.items():
            np.testing.assert_array_equal(machine.read_tensor(name), values, err_msg=f"{name}, {done}")
        return done, recording, image


def random_case(seed: int, how: str) -> Rearrangement | None:
    """Views of random shape over shards of random size on random tiles; None if the way cannot carry it."""
    generator = np.random.default_rng(seed)
    stage = Stage(16, KINDS[seed % 4])
    shape = tuple(int(n) for n in generator.integers(1, 12, generator.integers(1, 4)))
    size = int(np.prod(shape))
    views = []
    for name in ("a", "b"):
        total, shards = size + int(generator.integers(0, 8)), int(generator.integers(1, 32))
        cut = np.concatenate([[0], np.sort(generator.integers(0, total + 1, shards - 1)), [total]])
        flat = stage.tensor(name, generator.integers(0, 16, shards), np.diff(cut))
        place = [np.arange(size), np.sort(generator.permutation(total)[:size]), generator.permutation(total)[:size]]
        views.append(flat[place[generator.integers(3)]].reshape(*shape))
    a, b = views
    kind = generator.integers(5)
    if kind == 1:
        few = generator.permutation(size)[: max(1, size // 2)]
        a, b = a.reshape(-1)[few], b.reshape(-1)[generator.permutation(size)[: len(few)]]
    elif kind == 2:
        a, b = a.reshape(-1)[generator.integers(0, size, size)], b.reshape(-1)
    elif kind == 3:
        a, b = a.transpose(*generator.permutation(len(shape)).tolist()).reshape(-1), b.reshape(-1)
    elif kind == 4:
        a = a[(0,) * len(shape)]
    try:
        return stage.move(a, b, how)[0]
    except UsageError as error:
        assert how != "auto" and "cannot carry it" in str(error)
        return None


@pytest.mark.parametrize("block", range(6))
def test_random_views(block: int) -> None:
    ways = {random_case(seed, "auto").how for seed in range(24 * block, 24 * block + 24)}  # type: ignore[union-attr]
    assert len(ways) > 1


@pytest.mark.parametrize("how", WAYS)
def test_random_views_each_way(how: str) -> None:
    done = [random_case(seed, how) for seed in range(200, 240)]
    carried = [result for result in done if result is not None]
    assert len(carried) >= 10
    assert {result.how for result in carried} == {how}
    if how == "both":
        assert len(carried) == len(done)
        assert {result.unit for result in carried} == {1, 2, 4, 8}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chip", ["bow", "gc2"])
def test_transpose_over_tiles(chip: str, kind: Any) -> None:
    stage = Stage(16, kind, chip)
    a, b = stage.tensor("a", range(16), 4 * 64), stage.tensor("b", range(16), 4 * 64)
    done, recording, _ = stage.move(a.reshape(64, 64).T, b.reshape(64, 64))
    elements_away = 64 * 64 * 15 // 16 // 16
    at_least = -(-elements_away * np.dtype(kind).itemsize // 4)
    assert at_least <= done.words <= 2 * at_least
    assert recording.received[0].max() == done.words
    assert recording.exchange_cycles[0] < done.words + 300


def test_words_stay_unpacked_where_the_fabric_can_place_them() -> None:
    stage = Stage(4, np.uint32)
    a, b = stage.tensor("a", range(4), 24), stage.tensor("b", range(4), 24)
    done, _, image = stage.move(a.reshape(4, 24)[::-1].reshape(-1), b)
    assert (done.how, done.transfers, done.pack_cycles, done.unpack_cycles) == ("direct", 4, 0, 0)
    assert image.compute_names == ("", "")


@pytest.mark.parametrize("how", ["direct", "both"])
def test_the_same_for_all_is_sent_once(how: str) -> None:
    stage = Stage(8, np.uint32)
    a, b = stage.tensor("a", [0], 50), stage.tensor("b", range(1, 8), 50)
    done, recording, _ = stage.move(a[::-1], b.reshape(7, 50), how)
    assert recording.sent.sum() == done.words == 50
    assert recording.received.sum() == 7 * 50


@pytest.mark.parametrize("kind", [np.uint16, np.uint32])
def test_in_place(kind: Any) -> None:
    """All sources are read before anything is written."""
    stage = Stage(8, kind)
    a = stage.tensor("a", range(8), 32)
    done, _, _ = stage.move(a.reshape(16, 16).T, a.reshape(16, 16))
    assert done.how == "both"
    stage = Stage(8, kind)
    a = stage.tensor("a", range(8), 32)
    done, _, _ = stage.move(a.reshape(8, 32), a.reshape(8, 32)[np.roll(np.arange(8), 3)])
    assert done.how == "pack"


def test_neighbours_of_a_word_are_kept() -> None:
    """Every second half word is overwritten, from another tile and from the same one."""
    stage = Stage(2, np.uint16)
    a, b = stage.tensor("a", range(2), 64), stage.tensor("b", range(2), 64)
    stage.move(a.reshape(2, 64)[:, :32], b.reshape(2, 64)[:, 1::2])
    stage = Stage(2, np.uint16)
    a, b = stage.tensor("a", range(2), 64), stage.tensor("b", range(2), 64)
    stage.move(a.reshape(2, 64)[::-1, :32], b.reshape(2, 64)[:, 1::2])


@pytest.mark.parametrize("kind", KINDS)
def test_scattered_blocks(kind: Any) -> None:
    """Rows of a few blocks into a wider matrix on the same tile: too many for a vertex each."""
    stage = Stage(1, kind)
    per_block = 8 // np.dtype(kind).itemsize
    a, b = stage.tensor("a", [0], 3000 * per_block), stage.tensor("b", [0], 5000 * per_block)
    rows = b.reshape(1000, 5 * per_block)
    stage.move(a.reshape(1000, 3 * per_block)[:, ::-1], rows[:, per_block : 4 * per_block])


def test_long_runs_are_copied_without_tables() -> None:
    stage = Stage(1, np.uint32)
    a, b = stage.tensor("a", [0], 40_000), stage.tensor("b", [0], 40_000)
    pieces = a.reshape(10, 4000)[np.array([3, 9, 0, 1, 7, 5, 2, 8, 6, 4])]
    done, recording, image = stage.move(pieces, b.reshape(10, 4000))
    assert done.unit == 8
    assert not any("tables" in name for name in image.memory_map.names)
    assert done.pack_cycles == pytest.approx(recording.compute_cycles[0], abs=60)
    assert recording.compute_cycles[0] < 1.1 * 20_000  # a block of 8 bytes per cycle


@pytest.mark.parametrize(("kind", "elements"), [(np.uint8, 90_000), (np.uint16, 75_000), (np.uint32, 40_000)])
def test_sources_wider_than_a_table_reaches(kind: Any, elements: int) -> None:
    """90,000 bytes and 75,000 halves are more than 16 bits can tell apart, 40,000 words more than 64 KiB."""
    stage = Stage(1, kind)
    a, b = stage.tensor("a", [0], elements), stage.tensor("b", [0], 600)
    chosen = np.random.default_rng(0).integers(0, elements, 600)
    chosen[:2] = 0, elements - 1
    stage.move(a[chosen], b)


@pytest.mark.parametrize("flip", [False, True], ids=["", "flipped"])
@pytest.mark.parametrize(("rows", "columns"), [(50, 72), (64, 64), (24, 68)])
def test_halves_are_transposed_by_tiles(rows: int, columns: int, flip: bool) -> None:
    """Where rows begin at multiples of 8 bytes most of a matrix goes in 4 x 4 tiles; the rest is gathered."""
    stage = Stage(1, np.uint16)
    a, b = stage.tensor("a", [0], rows * columns + 64), stage.tensor("b", [0], rows * columns + 64)
    source, dest = a[32 : 32 + rows * columns].reshape(rows, columns), b[: rows * columns].reshape(columns, rows)
    done, recording, image = stage.move(source[::-1].T if flip else source.T, dest[::-1] if flip else dest)
    assert "graph_transpose4" in image.symbols or rows % 4
    assert 0 <= recording.compute_cycles[0] - done.pack_cycles <= 20
    if rows % 4 == 0 and not flip:
        assert done.pack_cycles < 0.7 * rows * columns + 250


def test_cycles_told_are_those_that_pass() -> None:
    stage = Stage(1, np.uint16)
    a, b = stage.tensor("a", [0], 96 * 96), stage.tensor("b", [0], 96 * 96)
    done, recording, _ = stage.move(a.reshape(96, 96).T, b.reshape(96, 96))
    assert 0 <= recording.compute_cycles[0] - done.pack_cycles <= 20  # start and end of the program


def test_on_a_whole_chip() -> None:
    """Row t of a matrix of halves on each tile, to the transpose spread likewise: hardly two neighbours stay so."""
    stage = Stage(BOW.tiles, np.uint16)
    a, b = stage.tensor("a", range(BOW.tiles), 48), stage.tensor("b", range(BOW.tiles), 48)
    done, recording, _ = stage.move(a.reshape(BOW.tiles, 48).T, b.reshape(48, BOW.tiles))
    assert done.how in ("unpack", "both")
    assert recording.exchange_cycles[0] < 48 + 300


def test_views_are_numpys() -> None:
    graph = Graph(BOW, 2)
    variable = graph.variable("v", [0, 1], 8)
    graph.tensor("t", (2, 3), np.uint16, variable, np.array([5, 4, -1, 3, 2, 1, 0, -1]))
    view = graph.view("t")
    assert view.place.tolist() == [[6, 5, 4], [3, 1, 0]]
    assert view.T[1].place.tolist() == [5, 1]
    assert view.reshape(-1)[::2].place.tolist() == [6, 4, 1]
    assert view[:, :1].broadcast_to((2, 2)).place.tolist() == [[6, 6], [3, 3]]


def test_refusals() -> None:
    stage = Stage(4, np.uint16)
    a, b = stage.tensor("a", range(4), 8), stage.tensor("b", range(4), 8)
    wide = Stage(4, np.uint32).tensor("a", range(4), 8)
    graph = stage.graph
    with pytest.raises(UsageError, match="another graph"):
        graph.rearrange("r", wide, b)
    with pytest.raises(UsageError, match="element 3 of 'b' is written twice"):
        graph.rearrange("r", a[:2], b[np.array([3, 3])])
    with pytest.raises(UsageError, match=r"shape \(3,\) of 'a' does not fill \(4,\)"):
        graph.rearrange("r", a[:3], b[:4])
    with pytest.raises(UsageError, match="not one of auto, direct"):
        graph.rearrange("r", a, b, how="fast")
    with pytest.raises(UsageError, match="'direct' cannot carry it"):
        graph.rearrange("r", a[::-1], b, how="direct")
    with pytest.raises(UsageError, match="no tensor 'c'"):
        graph.view("c")
    with pytest.raises(UsageError, match="elements of 4 bytes do not go to"):
        other = graph.variable("w", range(4), 8)
        graph.tensor("w", (8,), np.uint32, other)
        graph.rearrange("r", graph.view("w"), b[:8])
    graph.tensor("twice", (31,), np.uint16, b.variable, np.minimum(np.arange(32), 30))
    with pytest.raises(UsageError, match="element 30 lies at 2 places"):
        graph.view("twice")
    assert not graph.program

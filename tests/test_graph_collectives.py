"""Collectives on the machine against NumPy; sums against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tile_emu.chips import load_chip
from tile_emu.errors import UsageError
from tile_emu.exchange.bound import event_bound
from tile_emu.graph import Graph, Image, Variable, collectives
from tile_emu.graph.codelets import COLUMN
from tile_emu.machine import Machine
from tile_emu.profile.recording import Recording

BOW = load_chip("bow")
DTYPES = {"f16": np.float16, "f32": np.float32}


def run(graph: Graph, **inputs: np.ndarray) -> tuple[Machine, Recording, Image]:
    """Lower, write the inputs, run."""
    image = graph.lower()
    machine = Machine(graph.chip, graph.tiles, threads=1)
    machine.load(image)
    for name, values in inputs.items():
        machine.write_tensor(name, values)
    return machine, machine.run(), image


def words(graph: Graph, name: str, tile: Any, count: Any) -> Variable:
    """A variable of shards of so many words and a tensor of them all."""
    variable = graph.variable(name, tile, 4 * np.asarray(count))
    graph.tensor(name, (int(variable.nbytes.sum()) // 4,), np.uint32, variable)
    return variable


def numbers(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(1, 1 << 32, count, dtype=np.uint32)


def near_bound(recording: Recording, image: Image) -> None:
    """No exchange takes more than 10 % over what no schedule can beat."""
    for cycles, (_, transfers) in zip(recording.exchange_cycles, image.exchanges, strict=True):
        assert cycles <= 1.1 * event_bound(BOW, transfers) + 26


SUBSET = np.array([[3, 14, 15, 9], [2, 6, 5, 8], [0, 1, 12, 11]])  # three groups of four tiles of 16


def test_broadcast() -> None:
    graph = Graph(BOW, 16)
    source, dest = words(graph, "a", [3, 7, 0], 30), words(graph, "b", SUBSET.ravel(), 30)
    collectives.broadcast(graph, "bc", source, dest)
    a = numbers(90)
    machine, recording, image = run(graph, a=a)
    got = machine.read_tensor("b").reshape(3, 4, 30)
    assert (got == a.reshape(3, 1, 30)).all()
    assert recording.sent.sum() == 90  # root's own copy comes with the multicast
    near_bound(recording, image)


def test_gather_and_scatter_of_unequal_shares() -> None:
    sizes = np.array([5, 0, 17, 2, 8, 8, 8, 8, 1, 1, 1, 30])
    root = [3, 7, 12]
    graph = Graph(BOW, 16)
    spread, whole = words(graph, "a", SUBSET.ravel(), sizes), words(graph, "b", root, sizes.reshape(3, 4).sum(axis=1))
    again = words(graph, "c", SUBSET.ravel(), sizes)
    collectives.gather(graph, "together", spread, whole)
    collectives.scatter(graph, "apart", whole, again)
    a = numbers(int(sizes.sum()))
    machine, recording, image = run(graph, a=a)
    assert (machine.read_tensor("b") == a).all()
    assert (machine.read_tensor("c") == a).all()
    own = 5 + 1  # of the roots that are members: tile 3 in group 0, tile 12 in group 2
    assert recording.received[0].sum() == sizes.sum() - own
    near_bound(recording, image)


@pytest.mark.parametrize("size", [1, 6])
def test_all_gather(size: int) -> None:
    graph = Graph(BOW, 16)
    source, dest = words(graph, "a", SUBSET.ravel(), size), words(graph, "b", SUBSET.ravel(), 4 * size)
    collectives.all_gather(graph, "ag", source, dest, members=4)
    a = numbers(12 * size)
    machine, recording, image = run(graph, a=a)
    got = machine.read_tensor("b").reshape(3, 4, 4 * size)
    assert (got == a.reshape(3, 1, 4 * size)).all()
    near_bound(recording, image)


def test_all_to_all() -> None:
    graph = Graph(BOW, 16)
    source, dest = words(graph, "a", SUBSET.ravel(), 20), words(graph, "b", SUBSET.ravel(), 20)
    collectives.all_to_all(graph, "aa", source, dest, members=4)
    a = numbers(240)
    machine, recording, image = run(graph, a=a)
    wanted = a.reshape(3, 4, 4, 5).transpose(0, 2, 1, 3)
    assert (machine.read_tensor("b").reshape(wanted.shape) == wanted).all()
    assert recording.received.sum() == 240 * 3 // 4
    near_bound(recording, image)


def test_members_of_one_have_nobody_to_talk_to() -> None:
    graph = Graph(BOW, 4)
    source, dest = words(graph, "a", range(4), 4), words(graph, "b", range(4), 4)
    collectives.all_gather(graph, "ag", source, dest, members=1)
    terms = collectives.terms(graph, "t", range(4), 32)
    graph.tensor("t", (32,), np.float32, terms, order_of(4, 32, np.float32))
    total = collectives.all_reduce(graph, "sum", terms, "f32", members=1)
    graph.tensor("total", (32,), np.float32, total)
    a, t = numbers(16), np.arange(32, dtype=np.float32)
    machine, _, image = run(graph, a=a, t=t)
    assert (machine.read_tensor("b") == a).all()
    assert (machine.read_tensor("total") == t).all()
    assert not image.exchanges


def order_of(shards: int, nbytes: int, dtype: Any) -> np.ndarray:
    """Host order of terms: the spare column of each shard is padding."""
    size = np.dtype(dtype).itemsize
    place = np.arange(shards * nbytes // size).reshape(shards, -1)
    return np.concatenate([place, np.full((shards, COLUMN // size), -1)], axis=1).ravel()


def summed(
    kind: str, tiles: np.ndarray, nbytes: int, dtype: str, chip: str = "bow"
) -> tuple[np.ndarray, np.ndarray, Recording, Image]:
    """(result [groups, members, elements] or shares in a row, terms in float64, recording, image)."""
    described = load_chip(chip)
    element = DTYPES[dtype]
    graph = Graph(described, int(tiles.max()) + 1)
    source = collectives.terms(graph, "terms", tiles.ravel(), nbytes)
    count = nbytes // element().itemsize
    shape = (*tiles.shape, count)
    graph.tensor("terms", shape, element, source, order_of(tiles.size, nbytes, element))
    if kind == "reduce_scatter":
        result, before = collectives.reduce_scatter(graph, "sum", source, dtype, tiles.shape[1])
        place = np.concatenate(
            [b // element().itemsize + np.arange(n // element().itemsize) for b, n in zip(before, result.nbytes)]
        )
        group = np.repeat(
            np.arange(len(tiles)), result.nbytes.reshape(len(tiles), -1).sum(axis=1) // element().itemsize
        )
        graph.tensor("out", (len(tiles), count), element, result, group * count + place)
    else:
        result = collectives.all_reduce(graph, "sum", source, dtype, tiles.shape[1])
        graph.tensor("out", shape, element, result)
    values = np.random.default_rng(nbytes).standard_normal(shape).astype(element)
    machine, recording, image = run(graph, terms=values)
    return machine.read_tensor("out"), values.astype(np.float64), recording, image


def assert_sums(got: np.ndarray, terms: np.ndarray, dtype: str, roundings: int) -> None:
    """f32 sums of n terms err by at most n - 1 roundings of the partial sums; ``roundings`` to f16 come on top."""
    exact, magnitude = terms.sum(axis=1), np.abs(terms).sum(axis=1)
    limit = terms.shape[1] * 2.0**-24 * magnitude
    if dtype == "f16":
        limit = limit + roundings * 2.0**-11 * magnitude
    error = np.abs(got.astype(np.float64) - exact)
    assert (error <= limit).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nbytes", [16, 96, 32 * 16])
@pytest.mark.parametrize("chip", ["bow", "gc2"])
def test_reduce_scatter(chip: str, nbytes: int, dtype: str) -> None:
    got, terms, _, image = summed("reduce_scatter", SUBSET, nbytes, dtype, chip)
    assert_sums(got, terms, dtype, 1)
    assert len(image.exchanges) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nbytes", [16, 4096])
@pytest.mark.parametrize("tiles", [SUBSET, np.arange(24)[None], np.arange(23)[None, ::-1]], ids=["3x4", "24", "23"])
def test_all_reduce(tiles: np.ndarray, nbytes: int, dtype: str) -> None:
    got, terms, recording, image = summed("all_reduce", tiles, nbytes, dtype)
    rounds = len(image.exchanges)
    for member in range(tiles.shape[1]):
        assert_sums(got[:, member], terms, dtype, rounds)
    assert (got == got[:, :1]).all()  # the same bits everywhere
    if nbytes == 4096:
        assert image.exchange_names == ("exchange of sum", "gather of sum")
        near_bound(recording, image)


def test_short_sums_of_a_whole_chip_take_rounds() -> None:
    got, terms, recording, image = summed("all_reduce", np.arange(BOW.tiles)[None], 16, "f32")
    assert_sums(got[:, 0], terms, "f32", 0)
    assert (got == got[:, :1]).all()
    assert len(image.exchanges) > 1
    assert recording.cycles < 1471 * 6  # what one worker alone would take to add them


@pytest.mark.parametrize("members", [2, 6, 7, 64, 1472])
@pytest.mark.parametrize("columns", [1, 10, 1000])
def test_rounds_multiply_to_the_members(members: int, columns: int) -> None:
    rounds = collectives.all_reduce_rounds(BOW, members, columns, 4)
    assert rounds is None or np.prod(rounds) == members
    if columns == 1000:
        assert rounds is None or members == 2


def test_refusals() -> None:
    graph = Graph(BOW, 8)
    a, b = words(graph, "a", range(8), 6), words(graph, "b", range(8), 6)
    three = words(graph, "three", range(3), 6)
    twice = words(graph, "twice", [0, 1, 1, 2], 6)
    with pytest.raises(UsageError, match="do not divide into 3 groups"):
        collectives.broadcast(graph, "x", three, a)
    with pytest.raises(UsageError, match="no whole groups of 3"):
        collectives.all_gather(graph, "x", a, b, members=3)
    with pytest.raises(UsageError, match="multiple of 4 times the 4 members"):
        collectives.all_to_all(graph, "x", a, b, members=4)
    with pytest.raises(UsageError, match="two members of group 0 of 'twice' are on tile 1"):
        collectives.all_gather(graph, "x", twice, twice)
    with pytest.raises(UsageError, match=r"made by collectives\.terms"):
        collectives.all_reduce(graph, "x", a, "f32")
    with pytest.raises(UsageError, match="'f64' is not one of"):
        collectives.reduce_scatter(graph, "x", a, "f64")
    assert not graph.program

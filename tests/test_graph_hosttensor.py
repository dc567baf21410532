"""Host tensors: every element goes to its byte, and comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph_tools import fake_tools
from tile_emu.chips import load_chip
from tile_emu.errors import UsageError
from tile_emu.graph import Graph
from tile_emu.graph.hostorder import BLOCK, HostOrder

BASE, SIZE = 0x4C000, 638_976


def placed(shape, dtype, tile, nbytes, order=None, tiles=4):
    graph = Graph(load_chip("bow"), tiles)
    graph.variable("before", range(tiles), 24)
    graph.tensor("x", shape, dtype, graph.variable("x", tile, nbytes), order)
    image = graph.lower(tools=fake_tools())
    return image.tensors["x"], image.memory_map


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=12),
    st.sampled_from([np.float16, np.float32, np.uint16, np.float64]),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_every_element_at_its_byte(shards, dtype, padding, random):
    item = np.dtype(dtype).itemsize
    elements = sum(count for _, count in shards)
    size = max(elements - padding, 0)
    order = [*range(size), *[-1] * (elements - size)]
    random.shuffle(order)
    tensor, where = placed((size,), dtype, [t for t, _ in shards], [item * n for _, n in shards], np.array(order, int))
    rng = np.random.default_rng(len(order))
    array = rng.integers(1, 1 << 8, size * item, dtype=np.uint8).view(dtype)
    memory = np.full((4, SIZE), 0xAA, np.uint8)
    tensor.pack(array, memory)

    # one element at a time, through the memory map
    expected = np.full((4, SIZE), 0xAA, np.uint8)
    address = {int(s): int(a) for n, s, a in zip(where.name_index, where.shard, where.address) if where.names[n] == "x"}
    places = [(t, address[i] - BASE + item * k) for i, (t, count) in enumerate(shards) for k in range(count)]
    for (tile, at), index in zip(places, order):
        value = array[index : index + 1] if index >= 0 else np.zeros(1, dtype)
        expected[tile, at : at + item] = value.view(np.uint8)
    assert (memory == expected).all()
    assert tensor.unpack(memory).tobytes() == array.tobytes()


@pytest.mark.nojit
def test_identity_order_and_shape():
    tensor, _ = placed((2, 3, 4), np.float16, [3, 1, 0], 16)
    memory = np.zeros((4, SIZE), np.uint8)
    array = np.arange(24, dtype=np.float16).reshape(2, 3, 4)
    tensor.pack(array[:, :, ::-1], memory)
    assert (tensor.unpack(memory) == array[:, :, ::-1]).all()


@pytest.mark.nojit
def test_a_replicated_element_is_written_everywhere():
    tensor, _ = placed((2,), np.float32, [0, 1], 8, np.array([0, 1, 1, 0]))
    memory = np.zeros((4, SIZE), np.uint8)
    tensor.pack(np.array([3, 5], np.float32), memory)
    words = memory[:2].view(np.float32)
    assert sorted(words[0][words[0] != 0]) == sorted(words[1][words[1] != 0]) == [3, 5]


@pytest.mark.parametrize(
    ("shape", "dtype", "order", "message"),
    [
        ((5,), np.float32, None, "tensor 'x' has 5 elements, its variable holds 4"),
        ((5,), np.float64, None, "a shard of 'x' is not a whole number of float64 elements"),
        ((4,), np.float32, np.arange(5), "order has 5 entries, its variable holds 4"),
        ((4,), np.float32, np.array([0, 1, 2, 4]), "order must lie in -1..3"),
    ],
)
def test_bad_tensors(shape, dtype, order, message):
    with pytest.raises(UsageError, match=message):
        placed(shape, dtype, [0, 1, 2, 3], 4, order)


def test_bad_arrays():
    tensor, _ = placed((4,), np.float16, [0], 8)
    memory = np.zeros((4, SIZE), np.uint8)
    with pytest.raises(UsageError, match=r"has shape \(4,\), not \(2, 2\)"):
        tensor.pack(np.zeros((2, 2), np.float16), memory)
    with pytest.raises(UsageError, match="has dtype float16, not float32"):
        tensor.pack(np.zeros(4, np.float32), memory)


@pytest.mark.nojit
@given(st.lists(st.tuples(st.integers(-1, 400), st.integers(-3, 3), st.integers(1, 40)), max_size=12))
def test_an_order_in_patterns_is_the_order(runs):
    order = np.array([start + step * i for start, step, count in runs for i in range(count)], np.int64)
    order = np.maximum(order, -1)
    made = HostOrder.of(order)
    assert np.array_equal(made.expanded(), order)
    assert len(made.patterns) <= len(made.first) == -(-len(order) // BLOCK)


def test_regular_orders_have_few_patterns():
    channels_first = np.arange(64 * 56 * 56).reshape(64, 56 * 56)
    positions = channels_first.reshape(4, 16, 56 * 56).transpose(0, 2, 1)
    assert len(HostOrder.of(positions).patterns) == 1
    padded = np.pad(np.arange(50 * 30).reshape(50, 30), ((0, 0), (0, 2)), constant_values=-1)
    assert len(HostOrder.of(padded).patterns) == 2
    assert np.array_equal(HostOrder.straight(37).expanded(), np.arange(48)[:37])

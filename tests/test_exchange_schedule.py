"""Merging of fragments, the scheduler and the static check."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchange_tools import all_gather, all_to_all, grid_gather, transfers_of
from tile_emu.chips import load_chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange import Transfers, check_schedule, load_bound, schedule
from tile_emu.exchange.pairing import divided, lane_bound, ordinary, shortened

BOW = load_chip("bow")
FABRIC = 171  # events at most from a send to the end of its receiver's row: what comes on top of a bound in words


def copies_of(t: Transfers) -> dict[tuple[int, int], tuple[int, int]]:
    """Word by word: (tile, address) stored -> (tile, address) read."""
    out = {}
    for i in range(len(t)):
        for j in range(t.dest_start[i], t.dest_start[i + 1]):
            for k in range(0, 4 * t.words[i], 4):
                key = (int(t.dest_tile[j]), int(t.dest_address[j]) + k)
                assert key not in out
                out[key] = (int(t.source_tile[i]), int(t.source_address[i]) + k)
    return out


def test_merge_makes_multicasts_and_joins_neighbours():
    t = Transfers.merge(
        [3, 3, 3, 3, 3],
        [0x60000, 0x60000, 0x60010, 0x60010, 0x60020],
        [16, 16, 16, 16, 8],
        [5, 4, 4, 5, 4],
        [0x70000, 0x80000, 0x80010, 0x70010, 0x90000],
        [0, 0, 1, 1, 2],
        ("a", "b", "c"),
    )
    assert t.source_address.tolist() == [0x60000, 0x60020]
    assert t.words.tolist() == [8, 2]
    assert t.dest_tile.tolist() == [4, 5, 4]
    assert t.dest_address.tolist() == [0x80000, 0x70000, 0x90000]
    assert [t.name(0), t.name(1)] == ["a", "c"]


def test_merge_sends_twice_what_one_tile_wants_twice():
    t = Transfers.merge(3, 0x60000, 16, [5, 5, 6, 5], [0x70000, 0x71000, 0x70000, 0x70000])
    assert len(t) == 2
    assert np.diff(t.dest_start).tolist() == [2, 1]
    assert len(copies_of(t)) == 12


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_merge_keeps_every_word(data):
    """Random fragments cut from a random word map come back as the same map."""
    words = data.draw(st.integers(1, 40))
    fragments = []
    for tile in (1, 2, 3):
        start = data.draw(st.integers(0, 8))
        k = 0
        while k < words:
            n = data.draw(st.integers(1, 12))
            fragments.append((7, 0x60000 + 4 * (start + k), 4 * n, tile, 0x70000 + 4 * k))
            k += n
    order = data.draw(st.permutations(range(len(fragments))))
    columns = np.array(fragments)[list(order)].T
    expected = {}
    for s, a, nbytes, d, to in fragments:
        expected.update({(d, to + k): (s, a + k) for k in range(0, nbytes, 4)})
    assert copies_of(Transfers.merge(*columns)) == expected


def test_merge_of_aligned_multicast_cut_to_pieces_is_one_transfer():
    piece = np.arange(50)[:, None]
    tiles = np.arange(8)
    t = Transfers.merge(9, 0x60000 + 32 * piece, 32, tiles, 0x70000 + 32 * piece + 4 * tiles)
    assert len(t) == 1 and t.words.tolist() == [400] and t.dest_tile.tolist() == tiles.tolist()


def test_shortened_and_divided_keep_every_word():
    t = Transfers.merge(3, 0x60000, 4 * 37, [2, 3, 5, 6, 7, 9, 12], 0x70000)
    cut = shortened(ordinary(t), 10)
    assert cut.transfers.words.tolist() == [10, 10, 10, 7]
    assert copies_of(cut.transfers) == copies_of(t)
    for receivers, sets in ((4, [[2, 3, 5, 6], [7, 9, 12]]), (2, [[2, 3], [5, 6], [7, 9], [12]])):
        apart = divided(ordinary(t), receivers).transfers
        assert copies_of(apart) == copies_of(t)
        bounds = apart.dest_start
        assert [apart.dest_tile[a:b].tolist() for a, b in itertools.pairwise(bounds)] == sets


@pytest.mark.parametrize(("seed", "tiles", "receivers", "allowed"), [(1, 1472, 8, 1.2), (2, 1472, 100, 1.5)])
def test_irregular_multicasts(seed, tiles, receivers, allowed):
    """Random receivers; sent as they are, 100 at once would take 9 times the bound."""
    rng = np.random.default_rng(seed)
    groups = []
    for _ in range(6000 if receivers < 10 else 1000):
        to = rng.choice(tiles, receivers, replace=False).tolist()
        groups.append((int(rng.integers(tiles)), to, int(rng.integers(1, 80))))
    t = transfers_of(BOW, groups)
    plan = schedule(BOW, t)
    check_schedule(BOW, plan)
    assert plan.horizon <= allowed * (load_bound(BOW, t) + FABRIC)


@pytest.mark.parametrize("words", [256, 32])
def test_random_transpose_of_8_kib_a_tile(words):
    """2,048 words of every tile in pieces that change places at random."""
    pieces = 2048 // words
    rng = np.random.default_rng(7)
    place = rng.permutation(1472 * pieces)
    source, dest = np.repeat(np.arange(1472), pieces), place // pieces
    base = BOW.memory.base
    moved = source != dest
    at, to = base + 4 * words * (np.arange(place.size) % pieces), base + 0x40000 + 4 * words * (place % pieces)
    t = Transfers.merge(source[moved], at[moved], 4 * words, dest[moved], to[moved])
    plan = schedule(BOW, t)
    check_schedule(BOW, plan)
    assert plan.horizon <= 1.5 * (load_bound(BOW, t) + FABRIC)


@pytest.mark.parametrize(("address", "nbytes"), [(0x60002, 8), (0x60000, 6)])
def test_merge_refuses_unaligned(address, nbytes):
    with pytest.raises(IllegalExchange, match=r"'halo'.*multiples of 4"):
        Transfers.merge(1, address, nbytes, 2, 0x70000, 0, ("halo",))


def test_transfer_to_itself_only_is_refused():
    t = Transfers.merge(4, 0x60000, 16, 4, 0x70000, 0, ("own",))
    with pytest.raises(IllegalExchange, match=r"'own': tile 4 would send only to itself"):
        schedule(BOW, t)


def brute_force_collisions(chip, plan) -> int:
    """Cycles at which some tile's lane or mux is used twice, counted cycle by cycle."""
    from tests import exchange_oracle as oracle

    t = plan.pieces.transfers
    ids = [oracle.physical(tile, chip.exchange.rows) for tile in range(chip.tiles)]
    seen: set[tuple[str, int, int]] = set()
    clashes = 0
    for i in range(len(t)):
        s, wide = int(t.source_tile[i]), bool(plan.pieces.wide[i])
        places = [("send", s, int(plan.start[i]))]
        if wide:
            places.append(("send", ids.index(ids[s] ^ 2), int(plan.start[i])))
        for d in t.dest_tile[t.dest_start[i] : t.dest_start[i + 1]]:
            places.append(("mux", int(d), int(plan.start[i]) + oracle.fabric(ids[s], ids[d])[2]))
        for what, tile, begin in places:
            assert begin >= 0
            for k in range(int(t.words[i]) // (2 if wide else 1)):
                clashes += (what, tile, begin + k) in seen
                seen.add((what, tile, begin + k))
    return clashes


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["bow", "gc2"]))
def test_random_multicasts_never_collide(seed, name):
    chip = load_chip(name)
    rng = np.random.default_rng(seed)
    pool = rng.choice(chip.tiles, rng.integers(2, 12), replace=False)
    groups = []
    for _ in range(rng.integers(1, 30)):
        s = rng.choice(pool)
        to = rng.choice(pool, rng.integers(1, pool.size), replace=False)
        if to.tolist() != [s]:
            groups.append((int(s), to.tolist(), int(rng.integers(1, 90))))
    if not groups:
        return
    t = transfers_of(chip, groups)
    plan = schedule(chip, t)
    assert brute_force_collisions(chip, plan) == 0
    check_schedule(chip, plan)
    assert plan.horizon >= lane_bound(chip, plan.pieces)
    assert np.array_equal(plan.start, schedule(chip, t).start)


# Events against the bound: most cycles of one lane or receiver, and the fabric.
QUALITY = {
    "gather 16 x 128": (all_gather(BOW, 1472, 16, 128), 1.0),
    "gather 46 x 64": (all_gather(BOW, 1472, 46, 64), 1.0),
    "grid 32 x 46, 64 and 64": (grid_gather(BOW, 32, 46, 64, 64), 1.1),
    "grid 16 x 92, 20 and 50": (grid_gather(BOW, 16, 92, 20, 50), 1.1),
    "reduce-scatter 16 x 32": (all_to_all(BOW, 1472, 16, 32), 1.0),
    "reduce-scatter 46 x 32": (all_to_all(BOW, 1472, 46, 32), 1.0),
    "reduce-scatter 46 x 32, tiles far apart": (all_to_all(BOW, 1472, 46, 32, stride=True), 1.1),
    "all to all 64 x 64": (all_to_all(BOW, 64, 64, 64), 1.0),
}


@pytest.mark.parametrize("case", QUALITY)
def test_quality(case):
    t, allowed = QUALITY[case]
    plan = schedule(BOW, t)
    check_schedule(BOW, plan)
    assert plan.horizon <= allowed * (lane_bound(BOW, plan.pieces) + FABRIC)
    assert plan.pieces.wide.any() == ("ga" in case or "grid" in case)


def test_whole_pairs_halve_a_gather():
    """Every word goes to all 16 tiles of a group: 16 x 128 words, two at a time."""
    plan = schedule(BOW, all_gather(BOW, 1472, 16, 128))
    assert plan.horizon <= 16 * 128 // 2 + FABRIC


def small() -> tuple[Transfers, object]:
    t = Transfers.merge(
        [10, 56, 10], [0x60000, 0x60000, 0x64000], [240, 240, 80], [700, 700, 12], [0x70000, 0x72000, 0x74000],
        [0, 1, 2], ("first", "second", "third"),
    )  # fmt: skip
    return t, schedule(BOW, t)


def test_check_names_both_transfers_tiles_and_cycles():
    t, plan = small()
    check_schedule(BOW, plan)
    start = plan.start.copy()
    by_name = {t.name(i): i for i in range(3)}
    # Worked pairs: m(10, 700) = -42, and -24 for 56 -> 700.
    start[by_name["first"]], start[by_name["second"]], start[by_name["third"]] = 42, 83, 500
    with pytest.raises(IllegalExchange) as caught:
        check_schedule(BOW, dataclasses.replace(plan, start=start))
    assert str(caught.value) == (
        "tile 700 would listen for two transfers at once: 'first' from tile 10 at cycles 0..59 and 'second' from tile "
        "56 at cycles 59..118"
    )
    start[by_name["second"]] = 84
    check_schedule(BOW, dataclasses.replace(plan, start=start))
    start[by_name["third"]] = 101
    with pytest.raises(IllegalExchange, match=r"tile 10 would send two transfers at once: 'first'.*42..101.*101..120"):
        check_schedule(BOW, dataclasses.replace(plan, start=start))
    start[by_name["first"]] = 41
    with pytest.raises(IllegalExchange, match=r"'first': tile 10 sends at cycle 41 and tile 700 would .* at cycle -1"):
        check_schedule(BOW, dataclasses.replace(plan, start=start))


def test_check_refuses_overlapping_addresses():
    twice = Transfers.merge([1, 2], 0x60000, 16, 3, [0x70000, 0x7000C], [0, 1], ("a", "b"))
    with pytest.raises(IllegalExchange, match=r"tile 3: 'a' from tile 1 .* and 'b' from tile 2 .* overlap"):
        check_schedule(BOW, schedule(BOW, twice))
    forward = Transfers.merge([1, 3], [0x60000, 0x7000C], 16, [3, 4], [0x70000, 0x80000], [0, 1], ("a", "b"))
    with pytest.raises(IllegalExchange, match=r"tile 3 sends 'b' .* stores 'a' of tile 1 over it"):
        check_schedule(BOW, schedule(BOW, forward))
    outside = Transfers.merge(1, 0x60000, 16, 3, BOW.memory.end - 12)
    with pytest.raises(IllegalExchange, match=r"of tile 3 are not in tile memory"):
        check_schedule(BOW, schedule(BOW, outside))

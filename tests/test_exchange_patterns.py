"""Traffic patterns against plain NumPy, the bound against worked examples of the fabric, and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.exchange_tools import transfers_of
from tile_emu.chips import load_chip
from tile_emu.cli.entry import run
from tile_emu.errors import UsageError
from tile_emu.exchange.bound import event_bound
from tile_emu.exchange.patterns import PATTERNS, Copies, pattern_copies
from tile_emu.exchange.schedule import schedule
from tile_emu.traffic import run_traffic

BOW = load_chip("bow")


def carried_out(name: str, copies: Copies, tiles: int, sent: list[np.ndarray]) -> list[np.ndarray]:
    """Every tile's incoming bytes, copy by copy."""
    _, incoming = copies.area_bytes(tiles)
    areas = [np.zeros(n, np.uint8) for n in incoming]
    columns = (copies.source_tile, copies.source_offset, copies.dest_tile, copies.dest_offset, copies.nbytes)
    for s, a, d, b, n in zip(*(column.tolist() for column in columns), strict=True):
        assert s != d or name == "broadcast"
        assert not areas[d][b : b + n].any()  # nothing is written twice: what is sent has no zero byte
        areas[d][b : b + n] = sent[s][a : a + n]
    return areas


def outgoing(copies: Copies, tiles: int) -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    return [generator.integers(1, 256, n, dtype=np.uint8) for n in copies.area_bytes(tiles)[0]]


@pytest.mark.parametrize("tiles", [2, 3, 8, 13])
@pytest.mark.parametrize("name", PATTERNS)
def test_load_of_every_tile(name: str, tiles: int) -> None:
    nbytes = 4 * 37
    copies = pattern_copies(name, tiles, nbytes)
    received = carried_out(name, copies, tiles, outgoing(copies, tiles))
    sizes = [len(area) for area in received]
    expected = {
        "scatter": [0] + [nbytes] * (tiles - 1),
        "gather": [nbytes * (tiles - 1)] + [0] * (tiles - 1),
    }.get(name, [nbytes] * tiles)
    if name != "transpose":  # there the words that stay leave gaps
        assert sizes == expected
        assert all(area.all() for area in received)  # no gaps


def test_gather_scatter_and_broadcast() -> None:
    for name in ("gather", "scatter", "broadcast"):
        copies = pattern_copies(name, 5, 12)
        sent = outgoing(copies, 5)
        received = carried_out(name, copies, 5, sent)
        if name == "gather":
            assert np.array_equal(received[0], np.concatenate(sent[1:]))
        elif name == "scatter":
            assert np.array_equal(np.concatenate(received[1:]), sent[0])
        else:
            assert all(np.array_equal(area, sent[0]) for area in received)


def test_all_to_all_divides_what_does_not_divide() -> None:
    copies = pattern_copies("all-to-all", 5, 4 * 11)
    for d in range(5):
        sizes = sorted(copies.nbytes[copies.dest_tile == d].tolist())
        assert sizes == [8, 12, 12, 12]


@pytest.mark.parametrize(("tiles", "words"), [(4, 4), (3, 8), (7, 3)])
def test_transpose_is_the_transpose(tiles: int, words: int) -> None:
    matrix = np.arange(1, tiles * words + 1, dtype=np.uint32).reshape(tiles, words)
    copies = pattern_copies("transpose", tiles, 4 * words)
    wanted = matrix.T.reshape(tiles, words)
    got = np.zeros_like(wanted)
    for s, a, d, b in zip(copies.source_tile, copies.source_offset, copies.dest_tile, copies.dest_offset):
        got[d, b // 4] = matrix[s, a // 4]
    stays = got == 0
    assert np.array_equal(got[~stays], wanted[~stays])
    assert np.array_equal((wanted[stays] - 1) // words, np.nonzero(stays)[0])  # their row is on that tile


def test_random_depends_on_the_seed_alone() -> None:
    first, again, other = (pattern_copies("random", 9, 256, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.dest_tile, again.dest_tile)
    assert not np.array_equal(first.dest_tile, other.dest_tile)


@pytest.mark.parametrize(
    ("name", "tiles", "nbytes", "message"),
    [
        ("ring", 4, 4, "choose one of p2p"),
        ("p2p", 1, 4, "at least 2"),
        ("p2p", 4, 6, "multiple of 4"),
        ("p2p", 4, 0, "multiple of 4"),
        ("all-to-all", 10, 32, "36 bytes per tile"),
    ],
)
def test_refusals(name: str, tiles: int, nbytes: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pattern_copies(name, tiles, nbytes)


def test_bound_of_worked_messages() -> None:
    """Rows worked out by hand from the fabric's formula: 5 words 10 -> 700; 60 words each from 10 and 56 to 700."""
    assert event_bound(BOW, transfers_of(BOW, [(10, [700], 5)])) == 97
    assert event_bound(BOW, transfers_of(BOW, [(10, [700], 60), (56, [700], 60)])) == 212
    # multicast: starts at 49, the last of the receivers stores from event 94 on
    assert event_bound(BOW, transfers_of(BOW, [(10, [12, 56, 700, 1100], 8)])) == 94 + 7 + 7


@pytest.mark.parametrize("seed", range(5))
def test_no_schedule_beats_the_bound(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = []
    for _ in range(60):
        s, *to = generator.choice(BOW.tiles, int(generator.integers(2, 5)), replace=False).tolist()
        groups.append((s, to, int(generator.integers(1, 40))))
    transfers = transfers_of(BOW, groups)
    assert event_bound(BOW, transfers) <= schedule(BOW, transfers).horizon


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_on_the_machine(name: str) -> None:
    result = run_traffic(BOW, 16, pattern_copies(name, 16, 240), seed=3)
    assert result.wrong_words == 0
    assert result.bound <= result.cycles <= 1.2 * result.bound
    assert result.word_bound <= result.bound


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exchange", "p2p", "--bytes", "400", "--tiles", "8", "--chip", "gc2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"cycles", "bound", "bytes_per_cycle_per_tile", "row_bytes_max"} <= set(document)
    assert document["check"]["ok"] and document["words"] == {"sent": 800, "received": 800}
    assert document["bytes_per_cycle_per_tile"] == pytest.approx(400 / document["cycles"])
    assert document["word_bound"] == 100 < document["bound"] <= document["cycles"]
    assert 0 < document["row_bytes_max"] < 200
    assert run(["exchange", "broadcast", "--bytes", "8", "--tiles", "4"]) == 0
    assert "all 8 words received are right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("ring", "--bytes", "4"), 2, "choose one of p2p"),
        (("p2p",), 2, "--bytes"),
        (("p2p", "--bytes", "6"), 2, "multiple of 4"),
        (("p2p", "--bytes", "8", "--tiles", "1"), 2, "at least 2"),
        (("p2p", "--bytes", "8", "--tiles", "1473"), 2, "1472 tiles"),
        (("p2p", "--bytes", "8", "--chip", "gc9"), 2, "unknown chip"),
        (("p2p", "--bytes", "8", "--seed", "-1"), 2, "negative"),
        (("p2p", "--bytes", "8", "--threads", "0"), 2, "at least 1"),
        (("gather", "--bytes", "4000"), 1, "tile 0 is out of memory"),
    ],
)
def test_command_refuses(
    arguments: tuple[str, ...], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["exchange", *arguments]) == status
    assert message in capsys.readouterr().err

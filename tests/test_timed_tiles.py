"""Which tiles' workers are timed: as typed, bounded, and with the tiles that held the chip up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.matmul import matmul
from tile_emu.chips import load_chip
from tile_emu.cli.entry import run
from tile_emu.errors import UsageError
from tile_emu.exchange.log import COUNT, EVENT, KIND, POINTER, VALUE, WORKER
from tile_emu.profile import Recording
from tile_emu.profile.timed import TileChoice
from tile_emu.tile import layout
from tile_emu.tile.state import TileArrays
from tile_emu.tile.timeline import Timeline

TILES = 12


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("text", "tiles"),
    [
        ("", []),
        ("none", []),
        ("3", [3]),
        ("7,3,7", [3, 7]),
        ("2-5", [2, 3, 4, 5]),
        ("0-11:4, 1", [0, 1, 4, 8]),
        ("spread", [0, 2, 3, 5, 6, 8, 9, 11]),
        ("slowest", []),
    ],
)
def test_what_is_known_before_a_run(text: str, tiles: list[int]) -> None:
    assert TileChoice.parse(text).fixed(TILES) == tiles


@pytest.mark.nojit
def test_words() -> None:
    choice = TileChoice.parse("1,slowest,all")
    assert (choice.slowest, choice.every, choice.spread) == (True, True, False)


@pytest.mark.nojit
@pytest.mark.parametrize("text", ["fast", "5-2", "1-4:0", "-3", "1-", "none,3", "1.5", "none,all"])
def test_what_cannot_be_typed(text: str) -> None:
    with pytest.raises(UsageError, match="tiles '"):
        TileChoice.parse(text)


# --- collecting, from logs that are written by hand ---


def arrays() -> TileArrays:
    return TileArrays(load_chip("bow"), TILES)


def write_log(tiles: TileArrays, counts: list[int], turns: list[int]) -> None:
    """Every tile's log: one line that is no run, then its count of runs of worker 2, ten cycles apart."""
    for tile, (count, length) in enumerate(zip(counts, turns)):
        lines = tiles.log[tile]
        lines[0, KIND] = POINTER
        for i in range(count):
            lines[1 + i, [KIND, EVENT, VALUE, COUNT]] = WORKER, 10 * i, length, 2
        tiles.sup[tile, layout.LOG_COUNT] = 1 + count
        tiles.sup[tile, layout.RELEASE] = 1000


def collected(choice: str, counts: list[int], turns: list[int], **bounds: int) -> np.ndarray:
    """Runs of two phases alike; tile 9 ends the first, longer one last and tile 4 the second."""
    tiles = arrays()
    timeline = Timeline(tiles, TileChoice.parse(choice), **bounds)
    for phase in (0, 1):
        write_log(tiles, counts, turns)
        timeline.take(phase, start=400)
    return timeline.runs(recording())


def recording() -> Recording:
    made = Recording.zeros(load_chip("bow"), TILES, ("a", "b"), ("ab",), "test")
    made.turns[:] = 1
    made.arrival[0] = 500
    made.arrival[0, 9] = 900
    made.release[0] = made.row_end[0] = 1000
    made.finish[:] = 1300
    made.finish[4] = 1310
    return made


def of_tiles(runs: np.ndarray) -> dict[int, int]:
    """How many runs there are of each tile."""
    numbers, counts = np.unique(runs[:, 1], return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist()))


COUNTS = [3] * TILES
TURNS = [5] * TILES


def test_runs_are_read_from_the_logs() -> None:
    runs = collected("1,6", COUNTS, TURNS)
    assert of_tiles(runs) == {1: 6, 6: 6}
    assert runs[runs[:, 1] == 6].tolist() == [[phase, 6, 2, 600 + 10 * i, 5] for phase in (0, 1) for i in range(3)]


def test_the_slowest_tiles_are_known_afterwards() -> None:
    assert recording().slow_tiles() == [9, 4]
    assert of_tiles(collected("slowest", COUNTS, TURNS)) == {4: 6, 9: 6}
    assert of_tiles(collected("slowest,0", COUNTS, TURNS)) == {0: 6, 4: 6, 9: 6}
    assert of_tiles(collected("all", COUNTS, TURNS)) == dict.fromkeys(range(TILES), 6)
    assert of_tiles(collected("none", COUNTS, TURNS)) == {}


def test_no_more_runs_than_a_page_can_show() -> None:
    """72 runs of all tiles; with room for 30: the slowest, then every so many others as fit."""
    assert of_tiles(collected("all,slowest", COUNTS, TURNS, most=30)) == {0: 6, 4: 6, 5: 6, 9: 6, 10: 6}
    assert of_tiles(collected("0-11,slowest", COUNTS, TURNS, most=20)) == {0: 6, 4: 6, 9: 6}
    assert of_tiles(collected("0-11,slowest", COUNTS, TURNS, most=1)) == {9: 6}


def test_a_long_program_is_followed_on_fewer_tiles() -> None:
    """The first phase is beyond the room: from then on the fixed tiles and the three busiest, or half of all."""
    turns = [5] * TILES
    turns[9] = turns[2] = turns[3] = 40
    found = collected("0,slowest", COUNTS, turns, room=30)
    assert of_tiles(found) == {0: 6, 9: 6}  # tile 4, which held up the second phase, was given up
    assert of_tiles(collected("all", COUNTS, turns, room=30)) == dict.fromkeys((0, 2, 3, 6, 9), 6)
    # no slow tile is left: the busiest one stands for them
    turns = [5] * TILES
    turns[5] = turns[6] = turns[7] = 40
    assert of_tiles(collected("slowest", COUNTS, turns, room=30)) == {5: 6}


def test_the_first_runs_of_a_phase_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tile_emu.tile.timeline.MOST_RUNS", 2)
    tiles = arrays()
    timeline = Timeline(tiles, TileChoice.parse("0-2"))
    tiles.reserve_log(8)
    write_log(tiles, [4, 1, 2] + [0] * 9, TURNS)
    timeline.take(0, start=400)
    runs = timeline.runs(recording())
    assert of_tiles(runs) == {0: 2, 1: 1, 2: 2}
    assert runs[:2, 3].tolist() == [600, 610]


def test_a_tile_beyond_the_program() -> None:
    with pytest.raises(UsageError, match="tile 12 cannot be timed: the program has tiles 0 to 11"):
        Timeline(arrays(), TileChoice.parse("3,12"))


# --- a product ---


def test_runs_of_all_tiles_account_for_all_turns() -> None:
    a = np.ones((50, 40), np.float32)
    timed = matmul(a, a.T[:, :30], "f16", threads=1, tiles=TILES, timed=TileChoice.parse("all,slowest")).recording
    phase, tile, worker, _, turns = timed.worker_runs.T
    total = np.zeros_like(timed.worker_turns)
    np.add.at(total, (phase, tile, worker), turns)
    assert np.array_equal(total, timed.worker_turns)
    plain = matmul(a, a.T[:, :30], "f16", threads=1, tiles=TILES).recording
    assert plain.cycles == timed.cycles and np.array_equal(plain.turns, timed.turns)


SMALL = ["run", "matmul", "--m", "50", "--k", "40", "--n", "30", "--chip", "bow[tiles=12]"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "report"
    arguments = ["--report", str(folder), "--report-tiles", "1-2,slowest", "--report-parquet", "--plan-rank", "2"]
    assert run([*SMALL, *arguments]) == 0
    found = Recording.load(folder / "recording.npz")
    assert {1, 2} <= set(found.worker_runs[:, 1].tolist()) and found.slow_tiles()[0] in found.worker_runs[:, 1]
    document: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    assert [plan["rank"] for plan in document["plans"] if plan["chosen"]] == [2]
    assert [plan["rank"] for plan in document["plans"]] == list(range(1, len(document["plans"]) + 1))
    totals = [plan["predicted"]["total"] for plan in document["plans"]]
    assert totals == sorted(totals) and len(totals) == 10
    import pyarrow.parquet as parquet

    table = parquet.read_table(folder / "recording.parquet")
    assert sum(table["turns"].to_pylist()) == found.turns.sum()
    # a later run without it leaves no table of the earlier one behind
    assert run([*SMALL, "--report", str(folder)]) == 0
    assert not (folder / "recording.parquet").exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report-tiles", "3"], "need --report FOLDER"),
        (["--report-parquet"], "need --report FOLDER"),
        (["--report", "{0}", "--report-tiles", "x"], "'x' is no tile"),
        (["--report", "{0}", "--report-tiles", "99"], "tile 99 cannot be timed"),
        (["--plan-rank", "0"], "--plan-rank 0"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, *(argument.format(tmp_path) for argument in arguments)]) == 2
    assert message in capsys.readouterr().err

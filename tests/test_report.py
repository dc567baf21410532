"""Saved reports, what is worked out from them, and `tile-emu report`, against figures worked out by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graph_tools import ADD, COPY, fake_tools
from tests.recordings import small_recording
from tests.reports import plan_choices, small_report, small_sram
from tile_emu.chips import load_chip
from tile_emu.cli.entry import run
from tile_emu.errors import UsageError
from tile_emu.graph import Graph, Pointer
from tile_emu.profile import Recording
from tile_emu.profile.advice import advice
from tile_emu.profile.analysis import predicted_cycles, roofline, slowest
from tile_emu.profile.listing import codelet_uses
from tile_emu.profile.memory import sram_map
from tile_emu.profile.recording import FORMAT, columns
from tile_emu.profile.report import Report

pytestmark = pytest.mark.nojit


def test_saved_and_read_again(tmp_path: Path) -> None:
    report = small_report()
    report.save(tmp_path)
    loaded = Report.load(tmp_path)
    assert loaded.document == json.loads(json.dumps(report.document))
    for name, _ in columns():
        found, wanted = getattr(loaded.recording, name), getattr(report.recording, name)
        assert found.dtype == np.int64 and np.array_equal(found, wanted), name
    assert np.array_equal(loaded.recording.worker_runs, report.recording.worker_runs)
    assert loaded.sram is not None and loaded.listing is not None and loaded.traffic is not None
    assert loaded.sram.names == ("x", "y") and np.array_equal(loaded.sram.live, report.sram.live)  # type: ignore[union-attr]
    assert loaded.listing.source == report.listing.source  # type: ignore[union-attr]
    assert np.array_equal(loaded.traffic.words, report.traffic.words)  # type: ignore[union-attr]


def test_chip_figures_travel_with_the_recording(tmp_path: Path) -> None:
    """A run with other chip figures (a what-if) is not mistaken for one of the chip of that name."""
    chip = dataclasses.replace(load_chip("bow"), clock_hz=2e9)
    dataclasses.replace(small_recording(), chip=chip).save(tmp_path / "r.npz")
    assert Recording.load(tmp_path / "r.npz").chip == chip


# --- versions ---


def save_as_format_1(path: Path) -> None:
    """What the first version wrote: fewer columns, the chip's name, no version."""
    r = small_recording()
    first = "arrival release row_end finish turns worker_busy supervisor_instructions instructions amp sent received"
    arrays: dict[str, Any] = {name: getattr(r, name) for name in first.split()}
    text = {"compute_names": np.array(r.compute_names), "exchange_names": np.array(r.exchange_names)}
    np.savez_compressed(path, chip=np.array("bow"), tiles=np.array(4), model=np.array("old"), **text, **arrays)


def test_first_format_is_read_and_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_report().save(tmp_path)
    save_as_format_1(tmp_path / "recording.npz")
    loaded = Recording.load(tmp_path / "recording.npz")
    assert loaded.cycles == 500 and loaded.turns.sum() == 155
    assert {"worker_turns", "macs", "executions"} <= loaded.missing and "turns" not in loaded.missing
    assert run(["report", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "earlier version" in out and "worker_turns" in out


def test_later_format_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "recording.npz"
    small_recording().save(path)
    with np.load(path) as data:
        members = dict(data)
    np.savez(path, **{**members, "format": np.array(FORMAT + 1), "version": np.array("9.9.9")})
    with pytest.raises(UsageError, match=r"written by tile-emu 9\.9\.9"):
        Recording.load(path)


# --- tables ---


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library: str) -> None:
    pytest.importorskip(library)
    frame = getattr(small_recording(), f"to_{library}")()
    assert frame.shape[0] == 3 * 4
    assert frame["turns"].sum() == 155 and frame["received"].sum() == 250
    row = {name: frame[name].to_list()[4 * 1 + 2] for name in frame.columns}  # second phase, tile 2
    assert (row["compute"], row["exchange"], row["tile"]) == ("second", "to third", 2)
    assert (row["start"], row["arrival"], row["release"], row["row_end"]) == (200, 260, 345, 345)
    last = {name: frame[name].to_list()[-1] for name in frame.columns}
    assert (last["exchange"], last["received"], last["arrival"]) == ("", 0, 345)


# --- what is worked out ---


def test_slowest_supersteps() -> None:
    found = [(s.cycles, s.kind, s.name, s.tile) for s in slowest(small_report(), 4)]
    assert found == [
        (155, "compute", "third", 2),  # tile 2 finishes at 500
        (100, "compute", "first", 0),  # tiles 0 and 3 arrive at 100: the first of them
        (100, "exchange", "to second", 0),
        (55, "compute", "second", 0),
    ]


def test_reasons() -> None:
    why = {(s.kind, s.name): s.why for s in slowest(small_report())}
    # 50 of 100 cycles: receiving tiles 1, 2 and 3, sending tile 0 and 2
    assert why["exchange", "to second"].startswith("tile 1 receives 100 words in 50 cycles (50 %)")
    assert why["compute", "third"] == "no vertices: the supervisor's own instructions"
    # tile 0: 100 cycles, 66 with workers; worker 0 has 11 turns, more than the others; alpha.S has all 90 turns
    assert why["compute", "first"] == "workers 66 cycles (66 %) in alpha, worker 0 the busiest; supervisor alone 34"
    assert "waited 55 cycles" not in why["sync", "to second"]
    assert "waited 65 cycles" in why["sync", "to second"]  # tile 2 arrived at 80, the release is at 145


def test_codelets() -> None:
    report = small_report()
    assert report.listing is not None
    uses = [
        (u.phase, u.name, u.turns, u.supervisor_instructions) for u in codelet_uses(report.recording, report.listing)
    ]
    assert uses == [
        (0, "alpha", 90, 0),
        (0, "beta", 0, 20),
        (1, "alpha", 2, 0),
        (1, "beta", 4, 6),
        (1, "(no source)", 6, 0),
        (2, "alpha", 53, 0),
        (2, "beta", 0, 8),
    ]


def test_roofline() -> None:
    roof = roofline(small_report())
    assert roof is not None
    assert roof.macs_per_cycle == pytest.approx(16)  # a quarter of 64
    assert roof.macs_per_exchange_byte == pytest.approx(11_776_000 / (4 * 250))
    sram = 640 + 320 + 80 + 100 + 240 + 160 + 80 + 40 + 20 + 60
    assert roof.sram_bytes_per_cycle == pytest.approx(sram / (1472 * 500))
    assert roof.limit == "the AMP units"


def test_roofline_without_exchange(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = small_report()
    alone = dataclasses.replace(report.recording, received=0 * report.recording.received)
    dataclasses.replace(report, recording=alone).save(tmp_path)
    assert run(["report", str(tmp_path)]) == 0
    assert "exchange 0.00 B/cycle of 8, no bound" in " ".join(capsys.readouterr().out.split())
    assert run(["report", str(tmp_path), "--json"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["roofline"]["macs_per_exchange_byte"] is None and "Infinity" not in text


def test_advice_follows_the_numbers() -> None:
    lines = "\n".join(advice(small_report()))
    assert "1,470 of 1,472 tiles run no worker" in lines
    assert "2 barriers take 18 % of the cycles" in lines
    assert "predicted 450 cycles, the run took 500 (+11.1 %)" in lines
    assert "25 % of the multiplications are padding" in lines
    assert "supervisors work alone for 63 %" in lines  # 294 of 470 cycles of tiles 0 and 1
    assert "tile balance" not in lines  # 0.88
    assert "exchange takes" not in lines  # a fifth


def test_advice_compares_other_plans() -> None:
    """Of the best plans, the cheapest one that does better in what the numbers complain of."""
    report = small_report(plans=plan_choices())
    lines = advice(report)
    assert lines[0] == (
        "the division p2 o1 leaves 1,470 of 1,472 tiles idle; plan 2 (p3 o1) uses 3 tiles, but predicts 495 cycles, "
        "10.0 % more than this plan's 450"
    )
    assert "; 1 of the other best plans predict fewer than it took, the first of them plan 2 (p3 o1) 495" in lines[3]
    assert lines[4].endswith("; plan 2 (p3 o1) has 12 %, but predicts 495 cycles, 10.0 % more than this plan's 450")
    # an exchange that takes over 40 %: 300 cycles later than it was released
    recording = report.recording
    late = dataclasses.replace(recording, row_end=recording.row_end + 400, finish=recording.finish + 400)
    line = next(line for line in advice(dataclasses.replace(report, recording=late)) if line.startswith("exchange"))
    assert line.endswith(
        "; plan 3 (p1 o4) moves less (90 cycles of exchange predicted), but predicts 590 cycles, 31.1 % more than this "
        "plan's 450"
    )
    # uneven tiles: 12 of 100 busy cycles
    uneven = dataclasses.replace(recording, worker_busy=recording.worker_busy * np.array([8, 1, 1, 1]))
    line = next(line for line in advice(dataclasses.replace(report, recording=uneven)) if "balance" in line)
    assert line.startswith("tile balance 0.55: tile 0 is busy 800 cycles, the mean is 438; equal blocks would save up")
    assert "plan 2 (p3 o1) divides more evenly (padding 12.5 %)" in line


def test_advice_where_no_plan_does_better() -> None:
    plans = plan_choices()
    for plan in plans:
        plan["tiles"] = 2
    assert advice(small_report(plans=plans))[0].endswith("idle; none of the 3 best plans does better in that")
    # the second plan was run, the first one is dearer in tiles and cheaper in cycles
    plans = plan_choices()
    plans[0] |= {"chosen": False, "tiles": 8}
    plans[1]["chosen"] = True
    line = advice(small_report(plans=plans))[0]
    assert line.endswith("plan 1 (p2 o1) uses 8 tiles, and predicts 450 cycles, 9.1 % less than this plan's 495")


def test_predicted_cycles_of_any_plan() -> None:
    assert predicted_cycles({"predicted": {"a": 1, "b": 2, "total": 7}})["total"] == 7
    assert predicted_cycles({"predicted": {"a": 1, "b": 2}})["total"] == 3
    assert predicted_cycles(None) == predicted_cycles({}) == predicted_cycles({"predicted": 3}) == {}


# --- SRAM ---


def test_sram_of_the_small_report() -> None:
    sram = small_sram()
    assert sram.used_bytes.tolist() == [1000, 3000, 2000, 400]
    assert sram.live_bytes().tolist() == [
        [1000, 2400, 1000, 400],
        [1000, 3000, 2000, 400],
        [400, 1000, 1400, 400],
        [400, 1000, 1400, 400],
        [400, 1000, 1400, 400],
    ]
    step, tile, most, parts = sram.peak()
    assert (step, tile, most) == (1, 1, 3000)
    assert parts[:2] == [("x", 2000), ("y", 600)] and sum(size for _, size in parts) == 3000


def test_liveness_follows_the_program() -> None:
    """in -> (exchange) -> work -> (vertices) -> out, and a host tensor that only vertices touch."""
    graph = Graph(load_chip("bow"), 2)
    size = [32, 32]
    names = ("input", "work", "result", "both", "unused")
    variables = {name: graph.variable(name, [0, 1], size) for name in names}
    for name in ("input", "result", "both"):
        graph.tensor(name, (16,), np.float32, variables[name])
    each = np.arange(2)

    def at(name: str, shard: Any = each) -> Pointer:
        return Pointer(variables[name], shard)

    graph.exchange("in").copy(at("input"), at("work", 1 - each), 32)
    graph.execute("compute").add(COPY, [0, 1], source=at("work"), dest=at("both"), count=8)
    graph.exchange("out").copy(at("both"), at("result", 1 - each), 32)
    graph.execute("more").add(ADD, [0, 1], x=at("work"))
    sram = sram_map(graph.lower(tools=fake_tools()))
    live = dict(zip(sram.names, sram.live.T.tolist()))
    # stretches: before "in", "in", "compute", "out", "more"
    assert live["input"] == [True, True, False, False, False]
    assert live["work"] == [False, True, True, True, True]
    assert live["result"] == [False, False, False, True, True]
    assert live["both"] == [True] * 5
    assert live["unused"] == [False] * 5


# --- the command ---


def test_command_shows_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_report().save(tmp_path)
    assert run(["report", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    out = " ".join(out.split())
    for text in (
        *("matmul 8 x 16 x 4 f16 on bow: 500 cycles", "compute 310 62.0 %", "sync 90 18.0 %"),
        *("issue utilisation 15.5 %", "AMP utilisation 48.4 %", "MAC efficiency 25.0 %"),
        *("tile balance 88.0 %", "16.00 MAC/cycle of 64", "tile 1 holds 2.9 KiB of 624.0 KiB"),
        *("in exchange 'to second'", "predicted 450 cycles, counted 500", " - 2 barriers"),
    ):
        assert text in out, text


def test_command_shows_the_plan_part_by_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [{"parts": ["reduce", "finish"], "predicted": 1300, "counted": 1234}]
    small_report(parts=parts, plans=plan_choices()).save(tmp_path)
    assert run(["report", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "plan 1 of 3: predicted 450 cycles, counted 500" in out
    assert "part predicted counted reduce, finish 1,300 1,234" in out
    assert "workers timed on 1 tiles 1" in out


def test_command_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_report().save(tmp_path)
    assert run(["report", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cycles"] == 500 and document["slowest"][0]["cycles"] == 155
    assert document["roofline"]["limit"] == "the AMP units" and len(document["advice"]) == 5


@pytest.mark.parametrize("name", ["recording.npz", "summary.json"])
def test_damaged_or_missing_files(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_report().save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert run(["report", str(tmp_path)]) == 2
    assert "is not a whole" in capsys.readouterr().err
    (tmp_path / name).unlink()
    assert run(["report", str(tmp_path)]) == 2
    assert "cannot read" in capsys.readouterr().err

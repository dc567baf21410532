"""Comparisons and gates, against differences worked out by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports import small_document, small_report
from tests.test_report import save_as_format_1
from tile_emu.cli.entry import run
from tile_emu.errors import UsageError
from tile_emu.profile.compare import distribution, explanation, rows, superstep_rows
from tile_emu.profile.gates import failures, parse_gate
from tile_emu.profile.subject import Subject, load_subjects

pytestmark = pytest.mark.nojit

BASE = small_document()
SLOWER = small_document(
    cycles=550,
    phases={"compute": 330, "exchange": 130, "sync": 90},
    supersteps=[
        {"kind": "compute", "name": "first", "cycles": 120},
        {"kind": "sync", "name": "to second", "cycles": 45},
        {"kind": "exchange", "name": "to second", "cycles": 130},
        {"kind": "compute", "name": "second", "cycles": 55},
        {"kind": "sync", "name": "to third", "cycles": 45},
        {"kind": "compute", "name": "third", "cycles": 155},
    ],
    utilisation={"issue": 0.145, "amp": 0.5, "mac": 0.22, "balance": 0.88},
    plan={"parts": 3, "padding": 0.25},
)


def network(**cycles: int) -> dict[str, Any]:
    layers = [{"layer": name, "cycles": value, "utilisation": {"mac": 0.5}} for name, value in cycles.items()]
    return {"network": "net", "chip": "bow", "cycles": sum(cycles.values()), "layers": layers}


def written(folder: Path, **documents: dict[str, Any]) -> list[str]:
    paths = []
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
        paths.append(str(folder / f"{name}.json"))
    return paths


# --- gates ---


@pytest.mark.parametrize(
    ("gate", "failed"),
    [
        ("cycles>+9%", True),  # 500 -> 550
        ("cycles>+10%", False),
        ("cycles>=+10%", True),
        ("cycles>+49", True),
        ("cycles>+50", False),
        ("cycles>540", True),
        ("cycles>550", False),
        ("cycles<+0%", False),
        ("cycles>2%", True),
        ("utilisation.mac<0.23", True),
        ("utilisation.mac<-0.02", True),  # 0.25 -> 0.22
        ("utilisation.mac<-0.04", False),
        ("utilisation.mac < -10 %", True),
        ("phases.sync>+0%", False),
        ("words.sent>+0", False),
        ("cycles>1e6", False),
    ],
)
def test_gates(gate: str, failed: bool) -> None:
    found = failures([parse_gate(gate)], [Subject("base", BASE), Subject("new", SLOWER)])
    assert bool(found) == failed


@pytest.mark.parametrize("text", ["cycles", "cycles>", ">2%", "cycles=>2", "cycles>+2%%", "cycles>+x", "cycles>+2 %;"])
def test_what_is_no_gate(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-if"):
        parse_gate(text)


def test_a_change_from_nothing_is_beyond_any_share() -> None:
    gate = parse_gate("x>+1000%")
    assert gate.holds(1.0, 0.0) and not gate.holds(0.0, 0.0)


def test_unknown_figure_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no figure 'cycle'; it has .*phases\.compute"):
        failures([parse_gate("cycle>+2%")], [Subject("base", BASE), Subject("new", SLOWER)])


def test_gates_of_layers() -> None:
    base, new = Subject("base", network(a=100, b=200)), Subject("new", network(a=100, b=210))
    assert [f.where for f in failures([parse_gate("layers.cycles>+4%")], [base, new])] == ["b"]
    assert failures([parse_gate("layers.cycles>+6%")], [base, new]) == []
    with pytest.raises(UsageError, match="no layer 'b'"):
        failures([parse_gate("layers.cycles>+4%")], [base, Subject("new", network(a=100))])
    with pytest.raises(UsageError, match="no layers"):
        failures([parse_gate("layers.cycles>+4%")], [Subject("base", BASE), new])


# --- differences ---


def test_rows_have_value_and_change() -> None:
    found = {row.name: row.texts() for row in rows([Subject("base", BASE), Subject("new", SLOWER)])}
    assert found["cycles"] == ["500", "550 (+10.0 %)"]
    assert found["exchange"] == ["100", "130 (+30.0 %)"]
    assert found["MAC efficiency"] == ["25.0 %", "22.0 % (-3.0)"]
    assert found["SRAM, fullest tile"] == ["2.9 KiB", "2.9 KiB (+0.0 %)"]


def test_explanation_adds_up() -> None:
    lines = explanation(Subject("base", BASE), Subject("new", SLOWER))
    assert lines[0] == "new takes +50 cycles (+10.0 %)"
    assert lines[1:3] == ["+30 in exchange to second", "+20 in compute first"]
    # only settings that both reports have are compared
    assert lines[3:] == []
    other = explanation(Subject("a", BASE), Subject("b", small_document(m=9, plan={"padding": 0.5})))
    assert other[1:] == ["changed m: 8 -> 9", "changed plan, padding: 0.25 -> 0.5"]


def test_explanation_says_what_the_busiest_tile_does() -> None:
    recording = small_report().recording
    more = dataclasses.replace(recording, received=recording.received + 20, turns=2 * recording.turns)
    lines = explanation(Subject("base", BASE, recording), Subject("new", SLOWER, more))
    assert lines[1] == "+30 in exchange to second (busiest tile: words received 100 -> 120)"
    assert lines[2] == "+20 in compute first (busiest tile: worker turns 60 -> 120)"
    # a column that one of them lacks is not compared
    old = dataclasses.replace(recording, missing=frozenset({"turns"}))
    assert explanation(Subject("base", BASE, old), Subject("new", SLOWER, more))[2] == "+20 in compute first"


def test_utilisation_of_a_network_is_that_of_its_layers(tmp_path: Path) -> None:
    """Layer a once, layer b three times with half the turns, c the same as b: 5 times 500 cycles."""
    report = small_report()
    half = dataclasses.replace(report.recording, turns=report.recording.turns // 2)
    for name, recording in (("a", report.recording), ("b", half)):
        (tmp_path / "layers" / name).mkdir(parents=True)
        dataclasses.replace(report, recording=recording).save(tmp_path / "layers" / name)
    layers = [{"layer": "a", "cycles": 500}, {"layer": "b", "cycles": 500, "count": 3}]
    layers += [{"layer": "c", "cycles": 500, "same_as": "b"}, {"layer": "d", "error": {"message": ""}}]
    document = {"network": "net", "cycles": 2500, "layers": layers}
    (tmp_path / "summary.json").write_text(json.dumps(document))
    (subject,) = load_subjects([tmp_path])
    # turns 90 and 65 of tiles 0 and 1; halves 30 + 6 + 9 and 15 + 17
    assert subject.utilisation == pytest.approx([(65 + 4 * 32) / 2500, (90 + 4 * 45) / 2500])


def test_supersteps_of_one_name_are_added_up() -> None:
    doubled = small_document(supersteps=[{"kind": "compute", "name": "first", "cycles": 60}] * 2)
    found = {row.name: row.values for row in superstep_rows([Subject("a", BASE), Subject("b", doubled)])}
    assert found["compute first"] == (100, 120)
    assert found["compute third"] == (155, None)


def test_distributions_share_their_bins() -> None:
    report = small_report()
    faster = dataclasses.replace(report.recording, turns=2 * report.recording.turns)
    subjects = [Subject("a", BASE, report.recording), Subject("b", BASE, faster), Subject("c", BASE)]
    spread = distribution(subjects)
    # 90 and 65 of 500 turns: 18 % and 13 %; twice that: 36 % and 26 %; bins of 3 % up to 36 %
    assert spread is not None
    assert np.allclose(spread.edges, np.arange(13) * 0.03)
    assert spread.counts[0] == (0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0)
    assert spread.counts[1] == (0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1)
    assert spread.counts[2] is None


def test_names_tell_reports_apart(tmp_path: Path) -> None:
    for place in ("old/out", "new/out"):
        (tmp_path / place).mkdir(parents=True)
        small_report().save(tmp_path / place)
    names = [s.name for s in load_subjects([tmp_path / "old" / "out", tmp_path / "new" / "out"])]
    assert names == ["old/out", "new/out"]
    same = load_subjects([tmp_path / "old" / "out"] * 2)
    assert len({s.name for s in same}) == 2


# --- the command ---


def test_command_on_folders_with_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        small_report().save(tmp_path / name)
    (tmp_path / "b" / "summary.json").write_text(json.dumps(SLOWER))
    page = tmp_path / "page.html"
    arguments = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--html", str(page)]
    assert run([*arguments, "--fail-if", "cycles>+20%", "--fail-if", "sram.max_bytes>+1%"]) == 0
    text = capsys.readouterr().out
    for expected in ("550 (+10.0 %)", "+30 in exchange to second", "16..18 %", "b takes +50 cycles"):
        assert expected in text, expected
    content = page.read_text()
    assert "550 (+10.0 %)" in content and "<polyline" in content and "<script" not in content and "http" not in content
    assert run([*arguments, "--fail-if", "cycles>+20%", "--fail-if", "cycles>+2%"]) == 1
    assert "failed: b: cycles>+2% (500 -> 550)" in capsys.readouterr().out


def test_command_as_json_with_three_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = written(tmp_path, one=BASE, two=SLOWER, three=BASE)
    assert run(["compare", *files, "--json", "--fail-if", "cycles>+2%"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in document["reports"]] == ["one.json", "two.json", "three.json"]
    assert document["figures"][0] == {"name": "cycles", "values": [500, 550, 500]}
    assert [failure["subject"] for failure in document["failed"]] == ["two.json"]


def test_networks_by_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = written(tmp_path, one=network(a=100, b=200), two=network(a=90, c=300))
    assert run(["compare", *files]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert {"a 100 90 (-10.0 %)", "b 200 -", "c - 300", "+300 in c", "-200 in b"} <= set(lines)


def test_report_of_the_first_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        small_report().save(tmp_path / name)
    save_as_format_1(tmp_path / "old" / "recording.npz")
    assert run(["compare", str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    note = "written by an early tile-emu (recording format 1, which names no version): without amp"
    assert f"old: matmul 8 x 16 x 4 f16 on bow, {note}"[:-4] in out and "worker_turns" in out
    assert "new: matmul 8 x 16 x 4 f16 on bow, written by tile-emu 0.1.0 " in out


def test_reports_of_other_versions_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = written(tmp_path, one=small_document(version="0.0.9"), two=small_document(version="0.1.0"))
    assert run(["compare", *files]) == 0
    out = capsys.readouterr().out
    assert "on bow, written by tile-emu 0.0.9" in out and "changed version: 0.0.9 -> 0.1.0" in out
    assert run(["compare", files[0], files[0]]) == 0
    assert "written by" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{0}"], "at least two"),
        (["{0}", "missing"], "cannot read missing"),
        (["{0}", "{1}"], "is not a whole summary"),
        (["{0}", "{2}"], "it has no cycles"),
        (["{0}", "{0}", "--fail-if", "cycles"], "--fail-if"),
        (["{0}", "{0}", "--html", "{3}"], "it is a directory"),
    ],
)
def test_what_cannot_be_compared(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, empty = written(tmp_path, good=BASE, empty={})
    (tmp_path / "broken.json").write_text("{")
    places = (good, tmp_path / "broken.json", empty, tmp_path)
    assert run(["compare", *(argument.format(*places) for argument in arguments)]) == 2
    assert message in capsys.readouterr().err

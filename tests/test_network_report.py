"""The report of a network: its page, its summary, its layers' own reports, compared and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.reports import small_document
from tile_emu.cli.entry import run
from tile_emu.profile.network import network_advice, network_page, network_rows, save_network


def layer(name: str, times: int, **changed: Any) -> dict[str, Any]:
    return {**small_document(layer=name, network="net", count=times), **changed}


def network() -> dict[str, Any]:
    """Two layers of 500 cycles, the second of them three times, and one that does not fit."""
    broken = {"layer": "third", "count": 1, "error": {"kind": "OutOfTileMemory", "message": "too <large>"}}
    return {
        "network": "net",
        "chip": "bow",
        "dtype": "f16",
        "pass": "fwd",
        "batch": 2,
        "layers": [layer("first", 1), layer("second", 3), broken],
        "totals": {
            "layers": 3,
            "ran": 2,
            "checked": 2,
            "macs": 47_104_000,
            "cycles": 2000,
            "seconds_on_chip": 2000 / 1.85e9,
            "tflops": 87.1,
            "phases": {"compute": 1240, "exchange": 400, "sync": 360},
            "mac_efficiency": 0.25,
            "sram_max_bytes": 3000,
        },
    }


def checked() -> dict[str, Any]:
    document = network()
    for entry in document["layers"][:2]:
        entry["check"] = {"ok": True}
    return document


@pytest.mark.nojit
def test_rows() -> None:
    first, second, third = network_rows(checked())
    assert first[:7] == ("first", "1", "500", "25.0 %", "62.0 %", "20.0 %", "18.0 %")
    assert second[1:4] == ("3", "500", "75.0 %")
    assert second[-1] == "ok" and third[-1] == "too <large>"


@pytest.mark.nojit
def test_advice() -> None:
    lines = network_advice(checked())
    assert lines[0].endswith("second (3 times) 75 %, first 25 %")
    # 3 * 500 cycles at a quarter of the peak
    assert "second (3 times), 1,125 (25 % MAC efficiency, most of its cycles in compute)" in lines[1]


@pytest.mark.nojit
def test_page_without_the_reports_of_its_layers() -> None:
    page = network_page(checked())
    assert "too &lt;large&gt;" in page and '<script type="text/plain"' not in page
    assert '<b data-figure="network.cycles">2,000</b>' in page and ">400</span> cycles (20.0 %)" in page


@pytest.mark.nojit
def test_command_on_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(checked(), tmp_path)
    assert run(["report", str(tmp_path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "net fwd batch 2 f16 on bow: 2,000 cycles" in text and "second 3 500 75.0 %" in text
    assert run(["report", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["advice"]


@pytest.mark.slow
def test_network_with_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal layers share one report; the layers' pages and the sums agree."""
    monkeypatch.setattr("kernels.networks.cache.cache_directory", lambda: tmp_path / "cache")
    small = ("--seq", "8", "--tiles", "24", "--layers", "scores", "--layers", "context")
    folders = []
    for name in ("a", "b"):
        folders.append(str(tmp_path / name))
        assert run(["network", "bert-base", *small, "--report", folders[-1]]) == 0
    written = {p.name for p in (tmp_path / "a" / "layers" / "scores").iterdir()}
    assert written == {"recording.npz", "summary.json", "report.html", "trace.perfetto-trace"}
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    own = [json.loads(p.read_text()) for p in sorted((tmp_path / "a" / "layers").glob("*/summary.json"))]
    counted = sum(entry["count"] * entry["cycles"] for entry in own)
    assert summary["totals"]["cycles"] == counted
    capsys.readouterr()
    assert run(["compare", *folders, "--fail-if", "layers.cycles>+0", "--fail-if", "cycles>+0"]) == 0
    assert run(["report", folders[0]]) == 0
    assert f"{counted:,} cycles" in capsys.readouterr().out

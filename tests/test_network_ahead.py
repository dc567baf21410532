"""Layers prepared and checked beside the one that runs: the documents of one after another, failures in their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernels.networks import ahead as ahead_module
from kernels.networks import load_network
from kernels.networks.ahead import documents_ahead
from kernels.networks.execute import run_job
from kernels.networks.job import Job
from kernels.stopwatch import PARTS
from tile_emu.errors import IllegalExchange, OutOfTileMemory
from tile_emu.graph import keptimage
from tile_emu.profile.request import ReportRequest


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Three small layers and one, the second, that is too large for its tile. No image is kept at first."""
    monkeypatch.setattr(keptimage, "cache_directory", lambda: tmp_path / "cache")
    network = load_network("minilm-l6")
    layers = {layer.name: layer for layer in network.layers}
    chosen = (("pooler", 24), ("ffn_up", 1), ("scores", 24), ("context", 24))
    return [Job(network.name, layers[name], tiles=tiles) for name, tiles in chosen]


def without_seconds(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "emulation"}


def test_the_documents_of_one_after_another(jobs: list[Job]) -> None:
    told: list[str] = []
    found = list(documents_ahead(jobs, threads=1, tell=told.append))
    assert told == [job.layer.name for job in jobs]
    for index, job in enumerate(jobs):
        if index == 1:
            with pytest.raises(OutOfTileMemory) as caught:
                run_job(job, threads=1)
            assert found[1]["error"] == {"kind": "OutOfTileMemory", "message": str(caught.value)}
            continue
        assert without_seconds(found[index]) == without_seconds(run_job(job, threads=1).document)
        assert set(found[index]["emulation"]["parts_s"]) == set(PARTS)
        assert found[index]["check"]["ok"]
    assert list(documents_ahead([])) == []


def test_what_the_machine_finds_wrong_is_in_its_place(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    emulate = ahead_module.emulate_prepared

    def failing(prepared: Any, *arguments: Any, **options: Any) -> Any:
        if prepared.job is jobs[2]:
            raise IllegalExchange("two at once")
        return emulate(prepared, *arguments, **options)

    monkeypatch.setattr(ahead_module, "emulate_prepared", failing)
    found = list(documents_ahead(jobs, threads=1))
    assert found[2]["error"] == {"kind": "IllegalExchange", "message": "two at once"}
    assert ["error" in document for document in found] == [False, True, True, False]


def test_an_interrupt_and_a_bug_are_passed_on(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ahead_module, "emulate_prepared", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(documents_ahead(jobs, threads=1))
    monkeypatch.undo()
    monkeypatch.setattr(ahead_module, "finish", lambda _: {}["gone"])
    with pytest.raises(KeyError, match="gone"):
        list(documents_ahead(jobs[:1], threads=1))


def test_reports_are_written(jobs: list[Job], tmp_path: Path) -> None:
    wanted = ReportRequest.of(tmp_path / "out", None, False)
    list(documents_ahead([jobs[0], jobs[2]], threads=1, reports=wanted))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {jobs[0].layer.name, jobs[2].layer.name}
    assert (tmp_path / "out" / jobs[0].layer.name / "summary.json").exists()

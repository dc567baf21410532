"""Plans kept on disk: the same as worked out, gone when damaged or when the model changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from kernels.contraction.problem import Shape, Tap
from kernels.planner import contraction, plancache
from kernels.planner.contraction import plan_contraction
from tile_emu.chips import load_chip

TAPS = (tuple(Tap(0, row, column) for row in range(3) for column in range(3)),)
SHAPE = Shape(1, 2, 14, 14, 64, 64, "f16", TAPS, shared_columns=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TILE_EMU_CACHE_DIR", str(tmp_path))
    return tmp_path / "plans"


def test_kept_plans_are_those_worked_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = plan_contraction(SHAPE, "bow", best=10)
    assert len(first) == 10 and len(list(folder.iterdir())) == 1
    monkeypatch.setattr(contraction, "search", None)  # nothing is worked out again
    assert plan_contraction(SHAPE, "bow", best=10) == first


def test_other_problems_are_other_files(folder: Path) -> None:
    chip = load_chip("bow")
    plan_contraction(SHAPE, chip)
    plan_contraction(SHAPE, chip, tiles=64)
    plan_contraction(SHAPE, "gc200")
    plan_contraction(dataclasses.replace(SHAPE, dtype="f32"), chip)
    slower = dataclasses.replace(chip, timing=dataclasses.replace(chip.timing, sync_release=900))
    assert plan_contraction(SHAPE, slower)[0].predicted.total > plan_contraction(SHAPE, chip)[0].predicted.total
    assert len(list(folder.iterdir())) == 5


def test_damaged_files_and_new_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = plan_contraction(SHAPE, "bow")
    (path,) = folder.iterdir()
    for text in ("", "[{}]", '{"a": 1}', '[{"predicted": {}}]'):
        path.write_text(text)
        assert plan_contraction(SHAPE, "bow") == first
    monkeypatch.setattr(plancache, "model_version", lambda: "another")
    plan_contraction(SHAPE, "bow")
    assert len(list(folder.iterdir())) == 2


def test_a_disk_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TILE_EMU_CACHE_DIR", str(tmp_path / "file"))
    assert plan_contraction(SHAPE, "bow")

"""What is kept on disk: bounded, listed, deleted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kernels.networks.cache import ResultCache
from tile_emu import kept
from tile_emu.cli.entry import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TILE_EMU_CACHE_DIR", str(tmp_path))
    kept._added.clear()
    return tmp_path


def fill(folder: Path, name: str, nbytes: int, age: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(nbytes))
    os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    return path


def test_least_recently_used_results_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kept._KINDS, "results", (("layers",), 2500))
    old = [fill(folder, f"layers/{name}.json", 1000, age) for name, age in (("a", 3), ("b", 2), ("c", 1))]
    cache = ResultCache()
    (folder / "layers" / "a.json").write_text(json.dumps({"n": "x" * 980}))
    assert cache.get("a") is not None  # used: younger than the others now
    cache.put("d", {"n": "y" * 980})
    assert [path.exists() for path in old] == [True, False, False]
    assert cache.get("d") is not None
    other = fill(folder, "layers/f.json", 1000, 4)
    cache.put("g", {})
    assert other.exists()  # too little was added to look at all of it again
    cache.put("e", {"n": "z" * 980})
    assert not other.exists() and cache.get("g") is not None and cache.get("e") is not None


def test_listed_and_deleted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(folder, "numba/f1/x.nbc", 500, 9)
    fill(folder, "generated/interpreter.py", 250, 9)
    fill(folder, "plans/p.json", 40, 9)
    fill(folder, "images/i.image", 70, 9)
    other = fill(folder, "mine/notes.txt", 7, 9)
    assert run(["cache", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(folder)
    sizes = {kind: (entry["files"], entry["bytes"]) for kind, entry in found["kinds"].items()}
    assert sizes == {"results": (0, 0), "plans": (1, 40), "images": (1, 70), "compiled": (2, 750)}
    assert run(["cache", "list"]) == 0
    assert "plans" in capsys.readouterr().out
    assert run(["cache", "clear", "compiled"]) == 0
    assert capsys.readouterr().out == "compiled: 2 files, 0.0 MiB\n"
    assert not list((folder / "numba").rglob("*")) and (folder / "plans" / "p.json").exists()
    assert run(["cache", "clear"]) == 0
    assert not list((folder / "plans").iterdir())
    assert other.exists()  # nothing but its own folders


def test_unknown_kind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fill(folder, "plans/p.json", 40, 9)
    assert run(["cache", "clear", "plans", "resluts"]) == 2
    assert "unknown kind 'resluts'" in capsys.readouterr().err
    assert path.exists()

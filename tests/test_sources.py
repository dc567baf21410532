"""The hash of a source file follows whatever the file imports, and what is kept of imports cannot mislead it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tile_emu import sources

pytestmark = pytest.mark.nojit

FILES = {
    "tile_emu/__init__.py": "",
    "tile_emu/top.py": (
        "import numpy\nfrom tile_emu import low\n\ndef f():\n    from tile_emu.middle import (\n        g,\n    )\n"
    ),
    "tile_emu/middle.py": "import os; import kernels.far as far\n",
    "tile_emu/low.py": "x = 1\n",
    "tile_emu/other.py": "y = 1\n",
    "kernels/__init__.py": "",
    "kernels/far.py": "z = 1\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., bytes]]:
    """A small project on disk; calling it with new texts of files gives the hash of its top file at a new start."""
    monkeypatch.setattr(sources, "_ROOT", tmp_path)
    monkeypatch.setenv("TILE_EMU_CACHE_DIR", str(tmp_path / "cache"))

    def start(**changed: str) -> bytes:
        for name, text in (FILES | {key.replace("__", "/") + ".py": value for key, value in changed.items()}).items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        _forget()
        return sources.source_hash(tmp_path / "tile_emu" / "top.py")

    yield start
    _forget()


def _forget() -> None:
    """What a process remembers of files."""
    for name in ("source_hash", "_own_source", "_kept_imports", "_imported_file", "_module_file"):
        getattr(sources, name).cache_clear()


@pytest.mark.parametrize("name", ["tile_emu__top", "tile_emu__low", "tile_emu__middle", "kernels__far"])
def test_follows_every_file_it_imports(project: Callable[..., bytes], name: str) -> None:
    before = project()
    text = FILES[name.replace("__", "/") + ".py"]
    assert project(**{name: text + "# changed\n"}) != before
    assert project() == before


def test_other_files_do_not_matter(project: Callable[..., bytes]) -> None:
    assert project() == project(tile_emu__other="y = 2\n")


def test_a_new_import_is_followed(project: Callable[..., bytes]) -> None:
    linked = "import tile_emu.other\n"
    before = project(tile_emu__low=linked)
    assert project(tile_emu__low=linked, tile_emu__other="y = 2\n") != before


def test_a_name_that_becomes_a_module(project: Callable[..., bytes], tmp_path: Path) -> None:
    """The file that imports the name is the same; what the name is has changed."""
    importing = "from tile_emu.other import y\n"
    before = project(tile_emu__low=importing)
    package = tmp_path / "tile_emu" / "other"
    package.mkdir()
    (package / "y.py").write_text("w = 1\n")
    assert project(tile_emu__low=importing) != before


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": [1]}', "\x00"])
def test_damaged_file_of_imports(project: Callable[..., bytes], tmp_path: Path, text: str) -> None:
    before = project()
    (tmp_path / "cache" / "numba" / "imports.json").write_text(text)
    assert project() == before


def test_imports_are_kept_by_content(project: Callable[..., bytes], tmp_path: Path) -> None:
    project()
    kept = json.loads((tmp_path / "cache" / "numba" / "imports.json").read_text())
    assert sorted(name for names in kept.values() for name in names) == [
        "kernels.far",
        "tile_emu.middle:g",
        "tile_emu:low",
    ]


def test_a_folder_that_cannot_be_written(project: Callable[..., bytes], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert project() == project()

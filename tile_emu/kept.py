"""What this program keeps on disk and can make again: compiled code, plans, images, results. Imports nothing heavy.

Everything is found by a hash of what it depends on, so nothing is ever out of date; what no longer is asked for is
garbage. All but compiled code is bounded, the least recently used go first. Other processes may use the same folders at
the same time: a file that has gone is as good as one that never was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tile_emu.cachedir import cache_directory
from tile_emu.errors import UsageError

# Folders of each kind, and the most bytes that are kept of it (None: no bound).
_KINDS: dict[str, tuple[tuple[str, ...], int | None]] = {
    "results": (("layers",), 64 << 20),
    "plans": (("plans",), 32 << 20),
    "images": (("images",), 512 << 20),
    "compiled": (("numba", "generated", "code"), None),
}

_added: dict[Path, int] = {}  # bytes that this process has added to a folder since it last looked at all of it


@dataclass(frozen=True)
class Kept:
    """What is kept of one kind. ``most``: bytes that are kept, None: any number."""

    kind: str
    folders: tuple[Path, ...]
    files: int
    nbytes: int
    most: int | None


def kept() -> list[Kept]:
    """What is kept, by kind."""
    found = []
    for kind, (names, most) in _KINDS.items():
        folders = tuple(cache_directory() / name for name in names)
        files = [entry for folder in folders for entry in _files(folder)]
        found.append(Kept(kind, folders, len(files), sum(size for _, size, _ in files), most))
    return found


def clear(kinds: Sequence[str]) -> list[Kept]:
    """Delete what is kept of the ``kinds``, all without any; returns what there was of them. Raises UsageError."""
    for kind in kinds:
        if kind not in _KINDS:
            raise UsageError(f"unknown kind '{kind}' of what is kept: choose from {', '.join(_KINDS)}")
    chosen = [entry for entry in kept() if not kinds or entry.kind in kinds]
    for entry in chosen:
        for folder in entry.folders:
            for _, _, path in _files(folder):
                _delete(path)
            for below in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                _delete(below)
    return chosen


def added(path: Path, kind: str) -> None:
    """Note a new file: now and then the least recently used ones of its folder go, until the bound of its kind holds.

    That is when a process adds its first one, and whenever it has added an eighth of the bound since.
    """
    _, most = _KINDS[kind]
    if most is None:
        return
    folder = path.parent
    since = _added.get(folder)
    try:
        _added[folder] = (since or 0) + path.stat().st_size
    except OSError:  # gone again
        return
    if since is None or _added[folder] > most // 8:
        _added[folder] = 0
        _keep_bounded(folder, most)


def _keep_bounded(folder: Path, most: int) -> None:
    files = sorted(_files(folder))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= most:
            return
        _delete(path)
        total -= size


def used(path: Path) -> None:
    """Note that a file has been used now."""
    try:
        os.utime(path)
    except OSError:  # gone, or somebody else's
        return


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of the last use, bytes and path of every file below a folder."""
    for path in folder.rglob("*"):
        try:
            status = path.stat()
        except OSError:
            continue
        if path.is_file():
            yield status.st_mtime, status.st_size, path


def _delete(path: Path) -> None:
    """Delete a file or an empty folder; what cannot be deleted stays."""
    try:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    except OSError:
        return

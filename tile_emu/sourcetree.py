"""Hashes of the project's own sources: what is kept on disk is found again only by the program that made it."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_SUFFIXES = frozenset({".py", ".S", ".inc", ".h", ".hpp", ".csv", ".toml"})


@functools.cache
def tree_hash(*folders: str, without: tuple[str, ...] = ()) -> str:
    """Hash of all sources, tables and chip files in ``folders`` of the project, but those that ``without`` begins."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((_ROOT / folder).rglob("*")):
            name = path.relative_to(_ROOT).as_posix()
            if path.suffix in _SUFFIXES and not name.startswith(without):
                digest.update(f"{name}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

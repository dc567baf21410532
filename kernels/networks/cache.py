"""Results of layers kept on disk, found by everything they depend on.

The key is a hash of what was run (shape, pass, dtype, chip, seed) and of every source file that can change a result:
codelets, planner, kernels, machine, chip files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tile_emu.cachedir import cache_directory
from tile_emu.kept import added, used
from tile_emu.profile.atomic import replacing
from tile_emu.sourcetree import tree_hash

_NO_INFLUENCE = ("tile_emu/cli",)  # prints results


def package_fingerprint() -> str:
    """Hash of all sources that a result may depend on."""
    return tree_hash("tile_emu", "kernels", without=_NO_INFLUENCE)


class ResultCache:
    """Documents in a folder of JSON files, one for each key; a damaged or unreadable file counts as absent."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = cache_directory() / "layers" if folder is None else folder

    def key(self, identity: Mapping[str, Any]) -> str:
        """Name of the result of what ``identity`` (plain values) describes, as computed by the present sources."""
        text = json.dumps([identity, package_fingerprint()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def get(self, key: str) -> dict[str, Any] | None:
        """The document kept under ``key``, or None."""
        try:
            found = json.loads(self._path(key).read_text())
        except (OSError, ValueError):
            return None
        used(self._path(key))
        return found if isinstance(found, dict) else None

    def put(self, key: str, document: Mapping[str, Any]) -> None:
        """Keep a document. A full or read-only disk is no reason to lose a result: then nothing is kept."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._path(key)) as file:
                file.write(json.dumps(document).encode())
            added(self._path(key), "results")
        except OSError:
            return

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

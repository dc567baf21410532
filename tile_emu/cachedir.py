"""Where this program keeps what it can make again: compiled code, results of layers. Imports nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """``$TILE_EMU_CACHE_DIR``, else a folder in the user's cache directory."""
    chosen = os.environ.get("TILE_EMU_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tile-emu"

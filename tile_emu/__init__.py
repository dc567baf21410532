"""tile_emu runs Graphcore IPU machine code without an IPU.

The way through it, one station after another: kernel call, plan, graph, image, machine, recording, report. Importing
this package loads nothing heavy: what it offers is imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tile_emu.asm import assemble, disassemble
    from tile_emu.chips import load_chip
    from tile_emu.graph import Graph
    from tile_emu.machine import Machine
    from tile_emu.tile import Tile

__version__ = "0.1.0"
__all__ = ["Graph", "Machine", "Tile", "assemble", "disassemble", "load_chip"]

_HOMES = {
    "Graph": "tile_emu.graph",
    "Machine": "tile_emu.machine",
    "Tile": "tile_emu.tile",
    "assemble": "tile_emu.asm",
    "disassemble": "tile_emu.asm",
    "load_chip": "tile_emu.chips",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

"""One tile: state arrays, the interpreter, faults."""

from tile_emu.tile.tile import Run, Tile

__all__ = ["Run", "Tile"]

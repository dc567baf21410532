"""The command line: parses, calls the Python API, prints. Nothing heavy is imported until a command needs it."""

from tile_emu.cli.entry import main

__all__ = ["main"]

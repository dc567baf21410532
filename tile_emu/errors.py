"""Errors meant for the user: each says what was wrong, where, and what to do.

The command line prints ``str(error)`` on one line and exits with ``exit_code``; a traceback never reaches a user.
"""

from __future__ import annotations


class TileEmuError(Exception):
    """Base of every error this project raises on purpose."""

    exit_code = 1


class UsageError(TileEmuError):
    """The caller asked for something that cannot be: a shape, a dtype, a file, a chip name."""

    exit_code = 2


class AssemblyError(TileEmuError):
    """A source line that is not valid tile assembly.

    ``str(error)`` starts with ``file:line:``.
    """

    def __init__(self, message: str, file: str = "<text>", line: int = 0, text: str = "") -> None:
        self.message = message
        self.file = file
        self.line = line
        self.text = text
        shown = f"{file}:{line}: {message}"
        if text:
            shown += f" in `{text.strip()}`"
        super().__init__(shown)


class OutOfTileMemory(TileEmuError):
    """A tile's SRAM cannot hold what the graph places on it."""


class IllegalExchange(TileEmuError):
    """An exchange row or schedule that the fabric cannot carry out as intended."""


class TileFault(TileEmuError):
    """A context of a tile stopped: architectural exception, unsupported instruction or endless loop.

    Fields hold what is known of the fault; ``str(error)`` is the whole report on one line.
    """

    def __init__(
        self, message: str, *, tile: int, context: str, kind: str, pc: int, address: int | None = None
    ) -> None:
        self.tile = tile
        self.context = context
        self.kind = kind
        self.pc = pc
        self.address = address
        super().__init__(message)

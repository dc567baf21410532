"""Stand-ins for the assembler and the scheduler, so that graph tests depend on neither."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tile_emu.exchange.transfers import Transfers
from tile_emu.graph import Codelet
from tile_emu.graph.lower import Toolchain

SYMBOLS = {"copy": 0x10, "add": 0x48}  # byte offsets in the fake codelets
CODELET_WORDS = 25  # 100 bytes: not a multiple of 8
COPY = Codelet("copy", Path("copy.S"), "copy", ("source", "dest", "count"), "copies")
ADD = Codelet("add", Path("add.S"), "add", ("x",), "adds")


def assemble(paths, architecture, base):
    return SimpleNamespace(
        base=base,
        words=np.arange(CODELET_WORDS, dtype=np.uint32) + 0xC0DE0000,
        symbols={name: base + offset for name, offset in SYMBOLS.items()},
        line_address=np.array([base, base + 4], np.int32),
        line_number=np.array([3, 4], np.int32),
        line_file=("copy.S", "copy.S"),
        line_unit=("copy.S", "copy.S"),
    )


def fake_tools(row_words=3, sources=None):
    """Rows of ``row_words`` words (0xE0000000 + tile) on every tile that sends or receives."""

    def emit_rows(chip, transfers):
        busy = np.zeros(chip.tiles, bool)
        busy[transfers.source_tile] = True
        busy[transfers.dest_tile] = True
        counts = np.where(busy, row_words, 0)
        words = np.repeat(0xE0000000 + np.arange(chip.tiles), counts).astype(np.uint32)
        return SimpleNamespace(words=words, start=np.concatenate([[0], np.cumsum(counts)]))

    def recorded(paths, architecture, base):
        if sources is not None:
            sources.append((list(paths), architecture))
        return assemble(paths, architecture, base)

    return Toolchain(recorded, Transfers.merge, lambda chip, transfers: transfers, emit_rows)

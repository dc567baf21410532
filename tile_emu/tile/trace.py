"""What a run executed, one entry an instruction or bundle: for people, and for counting turns by source line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.semantics.accumulators import CHAIN
from tile_emu.tile import layout
from tile_emu.tile.faults import context_name, symbol_at
from tile_emu.tile.layout import Status
from tile_emu.tile.state import TileArrays, run_tiles


@dataclass(frozen=True)
class TraceEntry:
    """One executed instruction or bundle."""

    context: str  # "supervisor" or "worker n"
    cycle: int  # a worker's turn; for the supervisor the earliest cycle at which it could issue
    address: int
    place: str  # symbol+offset
    line: str  # file:line, empty where unknown
    text: str  # disassembly
    changes: tuple[str, ...]  # registers and accumulators that changed, "$m3 0x5 -> 0x6"

    def __str__(self) -> str:
        changed = ", ".join(self.changes)
        where = f"{self.cycle:>8}  {self.context:<10}  {self.address:#x}  {self.place:<20}"
        return f"{where}  {self.text:<60}  {changed}".rstrip()


def turns_by_line(entries: Iterable[TraceEntry]) -> list[tuple[str, int]]:
    """How often each source line was executed, most often first; lines without a source go by their symbol."""
    return Counter(entry.line or entry.place for entry in entries).most_common()


def registers_of(arrays: TileArrays, context: int) -> dict[str, int]:
    """Everything a trace watches of a context, by printed name; accumulators as f32 patterns."""
    values = {f"$m{i}": int(arrays.mrf[0, context, i]) for i in range(layout.MRF_WRITABLE)}
    if context != layout.SUPERVISOR:
        values |= {f"$a{i}": int(arrays.arf[0, context, i]) for i in range(layout.ARF_STORED)}
        bits: NDArray[np.uint32] = arrays.acc[0, context].view(np.uint32)
        for index, word in enumerate(bits):
            set_number, unit = divmod(index % CHAIN, 8)
            values[f"$AACC[{16 * set_number + 2 * unit + index // CHAIN}]"] = int(word)
    return values


def next_context(arrays: TileArrays) -> int:
    """The context whose instruction comes next: a launched worker runs to its end before the supervisor goes on."""
    launched = int(arrays.sup[0, layout.LAUNCH_NEXT])
    return launched if launched >= 0 else layout.SUPERVISOR


def cycle_of(arrays: TileArrays, context: int) -> int:
    if context == layout.SUPERVISOR:
        return int(arrays.sup[0, layout.CYCLE])
    own = arrays.progress[0, context]
    return int(own[layout.START_CYCLE] + layout.WORKERS * own[layout.TURNS])


class Tracer:
    """Runs a single tile instruction by instruction and remembers what each did."""

    def __init__(self, arrays: TileArrays, symbols: Mapping[str, int], lines: Mapping[int, str]) -> None:
        self._arrays = arrays
        self._symbols = symbols
        self._lines = lines
        self.entries: list[TraceEntry] = []

    def run(self) -> int:
        """Step until the tile stops for another reason; that Status."""
        for status in self._steps():
            if status != Status.STEPPED:
                return status
        raise AssertionError("steps never end by themselves")

    def _steps(self) -> Iterator[int]:
        arrays, tile = self._arrays, np.zeros(1, np.int64)
        inspection = arrays.inspected()
        while True:
            context = next_context(arrays)
            address = int(arrays.progress[0, context, layout.PC])
            cycle = cycle_of(arrays, context)
            text, _ = text_at(arrays, context, address)
            before = registers_of(arrays, context)
            inspection.allow(1)
            status = int(run_tiles(arrays, tile, instrumented=True)[0])
            if inspection.steps_left == 0:
                after = registers_of(arrays, context)
                changes = tuple(f"{n} {v:#x} -> {after[n]:#x}" for n, v in before.items() if after[n] != v)
                place = symbol_at(self._symbols, address)
                line = self._lines.get(address, "")
                self.entries.append(TraceEntry(context_name(context), cycle, address, place, line, text, changes))
            yield status


def text_at(arrays: TileArrays, context: int, address: int) -> tuple[str, int]:
    """Disassembly of a single tile's memory as the context would execute it, and its bytes; empty outside code."""
    from tile_emu.asm import disassemble_one

    offset = address - arrays.chip.memory.base
    if offset & 3 or not 0 <= offset < arrays.executable:
        return "", 4
    words = arrays.memory[0, offset : offset + 8].view("<u4").tolist()
    mode = "supervisor" if context == layout.SUPERVISOR else "worker"
    return disassemble_one(words, 0, mode, base=address)

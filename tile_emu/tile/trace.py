"""What a run executed, one entry an instruction or bundle: for people, and for counting turns by source line."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.semantics.accumulators import CHAIN
from tile_emu.tile import layout, notes
from tile_emu.tile.faults import context_name, symbol_at
from tile_emu.tile.layout import Status
from tile_emu.tile.state import TileArrays, run_tiles

I64 = NDArray[np.int64]


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


def turns_by_line(trace: Trace) -> list[tuple[str, int]]:
    """How often each source line was executed, most often first; lines without a source go by their symbol."""
    counts: Counter[str] = Counter()
    for address, times in trace.turns_by_address():
        counts[trace.lines.get(address) or symbol_at(trace.symbols, address)] += times
    return counts.most_common()


def watched_names() -> list[str]:
    """Printed names of the registers that a trace watches, in the order of notes.py; accumulators as f32 patterns."""
    names = [f"$m{i}" for i in range(layout.MRF_WRITABLE)] + [f"$a{i}" for i in range(layout.ARF_STORED)]
    for index in range(notes.ACCUMULATORS):
        set_number, unit = divmod(index % CHAIN, 8)
        names.append(f"$AACC[{16 * set_number + 2 * unit + index // CHAIN}]")
    return names


def registers_of(arrays: TileArrays, context: int) -> dict[str, int]:
    """Everything a trace watches of a context, by printed name."""
    values = arrays.mrf[0, context, : layout.MRF_WRITABLE].tolist()
    if context != layout.SUPERVISOR:
        bits: NDArray[np.uint32] = arrays.acc[0, context].view(np.uint32)
        values += arrays.arf[0, context, : layout.ARF_STORED].tolist() + bits.tolist()
    return dict(zip(watched_names(), values))


def next_context(arrays: TileArrays) -> int:
    """The context whose instruction comes next: a launched worker runs to its end before the supervisor goes on."""
    launched = int(arrays.sup[0, layout.LAUNCH_NEXT])
    return launched if launched >= 0 else layout.SUPERVISOR


def cycle_of(arrays: TileArrays, context: int) -> int:
    if context == layout.SUPERVISOR:
        return int(arrays.sup[0, layout.CYCLE])
    own = arrays.progress[0, context]
    return int(own[layout.START_CYCLE] + layout.WORKERS * own[layout.TURNS])


class Trace(Sequence[TraceEntry]):
    """What was executed, in order. Entries are made when they are looked at.

    ``steps`` int64[n, 4] and ``changes`` int64[k, 4] (a step's in order, steps ascending by their last), fields as in
    notes.py; ``base``: address of the start of SRAM.
    """

    def __init__(
        self, steps: I64, changes: I64, base: int, symbols: Mapping[str, int], lines: Mapping[int, str]
    ) -> None:
        by = changes[:, notes.CHANGE_STEP]
        # Only where contexts change are they not in order of the steps.
        in_order = bool((by[1:] >= by[:-1]).all())
        self.steps = steps
        self.changes = changes if in_order else changes[np.argsort(by, kind="stable")]
        self.symbols, self.lines = symbols, lines
        self._base = base
        self._names = watched_names()
        self._texts: dict[tuple[int, int, bool], str] = {}

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, index: int) -> TraceEntry: ...

    @overload
    def __getitem__(self, index: slice) -> list[TraceEntry]: ...

    def __getitem__(self, index: int | slice) -> TraceEntry | list[TraceEntry]:
        if isinstance(index, slice):
            return [self._entry(i) for i in range(*index.indices(len(self)))]
        return self._entry(range(len(self))[index])

    @functools.cached_property
    def _first(self) -> I64:
        """i64[n + 1]: where the changes of each step begin."""
        return np.searchsorted(self.changes[:, notes.CHANGE_STEP], np.arange(len(self.steps) + 1)).astype(np.int64)

    def _entry(self, i: int) -> TraceEntry:
        context, offset, cycle, words = self.steps[i].tolist()
        address = self._base + offset
        changes = tuple(
            f"{self._names[register]} {old:#x} -> {new:#x}"
            for _, register, old, new in self.changes[self._first[i] : self._first[i + 1]].tolist()
        )
        place, line = symbol_at(self.symbols, address), self.lines.get(address, "")
        return TraceEntry(
            context_name(context), cycle, address, place, line, self._text(context, address, words), changes
        )

    def _text(self, context: int, address: int, words: int) -> str:
        key = address, words, context == layout.SUPERVISOR
        if key not in self._texts:
            pair = [words & 0xFFFFFFFF, words >> 32 & 0xFFFFFFFF]
            self._texts[key] = disassembled(pair, context, address)[0]
        return self._texts[key]

    def turns_by_address(self) -> Iterator[tuple[int, int]]:
        """Addresses executed, in the order of their first execution, and how often."""
        offsets, first, counts = np.unique(self.steps[:, notes.STEP_OFFSET], return_index=True, return_counts=True)
        for i in np.argsort(first).tolist():
            yield self._base + int(offsets[i]), int(counts[i])


class Tracer:
    """Runs a single tile and remembers what each instruction did."""

    def __init__(self, arrays: TileArrays, symbols: Mapping[str, int], lines: Mapping[int, str]) -> None:
        self._arrays = arrays
        self._symbols = symbols
        self._lines = lines
        self._steps: list[I64] = []
        self._changes: list[I64] = []
        self._taken = 0
        arrays.inspected().start_trace()

    def run(self) -> int:
        """Run until the tile stops for another reason than that the trace has to be taken away; its Status."""
        arrays, tile = self._arrays, np.zeros(1, np.int64)
        inspection = arrays.inspected()
        inspection.free()
        try:
            while True:
                status = int(run_tiles(arrays, tile, instrumented=True)[0])
                if status != Status.STEPPED:
                    break
                self._take()
        except BaseException:
            inspection.end_trace()
            raise
        if status >= layout.FIRST_FAULT:
            self._end()
        return status

    def _take(self) -> None:
        steps, changes = self._arrays.inspected().take_trace()
        changes[:, notes.CHANGE_STEP] += self._taken
        self._taken += len(steps)
        self._steps.append(steps)
        self._changes.append(changes)

    def _end(self) -> None:
        """Take what the last instructions did. A fault's own is listed, without changes."""
        arrays = self._arrays
        inspection = arrays.inspected()
        if not inspection.states[0, notes.TRACING]:
            return
        for context in range(layout.CONTEXTS):
            worker = min(context, layout.WORKERS - 1)  # a supervisor has no others
            registers = arrays.mrf[0, context], arrays.arf[0, worker], arrays.acc[0, worker]
            notes.note_changes(inspection.states[0], inspection.trace, context, *registers)
        self._take()
        inspection.end_trace()

    def trace(self) -> Trace:
        """Everything executed so far, and the end of tracing."""
        self._end()
        steps, changes = np.concatenate(self._steps), np.concatenate(self._changes)
        return Trace(steps, changes, self._arrays.chip.memory.base, self._symbols, self._lines)


def text_at(arrays: TileArrays, context: int, address: int) -> tuple[str, int]:
    """Disassembly of a single tile's memory as the context would execute it, and its bytes; empty outside code."""
    offset = address - arrays.chip.memory.base
    if offset & 3 or not 0 <= offset < arrays.executable:
        return "", 4
    return disassembled(arrays.memory[0, offset : offset + 8].view("<u4").tolist(), context, address)


def disassembled(words: list[int], context: int, address: int) -> tuple[str, int]:
    """The instruction that begins with two words, as a context would execute it, and its bytes."""
    from tile_emu.asm import disassemble_one

    mode = "supervisor" if context == layout.SUPERVISOR else "worker"
    return disassemble_one(words, 0, mode, base=address)

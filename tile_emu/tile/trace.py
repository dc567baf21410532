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
from tile_emu.tile import layout, steps
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
    """Printed names of the registers that a trace watches, in the order of steps.py; accumulators as f32 patterns."""
    names = [f"$m{i}" for i in range(layout.MRF_WRITABLE)] + [f"$a{i}" for i in range(layout.ARF_STORED)]
    for index in range(steps.ACCUMULATORS):
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

    ``kept``: portions of steps int64[., 3] and of changes int64[.], in order, as steps.py has them; ``base``: address
    of the start of SRAM.
    """

    def __init__(
        self, kept: Sequence[tuple[I64, I64]], base: int, symbols: Mapping[str, int], lines: Mapping[int, str]
    ) -> None:
        self.symbols, self.lines = symbols, lines
        self._kept = kept
        self._base = base
        self._names = watched_names()
        self._texts: dict[tuple[int, int, bool], str] = {}

    @functools.cached_property
    def steps(self) -> I64:
        """int64[n, 3]: place, cycle and words of each step, as in steps.py."""
        return np.concatenate([portion for portion, _ in self._kept])

    @functools.cached_property
    def changes(self) -> I64:
        """int64[k, 4]: step, watched register, old and new word of each change, in order of the steps."""
        return _changes(np.concatenate([portion for _, portion in self._kept]), self.steps[:, steps.STEP_PLACE] & 7)

    def __len__(self) -> int:
        return sum(len(portion) for portion, _ in self._kept)

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
        return np.searchsorted(self.changes[:, 0], np.arange(len(self) + 1)).astype(np.int64)

    def _entry(self, i: int) -> TraceEntry:
        place, cycle, words = self.steps[i].tolist()
        context, address = place & 7, self._base + (place >> 3)
        changes = tuple(
            f"{self._names[register]} {old:#x} -> {new:#x}"
            for _, register, old, new in self.changes[self._first[i] : self._first[i + 1]].tolist()
        )
        symbol, line = symbol_at(self.symbols, address), self.lines.get(address, "")
        return TraceEntry(
            context_name(context), cycle, address, symbol, line, self._text(context, address, words), changes
        )

    def _text(self, context: int, address: int, words: int) -> str:
        key = address, words, context == layout.SUPERVISOR
        if key not in self._texts:
            pair = [words & 0xFFFFFFFF, words >> 32 & 0xFFFFFFFF]
            self._texts[key] = disassembled(pair, context, address)[0]
        return self._texts[key]

    def turns_by_address(self) -> Iterator[tuple[int, int]]:
        """Addresses executed, in the order of their first execution, and how often."""
        offsets, first, counts = np.unique(self.steps[:, steps.STEP_PLACE] >> 3, return_index=True, return_counts=True)
        for i in np.argsort(first).tolist():
            yield self._base + int(offsets[i]), int(counts[i])


def _changes(words: I64, contexts: I64) -> I64:
    """The changes that the words of steps.py tell of, see Trace.changes. ``contexts``: int64[n], of each step."""
    codes, values = words >> steps.CODE_SHIFT, words & steps.M32
    is_mark = codes >= steps.OF_STEP
    mark = np.flatnonzero(is_mark)[np.cumsum(is_mark) - 1][~is_mark]  # before each change
    register, new = codes[~is_mark], values[~is_mark]
    first = codes[mark] != steps.OF_STEP
    step = np.where(first, -1, values[mark])
    context = np.where(first, codes[mark] - steps.AT_START, contexts[step])
    # What a register held before is what the change before it made of it, 0 where there is none.
    of_register = (context * steps.WATCHED + register).astype(np.int16)  # few bits sort fast
    order = np.argsort(of_register, kind="stable")
    old = np.zeros_like(new)
    again = of_register[order[1:]] == of_register[order[:-1]]
    old[order[1:]] = np.where(again, new[order[:-1]], 0)
    found = np.column_stack([step, register, old, new])[~first]
    # Only where contexts change are they not in order of the steps.
    in_order = bool((found[1:, 0] >= found[:-1, 0]).all())
    return found if in_order else found[np.argsort(found[:, 0], kind="stable")]


class Tracer:
    """Runs a single tile and remembers what each instruction did."""

    def __init__(self, arrays: TileArrays, symbols: Mapping[str, int], lines: Mapping[int, str]) -> None:
        self._arrays = arrays
        self._symbols = symbols
        self._lines = lines
        self._kept: list[tuple[I64, I64]] = []
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
                self._kept.append(inspection.take_trace())
        except BaseException:
            inspection.end_trace()
            raise
        if status >= layout.FIRST_FAULT:
            self._end()
        return status

    def _end(self) -> None:
        """Take what the last instructions did. A fault's own is listed, without changes."""
        arrays = self._arrays
        inspection = arrays.inspected()
        if not inspection.trace[0][steps.TRACING]:
            return
        steps.keep_last_changes(inspection.trace, arrays.mrf[0], arrays.arf[0], arrays.acc[0])
        self._kept.append(inspection.take_trace())
        inspection.end_trace()

    def trace(self) -> Trace:
        """Everything executed so far, and the end of tracing."""
        self._end()
        return Trace(self._kept, self._arrays.chip.memory.base, self._symbols, self._lines)


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

"""A debugger for one tile: step, breakpoints, watchpoints, and a look at everything a context has.

A launched worker runs to its end before the next one starts, and before the supervisor goes on (see
supervisor_template.py); so the instruction that comes next always belongs to one context, and workers are stepped one
after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import UsageError
from tile_emu.isa.csr import csrs
from tile_emu.tile import layout, notes
from tile_emu.tile.csrspace import NO_SLOT, read_supervisor, read_worker
from tile_emu.tile.faults import context_name, symbol_at, tile_fault
from tile_emu.tile.inspection import RANGES
from tile_emu.tile.layout import FIRST_FAULT, Status
from tile_emu.tile.state import run_tiles
from tile_emu.tile.tile import Tile, chosen_workers
from tile_emu.tile.trace import cycle_of, next_context, registers_of, text_at

ACCESSES = {"read": notes.ACCESS_READ, "write": notes.ACCESS_WRITE, "both": notes.ACCESS_READ | notes.ACCESS_WRITE}
_CHUNK = 1 << 20  # instructions between two looks at whether to stop; some tenth of a second
_FOREVER = 1 << 62
_FAR = 4096  # bytes: how far from its symbol the listing of an address may start
_LINK = 10  # $lr


@dataclass(frozen=True)
class Watch:
    """A watched range of memory, byte addresses. ``access``: read, write or both."""

    address: int
    nbytes: int
    access: str


@dataclass(frozen=True)
class Stop:
    """Where and why execution stopped; the instruction named has not been executed yet."""

    reason: str  # "step", "context", "breakpoint", "watchpoint", "interrupted", "fault" or "ended"
    context: str  # whose instruction comes next (the one that faulted); "" after the end
    pc: int  # its byte address; -1 after the end
    place: str  # symbol+offset
    line: str  # file:line, empty where unknown
    text: str  # its disassembly
    message: str = ""  # the access of a watchpoint, the report of a fault

    def __str__(self) -> str:
        said = f"{self.reason}: {self.message}" if self.message else self.reason
        if self.pc < 0:
            return said
        where = ", ".join(part for part in (self.place, self.line) if part)
        return f"{said}\n{self.context} at {self.pc:#x} ({where}): {self.text}"


@dataclass(frozen=True)
class ContextState:
    """Where one context is. ``state``: next, waiting (launched, its turn comes), called, exited, faulted or idle."""

    context: str
    state: str
    pc: int
    place: str
    line: str
    turns: int  # bundles of a worker's last launch
    cycle: int  # of its next turn, or of the supervisor's next issue
    link: str  # what $lr points at, empty if that is no code

    def __str__(self) -> str:
        if self.state == "idle":
            return f"{self.context:<10}  idle"
        where = ", ".join(part for part in (self.place, self.line) if part)
        called = f", $lr in {self.link}" if self.link else ""
        turns = f"{self.turns} turns, " if self.context != "supervisor" else ""
        return f"{self.context:<10}  {self.state:<7}  {self.pc:#x} ({where}), {turns}cycle {self.cycle}{called}"


class Debugger:
    """Runs a tile under control. Start workers or a supervisor function, then step, run, look.

    Addresses are given as numbers, symbols, or symbol+bytes. ``interrupt`` may be called from a signal handler: the run
    under way stops within some tenth of a second. Everything of ``tile`` can be read and written at every stop.
    """

    def __init__(self, tile: Tile) -> None:
        self.tile = tile
        self.breakpoints: dict[int, str] = {}  # address -> as it was given
        self.watches: list[Watch] = []
        self._arrays = tile.arrays
        self._inspection = tile.arrays.inspected()
        self._waiting: list[int] = []  # workers to launch when the one before has exited
        self._launch = (0, 0, 0)  # their entry, vertex base, cycle
        self._started = False
        self._fresh = True  # nothing was executed or stopped at since the start
        self._supervising = False
        self._interrupted = False
        self._faulted: int | None = None  # the context that ended the run with a fault

    # Starting.

    def start_workers(self, entry: str | int, vertex_base: int = 0, workers: Sequence[int] | None = None) -> Stop:
        """Put workers (all six unless named) at an entry, as Tile.run_workers would; nothing is executed yet."""
        chosen = chosen_workers(workers)
        self._launch = self.tile.address_of(entry), vertex_base, self.tile.settle()
        self._arrays.progress[0, : layout.WORKERS, layout.TURNS] = 0
        self._waiting = chosen
        self._supervising = False
        self._launch_next()
        return self._begin()

    def start_supervisor(self, entry: str | int, m: Mapping[int, int] | None = None) -> Stop:
        """Call a supervisor function, as Tile.run_supervisor would; nothing is executed yet."""
        self._arrays.sup[0, layout.LAUNCH_NEXT] = -1
        self._arrays.progress[0, : layout.WORKERS, layout.TURNS] = 0
        self.tile.begin_supervisor(self.tile.address_of(entry), m or {})
        self._waiting = []
        self._supervising = True
        return self._begin()

    def _begin(self) -> Stop:
        self._started = self._fresh = True
        self._faulted = None
        return self._stop("step")

    def _launch_next(self) -> None:
        entry, vertex_base, cycle = self._launch
        self.tile.begin_worker(self._waiting.pop(0), entry, vertex_base, cycle)

    @property
    def started(self) -> bool:
        """Whether there is a run that has not ended."""
        return self._started

    # Breakpoints and watchpoints.

    def break_at(self, place: str | int) -> int:
        """Stop before the instruction at a place, whoever executes it; its address. Raises UsageError."""
        address = self._code_address(place)
        self.breakpoints[address] = str(place)
        return address

    def clear(self, place: str | int) -> None:
        """Remove a breakpoint. Raises UsageError if there is none."""
        address = self._code_address(place)
        if address not in self.breakpoints:
            raise UsageError(f"there is no breakpoint at {address:#x}")
        del self.breakpoints[address]

    def watch(self, place: str | int, nbytes: int = 4, access: str = "write") -> Watch:
        """Stop after an instruction that touches some of these bytes. ``access``: read, write or both."""
        if access not in ACCESSES:
            raise UsageError(f"access '{access}': choose one of {', '.join(ACCESSES)}")
        if nbytes < 1 or len(self.watches) == RANGES:
            raise UsageError(f"a watched range has at least one byte, and there are at most {RANGES} ranges")
        watch = Watch(self.tile.address_of(place), nbytes, access)
        self.tile.read(watch.address, np.uint8, nbytes)  # refuses what is not tile memory
        self.watches.append(watch)
        return watch

    def unwatch(self, place: str | int) -> None:
        """Remove the watchpoints that start at a place. Raises UsageError if there is none."""
        address = self.tile.address_of(place)
        left = [watch for watch in self.watches if watch.address != address]
        if len(left) == len(self.watches):
            raise UsageError(f"there is no watchpoint at {address:#x}")
        self.watches = left

    def _code_address(self, place: str | int) -> int:
        address = self.tile.address_of(place)
        base = self.tile.chip.memory.base
        if address % 4 or not base <= address < base + self._arrays.executable:
            raise UsageError(f"{address:#x} is no instruction address: a multiple of 4 in {base:#x}..")
        return address

    # Running.

    def interrupt(self) -> None:
        """Stop the run that is under way."""
        self._interrupted = True

    def step(self, count: int = 1, context: int | None = None) -> Stop:
        """Execute instructions; with ``context`` (0..5 workers, 6 supervisor) first run to that context's next one.

        Breakpoints and watchpoints stop it early.
        """
        if count < 1:
            raise UsageError("a step is at least one instruction")
        if context is not None and context != next_context(self._arrays):
            stop = self._go(_FOREVER, context=context)
            if stop.reason != "context":
                return stop
        self._fresh = False
        return self._go(count)

    def run(self) -> Stop:
        """Go on to the next breakpoint or watchpoint, a fault, or the end."""
        return self._go(_FOREVER)

    def run_to(self, place: str | int) -> Stop:
        """Go on until some context comes to a place, or stops before."""
        return self._go(_FOREVER, temporary=(self._code_address(place),))

    def _go(self, steps: int, context: int = -1, temporary: Sequence[int] = ()) -> Stop:
        if not self._started:
            raise UsageError("nothing runs: start workers or a supervisor function first")
        inspection = self._inspection
        base = inspection.base
        marked = (np.array([*self.breakpoints, *temporary], np.int64) - base) // 4
        inspection.breakpoints[marked] = 1
        inspection.set_ranges([(w.address, w.address + w.nbytes, ACCESSES[w.access]) for w in self.watches])
        before = [self.tile.read(w.address, np.uint8, w.nbytes).tobytes() for w in self.watches]
        try:
            status = self._advance(steps, context)
        finally:
            inspection.breakpoints[marked] = 0
            inspection.set_ranges([])
        self._fresh = False
        return self._report(status, before)

    def _advance(self, steps: int, context: int) -> int:
        """Let the tile run; its last Status."""
        arrays, inspection, tile = self._arrays, self._inspection, np.zeros(1, np.int64)
        run_tiles(arrays, tile[:0], instrumented=True)  # compiles: an interrupt of that is not one of the run
        self._interrupted = False
        resuming = not self._fresh
        while True:
            chunk = min(steps, _CHUNK)
            inspection.allow(chunk, context, resuming)
            resuming = False
            status = self._run_chunk(tile)
            steps -= chunk - inspection.steps_left
            stopped = inspection.states[0, notes.STOP] != 0
            if status != Status.STEPPED or stopped or self._interrupted or steps == 0:
                return status

    def _run_chunk(self, tile: NDArray[np.int64]) -> int:
        while True:
            status = int(run_tiles(self._arrays, tile, instrumented=True)[0])
            if status != Status.RETURNED or not self._waiting:
                return status
            self._launch_next()

    # Stops.

    def _report(self, status: int, before: Sequence[bytes]) -> Stop:
        if status >= FIRST_FAULT:
            self._started = False
            self._faulted = int(self._arrays.sup[0, layout.STOPPED_CONTEXT])
            fault = tile_fault(self._arrays, 0, status, self.tile.symbols, self.tile.lines)
            return self._stop("fault", str(fault), self._faulted)
        cause = int(self._inspection.states[0, notes.STOP])
        ended = status != Status.STEPPED
        self._started = not ended
        if cause == notes.STOPPED_BY_WATCH:
            return self._stop("watchpoint", self._access(before), ended=ended)
        if ended:
            waits = "" if status == Status.RETURNED else f"{Status(status).name}: one tile alone cannot go on"
            return self._stop("ended", waits, ended=True)
        reasons = {notes.STOPPED_BY_BREAKPOINT: "breakpoint", notes.STOPPED_BY_CONTEXT: "context"}
        return self._stop(reasons.get(cause, "interrupted" if self._interrupted else "step"))

    def _stop(self, reason: str, message: str = "", context: int | None = None, ended: bool = False) -> Stop:
        if ended:
            return Stop(reason, "", -1, "", "", "", message)
        who = next_context(self._arrays) if context is None else context
        pc = int(self._arrays.progress[0, who, layout.PC])
        text, _ = text_at(self._arrays, who, pc)
        return Stop(reason, context_name(who), pc, self.place(pc), self.tile.lines.get(pc, ""), text, message)

    def _access(self, before: Sequence[bytes]) -> str:
        """What hit a watchpoint: the access, its instruction, and the bytes of the range if they changed."""
        state = self._inspection.states[0]
        index, base = int(state[notes.HIT_RANGE]), self._inspection.base
        verb = "read" if state[notes.HIT_ACCESS] == notes.ACCESS_READ else "write"
        at, pc = base + int(state[notes.HIT_OFFSET]), base + int(state[notes.AT_OFFSET])
        who = context_name(int(state[notes.AT_CONTEXT]))
        text = f"{verb} of {state[notes.HIT_SIZE]} bytes at {at:#x} by {who} at {pc:#x} ({self.place(pc)})"
        watch = self.watches[index]
        now = self.tile.read(watch.address, np.uint8, watch.nbytes).tobytes()
        changed = next((i for i in range(watch.nbytes) if now[i] != before[index][i]), None)
        if changed is None:
            return text
        word = changed & -4
        old, new = (int.from_bytes(content[word : word + 4], "little") for content in (before[index], now))
        return f"{text}, {watch.address + word:#x}: {old:#x} -> {new:#x}"

    # Looking.

    def place(self, address: int) -> str:
        """symbol+offset of an address, or the number."""
        return symbol_at(self.tile.symbols, address) or f"{address:#x}"

    def where(self) -> list[ContextState]:
        """Where every context is: the workers, then the supervisor."""
        return [self._context_state(context) for context in range(layout.CONTEXTS)]

    def _context_state(self, context: int) -> ContextState:
        arrays = self._arrays
        own = arrays.progress[0, context]
        pc, turns = int(own[layout.PC]), int(own[layout.TURNS])
        state, cycle = self._state_of(context, turns), cycle_of(arrays, context)
        if context in self._waiting:
            pc, cycle, turns = self._launch[0], self._launch[2] + context, 0
        link = int(arrays.mrf[0, context, _LINK])
        known = arrays.chip.memory.base <= link < arrays.chip.memory.base + arrays.executable
        called = self.place(link) if known and context == layout.SUPERVISOR else ""
        line = self.tile.lines.get(pc, "")
        return ContextState(context_name(context), state, pc, self.place(pc), line, turns, cycle, called)

    def _state_of(self, context: int, turns: int) -> str:
        if context == self._faulted:
            return "faulted"
        if not self._started:
            return "exited" if turns else "idle"
        if context == next_context(self._arrays):
            return "next"
        if context == layout.SUPERVISOR:
            return "called" if self._supervising else "idle"
        launched, last = self._arrays.sup[0, [layout.LAUNCH_NEXT, layout.LAUNCH_LAST]]
        if context in self._waiting or 0 <= launched < context <= last:
            return "waiting"
        return "exited" if turns else "idle"

    def registers(self, context: int) -> dict[str, int]:
        """Registers of a context by name ($m0.., $a0.., accumulators $AACC[n] as f32 patterns)."""
        return registers_of(self._arrays, self._checked(context))

    def status_registers(self, context: int) -> dict[str, int]:
        """Status registers of a context by name, as a get would read them now."""
        arrays, mode = self._arrays, "supervisor" if self._checked(context) == layout.SUPERVISOR else "worker"
        own, found = arrays.progress[0, context], {}
        pc, cycle = int(own[layout.PC]), cycle_of(arrays, context)
        for register in csrs():
            if mode not in register.modes or register.space == "cwei":
                continue
            kind = 2 if mode == "supervisor" else int(register.space == "upper")
            slot = int(arrays.slots[kind, register.encoded])
            if slot == NO_SLOT or arrays.chip.architecture not in register.architectures:
                continue
            if mode == "supervisor":
                found[register.name] = int(read_supervisor(arrays.scsr[0], slot, cycle, pc, arrays.progress[0]))
            else:
                found[register.name] = int(read_worker(arrays.csrs[0, context], slot, own, cycle, pc))
        return found

    def _checked(self, context: int) -> int:
        if not 0 <= context < layout.CONTEXTS:
            raise UsageError(f"there are workers 0..{layout.WORKERS - 1} and the supervisor, {layout.SUPERVISOR}")
        return context

    def listing(self, place: str | int | None = None, before: int = 3, after: int = 6) -> list[str]:
        """Disassembly around a place, or around the next instruction, which ``>`` marks; ``*`` marks breakpoints."""
        context = next_context(self._arrays)
        pc = int(self._arrays.progress[0, context, layout.PC])
        target = pc if place is None else self._code_address(place)
        base = self._inspection.base
        labels = [a for a in self.tile.symbols.values() if base <= a <= target and target - a <= _FAR and a % 4 == 0]
        address, at = max(labels, default=target), 0
        lines: list[str] = []
        # A label above the start of a short function hides what stands before it: begin one label earlier.
        earlier = [label for label in labels if label < address]
        address = max(earlier, default=address) if target - address < 8 * before else address
        while len(lines) <= at + after:
            text, size = text_at(self._arrays, context, address)
            if not text:
                break
            if address <= target:
                at = len(lines)
            mark = (">" if address == pc else " ") + ("*" if address in self.breakpoints else " ")
            lines.append(f"{mark} {address:#x}  {self.place(address):<20}  {text}")
            address += size
        return lines[max(0, at - before) :]

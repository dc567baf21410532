"""`tile-emu debug`: a prompt around the debugger of one tile."""

from __future__ import annotations

import cmd
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tile_emu.asm import Code
from tile_emu.chips import Chip, load_chip
from tile_emu.cli.codelet import load_code
from tile_emu.cli.progress import Progress
from tile_emu.codelet import DTYPES, State, as_float, load_state, prepare_tile
from tile_emu.errors import TileEmuError, UsageError
from tile_emu.tile.debug import Debugger, Stop
from tile_emu.tile.faults import context_name
from tile_emu.tile.layout import CONTEXTS, SUPERVISOR
from tile_emu.tile.trace import next_context

_PROMPT = "(tile) "
_READS = {"watch": "write", "rwatch": "read", "awatch": "both"}


def run_debugger(
    sources: Sequence[Path],
    entry: str,
    state_file: Path,
    include: Sequence[Path],
    define: Sequence[str],
    chip_name: str,
    commands: Sequence[str] | None,
) -> int:
    """Load a codelet and take commands: those given, else from standard input; the exit status.

    0; when nobody is there to see it (commands given, or input is no terminal) 2 after a command that failed, which
    ends it, and 1 if the codelet's last stop was a fault.
    """
    chip = load_chip(chip_name)
    code = load_code(sources, entry, chip, include, define)
    state = load_state(state_file, chip, code)
    asking = commands is None and sys.stdin.isatty()
    with Progress() as progress:
        progress.watch_compiler()
        prompt = Prompt(code, entry, state, chip, asking)
    if commands is not None:
        for command in commands:
            if prompt.onecmd(command):
                break
    else:
        prompt.take_commands()
    return prompt.exit_status


class Prompt(cmd.Cmd):
    """The commands. A docstring is what `help` prints."""

    prompt = _PROMPT
    _short: ClassVar[dict[str, str]] = {
        "b": "break", "c": "continue", "d": "delete", "i": "where", "l": "list", "p": "print", "q": "quit", "r": "run",
        "s": "step", "u": "until", "w": "where", "x": "memory", "bt": "where", "regs": "registers",
    }  # fmt: skip

    def __init__(self, code: Code, entry: str, state: State, chip: Chip, asking: bool) -> None:
        super().__init__()
        self.use_rawinput = asking
        self._asking = asking
        if not asking:
            self.prompt = ""
        self._code, self._entry, self._state, self._chip = code, entry, state, chip
        self._debugger = Debugger(prepare_tile(code, state, chip))
        self._last: Stop | None = None
        self._failed = False

    @property
    def exit_status(self) -> int:
        if self._asking:
            return 0
        return 2 if self._failed else int(self._last is not None and self._last.reason == "fault")

    # The loop.

    def take_commands(self) -> None:
        """Read commands to the end of the input. At a terminal Ctrl-C abandons the line."""
        if self._asking:
            print(f"{self._entry} on a tile of {self._chip.name}; `help` lists the commands, `run` starts")
        while True:
            try:
                self.cmdloop()
                return
            except KeyboardInterrupt:
                if not self._asking:
                    raise
                print()

    def onecmd(self, line: str) -> bool:
        """One command; True to leave."""
        name, argument, _ = self.parseline(line)
        if name in self._short:
            line = f"{self._short[name]} {argument}"
        try:
            return bool(super().onecmd(line))
        except TileEmuError as error:
            return self._fail(str(error))
        except ValueError as error:
            return self._fail(str(error))

    def _fail(self, message: str) -> bool:
        print(f"error: {message}", file=sys.stdout if self._asking else sys.stderr)
        self._failed = True
        return not self._asking

    def default(self, line: str) -> bool:  # type: ignore[override]
        if line == "EOF":
            if self._asking:
                print()
            return True
        return self._fail(f"there is no command '{line.split()[0]}', see `help`")

    def emptyline(self) -> bool:
        """An empty line does nothing: a step repeated by accident cannot be taken back."""
        return False

    def postcmd(self, stop: bool, line: str) -> bool:
        sys.stdout.flush()
        return stop

    # Running.

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Ctrl-C stops the codelet, not the debugger."""
        before = signal.signal(signal.SIGINT, lambda *_: self._debugger.interrupt())
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _go(self, run: Callable[[], Stop]) -> None:
        if self._last is None:
            self._start()
        if not self._debugger.started:
            raise UsageError("the codelet has ended: `run` or `start` starts it anew")
        with self._stoppable():
            self._last = run()
        print(self._last)

    def _start(self) -> None:
        """A fresh tile; breakpoints and watchpoints stay."""
        old, state = self._debugger, self._state
        self._debugger = Debugger(prepare_tile(self._code, state, self._chip))
        self._debugger.breakpoints, self._debugger.watches = old.breakpoints, old.watches
        if state.kind == "worker":
            self._last = self._debugger.start_workers(self._entry, state.address, state.workers)
        else:
            self._last = self._debugger.start_supervisor(self._entry, state.main_registers)

    def do_run(self, _: str) -> None:
        """run: start anew with fresh memory and go on to the first breakpoint."""
        self._start()
        self._go(lambda: self._debugger.run())

    def do_start(self, _: str) -> None:
        """start: start anew and stop before the first instruction."""
        self._start()
        print(self._last)

    def do_continue(self, _: str) -> None:
        """continue: go on to the next breakpoint or watchpoint, a fault, or the end."""
        self._go(lambda: self._debugger.run())

    def do_step(self, line: str) -> None:
        """step [N] [CONTEXT]: execute N instructions or bundles (1); CONTEXT is worker 0..5 or s, the supervisor."""
        words = shlex.split(line)
        count = _number(words[0]) if words else 1
        context = _context(words[1]) if len(words) > 1 else None
        self._go(lambda: self._debugger.step(count, context))

    def do_until(self, line: str) -> None:
        """until PLACE: go on until some context comes to PLACE."""
        place = _place(_one(line, "until PLACE"))
        self._go(lambda: self._debugger.run_to(place))

    # Breakpoints and watchpoints.

    def do_break(self, line: str) -> None:
        """break [PLACE]: stop before the instruction at PLACE (symbol, symbol+bytes, address); alone, list them."""
        if not line:
            for address, given in self._debugger.breakpoints.items():
                print(f"breakpoint {given} at {address:#x}")
            for watch in self._debugger.watches:
                print(f"watchpoint {watch.access} of {watch.nbytes} bytes at {watch.address:#x}")
            return
        address = self._debugger.break_at(_place(_one(line, "break PLACE")))
        print(f"breakpoint at {address:#x} ({self._debugger.place(address)})")

    def do_delete(self, line: str) -> None:
        """delete PLACE: remove the breakpoint or the watchpoints there."""
        place = _place(_one(line, "delete PLACE"))
        try:
            self._debugger.clear(place)
        except UsageError:
            self._debugger.unwatch(place)

    def do_watch(self, line: str) -> None:
        """watch PLACE [BYTES]: stop after a write to the memory there (4 bytes). PLACE may be @array, @array+bytes."""
        self._watch(line, "watch")

    def do_rwatch(self, line: str) -> None:
        """rwatch PLACE [BYTES]: stop after a read."""
        self._watch(line, "rwatch")

    def do_awatch(self, line: str) -> None:
        """awatch PLACE [BYTES]: stop after a read or a write."""
        self._watch(line, "awatch")

    def _watch(self, line: str, how: str) -> None:
        words = shlex.split(line)
        if not 1 <= len(words) <= 2:
            raise UsageError(f"{how} PLACE [BYTES]")
        nbytes = _number(words[1]) if len(words) > 1 else 4
        watch = self._debugger.watch(self._address(words[0]), nbytes, _READS[how])
        print(f"watchpoint {watch.access} of {watch.nbytes} bytes at {watch.address:#x}")

    # Looking.

    def do_where(self, _: str) -> None:
        """where: where every worker and the supervisor are."""
        for state in self._debugger.where():
            print(state)

    def do_list(self, line: str) -> None:
        """list [PLACE]: disassembly around PLACE, or around the next instruction."""
        print("\n".join(self._debugger.listing(_place(_one(line, "list [PLACE]")) if line else None)))

    def do_registers(self, line: str) -> None:
        """registers [CONTEXT]: main and arithmetic registers of a context, or of the one whose turn is next."""
        named = self._debugger.registers(self._context(line))
        _print_words({name: value for name, value in named.items() if "AACC" not in name})

    def do_acc(self, line: str) -> None:
        """acc [CONTEXT]: accumulators of a worker as f32."""
        context = self._context(line)
        if context == SUPERVISOR:
            raise UsageError("the supervisor has no accumulators: acc 0..5")
        for first in range(0, 32, 8):
            values = self._debugger.tile.aacc[context, first : first + 8]
            print(f"$AACC[{first:>2}]  " + "  ".join(f"{value:g}" for value in values))

    def do_csr(self, line: str) -> None:
        """csr [CONTEXT]: status registers of a context."""
        for name, value in self._debugger.status_registers(self._context(line)).items():
            print(f"${name:<16}  {value:#010x}")

    def do_print(self, line: str) -> None:
        """print $REG [CONTEXT] | @ARRAY: one register, or an array of the state file."""
        words = shlex.split(line)
        if not words:
            raise UsageError("print $REG [CONTEXT] or print @ARRAY")
        if words[0].startswith("@"):
            array = self._state.arrays.get(words[0][1:])
            if array is None:
                raise UsageError(f"there is no array '{words[0][1:]}'")
            self._print_memory(array.address, array.data.dtype, array.data.size)
            return
        context = self._context(words[1] if len(words) > 1 else "")
        known = self._debugger.registers(context)
        known |= {f"${name}": value for name, value in self._debugger.status_registers(context).items()}
        if words[0] not in known:
            raise UsageError(f"{context_name(context)} has no register {words[0]}")
        _print_words({words[0]: known[words[0]]})

    def do_memory(self, line: str) -> None:
        """memory PLACE [DTYPE] [COUNT]: memory as f16 f32 i8 u8 i16 u16 i32 u32 (u32), COUNT elements (8)."""
        words = shlex.split(line)
        if not words:
            raise UsageError("memory PLACE [DTYPE] [COUNT]")
        dtype = words[1] if len(words) > 1 else "u32"
        if dtype not in DTYPES:
            raise UsageError(f"dtype '{dtype}': choose one of {', '.join(DTYPES)}")
        count = _number(words[2]) if len(words) > 2 else 8
        self._print_memory(self._address(words[0]), np.dtype(DTYPES[dtype]), count)

    def _print_memory(self, address: int, dtype: np.dtype[Any], count: int) -> None:
        values = self._debugger.tile.read(address, dtype, count)
        for first in range(0, count, 8):
            row = values[first : first + 8].tolist()
            shown = "  ".join(f"{v:#010x}" if dtype == np.uint32 else f"{v:g}" for v in row)
            print(f"{address + first * dtype.itemsize:#x}  {shown}")

    def do_quit(self, _: str) -> bool:
        """quit: leave; so does the end of the input."""
        return True

    # Arguments.

    def _address(self, text: str) -> int:
        """A place, or a place in an array of the state file."""
        if not text.startswith("@"):
            return self._debugger.tile.address_of(_place(text))
        name, _, offset = text[1:].partition("+")
        if name not in self._state.arrays:
            raise UsageError(f"there is no array '{name}'")
        return self._state.arrays[name].address + _number(offset or "0")

    def _context(self, text: str) -> int:
        return _context(text) if text else next_context(self._debugger.tile.arrays)


def _one(line: str, usage: str) -> str:
    words = shlex.split(line)
    if len(words) != 1:
        raise UsageError(usage)
    return words[0]


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise UsageError(f"'{text}' is not a number") from None


def _place(text: str) -> str | int:
    """An address, or a symbol as it stands."""
    return _number(text) if text[:1].isdigit() else text


def _context(text: str) -> int:
    if text in ("s", "supervisor"):
        return SUPERVISOR
    number = _number(text)
    if not 0 <= number < CONTEXTS:
        raise UsageError(f"context '{text}': a worker 0..5, or s for the supervisor")
    return number


def _print_words(named: dict[str, int]) -> None:
    for name, word in named.items():
        print(f"{name:<8}  {word:#010x}  {word}  {as_float(word):g}")

"""Many programs in one image, each run by the emulator and by the oracle from the same drawn state, and compared."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.differential.forms import WINDOWS, control_value
from tests.differential.written import BASE, Image, Line, Program, lay_out
from tests.naive import NaiveFault, NaiveTile
from tests.naive.state import Supervisor
from tests.naive.text import parse
from tests.programs import SUPERVISOR, any_f16, any_f32, any_word, finite_f16, finite_f32
from tile_emu.errors import TileFault
from tile_emu.tile import Run, Tile, layout

END = 0xE8000
UPPER = {0: "fp_sts", 2: "fp_ctl", 8: "tas", 9: "nfmt", 10: "scl"}


def label_of(number: int) -> str:
    return f"program{number}"


@dataclass(frozen=True)
class Mismatch:
    """A program on which the two disagree, and about what."""

    program: Program
    what: str


@dataclass(frozen=True)
class Registers:
    """A context's drawn state; the same numbers go into both machines."""

    m: list[int]
    a: list[int]
    acc: list[int]
    prng: list[int]
    tas: int
    control: int
    formats: int
    scale: int
    bases: tuple[int, int]

    @classmethod
    def draw(cls, rng: random.Random) -> Registers:
        style = rng.choice([finite_f32, any_f32, _halves, _halves, any_word, _anything])
        sums = any_f32 if rng.random() < 0.1 else finite_f32
        return cls(
            m=[_main_word(rng) for _ in range(12)],
            a=[style(rng) for _ in range(8)],
            acc=[sums(rng) for _ in range(32)],
            prng=[rng.getrandbits(32) for _ in range(4)],
            tas=style(rng),
            control=control_value(rng),
            formats=rng.randrange(4),
            scale=rng.choice([0, 0, 1, 63, rng.getrandbits(8)]),
            bases=(rng.randrange(0x60000, 0x70000), rng.randrange(0x60000, 0x70000, 4)),
        )


def _halves(rng: random.Random) -> int:
    return finite_f16(rng) | finite_f16(rng) << 16


def _anything(rng: random.Random) -> int:
    return any_f16(rng) | any_f16(rng) << 16 if rng.random() < 0.5 else any_f32(rng)


def _main_word(rng: random.Random) -> int:
    draw = rng.random()
    if draw < 0.4:
        return any_word(rng)
    return rng.randrange(0, 64) if draw < 0.7 else rng.randrange(*rng.choice(WINDOWS)) & -8


class Batch:
    """Both machines with the code and the data of some programs."""

    def __init__(self, programs: Sequence[Program], seed: int, **options: Any) -> None:
        """``options``: of the emulated tile, besides its chip."""
        self.options = options
        self.programs = programs
        self.image: Image = lay_out([[Line(label=label_of(n)), *p.lines] for n, p in enumerate(programs)])
        self.rng = random.Random(seed)
        self.naive = NaiveTile(parse("\n".join(self.image.text)))
        self.clock = 0
        self.executed: set[str] = set()  # forms that both completed
        self.translated = 0  # turns done by translated code
        self.faults = 0
        self.tile = self.new_tile()
        self.naive.memory.data[:] = self.tile.read(BASE, np.uint8, END - BASE).tobytes()

    def new_tile(self) -> Tile:
        tile = Tile("ipu21", **self.options)
        tile.arrays.count_words(len(self.image.words))
        tile.write(BASE, np.array(self.image.words, np.uint32))
        for low, high in WINDOWS:
            tile.write(low, np.frombuffer(self.rng.randbytes(high - low), np.uint8))
        pattern = self.rng.choice([finite_f16, finite_f16, finite_f16, any_f16])
        weights = np.array([[pattern(self.rng) for _ in range(4)] for _ in range(64)], np.uint16)
        if self.rng.random() < 0.3:
            words = [finite_f32(self.rng) for _ in range(128)]
            weights = np.array(words, np.uint32).view(np.uint16).reshape(64, 4)
        tile.set_cwei(weights)
        self.naive.cwei = weights.tolist()
        return tile

    def run(self) -> list[Mismatch]:
        """Run all programs; those on which the machines disagree. After one, the oracle takes over the memory."""
        found = []
        for number, program in enumerate(self.programs):
            what = self.supervised(number) if program.supervised else self.worker(number)
            if what:
                found.append(Mismatch(program, what))
                self.naive.memory.data[:] = self.tile.read(BASE, np.uint8, END - BASE).tobytes()
                self.naive.cwei = self.tile.cwei.tolist()
        self.translated += self.tile.arrays.units.turns
        return found

    # ---- one program -----------------------------------------------------------------------------------------

    def set_worker(self, number: int, state: Registers) -> None:
        tile, worker = self.tile, self.naive.workers[number]
        worker.m, worker.a, worker.acc = list(state.m), list(state.a), list(state.acc)
        worker.prng, worker.tas, worker.worker_base = list(state.prng), state.tas, state.bases[0]
        worker.debug, worker.rpt, worker.fp_sts, worker.turns, worker.instructions = {}, (0, 0, 0), 0, 0, 0
        worker.live, worker.fp_ctl, worker.nfmt, worker.scl = False, 0, 0, 0
        tile.mrf[number, :12], tile.arf[number, :8] = state.m, state.a
        sums = tile.aacc
        sums[number] = np.array(state.acc, np.uint32).view(np.float32)
        tile.set_aacc(sums)
        tile.set_worker_base(number, state.bases[0])
        for i, word in enumerate(state.prng):
            tile.set_csr(number, 0x103 + i, word)
        for index, value in ({0x108: state.tas} | dict.fromkeys((0x70, 0x71, 0x100, 0x102, 0x109, 0x10A), 0)).items():
            tile.set_csr(number, index, value)
        tile.arrays.progress[0, number, [2, 3, 4]] = 0

    def set_launch(self, state: Registers, quiet: bool) -> None:
        """What a launch copies into the worker. ``quiet``: no traps."""
        for index, value in (
            (0x20, state.control & ~7 if quiet else state.control),
            (0x31, state.formats),
            (0x33, state.scale),
        ):
            self.naive.supervisor.csr[index] = value
            self.tile.set_csr(SUPERVISOR, index, value)

    def worker(self, program: int) -> str:
        number = self.rng.randrange(6)
        state = Registers.draw(self.rng)
        self.set_worker(number, state)
        self.set_launch(state, False)
        entry = self.image.labels[label_of(program)]
        worker = self.naive.workers[number]
        self.naive.cycle, expected, emulated = self.clock, None, None
        self.naive.executed.clear()
        self.naive.issued.clear()
        self.tile.arrays.counters[:, layout.EXECUTIONS :] = 0
        for other in self.naive.workers:
            other.live = False  # one may have stopped at a fault
        try:
            self.naive.run_workers(label_of(program), state.bases[1], [number])
        except NaiveFault as fault:
            expected = (fault.kind, worker.pc)
        try:
            run = self.tile.run_workers(entry, vertex_base=state.bases[1], workers=[number])
        except TileFault as fault:
            emulated = (fault.kind, fault.pc)
        self.note_executed(expected, worker.pc)
        if emulated != expected:
            return f"fault: emulator {_place(emulated)}, oracle {_place(expected)}"
        if expected is None:
            cycles = worker.exit_cycle + 1 - self.clock
            self.clock += -(-cycles // 6) * 6
            counts = (worker.turns, worker.instructions, cycles)
            found = (run.turns[number], run.instructions, run.cycles)
            if found != counts:
                return f"turns, instructions, cycles: emulator {found}, oracle {counts}"
        return self.compare_worker(number) or self.compare_executions() or self.compare_tile()

    def note_executed(self, fault: tuple[str, int] | None, pc: int) -> None:
        addresses = set(self.naive.executed) | set(self.naive.issued)
        if fault is not None:
            self.faults += 1
            if fault[0].startswith("PBRK"):
                addresses.add(pc)
        for address in addresses:
            self.executed |= set(self.image.forms.get(address, ()))

    def supervised(self, program: int) -> str:
        """On a tile of its own, so that its clock starts at 0."""
        naive, registers = self.naive, self.set_supervisor()
        expected = emulated = run = None
        try:
            naive.run_supervisor(label_of(program), registers)
        except NaiveFault as fault:
            expected = (fault.kind, naive.supervisor.pc)
        try:
            run = self.tile.run_supervisor(self.image.labels[label_of(program)], registers)
        except TileFault as fault:
            emulated = (fault.kind, fault.pc)
        self.note_executed(expected, naive.supervisor.pc)
        if emulated != expected:
            result = f"fault: emulator {_place(emulated)}, oracle {_place(expected)}"
        else:
            result = self.compare_supervised(run)
        self.renew_tile()
        return result

    def set_supervisor(self) -> dict[int, int]:
        """Both machines before a supervisor program; its main registers."""
        self.renew_tile()
        for number in range(6):
            self.set_worker(number, Registers.draw(self.rng))
            self.naive.supervisor.csr[0x21 + number] = self.naive.workers[number].worker_base
        state = Registers.draw(self.rng)
        self.set_launch(state, True)
        return dict(enumerate(state.m[:10]))

    def renew_tile(self) -> None:
        """A new tile with new data, its clock and the oracle's at 0."""
        naive = self.naive
        self.translated += self.tile.arrays.units.turns
        self.tile, self.clock = self.new_tile(), 0
        naive.memory.data[:] = self.tile.read(BASE, np.uint8, END - BASE).tobytes()
        naive.supervisor, naive.cycle, naive.last_exit = Supervisor(), 0, -(2**32)
        naive.executed.clear()
        naive.issued.clear()

    def compare_supervised(self, run: Run | None) -> str:
        """``run``: what it cost, None if it stopped at a fault, before which launched workers are not compared."""
        naive = self.naive
        if run is not None:
            counts = (naive.cycle, [worker.turns for worker in naive.workers])
            if (run.cycles, list(run.turns)) != counts:
                return f"cycles, turns: emulator {run.cycles, run.turns}, oracle {counts}"
        workers = [self.compare_worker(number) for number in range(6)] if run is not None else []
        executions = self.compare_executions() if run is not None else ""
        return next(filter(None, [self.compare_supervisor(), *workers, executions, self.compare_tile()]), "")

    # ---- comparison ------------------------------------------------------------------------------------------

    def compare_worker(self, number: int) -> str:
        tile, worker = self.tile, self.naive.workers[number]
        stored = {i: worker.prng[i - 3] for i in range(3, 7)} | {i: getattr(worker, name) for i, name in UPPER.items()}
        pairs = [
            ("$m", tile.mrf[number, :12].tolist(), worker.m),
            ("$a", tile.arf[number, :8].tolist(), worker.a),
            ("AACC", tile.aacc[number].view(np.uint32).tolist(), worker.acc),
            ("CSR 256 +", [tile.get_csr(number, 256 + i) for i in range(11)], [stored.get(i, 0) for i in range(11)]),
            ("DBG", [tile.get_csr(number, i) for i in (0x70, 0x71)], [worker.debug.get(i, 0) for i in (0x70, 0x71)]),
        ]
        return next((f"worker {number}: {d}" for d in (_difference(*pair) for pair in pairs) if d), "")

    def compare_supervisor(self) -> str:
        sup = self.naive.supervisor
        stored = [i for i in sup.csr if i < 0xA0]
        pairs = [
            ("supervisor $m", self.tile.mrf[SUPERVISOR, :10].tolist(), sup.m[:10]),
            ("supervisor CSR", [self.tile.get_csr(SUPERVISOR, i) for i in stored], [sup.csr[i] for i in stored]),
            ("SSR", [self.tile.get_csr(SUPERVISOR, 1) & 1], [int(sup.lc)]),
        ]
        return next((d for d in (_difference(*pair) for pair in pairs) if d), "")

    def compare_executions(self) -> str:
        """How often each word was executed, as the emulator counts it: of workers, what differs from word to word."""
        places = len(self.image.words) + 1
        runs, _, issued = self.tile.arrays.counters[0, layout.EXECUTIONS :].reshape(-1, places).tolist()
        expected_runs, expected_issued = [0] * places, [0] * places
        for address, times in self.naive.executed.items():
            end = address + 4 * len(self.image.forms.get(address, "1"))
            expected_runs[_counted_at(address, places)] += times
            expected_runs[_counted_at(end, places)] -= times
        for address, times in self.naive.issued.items():
            expected_issued[_counted_at(address, places)] += times
        return _difference("runs", runs, expected_runs) or _difference("issued", issued, expected_issued)

    def compare_tile(self) -> str:
        memory = self.tile.arrays.memory[0]
        expected = np.frombuffer(self.naive.memory.data, np.uint8)
        if not np.array_equal(memory, expected):
            first = int(np.flatnonzero(memory != expected)[0]) & -4
            words = [int.from_bytes(bytes(side[first : first + 4]), "little") for side in (memory, expected)]
            return f"memory at {BASE + first:#x}: emulator {words[0]:#x}, oracle {words[1]:#x}"
        if self.tile.cwei.tolist() != self.naive.cwei:
            return "weights"
        return ""


def _counted_at(address: int, places: int) -> int:
    """Place of an address among the counted words; the last one stands for all others."""
    place = (address - BASE) // 4
    return place if 0 <= place < places else places - 1


def _place(fault: tuple[str, int] | None) -> str:
    return "none" if fault is None else f"{fault[0]} at {fault[1]:#x}"


def _difference(name: str, emulated: list[int], expected: list[int]) -> str:
    differing = [i for i, (a, b) in enumerate(zip(emulated, expected, strict=True)) if a != b]
    if not differing:
        return ""
    shown = ", ".join(f"[{i}] emulator {emulated[i]:#x}, oracle {expected[i]:#x}" for i in differing[:4])
    return f"{name}{shown}"

"""The oracle's tile: contexts, bundles, launch, and the order of turns (semantics 1, 5, 14)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.naive import accumulators, classify, control, draws, float8, floating, functions, memory, slic, supervisor
from tests.naive.control import CONTROL
from tests.naive.memory import Effects
from tests.naive.state import REGION1, Memory, NaiveFault, Supervisor, Worker
from tests.naive.text import BASE, Instruction, Program, Step, parse

FLAG_BITS = {"INV": 1, "DIV0": 2, "OFLO": 4}
MOST_CYCLES = 6 * 10**6


class NaiveTile:
    """One tile. ``adder`` chooses how an AMP unit sums (model C by default)."""

    def __init__(self, program: str | Program, adder: accumulators.Adder = accumulators.MODEL_C) -> None:
        self.program = parse(program) if isinstance(program, str) else program
        self.adder = adder
        self.memory = Memory()
        self.workers = [Worker(n) for n in range(6)]
        self.supervisor = Supervisor()
        self.cwei = [[0, 0, 0, 0] for _ in range(64)]
        self.cycle = 0
        self.last_exit = -(2**32)
        self._handler: dict[str, int] = {}  # mnemonic -> the one of ``handlers`` that knows it
        # Completed instructions and bundles, by address: of workers, of the supervisor.
        self.executed: Counter[int] = Counter()
        self.issued: Counter[int] = Counter()

    def step_at(self, pc: int) -> Step:
        if pc % 4 or not BASE <= pc < REGION1 or pc not in self.program.steps:
            raise NaiveFault("INVALID_PC", f"nothing to execute at {pc:#x}")
        return self.program.steps[pc]

    def write(self, context: Any, effects: Effects) -> None:
        for address, size, value in effects.stores:
            self.memory.store(address, size, value)
        for index, value in effects.m.items():
            if index < 12:
                context.m[index] = value
        for index, value in effects.a.items():
            if index < 8:
                context.a[index] = value
        if effects.acc is not None:
            context.acc = effects.acc
        for name, anything in effects.state.items():
            setattr(context, name, anything)

    # ---- workers ---------------------------------------------------------------------------------------------

    def handlers(self, worker: Worker, ins: Instruction, after: int) -> list[Callable[[], Effects | None]]:
        """Everything a worker can do; each gives None for an instruction it does not know."""
        return [
            lambda: control.integer(worker, ins, self.program),
            lambda: control.branch(worker, ins, self.program, after),
            lambda: control.worker_only(worker, ins, after, self.cycle),
            lambda: memory.plain(worker, self.memory, ins),
            lambda: memory.delta_load(worker, self.memory, ins),
            lambda: memory.pace(worker, self.memory, ins),
            lambda: memory.tapack(worker, ins),
            lambda: floating.elementwise(worker, ins),
            lambda: floating.lateral(worker, ins),
            lambda: floating.conversion(worker, ins),
            lambda: float8.conversion(worker, ins),
            lambda: functions.instruction(worker, ins),
            lambda: draws.draw(worker, ins),
            lambda: classify.classify(worker, ins),
            lambda: accumulators.accumulate(worker, ins),
            lambda: accumulators.drain(worker, ins),
            lambda: accumulators.amp(worker, ins, self.cwei, self.adder),
            lambda: slic.slic(worker, ins, self.cwei, self.adder),
            lambda: slic.transpose(worker, ins),
        ]

    def evaluate(self, worker: Worker, ins: Instruction, after: int) -> Effects:
        control.trap(ins)
        handlers = self.handlers(worker, ins, after)
        known = self._handler.get(ins.mnemonic)
        for index in range(len(handlers)) if known is None else [known]:
            effects = handlers[index]()
            if effects is not None:
                self._handler[ins.mnemonic] = index
                return effects
        raise NotImplementedError(ins.mnemonic)

    def worker_turn(self, worker: Worker) -> None:
        """One turn: read everything, then write everything (semantics 1.2, 5.3)."""
        if worker.busy:
            worker.busy -= 1
            worker.turns += 1
            return
        step = self.step_at(worker.pc)
        left = worker.rpt[2]
        names = [ins.mnemonic for ins in step.instructions]
        if left and (len(names) != 2 or any(CONTROL.fullmatch(name) for name in names)):
            raise NaiveFault("INVALID_INSTR", "instruction in repeat")
        for ins in step.instructions:
            control.check_registers(ins)
        after = step.address + step.size
        results = [self.evaluate(worker, ins, after) for ins in step.instructions]
        flags = sum(FLAG_BITS[flag] for flag in set().union(*(effects.flags for effects in results)))
        if flags & worker.fp_ctl & 7:
            worker.fp_sts |= flags
            raise NaiveFault("FP", "enabled floating-point exception")
        for effects in results:
            self.write(worker, effects)
        worker.fp_sts |= flags
        self.executed[step.address] += 1
        worker.busy = max(effects.turns for effects in results) - 1
        worker.turns += 1
        worker.instructions += len(results)
        self.go_on(worker, results[0], after)
        exits = results[0].exits
        if exits is not None:
            worker.live = False
            worker.status = exits
            self.supervisor.lc = self.supervisor.lc and exits
            self.last_exit = worker.exit_cycle = self.cycle

    @staticmethod
    def go_on(worker: Worker, main: Effects, after: int) -> None:
        """The next program counter, and the hardware loop."""
        first, end, left = worker.rpt
        worker.pc = after
        if main.repeat is not None:
            count, bundles = main.repeat
            if count == 0:
                worker.pc = after + 8 * bundles
            else:
                worker.rpt = (after, after + 8 * bundles, count)
        elif main.target is not None:
            worker.pc = main.target
        elif left and after == end:
            worker.rpt = (first, end, left - 1)
            if left > 1:
                worker.pc = first

    def launch(self, worker: Worker, pc: int, vertex_base: int, first_turn: int) -> None:
        sup = self.supervisor
        worker.pc, worker.vertex_base, worker.first_turn = pc, vertex_base, first_turn
        worker.live = True
        worker.turns = worker.busy = 0  # of this launch
        worker.fp_ctl, worker.fp_sts = sup.fp_ictl, 0
        worker.nfmt, worker.scl = sup.csr.get(0x31, 0), sup.csr.get(0x33, 0)
        worker.rpt = (*worker.rpt[:2], 0)

    def run_workers(self, entry: str, vertex_base: int = 0, workers: list[int] | None = None) -> None:
        """Launch workers without a supervisor and run them to their exit, interleaved turn by turn."""
        for n in workers if workers is not None else range(6):
            self.launch(self.workers[n], self.program.labels[entry], vertex_base, 0)
        end = self.cycle + MOST_CYCLES
        while any(worker.live for worker in self.workers):
            worker = self.workers[self.cycle % 6]
            if worker.live:
                self.worker_turn(worker)
            self.cycle += 1
            assert self.cycle < end, "endless program"

    # ---- supervisor ------------------------------------------------------------------------------------------

    def run_supervisor(self, entry: str, m: dict[int, int] | None = None) -> None:
        """Call a supervisor function and run until it returns to its caller; ``cycle`` is then its length."""
        sup = self.supervisor
        returns_to = 0x4
        sup.m[10] = returns_to
        for index, value in (m or {}).items():
            sup.m[index] = value
        sup.pc = self.program.labels[entry]
        sup.next_issue = self.cycle
        end = self.cycle + MOST_CYCLES
        while sup.pc != returns_to:
            worker = self.workers[self.cycle % 6]
            if worker.live:
                if self.cycle >= worker.first_turn:
                    self.worker_turn(worker)
            elif supervisor.may_issue(self, sup):
                supervisor.issue(self, sup)
            self.cycle += 1
            assert self.cycle < end, "endless program"
        self.cycle = sup.next_issue

"""The oracle's tile: contexts, bundles, control flow, launch, and the clock cycle by cycle (semantics 1, 5, 14)."""

from __future__ import annotations

import re
from typing import Any

from tests.naive import accumulators, floating, memory
from tests.naive.integer import BINARY, PAIRS, UNARY, WORD
from tests.naive.memory import Effects, put_words
from tests.naive.state import REGION1, Memory, NaiveFault, Supervisor, Worker
from tests.naive.text import BASE, Instruction, Operand, Step, parse

CONTROL = re.compile(r"bri|br|brz|brnz|brneg|brpos|brnzdec|call|rpt|exit\w+|get|put|uget|uput|trap|run|runall|sync")

# Supervisor costs in cycles (semantics 14.2, fitted).
RESULT, TAKEN, PUT, LAUNCH, WAKE = 8, 13, 13, 3, 5

UPPER = ["fp_sts", "fp_clr", "fp_ctl", "prng0", "prng1", "prng2", "prng3", "seed", "tas", "nfmt", "scl"]
FLAG_BITS = {"INV": 1, "DIV0": 2, "OFLO": 4}


def source_word(context: Any, op: Operand) -> int:
    if op.file == "imm":
        return op.value % WORD
    return int(context.read_m(op.first) if op.file == "m" else context.words(op)[0])


class NaiveTile:
    """One tile. ``adder`` chooses how an AMP unit sums (model C by default)."""

    def __init__(self, program: str, adder: accumulators.Adder = accumulators.MODEL_C) -> None:
        self.program = parse(program)
        self.adder = adder
        self.memory = Memory()
        self.workers = [Worker(n) for n in range(6)]
        self.supervisor = Supervisor()
        self.cwei = [[0, 0, 0, 0] for _ in range(64)]
        self.cycle = 0
        self.last_exit = -WORD

    # ---- both kinds of context -------------------------------------------------------------------------------

    def step_at(self, pc: int) -> Step:
        if pc % 4 or not BASE <= pc < REGION1 or pc not in self.program.steps:
            raise NaiveFault("INVALID_PC", f"nothing to execute at {pc:#x}")
        return self.program.steps[pc]

    def target(self, op: Operand) -> int:
        return self.program.labels[op.text] if op.file == "text" else 4 * op.value

    def integer(self, context: Any, ins: Instruction) -> Effects | None:
        """Integer, bitwise and permute instructions of either register file."""
        name, ops = ins.mnemonic, ins.operands
        effects = Effects()
        if name == "setzi":
            value = self.program.labels[ops[1].text] if ops[1].file == "text" else ops[1].value
            put_words(effects, ops[0], [value])
        elif name == "atom":
            put_words(effects, ops[0], [source_word(context, ops[1])])
        elif name == "movz":
            if source_word(context, ops[1]) == 0:
                put_words(effects, ops[0], [source_word(context, ops[2])])
        elif name in PAIRS:
            sources = [context.words(op) for op in ops[1:]]
            put_words(effects, ops[0], PAIRS[name](*(sources if len(sources) == 2 else sources * 2)))
        elif name in UNARY:
            put_words(effects, ops[0], [UNARY[name](source_word(context, ops[1]))])
        elif name in BINARY:
            a, b = (source_word(context, op) for op in ops[1:])
            if ops[1].lanes:  # sort4x16: source 0 first becomes two copies of one half
                a = (a >> 16 if ops[1].lanes == "BU" else a % 65536) * 0x10001
            put_words(effects, ops[0], [BINARY[name](a, b)])
        else:
            return None
        return effects

    def branch(self, context: Any, ins: Instruction, after: int) -> Effects | None:
        name, ops = ins.mnemonic, ins.operands
        effects = Effects()
        if name == "bri":
            effects.target = self.target(ops[0])
        elif name == "br":
            effects.target = context.read_m(ops[0].first)
        elif name == "call":
            put_words(effects, ops[0], [after])
            effects.target = self.target(ops[1])
        elif name in ("brz", "brnz", "brneg", "brpos", "brnzdec"):
            x = context.read_m(ops[0].first)
            negative = x >= 2**31
            taken = {"brz": x == 0, "brneg": negative, "brpos": not negative}.get(name, x != 0)
            if taken:
                effects.target = self.target(ops[1])
                if name == "brnzdec":
                    put_words(effects, ops[0], [x - 1])
        else:
            return None
        return effects

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

    def special(self, worker: Worker, ins: Instruction) -> Effects | None:
        """rpt, exits and status registers."""
        name, ops = ins.mnemonic, ins.operands
        effects = Effects()
        if name == "rpt":
            effects.repeat = source_word(worker, ops[0]) % 65536, ops[1].value + 1
        elif name.startswith("exit"):
            x = worker.read_m(ops[0].first)
            effects.exits = {"z": x == 0, "nz": x != 0, "neg": x >= 2**31, "pos": x < 2**31}[name[4:]]
        elif name == "get":
            lower = {0: worker.pc, 1: worker.number, 2: worker.vertex_base, 3: worker.worker_base}
            put_words(effects, ops[0], [lower[ops[1].value]])
        elif name == "uget":
            which = ops[1].value
            value = worker.prng[which - 3] if 3 <= which <= 6 else getattr(worker, UPPER[which], 0)
            put_words(effects, ops[0], [value])
        elif name == "uput":
            self.put_upper(worker, ops[0].value, worker.words(ops[1])[0], effects)
        else:
            return None
        return effects

    @staticmethod
    def put_upper(worker: Worker, which: int, value: int, effects: Effects) -> None:
        if UPPER[which] == "fp_clr":
            effects.state["fp_sts"] = worker.fp_sts & ~(value & 7)
            if value & 8:
                effects.acc = [0] * 32
        elif UPPER[which] == "seed":
            inverse = WORD - 1 - value
            effects.state["prng"] = [
                value,
                inverse,
                (value * 2**13 + inverse // 2**19) % WORD,
                (inverse * 2**13 + value // 2**19) % WORD,
            ]
        elif 3 <= which <= 6:
            effects.state["prng"] = [value if i == which - 3 else old for i, old in enumerate(worker.prng)]
        else:
            effects.state[UPPER[which]] = value

    def evaluate(self, worker: Worker, ins: Instruction, after: int) -> Effects:
        for effects in (
            self.integer(worker, ins),
            self.branch(worker, ins, after),
            self.special(worker, ins),
            memory.plain(worker, self.memory, ins),
            memory.delta_load(worker, self.memory, ins),
            memory.pace(worker, self.memory, ins),
            memory.tapack(worker, ins) if ins.mnemonic == "tapack" else None,
            floating.elementwise(worker, ins),
            floating.lateral(worker, ins),
            floating.conversion(worker, ins),
            accumulators.accumulate(worker, ins),
            accumulators.drain(worker, ins),
            accumulators.amp(worker, ins, self.cwei, self.adder),
        ):
            if effects is not None:
                return effects
        raise NotImplementedError(ins.mnemonic)

    def worker_turn(self, worker: Worker) -> None:
        """One turn: read everything, then write everything (semantics 1.2, 5.3)."""
        step = self.step_at(worker.pc)
        first, end, left = worker.rpt
        if left and (len(step.instructions) != 2 or CONTROL.fullmatch(step.instructions[0].mnemonic)):
            raise NaiveFault("INVALID_INSTR", "instruction in repeat")
        after = step.address + step.size
        results = [self.evaluate(worker, ins, after) for ins in step.instructions]
        flags = sum(FLAG_BITS[flag] for flag in set().union(*(effects.flags for effects in results)))
        if flags & worker.fp_ctl & 7:
            raise NaiveFault("FP", "enabled floating-point exception")
        for effects in results:
            self.write(worker, effects)
        worker.fp_sts |= flags
        worker.turns += 1
        worker.instructions += len(results)
        main = results[0]
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
        if main.exits is not None:
            worker.live = False
            worker.status = main.exits
            self.supervisor.lc = self.supervisor.lc and main.exits
            self.last_exit = worker.exit_cycle = self.cycle

    def launch(self, worker: Worker, pc: int, vertex_base: int, first_turn: int) -> None:
        worker.pc, worker.vertex_base, worker.first_turn = pc, vertex_base, first_turn
        worker.live = True
        worker.turns = 0  # of this launch
        worker.fp_ctl, worker.fp_sts = self.supervisor.fp_ictl, 0
        worker.nfmt = worker.scl = 0
        worker.rpt = (0, 0, 0)

    def run_workers(self, entry: str, vertex_base: int = 0, workers: list[int] | None = None) -> None:
        """Launch workers without a supervisor and run them to their exit, interleaved turn by turn."""
        for n in workers if workers is not None else range(6):
            self.launch(self.workers[n], self.program.labels[entry], vertex_base, 0)
        while any(worker.live for worker in self.workers):
            worker = self.workers[self.cycle % 6]
            if worker.live:
                self.worker_turn(worker)
            self.cycle += 1
            assert self.cycle < 6 * 10**6, "endless program"

    # ---- supervisor ------------------------------------------------------------------------------------------

    def run_supervisor(self, entry: str, m: dict[int, int] | None = None) -> None:
        """Call a supervisor function and run until it returns to its caller; ``cycle`` is then its length."""
        sup = self.supervisor
        returns_to = 0x4
        sup.m[10] = returns_to
        for index, value in (m or {}).items():
            sup.m[index] = value
        sup.pc = self.program.labels[entry]
        while sup.pc != returns_to:
            worker = self.workers[self.cycle % 6]
            if worker.live:
                if self.cycle >= worker.first_turn:
                    self.worker_turn(worker)
            elif self.may_issue(sup):
                self.supervisor_issue(sup)
            self.cycle += 1
            assert self.cycle < 10**6, "endless program"
        self.cycle = sup.next_issue

    def may_issue(self, sup: Supervisor) -> bool:
        if self.cycle < sup.next_issue:
            return False
        if sup.waiting:
            if any(worker.live for worker in self.workers) or self.cycle < self.last_exit + WAKE:
                return False
            sup.waiting = False
        ins = self.step_at(sup.pc).instructions[0]
        return ins.mnemonic == "put" or all(sup.ready[r] <= self.cycle for r in self.sources(ins))

    @staticmethod
    def sources(ins: Instruction) -> list[int]:
        """Numbers of the registers an instruction must wait for."""
        registers = [op.first for op in ins.operands if op.file == "m"]
        writes_first = not re.match(r"st|br|run|put|sync|call", ins.mnemonic)
        if ins.mnemonic == "movz":
            return registers  # the old destination is a source
        return registers[1:] if writes_first else registers if ins.mnemonic != "call" else []

    @staticmethod
    def conditional(ins: Instruction) -> list[int]:
        """A register that an instruction may leave as it is becomes ready as late as if written (inferred)."""
        return [ins.operands[0].first] if ins.mnemonic in ("brnzdec", "movz") else []

    def supervisor_issue(self, sup: Supervisor) -> None:
        ins = self.step_at(sup.pc).instructions[0]
        after = sup.pc + 4
        effects = (
            self.integer(sup, ins)
            or self.branch(sup, ins, after)
            or memory.plain(sup, self.memory, ins)
            or self.system(sup, ins)
        )
        self.write(sup, effects)
        for index in {*effects.m, *self.conditional(ins)}:
            if index < 12:
                sup.ready[index] = self.cycle + RESULT
        sup.instructions += 1
        taken = effects.target is not None
        sup.pc = after if effects.target is None else effects.target
        sup.next_issue = self.cycle + (TAKEN if taken else PUT if ins.mnemonic == "put" else 1)

    def system(self, sup: Supervisor, ins: Instruction) -> Effects:
        name, ops = ins.mnemonic, ins.operands
        effects = Effects()
        if name in ("run", "runall"):
            entry, base, step = sup.read_m(ops[0].first), sup.read_m(ops[1].first), ops[2].value
            if name == "runall":
                if any(worker.live for worker in self.workers):
                    raise NaiveFault("INVALID_OP", "runall with active workers")
                for n, worker in enumerate(self.workers):
                    self.launch(worker, entry, (base + 4 * n * step) % WORD, self.cycle + LAUNCH)
            else:
                worker = next(w for w in self.workers if not w.live)
                self.launch(worker, entry, (base + 4 * step + BASE) % WORD, self.cycle + LAUNCH)
        elif name == "sync":
            assert ops[0].value == 2
            sup.waiting = True
        elif name == "put":
            self.put_lower(sup, ops[0].value, sup.read_m(ops[1].first))
        elif name == "get":
            lower = {0: sup.pc, 1: int(sup.lc), 0x20: sup.fp_ictl, 0x50: sup.cccsload, 0x60: self.cycle}
            put_words(effects, ops[0], [lower[ops[1].value]])
        elif name in ("ld64putcs", "ld128putcs"):
            self.load_weights(sup, ops[0].value, 1 if name == "ld64putcs" else 2)
        else:
            raise NotImplementedError(name)
        return effects

    def put_lower(self, sup: Supervisor, index: int, value: int) -> None:
        if index == 2:
            sup.lc = bool(sup.lc or value & 2) and not value & 1
            if value & 4:
                self.cwei = [[0, 0, 0, 0] for _ in range(64)]
        elif index == 0x20:
            sup.fp_ictl = value
        elif index == 0x50:
            sup.cccsload = value
        elif 0x21 <= index <= 0x26:
            self.workers[index - 0x21].worker_base = value
        else:
            raise NotImplementedError(f"put {index:#x}")

    def load_weights(self, sup: Supervisor, slot: int, slots: int) -> None:
        if slot + slots > 64 or slot % slots or sup.cccsload % (8 * slots):
            raise NaiveFault("INVALID_OP", "bad CWEI slot or CCCSLOAD")
        Memory.check([(sup.cccsload, 8 * slots)])
        for i in range(slots):
            word = self.memory.load(sup.cccsload + 8 * i, 8)
            self.cwei[slot + i] = [word // 65536**j % 65536 for j in range(4)]
        sup.cccsload += 8 * slots

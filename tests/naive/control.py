"""Control flow and status registers of a worker (semantics 1.3, 2.5, 5)."""

from __future__ import annotations

import re
from typing import Any

from tests.naive.integer import BINARY, PAIRS, UNARY, WORD
from tests.naive.memory import Effects, put_words
from tests.naive.randomness import seeded
from tests.naive.state import NaiveFault, Worker
from tests.naive.text import Instruction, Operand, Program

#: What may not stand in the body of a rpt.
CONTROL = re.compile(r"bri|br|brz|brnz|brneg|brpos|brnzdec|call|rpt|exit\w+|get|put|uget|uput|trap")

UPPER = ["fp_sts", "fp_clr", "fp_ctl", "prng0", "prng1", "prng2", "prng3", "seed", "tas", "nfmt", "scl"]
READ_ONLY = (0, 1, 2, 3, 4, 5, 6, 0x60, 0x61)
DEBUG = (0x70, 0x71)


def source_word(context: Any, op: Operand) -> int:
    if op.file == "imm":
        return op.value % WORD
    return int(context.read_m(op.first) if op.file == "m" else context.words(op)[0])


def target(program: Program, op: Operand) -> int:
    return program.labels[op.text] if op.file == "text" else 4 * op.value


def integer(context: Any, ins: Instruction, program: Program) -> Effects | None:
    """Integer, bitwise and permute instructions of either register file."""
    name, ops = ins.mnemonic, ins.operands
    effects = Effects()
    if name == "setzi":
        put_words(effects, ops[0], [program.labels[ops[1].text] if ops[1].file == "text" else ops[1].value])
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


def branch(context: Any, ins: Instruction, program: Program, after: int) -> Effects | None:
    name, ops = ins.mnemonic, ins.operands
    effects = Effects()
    if name == "bri":
        effects.target = target(program, ops[0])
    elif name == "br":
        effects.target = context.read_m(ops[0].first)
    elif name == "call":
        put_words(effects, ops[0], [after])
        effects.target = target(program, ops[1])
    elif name in ("brz", "brnz", "brneg", "brpos", "brnzdec"):
        x = context.read_m(ops[0].first)
        negative = x >= 2**31
        taken = {"brz": x == 0, "brneg": negative, "brpos": not negative}.get(name, x != 0)
        if taken:
            effects.target = target(program, ops[1])
            if name == "brnzdec":
                put_words(effects, ops[0], [x - 1])
    else:
        return None
    return effects


def trap(ins: Instruction) -> None:
    if ins.mnemonic == "trap":
        raise NaiveFault(f"PBRK{ins.operands[0].value % 2}", "breakpoint")


def check_registers(ins: Instruction) -> None:
    """A status register of the aux lane that does not exist is known before anything of the bundle executes."""
    if ins.mnemonic in ("uget", "uput"):
        which = next(op.value for op in ins.operands if op.file == "imm")
        if which >= len(UPPER):
            raise _no_register(256 + which)


def worker_only(worker: Worker, ins: Instruction, after: int, cycle: int) -> Effects | None:
    """rpt, exits and status registers. ``cycle``: of this turn."""
    name, ops = ins.mnemonic, ins.operands
    effects = Effects()
    if name == "rpt":
        if after % 8:
            raise NaiveFault("INVALID_PC", "misaligned bundle in a repeat body")
        effects.repeat = source_word(worker, ops[0]) % 65536, ops[1].value + 1
    elif name.startswith("exit"):
        x = worker.read_m(ops[0].first)
        effects.exits = {"z": x == 0, "nz": x != 0, "neg": x >= 2**31, "pos": x < 2**31}[name[4:]]
    elif name == "get":
        put_words(effects, ops[0], [_get_lower(worker, ops[1].value, cycle)])
    elif name == "put":
        _put_lower(worker, ops[0].value, source_word(worker, ops[1]), effects)
    elif name == "uget":
        put_words(effects, ops[0], [_get_upper(worker, ops[1].value)])
    elif name == "uput":
        _put_upper(worker, ops[0].value, worker.words(ops[1])[0], effects)
    else:
        return None
    return effects


def _no_register(index: int) -> NaiveFault:
    return NaiveFault("INVALID_OP", f"no status register {index:#x}")


def _get_lower(worker: Worker, index: int, cycle: int) -> int:
    first, end, left = worker.rpt
    values = {
        0: worker.pc, 1: worker.number, 2: worker.vertex_base, 3: worker.worker_base, 4: left, 5: first, 6: end,
        0x60: cycle % WORD, 0x61: cycle // WORD,
    }  # fmt: skip
    if index in DEBUG:
        return worker.debug.get(index, 0)
    if index not in values:
        raise _no_register(index)
    return values[index]


def _put_lower(worker: Worker, index: int, value: int, effects: Effects) -> None:
    """Only the debug registers keep what is written; the others ignore it (inferred)."""
    if index in DEBUG:
        effects.state["debug"] = {**worker.debug, index: value}
    elif index not in READ_ONLY:
        raise _no_register(index)


def _get_upper(worker: Worker, which: int) -> int:
    if 3 <= which <= 6:
        return worker.prng[which - 3]
    return int(getattr(worker, UPPER[which], 0))


def _put_upper(worker: Worker, which: int, value: int, effects: Effects) -> None:
    if UPPER[which] == "fp_clr":
        effects.state["fp_sts"] = worker.fp_sts & ~(value & 7)
        if value & 8:
            effects.acc = [0] * 32
    elif UPPER[which] == "seed":
        effects.state["prng"] = seeded(value)
    elif 3 <= which <= 6:
        effects.state["prng"] = [value if i == which - 3 else old for i, old in enumerate(worker.prng)]
    else:
        effects.state[UPPER[which]] = value

"""The oracle's supervisor: its instructions, and its clock cycle by cycle (semantics 1.3, 5, 14.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.naive import control, memory
from tests.naive.integer import WORD
from tests.naive.memory import Effects, put_words
from tests.naive.state import Memory, NaiveFault, Supervisor
from tests.naive.text import BASE, Instruction

if TYPE_CHECKING:
    from tests.naive.tile import NaiveTile

# Supervisor costs in cycles (semantics 14.2, fitted).
RESULT, TAKEN, PUT, LAUNCH, WAKE = 8, 13, 13, 3, 5

#: Registers that a put does not change: PC, SSR, TILE_ID, CTXT_STS and the cycle counter.
READ_ONLY = (0, 1, 3, 0x60, 0x61, 0x72)
STORED = {*range(0x20, 0x27), 0x31, 0x33, 0x50, 0x70, 0x71, *range(0x73, 0x76), 0x80, 0x81, 0x82, 0x90, 0x91, 0x92}
EXCHANGE = set(range(0xA0, 0xAC))


def may_issue(tile: NaiveTile, sup: Supervisor) -> bool:
    if tile.cycle < sup.next_issue:
        return False
    if sup.waiting:
        if any(worker.live for worker in tile.workers) or tile.cycle < tile.last_exit + WAKE:
            return False
        sup.waiting = False
    ins = tile.step_at(sup.pc).instructions[0]
    return ins.mnemonic == "put" or all(sup.ready[r] <= tile.cycle for r in sources(ins))


def sources(ins: Instruction) -> list[int]:
    """Numbers of the registers an instruction must wait for."""
    registers = [op.first for op in ins.operands if op.file == "m"]
    writes_first = not re.match(r"st|br|run|put|sync|call", ins.mnemonic)
    if ins.mnemonic == "movz":
        return registers  # the old destination is a source
    return registers[1:] if writes_first else registers if ins.mnemonic != "call" else []


def conditional(ins: Instruction) -> list[int]:
    """A register that an instruction may leave as it is becomes ready as late as if written (inferred)."""
    return [ins.operands[0].first] if ins.mnemonic in ("brnzdec", "movz") else []


def issue(tile: NaiveTile, sup: Supervisor) -> None:
    ins = tile.step_at(sup.pc).instructions[0]
    after = sup.pc + 4
    control.trap(ins)
    effects = (
        control.integer(sup, ins, tile.program)
        or control.branch(sup, ins, tile.program, after)
        or memory.plain(sup, tile.memory, ins)
        or system(tile, sup, ins)
    )
    tile.issued[sup.pc] += 1
    tile.write(sup, effects)
    for index in {*effects.m, *conditional(ins)}:
        if index < 12:
            sup.ready[index] = tile.cycle + RESULT
    sup.instructions += 1
    taken = effects.target is not None
    sup.pc = after if effects.target is None else effects.target
    cost = TAKEN if taken else PUT if ins.mnemonic == "put" else effects.turns
    sup.next_issue = tile.cycle + cost


def system(tile: NaiveTile, sup: Supervisor, ins: Instruction) -> Effects:
    name, ops = ins.mnemonic, ins.operands
    effects = Effects()
    if name in ("run", "runall"):
        launch(tile, sup, ins)
    elif name == "sync":
        assert ops[0].value == 2, "other zones need other tiles"
        sup.waiting = True
    elif name == "delay":
        effects.turns = ops[0].value + 1
    elif name == "put":
        put(tile, sup, ops[0].value, sup.read_m(ops[1].first))
    elif name == "get":
        put_words(effects, ops[0], [get(tile, sup, ops[1].value)])
    elif name in ("ld64putcs", "ld128putcs"):
        load_weights(tile, sup, ops[0].value, 1 if name == "ld64putcs" else 2)
    else:
        raise NotImplementedError(f"{name} needs the exchange: tests/exchange_oracle.py")
    return effects


def launch(tile: NaiveTile, sup: Supervisor, ins: Instruction) -> None:
    entry, base, step = sup.read_m(ins.operands[0].first), sup.read_m(ins.operands[1].first), ins.operands[2].value
    if ins.mnemonic == "run":
        worker = next(w for w in tile.workers if not w.live)
        tile.launch(worker, entry, (base + 4 * step + BASE) % WORD, tile.cycle + LAUNCH)
        return
    if any(worker.live for worker in tile.workers):
        raise NaiveFault("INVALID_OP", "runall with active workers")
    for n, worker in enumerate(tile.workers):
        tile.launch(worker, entry, (base + 4 * n * step) % WORD, tile.cycle + LAUNCH)


def get(tile: NaiveTile, sup: Supervisor, index: int) -> int:
    active = sum(1 << 2 * n for n, live in enumerate([True, *(w.live for w in tile.workers)]) if live)
    computed = {
        0: sup.pc, 1: int(sup.lc), 2: 0, 3: 0, 0x60: tile.cycle % WORD, 0x61: tile.cycle // WORD, 0x72: active,
    }  # fmt: skip
    if index in computed:
        return computed[index]
    if index not in STORED | EXCHANGE:
        raise NaiveFault("INVALID_OP", f"no status register {index:#x}")
    return sup.csr.get(index, 0)


def put(tile: NaiveTile, sup: Supervisor, index: int, value: int) -> None:
    if index == 2:
        sup.lc = bool((sup.lc and not value & 1) or value & 2)
        if value & 4:
            tile.cwei = [[0, 0, 0, 0] for _ in range(64)]
    elif index in STORED | EXCHANGE:
        sup.csr[index] = value
        if 0x21 <= index <= 0x26:
            tile.workers[index - 0x21].worker_base = value
    elif index not in READ_ONLY:
        raise NaiveFault("INVALID_OP", f"no status register {index:#x}")


def load_weights(tile: NaiveTile, sup: Supervisor, slot: int, slots: int) -> None:
    if slot + slots > 64 or slot % slots or sup.cccsload % (8 * slots):
        raise NaiveFault("INVALID_OP", "bad CWEI slot or CCCSLOAD")
    Memory.check([(sup.cccsload, 8 * slots)])
    for i in range(slots):
        word = tile.memory.load(sup.cccsload + 8 * i, 8)
        tile.cwei[slot + i] = [word // 65536**j % 65536 for j in range(4)]
    sup.csr[0x50] = (sup.cccsload + 8 * slots) % WORD

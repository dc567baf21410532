"""Loads and stores (semantics 7): addresses first, then old memory, then what is to be written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.naive.integer import signed
from tests.naive.state import Memory, NaiveFault, Supervisor, Worker
from tests.naive.text import Instruction, Operand

WORD = 2**32
ADDRESS = 2**21


@dataclass
class Effects:
    """What an instruction will write once every instruction of its bundle has read its sources."""

    m: dict[int, int] = field(default_factory=dict)
    a: dict[int, int] = field(default_factory=dict)
    stores: list[tuple[int, int, int]] = field(default_factory=list)
    acc: list[int] | None = None
    state: dict[str, object] = field(default_factory=dict)  # other fields of the worker
    target: int | None = None
    exits: bool | None = None
    repeat: tuple[int, int] | None = None  # count, bundles of the body
    flags: set[str] = field(default_factory=set)
    turns: int = 1


def put_words(effects: Effects, op: Operand, words: list[int]) -> None:
    registers = effects.m if op.file == "m" else effects.a
    for i, word in enumerate(words):
        registers[op.first + i] = word % WORD


def is_zero_sink(op: Operand) -> bool:
    """Loads into $azero / $azeros access no memory (inferred: 4.2); nor into $a8..$a13, which store nothing."""
    return op.file == "a" and op.first >= 8


def split(value: int, count: int) -> list[int]:
    return [value // WORD**i % WORD for i in range(count)]


def join(words: list[int]) -> int:
    return sum(word * WORD**i for i, word in enumerate(words))


def formed(kind: str, size: int, value: int) -> list[int]:
    """Register words a scalar or vector load makes of ``size`` bytes."""
    if kind == "s":
        half = 2 ** (8 * size - 1)
        return [(value - 2 * half if value >= half else value) % WORD]
    if kind == "b":
        copies = 4 // size
        return [sum(value * 2 ** (8 * size * i) for i in range(copies))]
    return split(value, max(1, size // 4))


def step_amount(context: Worker | Supervisor, op: Operand) -> int:
    return op.value if op.file == "imm" else signed(context.read_m(op.first))


def plain(context: Worker | Supervisor, memory: Memory, ins: Instruction) -> Effects | None:
    """ld*, st* and stm32 with base, delta, offset or step; None when it is another instruction."""
    match = re.fullmatch(r"(ld|st|stm)([zsb]?)(8|16|32|64|128)(step)?", ins.mnemonic)
    if match is None:
        return None
    kind, step = match[2], bool(match[4])
    size = int(match[3]) // 8
    effects = Effects()
    data = ins.operands[0]
    if match[1] == "stm":
        return _store_main(context, ins, step)
    base, delta = (context.read_m(op.first) for op in ins.operands[1:3])
    last = ins.operands[3]
    address = base + delta
    if step:
        put_words(effects, ins.operands[2], [delta + size * step_amount(context, last)])
    else:
        address += size * (last.value if last.file == "imm" else context.read_m(last.first))
    address %= WORD
    if match[1] == "st":
        Memory.check([(address, size)])
        assert isinstance(context, Worker) or data.file == "m"
        source = [context.read_m(data.first)] if data.file == "m" else context.words(data)  # type: ignore[union-attr]
        effects.stores.append((address, size, join(source)))
    elif not is_zero_sink(data):
        Memory.check([(address, size)])
        put_words(effects, data, formed(kind, size, memory.load(address, size)))
    return effects


def _store_main(context: Worker | Supervisor, ins: Instruction, step: bool) -> Effects:
    effects = Effects()
    value, base = (context.read_m(op.first) for op in ins.operands[:2])
    move = 4 * signed(context.read_m(ins.operands[2].first))
    address = base if step else (base + move) % WORD
    Memory.check([(address, 4)])
    effects.stores.append((address, 4, value))
    if step:
        put_words(effects, ins.operands[1], [base + move])
    return effects


def delta_load(worker: Worker, memory: Memory, ins: Instruction) -> Effects | None:
    """The indexed loads of semantics 7.4."""
    effects = Effects()
    ops = ins.operands
    if match := re.fullmatch(r"ldd16(v2)?(a|b)(16|32|64)", ins.mnemonic):
        pointer, base, deltas = (worker.read_m(op.first) for op in ops[1:])
        fetch = 4 if match[1] else 2
        offset = deltas // 65536 if match[1] else deltas % 65536
        size = int(match[3]) // 8
        address = (base + offset) % WORD
        _check_distinct_sinks([(pointer, fetch)], [(ops[0], address, size)])
        if not is_zero_sink(ops[0]):
            put_words(effects, ops[0], formed("b" if match[2] == "b" else "", size, memory.load(address, size)))
        put_words(effects, ops[3], [memory.load(pointer, fetch)])
        put_words(effects, ops[1], [pointer + fetch])
        return effects
    if ins.mnemonic == "ld64a32":
        pointer, base, deltas = (worker.read_m(op.first) for op in ops[1:])
        address = (base + deltas % 65536) % WORD
        quad = ops[0].first
        if not is_zero_sink(ops[0]):
            Memory.check([(pointer, 8), (address, 4)])
            put_words(effects, Operand("a", quad + 2, 2), split(memory.load(pointer, 8), 2))
            put_words(effects, Operand("a", quad + 1), [memory.load(address, 4)])
        put_words(effects, ops[1], [pointer + 8])
        return effects
    if ins.mnemonic == "ldb16b16":
        base, deltas, minis = (worker.read_m(op.first) for op in ops[1:])
        low, high = deltas % 65536, deltas // 65536
        addresses = [(base + low) % WORD, (base + high) % WORD]
        if not is_zero_sink(ops[0]):
            Memory.check([(address, 2) for address in addresses])
            put_words(effects, ops[0], [formed("b", 2, memory.load(address, 2))[0] for address in addresses])
        put_words(effects, ops[2], [(low + 2) % 65536 + (high + 2 * (minis % 16)) % 65536 * 65536])
        put_words(effects, ops[3], [minis // 16])
        return effects
    return None


def _check_distinct_sinks(always: list[tuple[int, int]], loads: list[tuple[Operand, int, int]]) -> None:
    Memory.check(always + [(address, size) for op, address, size in loads if not is_zero_sink(op)])


def tapack(worker: Worker, ins: Instruction) -> Effects | None:
    if ins.mnemonic != "tapack":
        return None
    effects = Effects()
    first, second, third = (worker.read_m(op.first) % ADDRESS for op in ins.operands[1:])
    put_words(effects, ins.operands[0], [first + third % 2048 * ADDRESS, second + third // 2048 * ADDRESS])
    return effects


#: mnemonic -> address fields in the order of its selectors, each (field, size in bytes, "load" or "store").
PACE = {
    "ld2x64pace": [(0, 8, "load"), (1, 8, "load")],
    "ldst64pace": [(0, 8, "load"), (2, 8, "store")],
    "st64pace": [(2, 8, "store")],
    "ld2xst64pace": [(0, 8, "load"), (1, 8, "load"), (2, 8, "store")],
    "ld64a32pace": [(0, 8, "load"), (1, 4, "load")],
    "ld64b16pace": [(0, 8, "load"), (1, 2, "load")],
}


def _advance(address: int, size: int, selector: int, strides: int) -> int:
    if selector == 0:
        return (address + size) % ADDRESS
    stride = strides // 1024 ** (selector - 1) % 1024
    stride = stride - 1024 if stride >= 512 else stride
    return int((address + size * stride) % ADDRESS)


def pace(worker: Worker, memory: Memory, ins: Instruction) -> Effects | None:
    """The packed-address instructions of semantics 7.5."""
    fields = PACE.get(ins.mnemonic)
    if fields is None:
        return None
    effects = Effects()
    *data, pair, stride, selectors = ins.operands
    low, high = worker.words(pair)
    packed = [low % ADDRESS, high % ADDRESS, low // ADDRESS + high // ADDRESS % 1024 * 2048]
    if ins.mnemonic == "ld2xst64pace":
        quad = data[0]
        data = [Operand("a", quad.first, 2), Operand("a", quad.first + 2, 2), data[1]]
    loads = [op for op, (_, _, what) in zip(data, fields, strict=True) if what == "load" and not is_zero_sink(op)]
    registers = [r for op in loads for r in range(op.first, op.first + op.count)]
    if len(set(registers)) < len(registers):
        raise NaiveFault("INVALID_OP", "load destinations not distinct")
    used = [
        (packed[which], size)
        for op, (which, size, what) in zip(data, fields, strict=True)
        if what == "store" or not is_zero_sink(op)
    ]
    Memory.check(used)
    updated = list(packed)
    for i, (op, (which, size, what)) in enumerate(zip(data, fields, strict=True)):
        if what == "store":
            effects.stores.append((packed[which], size, join(worker.words(op))))
        elif not is_zero_sink(op):
            kind = "b" if size == 2 else ""
            put_words(effects, op, formed(kind, size, memory.load(packed[which], size)))
        updated[which] = _advance(packed[which], size, selectors.value // 4**i % 4, worker.read_m(stride.first))
    third = updated[2]
    spare = high // 2**31 * 2**31
    put_words(effects, pair, [updated[0] + third % 2048 * ADDRESS, updated[1] + third // 2048 * ADDRESS + spare])
    return effects

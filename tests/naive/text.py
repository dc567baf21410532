"""The oracle's program: the same text the assembler reads, taken apart without any instruction table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

BASE = 0x4C000

_NAMES = {
    "mzero": "m15", "mworker_base": "m12", "mvertex_base": "m13", "lr": "m10", "sp": "m11", "fp": "m9", "bp": "m8",
    "azero": "a15", "azeros": "a14:15",
}  # fmt: skip

#: Numbers of the control and status registers the programs name (upper-space ones minus 256, as uget/uput take them).
CSR = {
    "WSR": 1, "SSR": 1, "VERTEX_BASE": 2, "WORKER_BASE": 3, "REPEAT_COUNT": 4,
    "CR": 2, "TILE_ID": 3, "FP_ICTL": 0x20, "CCCSLOAD": 0x50, "COUNT_L": 0x60, "SCOUNT_L": 0x60,
    "INCOMING_DCOUNT": 0xA6,
    "FP_STS": 0, "FP_CLR": 1, "FP_CTL": 2, "PRNG_0_0": 3, "PRNG_0_1": 4, "PRNG_1_0": 5, "PRNG_1_1": 6, "PRNG_SEED": 7,
    "TAS": 8, "FP_NFMT": 9, "FP_SCL": 10,
}  # fmt: skip


@dataclass(frozen=True)
class Operand:
    """``file`` is m, a, imm or text; a register group starts at ``first`` and has ``count`` registers."""

    file: str
    first: int = 0
    count: int = 1
    lanes: str = ""
    text: str = ""

    @property
    def value(self) -> int:
        assert self.file == "imm", self
        return self.first


@dataclass(frozen=True)
class Instruction:
    mnemonic: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Step:
    """What one turn executes: one or two instructions at an address."""

    address: int
    instructions: tuple[Instruction, ...]

    @property
    def size(self) -> int:
        return 4 * len(self.instructions)


@dataclass
class Program:
    steps: dict[int, Step] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    end: int = BASE


def operand(text: str) -> Operand:
    text = text.strip()
    for suffix in ("+=", "++", ">>", "@"):
        text = text.removesuffix(suffix)
    if text.startswith("$CWEI_"):
        unit, slot = text.removeprefix("$CWEI_").split("_")
        return Operand("imm", 4 * int(unit) + int(slot))
    if text.startswith("$") and text[1:] in CSR:
        return Operand("imm", CSR[text[1:]])
    if text.startswith("$"):
        name, _, rest = text[1:].partition(":")
        name, _, more = _NAMES.get(name, name).partition(":")
        rest = rest or more
        first = int(name[1:])
        if rest in ("BL", "BU", "B"):
            return Operand(name[0], first, 1, rest)
        return Operand(name[0], first, int(rest) - first + 1 if rest else 1)
    if re.fullmatch(r"-?(0x[0-9a-fA-F]+|0b[01]+|\d+)", text):
        return Operand("imm", int(text, 0))
    return Operand("text", text=text)


def instruction(text: str) -> Instruction:
    mnemonic, _, rest = text.strip().partition(" ")
    if mnemonic == "nop":
        return Instruction("setzi", (Operand("m", 14), Operand("imm", 0)))
    if mnemonic == "fnop":
        return Instruction("setzi", (Operand("a", 13), Operand("imm", 0)))
    return Instruction(mnemonic, tuple(operand(part) for part in rest.split(",") if part.strip()))


def parse(text: str, base: int = BASE) -> Program:
    """One statement a line: a label, a directive, an instruction, or a bundle ``{main; aux}``."""
    program = Program(end=base)
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if not line or (line.startswith(".") and not line.startswith(".align")):
            continue
        if line.endswith(":"):
            program.labels[line[:-1]] = program.end
            continue
        if line.startswith(".align"):
            while program.end % int(line.split()[1]):
                program.steps[program.end] = Step(program.end, (instruction("nop"),))
                program.end += 4
            continue
        halves = line.strip("{}").split(";") if line.startswith("{") else [line]
        step = Step(program.end, tuple(instruction(half) for half in halves))
        program.steps[program.end] = step
        program.end += step.size
    return program

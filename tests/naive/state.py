"""State of the oracle's tile, its faults, its memory rules (semantics 2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.naive.text import BASE, Operand

MEMORY_END = 0xE8000
REGION1 = 0x80000


class NaiveFault(Exception):
    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        super().__init__(f"{kind}: {reason}")


class Memory:
    """Little-endian SRAM of one tile and the rules of an access."""

    def __init__(self) -> None:
        self.data = bytearray(MEMORY_END - BASE)

    def load(self, address: int, size: int) -> int:
        return int.from_bytes(self.data[address - BASE : address - BASE + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        self.data[address - BASE : address - BASE + size] = value.to_bytes(size, "little")

    @staticmethod
    def element(address: int) -> tuple[int, ...]:
        """The SRAM element (16 KiB bank) an access of up to 8 bytes uses; region 1 interleaves two banks."""
        if address < REGION1:
            return (0, (address - BASE) // 0x4000)
        return (1, (address - REGION1) // 0x8000, address // 8 % 2)

    @classmethod
    def check(cls, accesses: list[tuple[int, int]]) -> None:
        """Faults of the accesses ``(address, size)`` of one instruction."""
        for address, size in accesses:
            if address % size:
                raise NaiveFault("INVALID_ADDR", f"misaligned {address:#x}")
            if not BASE <= address <= MEMORY_END - size:
                raise NaiveFault("INVALID_ADDR", f"outside memory {address:#x}")
            if size == 16 and address < REGION1:
                raise NaiveFault("INVALID_ADDR", f"128-bit access outside region 1 {address:#x}")
        elements = [cls.element(address) for address, _ in accesses]
        if len(set(elements)) < len(elements):
            raise NaiveFault("CONFLICT", f"two accesses in one element {accesses}")


@dataclass
class Worker:
    """One worker context. ``acc`` holds 32 binary32 bit patterns, ``prng`` the four PRNG words."""

    number: int
    m: list[int] = field(default_factory=lambda: [0] * 12)
    a: list[int] = field(default_factory=lambda: [0] * 8)
    acc: list[int] = field(default_factory=lambda: [0] * 32)
    prng: list[int] = field(default_factory=lambda: [0] * 4)
    pc: int = 0
    vertex_base: int = 0
    worker_base: int = 0
    fp_ctl: int = 0
    fp_sts: int = 0
    tas: int = 0
    nfmt: int = 0
    scl: int = 0
    rpt: tuple[int, int, int] = (0, 0, 0)  # first, end, iterations left
    debug: dict[int, int] = field(default_factory=dict)  # DBG_DATA, DBG_BRK_ID by index
    busy: int = 0  # turns a multi-pass function still takes
    live: bool = False
    first_turn: int = 0
    turns: int = 0
    instructions: int = 0
    exit_cycle: int = 0
    status: bool = True

    def read_m(self, index: int) -> int:
        if index < 12:
            return self.m[index]
        return {12: self.worker_base, 13: self.vertex_base}.get(index, 0)

    def words(self, op: Operand) -> list[int]:
        """The 32-bit words of a register operand, lowest register first."""
        if op.file == "m":
            return [self.read_m(op.first + i) for i in range(op.count)]
        assert op.file == "a", op
        return [self.a[r] if r < 8 else 0 for r in range(op.first, op.first + op.count)]


@dataclass
class Supervisor:
    m: list[int] = field(default_factory=lambda: [0] * 12)
    ready: list[int] = field(default_factory=lambda: [0] * 16)  # cycle at which a dependent instruction may issue
    pc: int = 0
    next_issue: int = 0
    waiting: bool = False  # in sync 2
    instructions: int = 0
    lc: bool = False
    csr: dict[int, int] = field(default_factory=dict)  # stored registers by index

    @property
    def fp_ictl(self) -> int:
        return self.csr.get(0x20, 0)

    @fp_ictl.setter
    def fp_ictl(self, value: int) -> None:
        self.csr[0x20] = value

    @property
    def cccsload(self) -> int:
        return self.csr.get(0x50, 0)

    def read_m(self, index: int) -> int:
        return self.m[index] if index < 12 else 0

"""Where a mnemonic meets its meaning.

A semantic function takes the instruction's source operands in printed order and returns its result. The *shape* says
how the operands of the table row are read and the result written, so that interpreter, translator and documentation
can all be generated from the row and the function alone.

Parameters with these names are supplied from the context instead of an operand: ``ctl`` (FP_CTL), ``acc`` (this
worker's accumulators, see accumulators.py for the layout), ``weights16`` and ``weights32`` (the common weight store
widened), ``tas`` (CSR TAS), ``nfmt`` and ``scale`` (FP_NFMT, FP_SCL), ``prng`` (the generator's four words), ``draw``
(64 random bits for stochastic rounding: whoever takes them advances the generator once under ESR).

Attributes: ``turns`` of a multi-pass function (default 1; a function may add EXTRA_TURN per further turn to its
result), ``amp`` for product instructions that count as such, ``macs`` of one instruction; sizes and accesses of memory
instructions.

``choices`` names, separated by spaces, the modelling choices (choices.py) that the mnemonic depends on.

Values on the way in and out are ``int64`` holding 32-bit patterns (0 .. 2**32 - 1); signed immediates are negative
integers. A floating-point function returns its 32-bit pattern in bits 0..31 and the exception flags it raised in bits
32.. (same order as FP_STS: INV, DIV0, OFLO), so that one register carries both.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tile_emu.isa.semantics.choices import CHOICES, CONTROL, PRIVATE, SPECIAL

F = TypeVar("F", bound=Callable[..., Any])

M32 = 0xFFFFFFFF

# Flags in the value returned by a floating-point function, and their position in FP_STS after >> 32.
INV = 1 << 32
DIV0 = 1 << 33
OFLO = 1 << 34
# What a multi-pass function may add for every turn beyond its attribute ``turns``.
EXTRA_TURN = 1 << 40


class Shape(enum.Enum):
    """How a generator reads operands and writes the result of a mnemonic."""

    ALU = "alu"  # word(s) in, one word out; for a register group, once per word
    ALU_PAIR = "alu-pair"  # as ALU with a 64-bit result in an MRF pair
    GROUP = "group"  # ARF: all source words in, a tuple of result words (or one word, or only flags) out
    BRANCH = "branch"  # function gives taken or not; the target is the Rel19S2 operand
    BRANCH_DECREMENT = "branch-decrement"  # brnzdec
    JUMP = "jump"  # bri
    JUMP_REGISTER = "jump-register"  # br
    CALL = "call"
    REPEAT = "repeat"  # rpt
    EXIT = "exit"  # function gives the status delivered to local consensus
    GET = "get"
    PUT = "put"
    TRAP = "trap"
    LOAD = "load"  # function turns the raw datum into the register's content
    LOAD_STEP = "load-step"
    STORE = "store"
    STORE_STEP = "store-step"
    STORE_INDEXED = "store-indexed"  # stm32
    STORE_INDEXED_STEP = "store-indexed-step"  # stm32step
    LOAD_DELTA = "load-delta"  # ldd16*: datum at the old delta, next delta fetched
    LOAD_TWO = "load-two"  # ld64a32, ldb16b16
    PACE = "pace"  # packed addresses
    LAUNCH = "launch"  # run, runall
    WEIGHTS = "weights"  # ld64putcs, ld128putcs
    SYNC = "sync"
    EXCHANGE = "exchange"  # delay, sans, the send family


@dataclass(frozen=True)
class Semantic:
    """Meaning of one mnemonic."""

    mnemonic: str
    shape: Shape
    function: Callable[..., Any] | None
    summary: str
    attributes: dict[str, Any] = field(default_factory=dict)
    choices: tuple[str, ...] = ()

    @property
    def exactness(self) -> str:
        """EXACT: nothing chosen; SPECIAL: only for special values or under control bits; MODEL: in ordinary use.

        EXACT and SPECIAL results of ordinary operands are those that public texts define, bit for bit.
        """
        kinds = {CHOICES[name].kind for name in self.choices} - {PRIVATE}
        if not kinds:
            return "EXACT"
        return "SPECIAL" if kinds <= {SPECIAL, CONTROL} else "MODEL"

    @property
    def name(self) -> str:
        """Name under which generated code imports the function."""
        return "" if self.function is None else self.function.__name__

    @property
    def module(self) -> str:
        """Module that defines the function."""
        return "" if self.function is None else self.function.__module__


SEMANTICS: dict[str, Semantic] = {}


def declare(
    mnemonics: str,
    shape: Shape,
    summary: str,
    function: Callable[..., Any] | None = None,
    choices: str = "",
    **attributes: Any,
) -> None:
    """Give the meaning of one or several mnemonics (separated by spaces).

    A second declaration, or an unknown choice, is a ValueError.
    """
    names = tuple(choices.split())
    for mnemonic in mnemonics.split():
        if mnemonic in SEMANTICS:
            raise ValueError(f"{mnemonic} is declared twice")
        if not set(names) <= set(CHOICES):
            raise ValueError(f"{mnemonic}: no choice {sorted(set(names) - set(CHOICES))}")
        SEMANTICS[mnemonic] = Semantic(mnemonic, shape, function, summary, attributes, names)


def semantic(mnemonics: str, shape: Shape, summary: str, choices: str = "", **attributes: Any) -> Callable[[F], F]:
    """Decorator form of :func:`declare` for the function below it."""

    def keep(function: F) -> F:
        declare(mnemonics, shape, summary, function, choices, **attributes)
        return function

    return keep

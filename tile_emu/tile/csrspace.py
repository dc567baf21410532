"""Status registers of a context: compact storage slots, and what reading and writing them does (csr.csv).

Registers live in uint32 arrays; a lookup table per context kind and space turns the 8-bit number of an instruction
into a slot. An index that the architecture does not have gives NO_SLOT and faults as INVALID_OP.
"""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.csr import csrs
from tile_emu.isa.semantics.accumulators import clear_accumulators
from tile_emu.jit import jit
from tile_emu.tile.layout import EXIT_CYCLE, WORKERS

NO_SLOT = 255

_WORKER = [c for c in csrs() if "worker" in c.modes and c.space != "cwei"]
_SUPERVISOR = [c for c in csrs() if "supervisor" in c.modes and c.space != "cwei"]


def _slots(registers: list[Any]) -> dict[int, int]:
    return {index: slot for slot, index in enumerate(sorted({c.index for c in registers}))}


WORKER_SLOT_OF = _slots(_WORKER)
SUPERVISOR_SLOT_OF = _slots(_SUPERVISOR)
WORKER_CSRS = len(WORKER_SLOT_OF)
SUPERVISOR_CSRS = len(SUPERVISOR_SLOT_OF)


def _worker(name: str) -> int:
    return WORKER_SLOT_OF[next(c.index for c in _WORKER if c.name == name)]


def _supervisor(name: str) -> int:
    return SUPERVISOR_SLOT_OF[next(c.index for c in _SUPERVISOR if c.name == name)]


W_PC = _worker("PC")
W_WSR = _worker("WSR")
W_VERTEX_BASE = _worker("VERTEX_BASE")
W_WORKER_BASE = _worker("WORKER_BASE")
W_REPEAT_COUNT = _worker("REPEAT_COUNT")
W_REPEAT_FIRST = _worker("REPEAT_FIRST")
W_REPEAT_END = _worker("REPEAT_END")
W_COUNT_L = _worker("COUNT_L")
W_COUNT_U = _worker("COUNT_U")
W_FP_STS = _worker("FP_STS")
W_FP_CLR = _worker("FP_CLR")
W_FP_CTL = _worker("FP_CTL")
W_PRNG = _worker("PRNG_0_0")
W_PRNG_SEED = _worker("PRNG_SEED")
W_TAS = _worker("TAS")
W_FP_NFMT = _worker("FP_NFMT")
W_FP_SCL = _worker("FP_SCL")
S_PC = _supervisor("PC")
S_SSR = _supervisor("SSR")
S_CR = _supervisor("CR")
S_TILE_ID = _supervisor("TILE_ID")
S_FP_ICTL = _supervisor("FP_ICTL")
S_WORKER0_BASE = _supervisor("WORKER0_BASE")
S_FP_INFMT = _supervisor("FP_INFMT")
S_FP_ISCL = _supervisor("FP_ISCL")
S_CCCSLOAD = _supervisor("CCCSLOAD")
S_CTXT_STS = _supervisor("CTXT_STS")
S_SCOUNT_L = _supervisor("SCOUNT_L")
S_SCOUNT_U = _supervisor("SCOUNT_U")
S_INCOMING_MUX = _supervisor("INCOMING_MUX")
S_INCOMING_MUXPAIR = _supervisor("INCOMING_MUXPAIR")
S_INCOMING_DELTA = _supervisor("INCOMING_DELTA")
S_INCOMING_FORMAT = _supervisor("INCOMING_FORMAT")
S_INCOMING_BASE = _supervisor("INCOMING_BASE")
S_OUTGOING_BASE = _supervisor("OUTGOING_BASE")
S_OUTGOING_DELTA = _supervisor("OUTGOING_DELTA")

SSR_LC = 1
CR_LC_CLEAR = 1
CR_LC_SET = 2
CR_CLEAR_WEIGHTS = 4
CLR_FLAGS = 7
CLR_ACCUMULATORS = 8


@functools.cache
def slot_tables(architecture: str) -> NDArray[np.uint8]:
    """uint8[3, 256]: slot of an encoded index for a worker's lower space, a worker's upper space, a supervisor."""
    tables = np.full((3, 256), NO_SLOT, dtype=np.uint8)
    for registers, slot_of, rows in ((_WORKER, WORKER_SLOT_OF, (0, 1)), (_SUPERVISOR, SUPERVISOR_SLOT_OF, (2, 2))):
        for register in registers:
            if architecture in register.architectures:
                row = rows[1] if register.space == "upper" else rows[0]
                tables[row, register.encoded] = slot_of[register.index]
    return tables


@jit(leaf=True)
def read_worker(csr, slot, progress, cycle, pc):  # type: ignore[no-untyped-def]
    """Value a worker's get or uget sees; ``cycle`` is that of the current turn."""
    if slot == W_PC:
        return pc
    if slot == W_REPEAT_COUNT:
        return progress[2]
    if slot == W_REPEAT_FIRST:
        return progress[3]
    if slot == W_REPEAT_END:
        return progress[4]
    if slot == W_COUNT_L:
        return cycle & 0xFFFFFFFF
    if slot == W_COUNT_U:
        return (cycle >> 32) & 0xFFFFFFFF
    if slot == W_FP_CLR or slot == W_PRNG_SEED:
        return 0
    return np.int64(csr[slot])


@jit(leaf=True)
def write_worker(csr, slot, value, acc):  # type: ignore[no-untyped-def]
    """Effect of a worker's put or uput; a Status fault or 0. Read-only registers ignore writes (inferred)."""
    if slot == W_FP_CLR:
        csr[W_FP_STS] &= np.uint32(~(value & CLR_FLAGS) & 0xFFFFFFFF)
        if value & CLR_ACCUMULATORS:
            clear_accumulators(acc)
    elif slot == W_FP_CTL:
        csr[W_FP_CTL] = np.uint32(value)
    elif slot == W_PRNG_SEED:
        inverse = ~value & 0xFFFFFFFF
        csr[W_PRNG] = np.uint32(value)
        csr[W_PRNG + 1] = np.uint32(inverse)
        csr[W_PRNG + 2] = np.uint32(((value << 13) | (inverse >> 19)) & 0xFFFFFFFF)
        csr[W_PRNG + 3] = np.uint32(((inverse << 13) | (value >> 19)) & 0xFFFFFFFF)
    elif slot > W_REPEAT_END and slot != W_COUNT_L and slot != W_COUNT_U:
        csr[slot] = np.uint32(value)
    return 0


@jit(leaf=True)
def read_supervisor(csr, slot, cycle, pc, progress):  # type: ignore[no-untyped-def]
    """Value a supervisor's get sees."""
    if slot == S_PC:
        return pc
    if slot == S_SCOUNT_L:
        return cycle & 0xFFFFFFFF
    if slot == S_SCOUNT_U:
        return (cycle >> 32) & 0xFFFFFFFF
    if slot == S_CR:
        return 0
    if slot == S_CTXT_STS:
        # Two bits a context, the supervisor's first; 1 is active. A stopped one has stopped the tile.
        active = 1
        for w in range(WORKERS):
            if progress[w, EXIT_CYCLE] >= cycle:
                active |= 4 << (2 * w)
        return active
    return np.int64(csr[slot])


@jit(leaf=True)
def write_supervisor(csr, slot, value, weight_store, weights16, weights32):  # type: ignore[no-untyped-def]
    """Effect of a supervisor's put; a Status fault or 0."""
    if slot == S_CR:
        if value & CR_LC_CLEAR:
            csr[S_SSR] &= np.uint32(0xFFFFFFFF ^ SSR_LC)
        if value & CR_LC_SET:
            csr[S_SSR] |= np.uint32(SSR_LC)
        if value & CR_CLEAR_WEIGHTS:
            weight_store[:] = 0
            weights16[:] = 0.0
            weights32[:] = 0.0
    elif slot != S_PC and slot != S_SSR and slot != S_TILE_ID and slot != S_SCOUNT_L and slot != S_SCOUNT_U:
        csr[slot] = np.uint32(value)
    return 0

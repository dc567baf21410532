"""What the instrumented variant of the loops calls: where to stop, and what each access to memory means.

Tracing, debugging and checking share this one variant. The ordinary loops have none of these calls.

Shadow of a tile's SRAM: ``written`` uint8[size], the bits below for every byte; ``touched`` int32[words, 4], for every
32-bit word the phase in which workers last touched it, its last writer and two different readers, each as 8 * word
offset of the instruction + context + 1. A phase lasts until the supervisor has waited for its workers (sync 2, or a
runall that found them all gone) or reaches a barrier: what lies in different phases is in order.

What a trace keeps: steps.py.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from enum import IntEnum

from tile_emu.isa.semantics.outlined import outlined
from tile_emu.jit import jit
from tile_emu.tile.csrspace import CR_CLEAR_WEIGHTS, S_CR
from tile_emu.tile.layout import SUPERVISOR
from tile_emu.tile.steps import TRACING, is_full, keep_step

__all__ = [
    "enter_context",
    "note_barrier",
    "note_launch",
    "note_put",
    "note_read",
    "note_step",
    "note_wait",
    "note_weights",
    "note_write",
    "stops_before",
    "view_of",
]

# State of one tile's inspection, int64.
STEPS_LEFT = 0  # instructions or bundles that may still execute
STOP = 1  # why to stop before the next instruction, else 0
RESUMING = 2  # 1 until one instruction was executed: a breakpoint that stopped the run does not stop it again
WANTED_CONTEXT = 3  # stop before this context's next instruction; -1 none
AT_CONTEXT = 4
AT_OFFSET = 5  # byte offset, from the start of SRAM, of the instruction that executes
CHECKING = 6
RANGES = 7  # watched ranges in use
HIT_RANGE = 8  # the watched range an access hit, and the access
HIT_OFFSET = 9
HIT_SIZE = 10
HIT_ACCESS = 11
PHASE = 12
UNWAITED = 13  # 1 from a launch until the supervisor has waited for its workers
FINDINGS_KEPT = 14
FINDINGS_TOTAL = 15
CAREFUL = 16  # 1: more may stop a step than that no more may execute
STATE_FIELDS = 17

STOPPED_BY_BREAKPOINT = 1
STOPPED_BY_WATCH = 2
STOPPED_BY_CONTEXT = 3

ACCESS_READ = 1
ACCESS_WRITE = 2

# Bits of a byte's shadow.
WRITTEN = 1
CODE = 2  # loaded as an instruction, or executed
STORED = 4  # by a store instruction

# A finding, int64; instructions as byte offsets, -1 where there is none.
KIND, CONTEXT, OFFSET, ADDRESS, OTHER_CONTEXT, OTHER_OFFSET, COUNT = range(7)
FINDING_FIELDS = 8


class Kind(IntEnum):
    """What a check can find."""

    UNWRITTEN_READ = 1
    UNWRITTEN_SEND = 2
    RACE = 3
    WEIGHTS_CHANGED = 4
    CODE_STORED = 5
    STORED_EXECUTED = 6


UNWRITTEN_READ, UNWRITTEN_SEND, RACE, WEIGHTS_CHANGED, CODE_STORED, STORED_EXECUTED = (int(kind) for kind in Kind)


@jit(inline=True)
def view_of(views, tile):
    """One tile's part of the inspection."""
    states, findings, written, touched, breakpoints, ranges, trace = views
    return states[tile], findings[tile], written[tile], touched[tile], breakpoints, ranges, trace


@jit(inline=True)
def enter_context(view, context):
    view[0][AT_CONTEXT] = context


@jit(leaf=True)
def add_finding(state, findings, kind, address, other):
    """Keep a finding, or count it under an earlier one of the same instructions. ``other``: packed, 0 for none."""
    state[FINDINGS_TOTAL] += 1
    other_offset = (other >> 3) * 4 if other != 0 else -1
    for i in range(state[FINDINGS_KEPT]):
        known = findings[i]
        if known[KIND] == kind and known[OFFSET] == state[AT_OFFSET] and known[OTHER_OFFSET] == other_offset:
            known[COUNT] += 1
            return
    if state[FINDINGS_KEPT] < len(findings):
        new = findings[state[FINDINGS_KEPT]]
        new[KIND] = kind
        new[CONTEXT] = state[AT_CONTEXT]
        new[OFFSET] = state[AT_OFFSET]
        new[ADDRESS] = address
        new[OTHER_CONTEXT] = (other & 7) - 1
        new[OTHER_OFFSET] = other_offset
        new[COUNT] = 1
        state[FINDINGS_KEPT] += 1


@jit(inline=True)
def stops_before(view, offset, size):
    """Whether to stop before the instruction of ``size`` bytes at an offset; if not, it counts as executed."""
    state = view[0]
    if is_full(view[6]):
        return True
    if state[CAREFUL] != 0:
        return _stops_before(view, offset, size)
    if state[STEPS_LEFT] <= 0:
        return True
    state[STEPS_LEFT] -= 1
    state[AT_OFFSET] = offset
    return False


@jit(leaf=True)
def _stops_before(view, offset, size):
    outlined()
    state, findings, written, _, breakpoints, _, _ = view
    if state[STOP] != 0 or state[STEPS_LEFT] <= 0:
        return True
    if state[RESUMING] == 0:
        if breakpoints[offset >> 2] != 0:
            state[STOP] = STOPPED_BY_BREAKPOINT
            return True
        if state[AT_CONTEXT] == state[WANTED_CONTEXT]:
            state[STOP] = STOPPED_BY_CONTEXT
            return True
    state[RESUMING] = 0
    state[STEPS_LEFT] -= 1
    state[AT_OFFSET] = offset
    if state[CHECKING] != 0:
        told = False
        for byte in range(offset, offset + size):
            if written[byte] & (CODE | STORED) == STORED and not told:
                add_finding(state, findings, STORED_EXECUTED, byte, 0)
                told = True
            written[byte] |= CODE
    return False


@jit(inline=True)
def note_step(view, mem32, offset, cycle, op, aux, mrf, arf, acc):
    """Keep the step that comes next where the run is traced. ``op``, ``aux``: opcodes of its halves."""
    trace = view[6]
    if trace[0][TRACING] != 0:
        keep_step(trace, mem32, view[0][AT_CONTEXT], offset, cycle, op, aux, mrf, arf, acc)


@jit(leaf=True)
def _watch(state, ranges, offset, size, access):
    """Stop after this instruction if the access hits a watched range (first, end, accesses)."""
    for i in range(state[RANGES]):
        if offset < ranges[i, 1] and offset + size > ranges[i, 0] and ranges[i, 2] & access and state[STOP] == 0:
            state[STOP] = STOPPED_BY_WATCH
            state[HIT_RANGE] = i
            state[HIT_OFFSET] = offset
            state[HIT_SIZE] = size
            state[HIT_ACCESS] = access


@jit(leaf=True)
def _start_phase(word, phase):
    if word[0] != phase:
        word[0] = phase
        word[1] = 0
        word[2] = 0
        word[3] = 0


@jit(leaf=True)
def _other(packed, own):
    """Whether a packed access is another context's."""
    return packed != 0 and packed & 7 != own & 7


@jit(inline=True)
def note_read(view, offset, size):
    if view[0][CAREFUL] != 0:
        _note_read(view, offset, size)


@jit(leaf=True)
def _note_read(view, offset, size):
    outlined()
    state, findings, written, touched, _, ranges, _ = view
    if state[RANGES] != 0:
        _watch(state, ranges, offset, size, ACCESS_READ)
    if state[CHECKING] == 0:
        return
    own = state[AT_OFFSET] * 2 + state[AT_CONTEXT] + 1
    for first in range(offset & -4, offset + size, 4):
        for byte in range(max(first, offset), min(first + 4, offset + size)):
            if written[byte] & WRITTEN == 0:
                add_finding(state, findings, UNWRITTEN_READ, byte, 0)
                for seen in range(byte, min(first + 4, offset + size)):
                    written[seen] |= WRITTEN  # told once
                break
        word = touched[first >> 2]
        if word[0] == state[PHASE] and _other(word[1], own):
            add_finding(state, findings, RACE, first, word[1])
        if state[AT_CONTEXT] != SUPERVISOR:
            _start_phase(word, state[PHASE])
            if word[2] == 0 or word[2] & 7 == own & 7:
                word[2] = own
            else:
                word[3] = own


@jit(inline=True)
def note_write(view, offset, size):
    if view[0][CAREFUL] != 0:
        _note_write(view, offset, size)


@jit(leaf=True)
def _note_write(view, offset, size):
    outlined()
    state, findings, written, touched, _, ranges, _ = view
    if state[RANGES] != 0:
        _watch(state, ranges, offset, size, ACCESS_WRITE)
    if state[CHECKING] == 0:
        return
    own = state[AT_OFFSET] * 2 + state[AT_CONTEXT] + 1
    for first in range(offset, offset + size, 4):  # stores are words
        if written[first] & CODE:
            add_finding(state, findings, CODE_STORED, first, 0)
        for byte in range(first, first + 4):
            written[byte] |= WRITTEN | STORED
        word = touched[first >> 2]
        if word[0] == state[PHASE]:
            for slot in range(1, 4):
                if _other(word[slot], own):
                    add_finding(state, findings, RACE, first, word[slot])
                    break
        if state[AT_CONTEXT] != SUPERVISOR:
            _start_phase(word, state[PHASE])
            word[1] = own


@jit(leaf=True)
def note_launch(view, every):
    state = view[0]
    if every:  # a runall is only allowed when all workers have exited
        state[PHASE] += 1
    state[UNWAITED] = 1


@jit(leaf=True)
def note_wait(view):
    state = view[0]
    state[PHASE] += 1
    state[UNWAITED] = 0


@jit(leaf=True)
def note_barrier(view):
    view[0][PHASE] += 1


@jit(leaf=True)
def note_weights(view):
    """A supervisor instruction changes the common weight store."""
    outlined()
    state, findings = view[0], view[1]
    if state[CHECKING] != 0 and state[UNWAITED] != 0:
        add_finding(state, findings, WEIGHTS_CHANGED, -1, 0)


@jit(leaf=True)
def note_put(view, slot, value):
    if slot == S_CR and value & CR_CLEAR_WEIGHTS:
        note_weights(view)


@jit(leaf=True)
def note_exchange(views, base, blocks):
    """Sends of an exchange as reads, what arrived as written. ``blocks``: int64[6 or more, n], arrivals.find_blocks."""
    states, all_findings, written = views[0], views[1], views[2]
    for b in range(blocks.shape[1]):
        source, first = blocks[3, b], blocks[4, b] - base
        state = states[source]
        for word in range(first, first + 4 * blocks[2, b], 4):
            told = False
            for byte in range(word, word + 4):
                if written[source, byte] & WRITTEN == 0:
                    written[source, byte] |= WRITTEN
                    if not told:
                        state[AT_CONTEXT] = SUPERVISOR
                        state[AT_OFFSET] = -1
                        add_finding(state, all_findings[source], UNWRITTEN_SEND, byte, 0)
                        told = True
    for b in range(blocks.shape[1]):
        first = blocks[1, b] - base
        written[blocks[0, b], first : first + 4 * blocks[2, b]] = WRITTEN

"""What a traced run keeps, in compiled code: each step and the registers it changed. trace.py reads it back.

A step costs some nanoseconds: only the registers that its instruction's group can change are looked at, two at a time,
and of a change only the new word is kept. What a register held before is what the change before it says; what it held
at first follows the word ``AT_START + context``.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np
from numpy import int64

from tile_emu.jit import jit
from tile_emu.tile.layout import ARF_STORED, CONTEXTS, MRF_WRITABLE, SUPERVISOR, WORKERS
from tile_emu.tile.opcodes import ACCUMULATE, ALU, AMP, BITS, F16, F32, GROUP_SHIFT, GROUPS, LOAD, PACE, STORE

# The state of a trace, int64[TRACE_FIELDS].
TRACING = 0  # 1: steps are kept
STEPS = 1  # kept since they were last taken away
CHANGES = 2
STEPS_BEFORE = 3  # taken away
TRACE_FIELDS = 4

# A step, int64: 8 * byte offset of the instruction + context, cycle, its word and the next (upper half).
STEP_PLACE, STEP_CYCLE, STEP_WORDS = range(3)
STEP_FIELDS = 3
# Of a context: the number of its last step and the register files which that one may have changed.
LAST_STEP, LAST_FILES = range(2)
LAST_FIELDS = 2
NO_STEP = -1

# Changes are words of 64 bits: a code above, a value below. Codes: a watched register, whose new word follows; or
OF_STEP = 64  # the changes that follow are those of the step of this number
AT_START = 72  # + context: what follows is what its registers held, where not 0, before its first step
CODE_SHIFT = 32
M32 = 0xFFFFFFFF

# Watched registers of a context: $m0.., $a0.., then the accumulators in the order they are kept.
WATCHED_ARF = MRF_WRITABLE
WATCHED_ACC = MRF_WRITABLE + ARF_STORED
ACCUMULATORS = 32
WATCHED = WATCHED_ACC + ACCUMULATORS
MOST_CHANGES = CONTEXTS * (WATCHED + 1)  # words that the end of a trace can add, more than one step

# Register files by dispatch group. What a launch does to a worker counts as done by its last step, an exit.
MAIN, ARITHMETIC, ACCUMULATOR = 1, 2, 4
ALL_FILES = MAIN | ARITHMETIC | ACCUMULATOR
FILES = np.full(len(GROUPS) + 1, ALL_FILES, np.int64)
FILES[[0, ALU, STORE]] = 0, MAIN, MAIN
FILES[[LOAD, PACE]] = MAIN | ARITHMETIC
FILES[[BITS, F16, F32]] = ARITHMETIC
FILES[[AMP, ACCUMULATE]] = ARITHMETIC | ACCUMULATOR


@jit(inline=True)
def is_full(trace):
    """Whether the next step might find no room."""
    state = trace[0]
    return state[TRACING] != 0 and (state[STEPS] == len(trace[1]) or state[CHANGES] + MOST_CHANGES > len(trace[2]))


@jit(inline=True)
def keep_step(trace, mem32, context, offset, cycle, op, aux, mrf, arf, acc):
    """Keep the step that comes next, and what the context's registers say of the one before it."""
    state, steps, last = trace[0], trace[1], trace[4]
    keep_changes(trace, context, mrf, arf, acc)
    number = state[STEPS]
    steps[number, STEP_PLACE] = offset * 8 + context
    steps[number, STEP_CYCLE] = cycle
    steps[number, STEP_WORDS] = int64(mem32[offset >> 2]) | int64(mem32[(offset >> 2) + 1]) << 32
    last[context, LAST_STEP] = number + state[STEPS_BEFORE]
    last[context, LAST_FILES] = FILES[op >> GROUP_SHIFT] | FILES[aux >> GROUP_SHIFT]
    state[STEPS] = number + 1


@jit(inline=True)
def keep_changes(trace, context, mrf, arf, acc):
    """Keep what a context changed since its last step. ``arf`` and ``acc`` count for workers only."""
    state, changes, seen, last = trace[0], trace[2], trace[3][context], trace[4]
    count = state[CHANGES]
    step, files = last[context, LAST_STEP], last[context, LAST_FILES]
    if step == NO_STEP:
        changes[count] = (AT_START + context) << CODE_SHIFT
        files = ALL_FILES
    else:
        changes[count] = OF_STEP << CODE_SHIFT | step
    end = count + 1
    if files & MAIN != 0:
        for i in range(0, MRF_WRITABLE, 2):
            end = _keep_pair(changes, end, seen, i, int64(mrf[i]) | int64(mrf[i + 1]) << 32)
    if context != SUPERVISOR:
        if files & ARITHMETIC != 0:
            pairs = arf.view(int64)
            for i in range(ARF_STORED // 2):
                end = _keep_pair(changes, end, seen, WATCHED_ARF + 2 * i, pairs[i])
        if files & ACCUMULATOR != 0:
            pairs = acc.view(int64)
            for i in range(ACCUMULATORS // 2):
                end = _keep_pair(changes, end, seen, WATCHED_ACC + 2 * i, pairs[i])
    if end > count + 1 or step == NO_STEP:
        state[CHANGES] = end


@jit(leaf=True)
def keep_last_changes(trace, mrf, arf, acc):
    """Keep what the last step of every context changed. Registers of all contexts of a tile."""
    for context in range(CONTEXTS):
        worker = min(context, WORKERS - 1)  # a supervisor has no others
        if trace[4][context, LAST_STEP] != NO_STEP:
            keep_changes(trace, context, mrf[context], arf[worker], acc[worker])


@jit(inline=True)
def _keep_pair(changes, end, seen, register, new):
    """Keep what differs in two registers, the second in the upper half, from what was seen; where changes then end."""
    old = seen[register >> 1]
    if new != old:
        seen[register >> 1] = new
        if new & M32 != old & M32:
            changes[end] = register << CODE_SHIFT | new & M32
            end += 1
        if new >> 32 != old >> 32:
            changes[end] = (register + 1) << CODE_SHIFT | (new >> 32) & M32
            end += 1
    return end

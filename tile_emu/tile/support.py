"""Compiled helpers of the interpreter loops: slots, elements, launches, weights, exchange instructions, undo."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np

from tile_emu.exchange.log import COUNT, EVENT, FORMAT, KIND, MUX, MUXPAIR, POINTER, SEND, VALUE, WORKER
from tile_emu.isa.semantics.bits import bits_float, widen
from tile_emu.isa.table import table
from tile_emu.jit import jit
from tile_emu.tile.csrspace import (
    S_FP_ICTL,
    S_FP_INFMT,
    S_FP_ISCL,
    S_INCOMING_BASE,
    S_INCOMING_DELTA,
    S_INCOMING_FORMAT,
    S_INCOMING_MUX,
    S_INCOMING_MUXPAIR,
    S_OUTGOING_BASE,
    S_OUTGOING_DELTA,
    S_WORKER0_BASE,
    W_FP_CTL,
    W_FP_NFMT,
    W_FP_SCL,
    W_FP_STS,
    W_VERTEX_BASE,
    W_WORKER_BASE,
    W_WSR,
    write_supervisor,
)
from tile_emu.tile.layout import (
    EXCHANGING,
    EXIT_CYCLE,
    LAUNCH_CYCLE,
    LAUNCH_LAST,
    LAUNCH_NEXT,
    LOG_COUNT,
    OPCODE_NO_CSR,
    OPCODE_UNSUPPORTED,
    PAGE_BYTES,
    PAGE_SHIFT,
    PC,
    RELEASE,
    REPEAT_LEFT,
    SEND_CONTROL,
    SEND_CURSOR,
    START_CYCLE,
    TURNS,
    WORKERS,
    Status,
)
from tile_emu.tile.opcodes import LOAD, STORE, SYSTEM, opcode_of

INVALID_INSTR = int(Status.INVALID_INSTR)
INVALID_OP = int(Status.INVALID_OP)
INVALID_PC = int(Status.INVALID_PC)
LOG_FULL = int(Status.LOG_FULL)
UNSUPPORTED = int(Status.UNSUPPORTED)
ELEMENT_SHIFT = 14  # 16 KiB elements; in region 1 two of them, interleaved on address bit 3, make a 32 KiB block


@jit(inline=True)
def next_boundary(pc, repeat_left, repeat_end):
    """Where code that runs straight on from an address leaves its page, or a pass of a repeat ends."""
    boundary = (pc | (PAGE_BYTES - 1)) + 1
    if repeat_left != 0 and repeat_end < boundary:
        boundary = repeat_end
    return boundary


@jit(inline=True)
def at_boundary(pc, repeat_left, repeat_first, repeat_end):
    """Passes left, address and next boundary of code that reached one."""
    if repeat_left != 0 and pc == repeat_end:
        repeat_left -= 1
        if repeat_left != 0:
            pc = repeat_first
    return repeat_left, pc, next_boundary(pc, repeat_left, repeat_end)


@jit(inline=True)
def same_element(first, second, split):
    """Whether two addresses lie in the same SRAM element (isa semantics 4.1); ``split`` is where region 1 starts."""
    # Both a block of region 1 and two elements of region 0 span 32 KiB, and the regions meet at a multiple of it.
    if (first ^ second) >> (ELEMENT_SHIFT + 1) != 0:
        return False
    if first >= split:
        return (first ^ second) & 8 == 0
    return first >> ELEMENT_SHIFT == second >> ELEMENT_SHIFT


@jit(leaf=True)
def undecoded(op):
    """Status of a decoded row without an instruction."""
    if op == OPCODE_UNSUPPORTED:
        return UNSUPPORTED
    return INVALID_OP if op == OPCODE_NO_CSR else INVALID_INSTR


@jit(leaf=True)
def forget_page(pages, offset):
    """A store hit decodable memory: decode the page again before it next executes."""
    page = offset >> (PAGE_SHIFT + 2)
    pages[0, page] = -1
    pages[1, page] = -1
    # The last word of a page decodes together with the first of the next.
    if page > 0 and offset & ((4 << PAGE_SHIFT) - 1) < 8:
        pages[0, page - 1] = -1
        pages[1, page - 1] = -1


# Undo of a bundle whose aux half traps after its main half was done: registers, accumulators, status registers and
# the 64 bits a store may have changed. Only used while traps are enabled.


@jit(leaf=True)
def keep_state(undo, mrf, arf, acc, csr):
    words, sums = undo
    words[0] = -1
    n = 2
    for i in range(len(mrf)):
        words[n + i] = np.int64(mrf[i])
    n += len(mrf)
    for i in range(len(arf)):
        words[n + i] = np.int64(arf[i])
    n += len(arf)
    for i in range(len(csr)):
        words[n + i] = np.int64(csr[i])
    for i in range(len(sums)):
        sums[i] = acc[i]


@jit(leaf=True)
def keep_memory(undo, mem64, offset):
    words, _ = undo
    words[0] = offset
    words[1] = np.int64(mem64[offset >> 3])


@jit(leaf=True)
def restore_state(undo, mem64, mrf, arf, acc, csr):
    words, sums = undo
    if words[0] >= 0:
        mem64[words[0] >> 3] = np.uint64(words[1])
    n = 2
    for i in range(len(mrf)):
        mrf[i] = np.uint32(words[n + i])
    n += len(mrf)
    for i in range(len(arf)):
        arf[i] = np.uint32(words[n + i])
    n += len(arf)
    for i in range(len(csr)):
        csr[i] = np.uint32(words[n + i])
    for i in range(len(sums)):
        acc[i] = sums[i]


@jit(leaf=True)
def latest_exit(progress):
    """Cycle of the last worker turn so far; -1 if none ever ran."""
    last = np.int64(-1)
    for w in range(WORKERS):
        last = max(last, progress[w, EXIT_CYCLE])
    return last


@jit(leaf=True)
def next_slot(t, progress):
    """Earliest cycle from ``t`` on whose slot (cycle mod 6) no live worker owns."""
    best = np.int64(1) << 62
    for w in range(WORKERS):
        first = max(t, progress[w, EXIT_CYCLE] + 1)
        first += (w - first) % WORKERS
        best = min(best, first)
    return best


@jit(leaf=True)
def start_worker(worker, entry, vertex, t, launch_delay, progress, scsr, csr, mrf):
    own = progress[worker]
    own[PC] = entry
    own[TURNS] = 0
    own[REPEAT_LEFT] = 0
    first = t + launch_delay
    own[START_CYCLE] = first + (worker - first) % WORKERS
    csr[W_WSR] = np.uint32(worker)
    csr[W_VERTEX_BASE] = np.uint32(vertex & 0xFFFFFFFF)
    csr[W_WORKER_BASE] = scsr[S_WORKER0_BASE + worker]
    csr[W_FP_CTL] = scsr[S_FP_ICTL]
    csr[W_FP_STS] = 0
    csr[W_FP_NFMT] = scsr[S_FP_INFMT]
    csr[W_FP_SCL] = scsr[S_FP_ISCL]
    mrf[12] = csr[W_WORKER_BASE]
    mrf[13] = csr[W_VERTEX_BASE]


@jit(leaf=True)
def begin_launch(every, entry, vertex, immediate, t, sup, progress, scsr, csrs, all_mrf, timing, base, executable):
    """Set up the workers of run (one) or runall (six) issued at cycle ``t``; a Status fault or 0."""
    launch_delay = timing[3]
    if entry & 3 or entry < base or entry >= base + executable:
        return INVALID_PC
    if every:
        for w in range(WORKERS):
            if progress[w, EXIT_CYCLE] >= t:
                return INVALID_OP
            start_worker(w, entry, vertex + 4 * immediate * w, t, launch_delay, progress, scsr, csrs[w], all_mrf[w])
        sup[LAUNCH_NEXT] = 0
        sup[LAUNCH_LAST] = WORKERS - 1
    else:
        worker = 0
        for w in range(WORKERS - 1, -1, -1):
            # With no free context next_slot has already made the supervisor wait for one.
            if progress[w, EXIT_CYCLE] < t:
                worker = w
        address = vertex + 4 * immediate + base
        start_worker(worker, entry, address, t, launch_delay, progress, scsr, csrs[worker], all_mrf[worker])
        sup[LAUNCH_NEXT] = worker
        sup[LAUNCH_LAST] = worker
    sup[LAUNCH_CYCLE] = t
    return 0


@jit(leaf=True)
def log_launch(sup, progress, log):
    """One line in the log for each worker of the launch just completed; nothing once the log is full."""
    for w in range(WORKERS):
        line = sup[LOG_COUNT]
        if progress[w, START_CYCLE] >= sup[LAUNCH_CYCLE] and line < len(log):
            log[line, KIND] = WORKER
            log[line, EVENT] = progress[w, START_CYCLE] - sup[RELEASE]
            log[line, VALUE] = progress[w, TURNS]
            log[line, COUNT] = w
            sup[LOG_COUNT] = line + 1


@jit(leaf=True)
def load_weights(weight_store, weights16, weights32, slot, raw):
    """Fill one 64-bit slot of the common weight store: the architectural word and both widened forms."""
    weight_store[slot] = raw
    unit = slot >> 2
    n = slot & 3
    word = raw
    for element in range(4):
        half = np.int64(word & np.uint64(0xFFFF))
        weights16[(4 * n + element) * 16 + unit] = np.float64(widen(half))
        word >>= np.uint64(16)
    weights32[2 * n * 16 + unit] = bits_float(np.int64(raw & np.uint64(0xFFFFFFFF)))
    weights32[(2 * n + 1) * 16 + unit] = bits_float(np.int64(raw >> np.uint64(32)))


OPCODE_DELAY_FAMILY = tuple(
    opcode_of(form) for form in table().forms if form.klass == "exchange" and form.mnemonic != "sync"
)


@jit(inline=True)
def ends_row(op, group):
    """Whether a supervisor instruction could see received data or outlast the row: memory, launches, weights, sync."""
    if group == LOAD or group == STORE:
        return True
    return group == SYSTEM and op not in OPCODE_DELAY_FAMILY


# Exchange instructions: each writes what it does, and when, into the tile's log (tile_emu.exchange.log). Events count
# from the release of the barrier; controls act at the first event of a send, at the last of a delay.


@jit(leaf=True)
def _log(sup, log, kind, event, value, count, control):
    position = sup[LOG_COUNT]
    if position >= len(log):
        return LOG_FULL
    log[position, 0] = kind
    log[position, 1] = event
    log[position, 2] = value
    log[position, 3] = count
    log[position, 4] = control
    sup[LOG_COUNT] = position + 1
    return 0


@jit(leaf=True)
def _has_room(sup, log):
    return sup[LOG_COUNT] + 3 <= len(log)


@jit(leaf=True)
def _emit_items(event, count, sup, scsr, log):
    control = sup[SEND_CONTROL]
    if control & 3 == 0:
        return 0
    size = 8 if control & 4 else 4
    address = np.int64(scsr[S_OUTGOING_BASE]) + sup[SEND_CURSOR]
    sup[SEND_CURSOR] += size * count
    scsr[S_OUTGOING_DELTA] = np.uint32(sup[SEND_CURSOR])
    return _log(sup, log, SEND, event, address, count, control)


@jit(leaf=True)
def _set_pointer(event, selector, value, sup, scsr, log):
    """Incoming pointer (selector 0, word address) or format (selector 1)."""
    if selector:
        scsr[S_INCOMING_FORMAT] = np.uint32(value)
        return _log(sup, log, FORMAT, event, value, 0, 0)
    scsr[S_INCOMING_DELTA] = np.uint32(4 * value)
    return _log(sup, log, POINTER, event, np.int64(scsr[S_INCOMING_BASE]) + 4 * value, 0, 0)


@jit(leaf=True)
def _set_source(event, selector, value, sup, scsr, log):
    """Incoming source, ordinary (selector 0) or paired (selector 1)."""
    if selector:
        scsr[S_INCOMING_MUXPAIR] = np.uint32(value)
        return _log(sup, log, MUXPAIR, event, value, 0, 0)
    scsr[S_INCOMING_MUX] = np.uint32(value)
    return _log(sup, log, MUX, event, value, 0, 0)


@jit(leaf=True)
def exchange_send(event, last, item, control, a, b, sup, scsr, log):
    if not _has_room(sup, log):
        return LOG_FULL
    sup[SEND_CONTROL] = control
    sup[SEND_CURSOR] = item * (8 if control & 4 else 4)
    return _emit_items(event, last + 1, sup, scsr, log)


@jit(leaf=True)
def exchange_sendoff(event, last, delta, control, a, b, sup, scsr, log):
    if not _has_room(sup, log):
        return LOG_FULL
    if control & 3 and sup[SEND_CURSOR] < 0:
        return INVALID_OP
    sup[SEND_CONTROL] = control
    sup[SEND_CURSOR] += delta * (8 if control & 4 else 4)
    return _emit_items(event, last + 1, sup, scsr, log)


@jit(leaf=True)
def exchange_sendpic(event, last, selector, value, a, b, sup, scsr, log):
    if not _has_room(sup, log):
        return LOG_FULL
    if sup[SEND_CURSOR] < 0 or sup[SEND_CONTROL] & 3 == 0:
        return INVALID_OP
    if selector < 2:
        _set_source(event, selector, value & 0x1FFF, sup, scsr, log)
    else:
        _set_pointer(event, selector - 2, value, sup, scsr, log)
    return _emit_items(event, last + 1, sup, scsr, log)


@jit(leaf=True)
def exchange_sendpicp(event, last, item, control, selector, second, sup, scsr, log):
    if not _has_room(sup, log):
        return LOG_FULL
    source = second >> 18
    _set_source(event, (source >> 13) & 1, source & 0x1FFF, sup, scsr, log)
    _set_pointer(event, selector, second & 0x3FFFF, sup, scsr, log)
    if control & 3 == 0:
        return 0
    sup[SEND_CONTROL] = control
    sup[SEND_CURSOR] = item * (8 if control & 4 else 4)
    return _emit_items(event, last + 1, sup, scsr, log)


@jit(leaf=True)
def exchange_delaypic(event, last, selector, value, a, b, sup, scsr, log):
    return _set_pointer(event + last, selector, value, sup, scsr, log)


@jit(leaf=True)
def exchange_delayxpic(event, last, selector, value, a, b, sup, scsr, log):
    return _set_source(event + last, selector, value, sup, scsr, log)


@jit(leaf=True)
def supervisor_put(scsr, slot, value, weight_store, weights16, weights32, sup, log, event):
    """A supervisor's put; inside a row the incoming controls also go into the log, acting at the put's first event.

    (The cost of 13 events is measured for the bases; when the others act is inferred.)
    """
    if sup[EXCHANGING] == 0:
        return write_supervisor(scsr, slot, value, weight_store, weights16, weights32)
    if slot == S_INCOMING_MUX:
        return _set_source(event, 0, value & 0x1FFF, sup, scsr, log)
    if slot == S_INCOMING_MUXPAIR:
        return _set_source(event, 1, value & 0x1FFF, sup, scsr, log)
    if slot == S_INCOMING_FORMAT:
        return _set_pointer(event, 1, value & 3, sup, scsr, log)
    if slot == S_INCOMING_DELTA:
        return _set_pointer(event, 0, (value >> 2) & 0x3FFFF, sup, scsr, log)
    if slot == S_INCOMING_BASE:
        scsr[S_INCOMING_BASE] = np.uint32(value)
        return _log(sup, log, POINTER, event, value + np.int64(scsr[S_INCOMING_DELTA]), 0, 0)
    return write_supervisor(scsr, slot, value, weight_store, weights16, weights32)

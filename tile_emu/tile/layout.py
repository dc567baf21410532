"""Where things stand in the tile-state arrays: positions, status codes and counters shared by all compiled code."""

from __future__ import annotations

from enum import IntEnum

WORKERS = 6
CONTEXTS = 7  # the supervisor is context 6
SUPERVISOR = 6

# Registers. MRF: 0..15 as named (14 and 15 stay 0, 12 and 13 are written at launch); writes to names without storage
# go to the sink. ARF: 0..7 storage, 8..11 read as 0, 12..15 sink of discarded groups.
MRF_SLOTS = 17
MRF_SINK = 16
MRF_WRITABLE = 12  # m0..m11
ARF_SLOTS = 16
ARF_STORED = 8
ARF_ZERO = 8
ARF_SINK = 12

# Target of a loaded value held back until the aux half is done: a register pair by its first number, or with HELD_WORD
# a single register.
HELD_WORD = 32
HELD_REGISTER = 31

# A decoded page: PAGE_WORDS instruction words of DECODED_FIELDS int32 each.
PAGE_SHIFT = 6
PAGE_WORDS = 1 << PAGE_SHIFT
PAGE_BYTES = 4 * PAGE_WORDS
DECODED_FIELDS = 16
FETCHES = 2 * PAGE_WORDS  # instructions decoded one by one from a supervisor's page, which counts down from -1
FIELD_MAIN = 0  # opcode of the main half, 0 none, negative a decoding fault
FIELD_AUX = 1
FIELD_SIZE = 2  # bytes
FIELD_NO_REPEAT = 3  # 1 if it may not stand in a repeat body
FIELD_MAIN_OPERANDS = 4  # op0..op4
FIELD_AUX_OPERANDS = 9  # op0..op3
FIELD_SECOND_WORD = 13  # inline word of sendpicp
FIELD_UNIT = 13  # of a worker's row: first unit of translated code that starts here, 0 if none is known
FIELD_SOURCES = 14  # MRF positions the supervisor must wait for, plus 1, 5 bits each
FIELD_TARGETS = 15  # two MRF positions of 5 bits that become ready a latency after issue, MRF_SINK for none
OPCODE_INVALID = -1
OPCODE_UNSUPPORTED = -2
OPCODE_NO_CSR = -3  # a bundle whose aux half names a status register that does not exist

# Progress of one context, int64.
PC = 0
TURNS = 1
REPEAT_LEFT = 2
REPEAT_FIRST = 3
REPEAT_END = 4
START_CYCLE = 5  # cycle of a worker's first turn
EXIT_CYCLE = 6  # cycle of its last turn; before any launch -1
FAULT_ADDRESS = 7
PROGRESS_FIELDS = 8

# Supervisor scheduling state, int64.
CYCLE = 0  # earliest next issue
RELEASE = 1  # release of the last barrier
EXCHANGING = 2  # not 0 from a release to the first instruction that could see what arrives
LAUNCH_NEXT = 3  # worker to launch next while a runall is under way, else -1
LAUNCH_CYCLE = 4
LAUNCH_LAST = 5  # last worker of the launch under way
ARRIVAL = 6  # cycle at which the pending barrier was reached
SANS_CYCLE = 7  # cycle of a sans not yet waited for, else -1
SEND_CURSOR = 8  # outgoing stream: byte address of the next item, -1 no stream
SEND_CONTROL = 9
LOG_COUNT = 10  # entries in the tile's exchange log
STOPPED_CONTEXT = 11  # context that faulted or needs a page decoded
ROW_END = 12  # cycle at which the last row was left
RETURNING = 2  # value of EXCHANGING after an exchange instruction: a branch now belongs to the row
LAUNCHES_LOGGED = 13  # 1: in compute phases the log takes what every launched worker did, while it has room
READY = 16  # per MRF slot: first cycle at which it may be read
SUPERVISOR_FIELDS = 40


class Status(IntEnum):
    """Why a context or tile stopped running."""

    RUNNING = 0
    RETURNED = 1  # supervisor returned to the host (pc 0)
    BARRIER = 2  # supervisor waits in sync 3, or sync 1 after sans
    ROW_DONE = 3  # supervisor reached the first instruction after a row that could see received data
    HOST = 4  # supervisor waits in an external sync
    DECODE = 5  # a page has no decoded form yet
    STEPPED = 7  # the instrumented variant has executed what it was asked to
    LOG_FULL = 6  # exchange log needs more room
    TRANSLATE = 10  # a worker stands at an entry that the translator has to look at
    EXITED_TRUE = 8  # worker ended with status true
    EXITED_FALSE = 9
    FP = 16 + 5
    CONFLICT = 16 + 6
    INVALID_ADDR = 16 + 8
    INVALID_OP = 16 + 9
    INVALID_PC = 16 + 10
    INVALID_INSTR = 16 + 12
    PBRK0 = 16 + 2
    PBRK1 = 16 + 3
    UNSUPPORTED = 64
    ENDLESS = 65


FIRST_FAULT = 16

# Counters of one tile, int64, running totals.
COUNT_TURNS = 0  # worker turns
COUNT_INSTRUCTIONS = 1  # instructions of workers, both halves of a bundle
COUNT_AMP = 2  # AMP instructions
COUNT_SUPERVISOR = 3  # supervisor instructions
COUNT_BUSY = 4  # cycles from a launch to the last exit, summed over launches
COUNT_LAUNCHES = 6  # launches completed
# Code that ran since the last look, one bit for a page (by its number mod 64): of workers, of the supervisor.
TOUCHED = 7
TOUCHED_SUPERVISOR = 14
COUNT_WORKER = 8  # 8..13: turns of each worker
COUNTERS = 16
# Behind the counters, for every instruction word from the start of SRAM: the straight runs that workers made, then the
# turns they spent on it beyond the first, then how often the supervisor executed it. A run counts +1 where it starts
# and -1 behind its last instruction, so that only a jump costs time (tile_emu.tile.counting makes executions of it).
# The last place of each of the three parts is for all words behind those counted.
EXECUTIONS = COUNTERS
EXECUTION_PARTS = 3

RETURN_ADDRESS = 0  # link register value that ends a host-called supervisor function

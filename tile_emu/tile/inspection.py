"""What the instrumented loops work with, for N tiles: steps and stops, watched ranges, the shadow of the memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.tile import layout, notes, steps
from tile_emu.tile.sram import allocate_sram

if TYPE_CHECKING:
    from tile_emu.graph.image import Image

UNLIMITED = 1 << 62
RANGES = 64  # watched ranges at most
TRACED_STEPS = 1 << 14  # kept in compiled code before they are taken away: what stays in a core's cache
TRACED_CHANGES = 1 << 16
FINDINGS_KEPT = 64  # different findings kept for each tile; more are only counted


class Inspection:
    """Arrays of the instrumented loops.

    Shapes, N tiles: states int64[N, .]; findings int64[N, kept, .]; written uint8[N, SRAM size]; touched int32[N, SRAM
    words, 4] (what they hold: notes.py); breakpoints uint8[words of executable memory] and ranges int64[., 3] (first
    byte offset, end, accesses) hold for every tile. trace, of tile 0 (steps.py): its state, steps, changes, pairs of
    registers seen last and the last step by context. Large ones take memory only where they are touched.
    """

    def __init__(self, chip: Chip, tiles: int, checking: bool) -> None:
        memory = chip.memory
        self.checking = checking
        self.base = memory.base
        self.states = np.zeros((tiles, notes.STATE_FIELDS), np.int64)
        self.findings = np.zeros((tiles, FINDINGS_KEPT, notes.FINDING_FIELDS), np.int64)
        self.written = allocate_sram(tiles, memory.size)
        self.touched = allocate_sram(tiles, 4 * memory.size).view(np.int32).reshape(tiles, memory.size // 4, 4)
        self.breakpoints = np.zeros((memory.interleaved_base - memory.base) // 4, np.uint8)
        self.ranges = np.zeros((RANGES, 3), np.int64)
        self.trace = (
            np.zeros(steps.TRACE_FIELDS, np.int64),
            np.zeros((0, steps.STEP_FIELDS), np.int64),
            np.zeros(0, np.int64),
            np.zeros((layout.CONTEXTS, steps.WATCHED // 2), np.int64),
            np.zeros((layout.CONTEXTS, steps.LAST_FIELDS), np.int64),
        )
        self.states[:, [notes.CHECKING, notes.CAREFUL]] = checking
        self.states[:, notes.STEPS_LEFT] = UNLIMITED
        self.states[:, notes.WANTED_CONTEXT] = -1
        self.states[:, notes.PHASE] = 1  # 0 is that of words never touched

    @property
    def views(self) -> tuple[Any, ...]:
        """What the loops take, in the order of notes.view_of."""
        return self.states, self.findings, self.written, self.touched, self.breakpoints, self.ranges, self.trace

    # Steps and stops, of tile 0.

    @property
    def steps_left(self) -> int:
        return int(self.states[0, notes.STEPS_LEFT])

    def allow(self, steps: int, context: int = -1, resuming: bool = True) -> None:
        """Let tile 0 execute some instructions, or fewer if it comes before one of ``context``; old stops are over.

        ``resuming``: what would stop it before the very next instruction already did.
        """
        state = self.states[0]
        state[[notes.STOP, notes.RESUMING]] = 0, resuming
        state[[notes.STEPS_LEFT, notes.WANTED_CONTEXT]] = steps, context
        state[notes.CAREFUL] = 1

    def free(self) -> None:
        """No limit and no stops for what runs next."""
        self.states[:, [notes.STOP, notes.RESUMING]] = 0
        self.states[:, [notes.STEPS_LEFT, notes.WANTED_CONTEXT]] = UNLIMITED, -1
        self.states[:, notes.CAREFUL] = self.checking

    def set_ranges(self, ranges: Sequence[tuple[int, int, int]]) -> None:
        """Watch these ranges (first address, end, accesses)."""
        self.ranges[: len(ranges)] = np.array(ranges, np.int64).reshape(-1, 3) - [self.base, self.base, 0]
        self.states[:, notes.RANGES] = len(ranges)

    # Tracing, of tile 0.

    def start_trace(self) -> None:
        """Keep what executes from now on."""
        state, _, _, seen, last = self.trace
        state[:] = 0
        state[steps.TRACING] = 1
        seen[:] = 0
        last[:] = steps.NO_STEP, 0
        self._make_room()

    def take_trace(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Steps and changes kept since the last time."""
        state, kept, changes = self.trace[:3]
        taken = kept[: state[steps.STEPS]], changes[: state[steps.CHANGES]]
        state[steps.STEPS_BEFORE] += state[steps.STEPS]
        state[[steps.STEPS, steps.CHANGES]] = 0
        self._make_room()
        return taken

    def _make_room(self) -> None:
        """New arrays, since whoever took the old ones has them."""
        room = np.empty((TRACED_STEPS, steps.STEP_FIELDS), np.int64), np.empty(TRACED_CHANGES, np.int64)
        self.trace = (self.trace[0], *room, *self.trace[3:])

    def end_trace(self) -> None:
        self.trace[0][steps.TRACING] = 0

    # What happens outside the loops.

    def start_phase(self) -> None:
        """The host waited: what follows is in order with what was before."""
        self.states[:, notes.PHASE] += 1
        self.states[:, notes.UNWAITED] = 0

    def mark_written(self, tile: int, offset: int, nbytes: int) -> None:
        """The host wrote bytes at an SRAM offset."""
        self.written[tile, offset : offset + nbytes] = notes.WRITTEN

    def mark_code(self, tile: int | slice, addresses: Iterable[int] | NDArray[Any]) -> None:
        """Instruction words lie at these addresses."""
        offsets = np.asarray(addresses, np.int64) - self.base
        self.written[tile, (offsets[:, None] + np.arange(4)).ravel()] |= notes.CODE

    def mark_image(self, image: Image) -> None:
        """A machine's image was loaded: code, rows, vertex states, and what may be read behind variables."""
        from tile_emu.graph.variables import MIN_ALIGN

        where = image.memory_map
        for address, words in image.shared:
            first = address - self.base
            self.written[: image.tiles, first : first + words.nbytes] = notes.WRITTEN
        self.mark_code(slice(image.tiles), image.lines.address)
        sizes = 4 * np.diff(image.segment_start)
        for tile, address, nbytes in zip(image.segment_tile, image.segment_address, sizes):
            self.mark_written(int(tile), int(address) - self.base, int(nbytes))
        for tile, program in enumerate(image.entry):
            first = int(program) - self.base
            self.written[tile, first : first + int(where.program_bytes[tile] + where.row_bytes[tile])] |= notes.CODE
        # Shards may be read in units of 64 bits, so the rest of their last unit as well.
        ends = where.address + where.nbytes
        rest = -ends % MIN_ALIGN
        for block in np.flatnonzero((where.spare > 0) | (rest > 0)):
            first, end = ends[block] - where.spare[block], ends[block] + rest[block]
            self.mark_written(int(where.tile[block]), int(first) - self.base, int(end - first))

    def exchange(self, blocks: NDArray[np.int64]) -> None:
        """An exchange moved these blocks (Delivery.blocks)."""
        notes.note_exchange(self.views, self.base, blocks)

"""State of N tiles as arrays, and the call into the interpreter for one of them."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.exchange.log import COLUMNS
from tile_emu.tile import layout
from tile_emu.tile.csrspace import S_INCOMING_MUX, S_TILE_ID, SUPERVISOR_CSRS, W_WSR, WORKER_CSRS, slot_tables
from tile_emu.tile.engine import interpreter
from tile_emu.tile.inspection import Inspection
from tile_emu.tile.layout import Status
from tile_emu.tile.pages import DecodePool
from tile_emu.tile.sram import allocate_sram, untouched
from tile_emu.tile.translate.emit import ChipFacts
from tile_emu.tile.translate.units import NO_UNITS, Units, new_context

# Turns of one launch, or supervisor instructions between two stops, before a program counts as endless: some seconds of
# chip time, and a fault the user sees after some ten seconds instead of a command that never returns.
ENDLESS_LIMIT = 1 << 30
LOG_CAPACITY = 256
_RECENT = 256  # decoded rows of supervisors that are kept for the next tile, a power of 2
# As numbers: NumPy compares arrays with members of an enumeration slowly.
_DECODE, _TRANSLATE = int(Status.DECODE), int(Status.TRANSLATE)
_CACHE_LINE = 64  # bytes
_UNDO_WORDS = 2 + layout.MRF_SLOTS + layout.ARF_SLOTS + WORKER_CSRS


def _aligned(shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Zeros that start at a cache line, so that vectors read from them do not lie across two."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(size + _CACHE_LINE, np.uint8)
    first = -room.ctypes.data % _CACHE_LINE
    return room[first : first + size].view(dtype).reshape(shape)


class TileArrays:
    """Everything N tiles remember, structure of arrays; memory is touched only where tiles use it.

    Shapes, N tiles: memory uint8[N, size]; mrf uint32[N, 7, 17]; arf uint32[N, 6, 16]; acc float32[N, 6, 32];
    weight_store uint64[N, slots], weights16 float64[N, 256], weights32 float32[N, 128]; csrs uint32[N, 6, .];
    scsr uint32[N, .]; progress int64[N, 7, .]; sup int64[N, .]; log int32[N, capacity, 5]; counters int64[N, .];
    pages int32[N, 2, pages of region 0], below 0 where not decoded. ``inspection`` is what the instrumented variant of
    the loops works with; ``check`` runs that variant always, and has it look for errors.
    """

    def __init__(self, chip: Chip, tiles: int, check: bool = False, engine: str | None = None) -> None:
        self.chip = chip
        self.tiles = tiles
        self.pool = DecodePool(chip.architecture)
        self.executable = chip.memory.interleaved_base - chip.memory.base
        page_count = self.executable // layout.PAGE_BYTES
        self.memory = allocate_sram(tiles, chip.memory.size)
        self.mrf = np.zeros((tiles, layout.CONTEXTS, layout.MRF_SLOTS), np.uint32)
        self.arf = np.zeros((tiles, layout.WORKERS, layout.ARF_SLOTS), np.uint32)
        self.acc = np.zeros((tiles, layout.WORKERS, 32), np.float32)
        self.weight_store = np.zeros((tiles, 64), np.uint64)
        self.weights16 = _aligned((tiles, 256), np.float64)
        self.weights32 = _aligned((tiles, 128), np.float32)
        self.csrs = np.zeros((tiles, layout.WORKERS, WORKER_CSRS), np.uint32)
        self.scsr = np.zeros((tiles, SUPERVISOR_CSRS), np.uint32)
        self.progress = np.zeros((tiles, layout.CONTEXTS, layout.PROGRESS_FIELDS), np.int64)
        self.sup = np.zeros((tiles, layout.SUPERVISOR_FIELDS), np.int64)
        self.log = np.zeros((tiles, LOG_CAPACITY, COLUMNS), np.int32)
        self.counters = self._counters(1)
        self.pages = np.full((tiles, 2, page_count), -1, np.int32)
        self.slots = slot_tables(chip.architecture)
        self.timing = _timing(chip)
        self.sram = _sram(chip)
        self.limit = ENDLESS_LIMIT
        self.inspection = Inspection(chip, tiles, checking=True) if check else None
        self.units = Units(engine, ChipFacts(self.sram, self.slots))
        self.scsr[:, S_TILE_ID] = np.arange(tiles)
        self.scsr[:, S_INCOMING_MUX] = chip.exchange.neutral_mux
        self.csrs[:, :, W_WSR] = np.arange(layout.WORKERS)
        self.progress[:, :, layout.EXIT_CYCLE] = -1
        self.sup[:, [layout.LAUNCH_NEXT, layout.SANS_CYCLE, layout.SEND_CURSOR]] = -1

    @property
    def checking(self) -> bool:
        return self.inspection is not None and self.inspection.checking

    def inspected(self) -> Inspection:
        """The inspection, made at its first use: a tile that is only traced or debugged has one that does not check."""
        if self.inspection is None:
            self.inspection = Inspection(self.chip, self.tiles, checking=False)
        return self.inspection

    def forget_code(self, tile: int | slice = slice(None)) -> None:
        """Decode a tile's code anew before it next executes: its memory was written from outside."""
        self.pages[tile] = -1

    def count_words(self, words: int) -> None:
        """Start all counters anew, with places for the executions of the first ``words`` words of SRAM."""
        self.counters = self._counters(words + 1)

    def _counters(self, places: int) -> NDArray[np.int64]:
        return np.zeros((self.tiles, layout.EXECUTIONS + layout.EXECUTION_PARTS * places), np.int64)

    def reserve_log(self, lines: int) -> None:
        """Make room for at least so many lines in each empty log; memory is touched only where lines are written."""
        if lines > self.log.shape[1]:
            self.log = untouched((self.tiles, lines, COLUMNS), np.int32)

    def grow_log(self) -> None:
        """Double the room of the exchange logs. Only while no other thread runs tiles."""
        grown = untouched((self.tiles, 2 * self.log.shape[1], COLUMNS), np.int32)
        grown[:, : self.log.shape[1]] = self.log
        self.log = grown

    def decode_missing(self, tiles: NDArray[np.int64]) -> None:
        """Decode the pages at which contexts of some tiles stopped with Status.DECODE. Safe from several threads."""
        contexts = self.sup[tiles, layout.STOPPED_CONTEXT]
        offsets = self.progress[tiles, contexts, layout.PC] - self.chip.memory.base
        self._decode(tiles, (contexts == layout.SUPERVISOR).astype(np.int64), offsets // layout.PAGE_BYTES)

    def decode_pages(self, tiles: NDArray[np.int64], page: int) -> None:
        """Decode a page of workers' code of some tiles, which nobody runs. Safe from several threads."""
        todo = tiles[self.pages[tiles, 0, page] < 0]
        if len(todo):
            self._decode(todo, np.zeros(len(todo), np.int64), np.full(len(todo), page, np.int64))

    def page_slot(self, tile: int, page: int, mode: int = 0) -> int:
        """Pool slot of a tile's page, which is decoded if it has not been. Safe from several threads."""
        if self.pages[tile, mode, page] < 0:
            self._decode(*(np.array([number], np.int64) for number in (tile, mode, page)))
        return int(self.pages[tile, mode, page])

    def _decode(self, tiles: NDArray[np.int64], modes: NDArray[np.int64], pages: NDArray[np.int64]) -> None:
        words = self.memory.view(np.uint32)[:, : self.executable // 4]
        self.pool.fill(self.pages, words, tiles, modes, pages)


def _timing(chip: Chip) -> tuple[int, ...]:
    times = chip.timing.supervisor
    return (times.result_latency, times.taken_branch, times.put, times.launch, times.local_sync, chip.weight_slots)


def _sram(chip: Chip) -> tuple[int, ...]:
    memory = chip.memory
    offset = memory.interleaved_base - memory.base
    repeat_mask = 0xFFF if chip.architecture == "ipu1" else 0xFFFF
    # Code lies in region 0 only, so a store above it cannot change decoded words.
    return (memory.base, memory.size, offset, offset, repeat_mask, offset)


def run_tiles(arrays: TileArrays, tiles: NDArray[np.int64], instrumented: bool = False) -> NDArray[np.int64]:
    """Run some tiles until each stops for another reason than a page not decoded yet; their Status.

    ``instrumented``: by the variant that obeys ``arrays.inspection``; a checked machine always runs it.
    """
    instrumented = instrumented or arrays.checking
    run = interpreter(instrumented).run_tiles
    views = (arrays.inspected().views,) if instrumented else ()
    undo = np.zeros(_UNDO_WORDS, np.int64), np.zeros(32, np.float32)
    context = new_context()
    recent = np.full(_RECENT, -1, np.int64), np.zeros(_RECENT * layout.DECODED_FIELDS, np.int32)

    def run_on(todo: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.zeros(len(todo), np.int64)
        with np.errstate(all="ignore"):  # only speaks up when the JIT is off
            run(
                todo,
                found,
                arrays.memory,
                arrays.sram,
                arrays.pages,
                arrays.pool.rows,
                arrays.pool.tables,
                recent,
                arrays.mrf,
                arrays.arf,
                arrays.acc,
                arrays.weight_store,
                arrays.weights16,
                arrays.weights32,
                arrays.csrs,
                arrays.scsr,
                arrays.slots,
                arrays.progress,
                arrays.sup,
                arrays.log,
                arrays.counters,
                undo,
                arrays.timing,
                arrays.limit,
                NO_UNITS if instrumented else arrays.units.rows,
                context,
                *views,
            )
        return found

    statuses = run_on(tiles)
    while True:
        again = np.flatnonzero((statuses == _DECODE) | (statuses == _TRANSLATE))
        if not len(again):
            return statuses
        todo, undecoded = tiles[again], statuses[again] == _DECODE
        if undecoded.any():
            arrays.decode_missing(todo[undecoded])
        if not undecoded.all():
            arrays.units.consider(arrays, todo[~undecoded])
        statuses[again] = run_on(todo)

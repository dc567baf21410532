"""All tiles of a chip and the superstep loop: compute, barrier, exchange, repeat.

Tiles share nothing between barriers, so they run in any order and on any number of threads with the same results and
cycles. A barrier releases every tile at the same cycle, ``sync_release`` after the last arrival; rows then run on each
tile's supervisor, which logs what it sends and when it listens to whom, and stops at the first instruction that could
see received data; when all have, the words are moved (tile_emu.exchange.deliver) and all go on.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip, load_chip
from tile_emu.chips.elements import PREFETCH
from tile_emu.errors import IllegalExchange, TileEmuError, TileFault, UsageError
from tile_emu.exchange.arrivals import Run
from tile_emu.exchange.deliver import deliver
from tile_emu.exchange.elements import RowSpans
from tile_emu.isa.work import WORK
from tile_emu.profile.recording import Recording
from tile_emu.profile.timed import SAMPLE, TileChoice
from tile_emu.tile import layout
from tile_emu.tile.check import Findings, collect
from tile_emu.tile.counting import ExecutionCounter
from tile_emu.tile.csrspace import S_INCOMING_BASE, S_INCOMING_DELTA, S_INCOMING_MUX
from tile_emu.tile.faults import tile_fault
from tile_emu.tile.layout import FIRST_FAULT, Status
from tile_emu.tile.notes import WRITTEN
from tile_emu.tile.state import TileArrays, run_tiles
from tile_emu.tile.timeline import Timeline

if TYPE_CHECKING:
    from tile_emu.exchange.transfers import Transfers
    from tile_emu.graph.image import Image

# Version of the timing model that reports carry; raise it when a cycle count can change.
TIMING_MODEL = "tile-emu timing 1"
# As numbers: NumPy compares arrays with members of an enumeration slowly.
_LOG_FULL, _BARRIER, _HOST = int(Status.LOG_FULL), int(Status.BARRIER), int(Status.HOST)
_LEAST_CHUNK = 32  # tiles a thread takes at a time at the end of a phase
Progress = Callable[..., None]


class Machine:
    """One emulated chip. ``memory`` is uint8[tiles, SRAM size], touched only where programs use it."""

    def __init__(
        self,
        chip: str | Chip,
        tiles: int | None = None,
        threads: int | None = None,
        timed: TileChoice = SAMPLE,
        check: bool = False,
        engine: str | None = None,
    ) -> None:
        """``timed``: tiles of which the recording keeps when each worker ran; by default eight, evenly spread.

        ``check``: look for errors the hardware lets pass (tile_emu.tile.check), at a fraction of the speed.
        ``engine``: interpreter, translator or auto (tile_emu.engines); the same results whichever it is.
        """
        self.chip = load_chip(chip) if isinstance(chip, str) else chip
        self.tiles = self.chip.tiles if tiles is None else tiles
        if not 1 <= self.tiles <= self.chip.tiles:
            raise UsageError(f"{self.chip.name} has {self.chip.tiles} tiles, not {self.tiles}")
        self.threads = (os.cpu_count() or 1) if threads is None else threads
        if self.threads < 1:
            raise UsageError(f"cannot run on {self.threads} threads")
        self.arrays = TileArrays(self.chip, self.tiles, check, engine)
        self.image: Image | None = None
        self._turns = np.zeros(self.tiles, np.int64)  # of workers, when the last phase began
        self._order = np.arange(self.tiles)  # in which tiles are run
        self.timeline = Timeline(self.arrays, timed)

    @property
    def memory(self) -> NDArray[np.uint8]:
        """SRAM of all tiles, uint8[tiles, size]; byte 0 is address ``chip.memory.base``."""
        return self.arrays.memory

    def load(self, image: Image) -> None:
        """Put an image into the tiles' memories and every supervisor at its entry."""
        if image.chip != self.chip or image.tiles != self.tiles:
            raise UsageError(f"the image is for {image.tiles} tiles of {image.chip.name}")
        self.image = image
        image.fill(self.memory)
        self.arrays.forget_code()
        self.arrays.progress[:, layout.SUPERVISOR, layout.PC] = image.entry
        if self.arrays.inspection is not None:
            self.arrays.inspection.mark_image(image)

    def write_tensor(self, name: str, array: NDArray[Any]) -> None:
        """Host write of a whole tensor. Raises UsageError for an unknown name, a wrong shape or dtype."""
        tensor = self._tensor(name)
        tensor.pack(array, self.memory)
        if self.arrays.inspection is not None:
            tensor.cover(self.arrays.inspection.written, WRITTEN)

    def read_tensor(self, name: str) -> NDArray[Any]:
        """Host read of a whole tensor."""
        result: NDArray[Any] = self._tensor(name).unpack(self.memory)
        return result

    def findings(self) -> Findings:
        """What the runs so far did wrong. Raises UsageError unless the machine was made with check=True."""
        if self.arrays.inspection is None or self.image is None:
            raise UsageError("this machine does not check its runs: make it with check=True")
        return collect(self.arrays.inspection, self.image.symbols, self._where(), self.image.name_at)

    def _tensor(self, name: str) -> Any:
        if self.image is None or name not in self.image.tensors:
            raise UsageError(f"no tensor '{name}' in the loaded image")
        return self.image.tensors[name]

    # The superstep loop.

    def run(self, progress: Progress | None = None) -> Recording:
        """Run the loaded program until every tile calls the host.

        ``progress(stage, fraction)`` is called while it runs. Raises TileFault for the first tile (lowest number) that
        faulted, IllegalExchange, or TileEmuError when tiles wait for each other for ever.
        """
        if self.image is None:
            raise UsageError("no image is loaded")
        image = self.image
        barriers = len(image.exchanges)
        code = image.shared_words()
        names = image.compute_names, image.exchange_names
        record = Recording.zeros(self.chip, self.tiles, *names, TIMING_MODEL, words=len(code))
        counter = ExecutionCounter(self.chip.architecture, code)
        self.arrays.count_words(len(code))
        self._turns = np.zeros(self.tiles, np.int64)
        counted = np.zeros((self.tiles, layout.COUNTERS), np.int64)
        start = self._settle()
        # Compile, or load from the cache, once and not in every thread.
        run_tiles(self.arrays, np.zeros(0, np.int64))
        with ThreadPoolExecutor(self.threads) as pool:
            # A thread of its own would only cost the change to it.
            each: Run = pool.map if self.threads > 1 else map
            for phase in range(barriers + 1):
                if progress is not None:
                    progress("running", phase / (barriers + 1))
                at_host = self._compute(each)
                self._count(each, record, phase, counted, counter)
                self.timeline.take(phase, start)
                if at_host:
                    if phase != barriers:
                        raise TileEmuError(f"the program ended before exchange {phase} of {barriers}")
                    break
                if phase == barriers:
                    raise TileEmuError(f"a barrier after the last of the program's {barriers} exchanges")
                self._exchange(each, record, phase, start, *image.exchanges[phase])
        self.arrays.units.remember()
        record.finish[:] = self.arrays.sup[:, layout.ARRIVAL] - start
        return dataclasses.replace(record, worker_runs=self.timeline.runs(record))

    def _settle(self) -> int:
        """Start every supervisor at the same cycle, when all earlier results are ready; that cycle."""
        sup = self.arrays.sup
        start = int(max(sup[:, layout.CYCLE].max(), sup[:, layout.READY : layout.READY + layout.MRF_SLOTS].max()))
        sup[:, layout.CYCLE] = start
        return start

    def _run_all(self, each: Run) -> NDArray[np.int64]:
        """Run every tile until it stops; Status of each. Faults and endless loops raise."""
        chunks = self._chunks()
        statuses = np.zeros(self.tiles, np.int64)
        for chunk, found in zip(chunks, each(lambda chunk: run_tiles(self.arrays, chunk), chunks), strict=True):
            statuses[chunk] = found
        while (statuses == _LOG_FULL).any():
            self.arrays.grow_log()
            again = np.flatnonzero(statuses == _LOG_FULL)
            statuses[again] = run_tiles(self.arrays, again)
        faulted = np.flatnonzero(statuses >= FIRST_FAULT)
        if len(faulted):
            raise self._fault(int(faulted[0]), int(statuses[faulted[0]]))
        return statuses

    def _chunks(self) -> list[NDArray[np.int64]]:
        """Tiles in the order and portions in which threads take them.

        What a tile did in the last phase that launched workers is what it is expected to cost. The costly ones go
        first: tiles that run the same code stand together, and what is left for the end is small, so that the threads
        finish at the same time.
        """
        gained = self.arrays.counters[:, layout.COUNT_TURNS] - self._turns
        if gained.any():
            self._turns, self._order = self._turns + gained, np.argsort(-gained, kind="stable")
        order = self._order
        if self.threads == 1:
            return [order]
        chunks = []
        while len(order):
            size = max(_LEAST_CHUNK, len(order) // (2 * self.threads))
            chunks.append(order[:size])
            order = order[size:]
        return chunks

    def _fault(self, tile: int, status: int) -> TileFault:
        assert self.image is not None
        return tile_fault(self.arrays, tile, status, self.image.symbols, self._where())

    def _where(self) -> dict[int, str]:
        """'file:line' by instruction address, of the codelets."""
        assert self.image is not None
        lines = self.image.lines
        return {
            int(address): f"{lines.files[file]}:{line}"
            for address, line, file in zip(lines.address, lines.line, lines.file, strict=True)
        }

    def _compute(self, each: Run) -> bool:
        """Run to the next barrier; whether it was the host's. Raises TileEmuError if tiles wait for different ones."""
        statuses = self._run_all(each)
        if (statuses == _HOST).all():
            return True
        odd = np.flatnonzero(statuses != statuses[0])
        if len(odd) or statuses[0] != _BARRIER:
            tile = int(odd[0]) if len(odd) else 0
            names = [Status(int(statuses[t])).name for t in (0, tile)]
            raise TileEmuError(f"tiles wait for each other for ever: tile 0 in {names[0]}, tile {tile} in {names[1]}")
        return False

    def _exchange(self, each: Run, record: Recording, phase: int, start: int, name: str, intended: Transfers) -> None:
        """Release the barrier, run the rows, move the words."""
        arrays, sup = self.arrays, self.arrays.sup
        release = int(sup[:, layout.ARRIVAL].max()) + self.chip.timing.sync_release
        record.arrival[phase] = sup[:, layout.ARRIVAL] - start
        record.release[phase] = release - start
        mux = arrays.scsr[:, S_INCOMING_MUX].astype(np.int32)
        pointer = (arrays.scsr[:, S_INCOMING_BASE] + arrays.scsr[:, S_INCOMING_DELTA]).astype(np.int32)
        sup[:, [layout.RELEASE, layout.ROW_END]] = release
        sup[:, layout.CYCLE] = np.maximum(sup[:, layout.CYCLE], release)
        sup[:, layout.EXCHANGING] = 1
        sup[:, layout.LOG_COUNT] = 0
        self._run_all(each)
        sup[:, layout.EXCHANGING] = 0
        record.row_end[phase] = sup[:, layout.ROW_END] - start
        count = sup[:, layout.LOG_COUNT].astype(np.int32)
        name_of = self.image.name_at if self.image is not None else None
        try:
            spans = self._row_spans(phase)
            moved = deliver(self.chip, self.memory, arrays.log, count, mux, pointer, intended, name_of, spans, each)
        except IllegalExchange as error:
            raise IllegalExchange(f"exchange '{name}': {error}") from None
        if arrays.inspection is not None:
            arrays.inspection.exchange(moved.blocks)
        self._check_rows_outlast(name, moved.last_store, release)
        arrays.scsr[:, S_INCOMING_DELTA] = pointer - arrays.scsr[:, S_INCOMING_BASE].astype(np.int32)
        arrays.forget_code(self._wrote_code(moved.received, pointer))
        record.sent[phase], record.received[phase] = moved.sent, moved.received
        record.send_cycles[phase], record.receive_cycles[phase] = moved.send_cycles, moved.receive_cycles
        record.exchange_busy[phase] = moved.busy_cycles

    def _row_spans(self, phase: int) -> RowSpans:
        """Where the rows of an exchange and what is fetched ahead of them lie."""
        assert self.image is not None
        begin, end = self.image.memory_map.row_span(phase)
        return RowSpans(begin, np.where(end > 0, end + PREFETCH, 0))

    def _check_rows_outlast(self, name: str, last_store: NDArray[np.int64], release: int) -> None:
        """A row drains before it returns (exchange rule R8). No worker runs: a barrier waits for them (R12)."""
        end = self.arrays.sup[:, layout.ROW_END] - release - self.chip.timing.supervisor.taken_branch
        drain = self.chip.exchange.drain
        early = np.flatnonzero((last_store >= 0) & (end < last_store + drain))
        if len(early):
            tile = int(early[0])
            raise IllegalExchange(
                f"exchange '{name}': the row of tile {tile} ends at event {end[tile]}, its last word is stored at "
                f"event {last_store[tile]}: it must last {drain} events longer than that, to drain"
            )

    def _wrote_code(self, received: NDArray[np.int64], pointer: NDArray[np.int32]) -> Any:
        """Tiles whose store pointer ended in executable memory, so that code may have been overwritten."""
        return np.flatnonzero((received > 0) & (pointer <= self.chip.memory.interleaved_base))

    def _count(
        self, each: Run, record: Recording, phase: int, counted: NDArray[np.int64], counter: ExecutionCounter
    ) -> None:
        """Put what the counters gained since the last call into compute phase ``phase``."""
        gained = self.arrays.counters[:, : layout.COUNTERS] - counted
        counted += gained
        record.turns[phase] = gained[:, layout.COUNT_TURNS]
        record.worker_busy[phase] = gained[:, layout.COUNT_BUSY]
        record.supervisor_instructions[phase] = gained[:, layout.COUNT_SUPERVISOR]
        record.instructions[phase] = gained[:, layout.COUNT_INSTRUCTIONS] + gained[:, layout.COUNT_SUPERVISOR]
        record.launches[phase] = gained[:, layout.COUNT_LAUNCHES]
        record.worker_turns[phase] = gained[:, layout.COUNT_WORKER : layout.COUNT_WORKER + layout.WORKERS]
        done = counter.take(self.arrays.counters, each)
        for column, values in zip(WORK, done.work.T):
            getattr(record, column)[phase] = values
        record.executions[phase], record.extra_turns[phase] = done.executions, done.extra_turns
        record.supervisor_executions[phase] = done.supervisor

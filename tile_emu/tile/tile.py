"""One tile on its own: load code, set memory and registers, run workers or a supervisor function, look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip, load_chip
from tile_emu.errors import UsageError
from tile_emu.isa.semantics.accumulators import accumulator_index
from tile_emu.tile import layout
from tile_emu.tile.check import Findings, collect
from tile_emu.tile.csrspace import NO_SLOT, S_WORKER0_BASE
from tile_emu.tile.faults import tile_fault
from tile_emu.tile.layout import FIRST_FAULT, Status
from tile_emu.tile.state import TileArrays, run_tiles
from tile_emu.tile.trace import Trace, Tracer

if TYPE_CHECKING:
    from tile_emu.asm import Code

# The plain Python function: compiling an inlined one for this alone would cost every start 0.3 s.
_AACC = np.array([getattr(accumulator_index, "py_func", accumulator_index)(k) for k in range(32)])
_PAGE = layout.PAGE_BYTES


@dataclass(frozen=True)
class Run:
    """What one run on a tile cost. Cycles are exact by the timing model."""

    cycles: int  # from the launch (workers) or the call (supervisor) to the end
    turns: list[int]  # bundles issued by each worker, in its last launch
    instructions: int  # workers and supervisor, both halves of a bundle counted
    entries: Trace | None = None  # what was executed, if the run was traced

    def trace(self) -> Trace:
        """Executed instructions and bundles in order. Raises UsageError if the run was not traced."""
        if self.entries is None:
            raise UsageError("this run was not traced: run it with trace=True")
        return self.entries


class Tile:
    """A single emulated tile of a chip.

    ``mrf`` uint32[7, 17] (rows 0..5 workers, 6 supervisor) and ``arf`` uint32[6, 16] are live views of the register
    files, of which registers 0..11 and 0..7 are storage. Faults raise TileFault and leave the state as it was at the
    faulting instruction.
    """

    def __init__(self, chip: str | Chip = "ipu21", check: bool = False, engine: str | None = None) -> None:
        """``check``: look for errors the hardware lets pass (tile_emu.tile.check), at a fraction of the speed.

        ``engine``: interpreter, translator or auto (tile_emu.engines); the same results whichever it is.
        """
        self.chip = load_chip(chip) if isinstance(chip, str) else chip
        self.arrays = TileArrays(self.chip, 1, check, engine)
        self.symbols: dict[str, int] = {}
        self.lines: dict[int, str] = {}  # 'file:line' by instruction address
        self._tracer: Tracer | None = None

    # State.

    @property
    def mrf(self) -> NDArray[np.uint32]:
        return self.arrays.mrf[0]

    @property
    def arf(self) -> NDArray[np.uint32]:
        return self.arrays.arf[0]

    @property
    def aacc(self) -> NDArray[np.float32]:
        """Accumulators float32[6, 32] by AACC number; a copy, see ``set_aacc``."""
        return self.arrays.acc[0][:, _AACC]

    def set_aacc(self, values: NDArray[np.float32]) -> None:
        """Set all accumulators: float32[6, 32] by AACC number."""
        self.arrays.acc[0][:, _AACC] = values

    @property
    def cwei(self) -> NDArray[np.uint16]:
        """Common weight store uint16[64, 4] (slot, element); a copy, see ``set_cwei``."""
        return self.arrays.weight_store[0].view(np.uint16).reshape(64, 4).copy()

    def set_cwei(self, values: NDArray[np.uint16]) -> None:
        """Set the whole common weight store: uint16[64, 4]."""
        from tile_emu.tile.support import load_weights

        arrays = self.arrays
        words = np.ascontiguousarray(values, np.uint16).view(np.uint64).reshape(64)
        for slot, word in enumerate(words):
            load_weights(arrays.weight_store[0], arrays.weights16[0], arrays.weights32[0], slot, word)

    def _csr(self, context: int, index: int) -> tuple[NDArray[np.uint32], int]:
        if context == layout.SUPERVISOR:
            slot, registers = self.arrays.slots[2, index & 255], self.arrays.scsr[0]
        else:
            slot, registers = self.arrays.slots[int(index >= 256), index & 255], self.arrays.csrs[0, context]
        if slot == NO_SLOT:
            raise UsageError(f"context {context} has no status register {index:#x}")
        return registers, int(slot)

    def get_csr(self, context: int, index: int) -> int:
        """Stored value of a status register; upper-space ones of workers count from 256."""
        registers, slot = self._csr(context, index)
        return int(registers[slot])

    def set_csr(self, context: int, index: int, value: int) -> None:
        """Set the stored value of a status register, without the side effects of a put."""
        registers, slot = self._csr(context, index)
        registers[slot] = value & 0xFFFFFFFF

    # Memory and code.

    def _offset(self, address: int, nbytes: int) -> int:
        memory = self.chip.memory
        if not memory.base <= address <= memory.end - nbytes:
            raise UsageError(
                f"{nbytes} bytes at {address:#x} do not lie in tile memory {memory.base:#x}..{memory.end:#x}"
            )
        return address - memory.base

    def write(self, address: int, array: NDArray[Any]) -> None:
        """Copy an array's bytes into SRAM. Raises UsageError outside tile memory."""
        raw = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        offset = self._offset(address, len(raw))
        self.arrays.memory[0, offset : offset + len(raw)] = raw
        if self.arrays.inspection is not None:
            self.arrays.inspection.mark_written(0, offset, len(raw))
        pages = self.arrays.pages[0]
        pages[:, max(0, offset - 4) // _PAGE : (offset + len(raw)) // _PAGE + 1] = -1

    def read(self, address: int, dtype: Any, count: int) -> NDArray[Any]:
        """``count`` elements of ``dtype`` from SRAM, copied. Raises UsageError outside tile memory."""
        nbytes = np.dtype(dtype).itemsize * count
        offset = self._offset(address, nbytes)
        return self.arrays.memory[0, offset : offset + nbytes].copy().view(dtype)

    def load(self, code: Code) -> None:
        """Put assembled code into SRAM and remember its symbols and lines."""
        self.write(code.base, code.words)
        self.symbols.update(code.symbols)
        for address, number, file in zip(code.line_address, code.line_number, code.line_file, strict=True):
            self.lines[int(address)] = f"{file}:{int(number)}"
        if self.arrays.inspection is not None:
            self.arrays.inspection.mark_code(0, code.line_address)

    def findings(self) -> Findings:
        """What the runs so far did wrong. Raises UsageError unless the tile was made with check=True."""
        if self.arrays.inspection is None or not self.arrays.checking:
            raise UsageError("this tile does not check its runs: make it with check=True")
        return collect(self.arrays.inspection, self.symbols, self.lines)

    def address_of(self, place: str | int) -> int:
        """Byte address of an address, a symbol, or symbol+offset (bytes). Raises UsageError."""
        if isinstance(place, int):
            return place
        name, _, offset = place.partition("+")
        try:
            return self._address(name.strip()) + int(offset or "0", 0)
        except ValueError:
            raise UsageError(f"'{place}' is neither a symbol nor symbol+bytes") from None

    def _address(self, entry: str | int) -> int:
        if isinstance(entry, int):
            return entry
        if entry not in self.symbols:
            raise UsageError(f"no symbol '{entry}' in the loaded code")
        return self.symbols[entry]

    # Running.

    def _finish(self, before: NDArray[np.int64], wanted: Status) -> NDArray[np.int64]:
        arrays = self.arrays
        if arrays.inspection is not None:
            arrays.inspection.free()
        status = int(run_tiles(arrays, np.zeros(1, np.int64))[0]) if self._tracer is None else self._tracer.run()
        if status >= FIRST_FAULT:
            raise tile_fault(arrays, 0, status, self.symbols, self.lines)
        if status != wanted:
            raise UsageError(f"the code stopped in {Status(status).name} and cannot go on with one tile alone")
        return arrays.counters[0] - before

    def run_workers(
        self, entry: str | int, vertex_base: int = 0, workers: Sequence[int] | None = None, trace: bool = False
    ) -> Run:
        """Launch workers (all six unless named) at an entry with the same vertex state, until all have exited.

        Cycles count from the launch to the last exit, that turn included. ``trace`` records every bundle, which
        takes up to five times as long. Raises TileFault, UsageError.
        """
        self._tracer = Tracer(self.arrays, self.symbols, self.lines) if trace else None
        arrays = self.arrays
        chosen = chosen_workers(workers)
        before = arrays.counters[0].copy()
        start = self.settle()
        last = start
        for worker in chosen:
            self.begin_worker(worker, self._address(entry), vertex_base, start)
            self._finish(before, Status.RETURNED)
            last = max(last, int(arrays.progress[0, worker, layout.EXIT_CYCLE]))
        arrays.sup[0, layout.CYCLE] = last + 1
        used = arrays.counters[0] - before
        turns = [int(arrays.progress[0, w, layout.TURNS]) if w in chosen else 0 for w in range(layout.WORKERS)]
        return Run(last + 1 - start, turns, int(used[layout.COUNT_INSTRUCTIONS]), self._entries())

    def _entries(self) -> Trace | None:
        return None if self._tracer is None else self._tracer.trace()

    def settle(self) -> int:
        """A cycle, multiple of 6, at which every earlier worker has exited and every result is ready."""
        arrays = self.arrays
        if arrays.inspection is not None:
            arrays.inspection.start_phase()
        ready = arrays.sup[0, layout.READY : layout.READY + layout.MRF_SLOTS].max()
        latest = max(
            int(arrays.sup[0, layout.CYCLE]), int(arrays.progress[0, :, layout.EXIT_CYCLE].max()) + 1, int(ready)
        )
        return -(-latest // layout.WORKERS) * layout.WORKERS

    def begin_worker(self, worker: int, entry: int, vertex_base: int, cycle: int) -> None:
        """Put one worker at its entry as runall would, with the supervisor about to return to the host."""
        from tile_emu.tile.support import start_worker

        arrays = self.arrays
        own = arrays.progress[0]
        csr, mrf = arrays.csrs[0, worker], arrays.mrf[0, worker]
        start_worker(worker, entry, vertex_base, cycle, 0, own, arrays.scsr[0], csr, mrf)
        arrays.sup[0, [layout.LAUNCH_NEXT, layout.LAUNCH_LAST]] = worker
        arrays.sup[0, [layout.LAUNCH_CYCLE, layout.CYCLE]] = cycle
        own[layout.SUPERVISOR, layout.PC] = layout.RETURN_ADDRESS

    def run_supervisor(self, entry: str | int, m: Mapping[int, int] | None = None, trace: bool = False) -> Run:
        """Call a supervisor function with some main registers set, until it returns through $lr.

        Cycles count from the issue of its first instruction to the cycle after its return took effect. ``trace`` as in
        run_workers; what workers do stands where they were launched.
        """
        self._tracer = Tracer(self.arrays, self.symbols, self.lines) if trace else None
        arrays = self.arrays
        before = arrays.counters[0].copy()
        start = self.begin_supervisor(entry, m or {})
        used = self._finish(before, Status.RETURNED)
        turns = [int(t) for t in arrays.progress[0, : layout.WORKERS, layout.TURNS]]
        instructions = int(used[layout.COUNT_INSTRUCTIONS] + used[layout.COUNT_SUPERVISOR])
        return Run(int(arrays.sup[0, layout.CYCLE]) - start, turns, instructions, self._entries())

    def begin_supervisor(self, entry: str | int, m: Mapping[int, int]) -> int:
        """Put the supervisor at the entry of a function that returns to the host; the cycle at which it starts."""
        arrays = self.arrays
        start = self.settle()
        for register, value in m.items():
            arrays.mrf[0, layout.SUPERVISOR, register] = value & 0xFFFFFFFF
        arrays.mrf[0, layout.SUPERVISOR, 10] = layout.RETURN_ADDRESS
        arrays.sup[0, layout.CYCLE] = start
        arrays.progress[0, layout.SUPERVISOR, layout.PC] = self._address(entry)
        return start

    def set_worker_base(self, worker: int, address: int) -> None:
        """Scratch area handed to a worker as $m12."""
        self.arrays.scsr[0, S_WORKER0_BASE + worker] = address


def chosen_workers(workers: Sequence[int] | None) -> list[int]:
    """Worker numbers in order, all six for None. Raises UsageError."""
    chosen = sorted(set(range(layout.WORKERS) if workers is None else workers))
    if not chosen or chosen[0] < 0 or chosen[-1] >= layout.WORKERS:
        raise UsageError(f"workers must be among 0..{layout.WORKERS - 1}")
    return chosen


__all__ = ["Run", "Tile"]

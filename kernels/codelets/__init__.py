"""The project's own codelets: what the graph must know of each ``.S`` file. The contracts are in the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tile_emu.chips import Chip
from tile_emu.graph.codelets import COLUMN as COLUMN
from tile_emu.graph.codelets import WORKERS as WORKERS
from tile_emu.graph.codelets import ReduceCodelet as ReduceCodelet
from tile_emu.graph.codelets import reduce_codelet as reduce_codelet
from tile_emu.graph.codelets import worker_records as worker_records
from tile_emu.graph.variables import Codelet

HERE = Path(__file__).parent

_STREAM_RECORD = ("x", "out", "tail", "wrap", "count", "out_pitch")
_STREAM_TAIL = ("weights", "out_groups", "rounds", "entry")

K_GROUP_BYTES = 32  # one K group of one position or of one output: 16 f16 or 8 f32
X_OVERREAD = 8  # bytes the matmul workers read behind the last plane of X
MIN_POSITIONS = 4  # per worker; the pipeline of the matmul codelets is that long
SLIC_MIN_POSITIONS = 8  # the same of the slim convolution codelets
UNROLLED = 4  # launches in the supervisor's loop


def plane_field(plane: int, worker: int) -> str:
    """Name of the vertex-state word that holds a worker's address in a plane of X; plane 0 is in its record."""
    return f"plane{plane}_{worker}" if plane else f"x{worker}"


@dataclass(frozen=True)
class MatmulCodelet:
    """A matmul codelet: sizes of its groups, its layout, and the turns of its worker entries for n positions.

    C[position][output] (+)= sum over inputs of x[position][input] w[output][input].
    """

    name: str
    inputs: int  # per K group
    outputs: int  # per out group
    out_bytes: int  # of one partial sum
    turns: int  # AMP instructions per position
    chunks: int  # 8-byte pieces of OUT per position
    tail: int  # chunks that a launch leaves to the next one
    max_positions: int  # per worker: the wrap stride has 10 bits
    first_turns: int  # worker turns beyond turns * n: first launch of an out group that starts from zero
    acc_turns: int  # the same where it starts from the partials in memory
    next_turns: int
    finish_turns: int  # all turns of the last launch
    unit_bytes: int = K_GROUP_BYTES  # of X per position, of W per output
    grain: int = 1  # the positions of a worker are a multiple of it
    over_read: int = X_OVERREAD  # bytes

    def zero(self, planes: int) -> Codelet:
        """The codelet whose out groups start from zero, with room for the addresses of ``planes`` planes."""
        return self._codelet("zero", "matrix product, overwrites OUT", planes)

    def acc(self, planes: int) -> Codelet:
        """The codelet whose out groups add to OUT."""
        return self._codelet("acc", "matrix product, adds to OUT", planes)

    def _codelet(self, entry: str, summary: str, planes: int) -> Codelet:
        name = f"{self.name}_{entry}"
        later = tuple(plane_field(plane, worker) for plane in range(1, planes) for worker in range(WORKERS))
        fields = (*worker_records(_STREAM_RECORD), *_STREAM_TAIL, *later)
        return Codelet(name, HERE / f"{self.name}.S", name, fields, summary)

    @property
    def position_bytes(self) -> int:
        """Bytes of OUT per position and out group."""
        return 8 * self.chunks

    @property
    def weight_cycles(self) -> int:
        """Supervisor cycles for one load of the weight state: 16 bytes each."""
        return self.outputs * K_GROUP_BYTES // 16

    @property
    def launch_bytes(self) -> int:
        """Code of one launch in the supervisor's unrolled loop: sync, weight loads, runall, add."""
        return 4 * (self.weight_cycles + 3)


_MATMUL = {
    ("f16", 2): MatmulCodelet("matmul_f16", 16, 16, 2, 4, 4, 6, 128, 13, 16, 5, 7),
    ("f16", 1): MatmulCodelet("matmul_f16_gc2", 16, 8, 2, 4, 2, 3, 255, 13, 16, 5, 6),
    ("f16f32", 2): MatmulCodelet("matmul_f16f32", 16, 8, 4, 4, 4, 6, 128, 13, 16, 5, 7),
    ("f16f32", 1): MatmulCodelet("matmul_f16f32", 16, 8, 4, 4, 4, 6, 128, 13, 16, 5, 7),
    ("f32", 2): MatmulCodelet("matmul_f32", 8, 16, 4, 8, 8, 10, 64, 17, 20, 5, 11),
    ("f32", 1): MatmulCodelet("matmul_f32_gc2", 8, 8, 4, 8, 4, 5, 128, 15, 20, 5, 6),
}

# Turns of the very first launch of a vertex beyond those of any first launch: 7 (zero) or 6 (acc), less the 2 it skips.
INIT_TURNS = 5
ACC_INIT_TURNS = 4


def matmul_codelet(dtype: str, chip: Chip) -> MatmulCodelet:
    """The codelet for operands and partials of ``dtype`` (f16, f16f32, f32) on ``chip``."""
    return _MATMUL[dtype, chip.amp_sets]


_SLIC_RECORD = ("x", "out", "pairs")
SLIC_COLUMNS = 4  # of a window


@dataclass(frozen=True)
class SlicCodelet:
    """The slim convolution codelet: windows of SLIC_COLUMNS columns, few inputs and outputs, no K groups.

    C[position][output] = sum over windows, columns, inputs of x[position + column][input] w[column][output][input].
    """

    name: str
    inputs: int
    outputs: int
    out_bytes: int
    first_turns: int  # worker turns beyond n of the first launch
    next_turns: int
    weight_cycles: int
    max_positions: int = 2 * 4095  # per worker
    chunks: int = 1
    unit_bytes: int = 8  # of X per position, of W per output
    grain: int = 2  # positions of a worker come in pairs
    over_read: int = 48  # bytes of X

    def zero(self, planes: int) -> Codelet:
        """The codelet for ``planes`` windows."""
        later = tuple(plane_field(plane, worker) for plane in range(1, planes) for worker in range(WORKERS))
        fields = (*worker_records(_SLIC_RECORD), "weights", "later", *later)
        return Codelet(self.name, HERE / f"{self.name}.S", self.name, fields, "windows of few channels")

    @property
    def position_bytes(self) -> int:
        """Bytes of OUT per position."""
        return 8 * self.chunks


_SLIC = {
    ("f16", 2): SlicCodelet("slic_f16", 4, 4, 2, 14, 12, 16),
    ("f16f32", 2): SlicCodelet("slic_f16f32", 4, 2, 4, 14, 12, 8),
    ("f16f32", 1): SlicCodelet("slic_f16f32", 4, 2, 4, 14, 12, 8),
}


def slic_codelet(dtype: str, chip: Chip) -> SlicCodelet | None:
    """The slim convolution codelet for ``dtype`` on ``chip``, None where there is none.

    f16 with one AMP set: its instruction takes and gives 4 bytes a position, which the 8-byte loads and stores of the
    pipeline do not fit. f32: an instruction takes half a position. Both are left to the AMP.
    """
    return _SLIC.get((dtype, chip.amp_sets))


def least_positions(window: int) -> int:
    """Positions of a tile, those of padding included, at least; ``window`` as of the contraction's shape."""
    return WORKERS * (SLIC_MIN_POSITIONS if window > 1 else MIN_POSITIONS)


_COPY_RECORD = ("source", "dest", "pairs", "rows", "source_pitch", "dest_pitch")
COPY_OVERREAD = 8  # bytes read behind a row


def copy_codelet() -> Codelet:
    """The codelet that copies rows within a tile."""
    return Codelet(
        "copy_rows", HERE / "copy_rows.S", "copy_rows", worker_records(_COPY_RECORD), "rows copied within a tile"
    )


def copy_turns(rows: Any, pairs: Any) -> Any:
    """Turns of a worker of copy_rows that copies ``rows`` rows of ``pairs`` 16-byte pieces."""
    return 8 + rows * (7 + 2 * pairs)

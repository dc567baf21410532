"""What the graph must know of the codelets that follow a product: bias, activation, change of the result's format.

The contracts are in elementwise.inc and cast_*.S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import HERE, WORKERS, worker_records
from tile_emu.graph.variables import Codelet

I64 = NDArray[np.int64]

ACTIVATIONS = ("none", "relu", "gelu", "tanh")

_ACTIVATION_RECORD = ("out", "bias", "first", "middle", "last", "segments", "chunks", "back")
_CAST_RECORD = ("in", "out", "quads")

_SUMMARY = {"none": "bias", "relu": "bias and ReLU", "gelu": "bias and GELU (tanh form)", "tanh": "bias and tanh"}
_ROW_TURNS = {  # (activation, bytes of an element) -> turns for 8 bytes of a row, turns for constants
    ("none", 2): (2, 0),
    ("none", 4): (2, 0),
    ("relu", 2): (2, 0),
    ("relu", 4): (2, 0),
    ("tanh", 2): (3, 0),
    ("tanh", 4): (11, 0),
    ("gelu", 2): (10, 2),
    ("gelu", 4): (16, 4),
}


@dataclass(frozen=True)
class ActivationCodelet:
    """A codelet of elementwise.inc."""

    codelet: Codelet
    row_turns: int
    constant_turns: int

    def turns(self, chunks: int, segments: Sequence[int]) -> int:
        """Turns of a worker with that many rows in each of its segments, of ``chunks`` 8-byte pieces a row."""
        if not segments:
            return 9
        work = sum(3 + chunks * (self.row_turns * rows + 6) for rows in segments)
        more = 2 * (len(segments) - 1) + (2 if len(segments) > 1 else 0)
        return 9 + self.constant_turns + work + more

    def most_turns(self, chunks: int, rows: Any, group_rows: Any) -> Any:
        """At most the turns of the busiest worker of a block of ``rows``; arrays or ints.

        Its share may begin and end within a group of ``group_rows``.
        """
        share = -(-rows // WORKERS)
        segments = 1 + (share + group_rows - 2) // group_rows
        return 9 + self.constant_turns + segments * (5 + 6 * chunks) + chunks * self.row_turns * share


def activation_codelet(activation: str, out_bytes: int) -> ActivationCodelet:
    """The codelet that adds a bias and applies ``activation`` to sums of ``out_bytes`` (2: f16, 4: f32)."""
    function = "" if activation == "none" else f"{activation}_"
    name = f"bias_{function}{'f16' if out_bytes == 2 else 'f32'}"
    codelet = Codelet(name, HERE / f"{name}.S", name, worker_records(_ACTIVATION_RECORD), _SUMMARY[activation])
    return ActivationCodelet(codelet, *_ROW_TURNS[activation, out_bytes])


def activation_fields(first_row: I64, rows: I64, group_rows: I64, chunks: int) -> dict[str, I64]:
    """Vertex state of blocks that are pieces of [groups][group_rows][outputs]; all arrays of one length.

    A block has ``rows`` rows from ``first_row`` on. ``out*`` and ``bias*`` are byte offsets from the block's first row
    and from the bias of the group it lies in; the rest are the words themselves.
    """
    fields: dict[str, I64] = {}
    row_bytes = 8 * chunks
    for worker in range(WORKERS):
        start = first_row + rows * worker // WORKERS
        stop = first_row + rows * (worker + 1) // WORKERS
        group, last_group = start // group_rows, np.maximum(stop - 1, start) // group_rows
        segments = np.where(stop > start, last_group - group, -1)
        fields |= {
            f"out{worker}": (start - first_row) * row_bytes,
            f"bias{worker}": (group - first_row // group_rows) * row_bytes,
            f"first{worker}": np.minimum(stop, (group + 1) * group_rows) - start - 1,
            f"middle{worker}": group_rows - 1,
            f"last{worker}": stop - last_group * group_rows - 1,
            f"segments{worker}": segments,
            f"chunks{worker}": np.full_like(rows, chunks),
            f"back{worker}": np.full_like(rows, 8 - row_bytes),
        }
    return fields


@dataclass(frozen=True)
class CastCodelet:
    """A codelet that changes the format; a worker with quads (4 elements) takes base + quads * quad_turns turns."""

    codelet: Codelet
    in_bytes: int  # of an element
    out_bytes: int
    quad_turns: int
    base_turns: int
    idle_turns: int = 5


def cast_codelet(in_bytes: int, out_bytes: int) -> CastCodelet:
    """The codelet from elements of ``in_bytes`` to ``out_bytes`` (2: f16, 4: f32)."""
    name, summary, quad_turns, base_turns = {
        (4, 2): ("cast_f32_f16", "sums rounded to f16", 2, 8),
        (2, 4): ("cast_f16_f32", "sums widened to f32", 3, 7),
    }[in_bytes, out_bytes]
    codelet = Codelet(name, HERE / f"{name}.S", name, worker_records(_CAST_RECORD), summary)
    return CastCodelet(codelet, in_bytes, out_bytes, quad_turns, base_turns)


def cast_fields(quads: I64, cast: CastCodelet) -> dict[str, Any]:
    """Vertex state of blocks of ``quads``: ``in*`` and ``out*`` are byte offsets from the blocks' beginnings."""
    fields: dict[str, Any] = {}
    for worker in range(WORKERS):
        start = quads * worker // WORKERS
        fields |= {
            f"in{worker}": start * 4 * cast.in_bytes,
            f"out{worker}": start * 4 * cast.out_bytes,
            f"quads{worker}": quads * (worker + 1) // WORKERS - start - 1,
        }
    return fields

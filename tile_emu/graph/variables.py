"""Variables mapped to tiles, pointers into them, and the codelets that work on them.

Everything is structure of arrays: a variable is n shards, a pointer may stand for n addresses at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tile_emu.errors import UsageError

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

REGIONS = ("any", "interleaved")
MIN_ALIGN = 8  # bytes; so that every shard can be read with 64-bit accesses


@dataclass(frozen=True, eq=False)
class Variable:
    """n shards of SRAM: shard i has ``nbytes[i]`` bytes on tile ``tile[i]`` (both i32[n]).

    ``region`` "interleaved" puts every shard at or above the chip's interleaved base. ``align`` is in bytes, a power of
    two. ``index`` is the variable's number in its graph. The last ``spare[i]`` bytes of shard i (i32[n]) may be read,
    as codelets do that load ahead, but hold nothing.
    """

    name: str
    tile: I32
    nbytes: I32
    region: str
    align: int
    index: int
    spare: I32

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self.tile)


@dataclass(frozen=True, eq=False)
class Pointer:
    """A byte address in a shard of a variable, or n of them: ``shard`` and ``offset`` (bytes) broadcast together."""

    variable: Variable
    shard: ArrayLike = 0
    offset: ArrayLike = 0


@dataclass(frozen=True)
class Codelet:
    """A supervisor codelet: the code a vertex runs.

    ``entry`` is a label in ``source``. ``fields`` names the 32-bit words of the vertex state in order; the codelet is
    called with ``$m0`` = address of the state and returns with ``br $m10``.
    """

    name: str
    source: Path
    entry: str
    fields: tuple[str, ...]
    summary: str = ""


def integer_array(values: ArrayLike, what: str) -> NDArray[Any]:
    """``values`` as an integer array of any shape; UsageError if it is of another kind."""
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise UsageError(f"{what}: integers wanted, not {array.dtype}")
    return array


def make_variable(
    name: str, tile: ArrayLike, nbytes: ArrayLike, region: str, align: int, index: int, tiles: int, spare: ArrayLike = 0
) -> Variable:
    """Check the arguments and build the variable; ``tile``, ``nbytes`` and ``spare`` broadcast to i32[n]."""
    if region not in REGIONS:
        raise UsageError(f"variable '{name}': region '{region}' is not one of {', '.join(REGIONS)}")
    if align < 1 or align & (align - 1):
        raise UsageError(f"variable '{name}': alignment {align} is not a power of two")
    try:
        all_three = np.broadcast_arrays(*(integer_array(values, name) for values in (tile, nbytes, spare)))
    except ValueError:
        raise UsageError(f"variable '{name}': tile, nbytes and spare have different lengths") from None
    where, size, behind = (np.atleast_1d(array).ravel().astype(np.int64) for array in all_three)
    if where.size and (where.min() < 0 or where.max() >= tiles):
        raise UsageError(f"variable '{name}': tile numbers must lie in 0..{tiles - 1}")
    if size.size and (size.min() < 0 or size.max() >= 1 << 31):
        raise UsageError(f"variable '{name}': a shard cannot have {int(size.min())}..{int(size.max())} bytes")
    if ((behind < 0) | (behind > size)).any():
        raise UsageError(f"variable '{name}': the spare bytes of a shard are 0 to all of its bytes")
    at, bytes_of, spare_of = (array.astype(np.int32) for array in (where, size, behind))
    return Variable(name, at, bytes_of, region, max(align, MIN_ALIGN), index, spare_of)


def pointer_arrays(pointer: Pointer, what: str) -> tuple[I64, I64]:
    """Shard and offset of a pointer as int64 arrays of one broadcast shape, checked against the variable."""
    variable = pointer.variable
    try:
        shard, offset = np.broadcast_arrays(
            integer_array(pointer.shard, what).astype(np.int64), integer_array(pointer.offset, what).astype(np.int64)
        )
    except ValueError:
        raise UsageError(f"{what}: shard and offset of the pointer to '{variable.name}' do not broadcast") from None
    if shard.size and (shard.min() < 0 or shard.max() >= variable.shards):
        bad = int(shard.min()) if shard.min() < 0 else int(shard.max())
        raise UsageError(f"{what}: '{variable.name}' has {variable.shards} shards, there is no shard {bad}")
    outside = (offset < 0) | (offset > variable.nbytes[shard]) if shard.size else np.zeros(0, bool)
    if outside.any():
        first = int(np.flatnonzero(outside.ravel())[0])
        number, at = int(shard.ravel()[first]), int(offset.ravel()[first])
        raise UsageError(
            f"{what}: offset {at} lies outside shard {number} of '{variable.name}' ({variable.nbytes[number]} bytes)"
        )
    return shard, offset

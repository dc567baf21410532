"""Compute sets: vertices that may run in the same superstep, added in batches of arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tile_emu.errors import UsageError
from tile_emu.graph.variables import I32, I64, U32, Codelet, Pointer, Variable, integer_array, pointer_arrays

Field = int | ArrayLike | Pointer


@dataclass(frozen=True, eq=False)
class PointerField:
    """A vertex-state word that holds an address: i64[n] shard numbers and byte offsets into one variable."""

    variable: Variable
    shard: I64
    offset: I64


@dataclass(frozen=True, eq=False)
class VertexBatch:
    """n vertices of one codelet, vertex i on ``tile[i]``; ``values`` in the order of the codelet's fields."""

    codelet: Codelet
    tile: I32
    values: tuple[U32 | PointerField, ...]

    def state_words(self, first_shard: I64, shard_address: I32) -> U32:
        """Vertex states u32[n, fields], pointers resolved to byte addresses.

        ``first_shard[v]`` is where variable v's shards begin in ``shard_address`` (i32, bytes).
        """
        words = np.empty((len(self.tile), len(self.values)), np.uint32)
        for column, value in enumerate(self.values):
            if isinstance(value, PointerField):
                words[:, column] = shard_address[first_shard[value.variable.index] + value.shard] + value.offset
            else:
                words[:, column] = value
        return words


@dataclass(eq=False)
class ComputeSet:
    """Vertices that run between two exchanges. On one tile they run one after another, in the order added."""

    name: str
    tiles: int
    batches: list[VertexBatch] = field(default_factory=list)

    def add(self, codelet: Codelet, tile: ArrayLike, /, **fields: Field) -> None:
        """Add n vertices: ``tile`` int[n]; each field an int, an int array[n] or a Pointer.

        Raises UsageError for unknown or missing fields, values beyond 32 bits, and pointers to another tile's memory.
        """
        what = f"compute set '{self.name}', codelet '{codelet.name}'"
        if set(fields) != set(codelet.fields):
            wrong = sorted(set(fields) - set(codelet.fields))
            missing = [name for name in codelet.fields if name not in fields]
            raise UsageError(f"{what}: unknown fields {wrong}, missing fields {missing}")
        where = np.atleast_1d(integer_array(tile, what)).ravel().astype(np.int64)
        if where.size and (where.min() < 0 or where.max() >= self.tiles):
            raise UsageError(f"{what}: tile numbers must lie in 0..{self.tiles - 1}")
        values = tuple(_field(f"{what}, field '{name}'", fields[name], where) for name in codelet.fields)
        self.batches.append(VertexBatch(codelet, where.astype(np.int32), values))


def _field(what: str, value: Field, tile: I64) -> U32 | PointerField:
    if not isinstance(value, Pointer):
        words = _spread(what, integer_array(value, what), len(tile))
        if words.size and (int(words.min()) < -(1 << 31) or int(words.max()) >= 1 << 32):
            raise UsageError(f"{what}: a value does not fit 32 bits")
        return (words.astype(np.int64) & 0xFFFFFFFF).astype(np.uint32)
    shard, offset = (_spread(what, array, len(tile)) for array in pointer_arrays(value, what))
    elsewhere = value.variable.tile[shard] != tile
    if elsewhere.any():
        first = int(np.flatnonzero(elsewhere)[0])
        raise UsageError(
            f"{what}: the vertex on tile {tile[first]} points to '{value.variable.name}' "
            f"on tile {value.variable.tile[shard[first]]}"
        )
    return PointerField(value.variable, shard, offset)


def _spread(what: str, values: NDArray[Any], count: int) -> NDArray[Any]:
    try:
        return np.broadcast_to(values.ravel() if values.ndim > 1 else values, (count,))
    except ValueError:
        raise UsageError(f"{what}: {values.size} values for {count} vertices") from None

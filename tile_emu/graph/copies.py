"""Exchanges: byte copies between shards, kept as flat arrays until they are lowered."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from tile_emu.errors import UsageError
from tile_emu.graph.variables import I32, I64, Pointer, Variable, integer_array, pointer_arrays

WORD = 4  # bytes; the fabric carries whole words


@dataclass(frozen=True, eq=False)
class CopyBatch:
    """n copies between two variables; all arrays i64[n], offsets and sizes in bytes."""

    source: Variable
    dest: Variable
    source_shard: I64
    source_offset: I64
    dest_shard: I64
    dest_offset: I64
    nbytes: I64

    @property
    def name(self) -> str:
        """How a report names these copies."""
        return f"{self.source.name} -> {self.dest.name}"


@dataclass(frozen=True, eq=False)
class Fragments:
    """All copies of one exchange: global shard numbers (i64[n]), offsets and sizes in bytes, and batch names."""

    source_shard: I64
    source_offset: I64
    dest_shard: I64
    dest_offset: I64
    nbytes: I64
    name_index: I32
    names: tuple[str, ...]


@dataclass(eq=False)
class ExchangePhase:
    """The copies of one exchange. All of them read before-values: none may read what another one writes."""

    name: str
    batches: list[CopyBatch] = field(default_factory=list)

    def copy(self, source: Pointer, dest: Pointer, nbytes: ArrayLike) -> None:
        """Copy ``nbytes`` from source to dest; all arrays broadcast together. Equal source ranges are one multicast.

        Offsets and sizes are multiples of 4 bytes; copies of no bytes are dropped. Raises UsageError for ranges that
        leave their shard.
        """
        what = f"exchange '{self.name}', copy {source.variable.name} -> {dest.variable.name}"
        parts = (*pointer_arrays(source, what), *pointer_arrays(dest, what))
        try:
            arrays = np.broadcast_arrays(*parts, integer_array(nbytes, what).astype(np.int64))
        except ValueError:
            raise UsageError(f"{what}: pointers and nbytes do not broadcast together") from None
        flat = [np.atleast_1d(array).ravel() for array in arrays]
        kept = flat[4] != 0
        batch = CopyBatch(source.variable, dest.variable, *(array[kept] for array in flat))
        if len(batch.nbytes):
            _check(what, batch)
            self.batches.append(batch)

    def fragments(self, first_shard: I64) -> Fragments:
        """All batches as one; ``first_shard[v]`` is the global number of variable v's first shard."""

        def joined(name: str) -> I64:
            return np.concatenate([np.zeros(0, np.int64), *(getattr(batch, name) for batch in self.batches)])

        sizes = np.array([len(batch.nbytes) for batch in self.batches], np.int64)
        sources = np.array([first_shard[batch.source.index] for batch in self.batches], np.int64)
        dests = np.array([first_shard[batch.dest.index] for batch in self.batches], np.int64)
        names = tuple(dict.fromkeys(batch.name for batch in self.batches))
        number = np.array([names.index(batch.name) for batch in self.batches], np.int32)
        return Fragments(
            source_shard=joined("source_shard") + np.repeat(sources, sizes),
            source_offset=joined("source_offset"),
            dest_shard=joined("dest_shard") + np.repeat(dests, sizes),
            dest_offset=joined("dest_offset"),
            nbytes=joined("nbytes"),
            name_index=np.repeat(number, sizes),
            names=names,
        )


def _check(what: str, batch: CopyBatch) -> None:
    if batch.nbytes.min() < 0:
        raise UsageError(f"{what}: a negative number of bytes")
    if ((batch.nbytes | batch.source_offset | batch.dest_offset) % WORD).any():
        raise UsageError(f"{what}: offsets and sizes must be multiples of {WORD} bytes")
    for variable, shard, offset in (
        (batch.source, batch.source_shard, batch.source_offset),
        (batch.dest, batch.dest_shard, batch.dest_offset),
    ):
        over = offset + batch.nbytes > variable.nbytes[shard]
        if over.any():
            i = int(np.flatnonzero(over)[0])
            raise UsageError(
                f"{what}: bytes {offset[i]}..{offset[i] + batch.nbytes[i] - 1} lie outside shard {shard[i]} "
                f"of '{variable.name}' ({variable.nbytes[shard[i]]} bytes)"
            )

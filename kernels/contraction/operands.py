"""How the operands lie on the chip and how they come to the tiles that use them.

A block of an operand is used by a group of tiles, its *members*; it is a run of units for each step.
Each member is home to an equal share of every step's run; one exchange per step brings all shares to all members. An
operand whose group is a single tile, and that needs nothing of its neighbours, stays put.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import WORKERS, copy_codelet
from kernels.contraction.field import Segments
from kernels.contraction.layout import host_order, nested, offsets, ranges
from kernels.contraction.problem import Axis, HostView
from tile_emu.graph import Graph, Pointer, Variable
from tile_emu.graph.copies import ExchangePhase

I64 = NDArray[np.int64]

PIECE = 16  # bytes; copies within a tile come in multiples of it


@dataclass(frozen=True, eq=False)
class Homes:
    """Shares of all blocks. ``units`` i64[blocks, steps]; ``tile`` i64[blocks, members]."""

    units: I64
    tile: I64
    spare: I64  # bytes behind each block's only share, where it stays put; i64[blocks]
    unit_bytes: int  # one position or output, its inputs of one K group

    @property
    def members(self) -> int:
        """Tiles per block."""
        return self.tile.shape[1]

    def cut(self, block: I64, step: int, member: I64) -> I64:
        """First unit of a member's share of a block's step."""
        return self.units[block, step] * member // self.members

    def nbytes(self) -> I64:
        """Bytes of every share, i64[blocks, members]."""
        member = np.arange(self.members + 1)
        cut = self.units[:, :, None] * member // self.members
        return np.diff(cut).sum(axis=1) * self.unit_bytes + self.spare[:, None]

    def offset(self, block: I64, step: int, member: I64) -> I64:
        """Bytes from the start of a member's shard to its share of a step."""
        earlier = np.zeros(np.broadcast(block, member).shape, np.int64)
        for before in range(step):
            earlier += self.cut(block, before, member + 1) - self.cut(block, before, member)
        return earlier * self.unit_bytes

    def element_starts(self, itemsize: int) -> tuple[I64, int]:
        """Element at which each unit (blocks in order, steps in order) begins in the shards, and their number."""
        blocks, steps = self.units.shape
        member = np.arange(self.members)
        shard = offsets(self.nbytes().ravel()).reshape(blocks, self.members)
        block = np.arange(blocks)[:, None]
        starts, counts = [], []
        for step in range(steps):
            low = self.cut(block, step, member)
            counts.append(self.cut(block, step, member + 1) - low)
            starts.append(shard + self.offset(block, step, member))
        start, count = np.stack(starts, axis=1).ravel(), np.stack(counts, axis=1).ravel()
        within = ranges(np.zeros(len(count), np.int64), count) * self.unit_bytes
        return (np.repeat(start, count) + within) // itemsize, int(self.nbytes().sum()) // itemsize


@dataclass(frozen=True, eq=False)
class Operand:
    """Variables of one operand; ``gathered`` has a shard on every tile, None where home shards are read in place."""

    homes: Homes
    home: Variable
    gathered: Variable | None


def place_operand(
    graph: Graph,
    view: HostView,
    dtype: np.dtype[np.generic],
    homes: Homes,
    units: tuple[Axis, I64, Axis, int],
    gathered_bytes: I64 | None,
    regions: tuple[str, str],
    spare: I64 | int = 0,
) -> Operand:
    """Home and gathered variables and the host's tensor.

    ``units``: contribution and group of every unit in block order, the inner axis and its width. ``gathered_bytes``
    i64[tiles] or None. ``regions`` of home and gathered variable; ``spare`` of the gathered
    one: bytes at its end that may be read and hold nothing.
    """
    where, group, inner, width = units
    home = graph.variable(view.name, homes.tile.ravel(), homes.nbytes().ravel(), region=regions[0], align=16)
    at, elements = homes.element_starts(dtype.itemsize)
    graph.tensor(view.name, view.shape, dtype, home, host_order(view, where, group, inner, width, at, elements))
    gathered = None
    if gathered_bytes is not None:
        every = np.arange(len(gathered_bytes))
        name = f"{view.name} gathered"
        gathered = graph.variable(name, every, gathered_bytes, region=regions[1], align=16, spare=spare)
    return Operand(homes, home, gathered)


def repeat_planes(segments: Segments, planes: I64, units: I64, own_units: I64) -> Segments:
    """The segments of ``planes`` consecutive planes (i64[parts]), those of one run joined.

    ``units`` and ``own_units`` i64[parts]: units from plane to plane of a part's block and of what it owns.
    """
    count = planes[segments.part]
    index, plane = nested(count)
    part, owner = segments.part[index], segments.owner[index]
    at = segments.at[index] + plane * units[part]
    source = segments.source[index] + plane * own_units[owner]
    order = np.lexsort((at, part))
    part, owner, at, source = part[order], owner[order], at[order], source[order]
    size = segments.count[index][order]
    first = np.ones(len(part), bool)
    same = (part[1:] == part[:-1]) & (owner[1:] == owner[:-1])
    first[1:] = ~(same & (at[1:] == at[:-1] + size[:-1]) & (source[1:] == source[:-1] + size[:-1]))
    begin = np.flatnonzero(first)
    joined = np.add.reduceat(size, begin) if len(begin) else size
    return Segments(part[first], owner[first], at[first], source[first], joined)


def copy_own(graph: Graph, name: str, operand: Operand, step: int, segments: Segments, planes: I64, pitch: I64) -> None:
    """Copies within tiles, for blocks with one member: the segments that a block owns itself, in each of its planes.

    ``planes`` i64[blocks]: how many planes of inputs the step has; ``segments`` are those of one plane, sorted by part;
    ``pitch`` i64[blocks, 2]: units from plane to plane of what a block owns and of the block. Up to PIECE - 1 bytes
    more are copied: what follows in the block is the same, or a halo, which is to be gathered after the copy.
    """
    assert operand.gathered is not None
    unit = operand.homes.unit_bytes
    whole = max(PIECE // unit, 1)  # units of a piece
    compute = graph.execute(name)
    number = np.arange(len(segments.part)) - np.searchsorted(segments.part, segments.part)
    for ordinal in range(int(number.max()) + 1):
        which = number == ordinal
        block, count = segments.part[which], segments.count[which]
        tile = operand.homes.tile[block, 0]
        source = operand.homes.offset(block, step, 0 * block) + segments.source[which] * unit
        dest = segments.at[which] * unit
        fields: dict[str, Any] = {}
        for worker in range(WORKERS):
            start = -(-count // whole) * worker // WORKERS * whole
            units = -(-count // whole) * (worker + 1) // WORKERS * whole - start
            fields |= {
                f"source{worker}": Pointer(operand.home, block, source + start * unit),
                f"dest{worker}": Pointer(operand.gathered, tile, dest + start * unit),
                f"pairs{worker}": units * unit // PIECE,
                f"rows{worker}": np.where(units > 0, planes[block] - 1, -1),
                f"source_pitch{worker}": pitch[block, 0] * unit,
                f"dest_pitch{worker}": pitch[block, 1] * unit,
            }
        compute.add(copy_codelet(), tile, **fields)


def gather(phase: ExchangePhase, operand: Operand, step: int, segments: Segments, readers: I64) -> None:
    """Copies that bring ``segments`` (parts and owners are blocks here) of one step to ``readers`` i64[blocks, n].

    Those are the members of the blocks, or some of them.
    """
    homes = operand.homes
    assert operand.gathered is not None
    total = homes.units[segments.owner, step]
    members = homes.members
    low, high = segments.source, segments.source + segments.count
    first = ((low + 1) * members - 1) // total  # the member whose share holds unit u: cut[m] <= u < cut[m + 1]
    last = (high * members - 1) // total
    index, more = nested(last - first + 1)
    member = first[index] + more
    owner = segments.owner[index]
    cut = homes.cut(owner, step, member)
    begin = np.maximum(low[index], cut)
    end = np.minimum(high[index], homes.cut(owner, step, member + 1))
    source = Pointer(
        operand.home,
        (owner * members + member)[:, None],
        (homes.offset(owner, step, member) + (begin - cut) * homes.unit_bytes)[:, None],
    )
    at = (segments.at[index] + begin - low[index]) * homes.unit_bytes
    dest = Pointer(operand.gathered, readers[segments.part[index]], at[:, None])
    phase.copy(source, dest, ((end - begin) * homes.unit_bytes)[:, None])

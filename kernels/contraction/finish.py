"""What follows the sums: bias and activation on every tile's block, in place, then the result's format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.codelets.elementwise import activation_codelet, activation_fields, cast_codelet, cast_fields
from kernels.contraction.layout import host_order, nested, take
from kernels.contraction.problem import RESULT_DTYPE, HostView, Shape
from tile_emu.graph import Graph, Pointer, Variable
from tile_emu.graph.copies import ExchangePhase

I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Finished sums: shard i of ``variable`` is ``rows[i]`` rows from ``first_row[i]`` on of a block on ``tile[i]``.

    A row is one position of one out group; ``group_rows`` of them follow one another with the same outputs. i64[n].
    """

    variable: Variable
    tile: I64
    first_row: I64
    rows: I64
    group_rows: I64


@dataclass(frozen=True, eq=False)
class Bias:
    """The bias on the chip: ``gathered`` has a shard on every tile, in the order of the sums' out groups."""

    home: Variable
    gathered: Variable
    home_tiles: I64  # blocks [group part][output part]
    member_tiles: I64  # [blocks, members]
    nbytes: I64  # [blocks]

    @property
    def moves(self) -> bool:
        """Whether tiles other than its home use it."""
        return self.gathered is not self.home


def place_bias(
    graph: Graph,
    view: HostView,
    shape: Shape,
    tiles: I64,
    groups: tuple[I64, I64],
    out_groups: tuple[I64, I64],
    width: int,
) -> Bias:
    """Variables and host tensor of a bias; ``tiles`` [group part][K part][output part][position part].

    ``groups`` and ``out_groups``: sizes of the parts, and cuts. A block [group][variant][out group][``width`` outputs]
    has its home on one tile of those that use it.
    """
    (g_size, g_cut), (o_size, o_cut) = groups, out_groups
    parts = (len(g_size), len(o_size))
    g, o = (index.ravel() for index in np.indices(parts))
    members = tiles.transpose(0, 2, 1, 3).reshape(len(g), -1)
    block, group, _, out_group = nested(g_size[g], np.full(len(g), shape.variants), o_size[o])
    kind = np.dtype(RESULT_DTYPE[shape.dtype])
    nbytes = g_size[g] * shape.variants * o_size[o] * width * kind.itemsize
    home = graph.variable(view.name, members[:, 0], nbytes, align=16)
    per_group = len(view.axis("group").base) > 1  # otherwise all groups have the same
    units = take(view.axis("group"), g_cut[g[block]] + group if per_group else 0 * block)
    at = np.arange(len(block)) * width
    order = host_order(view, units, o_cut[o[block]] + out_group, view.axis("output"), width, at, len(block) * width)
    graph.tensor(view.name, view.shape, kind, home, order)
    if members.shape[1] == 1:
        return Bias(home, home, members[:, 0], members, nbytes)
    every = np.argsort(members, axis=None)
    size = np.repeat(nbytes, members.shape[1])[every]
    gathered = graph.variable(f"{view.name} gathered", members.ravel()[every], size, align=16)
    return Bias(home, gathered, members[:, 0], members, nbytes)


def gather_bias(phase: ExchangePhase, bias: Bias) -> None:
    """Copies that bring a bias to the tiles that use it."""
    block = np.arange(len(bias.nbytes))[:, None]
    phase.copy(Pointer(bias.home, block), Pointer(bias.gathered, bias.member_tiles), bias.nbytes[:, None])


def add_activation(graph: Graph, shape: Shape, blocks: Blocks, bias: Bias, row_bytes: int) -> None:
    """The compute set that adds the bias and applies the activation to all blocks."""
    codelet = activation_codelet(shape.activation, np.dtype(RESULT_DTYPE[shape.dtype]).itemsize)
    words = activation_fields(blocks.first_row, blocks.rows, blocks.group_rows, row_bytes // 8)
    shard = np.arange(len(blocks.tile))
    if not bias.moves:  # one tile a block: its shard is the block's
        of_tile = np.zeros(int(blocks.tile.max()) + 1, np.int64)
        of_tile[bias.home_tiles] = np.arange(len(bias.home_tiles))
        bias_shard = of_tile[blocks.tile]
    else:
        bias_shard = blocks.tile
    first = blocks.first_row // blocks.group_rows * row_bytes
    fields: dict[str, int | I64 | Pointer] = {}
    for name, value in words.items():
        if name.startswith("out"):
            fields[name] = Pointer(blocks.variable, shard, value)
        elif name.startswith("bias"):
            fields[name] = Pointer(bias.gathered, bias_shard, first + value)
        else:
            fields[name] = value
    graph.execute(shape.activation if shape.activation != "none" else "bias").add(
        codelet.codelet, blocks.tile, **fields
    )


def add_cast(graph: Graph, blocks: Blocks, in_bytes: int, out_bytes: int) -> Variable:
    """The compute set that changes the format of all blocks, from and to elements of that many bytes."""
    cast = cast_codelet(in_bytes, out_bytes)
    quads = blocks.variable.nbytes.astype(np.int64) // (4 * in_bytes)
    out = graph.variable("result", blocks.tile, quads * 4 * out_bytes, align=16)
    shard = np.arange(len(blocks.tile))
    fields: dict[str, int | I64 | Pointer] = {}
    for name, value in cast_fields(quads, cast).items():
        variable = {"in": blocks.variable, "out": out}.get(name.rstrip("0123456789"))
        fields[name] = value if variable is None else Pointer(variable, shard, value)
    graph.execute("cast").add(cast.codelet, blocks.tile, **fields)
    return out

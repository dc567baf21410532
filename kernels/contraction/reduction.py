"""Partial sums of K parts: exchanged within each group of tiles and added, every member finishing an equal share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.codelets import COLUMN, WORKERS, reduce_codelet
from tile_emu.graph import Graph, Pointer, Variable

I64 = NDArray[np.int64]


def add_reduction(
    graph: Graph, tile: I64, sums: I64, out: Variable, out_bytes: int, grain: int = COLUMN, region: str = "any"
) -> tuple[Variable, I64]:
    """Exchange and reduction; returns the variable of the results, block after block, share after share, and
    the bytes of the block before each share.

    ``tile`` i64[..., members]: the tiles that hold partial sums of one block; ``sums`` i64[tiles]: bytes of a block, a
    multiple of ``grain``; ``out``: the partial sums, a shard on every tile. Shares are cut at multiples of ``grain``
    bytes, itself a multiple of COLUMN. ``region`` of the results.
    """
    members = tile.shape[-1]
    tile = tile.reshape(-1, members)
    grains = sums[tile[:, 0]] // grain  # [block]
    cut = grains[:, None] * np.arange(members + 1) // members * (grain // COLUMN)  # in columns
    share = np.diff(cut)
    pitch = -(-grains // members) * (grain // COLUMN)
    shard = np.arange(tile.size).reshape(tile.shape)
    recv_bytes = np.broadcast_to((members - 1) * pitch[:, None] * COLUMN, tile.shape)
    recv = graph.variable("received sums", tile.ravel(), recv_bytes.ravel(), region="interleaved", align=16)
    result = graph.variable("reduced sums", tile.ravel(), (share * COLUMN).ravel(), region=region, align=16)
    # copies [block][member q that receives][distance to the member that sends]
    q = np.arange(members)[:, None]
    sender = (q + np.arange(1, members)) % members
    row = np.where(sender < q, sender, sender - 1)
    source = Pointer(out, tile[:, sender], cut[:, :-1, None] * COLUMN)
    dest = Pointer(recv, shard[..., None], row * pitch[:, None, None] * COLUMN)
    graph.exchange("exchange of partial sums").copy(source, dest, share[..., None] * COLUMN)
    fields: dict[str, Any] = {}
    flat_share, flat_cut, flat_shard = share.ravel(), cut[:, :-1].ravel(), shard.ravel()
    pitches = np.broadcast_to(pitch[:, None], tile.shape).ravel()
    for worker in range(WORKERS):
        start = flat_share * worker // WORKERS
        count = flat_share * (worker + 1) // WORKERS - start
        fields |= {
            f"own{worker}": Pointer(out, tile.ravel(), (flat_cut + start) * COLUMN),
            f"recv{worker}": Pointer(recv, flat_shard, start * COLUMN),
            f"out{worker}": Pointer(result, flat_shard, start * COLUMN),
            f"columns{worker}": (count - 1) & 0xFFFFFFFF,
            f"pitch{worker}": pitches,
            f"rows{worker}": members - 1,
            f"back{worker}": (COLUMN - (members - 1) * pitches * COLUMN) & 0xFFFFFFFF,
        }
    graph.execute("reduce").add(reduce_codelet(out_bytes).codelet, tile.ravel(), **fields)
    return result, flat_cut * COLUMN

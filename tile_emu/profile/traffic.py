"""Who sends how much to whom, aggregated to groups of neighbouring tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tile_emu.profile.recording import I64

if TYPE_CHECKING:
    from tile_emu.graph.image import Image

MAX_GROUPS = 46  # 32 tiles each on the 1,472-tile chips


@dataclass(frozen=True, eq=False)
class Traffic:
    """``words`` i64[B, G, G]: 32-bit words by exchange, group of the sender and group of the receiver.

    A multicast counts at every receiver. Group g is logical tiles ``g * group_tiles`` and following.
    """

    group_tiles: int
    words: I64


def traffic(image: Image) -> Traffic:
    """The words that an image's exchanges are meant to carry."""
    size = -(-image.tiles // MAX_GROUPS)
    groups = -(-image.tiles // size)
    words = np.zeros((len(image.exchanges), groups, groups), np.int64)
    for total, (_, transfers) in zip(words, image.exchanges):
        sender = transfers.source_tile[transfers.owner] // size
        pair = sender * groups + transfers.dest_tile // size
        count = np.bincount(pair, transfers.words[transfers.owner], groups * groups)
        total += count.astype(np.int64).reshape(groups, groups)
    return Traffic(size, words)

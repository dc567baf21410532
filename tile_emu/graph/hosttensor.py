"""The host's view of a variable: how the elements of an array lie in the tiles' memories."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tile_emu.errors import UsageError

U8 = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class HostTensor:
    """An array of the host, spread over shards.

    ``order`` i64[elements of the concatenated shards] -> flat index into the host array, -1 = padding; None = identity.
    ``tile``, ``address`` (bytes), ``nbytes`` i32[shards]. ``base`` is the address of a memory row's first byte.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: NDArray[np.int64] | None
    tile: NDArray[np.int32]
    address: NDArray[np.int32]
    nbytes: NDArray[np.int32]
    base: int

    @property
    def size(self) -> int:
        """Elements of the host array."""
        return int(np.prod(self.shape, dtype=np.int64))

    def pack(self, array: NDArray[Any], memory: U8) -> None:
        """Scatter ``array`` (this shape; a dtype that casts safely to this one) into ``memory`` u8[tiles, size].

        Padding becomes zero. Raises UsageError for a wrong shape or dtype.
        """
        if array.shape != self.shape:
            raise UsageError(f"tensor '{self.name}' has shape {self.shape}, not {array.shape}")
        if not np.can_cast(array.dtype, self.dtype, "safe"):
            raise UsageError(f"tensor '{self.name}' has dtype {self.dtype}, not {array.dtype}")
        flat = np.ascontiguousarray(array, self.dtype).reshape(-1)
        if self.order is not None:
            # One zero past the end: order -1 picks it up, so padding needs no mask.
            flat = np.append(flat, np.zeros(1, self.dtype))[self.order]
        stream = flat.view(np.uint8)
        for tiles, low, high, starts in self._runs:
            memory[tiles, low:high] = sliding_window_view(stream, high - low)[starts]

    def cover(self, memory: U8, value: int) -> None:
        """Set every byte of the tensor, padding too, in ``memory`` u8[tiles, size]."""
        for tiles, low, high, _ in self._runs:
            memory[tiles, low:high] = value

    def unpack(self, memory: U8) -> NDArray[Any]:
        """Gather the host array out of ``memory`` u8[tiles, size]. Elements that no shard holds are zero."""
        stream = np.empty(int(self.nbytes.sum(dtype=np.int64)), np.uint8)
        for tiles, low, high, starts in self._runs:
            sliding_window_view(stream, high - low, writeable=True)[starts] = memory[tiles, low:high]
        flat = stream.view(self.dtype)
        if self.order is None:
            return flat.reshape(self.shape)
        out = np.zeros(self.size + 1, self.dtype)  # padding (order -1) lands in the extra last element
        out[self.order] = flat
        return out[:-1].reshape(self.shape)

    @functools.cached_property
    def _runs(self) -> list[tuple[NDArray[np.intp], int, int, NDArray[np.int64]]]:
        """Shards grouped by address and size: (tiles, first and last memory column, start in the byte stream)."""
        return list(self._grouped())

    def _grouped(self) -> Iterator[tuple[NDArray[np.intp], int, int, NDArray[np.int64]]]:
        size = self.nbytes.astype(np.int64)
        starts = np.cumsum(size) - size
        key = (self.address.astype(np.int64) << 32) | size
        order = np.argsort(key, kind="stable")
        order = order[size[order] > 0]
        cuts = np.flatnonzero(np.diff(key[order])) + 1
        for group in np.split(order, cuts) if len(order) else ():
            low = int(self.address[group[0]]) - self.base
            yield self.tile[group].astype(np.intp), low, low + int(size[group[0]]), starts[group]


def check_order(name: str, order: NDArray[np.int64], elements: int, size: int) -> None:
    """Raise UsageError unless ``order`` maps ``elements`` places to -1 or to indices below ``size``."""
    if order.shape != (elements,):
        raise UsageError(f"tensor '{name}': order has {order.size} entries, its variable holds {elements} elements")
    if elements and (order.min() < -1 or order.max() >= size):
        raise UsageError(f"tensor '{name}': order must lie in -1..{size - 1}")

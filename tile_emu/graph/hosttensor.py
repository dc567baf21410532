"""The host's view of a variable: how the elements of an array lie in the tiles' memories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import UsageError
from tile_emu.graph.hostorder import HostOrder, collect, scatter

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]

ELEMENT_BYTES = (1, 2, 4, 8)


@dataclass(frozen=True, eq=False)
class HostTensor:
    """An array of the host, spread over shards.

    ``order``: where the elements of the concatenated shards come from; None = in the host's order.
    ``tile``, ``address`` (bytes, a multiple of the element's), ``nbytes`` i32[shards]. ``base`` is the address of a
    memory row's first byte. Elements have 1, 2, 4 or 8 bytes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: HostOrder | None
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
        scatter(flat.view(self._bits), *self._places(), memory.view(self._bits))

    def cover(self, memory: U8, value: int) -> None:
        """Set every byte of the tensor, padding too, in ``memory`` u8[tiles, size]."""
        for tile, address, nbytes in zip(self.tile, self.address, self.nbytes):
            memory[tile, address - self.base : address - self.base + nbytes] = value

    def unpack(self, memory: U8) -> NDArray[Any]:
        """Gather the host array out of ``memory`` u8[tiles, size]. Elements that no shard holds are zero."""
        out = np.zeros(self.size, self.dtype)
        collect(out.view(self._bits), *self._places(), memory.view(self._bits))
        return out.reshape(self.shape)

    @property
    def _bits(self) -> str:
        """Unsigned integers of an element's size."""
        return f"u{self.dtype.itemsize}"

    def _places(self) -> tuple[I64, I64, I64, NDArray[np.int32], I64, I64]:
        """Arguments of scatter and collect: three of the order, then tile, first column and elements of every shard."""
        item = self.dtype.itemsize
        order = self.order or HostOrder.straight(self.size)
        begin, count = (self.address.astype(np.int64) - self.base) // item, self.nbytes.astype(np.int64) // item
        return order.first, order.pattern, order.patterns, self.tile, begin, count


def check_order(name: str, order: I64, elements: int, size: int) -> None:
    """Raise UsageError unless ``order`` maps ``elements`` places to -1 or to indices below ``size``."""
    if order.shape != (elements,):
        raise UsageError(f"tensor '{name}': order has {order.size} entries, its variable holds {elements} elements")
    if elements and (order.min() < -1 or order.max() >= size):
        raise UsageError(f"tensor '{name}': order must lie in -1..{size - 1}")

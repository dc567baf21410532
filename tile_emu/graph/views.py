"""Views: an array's elements by where they lie in a variable; slices, transposes and gathers of them are NumPy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import UsageError
from tile_emu.graph.variables import I64, Variable


@dataclass(frozen=True, eq=False)
class View:
    """Elements of a variable as an array of any shape.

    ``place`` i64[shape]: number of each element among those of all shards, one shard after another. ``element_bytes``
    1, 2, 4 or 8. Indexing, ``transpose``, ``reshape`` and ``broadcast_to`` work as NumPy's on the places.
    """

    variable: Variable
    element_bytes: int
    place: I64

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.place.shape

    @property
    def T(self) -> View:
        """Axes in reverse order."""
        return self._of(self.place.T)

    def __getitem__(self, index: Any) -> View:
        """Basic or fancy indexing."""
        return self._of(np.asarray(self.place[index]))

    def transpose(self, *axes: int) -> View:
        """Axes in another order."""
        return self._of(self.place.transpose(*axes))

    def reshape(self, *shape: int) -> View:
        """The same elements in C order."""
        return self._of(self.place.reshape(*shape))

    def broadcast_to(self, shape: tuple[int, ...]) -> View:
        """Elements repeated along new or unit axes. Raises UsageError."""
        try:
            return self._of(np.broadcast_to(self.place, shape))
        except ValueError:
            raise UsageError(f"a view of shape {self.shape} of '{self.variable.name}' does not fill {shape}") from None

    def _of(self, place: I64) -> View:
        return View(self.variable, self.element_bytes, place)


def view_of(
    name: str, variable: Variable, kind: np.dtype[Any], shape: tuple[int, ...], order: NDArray[np.integer[Any]] | None
) -> View:
    """The view of a tensor: where each element of the host array lies; ``order`` as in Graph.tensor.

    Raises UsageError if an element lies nowhere, or at several places.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if order is None:
        return View(variable, kind.itemsize, np.arange(size, dtype=np.int64).reshape(shape))
    held = np.flatnonzero(order >= 0)
    times = np.bincount(order[held], minlength=size)
    if len(times) and (times != 1).any():
        first = int(np.flatnonzero(times != 1)[0])
        raise UsageError(
            f"tensor '{name}': element {first} lies at {times[first]} places; a view needs every element at one"
        )
    place = np.empty(size, np.int64)
    place[order[held]] = held
    return View(variable, kind.itemsize, place.reshape(shape))

"""The graph: variables on tiles, compute sets and exchanges in program order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from tile_emu.chips import Chip
from tile_emu.errors import UsageError
from tile_emu.graph.computeset import ComputeSet
from tile_emu.graph.copies import ExchangePhase
from tile_emu.graph.hostorder import HostOrder
from tile_emu.graph.hosttensor import ELEMENT_BYTES, check_order
from tile_emu.graph.variables import U32, Variable, make_variable
from tile_emu.graph.views import View, view_of

if TYPE_CHECKING:
    from tile_emu.graph.image import Image
    from tile_emu.graph.lower import Progress, Toolchain
    from tile_emu.graph.rearrange import Rearrangement


@dataclass(frozen=True, eq=False)
class TensorView:
    """A host tensor before placement: see HostTensor."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    variable: Variable
    order: HostOrder | None


class Graph:
    """Variables, host tensors and a program of compute sets and exchanges for one chip.

    ``tiles``: how many tiles take part, numbers 0..tiles-1 (default: all of the chip's).
    """

    def __init__(self, chip: Chip, tiles: int | None = None) -> None:
        self.chip = chip
        self.tiles = chip.tiles if tiles is None else tiles
        if not 1 <= self.tiles <= chip.tiles:
            raise UsageError(f"{chip.name} has {chip.tiles} tiles, {self.tiles} were asked for")
        self.variables: list[Variable] = []
        self.tensors: dict[str, TensorView] = {}
        self.separations: list[tuple[Variable, Variable]] = []
        self.constants: list[tuple[Variable, U32]] = []
        self.program: list[ComputeSet | ExchangePhase] = []
        self._names: set[str] = set()

    def variable(
        self,
        name: str,
        tile: ArrayLike,
        nbytes: ArrayLike,
        region: str = "any",
        align: int = 8,
        spare: ArrayLike = 0,
    ) -> Variable:
        """A variable of n shards: shard i has ``nbytes[i]`` bytes on ``tile[i]``; several may lie on one tile.

        ``region`` "any" or "interleaved"; ``align`` bytes (at least 8 is kept). ``spare``: bytes at the end of each
        shard, counted in ``nbytes``, that are there to be read past the end and hold nothing. Raises UsageError.
        """
        if name in self._names:
            raise UsageError(f"there are two variables named '{name}'")
        made = make_variable(name, tile, nbytes, region, align, len(self.variables), self.tiles, spare)
        self._names.add(name)
        self.variables.append(made)
        return made

    def constant(self, name: str, tile: ArrayLike, nbytes: ArrayLike, words: U32) -> Variable:
        """A variable whose contents are part of the image: ``words`` u32, all shards one after another.

        Shards are whole words. Raises UsageError.
        """
        made = self.variable(name, tile, nbytes)
        if (made.nbytes % 4).any() or 4 * len(words) != int(made.nbytes.sum(dtype=np.int64)):
            raise UsageError(f"constant '{name}': {len(words)} words do not fill shards of whole words")
        self.constants.append((made, np.ascontiguousarray(words, np.uint32)))
        return made

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        variable: Variable,
        order: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Give the host a view of ``variable`` as an array of elements of 1, 2, 4 or 8 bytes.

        ``order``: a flat index into the host's array for each element of the shards, one shard after another, -1 for
        padding; None: the host's order. Raises UsageError.
        """
        self._own(variable)
        if name in self.tensors:
            raise UsageError(f"there are two tensors named '{name}'")
        kind = np.dtype(dtype)
        if kind.itemsize not in ELEMENT_BYTES:
            raise UsageError(f"tensor '{name}': elements of {kind} are not supported, only of 1, 2, 4 or 8 bytes")
        if (variable.nbytes % kind.itemsize).any():
            raise UsageError(f"tensor '{name}': a shard of '{variable.name}' is not a whole number of {kind} elements")
        elements = int(variable.nbytes.sum(dtype=np.int64)) // kind.itemsize
        size = int(np.prod(shape, dtype=np.int64))
        if order is None:
            if elements != size:
                raise UsageError(f"tensor '{name}' has {size} elements, its variable holds {elements}")
            wanted = None
        else:
            index = np.ascontiguousarray(order, np.int64).reshape(-1)
            check_order(name, index, elements, size)
            wanted = HostOrder.of(index)
        self.tensors[name] = TensorView(name, tuple(int(n) for n in shape), kind, variable, wanted)

    def separate(self, a: Variable, b: Variable) -> None:
        """Keep shards of ``a`` and ``b`` on one tile out of each other's SRAM elements.

        An element is a bank in region 0 and a pair of banks in region 1. ``a`` may be ``b``: then its shards are kept
        apart from one another. What one exchange reads and writes on a tile is separated without being asked for.
        """
        self._own(a)
        self._own(b)
        self.separations.append((a, b))

    def execute(self, name: str) -> ComputeSet:
        """Append a compute set to the program; add vertices to what is returned."""
        made = ComputeSet(name, self.tiles)
        self.program.append(made)
        return made

    def exchange(self, name: str) -> ExchangePhase:
        """Append an exchange (barrier and timed rows) to the program; add copies to what is returned."""
        made = ExchangePhase(name)
        self.program.append(made)
        return made

    def view(self, tensor: str) -> View:
        """The elements of a host tensor, to be sliced, transposed or indexed, and given to rearrange.

        Raises UsageError for an unknown tensor, or one with elements that lie nowhere or at several places.
        """
        if tensor not in self.tensors:
            raise UsageError(f"no tensor '{tensor}' in the graph")
        t = self.tensors[tensor]
        order = None if t.order is None else t.order.expanded()
        return view_of(t.name, t.variable, t.dtype, t.shape, order)

    def rearrange(self, name: str, source: View, dest: View, how: str = "auto") -> Rearrangement:
        """Append ``dest[...] = source[...]``: any elements, any tiles, before-values throughout.

        ``source`` broadcasts to the shape of ``dest``, whose elements must all be different. Carried by an exchange
        and by copy codelets before and after it as needed: see tile_emu.graph.rearrange for the ways (``how`` forces
        one: direct, pack, unpack, both). Staging areas and tables stay allocated. Raises UsageError.
        """
        from tile_emu.graph.rearrange import rearrange

        self._own(source.variable)
        self._own(dest.variable)
        return rearrange(self, name, source, dest, how)

    def lower(self, progress: Progress | None = None, tools: Toolchain | None = None) -> Image:
        """Place, link, schedule and lay out: the image that a machine loads. The same graph gives the same image.

        ``progress(stage, fraction)`` is called with fraction 0..1. ``tools`` replaces assembler and exchange scheduler
        (for tests). Raises OutOfTileMemory, IllegalExchange, AssemblyError or UsageError.
        """
        from tile_emu.graph.lower import lower

        return lower(self, progress, tools)

    def _own(self, variable: Variable) -> None:
        if variable.index >= len(self.variables) or self.variables[variable.index] is not variable:
            raise UsageError(f"variable '{variable.name}' belongs to another graph")

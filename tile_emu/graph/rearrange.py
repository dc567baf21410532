"""Rearrangement: elements of one view to those of another, whatever tiles both lie on.

Runs of elements that are contiguous in source and destination are cut into units, the largest of 8, 4, 2 or 1 bytes
that fits them all. There are four ways to bring them home:

    direct   the exchange carries every run from its place to its place; whole words only
    pack     each source tile gathers what goes elsewhere into one piece, the exchange puts it where it belongs
    unpack   the exchange carries the words that hold what is wanted, the destination gathers from them
    both     packed for each destination, carried in one piece, unpacked there

Direct costs nothing but its words and is taken wherever it is possible and its rows do not fill the tiles' memory.
Otherwise the cheapest is taken: cycles of the copy codelets by their formulas, and the words through the busiest tile.
Elements that stay on their tile never touch the fabric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tile_emu.errors import UsageError
from tile_emu.exchange.transfers import mixed
from tile_emu.graph.arrays import Bool, Cursor, changes, counts_of, positions, round_up
from tile_emu.graph.codelets import BLOCK
from tile_emu.graph.localcopies import LocalCopies, Tables, Units
from tile_emu.graph.variables import I64, Pointer, Variable
from tile_emu.graph.views import View

if TYPE_CHECKING:
    from tile_emu.graph.graph import Graph

WORD = 4  # bytes
ROW_BYTES = 8  # of code for one end of a transfer: a send, or a mux and a pointer setting (exchange.md 10)
ROW_LIMIT = 96 * 1024  # bytes of rows on one tile up to which every run may have a transfer of its own


@dataclass(frozen=True)
class Rearrangement:
    """What was decided. ``unit`` in bytes; ``words`` through the busiest tile; cycles of the busiest tile's codelets,
    by their formulas, before and after the exchange."""

    how: str
    unit: int
    words: int
    transfers: int
    pack_cycles: int
    unpack_cycles: int


@dataclass(frozen=True, eq=False)
class _Fragments:
    """Copies of one exchange between two areas: i64[n], bytes."""

    source: str
    dest: str
    source_shard: I64
    source_offset: I64
    dest_shard: I64
    dest_offset: I64
    nbytes: I64


@dataclass(eq=False)
class _Plan:
    """One way, worked out but not yet in the graph. The areas "packed" and "arrived" have as many shards as source and
    destination, of ``packed`` and ``arrived`` bytes."""

    how: str
    before: LocalCopies
    after: LocalCopies
    tables: Tables
    temporary: Cursor
    packed: Cursor
    arrived: Cursor
    fragments: _Fragments | None = None


class _Problem:
    """The units to be moved, in the order of their destinations, and the ways to do it."""

    def __init__(self, graph: Graph, source: Variable, dest: Variable, units: Units) -> None:
        self.graph, self.source, self.dest, self.units = graph, source, dest, units
        self.remote = source.tile[units.source_shard] != dest.tile[units.dest_shard]
        self.in_place = source is dest

    def plan(self, how: str) -> _Plan | None:
        """The plan of one way; None where it is not possible."""
        tiles = self.graph.tiles
        tables, temporary = Tables(tiles), Cursor(tiles)
        before, after = (LocalCopies(tiles, tables, temporary) for _ in range(2))
        packed, arrived = Cursor(self.source.shards), Cursor(self.dest.shards)
        plan = _Plan(how, before, after, tables, temporary, packed, arrived)
        return plan if _WAYS[how](self, plan) else None

    def direct(self, plan: _Plan) -> bool:
        """Source to destination, run by run."""
        units = self.units.take(self.remote)
        if self.in_place or (len(units) and units.size < WORD):
            return False
        self._stay(plan, ~self.remote)
        new = changes(units.source_shard, units.dest_shard)
        new[1:] |= (np.diff(units.source_offset) != units.size) | (np.diff(units.dest_offset) != units.size)
        plan.fragments = _joined("source", "dest", units, new)
        return True

    def pack(self, plan: _Plan) -> bool:
        """Gathered on the source's tile, then run by run to the destination."""
        if not self.remote.any() or (self.in_place and not self.remote.all()):
            return False
        units = _by_pair(self.units.take(self.remote))
        new = changes(units.source_shard, units.dest_shard)
        new[1:] |= np.diff(units.dest_offset) != units.size
        run = np.flatnonzero(new)
        if ((units.dest_offset[run] | counts_of(run, len(units)) * units.size) % WORD).any():
            return False
        self._stay(plan, ~self.remote)
        place = self._packed(plan, units)
        plan.fragments = _joined("packed", "dest", _from(units, units.source_shard, place), new)
        return True

    def unpack(self, plan: _Plan) -> bool:
        """Whole words to the destination's tile, then gathered there."""
        if self.in_place:
            return False
        units = _by_pair(self._keep_apart(plan))
        size = max(units.size, WORD)
        item = units.source_offset // size
        order = np.lexsort((item, units.source_shard, units.dest_shard))
        new = changes(units.dest_shard[order], units.source_shard[order], item[order])
        number = np.empty(len(units), np.int64)  # of the item that holds each unit
        number[order] = np.cumsum(new) - 1
        first = order[new]
        none = np.zeros(len(first), np.int64)
        items = Units(size, units.source_shard[first], size * item[first], units.dest_shard[first], none)
        place = self._arrival(plan, items)
        far = self._is_remote(items)
        items = Units(size, items.source_shard, items.source_offset, items.dest_shard, place)
        new = changes(items.source_shard, items.dest_shard)
        new[1:] |= np.diff(items.source_offset) != size
        fragments = _joined("source", "arrived", items.take(far), new[far])
        if (fragments.source_offset + fragments.nbytes > self.source.nbytes[fragments.source_shard]).any():
            return False  # the last word of a shard is not all its own
        plan.fragments = fragments
        self._spread(plan, units, place[number] + units.source_offset % size)
        return True

    def both(self, plan: _Plan) -> bool:
        """Gathered for each destination, carried in one piece, gathered again."""
        units = _by_pair(self._keep_apart(plan))
        place = self._arrival(plan, units)
        far = self._is_remote(units)
        sent = units.take(far)
        head = np.flatnonzero(changes(sent.source_shard, sent.dest_shard))
        packed = self._packed(plan, sent)
        plan.fragments = _Fragments(
            "packed",
            "arrived",
            sent.source_shard[head],
            packed[head],
            sent.dest_shard[head],
            place[far][head],
            round_up(counts_of(head, len(sent)) * units.size, WORD),
        )
        self._spread(plan, units, place)
        return True

    # ---- the parts of a way --------------------------------------------------------------------------------------

    def _is_remote(self, units: Units) -> Bool:
        return np.asarray(self.source.tile[units.source_shard] != self.dest.tile[units.dest_shard], bool)

    def _stay(self, plan: _Plan, which: Bool) -> None:
        """Units that do not leave their tile, from source to destination."""
        plan.before.add(self.units.take(which), "source", "dest", self.dest.tile, owned=False)

    def _keep_apart(self, plan: _Plan) -> Units:
        """The units of the destination shards that have to be put together from what arrives. The others are moved
        within their tiles at once, unless they would overwrite what has yet to be read."""
        mixed_shard = np.full(self.dest.shards, self.in_place)
        mixed_shard[self.units.dest_shard[self.remote]] = True
        mixed_unit = mixed_shard[self.units.dest_shard]
        self._stay(plan, ~mixed_unit)
        return self.units.take(mixed_unit)

    def _packed(self, plan: _Plan, units: Units) -> I64:
        """Gather what each pair of shards exchanges (units in the order of pairs) into the source shard's packed area:
        offsets i64[n]. Destinations that want the same in the same order share it, so that it can be multicast."""
        head = np.flatnonzero(changes(units.source_shard, units.dest_shard))
        count = counts_of(head, len(units))
        slot = _slot_of_pair(units, head, count)
        own = np.flatnonzero(slot == np.arange(len(head)))
        offset = np.zeros(len(head), np.int64)
        offset[own] = plan.packed.take(units.source_shard[head[own]], count[own] * units.size, max(WORD, units.size))
        place = np.repeat(offset[slot], count) + units.size * positions(count)
        first = np.repeat(slot == np.arange(len(head)), count)
        sources = units.take(first)
        gathered = Units(units.size, sources.source_shard, sources.source_offset, sources.source_shard, place[first])
        plan.before.add(gathered, "source", "packed", self.source.tile, owned=True)
        return place

    def _arrival(self, plan: _Plan, items: Units) -> I64:
        """Offsets i64[n] in the destination shard's arrived area; items are in the order of their pairs and local ones
        are brought there."""
        head = np.flatnonzero(changes(items.source_shard, items.dest_shard))
        count = counts_of(head, len(items))
        far = self._is_remote(items)
        offset = np.empty(len(head), np.int64)
        for which, grain in (
            (far[head], max(WORD, items.size)),
            (~far[head], BLOCK),
        ):  # a block belongs to one source shard
            offset[which] = plan.arrived.take(items.dest_shard[head[which]], count[which] * items.size, grain)
        place = np.repeat(offset, count) + items.size * positions(count)
        here = items.take(~far)
        local = Units(items.size, here.source_shard, here.source_offset, here.dest_shard, place[~far])
        plan.before.add(local, "source", "arrived", self.dest.tile, owned=True)
        return place

    def _spread(self, plan: _Plan, units: Units, place: I64) -> None:
        """From the arrived area to where everything belongs."""
        plan.after.add(_from(units, units.dest_shard, place), "arrived", "dest", self.dest.tile, owned=False)

    # ---- the choice ----------------------------------------------------------------------------------------------

    def words(self, plan: _Plan) -> tuple[int, int]:
        """Words through the busiest tile and bytes of rows on the tile that has most."""
        f = plan.fragments
        if f is None or not len(f.nbytes):
            return 0, 0
        order = np.lexsort((f.nbytes, f.source_offset, f.source_shard))
        sends = order[changes(f.source_shard[order], f.source_offset[order], f.nbytes[order])]  # a multicast once
        from_tile, to_tile = self.source.tile[f.source_shard[sends]], self.dest.tile[f.dest_shard]
        tiles = self.graph.tiles
        sent = np.bincount(from_tile, f.nbytes[sends] // WORD, tiles)
        received = np.bincount(to_tile, f.nbytes // WORD, tiles)
        ends = np.bincount(from_tile, minlength=tiles) + np.bincount(to_tile, minlength=tiles)
        return int(max(sent.max(), received.max())), int(ROW_BYTES * ends.max())

    def cost(self, plan: _Plan) -> int:
        """Cycles as far as the ways differ in them."""
        chip = self.graph.chip
        return plan.before.cycles(chip) + self.words(plan)[0] + plan.after.cycles(chip)

    def best(self) -> _Plan:
        """Direct if it can be, else the cheapest; of those whose rows are too long the one with the shortest."""
        direct = self.plan("direct")
        if direct is not None and self.words(direct)[1] <= ROW_LIMIT:
            return direct
        plans = [direct, *(self.plan(how) for how in ("pack", "unpack", "both"))]
        possible = [plan for plan in plans if plan is not None]
        return min(possible, key=lambda plan: (max(self.words(plan)[1], ROW_LIMIT), self.cost(plan)))


_WAYS: dict[str, Callable[[_Problem, _Plan], bool]] = {
    "direct": _Problem.direct,
    "pack": _Problem.pack,
    "unpack": _Problem.unpack,
    "both": _Problem.both,
}


def _by_pair(units: Units) -> Units:
    """In the order of source shard, destination shard, destination."""
    return units.take(np.lexsort((units.dest_offset, units.dest_shard, units.source_shard)))


def _from(units: Units, shard: I64, offset: I64) -> Units:
    """The same destinations, coming from elsewhere."""
    return Units(units.size, shard, offset, units.dest_shard, units.dest_offset)


def _joined(source: str, dest: str, units: Units, new: Bool) -> _Fragments:
    """Fragments of the runs that begin where ``new`` says."""
    head = np.flatnonzero(new)
    u = units.take(head)
    nbytes = counts_of(head, len(units)) * units.size
    return _Fragments(source, dest, u.source_shard, u.source_offset, u.dest_shard, u.dest_offset, nbytes)


def _slot_of_pair(units: Units, head: I64, count: I64) -> I64:
    """For each pair of shards the first pair of the same source shard that wants the same units in the same order."""
    pairs = len(head)
    if not pairs:
        return np.zeros(0, np.int64)
    at = positions(count)
    key = np.add.reduceat(mixed((at << 32) ^ units.source_offset), head)
    order = np.lexsort((np.arange(pairs), count, key, units.source_shard[head]))
    new = changes(units.source_shard[head][order], key[order], count[order])
    slot = np.empty(pairs, np.int64)
    slot[order] = order[new][np.cumsum(new) - 1]
    model = units.source_offset[np.repeat(head[slot], count) + at]
    same = np.logical_and.reduceat(model == units.source_offset, head)  # a hash proves nothing
    return np.where(same, slot, np.arange(pairs))


def _units(source: View, dest: View) -> Units:
    """The largest units that all runs consist of, in the order of their destinations. Raises UsageError."""
    size = dest.element_bytes
    to, at = dest.place.reshape(-1), source.place.reshape(-1)
    if len(to) > 1 and not (np.diff(to) > 0).all():
        order = np.argsort(to, kind="stable")
        to, at = to[order], at[order]
        twice = np.flatnonzero(np.diff(to) == 0)
        if len(twice):
            raise UsageError(f"element {to[twice[0]]} of '{dest.variable.name}' is written twice by one rearrangement")
    shards, offsets = [], []
    for view, place in ((source, at), (dest, to)):
        held = view.variable.nbytes.astype(np.int64) // size
        end = np.cumsum(held)
        if len(place) and (place.min() < 0 or place.max() >= end[-1]):
            raise UsageError(f"a view of '{view.variable.name}' has elements outside its {end[-1]} elements")
        shard = np.searchsorted(end, place, side="right")
        shards.append(shard)
        offsets.append(size * (place - (end - held)[shard]))
    new = changes(shards[0], shards[1])
    new[1:] |= (np.diff(offsets[0]) != size) | (np.diff(offsets[1]) != size)
    head = np.flatnonzero(new)
    nbytes = size * counts_of(head, len(to))
    unit = int(np.gcd.reduce(np.concatenate([[BLOCK], offsets[0][head], offsets[1][head], nbytes])))
    if unit == size:
        return Units(size, shards[0], offsets[0], shards[1], offsets[1])
    count = nbytes // unit
    run, inside = np.repeat(head, count), unit * positions(count)
    return Units(unit, shards[0][run], offsets[0][run] + inside, shards[1][run], offsets[1][run] + inside)


def rearrange(graph: Graph, name: str, source: View, dest: View, how: str) -> Rearrangement:
    """See Graph.rearrange."""
    if how not in ("auto", *_WAYS):
        raise UsageError(f"rearrangement '{name}': '{how}' is not one of auto, {', '.join(_WAYS)}")
    if source.element_bytes != dest.element_bytes:
        raise UsageError(
            f"rearrangement '{name}': elements of {source.element_bytes} bytes do not go to elements of "
            f"{dest.element_bytes} bytes"
        )
    problem = _Problem(graph, source.variable, dest.variable, _units(source.broadcast_to(dest.shape), dest))
    plan = problem.best() if how == "auto" else problem.plan(how)
    if plan is None:
        raise UsageError(
            f"rearrangement '{name}': '{how}' cannot carry it: the fabric moves whole words, and what a tile sends and "
            "receives must be different variables"
        )
    _emit(graph, name, source.variable, dest.variable, plan)
    words, _ = problem.words(plan)
    transfers = 0 if plan.fragments is None else len(plan.fragments.nbytes)
    chip = graph.chip
    return Rearrangement(
        plan.how, problem.units.size, words, transfers, plan.before.cycles(chip), plan.after.cycles(chip)
    )


def _emit(graph: Graph, name: str, source: Variable, dest: Variable, plan: _Plan) -> None:
    """Variables, vertices and the exchange of a plan into the graph."""
    areas = {"source": source, "dest": dest}
    for area, tile, used in (
        ("packed", source.tile, plan.packed.used),
        ("arrived", dest.tile, plan.arrived.used),
        ("temporary", np.arange(graph.tiles), plan.temporary.used),
    ):
        if used.any():
            areas[area] = graph.variable(f"{name}: {area}", tile, round_up(used, BLOCK))
    tiles, words = plan.tables.words()
    tables, shard_of = None, np.zeros(graph.tiles, np.int64)
    if len(tiles):
        shard_of[tiles] = np.arange(len(tiles))
        tables = graph.constant(f"{name}: tables", tiles, plan.tables.cursor.used[tiles], words)
    _copy_within(graph, f"{name}: pack", plan.before, areas, tables, shard_of)
    f = plan.fragments
    if f is not None and len(f.nbytes):
        graph.exchange(name).copy(
            Pointer(areas[f.source], f.source_shard, f.source_offset),
            Pointer(areas[f.dest], f.dest_shard, f.dest_offset),
            f.nbytes,
        )
    _copy_within(graph, f"{name}: unpack", plan.after, areas, tables, shard_of)


def _copy_within(
    graph: Graph, name: str, copies: LocalCopies, areas: dict[str, Variable], tables: Variable | None, shard_of: I64
) -> None:
    if not copies.batches:
        return
    for one, other in copies.apart():
        graph.separate(areas[one], tables if other == "tables" and tables is not None else areas[other])
    copies.emit(graph.execute(name), areas, tables, shard_of)

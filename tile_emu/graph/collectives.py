"""Collectives: what a group of tiles exchanges or adds up together. Many groups may do it at once.

A variable that takes part has a shard for every member of every group, group after group ([groups][members]), or one
for every group; the shards' sizes say how much there is, and any tiles may be members. What moves, moves in one
exchange; what stays on its tile is copied there. Sums are those of the reduction codelets: f16 or f32, each result
rounded once from an f32 sum whose order is the same on every tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tile_emu.chips import Chip
from tile_emu.errors import UsageError
from tile_emu.graph.arrays import Bool, changes, spans
from tile_emu.graph.codelets import COLUMN, WORKERS, reduce_codelet
from tile_emu.graph.variables import I64, Pointer, Variable
from tile_emu.graph.views import View

if TYPE_CHECKING:
    from tile_emu.graph.graph import Graph

WORD = 4  # bytes
ELEMENT_BYTES = {"f16": 2, "f32": 4}


def broadcast(graph: Graph, name: str, source: Variable, dest: Variable) -> None:
    """The shard of each group's root to all of its members: source [groups], dest [groups][members]."""
    member = _members(name, dest, source)
    root = _group(member)
    _move(graph, name, Pointer(source, root), Pointer(dest, member), source.nbytes[root])


def gather(graph: Graph, name: str, source: Variable, dest: Variable) -> None:
    """The members' shards one after another into the group's: source [groups][members], dest [groups]."""
    member = _members(name, source, dest)
    into = Pointer(dest, _group(member), _before(source, member))
    _move(graph, name, Pointer(source, member), into, source.nbytes[member])


def scatter(graph: Graph, name: str, source: Variable, dest: Variable) -> None:
    """The group's shard divided among the members: source [groups], dest [groups][members]."""
    member = _members(name, dest, source)
    out_of = Pointer(source, _group(member), _before(dest, member))
    _move(graph, name, out_of, Pointer(dest, member), dest.nbytes[member])


def all_gather(graph: Graph, name: str, source: Variable, dest: Variable, members: int | None = None) -> None:
    """The members' shards one after another to every member: both [groups][members]; ``members``: all if not given."""
    member = _grid(name, source, dest, members)
    into = Pointer(dest, member[:, None, :], _before(source, member)[:, :, None])
    _move(graph, name, Pointer(source, member[:, :, None]), into, source.nbytes[member][:, :, None])


def all_to_all(graph: Graph, name: str, source: Variable, dest: Variable, members: int | None = None) -> None:
    """Share j of member i's shard becomes share i of member j's: both [groups][members], shares all equal."""
    member = _grid(name, source, dest, members)
    size = source.nbytes[member[:, :1]].astype(np.int64)
    count = member.shape[1]
    if (source.nbytes[member] != size).any() or (size % (WORD * count)).any():
        raise UsageError(
            f"all-to-all '{name}': every shard of '{source.name}' must have the same number of bytes in its group, "
            f"a multiple of {WORD} times the {count} members"
        )
    share = size[:, :, None] // count
    number = np.arange(count)
    out_of = Pointer(source, member[:, :, None], share * number)
    _move(graph, name, out_of, Pointer(dest, member[:, None, :], share * number[:, None]), share)


def terms(graph: Graph, name: str, tile: Any, nbytes: Any) -> Variable:
    """A variable that can be summed: as Graph.variable, placed as the reduction codelets want it, with COLUMN spare
    bytes in each shard. ``nbytes`` are multiples of COLUMN."""
    return graph.variable(name, tile, np.asarray(nbytes) + COLUMN, region="interleaved", align=COLUMN)


def reduce_scatter(
    graph: Graph, name: str, source: Variable, dtype: str, members: int | None = None
) -> tuple[Variable, I64]:
    """The sum over each group, cut into one share for each member.

    ``source`` [groups][members] as :func:`terms` makes it, ``dtype`` f16 or f32. Returns the variable of the shares
    [groups][members] and the byte at which each begins in the sum, i64[shards].
    """
    member, columns = _summands(name, source, dtype, members)
    return reduce_shares(graph, name, source, member, COLUMN * columns, ELEMENT_BYTES[dtype])


def all_reduce(graph: Graph, name: str, source: Variable, dtype: str, members: int | None = None) -> Variable:
    """The sum over each group, whole on every member and with the same bits on all.

    Arguments as of :func:`reduce_scatter`. Long sums are reduced and scattered, then gathered; for short ones members
    send all they have to all others of a small group, in several rounds: whichever the estimate says is faster. Between
    rounds f16 sums are rounded to f16. Returns a variable [groups][members].
    """
    member, columns = _summands(name, source, dtype, members)
    count, size = member.shape[1], ELEMENT_BYTES[dtype]
    rounds = all_reduce_rounds(graph.chip, count, int(columns.max()), size)
    total = np.repeat(COLUMN * columns, count)
    if rounds is None:
        shares, _ = reduce_shares(graph, name, source, member, COLUMN * columns, size)
        result = graph.variable(f"{name}: sums", source.tile, total, align=COLUMN)
        all_gather(graph, f"gather of {name}", shares, result, count)
        return result
    stride = 1
    for number, radix in enumerate(rounds, 1):
        last = number == len(rounds)
        made = f"{name}: sums" if last else f"{name}: sums of round {number}"
        result = (
            graph.variable(made, source.tile, total, align=COLUMN) if last else terms(graph, made, source.tile, total)
        )
        neighbours = np.moveaxis(member.reshape(len(member), -1, radix, stride), 2, 3).reshape(-1, radix)
        _sum_neighbours(graph, f"{name}, round {number}", source, neighbours, total, result, size)
        source, stride = result, stride * radix
    return result


def all_reduce_rounds(chip: Chip, members: int, columns: int, element_bytes: int) -> tuple[int, ...] | None:
    """Sizes of the groups in each round of an all-reduce that sends everything to everybody; None where reducing
    shares and gathering them is estimated to be faster. ``columns`` of 16 bytes."""
    timing, fabric = chip.timing, chip.exchange
    branch = timing.supervisor.taken_branch
    # barrier, row and the way through the fabric to a tile half way up the die
    transit = fabric.store_offset + fabric.row_delay * fabric.rows // 2 + fabric.drain
    phase = timing.supervisor.put + timing.sync_release + 2 * branch + transit
    words = COLUMN // WORD
    adder = reduce_codelet(element_bytes)

    def step(radix: int) -> int:
        return phase + words * radix * columns + 1 + branch + int(adder.cycles(chip, COLUMN * columns, radix - 1))

    @cache
    def best(count: int) -> tuple[int, tuple[int, ...]]:
        options: list[tuple[int, tuple[int, ...]]] = [(step(count), (count,))]
        for radix in range(2, int(count**0.5) + 1):
            if count % radix == 0:
                for one, other in ((radix, count // radix), (count // radix, radix)):
                    rest, more = best(other)
                    options.append((step(one) + rest, (one, *more)))
        return min(options)

    if members == 1:
        return None
    share = -(-columns // members)
    halves = 2 * phase + words * ((members - 1) * share + columns)
    halves += 1 + branch + int(adder.cycles(chip, COLUMN * share, members - 1))
    cycles, rounds = best(members)
    return rounds if cycles < halves else None


# ---- movement ----------------------------------------------------------------------------------------------------


def _members(name: str, many: Variable, few: Variable) -> I64:
    """Shards of ``many`` as [groups][members], ``few`` having one for each group."""
    groups = few.shards
    if not groups or many.shards % groups:
        raise UsageError(f"'{name}': {many.shards} shards of '{many.name}' do not divide into {groups} groups")
    return _distinct(name, many, np.arange(many.shards).reshape(groups, -1))


def _distinct(name: str, variable: Variable, member: I64) -> I64:
    tile = np.sort(variable.tile[member], axis=1)
    group, place = np.nonzero(tile[:, 1:] == tile[:, :-1])
    if len(group):
        raise UsageError(
            f"'{name}': two members of group {group[0]} of '{variable.name}' are on tile {tile[group[0], place[0]]}"
        )
    return member


def _grid(name: str, source: Variable, dest: Variable | None, members: int | None) -> I64:
    count = source.shards if members is None else members
    if count < 1 or source.shards % count or (dest is not None and dest.shards != source.shards):
        raise UsageError(
            f"'{name}': {source.shards} shards of '{source.name}'"
            + (f" and {dest.shards} of '{dest.name}'" if dest is not None else "")
            + f" are no whole groups of {count} members"
        )
    member = np.arange(source.shards).reshape(-1, count)
    if dest is not None:
        _distinct(name, dest, member)
    return _distinct(name, source, member)


def _group(member: I64) -> I64:
    return np.broadcast_to(np.arange(len(member))[:, None], member.shape)


def _before(variable: Variable, member: I64) -> I64:
    """Bytes of the group's shards before each."""
    size = variable.nbytes[member].astype(np.int64)
    return np.cumsum(size, axis=1) - size


def _move(graph: Graph, name: str, source: Pointer, dest: Pointer, nbytes: ArrayLike) -> None:
    """Copies (arrays broadcast together), by the fabric where another tile gets the same, else within the tile."""
    columns = np.broadcast_arrays(source.shard, source.offset, dest.shard, dest.offset, nbytes)
    s, a, d, b, n = (np.asarray(column, np.int64).reshape(-1) for column in columns)
    stays = source.variable.tile[s] == dest.variable.tile[d]
    order = np.lexsort((n, a, s))
    same = np.empty(len(s), np.int64)  # number of the range that is sent
    same[order] = np.cumsum(changes(s[order], a[order], n[order])) - 1
    travels = np.zeros(len(s), bool)
    travels[same[~stays]] = True
    stays &= ~travels[same]

    def some(which: Bool) -> tuple[Pointer, Pointer, I64]:
        return Pointer(source.variable, s[which], a[which]), Pointer(dest.variable, d[which], b[which]), n[which]

    if stays.any():
        _keep(graph, f"{name}: own", *some(stays))
    if not stays.all():
        graph.exchange(name).copy(*some(~stays))


def _keep(graph: Graph, name: str, source: Pointer, dest: Pointer, nbytes: I64) -> None:
    """Copies within tiles; all arrays i64[n]."""
    views = []
    for end in (source, dest):
        variable, shard, offset = end.variable, np.asarray(end.shard), np.asarray(end.offset, np.int64)
        if ((offset | nbytes) % WORD).any() or (variable.nbytes % WORD).any():
            raise UsageError(f"'{name}': '{variable.name}' and what is copied must be whole words")
        first = np.cumsum(variable.nbytes, dtype=np.int64) - variable.nbytes
        views.append(View(variable, WORD, spans((first[shard] + offset) // WORD, nbytes // WORD)))
    graph.rearrange(name, views[0], views[1])


# ---- sums --------------------------------------------------------------------------------------------------------


def _summands(name: str, source: Variable, dtype: str, members: int | None) -> tuple[I64, I64]:
    """Shards as [groups][members], and the columns of each group's terms."""
    if dtype not in ELEMENT_BYTES:
        raise UsageError(f"sum '{name}': dtype '{dtype}' is not one of {', '.join(ELEMENT_BYTES)}")
    member = _grid(name, source, None, members)
    nbytes = source.nbytes[member].astype(np.int64) - COLUMN
    wrong = (nbytes != nbytes[:, :1]).any() or (nbytes % COLUMN).any() or (nbytes < 0).any()
    if wrong or source.region != "interleaved" or source.align < COLUMN:
        raise UsageError(
            f"sum '{name}': the terms '{source.name}' must be made by collectives.terms, equally long in each group"
        )
    return member, nbytes[:, 0] // COLUMN


def reduce_shares(
    graph: Graph,
    name: str,
    source: Variable,
    member: I64,
    nbytes: I64,
    element_bytes: int,
    grain: int = COLUMN,
    region: str = "any",
) -> tuple[Variable, I64]:
    """Exchange of the shares and their sums; the variable of the results, member after member, and the bytes of the
    sum before each.

    ``member`` i64[groups, members]: shards of ``source`` that hold the terms, in the interleaved region and with COLUMN
    bytes behind them; ``nbytes`` i64[groups] of a term, a multiple of ``grain``, where shares are cut, itself a
    multiple of COLUMN; ``region`` of the results.
    """
    count = member.shape[1]
    tile = source.tile[member].astype(np.int64)
    grains = nbytes // grain
    cut = grains[:, None] * np.arange(count + 1) // count * (grain // COLUMN)  # in columns
    share = np.diff(cut)
    pitch = np.broadcast_to((-(-grains // count) * (grain // COLUMN))[:, None], tile.shape)
    slot = np.arange(tile.size).reshape(tile.shape)
    result = graph.variable(f"{name}: shares", tile.ravel(), (share * COLUMN).ravel(), region=region, align=COLUMN)
    begin, length = cut[:, :-1].ravel(), share.ravel()
    if count == 1:
        own = Pointer(source, member.ravel(), COLUMN * begin)
        _keep(graph, name, own, Pointer(result, slot.ravel(), 0 * begin), COLUMN * length)
        return result, COLUMN * begin
    room = (count - 1) * pitch * COLUMN
    received = graph.variable(f"{name}: received", tile.ravel(), room.ravel(), region="interleaved", align=COLUMN)
    # copies [group][member q that receives][distance to the member that sends]
    q = np.arange(count)[:, None]
    sender = (q + np.arange(1, count)) % count
    row = np.where(sender < q, sender, sender - 1)
    graph.exchange(f"exchange of {name}").copy(
        Pointer(source, member[:, sender], cut[:, :-1, None] * COLUMN),
        Pointer(received, slot[..., None], row * pitch[..., None] * COLUMN),
        share[..., None] * COLUMN,
    )
    rows = _Rows(source, member.ravel(), begin, received, slot.ravel(), 0 * begin, pitch.ravel(), count - 1)
    _add_rows(graph, f"sum of {name}", rows, result, length, element_bytes)
    return result, COLUMN * begin


def _sum_neighbours(
    graph: Graph, name: str, source: Variable, member: I64, nbytes: I64, result: Variable, element_bytes: int
) -> None:
    """Every member gets all terms of its group, its own among them, and adds them in the same order as the others."""
    count = member.shape[1]
    term = nbytes[member[:, :1]]
    received = graph.variable(f"{name}: received", source.tile, count * nbytes, region="interleaved", align=COLUMN)
    into = Pointer(received, member[:, None, :], term[:, :, None] * np.arange(count)[:, None])
    _move(graph, f"exchange of {name}", Pointer(source, member[:, :, None]), into, term[:, :, None])
    every = np.arange(source.shards)
    rows = _Rows(received, every, 0 * every, received, every, nbytes, nbytes // COLUMN, count - 1)
    _add_rows(graph, f"sum of {name}", rows, result, nbytes // COLUMN, element_bytes)


@dataclass(frozen=True, eq=False)
class _Rows:
    """What vertex i adds: columns of ``own`` from ``first`` on, and ``count`` rows of ``received`` that begin ``skip``
    bytes into the shard and are ``pitch`` columns apart. i64[n] each."""

    own: Variable
    own_shard: I64
    first: I64
    received: Variable
    shard: I64
    skip: I64
    pitch: I64
    count: int


def _add_rows(graph: Graph, name: str, rows: _Rows, result: Variable, columns: I64, element_bytes: int) -> None:
    """A vertex for each shard i of ``result``, which gets ``columns[i]`` sums."""
    fields: dict[str, Any] = {}
    every = np.arange(len(columns))
    for worker in range(WORKERS):
        start = columns * worker // WORKERS
        count = columns * (worker + 1) // WORKERS - start
        fields |= {
            f"own{worker}": Pointer(rows.own, rows.own_shard, (rows.first + start) * COLUMN),
            f"recv{worker}": Pointer(rows.received, rows.shard, rows.skip + start * COLUMN),
            f"out{worker}": Pointer(result, every, start * COLUMN),
            f"columns{worker}": (count - 1) & 0xFFFFFFFF,
            f"pitch{worker}": rows.pitch,
            f"rows{worker}": rows.count - 1,
            f"back{worker}": (1 - (rows.count - 1) * rows.pitch) & 0xFFFFFFFF,
        }
    graph.execute(name).add(reduce_codelet(element_bytes).codelet, result.tile, **fields)

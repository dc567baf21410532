"""Lowering: from a graph to an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tile_emu.chips import Chip
from tile_emu.errors import UsageError
from tile_emu.graph import program
from tile_emu.graph.computeset import ComputeSet, PointerField, VertexBatch
from tile_emu.graph.copies import ExchangePhase, Fragments
from tile_emu.graph.hosttensor import HostTensor
from tile_emu.graph.image import Image, LineTable, MemoryMap
from tile_emu.graph.placement import Bool, Shards, place
from tile_emu.graph.room import check_code_room, out_of_memory
from tile_emu.graph.variables import I32, I64, MIN_ALIGN, U32, Codelet
from tile_emu.tile.layout import PAGE_WORDS

if TYPE_CHECKING:
    from tile_emu.graph.graph import Graph

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Toolchain:
    """The parts of lowering owned by other packages; see tile_emu.asm and tile_emu.exchange for their interfaces."""

    assemble: Callable[..., Any]
    merge: Callable[..., Any]
    schedule: Callable[..., Any]
    emit_rows: Callable[..., Any]


def default_toolchain() -> Toolchain:
    """The project's own assembler and exchange scheduler."""
    from tile_emu.exchange.rows import emit_rows
    from tile_emu.exchange.schedule import schedule
    from tile_emu.exchange.transfers import Transfers
    from tile_emu.graph.keptcode import assemble_kept

    return Toolchain(assemble_kept, Transfers.merge, schedule, emit_rows)


@dataclass(frozen=True, eq=False)
class _Code:
    """The codelets of all vertices, assembled together."""

    base: int
    words: U32
    symbols: dict[str, int]
    lines: LineTable


@dataclass(frozen=True, eq=False)
class _Exchange:
    """One exchange after scheduling: rows as u32 words with word offsets i64[tiles + 1]."""

    name: str
    transfers: Any
    words: U32
    start: I64


def lower(graph: Graph, progress: Progress | None = None, tools: Toolchain | None = None) -> Image:
    """See Graph.lower."""
    tell = progress or (lambda stage, fraction: None)
    tools = tools or default_toolchain()
    phases = [step for step in graph.program if isinstance(step, ExchangePhase)]
    first_shard, shards = _shards(graph)
    copies = [phase.fragments(first_shard) for phase in phases]

    tell("assemble", 0.0)
    batches = [(i, b) for i, step in enumerate(graph.program) if isinstance(step, ComputeSet) for b in step.batches]
    code = _assemble(graph.chip, [batch.codelet for _, batch in batches], tools)
    tell("place", 0.1)
    address, exchanged = _place(graph, shards, phases, copies, 4 * len(code.words))
    exchanges = []
    for i, (phase, fragments) in enumerate(zip(phases, copies, strict=True)):
        tell(f"schedule exchange {phase.name}", 0.2 + 0.7 * i / len(phases))
        exchanges.append(_exchange(graph, phase.name, fragments, shards, address, tools))

    tell("link", 0.9)
    vertices = _vertices(batches, code)
    kinds = ["execute" if isinstance(step, ComputeSet) else "exchange" for step in graph.program]
    row_words = np.array([np.diff(e.start) for e in exchanges], np.int64).reshape(len(exchanges), graph.tiles)
    begin = (code.base + 4 * len(code.words) + 7) // 8 * 8
    layout = program.lay_out(kinds, graph.tiles, vertices, row_words, begin)
    check_code_room(graph.chip, graph.variables, shards, address, exchanged, layout)
    image = _image(graph, code, exchanges, layout, address)
    starts = image.segment_start[: graph.tiles + 1]
    program.write_programs(image.segment_words, starts, kinds, layout, vertices)
    for i, exchange in enumerate(exchanges):
        program.write_rows(image.segment_words, starts, layout, i, exchange.words, exchange.start)
    _write_states(image.segment_words, starts, layout, batches, first_shard, address)
    tell("done", 1.0)
    return image


def _shards(graph: Graph) -> tuple[I64, Shards]:
    """Where each variable's shards begin (i64[variables + 1]), and all shards."""
    variables = graph.variables
    counts = np.array([v.shards for v in variables], np.int64)
    empty = np.zeros(0, np.int32)
    shards = Shards(
        tiles=graph.tiles,
        variable=np.repeat(np.arange(len(variables), dtype=np.int32), counts),
        tile=np.concatenate([empty, *(v.tile for v in variables)]),
        nbytes=np.concatenate([empty, *(v.nbytes for v in variables)]),
        align=np.array([v.align for v in variables], np.int64),
        interleaved=np.array([v.region == "interleaved" for v in variables], bool),
    )
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), shards


def _assemble(chip: Chip, codelets: list[Codelet], tools: Toolchain) -> _Code:
    """Assemble every source once, in the order of first use; check that the entries exist."""
    sources = list(dict.fromkeys(codelet.source for codelet in codelets))
    if not sources:
        none = np.zeros(0, np.int32)
        return _Code(chip.memory.base, np.zeros(0, np.uint32), {}, LineTable(none, none, none, none, ()))
    code = tools.assemble(paths=sources, architecture=chip.architecture, base=chip.memory.base)
    for codelet in codelets:
        if codelet.entry not in code.symbols:
            raise UsageError(f"codelet '{codelet.name}': {codelet.source} has no global label '{codelet.entry}'")
    files = tuple(dict.fromkeys(str(file) for file in (*code.line_file, *code.line_unit)))
    number = {file: i for i, file in enumerate(files)}
    lines = LineTable(
        np.asarray(code.line_address, np.int32),
        np.asarray(code.line_number, np.int32),
        np.array([number[str(file)] for file in code.line_file], np.int32),
        np.array([number[str(file)] for file in code.line_unit], np.int32),
        files,
    )
    symbols = {name: int(at) for name, at in code.symbols.items()}
    words = np.asarray(code.words, np.uint32)
    # Decoded pages are shared by tiles that hold the same words there, the first one behind the page included. So the
    # last page of the codelets is filled up, and what differs by tile begins two words behind it.
    room = -len(words) % PAGE_WORDS + MIN_ALIGN // 4
    return _Code(int(code.base), np.pad(words, (0, room)), symbols, lines)


def _place(
    graph: Graph, shards: Shards, phases: list[ExchangePhase], copies: list[Fragments], code_bytes: int
) -> tuple[I32, Bool]:
    """Shard addresses i32[n] and which shards an exchange reads or writes."""
    source = np.zeros((len(shards.tile), len(copies)), bool)
    dest = np.zeros_like(source)
    for i, (phase, fragments) in enumerate(zip(phases, copies, strict=True)):
        source[fragments.source_shard, i] = True
        dest[fragments.dest_shard, i] = True
        both = np.flatnonzero(source[:, i] & dest[:, i])
        if len(both):
            name = graph.variables[shards.variable[both[0]]].name
            raise UsageError(
                f"exchange '{phase.name}' both reads and writes a shard of '{name}' on tile {shards.tile[both[0]]}; "
                "what a tile sends and what it receives must lie in different SRAM elements"
            )
    separated = np.zeros((len(graph.variables), len(graph.variables)), bool)
    for a, b in graph.separations:
        separated[a.index, b.index] = separated[b.index, a.index] = True
    placement = place(shards, separated, source, dest, graph.chip.memory)
    if len(placement.failed):
        raise out_of_memory(graph.chip, graph.variables, shards, placement.failed, code_bytes)
    return placement.address, np.asarray((source | dest).any(axis=1), bool)


def _exchange(
    graph: Graph, name: str, fragments: Fragments, shards: Shards, address: I32, tools: Toolchain
) -> _Exchange:
    names = tuple(f"{name}: {pair}" for pair in fragments.names) or (name,)
    transfers = tools.merge(
        shards.tile[fragments.source_shard],
        (address[fragments.source_shard] + fragments.source_offset).astype(np.int32),
        fragments.nbytes,
        shards.tile[fragments.dest_shard],
        (address[fragments.dest_shard] + fragments.dest_offset).astype(np.int32),
        fragments.name_index,
        names,
    )
    _check_transfers(name, transfers)
    rows = tools.emit_rows(graph.chip, tools.schedule(graph.chip, transfers))
    start = np.asarray(rows.start, np.int64)[: graph.tiles + 1]
    return _Exchange(name, transfers, np.asarray(rows.words, np.uint32), start)


def _check_transfers(name: str, transfers: Any) -> None:
    """No transfer only to its own tile, no byte written twice."""
    count = np.diff(transfers.dest_start)
    lone = np.flatnonzero(count == 1)
    back = lone[transfers.dest_tile[transfers.dest_start[lone]] == transfers.source_tile[lone]]
    if len(back):
        i = int(back[0])
        raise UsageError(
            f"exchange '{name}': {transfers.names[transfers.name_index[i]]} copies {4 * int(transfers.words[i])} bytes "
            f"from tile {transfers.source_tile[i]} to itself; the fabric only carries what another tile receives too"
        )
    owner = np.repeat(np.arange(len(count)), count)
    order = np.lexsort((transfers.dest_address, transfers.dest_tile))
    tile, begin = transfers.dest_tile[order], transfers.dest_address[order].astype(np.int64)
    end = begin + 4 * transfers.words[owner[order]]
    twice = np.flatnonzero((tile[1:] == tile[:-1]) & (begin[1:] < end[:-1]))
    if len(twice):
        one, two = (transfers.names[transfers.name_index[owner[order[i]]]] for i in (twice[0], twice[0] + 1))
        raise UsageError(
            f"exchange '{name}' writes address {begin[twice[0] + 1]:#x} of tile {tile[twice[0]]} twice ({one}; {two})"
        )


def _vertices(batches: list[tuple[int, VertexBatch]], code: _Code) -> program.Vertices:
    counts = np.array([len(batch.tile) for _, batch in batches], np.int64)

    def spread(values: list[int]) -> I64:
        return np.repeat(np.array(values, np.int64), counts)

    return program.Vertices(
        step=spread([step for step, _ in batches]).astype(np.int32),
        tile=np.concatenate([np.zeros(0, np.int32), *(batch.tile for _, batch in batches)]),
        words=spread([len(batch.codelet.fields) for _, batch in batches]),
        entry=spread([code.symbols[batch.codelet.entry] for _, batch in batches]),
    )


def _write_states(
    out: U32,
    starts: I64,
    layout: program.TileLayout,
    batches: list[tuple[int, VertexBatch]],
    first_shard: I64,
    address: I32,
) -> None:
    at = 0
    for _, batch in batches:
        which = slice(at, at + len(batch.tile))
        at = which.stop
        program.write_states(out, starts, layout, which, batch.tile, batch.state_words(first_shard, address))


def _memory_map(graph: Graph, layout: program.TileLayout, shared: int, address: I32) -> MemoryMap:
    variables = graph.variables
    tile = np.concatenate([np.zeros(0, np.int32), *(v.tile for v in variables)])
    nbytes = np.concatenate([np.zeros(0, np.int32), *(v.nbytes for v in variables)])
    number = np.repeat(np.arange(len(variables), dtype=np.int32), [v.shards for v in variables])
    shard = np.concatenate([np.zeros(0, np.int32), *(np.arange(v.shards, dtype=np.int32) for v in variables)])
    spare = np.concatenate([np.zeros(0, np.int32), *(v.spare for v in variables)])
    order = np.lexsort((address, tile))
    order = order[nbytes[order] > 0]
    return MemoryMap(
        names=tuple(v.name for v in variables),
        name_index=number[order],
        shard=shard[order],
        tile=tile[order],
        address=address[order],
        nbytes=nbytes[order],
        shared_bytes=shared,
        program_bytes=layout.rows_at - layout.program,
        row_bytes=layout.state_at - layout.rows_at,
        state_bytes=layout.end - layout.state_at,
        row_address=layout.row_address,
        spare=spare[order],
        **_uses(graph),
    )


def _uses(graph: Graph) -> dict[str, Bool]:
    """Which variables every compute stretch and exchange touches, see MemoryMap."""
    barriers, count = sum(isinstance(step, ExchangePhase) for step in graph.program), len(graph.variables)
    computes = np.zeros((barriers + 1, count), bool)
    reads, writes = np.zeros((barriers, count), bool), np.zeros((barriers, count), bool)
    at = 0
    for step in graph.program:
        if isinstance(step, ExchangePhase):
            for copies in step.batches:
                reads[at, copies.source.index] = writes[at, copies.dest.index] = True
            at += 1
            continue
        for batch in step.batches:
            touched = [value.variable.index for value in batch.values if isinstance(value, PointerField)]
            computes[at, touched] = True
    hosts = np.zeros(count, bool)
    hosts[[view.variable.index for view in graph.tensors.values()]] = True
    return {"computes": computes, "reads": reads, "writes": writes, "hosts": hosts}


def _compute_names(graph: Graph) -> tuple[str, ...]:
    """One name per stretch between barriers (exchanges + 1), compute sets of one stretch joined by " + "."""
    stretches: list[list[str]] = [[]]
    for step in graph.program:
        if isinstance(step, ExchangePhase):
            stretches.append([])
        else:
            stretches[-1].append(step.name)
    return tuple(" + ".join(names) for names in stretches)


def _image(graph: Graph, code: _Code, exchanges: list[_Exchange], layout: program.TileLayout, address: I32) -> Image:
    """The image: a segment of code for each tile, still zero, then the constants."""
    tensors = {}
    first, _ = _shards(graph)
    for view in graph.tensors.values():
        v = view.variable
        where = address[first[v.index] : first[v.index + 1]]
        tensors[view.name] = HostTensor(
            view.name, view.shape, view.dtype, view.order, v.tile, where, v.nbytes, graph.chip.memory.base
        )
    starts = program.segment_starts(layout)
    constants = [variable for variable, _ in graph.constants]
    words = np.concatenate([np.zeros(0, np.int64), *(v.nbytes // 4 for v in constants)])
    return Image(
        chip=graph.chip,
        tiles=graph.tiles,
        shared=((code.base, code.words),) if len(code.words) else (),
        segment_tile=np.concatenate([np.arange(graph.tiles, dtype=np.int32), *(v.tile for v in constants)]),
        segment_address=np.concatenate(
            [np.full(graph.tiles, layout.program, np.int32)]
            + [address[first[v.index] : first[v.index + 1]] for v in constants]
        ),
        segment_start=np.concatenate([starts, starts[-1] + np.cumsum(words)]),
        segment_words=np.concatenate(
            [np.zeros(int(starts[-1]), np.uint32), *(filling for _, filling in graph.constants)]
        ),
        entry=np.full(graph.tiles, layout.program, np.int32),
        code_end=layout.end.astype(np.int32),
        symbols=code.symbols,
        lines=code.lines,
        compute_names=_compute_names(graph),
        exchanges=tuple((e.name, e.transfers) for e in exchanges),
        tensors=tensors,
        memory_map=_memory_map(graph, layout, layout.program - graph.chip.memory.base, address),
    )

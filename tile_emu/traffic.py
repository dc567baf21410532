"""One exchange on an emulated chip: a pattern's copies scheduled, run on the machine, and checked word by word."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.errors import OutOfTileMemory
from tile_emu.exchange.bound import event_bound
from tile_emu.exchange.patterns import WORD, Copies
from tile_emu.exchange.schedule import load_bound
from tile_emu.graph import Graph, Pointer
from tile_emu.machine import Machine

if TYPE_CHECKING:
    from tile_emu.profile.recording import Recording

I64 = NDArray[np.int64]
Progress = Callable[..., None]


@dataclass(frozen=True, eq=False)
class TrafficResult:
    """What one exchange took. Cycles are tile clock cycles; ``row_bytes`` i64[tiles] is the code of the rows."""

    recording: Recording
    transfers: int  # multicasts after merging
    copies: int
    word_bound: int  # most words that one tile sends or receives
    bound: int  # cycles from the barrier's release that no schedule beats
    row_bytes: I64
    wrong_words: int
    lower_seconds: float  # host time for graph, placement, schedule and rows
    run_seconds: float

    @property
    def cycles(self) -> int:
        """From the release of the barrier until the last tile has left its row."""
        return int(self.recording.exchange_cycles[0])

    @property
    def received_bytes(self) -> I64:
        """i64[tiles]."""
        return WORD * self.recording.received[0]

    @property
    def bytes_per_cycle_per_tile(self) -> float:
        """Bytes received, mean over the tiles that take part, per cycle of the exchange."""
        return float(self.received_bytes.mean()) / self.cycles


def run_traffic(
    chip: Chip,
    tiles: int,
    copies: Copies,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> TrafficResult:
    """Carry out ``copies`` among tiles 0..tiles-1 with random words. Raises OutOfTileMemory and IllegalExchange."""
    tell = progress or _silent
    outgoing, incoming = copies.area_bytes(tiles)
    _require_room(chip, outgoing, incoming)
    began = time.perf_counter()
    tell("building the graph")
    graph = Graph(chip, tiles)
    every = np.arange(tiles)
    source, dest = graph.variable("outgoing", every, outgoing), graph.variable("incoming", every, incoming)
    for name, variable, area in (("sent", source, outgoing), ("received", dest, incoming)):
        graph.tensor(name, (int(area.sum()) // WORD,), np.uint32, variable)
    graph.exchange("exchange").copy(
        Pointer(source, copies.source_tile, copies.source_offset),
        Pointer(dest, copies.dest_tile, copies.dest_offset),
        copies.nbytes,
    )
    image = graph.lower(progress)
    lowered = time.perf_counter()

    machine = Machine(chip, tiles, threads)
    machine.load(image)
    sent = np.random.default_rng(seed).integers(0, 1 << 32, int(outgoing.sum()) // WORD, dtype=np.uint32)
    machine.write_tensor("sent", sent)
    recording = machine.run(progress=progress)
    tell("checking the words")
    wrong = int((machine.read_tensor("received") != _expected(copies, outgoing, incoming, sent)).sum())
    transfers = image.exchanges[0][1]
    call = 2 * chip.timing.supervisor.taken_branch  # into the row and back
    return TrafficResult(
        recording=recording,
        transfers=len(transfers),
        copies=len(copies.nbytes),
        word_bound=load_bound(chip, transfers),
        bound=event_bound(chip, transfers) + call,
        row_bytes=image.memory_map.row_bytes,
        wrong_words=wrong,
        lower_seconds=lowered - began,
        run_seconds=time.perf_counter() - lowered,
    )


def _silent(*_: object) -> None:
    """No progress wanted."""


def _require_room(chip: Chip, outgoing: I64, incoming: I64) -> None:
    needed = outgoing + incoming
    tile = int(np.argmax(needed))
    if needed[tile] > chip.memory.size:
        raise OutOfTileMemory(
            f"tile {tile} is out of memory: it sends {int(outgoing[tile]):,} bytes and receives "
            f"{int(incoming[tile]):,}, its SRAM has {chip.memory.size:,}; take fewer bytes or fewer tiles"
        )


def _expected(copies: Copies, outgoing: I64, incoming: I64, sent: NDArray[Any]) -> NDArray[Any]:
    """The incoming areas one after another as NumPy fills them; words that nobody sends are zero."""
    words = copies.nbytes // WORD
    inside = np.arange(int(words.sum())) - np.repeat(np.cumsum(words) - words, words)

    def places(tile: I64, offset: I64, area: I64) -> I64:
        first = (np.cumsum(area) - area)[tile] + offset
        return np.repeat(first // WORD, words) + inside

    out = np.zeros(int(incoming.sum()) // WORD, np.uint32)
    out[places(copies.dest_tile, copies.dest_offset, incoming)] = sent[
        places(copies.source_tile, copies.source_offset, outgoing)
    ]
    return out

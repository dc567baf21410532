"""All-to-all: scheduling, emission of rows, delivery; and all of an exchange that a machine does, rows included.

``extra_info``: words/s as a share of a fixed integer loop's operations/s (delivery: bytes/s as a share of a copy's);
events against the bound "most words one tile sends or receives" (path delays and drain, up to 171 events, come on top
of the bound).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.exchange_oracle import log_of
from tests.exchange_tools import all_to_all
from tile_emu.chips import load_chip
from tile_emu.exchange import Transfers, check_schedule, deliver, emit_rows, load_bound, schedule
from tile_emu.exchange.patterns import pattern_copies
from tile_emu.graph import Graph, Pointer
from tile_emu.machine import Machine

BOW = load_chip("bow")
CASES = {"64 tiles x 65 words": (64, 65), "256 tiles x 4 words": (256, 4)}

Against = Callable[..., Any]


@pytest.fixture(scope="module", params=CASES)
def transfers(request: pytest.FixtureRequest) -> Transfers:
    tiles, words = CASES[request.param]
    return all_to_all(BOW, tiles, tiles, words)


def total_words(t: Transfers) -> int:
    return int(t.words[t.owner].sum())


def test_schedule(transfers: Transfers, benchmark: Any, against: Against) -> None:
    plan = against("integer", lambda: schedule(BOW, transfers), total_words(transfers), "words")
    check_schedule(BOW, plan)
    bound = load_bound(BOW, transfers)
    benchmark.extra_info.update(events=plan.horizon, bound=bound, events_per_bound=plan.horizon / bound)


def test_emit_rows(transfers: Transfers, benchmark: Any, against: Against) -> None:
    plan = schedule(BOW, transfers)
    rows = against("integer", lambda: emit_rows(BOW, plan), total_words(transfers), "words")
    benchmark.extra_info["row_words_per_transfer"] = rows.words.size / len(transfers)


def test_deliver(transfers: Transfers, benchmark: Any, against: Against) -> None:
    rows = emit_rows(BOW, schedule(BOW, transfers))
    words = [rows.words[a:b].tolist() for a, b in zip(rows.start, rows.start[1:])]
    lines = [log_of(row) if row else [] for row in words]
    count = np.array([len(x) for x in lines], dtype=np.int32)
    log = np.zeros((BOW.tiles, count.max(), 5), dtype=np.int32)
    for tile, x in enumerate(lines):
        if x:
            log[tile, : len(x)] = x
    memory = np.zeros((BOW.tiles, BOW.memory.size), dtype=np.uint8)

    def run() -> Any:
        mux = np.full(BOW.tiles, BOW.exchange.neutral_mux, dtype=np.int32)
        return deliver(BOW, memory, log, count, mux, np.zeros(BOW.tiles, dtype=np.int32), transfers)

    done = against("memcpy", run, 4 * total_words(transfers), "bytes")
    assert done.received.sum() == total_words(transfers)


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_and_delivery(threads: int, benchmark: Any, against: Against) -> None:
    """Rows that no two tiles share, of 255 messages each, run, checked and delivered; an item is a word stored."""
    tiles = 256
    copies = pattern_copies("all-to-all", tiles, 8 * tiles)
    graph, every = Graph(BOW, tiles), np.arange(tiles)
    outgoing, incoming = (graph.variable(n, every, b) for n, b in zip("ab", copies.area_bytes(tiles), strict=True))
    graph.exchange("exchange").copy(
        Pointer(outgoing, copies.source_tile, copies.source_offset),
        Pointer(incoming, copies.dest_tile, copies.dest_offset),
        copies.nbytes,
    )
    image = graph.lower()
    machine = Machine(BOW, tiles, threads)
    words = int(copies.nbytes.sum()) // 4
    recording = against("integer", machine.run, words, "words", setup=lambda: machine.load(image))
    assert recording.received.sum() == words

"""Collectives on an emulated Bow: cycles of their exchanges against what no schedule can beat.

``cycles`` and ``bound`` are those of all exchanges of the collective, from each barrier's release to the end of its
last row; ``whole`` is the program with barriers and sums, ``sums`` the cycles of its compute phases. The rate is that
of the emulation: words received per second of host time, graph, placement and scheduling included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tile_emu.chips import load_chip
from tile_emu.exchange.bound import event_bound
from tile_emu.graph import Graph, Image, collectives
from tile_emu.machine import Machine
from tile_emu.profile.recording import Recording

BOW = load_chip("bow")
CALL = 2 * BOW.timing.supervisor.taken_branch  # into the row and back


def to_all(kind: str, tiles: int, nbytes: int) -> Graph:
    """A collective that only moves; ``nbytes`` of a member's share, or of the message of a broadcast."""
    graph, every = Graph(BOW, tiles), np.arange(tiles)
    own = graph.variable("own", every, nbytes)
    if kind == "broadcast":
        collectives.broadcast(graph, kind, graph.variable("root", [tiles // 2], nbytes), own)
    elif kind == "gather":
        collectives.gather(graph, kind, own, graph.variable("root", [tiles // 2], tiles * nbytes))
    elif kind == "scatter":
        collectives.scatter(graph, kind, graph.variable("root", [tiles // 2], tiles * nbytes), own)
    elif kind == "all-gather":
        collectives.all_gather(graph, kind, own, graph.variable("all", every, tiles * nbytes))
    else:
        collectives.all_to_all(graph, kind, own, graph.variable("all", every, nbytes))
    return graph


def sum_of(kind: str, tiles: int, nbytes: int) -> Graph:
    """A collective that adds f32 terms of ``nbytes``."""
    graph = Graph(BOW, tiles)
    terms = collectives.terms(graph, "terms", np.arange(tiles), nbytes)
    make = collectives.reduce_scatter if kind == "reduce-scatter" else collectives.all_reduce
    make(graph, "sum", terms, "f32")
    return graph


CASES = [
    (to_all, "broadcast", 1472, 65_536),
    (to_all, "gather", 1472, 256),
    (to_all, "scatter", 1472, 256),
    (to_all, "all-gather", 1472, 256),
    (to_all, "all-to-all", 256, 16_384),
    (sum_of, "reduce-scatter", 256, 65_536),
    (sum_of, "all-reduce", 256, 65_536),
    (sum_of, "all-reduce", 1472, 16),
]


def carry_out(build: Callable[[str, int, int], Graph], kind: str, tiles: int, nbytes: int) -> tuple[Image, Recording]:
    """Graph, image, run."""
    image = build(kind, tiles, nbytes).lower()
    machine = Machine(BOW, tiles)
    machine.load(image)
    return image, machine.run()


@pytest.mark.parametrize(("build", "kind", "tiles", "nbytes"), CASES, ids=[f"{k}-{t}x{n}" for _, k, t, n in CASES])
def test_collective(
    build: Any,
    kind: str,
    tiles: int,
    nbytes: int,
    benchmark: Any,
    rate: Callable[[float, str], None],
    against_bound: Callable[..., None],
) -> None:
    image, recording = benchmark.pedantic(carry_out, (build, kind, tiles, nbytes), rounds=1, warmup_rounds=1)
    bound = sum(event_bound(BOW, transfers) + CALL for _, transfers in image.exchanges)
    cycles, sums = int(recording.exchange_cycles.sum()), int(recording.compute_cycles.sum())
    assert cycles >= bound
    against_bound(cycles, bound, whole=recording.cycles, sums=sums, exchanges=len(image.exchanges))
    rate(int(recording.received.sum()), "words")

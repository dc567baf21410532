"""Traced runs: the same results and cycles as untraced ones, and every bundle told."""

from itertools import pairwise

import numpy as np
import pytest

from tile_emu.asm import assemble
from tile_emu.errors import TileFault, UsageError
from tile_emu.tile import Tile
from tile_emu.tile.trace import turns_by_line

SOURCE = """
.supervisor
.globl both
both:
    setzi $m2, work
    runall $m2, $m0, 0
    add $m3, $m3, 7
    sync 2
    br $m10
.worker
.globl work
.align 8
work:
    setzi $m0, 3
    rpt 2, 0
    {add $m0, $m0, 4 ; f32v2add $a0:1, $a2:3, $a0:1}
    brnzdec $m1, work
    exitz $mzero
"""


def tile() -> Tile:
    made = Tile("ipu21")
    made.load(assemble(text=SOURCE))
    made.arf[:, 2:4] = np.array([1.5, -2.0], np.float32).view(np.uint32)
    made.mrf[:6, 1] = 1
    return made


def test_a_traced_run_equals_an_untraced_one():
    plain, traced = tile(), tile()
    first = plain.run_supervisor("both")
    second = traced.run_supervisor("both", trace=True)
    assert (first.cycles, first.turns, first.instructions) == (second.cycles, second.turns, second.instructions)
    for name in ("mrf", "arf"):
        assert np.array_equal(getattr(plain, name), getattr(traced, name))
    with pytest.raises(UsageError, match="trace=True"):
        first.trace()


def test_every_bundle_of_a_worker_is_listed_with_its_changes():
    run = tile().run_workers("work", workers=[2], trace=True)
    entries = run.trace()
    # Twice: setzi, rpt, two repetitions, branch; then the exit.
    assert [entry.text.strip("{ ").split()[0] for entry in entries[:5]] == ["setzi", "rpt", "add", "add", "brnzdec"]
    assert len(entries) == run.turns[2] == 11
    assert {entry.context for entry in entries} == {"worker 2"}
    assert [b.cycle - a.cycle for a, b in pairwise(entries)] == [6] * 10
    assert entries[0].place == "work" and entries[0].changes == ("$m0 0x0 -> 0x3",)
    half = {c.split()[0]: c.split()[-1] for c in entries[2].changes}
    assert half == {"$m0": "0x7", "$a0": hex(0x3FC00000), "$a1": hex(0xC0000000)}


def test_a_supervisor_run_shows_its_workers_where_they_were_launched():
    contexts = [entry.context for entry in tile().run_supervisor("both", trace=True).trace()]
    order = list(dict.fromkeys(contexts))
    assert order == ["supervisor", *(f"worker {n}" for n in range(6))]
    assert contexts[:2] == ["supervisor"] * 2 and contexts[-3:] == ["supervisor"] * 3


def test_turns_by_line_count_loops():
    counts = dict(turns_by_line(tile().run_workers("work", workers=[0], trace=True).trace()))
    assert sorted(counts.values()) == [1, 2, 2, 2, 4]


def test_a_fault_stops_the_trace_at_the_faulting_instruction():
    made = Tile("ipu21")
    made.load(assemble(text=".worker\nstart: setzi $m0, 2\nld32 $m1, $m0, 0\nexitz $mzero\n"))
    with pytest.raises(TileFault, match="INVALID_ADDR"):
        made.run_workers("start", workers=[0], trace=True)


LONG = """
.worker
.globl start
start:
    setzi $m0, 50000
loop:
    add $m1, $m1, 3
    xor $m2, $m1, $m0
    brnzdec $m0, loop
    exitz $mzero
"""


def test_a_long_trace_is_whole():
    """Steps are taken away in portions: none is lost, and changes belong to their steps across portions."""
    made = Tile("ipu21")
    made.load(assemble(text=LONG))
    run = made.run_workers("start", workers=[0, 3], trace=True)
    trace = run.trace()
    each = 2 + 3 * 50_001
    assert len(trace) == 2 * each and [trace[i].context for i in (0, each - 1, each, -1)] == [
        "worker 0", "worker 0", "worker 3", "worker 3",
    ]  # fmt: skip
    for first in (1, each + 1):
        for k in (0, 1, 21_844, 21_845, 43_690, 50_000):
            add, xor, branch = trace[first + 3 * k : first + 3 * k + 3]
            assert add.changes == (f"$m1 {3 * k:#x} -> {3 * k + 3:#x}",)
            left = 50_000 - k
            assert f"-> {(3 * k + 3) ^ left:#x}" in str(xor) or not xor.changes
            assert branch.changes == ((f"$m0 {left:#x} -> {left - 1:#x}",) if left else ())
    assert dict(turns_by_line(trace)) == {
        "<text>:5": 2, "<text>:7": 100_002, "<text>:8": 100_002, "<text>:9": 100_002, "<text>:10": 2,
    }  # fmt: skip


def test_a_trace_ends_with_its_run():
    """What runs after a traced fault is not traced, also where it is checked."""
    made = Tile("ipu21", check=True)
    made.load(assemble(text=".worker\nstart: ld32 $m1, $m0, $mzero, 0\nexitz $mzero\n"))
    with pytest.raises(TileFault, match="INVALID_ADDR"):
        made.run_workers("start", workers=[0], trace=True)
    made.mrf[0, 0] = 0x50000
    made.write(0x50000, np.array([7], np.uint32))
    made.run_workers("start", workers=[0])
    assert made.mrf[0, 1] == 7
    assert made.arrays.inspected().take_trace()[0].size == 0

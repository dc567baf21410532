"""Straight runs: how the loops count executions at the price of an addition for each jump, and what comes of it.

A run is what a worker executes from one jump to the next. It counts +1 at its first instruction and -1 behind its last;
the passes of a repeat beyond the first are a run that is counted as often at once. How often an instruction was
executed is then the sum of what was counted at it and of the executions of those it follows in memory.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from tile_emu.jit import jit
from tile_emu.tile.layout import (
    EXECUTION_PARTS,
    EXECUTIONS,
    PAGE_SHIFT,
    PAGE_WORDS,
    PC,
    REPEAT_END,
    REPEAT_FIRST,
    REPEAT_LEFT,
    TOUCHED,
    TOUCHED_SUPERVISOR,
)


@jit(inline=True)
def run_place(counters, sram_base, pc):
    """Position in a tile's counters of the instruction at an address; the last of its part for one not counted."""
    last = (len(counters) - EXECUTIONS) // EXECUTION_PARTS - 1
    place = (pc - sram_base) >> 2
    if place < 0 or place > last:
        place = last
    return EXECUTIONS + place


@jit(inline=True)
def count_run(counters, sram_base, first, end, times):
    """Count runs from an address up to, not including, another."""
    counters[run_place(counters, sram_base, first)] += times
    counters[run_place(counters, sram_base, end)] -= times


@jit(leaf=True)
def count_runs(counters, sram_base, own, sign):
    """Begin (sign 1) or end (sign -1) the run at own[PC], and the passes to come of a repeat under way.

    Ending before an instruction leaves exactly what was executed, beginning there again nothing.
    """
    counters[run_place(counters, sram_base, own[PC])] += sign
    left = own[REPEAT_LEFT]
    if left != 0:
        count_run(counters, sram_base, own[REPEAT_FIRST], own[REPEAT_END], sign * (left - 1))


@jit(leaf=True)
def take_counts(counters, first, last, workers, supervisors, totals, by_kind, done):
    """Take the execution counts of tiles first..last, and clear them.

    counters: int64[tiles, ...]. workers: sizes in words of the instruction at each place, int64[places], and the kind
    of its work, int64[places], with the work of a kind, int64[kinds, n]; supervisors: the latter two. To totals,
    int64[3, places], are added executions and extra turns of workers and executions of supervisors, to done,
    int64[tiles, n], the work of each tile. by_kind: int64[kinds], zeros before and after.
    """
    sizes, kinds, work = workers
    own_kinds, own_work = supervisors
    places = len(sizes)
    pages = (places - 1 + PAGE_WORDS - 1) >> PAGE_SHIFT
    for tile in range(first, last):
        row = counters[tile]
        flow_one = flow_two = 0  # executions that go on to this place, and to the next
        for page in range(pages):
            if not _may_have_run(row[TOUCHED], page):
                flow_one = flow_two = 0
                continue
            for place in range(page << PAGE_SHIFT, min((page + 1) << PAGE_SHIFT, places - 1)):
                ran = row[EXECUTIONS + place] + flow_one
                row[EXECUTIONS + place] = 0
                flow_one = flow_two
                flow_two = 0
                if ran != 0:
                    totals[0, place] += ran
                    by_kind[kinds[place]] += ran
                    if sizes[place] == 2:
                        flow_two = ran
                    else:
                        flow_one += ran
                _take(row, 1, place, places, totals)
        row[EXECUTIONS + places - 1] = 0
        _take(row, 1, places - 1, places, totals)
        _add_work(by_kind, work, done[tile])
        for page in range(pages):
            if _may_have_run(row[TOUCHED_SUPERVISOR], page):
                for place in range(page << PAGE_SHIFT, min((page + 1) << PAGE_SHIFT, places - 1)):
                    ran = _take(row, 2, place, places, totals)
                    if ran != 0:
                        by_kind[own_kinds[place]] += ran
        _take(row, 2, places - 1, places, totals)
        _add_work(by_kind, own_work, done[tile])
        row[TOUCHED] = 0
        row[TOUCHED_SUPERVISOR] = 0


@jit(inline=True)
def _may_have_run(touched, page):
    """Whether places of a page may have been counted: it ran, or the one before, where a run may end behind it."""
    return (touched >> (page & 63) | touched >> ((page - 1) & 63)) & 1 != 0


@jit(inline=True)
def _take(row, part, place, places, totals):
    """Add the count of a place in a part of a tile's counters to the total, and clear it; the count."""
    position = EXECUTIONS + part * places + place
    count = row[position]
    if count != 0:
        totals[part, place] += count
        row[position] = 0
    return count


@jit(leaf=True)
def _add_work(by_kind, work, done):
    """Add the work of so many instructions of each kind, and clear their counts."""
    for kind in range(len(by_kind)):
        count = by_kind[kind]
        if count != 0:
            for column in range(work.shape[1]):
                done[column] += count * work[kind, column]
            by_kind[kind] = 0

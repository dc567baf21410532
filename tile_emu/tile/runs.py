"""Straight runs: how the loops count executions at the price of an addition for each jump, and what comes of it.

A run is what a worker executes from one jump to the next. It counts +1 at its first instruction and -1 behind its last;
the passes of a repeat beyond the first are a run that is counted as often at once. How often an instruction was
executed is then the sum of what was counted at it and of the executions of those it follows in memory.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from tile_emu.jit import jit
from tile_emu.tile.layout import EXECUTION_PARTS, EXECUTIONS, PC, REPEAT_END, REPEAT_FIRST, REPEAT_LEFT


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
def take_executions(counters, places, sizes, executions):
    """Executions of each instruction from the runs of all tiles; the runs are cleared.

    counters: int64[tiles, ...]; places: int64[n], ascending, all that were counted; sizes: in words, of the
    instruction at each place, int64[words + 1]; executions: int64[tiles, n], the result. The last place is always 0.
    """
    for tile in range(len(counters)):
        flow_one = flow_two = 0  # executions that go on to this place, and to the next
        previous = -2
        for i in range(len(places)):
            place = places[i]
            if place != previous + 1:
                flow_one = flow_two = 0
            previous = place
            ran = counters[tile, EXECUTIONS + place] + flow_one
            counters[tile, EXECUTIONS + place] = 0
            flow_one = flow_two
            flow_two = 0
            if sizes[place] == 2:
                flow_two = ran
            elif sizes[place] == 1:
                flow_one += ran
            else:
                ran = 0
            executions[tile, i] = ran

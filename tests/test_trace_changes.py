"""What a trace says each step changed is what the debugger sees between a context's steps, for random programs."""

from __future__ import annotations

import random

import pytest

from tests.differential.batch import Batch, Registers, label_of
from tests.differential.programs import Composer
from tile_emu.errors import TileFault
from tile_emu.tile import layout
from tile_emu.tile.debug import Debugger
from tile_emu.tile.trace import Trace, next_context

PROGRAMS = 96
MOST_STEPS = 2000


@pytest.fixture(scope="module")
def batch() -> Batch:
    composer = Composer(11)
    return Batch([composer.program(number) for number in range(PROGRAMS)], 11)


def prepare(batch: Batch, program: int) -> dict[str, object]:
    """Put a batch's tile into a program's random state, the same each time; what a worker run takes."""
    batch.rng = random.Random(program)
    batch.renew_tile()
    for number in range(layout.WORKERS):
        batch.set_worker(number, Registers.draw(batch.rng))
    state = Registers.draw(batch.rng)
    batch.set_launch(state, True)
    if batch.programs[program].supervised:
        return {"m": dict(enumerate(state.m[:10]))}
    return {"vertex_base": state.bases[1], "workers": [program % layout.WORKERS]}


def traced(batch: Batch, program: int) -> Trace:
    where = prepare(batch, program)
    run = batch.tile.run_supervisor if "m" in where else batch.tile.run_workers
    return run(batch.image.labels[label_of(program)], **where, trace=True).trace()


def stepped(batch: Batch, program: int) -> list[tuple[int, dict[str, int]]]:
    """Context and its registers before every step, and those of each context at the end."""
    where = prepare(batch, program)
    debugger = Debugger(batch.tile)
    start = debugger.start_supervisor if "m" in where else debugger.start_workers
    stop = start(batch.image.labels[label_of(program)], **where)
    seen = []
    while stop.reason != "ended" and len(seen) < MOST_STEPS:
        context = next_context(batch.tile.arrays) if "m" in where else where["workers"][0]
        seen.append((context, debugger.registers(context)))
        stop = debugger.step(1)
    ends = [(context, debugger.registers(context)) for context in range(layout.CONTEXTS)]
    return seen + ends if stop.reason == "ended" else []


def test_changes_of_every_step(batch: Batch) -> None:
    compared = changed = 0
    for program in range(PROGRAMS):
        try:
            trace = traced(batch, program)
        except TileFault:
            continue
        seen = stepped(batch, program)
        if not seen:
            continue
        assert len(trace) == len(seen) - layout.CONTEXTS
        for i, entry in enumerate(trace):
            context, before = seen[i]
            after = next(registers for other, registers in seen[i + 1 :] if other == context)
            expected = tuple(f"{r} {before[r]:#x} -> {after[r]:#x}" for r in before if before[r] != after[r])
            assert entry.changes == expected, (program, i, entry.text)
            compared += 1
            changed += len(expected)
    assert compared > 1000 and changed > 1000

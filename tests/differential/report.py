"""A program on which emulator and oracle disagree: shortened, then printed as assembly with its seed."""

from __future__ import annotations

import re
from typing import Any

from tests.differential.batch import Batch, Mismatch, label_of
from tests.differential.written import Line, Program, lay_out


def kind_of(what: str) -> str:
    """What a disagreement is about, without numbers: a shortened program must show the same one."""
    return re.sub(r"0x[0-9a-f]+|\d+", "", what if what.startswith("fault") else what.partition(" emulator")[0])


def disagreement(program: Program, seed: int, **options: Any) -> str:
    """What the machines disagree about when only this program runs, with the state of ``seed``; else empty."""
    try:
        found = Batch([program], seed, **options).run()
    except Exception:  # a cut program may branch to a label that is gone, run on into nothing, or never end
        return ""
    return found[0].what if found else ""


def shortened(program: Program, what: str, seeds: range, **options: Any) -> tuple[Program, int, str]:
    """The program without lines that the disagreement ``what`` does not need, and a state in which it shows."""
    kind = kind_of(what)
    seed = next((s for s in seeds if kind_of(disagreement(program, s, **options)) == kind), None)
    if seed is None:
        return program, -1, "only together with the programs before it"
    lines = list(program.lines)
    changed = True
    while changed:
        changed = False
        for i in range(len(lines) - 2, -1, -1):
            for simpler in _simpler(lines, i):
                if kind_of(disagreement(Program(simpler, program.supervised), seed, **options)) == kind:
                    lines, changed = simpler, True
                    break
    short = Program(lines, program.supervised, program.seed)
    return short, seed, disagreement(short, seed, **options)


def _simpler(lines: list[Line], i: int) -> list[list[Line]]:
    """The program without line i, or with one half of it."""
    line = lines[i]
    halves = [Line((written,), line.label, line.align_end) for written in line.instructions]
    return [lines[:i] + lines[i + 1 :]] + [[*lines[:i], half, *lines[i + 1 :]] for half in halves if len(halves) == 2]


def printed(mismatch: Mismatch, shorten: bool = True, **options: Any) -> str:
    """Assembly of the program and what differs; ``options`` of the emulated tile."""
    program, state, what = mismatch.program, -1, mismatch.what
    if shorten:
        program, state, alone = shortened(program, what, range(200), **options)
        what += f"\n# alone, in state {state}: {alone}"
    text = lay_out([[Line(label=label_of(0)), *program.lines]]).exact
    mode = ".supervisor" if program.supervised else ".worker"
    return "\n".join([f"# program {program.seed} ({mode[1:]}): {what}", mode, *text])

"""Assembler and disassembler speed; ``extra_info`` holds lines per second."""

from __future__ import annotations

import random
from typing import Any

from tile_emu.asm import assemble, disassemble
from tile_emu.isa.table import table

KERNEL = """
    .align 8
1:
    ld32 $m0, $mvertex_base, $mzero, 3
    add $m1, $m0, 12
    {rpt $m0, ((2f-1f)/8)-1; fnop}
1:
    { ld2x64pace $a0:1, $a2:3, $m2:3+=, $mzero, 0b0000
      f16v4sisoamp $a4:5, $a6:7, $azeros, TAMP_F16V4_E4_P0 }
    { ldst64pace $a0:1, $a4:5, $m2:3+=, $mzero, 0b0100 ; f16v4sisoamp $a4:5, $a0:1, $a2:3, TAMP_F16V4_E4_P1 }
2:  brnzdec $m5, 1b  // next row
"""
REPEATS = 500


def _report(benchmark: Any, lines: int) -> None:
    if benchmark.stats is not None:
        benchmark.extra_info["lines_per_second"] = round(lines / benchmark.stats.stats.median)


def test_assemble_kernel_text(benchmark: Any) -> None:
    text = KERNEL * REPEATS
    code = benchmark(assemble, text=text)
    assert len(code.words) == 10 * REPEATS - 1
    _report(benchmark, text.count("\n"))


def test_assemble_every_form(benchmark: Any) -> None:
    rng = random.Random(1)
    forms = [form for form in table().of_mode("worker") for _ in range(10)]
    words = [(rng.getrandbits(32) & ~form.mask | form.match) & 0x7FFFFFFF for form in forms]
    lines = disassemble(words, round_trip=True)
    text = ".allow_invalid_repeat\n" + "\n".join(lines)
    code = benchmark(assemble, text=text)
    assert code.words.tolist() == words
    _report(benchmark, len(lines))


def test_disassemble(benchmark: Any) -> None:
    code = assemble(text=KERNEL * REPEATS)
    lines = benchmark(disassemble, code.words)
    assert len(lines) == 7 * REPEATS - 1
    _report(benchmark, len(lines))

"""Assembler and disassembler, lines (instructions) per second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tile_emu.asm import assemble, disassemble


def source(instructions: int) -> str:
    """Worker code of every common shape: single instructions, bundles, loads, a branch back."""
    block = [
        "ld32 $m0, $m1, $mzero, 0",
        "{ add $m2, $m2, 8",
        "  f32add $a0, $a1, $a2 }",
        "setzi $m3, 0x4d000",
        "st32 $m0, $m3, $mzero, 2",
    ]
    repeats = instructions // len(block)
    return "\n".join([".worker", "start:", *(block * repeats), "brnzdec $m5, start"])


def test_assemble_lines(benchmark: Any, rate: Callable[[float, str], None]) -> None:
    text = source(2000)
    code = benchmark.pedantic(assemble, kwargs={"text": text}, rounds=5, warmup_rounds=1)
    assert len(code.words) == 2001
    rate(text.count("\n") + 1, "lines")


def test_disassemble_words(benchmark: Any, rate: Callable[[float, str], None]) -> None:
    words = assemble(text=source(2000)).words
    lines = benchmark.pedantic(disassemble, (words,), rounds=5, warmup_rounds=1)
    rate(len(lines), "lines")

"""What each instruction does: one semantic function per mnemonic, collected in ``SEMANTICS``."""

from tile_emu.isa.semantics import (
    accumulators,
    amp,
    classify,
    control,
    float8,
    floating,
    integer,
    memory,
    randomness,
    slic,
    transcendental,
    transpose,
)
from tile_emu.isa.semantics.registry import SEMANTICS, Semantic, Shape

__all__ = [
    "SEMANTICS",
    "Semantic",
    "Shape",
    "accumulators",
    "amp",
    "classify",
    "control",
    "float8",
    "floating",
    "integer",
    "memory",
    "randomness",
    "slic",
    "transcendental",
    "transpose",
]

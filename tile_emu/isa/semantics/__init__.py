"""What each instruction does: one semantic function per mnemonic, collected in ``SEMANTICS``."""

from tile_emu.isa.semantics import accumulators, amp, control, floating, integer, memory
from tile_emu.isa.semantics.registry import SEMANTICS, Semantic, Shape

__all__ = ["SEMANTICS", "Semantic", "Shape", "accumulators", "amp", "control", "floating", "integer", "memory"]

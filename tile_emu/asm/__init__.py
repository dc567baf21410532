"""Assembler and disassembler of tile code.

``assemble`` turns sources into placed code, ``disassemble`` turns words into text. The text form is that of the
vendor's assembler; ``sendpicp`` is written with its inline word as two further operands,
``sendpicp c, addr, ctl, ps, xpic, pic`` (or with four operands and a ``.word`` after it).
"""

from tile_emu.asm.code import Code
from tile_emu.asm.disassembler import disassemble, disassemble_one, disassemble_source
from tile_emu.asm.driver import assemble, assemble_units
from tile_emu.asm.link import LinkError, link, merge

__all__ = [
    "Code",
    "LinkError",
    "assemble",
    "assemble_units",
    "disassemble",
    "disassemble_one",
    "disassemble_source",
    "link",
    "merge",
]

"""Loops of tile code that the benchmarks run, each on one worker (or the supervisor) of one tile.

Every result is used, so that a translator has nothing to leave out. Data lies at 0x80000, vertex state nowhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tile_emu.asm import assemble
from tile_emu.isa.semantics import SEMANTICS
from tile_emu.tile import Run, Tile

INTEGER = """
.worker
.globl start
start:
    setzi $m0, 60000
    shl $m0, $m0, 3
loop:
    add $m1, $m1, $m7
    xor $m2, $m2, $m1
    shl $m3, $m1, 2
    and $m4, $m3, $m2
    add $m5, $m5, $m3
    sub $m6, $m5, $m4
    or $m7, $m6, $m2
    brnzdec $m0, loop
    exitz $m15
"""

BRANCHY = """
.worker
.globl start
start:
    setzi $m0, 60000
    shl $m0, $m0, 3
loop:
    add $m1, $m1, 1
    and $m2, $m1, 3
    brz $m2, even
    add $m3, $m3, $m1
    bri next
even:
    xor $m3, $m3, $m1
next:
    brnzdec $m0, loop
    exitz $m15
"""

LOADS = """
.worker
.globl start
start:
    setzi $m9, 600
    setzi $m1, 0x80000
    setzi $m8, 1000
outer:
    setzi $m2, 0
    mov $m3, $m8
loop:
    ld32 $m4, $m1, $m2, 0
    add $m5, $m5, $m4
    st32step $m5, $m1, $m2+=, 1
    brnzdec $m3, loop
    brnzdec $m9, outer
    exitz $m15
"""

_REPEATED = """
.worker
.globl start
.align 8
start:
    setzi $m9, {outer}
    setzi $m8, {inner}
    setzi $m0, 0x80000
    setzi $m1, 0x90000
    setzi $m2, 0xa0008
    nop
outer:
    tapack $m4:5, $m0, $m1, $m2
    .align 8
    {{rpt $m8, {last} ; fnop}}
{body}
    brnzdec $m9, outer
    exitz $m15
"""


def repeated(body: str, outer: int = 500, inner: int = 1000) -> str:
    """A program that runs some bundles, one a line, inner times outer times; $m4:5 point into data."""
    bundles = [line for line in body.splitlines() if line.strip()]
    return _REPEATED.format(outer=outer, inner=inner, last=len(bundles) - 1, body="\n".join(bundles))


def _elementwise(kind: str) -> str:
    return repeated(f"""
    {{ldst64pace $a0:1, $a2:3, $m4:5+=, $m15, 0 ; {kind}add $a2:3, $a0:1, $a4:5}}
    {{ldst64pace $a0:1, $a2:3, $m4:5+=, $m15, 0 ; {kind}mul $a2:3, $a0:1, $a4:5}}
""")


F16V4 = _elementwise("f16v4")
F32V2 = _elementwise("f32v2")

TRANSCENDENTAL = repeated(
    """
    {nop ; f32tanh $a0, $a1}
    {nop ; f32exp $a1, $a0}
    {nop ; f32ln $a2, $a1}
    {nop ; f32sigm $a1, $a2}
""",
    outer=100,
)

AMP_F16 = repeated("""
    {ld2xst64pace $a0:3, $a4:5, $m4:5+=, $m15, 0 ; f16v4hihov4amp $a4:5, $a0:1, $a2:3, TAMP_F16V4_E4_P0}
    {ld2xst64pace $a0:3, $a6:7, $m4:5+=, $m15, 0 ; f16v4hihov4amp $a6:7, $a0:1, $a2:3, TAMP_F16V4_E4_P1}
    {ld2xst64pace $a0:3, $a4:5, $m4:5+=, $m15, 0 ; f16v4hihov4amp $a4:5, $a0:1, $a2:3, TAMP_F16V4_E4_P2}
    {ld2xst64pace $a0:3, $a6:7, $m4:5+=, $m15, 0 ; f16v4hihov4amp $a6:7, $a0:1, $a2:3, TAMP_F16V4_E4_P3}
""")

AMP_F32 = repeated(
    "\n".join(
        f"    {{ld2xst64pace $a0:3, $a{4 + phase % 2 * 2}:{5 + phase % 2 * 2}, $m4:5+=, $m15, 0 ; "
        f"f32sisov2amp $a{4 + phase % 2 * 2}:{5 + phase % 2 * 2}, $a2, $a0:1, TAMP_F32_E4_P{phase}}}"
        for phase in range(8)
    )
)

SLIC_F16 = repeated("""
    {ld2xst64pace $a0:3, $a4:5, $m4:5+=, $m15, 0 ; f16v4hihov4slic $a4:5, $a0:1, $a2:3, TSLIC_F16V4_1x4_W0}
    {ld2xst64pace $a0:3, $a6:7, $m4:5+=, $m15, 0 ; f16v4hihov4slic $a6:7, $a0:1, $a2:3, TSLIC_F16V4_1x4_W0}
""")

WEIGHTS = (
    """
.supervisor
.globl start
start:
    setzi $m0, 60000
loop:
    setzi $m1, 0x80000
    put $CCCSLOAD, $m1
"""
    + "".join(f"    ld128putcs {slot}\n" for slot in range(0, 64, 2))
    + """
    brnzdec $m0, loop
    br $m10
"""
)


class Program(NamedTuple):
    """A loop and what a turn of it does beside instructions."""

    text: str
    unit: str = "instructions"
    amount: float = 1  # of the unit, by a turn (of a supervisor: by an instruction)
    reference: str = "integer"  # what it is set against: a name in reference.REFERENCES
    supervisor: bool = False


def _macs(mnemonic: str, text: str) -> Program:
    return Program(text, "MAC", int(SEMANTICS[mnemonic].attributes["macs"]), "sgemm")


PROGRAMS = {
    "integer": Program(INTEGER),
    "branches": Program(BRANCHY),
    "loads and stores": Program(LOADS),
    "f16v4": Program(F16V4),
    "f32v2": Program(F32V2),
    "f32 transcendental": Program(TRANSCENDENTAL),
    "AMP f16": _macs("f16v4hihov4amp", AMP_F16),
    "AMP f32": _macs("f32sisov2amp", AMP_F32),
    "SLIC f16": _macs("f16v4hihov4slic", SLIC_F16),
    "weights": Program(WEIGHTS, "bytes", 16, "memcpy", supervisor=True),
}


def prepared(program: Program, engine: str) -> Tile:
    """A tile with the program, data and weights, on which it has run once: everything is compiled."""
    tile = Tile("ipu21", engine=engine)
    tile.load(assemble(text=program.text))
    rng = np.random.default_rng(1)
    tile.write(0x80000, rng.standard_normal(180_000).astype(np.float16))
    tile.set_cwei(rng.standard_normal((64, 4)).astype(np.float16).view(np.uint16))
    run(tile, program)
    return tile


def run(tile: Tile, program: Program) -> Run:
    """One run of a prepared tile's program."""
    if program.supervisor:
        return tile.run_supervisor("start")
    return tile.run_workers("start", workers=[0])

"""Interpreter loops on one core: instructions/s and, for AMP, MAC/s, each set against a fixed compiled integer loop.

Each program runs on one worker of one tile, counters on, as any codelet does.
"""

import numpy as np
import pytest

from benchmarks.reference import integer_rate
from tile_emu.asm import assemble
from tile_emu.tile import Tile

ALU = """
.worker
.globl start
start:
    setzi $m0, 60000
    shl $m0, $m0, 5
loop:
    add $m1, $m1, 3
    xor $m2, $m2, $m1
    shl $m3, $m1, 2
    and $m4, $m3, $m2
    add $m5, $m4, $m3
    sub $m6, $m5, $m1
    or $m7, $m6, $m2
    brnzdec $m0, loop
    exitz $m15
"""

F16V4 = """
.worker
.globl start
.align 8
start:
    setzi $m9, 2000
    setzi $m8, 1000
    setzi $m0, 0x80000
    setzi $m2, 0xa0008
outer:
    tapack $m4:5, $m0, $m15, $m2
    .align 8
    {rpt $m8, 1 ; fnop}
    {ldst64pace $a0:1, $a2:3, $m4:5+=, $m15, 0 ; f16v4add $a2:3, $a0:1, $a4:5}
    {ldst64pace $a0:1, $a2:3, $m4:5+=, $m15, 0 ; f16v4mul $a2:3, $a0:1, $a4:5}
    brnzdec $m9, outer
    exitz $m15
"""

AMP = """
.worker
.globl start
.align 8
start:
    setzi $m0, 0x80000
    setzi $m1, 0x90000
    setzi $m2, 0xa0008
    setzi $m9, 1500
    setzi $m8, 1000
    nop
outer:
    tapack $m4:5, $m0, $m1, $m2
    .align 8
    {rpt $m8, 3 ; fnop}
    {ld2xst64pace $a0:3, $a4:5, $m4:5+=, $m15, 0 ; f16v4hihov4amp $a4:5, $a0:1, $a2:3, TAMP_F16V4_E4_P0}
    {ld2xst64pace $a0:3, $a6:7, $m4:5+=, $m15, 0 ; f16v4hihov4amp $a6:7, $a0:1, $a2:3, TAMP_F16V4_E4_P1}
    {ld2xst64pace $a0:3, $a4:5, $m4:5+=, $m15, 0 ; f16v4hihov4amp $a4:5, $a0:1, $a2:3, TAMP_F16V4_E4_P2}
    {ld2xst64pace $a0:3, $a6:7, $m4:5+=, $m15, 0 ; f16v4hihov4amp $a6:7, $a0:1, $a2:3, TAMP_F16V4_E4_P3}
    brnzdec $m9, outer
    exitz $m15
"""

AMP_MACS = 64  # per f16v4hihov4amp


def _tile(text: str) -> Tile:
    tile = Tile("ipu21")
    tile.load(assemble(text=text))
    rng = np.random.default_rng(1)
    tile.write(0x80000, rng.standard_normal(180_000).astype(np.float16))
    tile.set_cwei(rng.standard_normal((64, 4)).astype(np.float16).view(np.uint16))
    tile.run_workers("start", workers=[0])
    return tile


@pytest.mark.parametrize(("name", "text"), [("alu", ALU), ("f16v4", F16V4), ("amp", AMP)])
def test_interpreter(benchmark, name, text):
    tile = _tile(text)
    run = benchmark.pedantic(lambda: tile.run_workers("start", workers=[0]), rounds=5, warmup_rounds=1)
    seconds = benchmark.stats.stats.min
    bundles = run.turns[0] / seconds
    benchmark.extra_info["bundles/s"] = f"{bundles:.3g}"
    benchmark.extra_info["instructions/s"] = f"{run.instructions / seconds:.3g}"
    benchmark.extra_info["bundles per reference operation"] = f"{bundles / integer_rate():.3g}"
    if name == "amp":
        benchmark.extra_info["MAC/s"] = f"{AMP_MACS * bundles:.3g}"
    print(f"\n{name}: {dict(benchmark.extra_info)}")

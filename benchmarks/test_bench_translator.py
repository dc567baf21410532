"""Loops of worker code on one core, interpreted and translated: instructions/s, MAC/s, bytes/s, each set against what
the same core does in the same run (a fixed integer loop, NumPy's SGEMM, a copy).

Rates count processor time, which a busy machine disturbs less than wall time. Each program runs on one worker of one
tile, counters on.
"""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
import pytest

from benchmarks.reference import integer_rate, memcpy_rate, sgemm_mac_rate
from benchmarks.test_bench_interpreter import AMP, AMP_MACS, F16V4
from tile_emu.asm import assemble
from tile_emu.tile import Tile

# Every result is used: a chain through all seven registers.
INTEGER = """
.worker
.globl start
start:
    setzi $m0, 60000
    shl $m0, $m0, 5
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
    shl $m0, $m0, 5
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
    setzi $m9, 2000
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

F32V2 = F16V4.replace("f16v4", "f32v2")

PROGRAMS = {
    "integer": INTEGER, "branches": BRANCHY, "loads and stores": LOADS, "f16v4": F16V4, "f32v2": F32V2, "amp f16": AMP,
}  # fmt: skip
BYTES = {"loads and stores": 8 / 4, "f16v4": 16, "f32v2": 16}  # a turn

reference = functools.cache(lambda: (integer_rate(), sgemm_mac_rate(), memcpy_rate()))


def _tile(text: str, engine: str) -> Tile:
    tile = Tile("ipu21", engine=engine)
    tile.load(assemble(text=text))
    rng = np.random.default_rng(1)
    tile.write(0x80000, rng.standard_normal(180_000).astype(np.float16))
    tile.set_cwei(rng.standard_normal((64, 4)).astype(np.float16).view(np.uint16))
    tile.run_workers("start", workers=[0])
    return tile


@pytest.mark.parametrize("engine", ["interpreter", "translator"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_loop(benchmark: Any, name: str, engine: str) -> None:
    tile = _tile(PROGRAMS[name], engine)
    spent: list[float] = []

    def once() -> Any:
        began = time.process_time()
        run = tile.run_workers("start", workers=[0])
        spent.append(time.process_time() - began)
        return run

    run = benchmark.pedantic(once, rounds=5, warmup_rounds=1)
    assert (tile.arrays.units.turns > 0) == (engine == "translator")
    seconds = min(spent)
    integer, sgemm, memcpy = reference()
    note = benchmark.extra_info
    note["M instructions/s"] = round(run.instructions / seconds / 1e6, 1)
    note["instructions per reference operation"] = round(run.instructions / seconds / integer, 4)
    if name == "amp f16":
        macs = AMP_MACS * run.turns[0] / seconds
        note["G MAC/s"] = round(macs / 1e9, 2)
        note["share of SGEMM"] = round(macs / sgemm, 3)
    if name in BYTES:
        note["share of memcpy"] = round(BYTES[name] * run.turns[0] / seconds / memcpy, 3)

"""What the machine counts, against figures worked out by hand from the programs below."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kernels.contraction.problem import OPERAND_DTYPE
from kernels.contraction.run import plan_and_lower, silent
from kernels.matmul import matmul_choices
from tile_emu.asm import assemble
from tile_emu.chips import load_chip
from tile_emu.errors import TileFault
from tile_emu.graph import Codelet, Graph, Pointer
from tile_emu.isa.table import table
from tile_emu.isa.work import WORK, work_of
from tile_emu.machine import Machine
from tile_emu.profile import Recording
from tile_emu.tile import Tile, layout
from tile_emu.tile.counting import ExecutionCounter

PROGRAM = """
.supervisor
.globl work
work:
    setzi $m2, worker
    runall $m2, $m0, 0
    sync 2
    br $m10
.worker
worker:
    ld32 $m0, $mvertex_base, $mzero, 0
    ld32 $m1, $mvertex_base, $mzero, 1
    ld64 $a0:1, $m0, $mzero, 0
    setzi $a6, 0
    setzi $a7, 0
    rpt $m1, 0
    { ld64 $a2:3, $m0, $mzero, 0 ; f16v4add $a4:5, $a0:1, $a2:3 }
    f32div $a2, $a0, $a1
    f32exp $a3, $a6
    f32v2add $a6:7, $a6:7, $a2:3
    st64 $a6:7, $m0, $mzero, 1
    exitz $mzero
"""
COUNTS = (5, 0x30)  # loops of the vertex on tile 1; tile 2 has both of these


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Tile 0 idle, tile 1 a vertex of 5 rounds, tile 2 one of 5 and one of 48."""
    source: Path = tmp_path_factory.mktemp("counting") / "work.S"
    source.write_text(PROGRAM)
    chip = load_chip("bow")
    graph = Graph(chip, 3)
    codelet = Codelet("work", source, "work", ("data", "count"))
    data = graph.variable("data", [1, 2], [16, 16])
    graph.tensor("data", (8,), np.float32, data)
    compute = graph.execute("compute")
    compute.add(codelet, [1, 2], data=Pointer(data, [0, 1]), count=COUNTS[0])
    compute.add(codelet, [2], data=Pointer(data, [1]), count=COUNTS[1])
    machine = Machine(chip, 3, 1)
    machine.load(graph.lower())
    machine.write_tensor("data", np.array([3, 7, 0, 0, 3, 7, 0, 0], np.float32))
    return machine.run()


def test_turns_of_each_worker(recording: Recording) -> None:
    # 11 instructions beside the loop; f32div 3 turns (3 / 7 is not trivial), f32exp 3 turns: 4 beyond their first.
    turns = [0, 11 + 5 + 4, (11 + 5 + 4) + (11 + 48 + 4)]
    assert recording.worker_turns[0].tolist() == [[n] * 6 for n in turns]
    assert recording.turns[0].tolist() == [6 * n for n in turns]
    assert recording.launches[0].tolist() == [0, 1, 2]


def test_work(recording: Recording) -> None:
    loops = np.array([0, 5, 53])  # by each worker
    vertices = np.array([0, 1, 2])
    assert recording.f16_operations[0].tolist() == (6 * 4 * loops).tolist()
    # a division, an exponential and a pair of sums
    assert recording.f32_operations[0].tolist() == (6 * 4 * vertices).tolist()
    assert recording.bytes_loaded[0].tolist() == (6 * (16 * vertices + 8 * loops)).tolist()
    assert recording.bytes_stored[0].tolist() == (6 * 8 * vertices).tolist()
    assert not recording.macs.any() and not recording.amp.any() and not recording.slic.any()


def test_executions_by_word(recording: Recording) -> None:
    # 4 words of supervisor, 6 to the repeat, then the bundle of two words.
    workers = recording.executions[0]
    assert recording.supervisor_executions[0, :4].tolist() == [3, 3, 3, 3]
    assert workers[:4].tolist() == [0, 0, 0, 0]
    assert workers[4:10].tolist() == [18] * 6
    assert workers[10:12].tolist() == [6 * 58, 0]  # a bundle counts where it begins
    assert workers[12:17].tolist() == [18] * 5
    assert recording.extra_turns[0, 12:14].tolist() == [2 * 18, 2 * 18]
    assert recording.extra_turns[0].sum() == 4 * 18
    # Everything else a supervisor does lies behind the code that all tiles share.
    assert recording.supervisor_executions[0].sum() == recording.supervisor_instructions.sum()


def test_executions_account_for_all_turns(recording: Recording) -> None:
    assert recording.executions.sum() + recording.extra_turns.sum() == recording.turns.sum()


def test_runs_of_workers(recording: Recording) -> None:
    """Fewer tiles than the sample has: all of them. A worker's first turn is in its own slot of six cycles."""
    runs = recording.worker_runs
    assert runs[:, 1].tolist() == [1] * 6 + [2] * 12
    assert runs[:, 2].tolist() == 3 * [0, 1, 2, 3, 4, 5]
    assert runs[:, 4].tolist() == 12 * [20] + 6 * [63]
    start = runs[:, 3].reshape(3, 6)
    assert all(sorted(row % 6) == [0, 1, 2, 3, 4, 5] for row in start)
    # The second vertex begins after the first one's last turn, and the tile arrives after the second one's.
    assert start[2].min() > (start[1] + 6 * 19).max()
    assert recording.finish[2] > (start[2] + 6 * 62).max()


@pytest.mark.parametrize("dtype", ["f16", "f32"])
def test_a_product_is_accounted_for(dtype: str) -> None:
    """Counts that are taken in two ways agree, and the work is at least that of the mathematics."""
    a = np.ones((50, 40), np.float32)
    image = plan_and_lower(matmul_choices(50, 40, 30, dtype), load_chip("bow"), silent, tiles=12)[1]
    machine = Machine("bow", image.tiles, 1)
    machine.load(image)
    for name, array in (("a", a), ("b", a.T[:, :30])):
        machine.write_tensor(name, array.astype(OPERAND_DTYPE[dtype]))
    recording = machine.run()
    counters = machine.arrays.counters
    assert recording.amp.sum(axis=0).tolist() == counters[:, layout.COUNT_AMP].tolist()
    assert np.array_equal(recording.worker_turns.sum(axis=2), recording.turns)
    assert recording.executions.sum() + recording.extra_turns.sum() == recording.turns.sum()
    assert recording.supervisor_executions.sum() == recording.supervisor_instructions.sum()
    assert recording.macs.sum() >= 50 * 40 * 30
    operations = recording.f16_operations if dtype == "f16" else recording.f32_operations
    assert operations.sum() >= 2 * recording.macs.sum()
    # An AMP instruction is the aux half of a bundle or stands alone: one a turn at most.
    assert (recording.amp <= recording.turns).all()


# Operations by hand, from what each instruction computes.
@pytest.mark.parametrize(
    ("mnemonic", "expected"),
    [
        ("f16v4hihov4amp", {"amp": 1, "macs": 64, "f16_operations": 128}),
        ("f32sisov2amp", {"amp": 1, "macs": 16, "f32_operations": 32}),
        ("f16v4sisoslic", {"slic": 1, "macs": 32, "f16_operations": 64}),
        ("f32sisoslic", {"slic": 1, "macs": 8, "f32_operations": 16}),
        ("f32v2aop", {"f32_operations": 8}),
        ("f32v2axpy", {"f32_operations": 4}),
        ("f16v4mix", {"f16_operations": 12}),
        ("f16v4cmac", {"f16_operations": 8}),
        ("f16v4sum", {"f16_operations": 2}),
        ("f16v8sqacc", {"f16_operations": 16}),
        ("f32add", {"f32_operations": 1}),
        ("f32v2tof16", {}),
        ("f16v4class", {}),
        ("add", {}),
        ("ld2xst64pace", {"bytes_loaded": 16, "bytes_stored": 8}),
        ("ld64b16pace", {"bytes_loaded": 10}),
        ("ldd16a64", {"bytes_loaded": 10}),
        ("ld64a32", {"bytes_loaded": 12}),
        ("ld128step", {"bytes_loaded": 16}),
        ("stm32", {"bytes_stored": 4}),
        ("ld128putcs", {"bytes_loaded": 16}),
        ("sort8", {}),
    ],
)
def test_work_of_one_instruction(mnemonic: str, expected: dict[str, int]) -> None:
    for form in table().by_mnemonic[mnemonic]:
        found = dict(zip(WORK, work_of(form)))
        assert {name: count for name, count in found.items() if count} == expected


JUMPS = """
.worker
.globl start
start:
    setzi $m0, 3
    setzi $m2, 0x80000
.align 8
again:
    {rpt $m0, 1 ; fnop}
    {add $m1, $m1, 1 ; fnop}
    {shl $m3, $m1, 1 ; fnop}
    setzi $m4, 0
.align 8
    {rpt $m4, 0 ; fnop}
    {nop ; fnop}
    {rpt $m0, 0 ; fnop}
    {add $m5, $m5, 1 ; fnop}
    brz $m4, skipped
    nop
skipped:
    call $m6, within
    brnzdec $m0, again
    bri last
.fill 61, 4, 0
.align 8
last:
    setzi $m0, 9
    nop
    {rpt $m0, 1 ; fnop}
    {add $m2, $m2, $m9 ; fnop}
    {ld32 $m7, $m2, $mzero, 0 ; fnop}
    exitz $mzero
.align 8
within:
    {or $m8, $mzero, 0 ; mov $a0, $a1}
    br $m6
"""
COUNTED_WORDS = 256


def jumping(engine: str, trace: bool) -> tuple[Tile, int]:
    """A tile of which worker 0 ran JUMPS until the load in its last repeat left memory, and where that load is."""
    image = assemble(text=JUMPS)
    tile = Tile("ipu21", engine=engine)
    tile.load(image)
    tile.arrays.count_words(COUNTED_WORDS)
    tile.mrf[0, 9] = 0x10000
    with pytest.raises(TileFault, match="INVALID_ADDR"):
        tile.run_workers("start", workers=[0], trace=trace)
    return tile, int(tile.arrays.progress[0, 0, layout.PC])


@pytest.mark.parametrize("engine", ["interpreter", "translator"])
def test_executions_are_those_of_the_trace(engine: str) -> None:
    """Repeats of many, one and no passes, a call, a page left, a fault inside a pass."""
    tile, stopped = jumping(engine, trace=False)
    base = tile.chip.memory.base
    code = tile.read(base, "uint32", COUNTED_WORDS)
    counts = ExecutionCounter(tile.chip.architecture, code).take(tile.arrays.counters).executions
    found = {base + 4 * int(word): int(counts[word]) for word in np.flatnonzero(counts)}
    traced, place = jumping("interpreter", trace=True)
    assert traced._tracer is not None and place == stopped
    *done, faulted = (entry.address for entry in traced._tracer.trace())
    assert found == Counter(done) and faulted == stopped
    # 0x80000 + 7 * 0x10000 is the first address outside: the seventh pass stops before its load.
    assert found[stopped - 8] == 7 and found[stopped] == 6
    assert ExecutionCounter(tile.chip.architecture, code).take(tile.arrays.counters).executions.sum() == 0


@pytest.mark.parametrize("before", range(56, 66))
def test_a_repeat_about_the_end_of_a_page(before: int) -> None:
    """Wherever the end of a decoded page lies: before the repeat, behind it, in its body or behind that."""
    lines = ["setzi $m0, 5", *["add $m1, $m1, 1"] * before, ".align 8", "{rpt $m0, 1 ; fnop}"]
    lines += ["{add $m2, $m2, 1 ; fnop}", "{add $m3, $m3, $m2 ; fnop}", "st32 $m2, $m4, $mzero, 0", "exitz $mzero"]
    tile = Tile("ipu21", engine="interpreter")
    tile.load(assemble(text="\n".join([".worker", ".globl start", "start:", *lines])))
    tile.mrf[0, 4] = 0x80000
    tile.run_workers("start", workers=[0])
    assert tile.mrf[0, 1:4].tolist() == [before, 5, 15]

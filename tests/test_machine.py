"""All tiles together: different programs side by side, threads, barriers that never meet, faults."""

from pathlib import Path

import numpy as np
import pytest

from tile_emu.asm import assemble
from tile_emu.chips import load_chip
from tile_emu.errors import TileEmuError, TileFault, UsageError
from tile_emu.graph import Codelet, Graph, Pointer
from tile_emu.machine import Machine
from tile_emu.tile import Tile, layout

FIELDS = ("data", "count")

# Vertex state: pointer to words, number of words. Each program keeps its result in the first word.
PROGRAMS = {
    # Sum of the words, by the supervisor alone.
    "sum": """
.supervisor
.globl sum
sum:
    ld32 $m2, $m0, $m15, 0
    ld32 $m3, $m0, $m15, 1
    setzi $m4, 0
    mov $m5, $m2
    add $m3, $m3, -1
1:
    ld32step $m6, $m15, $m5+=, 1
    add $m4, $m4, $m6
    brnzdec $m3, 1b
    st32 $m4, $m2, $m15, 0
    br $m10
""",
    # Length of the Collatz sequence of the first word: every tile takes its own number of steps.
    "collatz": """
.supervisor
.globl collatz
collatz:
    ld32 $m2, $m0, $m15, 0
    ld32 $m3, $m2, $m15, 0
    setzi $m4, 0
1:
    cmpeq $m5, $m3, 1
    brnz $m5, 3f
    add $m4, $m4, 1
    and $m5, $m3, 1
    brnz $m5, 2f
    shr $m3, $m3, 1
    bri 1b
2:
    mul $m3, $m3, 3
    add $m3, $m3, 1
    bri 1b
3:
    st32 $m4, $m2, $m15, 0
    br $m10
""",
    # Six workers square one word each.
    "squares": """
.supervisor
.globl squares
squares:
    setzi $m2, square_worker
    runall $m2, $m0, 0
    sync 2
    br $m10
.worker
square_worker:
    ld32 $m0, $mvertex_base, $mzero, 0
    get $m1, $WSR
    and $m1, $m1, 7
    ld32 $m2, $m0, $mzero, $m1
    mul $m2, $m2, $m2
    stm32 $m2, $m0, $m1
    exitz $mzero
""",
    "misaligned": """
.supervisor
.globl misaligned
misaligned:
    ld32 $m2, $m0, $m15, 0
    add $m2, $m2, 2
    nop
    ld32 $m3, $m2, $m15, 0
    br $m10
""",
    "extra_barrier": """
.supervisor
.globl extra_barrier
extra_barrier:
    sync 3
    br $m10
""",
    "endless": """
.supervisor
.globl endless
endless:
    bri endless
""",
}
WORDS = 6


def collatz_steps(value: int) -> int:
    steps = 0
    while value != 1:
        value = 3 * value + 1 if value % 2 else value // 2
        steps += 1
    return steps


def expected(name: str, words: list[int]) -> list[int]:
    if name == "sum":
        return [sum(words) % 2**32, *words[1:]]
    if name == "collatz":
        return [collatz_steps(words[0]), *words[1:]]
    return [word * word % 2**32 for word in words]


def codelet(folder: Path, name: str) -> Codelet:
    source = folder / f"{name}.S"
    source.write_text(PROGRAMS[name])
    return Codelet(name, source, name, FIELDS, f"test program {name}")


def mixed_graph(folder: Path, tiles: int) -> tuple[Graph, list[str]]:
    """Tile t runs program t mod 3 on its words, then hands them to tile t + 1."""
    graph = Graph(load_chip("bow"), tiles)
    everyone = np.arange(tiles, dtype=np.int32)
    size = np.full(tiles, 4 * WORDS, np.int32)
    work = graph.variable("work", everyone, size)
    received = graph.variable("received", everyone, size)
    names = [("sum", "collatz", "squares")[t % 3] for t in range(tiles)]
    compute = graph.execute("mixed programs")
    for name in ("sum", "collatz", "squares"):
        mine = everyone[[n == name for n in names]]
        compute.add(codelet(folder, name), mine, data=Pointer(work, mine, 0), count=WORDS)
    graph.exchange("to the neighbour").copy(
        Pointer(work, everyone, 0), Pointer(received, (everyone + 1) % tiles, 0), 4 * WORDS
    )
    graph.tensor("work", (tiles, WORDS), np.uint32, work)
    graph.tensor("received", (tiles, WORDS), np.uint32, received)
    return graph, names


def run_mixed(folder: Path, tiles: int, threads: int):
    graph, names = mixed_graph(folder, tiles)
    machine = Machine("bow", tiles, threads)
    machine.load(graph.lower())
    words = np.random.default_rng(7).integers(1, 5000, (tiles, WORDS)).astype(np.uint32)
    machine.write_tensor("work", words)
    recording = machine.run()
    return names, words, machine, recording


@pytest.mark.nojit
def test_neighbouring_tiles_run_different_programs(tmp_path):
    names, words, machine, recording = run_mixed(tmp_path, 12, 1)
    want = np.array([expected(name, [int(w) for w in row]) for name, row in zip(names, words)], np.uint32)
    assert np.array_equal(machine.read_tensor("work"), want)
    assert np.array_equal(machine.read_tensor("received"), np.roll(want, 1, axis=0))
    arrival = recording.arrival[0]
    assert len(set(arrival[1::3].tolist())) > 1, "collatz takes each tile a different time"
    assert (recording.turns[0][2::3] > 0).all() and (recording.turns[0][0::3] == 0).all()


def test_same_bits_and_cycles_on_any_number_of_threads(tmp_path):
    runs = [run_mixed(tmp_path, 200, threads) for threads in (1, 2, 5)]
    _, _, first, recording = runs[0]
    for _, _, machine, other in runs[1:]:
        assert np.array_equal(machine.memory, first.memory)
        for column in ("arrival", "release", "row_end", "finish", "turns", "instructions", "sent", "received"):
            assert np.array_equal(getattr(other, column), getattr(recording, column)), column


def test_running_again_gives_the_same_cycles(tmp_path):
    graph, _ = mixed_graph(tmp_path, 6)
    machine = Machine("bow", 6)
    machine.load(graph.lower())
    words = np.full((6, WORDS), 27, np.uint32)
    machine.write_tensor("work", words)
    first = machine.run()
    machine.write_tensor("work", words)
    machine.load(graph.lower())
    machine.write_tensor("work", words)
    second = machine.run()
    assert second.cycles == first.cycles
    assert np.array_equal(second.arrival, first.arrival)


def test_a_released_barrier_is_the_last_arrival_and_the_latency(tmp_path):
    _, _, machine, recording = run_mixed(tmp_path, 12, 1)
    assert recording.release[0] == recording.arrival[0].max() + machine.chip.timing.sync_release


def single(folder: Path, name: str, tiles: int, on: list[int]) -> Machine:
    graph = Graph(load_chip("bow"), tiles)
    everyone = np.arange(tiles, dtype=np.int32)
    data = graph.variable("data", everyone, np.full(tiles, 64, np.int32))
    where = np.array(on, np.int32)
    graph.execute("only").add(codelet(folder, name), where, data=Pointer(data, where, 0), count=1)
    machine = Machine("bow", tiles)
    machine.load(graph.lower())
    return machine


def test_a_fault_names_tile_context_place_and_address(tmp_path):
    machine = single(tmp_path, "misaligned", 4, [2])
    with pytest.raises(TileFault) as fault:
        machine.run()
    text = str(fault.value)
    assert (fault.value.tile, fault.value.context, fault.value.kind) == (2, "supervisor", "INVALID_ADDR")
    assert "misaligned+0xc" in text and "misaligned.S:8" in text and "ld32 $m3, $m2" in text
    assert fault.value.address is not None and fault.value.address % 4 == 2


def test_tiles_that_wait_for_different_barriers_are_reported(tmp_path):
    machine = single(tmp_path, "extra_barrier", 4, [1])
    with pytest.raises(TileEmuError, match=r"wait for each other for ever.*tile 1 in BARRIER"):
        machine.run()


def test_an_endless_program_is_reported(tmp_path):
    machine = single(tmp_path, "endless", 2, [0])
    machine.arrays.limit = 10_000
    with pytest.raises(TileFault, match="ENDLESS at tile 0, supervisor"):
        machine.run()


def test_wrong_tile_and_thread_counts():
    with pytest.raises(UsageError, match="1472 tiles"):
        Machine("bow", 1473)
    with pytest.raises(UsageError, match="0 threads"):
        Machine("bow", 4, threads=0)


def test_sans_answers_a_barrier_before_the_tile_waits_for_it():
    tile = Tile("bow")
    tile.load(assemble(text=".supervisor\nstart:\n    nop\n    sans 0\n    delay 99\n    sync 1\n    br $m10\n"))
    with pytest.raises(UsageError, match="BARRIER"):
        tile.run_supervisor("start")
    # nop at 0, sans at 1, a delay of 100 cycles at 2, sync 1 at 102: the barrier counts the tile as there since 1.
    assert tile.arrays.sup[0, layout.ARRIVAL] == 1
    assert tile.arrays.sup[0, layout.CYCLE] == 103


def test_sync_1_without_sans_does_not_wait():
    tile = Tile("bow")
    tile.load(assemble(text=".supervisor\nstart:\n    sync 1\n    br $m10\n"))
    assert tile.run_supervisor("start").cycles == 1 + tile.chip.timing.supervisor.taken_branch

"""The debugger of one tile: where it stops, what it shows, and that a debugged run ends like an undisturbed one."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tile_emu.asm import assemble
from tile_emu.errors import UsageError
from tile_emu.tile import Tile
from tile_emu.tile.debug import Debugger

DATA = 0x80000
BASE = 0x4C000
# The supervisor launches workers that add up 4 * their number and store it at DATA + 4 * number.
SOURCE = f"""
.supervisor
.globl both
both:
    setzi $m2, work
    runall $m2, $m0, 0
    add $m3, $m3, 7
    sync 2
    ld32 $m4, $m0, $mzero, 5
    br $m10
.worker
.globl work
.align 8
work:
    get $m3, $WSR
    and $m3, $m3, 7
    setzi $m0, 3
loop:
    add $m4, $m4, $m3
    brnzdec $m0, loop
store:
    setzi $m5, {DATA}
    stm32 $m4, $m5, $m3
    {{ ld32 $a0, $m5, $mzero, 0 ; f32add $a1, $a2, $a2 }}
    exitz $mzero
endless:
    bri endless
"""
WORK, LOOP, STORE = BASE + 24, BASE + 36, BASE + 44


def debugger(check: bool = False) -> Debugger:
    tile = Tile("ipu21", check=check)
    tile.load(assemble(text=SOURCE))
    tile.write(DATA, np.zeros(8, np.uint32))
    return Debugger(tile)


def stored(made: Debugger) -> list[int]:
    return [int(v) for v in made.tile.read(DATA, np.uint32, 6)]


def test_a_debugged_run_ends_like_an_undisturbed_one() -> None:
    plain = debugger().tile
    run = plain.run_supervisor("both", m={0: DATA})
    made = debugger()
    made.break_at("loop")
    made.watch(DATA, 24, "both")
    made.start_supervisor("both", m={0: DATA})
    stops = 0
    while made.run().reason != "ended":
        stops += 1
    # A worker stops four times at the loop, after its store and after its load; the supervisor after its load.
    assert stops == 6 * (4 + 2) + 1
    assert np.array_equal(plain.mrf, made.tile.mrf) and np.array_equal(plain.arf, made.tile.arf)
    assert stored(made) == [0, 4, 8, 12, 16, 20]
    assert int(made.tile.mrf[6, 4]) == 20
    assert [state.turns for state in made.where()[:6]] == run.turns == [15] * 6
    assert not made.started
    # And the tile runs on as if it had never been debugged.
    assert made.tile.run_supervisor("both", m={0: DATA}).cycles == run.cycles


def test_steps_go_through_bundles_of_one_context_after_another() -> None:
    made = debugger()
    stop = made.start_supervisor("both", m={0: DATA})
    assert (stop.reason, stop.context, stop.pc, stop.place) == ("step", "supervisor", BASE, "both")
    seen = [made.step() for _ in range(4)]
    assert [(s.context, s.pc) for s in seen] == [
        ("supervisor", BASE + 4),
        ("worker 0", WORK),
        ("worker 0", WORK + 4),
        ("worker 0", WORK + 8),
    ]
    assert seen[1].text.startswith("get") and seen[1].line == "<text>:15"
    # 2 done; 1 setzi, 8 for the loop, 4 for the rest.
    assert made.step(13).context == "worker 1"
    stop = made.step(2, context=4)
    assert (stop.reason, stop.context, stop.pc) == ("step", "worker 4", WORK + 8)
    assert int(made.tile.mrf[3, 4]) == 12 and int(made.tile.mrf[4, 4]) == 0
    assert made.step(context=6).pc == BASE + 12
    assert made.step(100).reason == "ended"
    with pytest.raises(UsageError, match="nothing runs"):
        made.step()


def test_breakpoints_by_symbol_offset_and_address() -> None:
    made = debugger()
    assert made.break_at("work+12") == LOOP == made.break_at("loop") == made.break_at(LOOP)
    made.start_workers("work", workers=[1, 5])
    stop = made.run()
    assert (stop.reason, stop.context, stop.pc, stop.place) == ("breakpoint", "worker 1", LOOP, "loop")
    assert int(made.tile.mrf[1, 0]) == 3
    made.run()
    assert int(made.tile.mrf[1, 0]) == 2
    made.clear("loop")
    made.break_at("work")
    stop = made.run()
    assert (stop.context, stop.place) == ("worker 5", "work")
    assert made.run().reason == "ended"
    assert made.start_workers("work").place == "work"
    assert made.run().context == "worker 0"  # a breakpoint at the entry stops before the first instruction
    for place in ("nowhere", "work+2", 0x80000):
        with pytest.raises(UsageError):
            made.break_at(place)
    with pytest.raises(UsageError, match="no breakpoint"):
        made.clear("loop")


def test_run_to_passes_once() -> None:
    made = debugger()
    made.start_workers("work", workers=[2])
    assert made.run_to("store").pc == STORE
    assert int(made.tile.mrf[2, 4]) == 8
    assert made.run_to("store").reason == "ended"


@pytest.mark.parametrize(
    ("access", "place", "nbytes", "stops"),
    [
        ("write", DATA + 8, 4, [("write", 2)]),
        ("write", DATA + 9, 1, [("write", 2)]),
        ("write", DATA + 8, 8, [("write", 2), ("write", 3)]),
        ("read", DATA, 1, [("read", w) for w in range(6)]),
        ("both", DATA, 4, [("write", 0), ("read", 0), *(("read", w) for w in range(1, 6))]),
        ("write", DATA + 24, 64, []),
    ],
)
def test_watchpoints(access: str, place: int, nbytes: int, stops: list[tuple[str, int]]) -> None:
    made = debugger()
    made.watch(place, nbytes, access)
    made.start_workers("work")
    seen = []
    while (stop := made.run()).reason == "watchpoint":
        seen.append((stop.message.split()[0], int(stop.message.split(" by worker ")[1].split()[0])))
    assert seen == stops and stop.reason == "ended"


def test_a_watchpoint_tells_the_instruction_and_the_change() -> None:
    made = debugger()
    made.watch(DATA + 12)
    made.start_workers("work", workers=[3])
    stop = made.run()
    assert f"write of 4 bytes at {DATA + 12:#x} by worker 3 at {STORE + 4:#x} (store+0x4)" in stop.message
    assert f"{DATA + 12:#x}: 0x0 -> 0xc" in stop.message
    assert stop.pc == STORE + 8  # the next instruction
    made.unwatch(DATA + 12)
    assert made.run().reason == "ended"
    for bad in (lambda: made.watch(DATA, 4, "write it"), lambda: made.watch(DATA, 0), lambda: made.watch(0x10)):
        with pytest.raises(UsageError):
            bad()
    with pytest.raises(UsageError, match="no watchpoint"):
        made.unwatch(DATA)


def test_faults_stop_and_stay_to_be_looked_at() -> None:
    made = debugger()
    made.start_supervisor("both", m={0: 2})
    stop = made.run()
    assert (stop.reason, stop.context, stop.pc) == ("fault", "supervisor", BASE + 16)
    assert "INVALID_ADDR" in stop.message and stop.text.startswith("ld32")
    assert made.where()[6].state == "faulted" and not made.started


def test_where_registers_and_listing() -> None:
    made = debugger()
    made.break_at("store")
    made.start_supervisor("both", m={0: DATA})
    made.run()
    made.run()
    states = made.where()
    assert [s.state for s in states] == ["exited", "next", *["waiting"] * 4, "called"]
    assert (states[1].pc, states[1].place, states[1].turns) == (STORE, "store", 11)
    assert states[1].cycle == states[0].cycle - 6 * 4 + 1  # four bundles earlier, one slot later
    assert states[6].place == "both+0x8" and all(str(s) for s in states)
    registers = made.registers(1)
    assert (registers["$m3"], registers["$m4"]) == (1, 4)
    assert made.status_registers(1)["WSR"] == 1 and made.status_registers(1)["PC"] == STORE
    assert "TILE_ID" in made.status_registers(6)
    with pytest.raises(UsageError):
        made.registers(7)
    lines = made.listing(before=2, after=3)
    assert [line[:2] for line in lines] == ["  ", "  ", ">*", "  ", "  ", "  "]
    assert "brnzdec" in lines[1] and "f32add" in lines[4] and "exitz" in lines[5]
    assert made.listing("work", before=0, after=0)[0].split()[:2] == [hex(WORK), "work"]


def test_an_endless_run_is_interrupted_and_goes_on() -> None:
    made = debugger()
    made.start_workers("endless", workers=[0])
    timer = threading.Timer(0.3, made.interrupt)
    made.step()  # compiles before the clock runs
    timer.start()
    stop = made.run()
    assert (stop.reason, stop.place) == ("interrupted", "endless")
    assert made.where()[0].turns > 1000
    assert made.step().place == "endless"


def test_a_checked_tile_can_be_debugged() -> None:
    made = debugger(check=True)
    made.break_at("loop")
    made.start_workers("work", workers=[0, 1])
    while made.run().reason != "ended":
        pass
    assert {f.kind for f in made.tile.findings().listed} == {"RACE"}  # both load the first word, worker 0 stores it

"""Supervisor code: its fitted cycle costs and the sharing of issue slots with workers, against the oracle's clock.

The figures are fitted to measurements: dependent result 8, taken branch 13, put 13,
runall to the first worker turn 3, last exit to the instruction after the barrier 5.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.naive import NaiveFault
from tests.programs import Pair, Start, new_naive, new_tile, run_supervisor_both, seeds
from tile_emu.errors import TileFault

RETURN = 13  # br $lr to the next instruction of the caller


def supervised(body: str, worker: str = "", m: dict[int, int] | None = None, start: Start | None = None) -> Pair:
    text = f".supervisor\n.globl start\nstart:\n{body}\nbr $lr\n.worker\nwork:\n{worker}\nexitz $m15\n"
    return run_supervisor_both(text, m, start)


PLAIN = [
    ("one independent instruction each cycle", "setzi $m0,1\nsetzi $m1,2\nsetzi $m2,3", 3),
    ("a dependent one waits 8", "setzi $m0,1\nadd $m1,$m0,1", 8 + 1),
    ("a chain", "setzi $m0,1\nadd $m0,$m0,1\nadd $m0,$m0,1\nadd $m0,$m0,1", 24 + 1),
    ("the zero register is always there", "setzi $m15,1\nadd $m1,$m15,1", 2),
    ("the zero register is never waited for, written or not", "movz $m15,$m0,$m1\nadd $m1,$m15,1", 2),
    ("a load's result", "ld32 $m0,$m1,$mzero,0\nadd $m2,$m0,1", 8 + 1),
    ("a step's address", "ld32step $m0,$m1,$m2+=,1\nld32step $m3,$m1,$m2+=,1", 8 + 1),
    ("an old address is free", "ld32 $m0,$m1,$mzero,0\nld32 $m2,$m1,$mzero,1", 2),
    ("put, put", "put $FP_ICTL,$mzero\nput $FP_ICTL,$mzero", 26),
    ("setzi, put, put: the measured 27", "setzi $m0,1\nput $FP_ICTL,$m0\nput $FP_ICTL,$m0", 27),
    ("a branch not taken", "brnz $mzero,away\nsetzi $m0,1\naway:", 2),
    ("a branch taken", "brz $mzero,away\nsetzi $m0,1\naway:", 13),
    ("a jump", "bri away\nsetzi $m0,1\naway:\nnop", 14),
    ("a call and its link register", "call $m9,away\naway:\nadd $m0,$m9,1", 14),
    ("a branch waits for its register", "setzi $m0,1\nbrnz $m0,away\nnop\naway:", 8 + 13),
    ("a store waits for its datum", "setzi $m0,1\nst32 $m0,$m1,$mzero,0\nnop", 10),
    ("ld64putcs is one cycle", "\n".join(f"ld64putcs {i}" for i in range(16)), 16),
    ("barrier without workers", "sync 2\nsetzi $m0,1", 2),
]


@pytest.mark.nojit
@pytest.mark.parametrize(("body", "cycles"), [p[1:] for p in PLAIN], ids=[p[0] for p in PLAIN])
def test_costs_by_hand(body: str, cycles: int) -> None:
    """Cycles of ``body`` between a put and the return."""
    pair = supervised("put $CCCSLOAD,$m1\n" + body, m={1: 0x60000, 2: 0})
    assert pair.run.cycles == 13 + cycles + RETURN


def test_barrier_as_the_very_first_instruction() -> None:
    assert supervised("sync 2").run.cycles == 1 + RETURN


def test_counted_loop() -> None:
    # Per iteration: add 1, brnzdec taken 13; the last brnzdec is not taken.
    pair = supervised("loop:\nadd $m1,$m1,1\nbrnzdec $m0,loop", m={0: 9, 1: 0})
    assert pair.run.cycles == 9 * 14 + 2 + RETURN


@pytest.mark.parametrize("turns", [1, 2, 7])
def test_six_workers_by_hand(turns: int) -> None:
    """Registers are ready, so runall issues in cycle 0 and workers may start from cycle 3: workers 3, 4, 5, 0, 1, 2.

    The last one starts in cycle 8, exits ``turns - 1`` turns later, and the instruction behind the barrier comes 5 on.
    """
    pair = supervised("runall $m0,$m1,0\nsync 2", "\n".join(["nop"] * (turns - 1)), m={0: 0x4C00C, 1: 0x60000})
    assert pair.run.cycles == 8 + 6 * (turns - 1) + 5 + RETURN
    assert list(pair.run.turns) == [turns] * 6


def test_supervisor_stands_still_while_six_workers_run() -> None:
    """The clock as the supervisor reads it, before and after the workers."""
    body = "get $m2,$SCOUNT_L\nrunall $m0,$m1,0\n" + "".join(f"get $m{i},$SCOUNT_L\n" for i in range(3, 9)) + "sync 2"
    pair = supervised(body, "nop\n" * 20, m={0: 0x4C028, 1: 0x60000})
    # runall issues in cycle 1, so workers 4, 5, 0, 1, 2, 3 take their first turns in cycles 4 to 9 and their last ones
    # 20 turns later. The slot of worker 4 comes back at its next turn, the others one cycle after another.
    assert pair.tile.mrf[6, 2:9].tolist() == [0, *(4 + 21 * 6 + i for i in range(6))]
    assert pair.run.cycles == 4 + 21 * 6 + 5 + 2 + RETURN  # the barrier itself, one cycle, and the return


def test_contexts_that_are_active() -> None:
    """CTXT_STS: two bits a context, the supervisor's first, 1 for an active one."""
    body = "get $m2,114\nrun $m0,$m1,0\nget $m3,114\nrun $m0,$m1,0\nget $m4,114\nsync 2\nget $m5,114"
    pair = supervised(body, "nop\n" * 9, m={0: 0x4C000 + 4 * 8, 1: 0x10000})
    assert pair.tile.mrf[6, 2:6].tolist() == [1, 1 + 4, 1 + 4 + 16, 1]


def test_one_worker_takes_one_slot() -> None:
    """``run`` starts the lowest free worker; the supervisor goes on in the other five slots."""
    body = "run $m0,$m1,0\n" + "".join(f"get $m{i},$SCOUNT_L\n" for i in range(2, 10)) + "sync 2"
    pair = supervised(body, "nop\n" * 30, m={0: 0x4C000 + 4 * 11, 1: 0x10000})
    assert list(pair.run.turns) == [31, 0, 0, 0, 0, 0]
    assert pair.tile.mrf[6, 2:10].tolist() == [1, 2, 3, 4, 5, 7, 8, 9]  # cycle 6 is worker 0's


def test_slots_come_back_one_by_one() -> None:
    """Worker n exits 10 turns after worker n - 1; the supervisor speeds up with every exit."""
    reads = "get $m2,$SCOUNT_L\n" + "nop\n" * 30 + "get $m3,$SCOUNT_L\n" + "nop\n" * 30 + "get $m4,$SCOUNT_L\n"
    start = Start(m=[[10 * n, *[0] * 11] for n in range(6)])
    pair = supervised(
        f"runall $m0,$m1,0\n{reads}sync 2", "loop:\nbrnzdec $m0,loop", {0: 0x4C000 + 4 * 66, 1: 0x60000}, start
    )
    first, second, third = (int(v) for v in pair.tile.mrf[6, 2:5])
    assert second - first > third - second > 31


def test_two_launches_after_one_another() -> None:
    body = "runall $m0,$m1,2\nsync 2\nrunall $m0,$m1,4\nsync 2"
    pair = supervised(body, "add $m0,$m0,$m13", m={0: 0x4C014, 1: 0x60000})
    assert list(pair.run.turns) == [2] * 6  # of the last launch
    for n in range(6):
        assert pair.tile.mrf[n, 0] == 2 * 0x60000 + n * 4 * (2 + 4)  # registers are kept between launches


plain = st.sampled_from(
    [
        "setzi $m0,5",
        "add $m0,$m0,1",
        "add $m1,$m0,$m2",
        "mul $m2,$m1,$m1",
        "xor $m3,$m1,$m2",
        "shl $m1,$m3,2",
        "cmpult $m2,$m3,$m0",
        "movz $m1,$m2,$m0",
        "ld32 $m0,$m6,$mzero,1",
        "ld32step $m1,$m6,$m7+=,1",
        "ldz16 $m2,$m6,$m7,1",
        "st32 $m0,$m6,$mzero,2",
        "st32step $m1,$m6,$m7+=,1",
        "stm32 $m2,$m6,$m9",
        "put $FP_ICTL,$mzero",
        "ld64putcs 5",
        "nop",
        "get $m3,$SCOUNT_L",
    ]
)


@st.composite
def jumping(draw: st.DrawFn, number: int) -> str:
    kind = draw(st.sampled_from(["brz", "brnz", "brneg", "brpos", "brnzdec", "bri", "call"]))
    label = f"past{number}"
    operand = {"bri": "", "call": "$m5,"}.get(kind, f"$m{draw(st.integers(0, 3))},")
    return f"{kind} {operand}{label}\n{draw(plain)}\n{label}:"


@st.composite
def program(draw: st.DrawFn, launches: bool) -> str:
    parts = []
    live = False
    for number in range(draw(st.integers(2, 7))):
        kind = draw(st.integers(0, 5))
        if launches and kind == 0 and not live:
            parts.append(f"runall $m8,$m6,{draw(st.integers(0, 3))}")
            live = True
        elif kind == 1 and live:
            parts.append("sync 2")
            live = False
        elif kind == 2:
            parts.append(draw(jumping(number)))
        else:
            parts.append(draw(plain))
    return "\n".join([*parts, *(["sync 2"] if live else [])])


def supervisor_registers(seed: int) -> tuple[dict[int, int], Start]:
    rng = random.Random(seed)
    m = {i: rng.choice([0, 1, 5, 2**31, rng.getrandbits(32)]) for i in range(4)}
    m |= {6: 0x60000, 7: 8 * rng.randint(0, 3), 9: rng.randint(0, 9)}
    return m, Start(m=[[rng.randint(0, 12) for _ in range(12)] for _ in range(6)], memory={0x60000: rng.randbytes(256)})


FAULTS = [
    ("runall with active workers", "runall $m0,$m1,0\nrunall $m0,$m1,0", {0: "work", 1: 0x60000}, "INVALID_OP"),
    ("weights misaligned", "put $CCCSLOAD,$m1\nld64putcs 0", {1: 0x60004}, "INVALID_OP"),
    ("128 bits of weights from region 0", "put $CCCSLOAD,$m1\nld128putcs 0", {1: 0x60000}, "INVALID_ADDR"),
    ("odd slot of a weight pair", "put $CCCSLOAD,$m1\nld128putcs 1", {1: 0x88000}, "INVALID_OP"),
    ("slot beyond the store", "put $CCCSLOAD,$m1\nld64putcs 64", {1: 0x60000}, "INVALID_OP"),
    ("load outside memory", "ld32 $m2,$m1,$mzero,0", {1: 0x100}, "INVALID_ADDR"),
    ("branch to data", "br $m1", {1: 0x88000}, "INVALID_PC"),
]


@pytest.mark.parametrize(("body", "registers", "kind"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_supervisor_faults(body: str, registers: dict[int, int | str], kind: str) -> None:
    # Worker n runs 10 * n turns longer than worker 0, so that the supervisor gets slots back while some still run.
    worker = "get $m0,$WSR\nand $m0,$m0,7\nmul $m0,$m0,10\nloop:\nbrnzdec $m0,loop\n"
    text = f".supervisor\n.globl start\nstart:\n{body}\nbr $lr\n.worker\nwork:\n{worker}exitz $m15\n"
    tile = new_tile(text, Start())
    naive = new_naive(text, Start(), tile)
    m = {i: naive.program.labels[v] if isinstance(v, str) else v for i, v in registers.items()}
    with pytest.raises(NaiveFault) as expected:
        naive.run_supervisor("start", m)
    with pytest.raises(TileFault) as caught:
        tile.run_supervisor("start", m=m)
    assert caught.value.kind == expected.value.kind == kind
    assert "supervisor" in str(caught.value)


def test_fault_of_a_worker_names_it() -> None:
    body = "runall $m0,$m1,0\nsync 2"
    text = f".supervisor\n.globl start\nstart:\n{body}\nbr $lr\n.worker\nwork:\nld32 $m1,$m0,$mzero,0\nexitz $m15\n"
    start = Start(m=[[0x60000 if n != 4 else 0x60001] * 12 for n in range(6)])
    tile = new_tile(text, start)
    with pytest.raises(TileFault, match="worker 4") as caught:
        tile.run_supervisor("start", m={0: 0x4C00C, 1: 0x60000})
    assert (caught.value.kind, caught.value.pc) == ("INVALID_ADDR", 0x4C00C)


@given(program(launches=False), seeds)
def test_random_supervisor_code(body: str, seed: int) -> None:
    m, start = supervisor_registers(seed)
    supervised("put $CCCSLOAD,$m6\n" + body, m=m, start=start)


@given(program(launches=True), seeds)
def test_random_code_with_workers(body: str, seed: int) -> None:
    """Workers run different numbers of turns, so slots come back one by one."""
    m, start = supervisor_registers(seed)
    worker = "loop:\nadd $m1,$m1,$m13\nbrnzdec $m0,loop\nadd $m0,$m2,0"
    body += "\nget $m4,$SCOUNT_L"
    supervised("setzi $m8,work\nput $CCCSLOAD,$m6\n" + body, worker, m, start)


def test_local_consensus() -> None:
    """SSR.LC is the AND of the exit statuses since it was last set."""
    for value, expected in ((0, 1), (3, 0)):
        start = Start()
        start.m[4][0] = value
        text = (
            ".supervisor\n.globl start\nstart:\nsetzi $m1,2\nput $CR,$m1\nrunall $m0,$m6,0\nsync 2\nget $m2,$SSR\n"
            "and $m2,$m2,1\nbr $lr\n.worker\nwork:\nexitz $m0\n"
        )
        pair = run_supervisor_both(text, {0: 0x4C01C, 6: 0x60000}, start)
        assert pair.tile.mrf[6, 2] == expected


def test_clearing_the_weights() -> None:
    start = Start(cwei=[[1, 2, 3, 4] for _ in range(64)])
    pair = supervised("setzi $m0,4\nput $CR,$m0", start=start)
    assert not pair.tile.cwei.any()


@pytest.mark.parametrize("wide", [False, True])
def test_weight_loads_fill_slots_in_memory_order(wide: bool) -> None:
    base = 0x88000
    start = Start(memory={base: bytes(range(256)) * 2})
    loads = [f"ld128putcs {i}" for i in range(0, 64, 2)] if wide else [f"ld64putcs {i}" for i in range(64)]
    body = "put $CCCSLOAD,$m1\n" + "\n".join(loads)
    pair = supervised(body, m={1: base}, start=start)
    assert pair.run.cycles == 13 + len(loads) + RETURN
    assert pair.tile.cwei[1].tolist() == [0x0908, 0x0B0A, 0x0D0C, 0x0F0E]

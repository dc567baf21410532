"""Branches, hardware loops, bundles, launch state and the report of an instruction without semantics."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import Start, any_word, emulate, new_tile, run_both, seeds, text_of
from tile_emu.errors import TileFault

CONDITIONS = ["brz", "brnz", "brneg", "brpos", "brnzdec"]
work = st.sampled_from(
    [
        "add $m4,$m4,1",
        "xor $m5,$m5,$m4",
        "{add $m6,$m6,$m4; setzi $a3,7}",
        "{shl $m4,$m4,1; or $a0,$a1,$a2}",
        "sub $m0,$mzero,$m0",
    ]
)


@st.composite
def jump(draw: st.DrawFn, label: str) -> str:
    """A conditional or unconditional jump to a later label."""
    kind = draw(st.sampled_from([*CONDITIONS * 2, "bri", "br", "call"]))
    if kind == "br":
        return f"setzi $m7,{label}\nbr $m7"
    if kind == "bri":
        return f"bri {label}"
    text = f"call $m10,{label}" if kind == "call" else f"{kind} $m{draw(st.integers(0, 3))},{label}"
    return f"{{{text}; not $a1,$a1}}" if draw(st.booleans()) else text


@st.composite
def forward_program(draw: st.DrawFn) -> str:
    """Blocks that each jump past some instructions, to their own end or the end of the next one: always ends."""
    blocks = draw(st.integers(2, 4))
    text = []
    for n in range(blocks):
        target = draw(st.integers(n, min(n + 1, blocks - 1)))
        text += [draw(work), draw(jump(f"next{target}")), *draw(st.lists(work, min_size=1, max_size=2)), f"next{n}:"]
    return "\n".join([*text, "nop"])


@given(forward_program(), seeds)
def test_random_branches(body: str, seed: int) -> None:
    rng = random.Random(seed)
    start = Start(
        m=[[any_word(rng) for _ in range(12)] for _ in range(6)],
        a=[[any_word(rng) for _ in range(8)] for _ in range(6)],
    )
    run_both(body, start)


LOOP = ["{add $m4,$m4,1; roll16 $a0,$a0,$a1}", "{sub $m5,$m4,$m5; not $a1,$a2}", "{xor $m0,$m0,$m4; fnop}"]


@given(
    st.lists(st.sampled_from(LOOP), min_size=1, max_size=4),
    st.one_of(st.none(), st.integers(0, 9)),
    st.booleans(),
    seeds,
)
def test_random_hardware_loops(body: list[str], immediate: int | None, bundled: bool, seed: int) -> None:
    """The count register is changed in the body: the loop must use its own copy."""
    rng = random.Random(seed)
    start = Start(m=[[rng.randint(0, 5) for _ in range(12)] for _ in range(6)])
    start.m[5][0] |= 0x30000  # only 16 bits count
    rpt = f"rpt {'$m0' if immediate is None else immediate},{len(body) - 1}"
    head = f".align 8\n{{{rpt}; setzi $a7,3}}" if bundled else f".align 8\nnop\n{rpt}"
    run_both(head + "\n" + "\n".join(body), start)


@given(st.integers(0, 5), st.integers(0, 40), st.integers(0, 40))
def test_nested_counting_loops(seed: int, outer: int, inner: int) -> None:
    start = Start(m=[[outer + n, inner, *[0] * 10] for n in range(6)])
    body = "outer:\nor $m2,$m1,$mzero\ninner:\nadd $m3,$m3,1\nbrnzdec $m2,inner\nbrnzdec $m0,outer"
    pair = run_both(body, start)
    assert pair.tile.mrf[0, 3] == (outer + 1) * (inner + 1)


@pytest.mark.nojit
def test_brnzdec_vector() -> None:
    start = Start()
    start.m[0][0] = 3
    pair = run_both("loop:\nadd $m1,$m1,1\nbrnzdec $m0,loop", start, workers=[0])
    assert pair.tile.mrf[0, :2].tolist() == [0, 4]


@pytest.mark.nojit
@pytest.mark.parametrize(("count", "bundles"), [(0, 0), (5, 10)])
def test_rpt_vector(count: int, bundles: int) -> None:
    start = Start()
    start.m[0][0] = count
    pair = run_both("nop\nrpt $m0,1\n{add $m1,$m1,1; fnop}\n{add $m1,$m1,1; fnop}", start, workers=[0])
    assert pair.tile.mrf[0, 1] == bundles
    assert pair.run.turns[0] == 3 + bundles  # nop, rpt and exit; no turn per iteration


def test_aux_half_of_rpt_runs_once_even_for_count_zero() -> None:
    for count in (0, 4):
        start = Start()
        start.m[0][0] = count
        start.a[0][0] = 0x3F800000
        pair = run_both("{rpt $m0,0; f32add $a0,$a0,$a0}\n{add $m1,$m1,1; fnop}", start, workers=[0])
        assert pair.tile.arf[0, 0] == 0x40000000
        assert pair.tile.mrf[0, 1] == count


@pytest.mark.parametrize("body", ["add $m1,$m1,1\nnop", "{bri after; fnop}", "{get $m1,$WSR; fnop}"])
def test_forbidden_in_a_repeat_body(body: str) -> None:
    text = f".worker\n.allow_invalid_repeat\n.globl start\nstart:\nnop\nrpt 3,0\n{body}\nafter:\nexitz $m15\n"
    assert run_both(text, workers=[0], whole=True).fault == "INVALID_INSTR"


def test_aux_half_of_taken_branches_runs() -> None:
    body = "{call $m10,f; setzi $a0,5}\nf:\n{brz $mzero,g; setzi $a1,6}\nsetzi $a1,0\ng:\nnop"
    pair = run_both(body, workers=[1])
    assert pair.tile.arf[1, :2].tolist() == [5, 6]
    assert pair.tile.mrf[1, 10] == 0x4C008


def test_sub_then_brneg_loop() -> None:
    start = Start()
    start.m[0][0] = 6
    pair = run_both("loop:\nadd $m1,$m1,1\nadd $m0,$m0,-2\nbrpos $m0,loop", start, workers=[0])
    assert pair.tile.mrf[0, 1] == 4


def test_identity_and_vertex_base() -> None:
    pair = run_both("get $m0,$WSR\nand $m1,$m0,7\nget $m2,$VERTEX_BASE\nadd $m3,$m13,0", Start(vertex_base=0x51230))
    for n in range(6):
        assert pair.tile.mrf[n, 1:4].tolist() == [n, 0x51230, 0x51230]


@pytest.mark.parametrize(("name", "value"), [("exitz", 0), ("exitnz", 1), ("exitneg", 2**31), ("exitpos", 5)])
def test_every_exit_ends_the_worker(name: str, value: int) -> None:
    start = Start()
    start.m[0][0] = value
    pair = run_both(f"{name} $m0\nsetzi $m1,1", start, workers=[0])
    assert pair.tile.mrf[0, 1] == 0
    assert pair.run.turns[0] == 1


def test_upper_registers() -> None:
    names = ["TAS", "PRNG_0_1", "PRNG_1_0"]
    body = "\n".join(f"uput ${name},$a{i}\nuget $a{i + 4},${name}" for i, name in enumerate(names))
    start = Start()
    start.a[0][:3] = [0x12345678, 0xDEADBEEF, 0xFFFFFFFF]
    pair = run_both(body, start, workers=[0])
    assert pair.tile.arf[0, 4:7].tolist() == [0x12345678, 0xDEADBEEF, 0xFFFFFFFF]


def test_seed_vector() -> None:
    body = "setzi $a0,1\nuput $PRNG_SEED,$a0\n" + "\n".join(
        f"uget $a{i + 1},${name}" for i, name in enumerate(["PRNG_0_0", "PRNG_0_1", "PRNG_1_0", "PRNG_1_1"])
    )
    pair = run_both(body, workers=[3])
    assert pair.tile.arf[3, 1:5].tolist() == [1, 0xFFFFFFFE, 0x3FFF, 0xFFFFC000]


def test_random_words_vector() -> None:
    body = "setzi $a0,1\nuput $PRNG_SEED,$a0\nurand64 $a0:1\nurand64 $a2:3\nurand64 $a4:5"
    words = emulate(body).arf[0, :6].tolist()
    draws = [words[i] | words[i + 1] << 32 for i in (0, 2, 4)]
    assert draws == [0xFFFFBFFE00003FF9, 0x0F023FE1F0F3BFDE, 0x2FA045DDD037BDD8]


def test_cycle_counter_moves_six_a_turn() -> None:
    tile = emulate("get $m0,$COUNT_L\nnop\nnop\nget $m1,$COUNT_L")
    assert int(tile.mrf[0, 1]) - int(tile.mrf[0, 0]) == 3 * 6


def test_trap_stops_on_itself() -> None:
    for number, kind in ((0, "PBRK0"), (1, "PBRK1")):
        with pytest.raises(TileFault) as caught:
            emulate(f"setzi $m0,1\ntrap {number}")
        assert (caught.value.kind, caught.value.pc) == (kind, 0x4C004)


@pytest.mark.parametrize("word", ["0x7fffffff", "0xffffffff"])
def test_undefined_encoding(word: str) -> None:
    with pytest.raises(TileFault) as caught:
        emulate(f".long {word}\n.long {word}")
    assert caught.value.kind == "INVALID_INSTR"


@pytest.mark.nojit
def test_a_fault_names_place_and_instruction() -> None:
    tile = new_tile(text_of("nop\nf32log2 $a1,$azero"), Start(fp_ictl=2))
    with pytest.raises(TileFault) as caught:
        tile.run_workers("start", workers=[4])
    fault = caught.value
    assert (fault.kind, fault.pc, fault.tile) == ("FP", 0x4C004, 0)
    message = str(fault)
    assert "tile 0" in message and "worker 4" in message
    assert "0x4c004" in message and "f32log2 $a1" in message


def test_repeat_registers_after_a_loop() -> None:
    body = "nop\nrpt 3,1\n{add $m0,$m0,1; fnop}\n{nop; fnop}\nget $m1,$REPEAT_COUNT\nget $m2,5\nget $m3,6"
    pair = run_both(body, workers=[2])
    assert pair.tile.mrf[2, :4].tolist() == [3, 0, 0x4C008, 0x4C018]


def test_a_missing_register_in_the_aux_half_stops_the_main_half() -> None:
    """The number is known before anything executes, whatever the main half would do."""
    start = Start()
    start.m[0][:2] = [7, 0x60000]
    for main in ("add $m0,$m0,1", "st32 $m0,$m1,$m15,0", "ld32 $m0,$m0,$m15,0"):
        pair = run_both(f"{{{main}; uget $a0,200}}", start, workers=[0])
        assert pair.fault == "INVALID_OP"
        assert pair.tile.mrf[0, 0] == 7 and pair.tile.read(0x60000, "uint32", 1)[0] == 0

"""Accumulate, drain and scaled-accumulate instructions, against the oracle and hand-worked vectors."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import (
    FP_STS,
    NANOO,
    Pair,
    Start,
    any_f16,
    any_f32,
    f16_words,
    f32_bits,
    finite_f16,
    finite_f32,
    run_both,
    seeds,
)
from tile_emu.asm import assemble
from tile_emu.tile import Tile

R1 = ["$a0", "$a1", "$a2", "$a3", "$a4", "$a5"]
R2 = ["$a0:1", "$a2:3", "$a4:5", "$azeros"]
R4 = ["$a0:3", "$a4:7"]
one, two, four = st.sampled_from(R1), st.sampled_from(R2), st.sampled_from(R4)


def lines(*parts: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda t: f"{t[0]} {','.join(str(x) for x in t[1:])}")


def drains(kind: str) -> st.SearchStrategy[str]:
    """Reads of the accumulators: results go to $a6:7, which no f16 or f32 source uses as data of the other kind."""
    if kind == "f16":
        return st.one_of(
            lines(st.just("f16v2gina"), st.just("$a6"), one, st.integers(0, 3)),
            st.just("f16v4gacc $a6:7"),
            lines(st.just("f16v4mix"), st.just("$a6:7"), two, two),
        )
    return st.one_of(
        lines(st.just("f32v2gina"), st.just("$a6:7"), two, st.integers(0, 3)),
        lines(st.just("f32v2axpy"), st.just("$a6:7"), two, two),
    )


clear = st.just("{nop; setzi $a7,8}\nuput $FP_CLR,$a7")
f16_step = st.one_of(
    lines(st.sampled_from(["f16v4acc", "f16v4absacc"]), two),
    lines(st.sampled_from(["f16v8acc", "f16v8absacc", "f16v8sqacc"]), st.just("$a0:3")),
    lines(st.just("f16v2cmac"), one, one),
    lines(st.just("f16v4cmac"), two, two),
    drains("f16"),
    clear,
)
f32_step = st.one_of(
    lines(st.sampled_from(["f32v4acc", "f32v4absacc", "f32v4sqacc"]), st.just("$a0:3")),
    lines(st.just("f32mac"), one, one),
    lines(st.just("f32v2mac"), two, two),
    lines(st.just("f32v2aop"), two, two, st.just(0)),
    drains("f32"),
    clear,
)


def state(rng: random.Random, kind: str, special: bool, control: int = 0) -> Start:
    """``special``: any pattern, else finite numbers whose sums fit a double, where every rounding model agrees."""
    half = any_f16 if special else finite_f16
    single = any_f32 if special else finite_f32
    start = Start(fp_ictl=control)
    for worker in range(6):
        if kind == "f16":
            start.a[worker] = [half(rng) | half(rng) << 16 for _ in range(8)]
        else:
            start.a[worker] = [single(rng) for _ in range(8)]
        start.acc[worker] = [finite_f32(rng, 112, 138) for _ in range(32)]
    return start


@given(st.lists(f16_step, min_size=2, max_size=5), seeds, st.sampled_from([0, NANOO]))
def test_random_f16_programs(steps: list[str], seed: int, control: int) -> None:
    tas = "uput $TAS,$a5\n"
    run_both(tas + "\n".join(steps), state(random.Random(seed), "f16", False, control))


@given(st.lists(f32_step, min_size=2, max_size=5), seeds)
def test_random_f32_programs(steps: list[str], seed: int) -> None:
    run_both("uput $TAS,$a5\n" + "\n".join(steps), state(random.Random(seed), "f32", False))


@given(
    st.sampled_from(
        ["f16v4acc $a0:1", "f16v8acc $a0:3", "f16v8sqacc $a0:3", "f16v2cmac $a0,$a1", "f16v4cmac $a0:1,$a2:3"]
    ),
    seeds,
)
def test_f16_specials(step: str, seed: int) -> None:
    """Infinities and NaNs of f16 give NaN and INV."""
    run_both(step, state(random.Random(seed), "f16", True))


@given(st.sampled_from(["f32v4acc $a0:3", "f32v4sqacc $a0:3", "f32mac $a0,$a1", "f32v2mac $a0:1,$a2:3"]), seeds)
def test_f32_specials(step: str, seed: int) -> None:
    run_both(step, state(random.Random(seed), "f32", True))


def acc_after(body: str, words: list[int]) -> Pair:
    start = Start()
    start.a[0][: len(words)] = words
    return run_both(body, start, workers=[0])


@pytest.mark.nojit
def test_cmac_vector() -> None:
    pair = acc_after("f16v4cmac $a0:1,$a2:3", f16_words(1, 2, 3, 4, 5, 6, 7, 8))
    assert (pair.tile.aacc[0, 0], pair.tile.aacc[0, 2]) == (17, 53)


def test_outer_product_vector() -> None:
    pair = acc_after("f32v2aop $a0:1,$a2:3,0", [f32_bits(v) for v in (2, 3, 5, 7)])
    assert pair.tile.aacc[0, 0:8:2].tolist() == [10, 15, 14, 21]


def test_acc_then_gina_vector() -> None:
    drain = "\n".join(f"f32v2gina $a{2 * i}:{2 * i + 1},$azeros,0" for i in range(4))
    pair = acc_after(f"f16v8acc $a0:3\n{drain}", f16_words(*range(8)))
    assert pair.tile.arf[0, :8].view(np.float32).tolist() == list(range(8))
    assert not pair.tile.aacc[0].any()


def test_mix_vector() -> None:
    words = [*f16_words(1, 1, 1, 1), *f16_words(1, 2, 3, 4), 0, 0, *f16_words(2, 3)]
    pair = acc_after("uput $TAS,$a6\nf16v4mix $a4:5,$a0:1,$a2:3\nf16v4mix $a4:5,$a0:1,$a2:3", words)
    assert pair.tile.arf[0, 4:6].tolist() == f16_words(5, 8, 11, 14)


def test_f32_sum_of_four_by_two_drains() -> None:
    drain = "f32v2gina $a4:5,$azeros,0\nf32v2gina $a6:7,$azeros,0"
    pair = acc_after(f"f32v4acc $a0:3\nf32v4acc $a0:3\n{drain}", [f32_bits(v) for v in (1, 2, 3, 4)])
    assert pair.tile.arf[0, 4:8].view(np.float32).tolist() == [2, 4, 6, 8]


@pytest.mark.nojit
def test_clearing_the_accumulators() -> None:
    start = Start(acc=[[f32_bits(i + 1.0) for i in range(32)] for _ in range(6)])
    pair = run_both("setzi $a0,8\nuput $FP_CLR,$a0", start, workers=[2])
    assert not pair.tile.aacc[2].any()
    assert pair.tile.aacc[3].tolist() == [i + 1.0 for i in range(32)]


def test_fused_multiply_add_rounds_once() -> None:
    # (1 + 2**-23)**2 - 1 - 2**-22 = 2**-46: the product must not be rounded before the sum.
    start = Start()
    start.a[0][0] = 0x3F800001
    start.acc[0][0] = f32_bits(-(1 + 2.0**-22))
    pair = run_both("f32mac $a0,$a0", start, workers=[0])
    assert pair.tile.aacc[0, 0] == 2.0**-46


def test_fused_multiply_add_just_beside_a_tie() -> None:
    # x * y = 2**-24 - 2**-70, a little less than half the last place of 1 + 2**-23: the sum rounds down. Rounded to a
    # double on the way it would become a tie, and the even neighbour is above.
    x, y = (1 + 2.0**-23) * 2.0**-24, 1 - 2.0**-23
    start = Start()
    start.a[0][:2] = [f32_bits(x), f32_bits(y)]
    start.acc[0][0] = f32_bits(1 + 2.0**-23)
    pair = run_both("f32mac $a0,$a1", start, workers=[0])
    assert pair.tile.aacc[0, 0] == 1 + 2.0**-23
    assert np.float32(1 + 2.0**-23 + x * y) == 1 + 2.0**-22


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_non_finite_data_shows_in_one_sum(value: float) -> None:
    pair = acc_after("f16v4acc $a0:1\nf32v2gina $a4:5,$azeros,0", f16_words(1, value, 2, 3))
    assert pair.tile.arf[0, 4] == f32_bits(1.0)
    assert pair.tile.arf[0, 5] == 0x7FC00000
    assert pair.tile.get_csr(0, FP_STS) == 1


INFINITY, NAN = 0x7F800000, 0x7FC00000


@pytest.mark.parametrize(
    "step",
    ["f16v8acc $a0:3", "f16v4cmac $a0:1,$a2:3", "f32mac $a0,$a1", "f32sisoamp $a4:5,$a0,$azeros,TAMP_F32_E4_P1",
     "f32sisov2slic $a4:5,$a0,$azeros,TSLIC_F32_1x4_W0_L", "f16v4sisoamp $a4:5,$a0:1,$azeros,TAMP_F16V4_E4_P1",
     "f16v4sisoslic $a4:5,$a0:1,$azeros,TSLIC_F16V4_1x3_W0"],
)  # fmt: skip
def test_an_infinite_sum_stays_one_without_a_new_overflow(step: str) -> None:
    start = Start(acc=[[INFINITY] * 32 for _ in range(6)])
    start.a[0][:4] = f16_words(1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0)
    pair = run_both(step, start, workers=[0])
    assert pair.naive.workers[0].acc[0] == INFINITY and pair.naive.workers[0].fp_sts == 0


def test_an_infinite_sum_beside_an_infinite_operand_stays() -> None:
    start = Start(acc=[[INFINITY] * 32 for _ in range(6)])
    start.a[0][:2] = [0x3C007C00, 0x3C003C00]  # element 0 is an infinity
    pair = run_both("f16v4acc $a0:1", start, workers=[0])
    assert pair.naive.workers[0].acc[0:8:2] == [NAN, INFINITY, INFINITY, INFINITY]


def test_nan_enters_a_chain_as_the_canonical_one() -> None:
    start = Start()
    start.a[0][0] = 0xFE017C01
    pair = run_both("f16v2gina $a1,$a0,1", start, workers=[0])
    assert pair.naive.workers[0].acc[13:16:2] == [NAN, NAN] and pair.naive.workers[0].fp_sts == 1


def test_two_products_and_the_old_sum_round_once() -> None:
    """2**14 + 2**-10 is a tie of binary32; the 2**-48 that breaks it would be lost in a float64 sum."""
    start = Start(acc=[[f32_bits(2.0**14), *[0] * 31] for _ in range(6)])
    start.a[0][:2] = [0x00013C00, 0x00011400]  # 1 * 2**-10 + 2**-24 * 2**-24
    pair = run_both("f16v2cmac $a0,$a1", start, workers=[0])
    assert pair.naive.workers[0].acc[0] == f32_bits(2.0**14) + 1


def test_a_sum_of_negative_zeros_is_negative() -> None:
    """IEEE 754: only where all three terms are -0."""
    tile = Tile("ipu21")
    tile.load(assemble(text=".worker\n.globl start\nstart: f16v2cmac $a0, $a1\nexitz $mzero"))
    for kept, halves, expected in (
        (0x80000000, 0xAA59E5D9, 0x80000000),
        (0, 0xAA59E5D9, 0),
        (0x80000000, 0x2A59E5D9, 0),
    ):
        tile.set_aacc(np.full((6, 32), kept, np.uint32).view(np.float32))
        tile.arf[0, :2] = 0, halves
        tile.run_workers("start", workers=[0])
        assert tile.aacc[0].copy().view(np.uint32)[0] == expected

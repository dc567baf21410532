"""Element-wise float arithmetic, comparisons and conversions with their exception flags, against the oracle."""

from __future__ import annotations

import random

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
    any_float_word,
    emulate,
    f16_words,
    f32_bits,
    run_both,
    seeds,
)

R1 = [f"$a{i}" for i in range(8)] + ["$a15"]
R2 = ["$a0:1", "$a2:3", "$a4:5", "$a6:7", "$a14:15"]
R4 = ["$a0:3", "$a4:7"]
INV, OFLO = 1, 4

#: type -> registers of a vector, broadcast modifiers of source 0
TYPES = {"f16v2": (R1, ["BL", "BU"]), "f16v4": (R2, ["BL", "BU"]), "f32": (R1, []), "f32v2": (R2, ["B"])}
BROADCASTING = ["add", "sub", "mul", "cmpeq", "cmpne", "cmplt", "cmple", "cmpgt", "cmpge"]
OPERATIONS = [*BROADCASTING, "absadd", "max", "min", "absmax"]


@st.composite
def elementwise(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(sorted(TYPES)))
    operation = draw(st.sampled_from(OPERATIONS))
    registers, modifiers = TYPES[kind]
    register = st.sampled_from(registers)
    first = draw(register)
    if modifiers and operation in BROADCASTING and draw(st.booleans()):
        first = f"{draw(st.sampled_from(R1))}:{draw(st.sampled_from(modifiers))}"
    return f"{kind}{operation} {draw(register)},{first},{draw(register)}"


def unary(names: str, destinations: list[str], sources: list[str]) -> st.SearchStrategy[str]:
    parts = st.tuples(st.sampled_from(names.split()), st.sampled_from(destinations), st.sampled_from(sources))
    return parts.map(lambda t: f"{t[0]} {t[1]},{t[2]}")


conversion = st.one_of(
    unary("f16tof32 f32tof16 f32toi32 f32toui32 f32fromi32 f32fromui32 f16v2sum", R1, R1),
    unary("f16v2tof32", R2, R1),
    unary("f32v2tof16", R1, R2),
    unary("f32v4tof16", R2, R4),
    unary("f16v4sum", R2, R2),
    st.tuples(st.sampled_from(R1), st.sampled_from(R1), st.integers(0, 4)).map(
        lambda t: f"f32int {t[0]},{t[1]},{t[2]}"
    ),
)
clamp = st.one_of(
    st.tuples(st.sampled_from(R1), st.sampled_from(R1), st.sampled_from(R1)).map(lambda t: f"f16v2clamp {','.join(t)}"),
    st.tuples(st.sampled_from(R2), st.sampled_from(R2), st.sampled_from(R1)).map(lambda t: f"f16v4clamp {','.join(t)}"),
    st.tuples(st.sampled_from(R1), st.sampled_from(R1), st.sampled_from(R2)).map(lambda t: f"f32clamp {','.join(t)}"),
    st.tuples(st.sampled_from(R2), st.sampled_from(R2), st.sampled_from(R2)).map(lambda t: f"f32v2clamp {','.join(t)}"),
)


def floats(seed: int, fp_ictl: int = 0) -> Start:
    rng = random.Random(seed)
    return Start(a=[[any_float_word(rng) for _ in range(8)] for _ in range(6)], fp_ictl=fp_ictl)


@given(st.lists(elementwise(), min_size=2, max_size=5), seeds, st.sampled_from([0, NANOO]))
def test_random_arithmetic(steps: list[str], seed: int, control: int) -> None:
    run_both("\n".join(steps), floats(seed, control))


@given(st.lists(st.one_of(conversion, clamp), min_size=2, max_size=5), seeds, st.sampled_from([0, NANOO]))
def test_random_conversions(steps: list[str], seed: int, control: int) -> None:
    run_both("\n".join(steps), floats(seed, control))


@given(st.lists(elementwise(), min_size=2, max_size=4), seeds, st.integers(1, 7))
def test_enabled_traps_stop_before_writing(steps: list[str], seed: int, enabled: int) -> None:
    pair = run_both("\n".join(steps), floats(seed, enabled), workers=[0])
    assert pair.fault in (None, "FP")


def one(body: str, sources: list[int], control: int = 0) -> Pair:
    start = Start(fp_ictl=control)
    start.a[0][: len(sources)] = sources
    return run_both(body, start, workers=[0])


def flags(pair: Pair) -> int:
    return int(pair.tile.get_csr(0, FP_STS))


@pytest.mark.nojit
def test_f16_overflow_clamps_or_makes_nan() -> None:
    big = f16_words(65504, -65504)
    pair = one("f16v2add $a1,$a0,$a0", big)
    assert pair.tile.arf[0, 1] == big[0]
    assert flags(pair) == OFLO
    pair = one("f16v2add $a1,$a0,$a0", big, NANOO)
    assert pair.tile.arf[0, 1] == 0x7E007E00
    assert flags(pair) == OFLO | INV


def test_changing_the_control_register_acts_from_the_next_bundle() -> None:
    """NANOO is bit 20; FP_STS keeps its flags until FP_CLR clears the chosen ones."""
    body = (
        "{nop; f16v2add $a1,$a0,$a0}\nsetzi $a7,0\nor $a7,$a7,0x100000\nuput $FP_CTL,$a7\nf16v2add $a2,$a0,$a0\n"
        "uget $a3,$FP_STS\nsetzi $a7,1\nuput $FP_CLR,$a7\nuget $a4,$FP_STS\nuget $a5,$FP_CLR"
    )
    pair = one(body, [0x7BFF7BFF])
    assert pair.tile.arf[0, 1:6].tolist() == [0x7BFF7BFF, 0x7E007E00, INV | OFLO, OFLO, 0]


def test_trap_enabled_by_the_worker_itself() -> None:
    start = Start()
    start.a[0][:2] = [0x7BFF7BFF, 5]
    start.m[0][0] = 0x60000
    body = "setzi $a7,4\nuput $FP_CTL,$a7\n{st32step $a1,$mzero,$m0+=,1; f16v2add $a1,$a0,$a0}"
    pair = run_both(body, start, workers=[0])
    assert pair.fault == "FP"
    assert (pair.tile.mrf[0, 0], pair.tile.arf[0, 1]) == (0x60000, 5)


def test_f32_overflow_gives_infinity() -> None:
    pair = one("f32add $a1,$a0,$a0", [0x7F7FFFFF])
    assert pair.tile.arf[0, 1] == 0x7F800000
    assert flags(pair) == OFLO


@pytest.mark.parametrize(
    ("body", "sources", "expected"),
    [
        ("f32sub $a2,$a0,$a1", [0x7F800000, 0x7F800000], 0x7FC00000),
        ("f32mul $a2,$a0,$a1", [0x7F800000, 0x80000000], 0x7FC00000),
        ("f32add $a2,$a0,$a1", [0x7F800001, 0x3F800000], 0x7FC00000),
        ("f32cmpeq $a2,$a0,$a1", [0x7FC00000, 0x7FC00000], 0),
        ("f32cmpne $a2,$a0,$a1", [0x7FC00000, 0x7FC00000], 0xFFFFFFFF),
        ("f32max $a2,$a0,$a1", [0x7FC00000, 0xC0000000], 0xC0000000),
    ],
)
def test_invalid(body: str, sources: list[int], expected: int) -> None:
    pair = one(body, sources)
    assert pair.tile.arf[0, 2] == expected
    assert flags(pair) == INV


def test_signed_zeros() -> None:
    pair = one("f32max $a2,$a0,$a1\nf32min $a3,$a0,$a1\nf32sub $a4,$a0,$a0\nf32add $a5,$a1,$a1", [0, 0x80000000])
    assert pair.tile.arf[0, 2:6].tolist() == [0, 0x80000000, 0, 0x80000000]
    assert flags(pair) == 0


@pytest.mark.parametrize("mode", range(5))
def test_f32int_modes(mode: int) -> None:
    values = [2.5, -2.5, 1.5, -0.5, 0.5, 2.25, -2.75]
    expected = {
        0: [2.0, -2.0, 2.0, -0.0, 0.0, 2.0, -3.0],
        1: [3.0, -2.0, 2.0, -0.0, 1.0, 3.0, -2.0],
        2: [2.0, -3.0, 1.0, -1.0, 0.0, 2.0, -3.0],
        3: [2.0, -2.0, 1.0, -0.0, 0.0, 2.0, -2.0],
        4: [3.0, -3.0, 2.0, -1.0, 1.0, 2.0, -3.0],
    }[mode]
    for value, result in zip(values, expected, strict=True):
        assert one(f"f32int $a1,$a0,{mode}", [f32_bits(value)]).tile.arf[0, 1] == f32_bits(result)


def test_conversion_to_integers_saturates() -> None:
    for value, as_signed, as_unsigned, invalid in (
        (2.5, 2, 2, 0),
        (3.5, 4, 4, 0),
        (-1.0, 2**32 - 1, 0, INV),
        (2.0**31, 2**31 - 1, 2**31, INV),
        (-(2.0**31), 2**31, 0, INV),
        (2.0**32, 2**31 - 1, 2**32 - 1, INV),
        (float("nan"), 0, 0, INV),
    ):
        pair = one("f32toi32 $a1,$a0\nf32toui32 $a2,$a0", [f32_bits(value)])
        assert pair.tile.arf[0, 1:3].tolist() == [as_signed, as_unsigned], value
        assert flags(pair) == invalid, value


def test_masks_and_sign_idioms() -> None:
    # A mask keeps the larger value; comparing a bit pattern with zero spreads its sign bit.
    body = "f32cmpgt $a2,$a0,$a1\nand $a3,$a0,$a2\nandc $a4,$a1,$a2\nor $a3,$a3,$a4\nf32cmplt $a5,$a1,$azero"
    pair = one(body, [f32_bits(3.0), f32_bits(-5.0)])
    assert pair.tile.arf[0, 3] == f32_bits(3.0)
    assert pair.tile.arf[0, 5] == 0xFFFFFFFF


@pytest.mark.nojit
def test_integer_arithmetic_on_f16_subnormals() -> None:
    # 0x0005 and 0x0003 as f16 are 5 and 3 times 2**-24; their difference is exact.
    pair = one("f16v2sub $a2,$a0,$a1\nf16v2add $a3,$a0,$a1", [0x00050123, 0x00030023])
    assert pair.tile.arf[0, 2:4].tolist() == [0x00020100, 0x00080146]
    assert flags(pair) == 0


@pytest.mark.parametrize("kind", ["f16", "f32"])
def test_single_rounding_of_many_sums_and_products(kind: str) -> None:
    """Denser than the random programs: thousands of operand pairs through six registers at a time."""
    rng = random.Random(7)
    name, draw = ("f16v4", any_f16) if kind == "f16" else ("f32v2", any_f32)
    for _ in range(20):
        start = Start()
        for worker in range(6):
            if kind == "f16":
                start.a[worker][:4] = [draw(rng) | draw(rng) << 16 for _ in range(4)]
            else:
                start.a[worker][:4] = [draw(rng) for _ in range(4)]
        run_both(f"{name}add $a4:5,$a0:1,$a2:3\n{name}mul $a6:7,$a0:1,$a2:3\n{name}sub $a0:1,$a0:1,$a2:3", start)


def test_unsigned_fractions_vector() -> None:
    # 0 gives the value nearest to -0.5 + 2**-17, 0x8000 gives 2**-17 exactly.
    start = Start()
    start.a[0][0] = 0x80000000
    assert emulate("f16v2sufromui $a1,$a0", start).arf[0, 1] == 0x0080B800

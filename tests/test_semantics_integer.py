"""Integer, bitwise and permute instructions of both register files against the oracle and hand-worked vectors."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import Start, any_word, run_both, seeds

M = [f"$m{i}" for i in range(12)] + ["$m12", "$m13", "$m14", "$m15"]
A = [f"$a{i}" for i in range(8)] + ["$a15"]
A2 = ["$a0:1", "$a2:3", "$a4:5", "$a6:7", "$a14:15"]

REGISTER_ONLY = (
    "roll16 roll8r roll8l sort4x16lo sort4x16hi shuf8x8lo shuf8x8hi sort8x8lo sort8x8hi xor xnor cmpne movz"
).split()
SIGNED16 = "add mul min max cmpeq cmpslt".split()
UNSIGNED16 = "add min max cmpeq cmpult".split()
UNSIGNED12 = "and andc or shl shr shrs".split()
UNARY = "abs clz cms popc bitrev8 sort8 swap8".split()
ARF = "and andc or roll16 roll8r roll8l sort4x16lo sort4x16hi shuf8x8lo shuf8x8hi sort8x8lo sort8x8hi".split()

m, a, a2 = st.sampled_from(M), st.sampled_from(A), st.sampled_from(A2)
s16, z16, z12 = st.integers(-(2**15), -1), st.integers(0, 2**16 - 1), st.integers(0, 2**12 - 1)
iz12 = z12.map(lambda v: v << 20)


def text(*parts: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    """``mnemonic operand,operand,..`` of the drawn parts."""
    return st.tuples(*parts).map(lambda t: f"{t[0]} {','.join(str(x) for x in t[1:])}")


def named(names: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


main = st.one_of(
    text(named([*REGISTER_ONLY, *SIGNED16, *UNSIGNED16, *UNSIGNED12, "sub"]), m, m, m),
    text(named(SIGNED16), m, m, s16),
    text(named(UNSIGNED16), m, m, z16),
    text(named(UNSIGNED12), m, m, z12),
    text(named(["shl", "shr", "shrs"]), m, m, st.integers(0, 40)),
    text(st.just("or"), m, m, iz12),
    text(st.just("sub"), m, st.one_of(s16, z16), m),
    text(named(UNARY), m, m),
    text(st.just("setzi"), m, st.integers(0, 2**20 - 1)),
    text(st.just("atom"), m, a),
)
aux = st.one_of(
    text(named(ARF), a, a, a),
    text(named(["and", "andc", "or"]), a, a, st.one_of(z12, iz12)),
    text(named(["sort8", "swap8", "not"]), a, a),
    text(st.just("sort4x16lo"), a, a.map(lambda r: f"{r}:BU"), a),
    text(st.just("sort4x16hi"), a, a.map(lambda r: f"{r}:BL"), a),
    text(named(["and64", "andc64", "or64", "sort4x32lo", "sort4x32hi", "roll32"]), a2, a2, a2),
    text(st.just("not64"), a2, a2),
    text(st.just("setzi"), a, st.integers(0, 2**20 - 1)),
)
# Main and aux halves write different register files, so every pair of them is a legal bundle.
step = st.one_of(main, aux, st.tuples(main, aux).map(lambda t: f"{{{t[0]}; {t[1]}}}"))


@given(st.lists(step, min_size=2, max_size=5), seeds)
def test_random_programs(steps: list[str], seed: int) -> None:
    rng = random.Random(seed)
    start = Start(
        m=[[any_word(rng) for _ in range(12)] for _ in range(6)],
        a=[[any_word(rng) for _ in range(8)] for _ in range(6)],
        vertex_base=0x50000,
    )
    pair = run_both("\n".join(steps), start)
    assert pair.fault is None


VECTORS = [
    ("roll8r", 0x04030201, 0x08070605, 0x05040302),
    ("roll8l", 0x04030201, 0x08070605, 0x07060504),
    ("shuf8x8lo", 0x04030201, 0x08070605, 0x06020501),
    ("shuf8x8hi", 0x04030201, 0x08070605, 0x08040703),
    ("sort8x8lo", 0x04030201, 0x08070605, 0x07050301),
    ("sort8x8hi", 0x04030201, 0x08070605, 0x08060402),
    ("roll16", 0x22221111, 0x44443333, 0x33332222),
    ("sort4x16lo", 0x22221111, 0x44443333, 0x33331111),
    ("sort4x16hi", 0x22221111, 0x44443333, 0x44442222),
]


@pytest.mark.nojit
@pytest.mark.parametrize(("name", "first", "second", "expected"), VECTORS, ids=[v[0] for v in VECTORS])
def test_permute_vectors(name: str, first: int, second: int, expected: int) -> None:
    start = Start()
    start.m[0][:2] = start.a[0][:2] = [first, second]
    pair = run_both(f"{{{name} $m2,$m0,$m1; {name} $a2,$a0,$a1}}", start, workers=[0])
    assert pair.tile.mrf[0, 2] == expected
    assert pair.tile.arf[0, 2] == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("bitrev8", 0x01020380, 0x8040C001),
        *(("cms", v, e) for v, e in ((0, 31), (1, 30), (0xFFFFFFFF, 31), (0x80000000, 0), (0x40000000, 0))),
        *(("clz", v, e) for v, e in ((0, 32), (1, 31), (0x80000000, 0))),
        ("abs", 0x80000000, 0x80000000),
        ("popc", 0xF0F00001, 9),
    ],
)
def test_count_vectors(name: str, value: int, expected: int) -> None:
    start = Start()
    start.m[0][0] = value
    pair = run_both(f"{name} $m1,$m0", start, workers=[0])
    assert pair.tile.mrf[0, 1] == expected


@pytest.mark.parametrize("amount", [31, 32, 33, 0x80000001])
def test_shifts_by_32_and_more(amount: int) -> None:
    start = Start()
    start.m[0][:2] = [0xC0000001, amount]
    pair = run_both("shl $m2,$m0,$m1\nshr $m3,$m0,$m1\nshrs $m4,$m0,$m1", start, workers=[0])
    long = amount >= 32
    assert pair.tile.mrf[0, 2:5].tolist() == [0 if long else 0x80000000, 0 if long else 1, 0xFFFFFFFF]


def test_subtraction_order() -> None:
    start = Start()
    start.m[0][:2] = [100, 30]
    pair = run_both("sub $m2,$m0,$m1\nsub $m3,7,$m1\nsub $m4,-7,$m1", start, workers=[0])
    assert pair.tile.mrf[0, 2:5].tolist() == [70, 2**32 - 23, 2**32 - 37]


@pytest.mark.nojit
def test_broadcast_low_half_idiom() -> None:
    start = Start()
    start.a[0][0] = 0xABCD1234
    assert run_both("sort4x16lo $a0,$a0,$a0", start, workers=[0]).tile.arf[0, 0] == 0x12341234


def test_zero_registers_stay_zero() -> None:
    start = Start(vertex_base=0x50010)
    writes = "setzi $m15,5\nsetzi $m14,5\nsetzi $m13,5\nsetzi $a15,9\n"
    text = writes + "add $m0,$m15,1\nadd $m1,$m14,1\nadd $m2,$m13,1\natom $m3,$a15"
    pair = run_both(text, start, workers=[0])
    assert pair.tile.mrf[0, :4].tolist() == [1, 1, 0x50011, 0]

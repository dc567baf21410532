"""Loads, stores, indexed and packed addressing, and the faults of accesses, against the oracle."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import Pair, Start, run_both, seeds

# One window of data per 16 KiB element that the programs use; region 1 interleaves two banks by address bit 3.
WINDOWS = [0x60000, 0x64000, 0x6C000, 0x88000, 0xA0000]
SIZE = 0x400
BASES, DELTAS, STRIDES = ["$m0", "$m1", "$m2"], ["$m4", "$m5", "$m15"], ["$m6", "$m7", "$m15"]


@st.composite
def plain(draw: st.DrawFn) -> str:
    """ld*, st* with base, delta and offset, or with a step; destinations are $m8.. or $a0..$a3."""
    name = draw(
        st.sampled_from(
            "ldz8 lds8 ldz16 lds16 ld32m ld32 ldb8 ldb16 ld64 ld128 st32m st32 st64 stm32 stm32step".split()
        )
    )
    main = name in ("ldz8", "lds8", "ldz16", "lds16", "ld32m", "st32m", "stm32", "stm32step")
    wide = {"ld64": 2, "ld128": 4, "st64": 2}.get(name, 1)
    if main:
        data = draw(st.sampled_from(["$m8", "$m9"]))
    else:
        first = draw(st.sampled_from(range(0, 8 if name.startswith("st") else 4, wide)))
        data = f"$a{first}" + (f":{first + wide - 1}" if wide > 1 else "")
        data = draw(st.sampled_from([data] * 5 + (["$azero"] if wide == 1 else ["$azeros"] if wide == 2 else [data])))
    base, delta = draw(st.sampled_from(BASES)), draw(st.sampled_from(DELTAS))
    if name in ("stm32", "stm32step"):
        return f"{name} {data},{base},$m5"
    store_main = name == "st32m"
    name = name.removesuffix("m")
    if draw(st.booleans()):
        steps = st.integers(-8, 8)
        step = draw(steps if store_main else st.one_of(steps, st.just("$m11")))
        return f"{name}step {data},{base},{draw(st.sampled_from(['$m4', '$m5']))}+=,{step}"
    offset = draw(st.integers(0, 7) if store_main else st.one_of(st.integers(0, 7), st.just("$m10")))
    return f"{name} {data},{base},{delta},{offset}"


#: The lower register of a pair may be the destination of every load of these forms: 64-bit or two loads.
PACE = {
    "ld2x64pace": ("$a0:1,$a2:3", 16),
    "ldst64pace": ("$a0:1,{s}", 16),
    "st64pace": ("{s}", 4),
    "ld2xst64pace": ("$a0:3,{s}", 64),
    "ld64a32pace": ("$a2:3,$a1", 16),
    "ld64b16pace": ("$a0:1,$a3", 16),
}


@st.composite
def pace(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(PACE)))
    data, selectors = PACE[name]
    source = draw(st.sampled_from(["$a0:1", "$a2:3", "$a4:5", "$a6:7", "$azeros"]))
    stride = draw(st.sampled_from(STRIDES))
    return f"{name} {data.format(s=source)},$m10:11+=,{stride},{draw(st.integers(0, selectors - 1))}"


@st.composite
def indexed(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(["ldd16a32", "ldd16a64", "ldd16b16", "ldd16v2a32", "ld64a32"]))
    base = draw(st.sampled_from(["$m0", "$m1"]))
    if name == "ld64a32":
        return f"ld64a32 $a0:3,$m2++,{base},$m5"
    return f"{name} {'$a0:1' if name == 'ldd16a64' else '$a2'},$m2++,{base},$m5@"


aux = st.sampled_from(
    [
        "or64 $a4:5,$a0:1,$a2:3",
        "roll32 $a6:7,$a2:3,$a0:1",
        "setzi $a4,77",
        "sort4x16hi $a5,$a1,$a5",
        "f16v4absmax $a6:7,$a0:1,$a6:7",
        "f32v2absmax $a4:5,$a6:7,$a2:3",
    ]
)


def bundles(main: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """2 to 5 steps, some with an aux instruction that reads what the load writes or writes what the store reads."""
    step = st.one_of(main, st.tuples(main, aux).map(lambda t: f"{{{t[0]}; {t[1]}}}"))
    return st.lists(step, min_size=2, max_size=5)


def start_state(rng: random.Random, aligned: int) -> Start:
    """One worker's registers: bases in three different elements, small deltas, data everywhere."""
    start = Start(memory={w: rng.randbytes(SIZE) for w in WINDOWS})
    m, words = start.m[0], rng.sample(WINDOWS, 3)
    for i, window in enumerate(words):
        m[i] = window + rng.randrange(128, 256, aligned)
    m[4], m[5] = (rng.randrange(0, 64, aligned) for _ in range(2))
    m[6], m[7] = rng.getrandbits(32), sum((rng.randint(-4, 4) % 1024) << (10 * i) for i in range(3))
    m[8], m[9] = rng.getrandbits(32), rng.getrandbits(32)
    m[10], m[11] = rng.randint(0, 7), rng.randint(-4, 4) % 2**32
    start.a[0] = [rng.getrandbits(32) for _ in range(8)]
    return start


@given(bundles(plain()), seeds)
def test_plain_accesses(steps: list[str], seed: int) -> None:
    rng = random.Random(seed)
    run_both("\n".join(steps), start_state(rng, rng.choice([1, 2, 4, 8, 16, 16, 16, 16])), workers=[0])


@given(bundles(pace()), seeds)
def test_packed_accesses(steps: list[str], seed: int) -> None:
    rng = random.Random(seed)
    start = start_state(rng, rng.choice([4, 8, 8, 8, 8]))
    # Mostly small strides; sometimes the whole 10-bit range, which soon leaves the window or the memory.
    if rng.random() < 0.8:
        start.m[0][6] = sum((rng.randint(-4, 4) % 1024) << (10 * i) for i in range(3))
    run_both("tapack $m10:11,$m0,$m1,$m2\n" + "\n".join(steps), start, workers=[0])


@given(bundles(indexed()), seeds)
def test_indexed_accesses(steps: list[str], seed: int) -> None:
    rng = random.Random(seed)
    start = start_state(rng, 8)
    window = start.m[0][2]
    # Deltas in memory: small multiples of 8, now and then odd ones.
    deltas = np.array([rng.choice([0, 8, 16, 24, 64, rng.randrange(128)]) for _ in range(64)], np.uint16)
    start.memory[window] = deltas.tobytes()
    start.m[0][5] = rng.randrange(0, 64, 8) | rng.randrange(0, 64, 8) << 16
    run_both("\n".join(steps), start, workers=[0])


@given(seeds)
def test_two_broadcast_halves(seed: int) -> None:
    rng = random.Random(seed)
    start = start_state(rng, 8)
    start.m[0][0] = 0x70000
    start.memory[0x70000] = rng.randbytes(0x10000)
    start.m[0][5] = rng.randrange(0, 0x4000, 2) | (0x8000 + rng.randrange(0, 0x4000, 2)) << 16
    run_both("ldb16b16 $a0:1,$m0,$m5++,$m8>>\nldb16b16 $a2:3,$m0,$m5++,$m8>>", start, workers=[0])


def two_streams(a0: int, a1: int, a2: int, body: str, stride: int = 0) -> Pair:
    start = Start(memory={w: bytes(range(256)) * 4 for w in WINDOWS})
    start.m[0][:4] = [a0, a1, a2, stride]
    start.a[0] = [0x11111111 * i for i in range(8)]
    return run_both(f"tapack $m4:5,$m0,$m1,$m2\n{body}", start, workers=[0])


@pytest.mark.nojit
def test_tapack_vector() -> None:
    pair = two_streams(0x080010, 0x0A0020, 0x0C5678, "nop")
    assert pair.tile.mrf[0, 4:6].tolist() == [0xCF080010, 0x314A0020]


def test_tapack_drops_bits_above_20() -> None:
    pair = two_streams(0xFFE80010, 0x804A0020, 0xFF8C5678, "nop")
    assert pair.tile.mrf[0, 4:6].tolist() == [0xCF080010, 0x314A0020]


def test_stride_vectors() -> None:
    # Selectors 01 for A0 and 11 for A1, both fields +1: +8 bytes each; field 0x3ff is -8 bytes.
    pair = two_streams(0x080010, 0x0A0018, 0x0C5678, "ld2x64pace $a0:1,$a2:3,$m4:5+=,$m3,0b1101", 0x00100401)
    assert pair.tile.mrf[0, 4:6].tolist() == [0xCF080018, 0x314A0020]
    pair = two_streams(0x080010, 0x0A0018, 0x0C5678, "ld2x64pace $a0:1,$a2:3,$m4:5+=,$m3,1", 0x3FF)
    assert pair.tile.mrf[0, 4:6].tolist() == [0xCF080008, 0x314A0020]


@pytest.mark.parametrize(
    ("selectors", "moves"), [(0b1000, (8, 8)), (0b1011, (0, 8)), (0b1010, (8, 8))], ids=["1000", "1011", "1010"]
)
def test_worked_stride_example(selectors: int, moves: tuple[int, int]) -> None:
    body = f"ld2x64pace $a0:1,$a2:3,$m4:5+=,$m3,{selectors}"
    pair = two_streams(0x60010, 0x64020, 0x0C5678, body, 0x401)
    low, high = (int(v) & 0x1FFFFF for v in pair.tile.mrf[0, 4:6])
    assert (low - 0x60010, high - 0x64020) == moves


@pytest.mark.nojit
def test_load_and_store_of_one_pair_stores_the_old_value() -> None:
    pair = two_streams(0x60000, 0, 0x64000, "ldst64pace $a6:7,$a6:7,$m4:5+=,$mzero,0")
    assert pair.tile.read(0x64000, np.uint32, 2).tolist() == [0x66666666, 0x77777777]
    assert pair.tile.arf[0, 6:8].tolist() == [0x03020100, 0x07060504]


def test_bundle_stores_old_value_and_reads_old_operand() -> None:
    start = Start(memory={0x60000: bytes(range(64))})
    start.m[0][:2] = [0x60000, 8]
    start.a[0] = [0x3C003C00] * 8
    body = (
        "{st64step $a0:1,$m0,$m1+=,1; f16v4add $a0:1,$a0:1,$a2:3}\n"
        "{ld64step $a4:5,$m0,$m2+=,0; f16v4mul $a6:7,$a4:5,$a0:1}"
    )
    pair = run_both(body, start, workers=[0])
    assert pair.tile.read(0x60008, np.uint32, 2).tolist() == [0x3C003C00] * 2
    assert pair.tile.arf[0].tolist()[:2] == [0x40004000] * 2
    assert pair.tile.arf[0].tolist()[6:8] == [0x40004000] * 2  # 1 (the old $a4:5) times 2


def test_load_into_azeros_is_pointer_arithmetic() -> None:
    start = Start()
    start.m[0][:2] = [3, 1000]
    steps = ("ld64step $azeros,$mzero,$m0+=,5", "ld64step $azeros,$mzero,$m0+=,$m1", "ld32step $azero,$mzero,$m0+=,-1")
    pair = run_both("\n".join(steps), start)
    assert pair.fault is None
    assert pair.tile.mrf[0, 0] == 3 + 40 + 8000 - 4


def test_dummy_stream() -> None:
    pair = two_streams(0x60000, 0x60008, 0, "ld2x64pace $a0:1,$azeros,$m4:5+=,$mzero,0")
    assert pair.fault is None  # the unwanted half reads nothing, so it cannot conflict
    assert pair.tile.mrf[0, 4:6].tolist() == [0x60008, 0x60010]


FAULTS = [
    ("misaligned", "ld32 $m4,$m0,$mzero,0", [0x60002], "INVALID_ADDR"),
    ("below memory", "ld32 $m4,$m0,$mzero,0", [0x4BFFC], "INVALID_ADDR"),
    ("above memory", "st64 $a0:1,$m0,$mzero,0", [0xE8000], "INVALID_ADDR"),
    ("wrapping sum", "ldz8 $m4,$m0,$m1,0", [0x60000, 2**32 - 0x60000], "INVALID_ADDR"),
    ("128 bits in region 0", "ld128 $a0:3,$m0,$mzero,0", [0x60000], "INVALID_ADDR"),
    ("128 bits misaligned", "ld128 $a0:3,$m0,$mzero,0", [0x88008], "INVALID_ADDR"),
    ("one element twice", "ldd16a32 $a0,$m0++,$m1,$mzero@", [0x60000, 0x60100], "CONFLICT"),
    ("one bank of a pair twice", "ldd16a64 $a0:1,$m0++,$m1,$mzero@", [0x88000, 0x88010], "CONFLICT"),
    ("overlapping destinations", "ld2x64pace $a0:1,$a0:1,$m0:1+=,$mzero,0", [0x60000, 0x64000], "INVALID_OP"),
    ("word in a pair", "ld64a32pace $a0:1,$a1,$m0:1+=,$mzero,0", [0x60000, 0x64000], "INVALID_OP"),
    ("PC in region 1", "br $m0", [0x80000], "INVALID_PC"),
    ("PC outside memory", "br $m0", [0x100], "INVALID_PC"),
    ("PC misaligned", "br $m0", [0x4C002], "INVALID_PC"),
]


@pytest.mark.parametrize(("body", "registers", "kind"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_faults(body: str, registers: list[int], kind: str) -> None:
    start = Start()
    start.m[0][: len(registers)] = registers
    start.a[0] = list(range(8))
    assert run_both(f"setzi $m11,1\n{body}", start, workers=[0]).fault == kind


@pytest.mark.parametrize(
    ("body", "registers"),
    [
        ("ldd16a32 $a0,$m0++,$m1,$mzero@", [0x60000, 0x64000]),  # neighbouring elements
        ("ldd16a64 $a0:1,$m0++,$m1,$mzero@", [0x88000, 0x88008]),  # the two banks of a pair
        ("ld128 $a0:3,$m0,$mzero,0", [0xE7FF0]),  # the last 16 bytes
        ("ld128 $a0:3,$m0,$mzero,0", [0x80000]),  # the first interleaved ones
    ],
)
def test_accesses_just_inside_the_rules(body: str, registers: list[int]) -> None:
    start = Start()
    start.m[0][: len(registers)] = registers
    assert run_both(body, start, workers=[0]).fault is None

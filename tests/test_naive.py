"""The oracle itself, against values worked out by hand."""

from __future__ import annotations

import random
import struct
from fractions import Fraction

import pytest

from tests.naive import MODEL_A, MODEL_C, NaiveFault, NaiveTile
from tests.naive import numbers as fp
from tests.naive.numbers import F16, F32, Flags


def f32(x: float) -> int:
    return int.from_bytes(struct.pack("<f", x), "little")


def f16s(*values: float) -> list[int]:
    data = struct.pack(f"<{len(values)}e", *values)
    return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]


def run(text: str, m: dict[int, int] | None = None, a: dict[int, int] | None = None) -> NaiveTile:
    tile = NaiveTile(f"start:\n{text}\nexitz $m15\n")
    for index, value in (m or {}).items():
        tile.workers[0].m[index] = value
    for index, value in (a or {}).items():
        tile.workers[0].a[index] = value
    tile.run_workers("start", workers=[0])
    return tile


@pytest.mark.parametrize("bits", [0, 1, 0x3FF, 0x400, 0x3C00, 0x7BFF, 0x8001, 0x8000, 0x0123, 0xC5A7])
def test_f16_agrees_with_struct_both_ways(bits: int) -> None:
    (value,) = struct.unpack("<e", bits.to_bytes(2, "little"))
    assert fp.decode(bits, F16).value == Fraction(value)
    assert fp.to_f16(fp.decode(bits, F16), Flags(), False) == bits
    assert fp.to_f32(fp.decode(bits, F16), Flags()) == f32(value)


@pytest.mark.parametrize("value", [1 / 3, 2.0**-149, 1.5 * 2.0**-149, 2.5 * 2.0**-149, 3.4e38, 1e-40, 16777217.0, 0.1])
def test_f32_rounding_agrees_with_struct(value: float) -> None:
    assert fp.to_f32(fp.number(Fraction(value)), Flags()) == f32(value)


def test_f16_overflow_rules() -> None:
    tie = fp.number(Fraction(65520))  # halfway between the largest f16 and 2**16: nearest even goes up
    below = fp.number(Fraction(65519))
    flags = Flags()
    assert fp.to_f16(below, flags, False) == 0x7BFF and flags == set()
    assert fp.to_f16(tie, flags, False) == 0x7BFF and flags == {"OFLO"}
    flags = Flags()
    assert fp.to_f16(fp.negate(tie), flags, True) == F16.nan and flags == {"INV", "OFLO"}
    assert F16.nan == 0x7E00 and F32.nan == 0x7FC00000


def test_signed_zero_of_sums() -> None:
    plus, minus = fp.decode(0, F32), fp.decode(0x80000000, F32)
    assert fp.add(minus, minus, Flags()).negative
    assert not fp.add(plus, minus, Flags()).negative
    assert not fp.subtract(plus, plus, Flags()).negative


def test_double_sum_rounds_where_the_exact_one_does_not() -> None:
    terms = [fp.number(Fraction(2) ** e * s) for e, s in ((60, 1), (0, 1), (60, -1))]
    assert MODEL_C(terms, Flags()).value == 0
    assert MODEL_A(terms, Flags()).value == 1


def test_tapack_and_pace_vectors() -> None:
    tile = run("tapack $m4:5,$m0,$m1,$m2", m={0: 0x080010, 1: 0x0A0020, 2: 0x0C5678})
    assert tile.workers[0].m[4:6] == [0xCF080010, 0x314A0020]
    tile = run(
        "tapack $m4:5,$m0,$m1,$m2\nld2x64pace $a0:1,$a2:3,$m4:5+=,$m3,0b1101",
        m={0: 0x080010, 1: 0x0A0018, 2: 0x0C5678, 3: 0x00100401},
    )
    assert tile.workers[0].m[4:6] == [0xCF080018, 0x314A0020]


def test_permute_and_count_vectors() -> None:
    m = {0: 0x04030201, 1: 0x08070605, 2: 0x22221111, 3: 0x44443333, 4: 0x01020380}
    cases = {
        "roll8r $m5,$m0,$m1": 0x05040302,
        "roll8l $m5,$m0,$m1": 0x07060504,
        "shuf8x8lo $m5,$m0,$m1": 0x06020501,
        "shuf8x8hi $m5,$m0,$m1": 0x08040703,
        "sort8x8lo $m5,$m0,$m1": 0x07050301,
        "sort8x8hi $m5,$m0,$m1": 0x08060402,
        "roll16 $m5,$m2,$m3": 0x33332222,
        "sort4x16lo $m5,$m2,$m3": 0x33331111,
        "sort4x16hi $m5,$m2,$m3": 0x44442222,
        "bitrev8 $m5,$m4": 0x8040C001,
    }
    for text, expected in cases.items():
        assert run(text, m=m).workers[0].m[5] == expected, text
    for value, sign_bits, zeros in ((0, 31, 32), (1, 30, 31), (2**32 - 1, 31, 0), (2**31, 0, 0), (2**30, 0, 1)):
        worker = run("cms $m1,$m0\nclz $m2,$m0", m={0: value}).workers[0]
        assert worker.m[1:3] == [sign_bits, zeros]


def test_rpt_and_brnzdec_counts() -> None:
    worker = run("loop:\nadd $m1,$m1,1\nbrnzdec $m0,loop", m={0: 3}).workers[0]
    assert (worker.m[1], worker.m[0], worker.turns) == (4, 0, 9)
    body = "{add $m1,$m1,1; fnop}\n{add $m1,$m1,1; fnop}"
    for count, bundles in ((0, 0), (5, 10)):
        worker = run(f"nop\nrpt $m0,1\n{body}", m={0: count}).workers[0]
        assert worker.m[1] == bundles
        assert worker.turns == 3 + bundles


def test_accumulator_vectors() -> None:
    x, y = f16s(1, 2, 3, 4), f16s(5, 6, 7, 8)
    acc = run("f16v4cmac $a0:1,$a2:3", a={0: x[0], 1: x[1], 2: y[0], 3: y[1]}).workers[0].acc
    assert (acc[0], acc[2]) == (f32(17), f32(53))
    quad = f16s(0, 1, 2, 3, 4, 5, 6, 7)
    text = "f16v8acc $a0:3\n" + "\n".join(f"f32v2gina $a{2 * i}:{2 * i + 1},$azeros,0" for i in range(4))
    assert run(text, a=dict(enumerate(quad))).workers[0].a == [f32(i) for i in range(8)]
    floats = {0: f32(2), 1: f32(3), 2: f32(5), 3: f32(7)}
    acc = run("f32v2aop $a0:1,$a2:3,0", a=floats).workers[0].acc
    assert acc[0:8:2] == [f32(v) for v in (10, 15, 14, 21)]
    ones, ramp, scale = f16s(1, 1), f16s(1, 2, 3, 4), f16s(2, 3)[0]
    mix = "uput $TAS,$a6\nf16v4mix $a4:5,$a0:1,$a2:3\nf16v4mix $a4:5,$a0:1,$a2:3"
    worker = run(mix, a={0: ones[0], 1: ones[0], 2: ramp[0], 3: ramp[1], 6: scale}).workers[0]
    assert worker.a[4:6] == f16s(5, 8, 11, 14)


def amp_run(text: str, a: dict[int, int], weight: int) -> NaiveTile:
    tile = NaiveTile(f"start:\n{text}\nexitz $m15\n")
    tile.cwei = [[weight] * 4 for _ in range(64)]
    for index, value in a.items():
        tile.workers[0].a[index] = value
    tile.run_workers("start", workers=[0])
    return tile


def test_amp_e1_vector() -> None:
    one = f16s(1, 1)[0]
    text = (
        "f16v4sisoamp $azeros,$azeros,$a2:3,TAMP_F16V4_E1_P0\n"
        "f16v4sisoamp $azeros,$a0:1,$azeros,TAMP_F16V4_E1_P0\n"
        "f16v4sisoamp $a4:5,$azeros,$azeros,TAMP_F16V4_E1_P0"
    )
    tile = amp_run(text, {0: one, 1: one, 2: f32(10), 3: f32(20)}, 0x3C00)
    assert tile.workers[0].a[4:6] == [f32(14), f32(24)]


def test_both_amp_models_round_typical_sums_alike() -> None:
    """f16 data near 1 and an f32 accumulator: four exact products and the old sum fit a double."""
    rng = random.Random(4)
    for _ in range(500):
        terms = [fp.decode(rng.getrandbits(1) << 31 | rng.randint(120, 134) << 23 | rng.getrandbits(23), F32)]
        for _ in range(4):
            x, w = (
                fp.decode(rng.getrandbits(1) << 15 | rng.randint(8, 20) << 10 | rng.getrandbits(10), F16) for _ in "xw"
            )
            terms.append(fp.multiply(x, w, Flags()))
        assert fp.to_f32(MODEL_A(terms, Flags()), Flags()) == fp.to_f32(MODEL_C(terms, Flags()), Flags())


def test_faults_of_accesses() -> None:
    for text, m, kind in (
        ("ld32 $m1,$m0,$mzero,0", {0: 0x4C002}, "INVALID_ADDR"),
        ("ld32 $m1,$m0,$mzero,0", {0: 0xE8000}, "INVALID_ADDR"),
        ("ld128 $a0:3,$m0,$mzero,0", {0: 0x60000}, "INVALID_ADDR"),
        ("ldd16a32 $a0,$m0++,$m1,$m2@", {0: 0x60000, 1: 0x60100}, "CONFLICT"),
        ("br $m0", {0: 0x80000}, "INVALID_PC"),
    ):
        with pytest.raises(NaiveFault) as fault:
            run(text, m=m)
        assert fault.value.kind == kind, text


def test_supervisor_clock_by_hand() -> None:
    # setzi 0, put 1 (does not wait), put 14, br 27 -> next instruction 40.
    tile = NaiveTile("f:\nsetzi $m0,5\nput $FP_ICTL,$m0\nput $FP_ICTL,$m0\nbr $lr\n")
    tile.run_supervisor("f")
    assert tile.cycle == 40
    # A dependent instruction issues 8 after: setzi 0, add 8, add 16, br 17 -> 30.
    tile = NaiveTile("f:\nsetzi $m0,5\nadd $m0,$m0,1\nadd $m0,$m0,1\nbr $lr\n")
    tile.run_supervisor("f")
    assert tile.cycle == 30
    # runall waits for $m0 (8); workers start from 11 on: cycles 12..16 and 11 for worker 5; each exits at once, the
    # last one at 16; the instruction after sync 2 issues at 21, 13 later the caller goes on.
    tile = NaiveTile("f:\nsetzi $m0,w\nrunall $m0,$mzero,0\nsync 2\nbr $lr\nw:\nexitz $m15\n")
    tile.run_supervisor("f")
    assert [w.exit_cycle for w in tile.workers] == [12, 13, 14, 15, 16, 11]
    assert tile.cycle == 34

"""Multi-pass, random, f8 and SLIC instructions in programs: operands, turns, CSRs, flags; stochastic rounding."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import pytest

from tests.naive import float8, functions
from tests.naive import numbers as fp
from tests.naive.numbers import F16, F32, Flags
from tests.naive.randomness import Generator, f16_normal, f16_stochastic, f32_normal, from_unsigned, seeded
from tests.programs import SUPERVISOR, Start, any_f16, f16_words, f32_bits, finite_f16, finite_f32, new_tile, text_of
from tile_emu.errors import TileFault
from tile_emu.isa.semantics import SEMANTICS
from tile_emu.isa.table import table
from tile_emu.tile import Tile

FP_STS, FP_CTL, PRNG, PRNG_SEED, FP_INFMT, FP_ISCL = 0x100, 0x102, 0x103, 0x107, 0x31, 0x33
INV, DIV0, OFLO, ESR = 1, 2, 4, 1 << 19
SEED = 0x1234567


def run(body: str, a: list[int], seed: int = SEED, control: int = 0, nfmt: int = 0, scale: int = 0) -> tuple[Tile, int]:
    """Worker 0 after a body, with its generator seeded; and its turns besides exit."""
    start = Start(fp_ictl=control)
    start.a[0][: len(a)] = a
    tile = new_tile(text_of(body), start)
    tile.set_csr(SUPERVISOR, FP_INFMT, nfmt)
    tile.set_csr(SUPERVISOR, FP_ISCL, scale)
    for i, word in enumerate(seeded(seed)):
        tile.set_csr(0, PRNG + i, word)
    result = tile.run_workers("start", workers=[0])
    return tile, result.turns[0] - 1


def state(tile: Tile) -> list[int]:
    return [int(tile.get_csr(0, PRNG + i)) for i in range(4)]


def test_every_mnemonic_of_the_table_has_semantics() -> None:
    assert {form.mnemonic for form in table().forms} <= set(SEMANTICS)


@pytest.mark.parametrize(
    ("mnemonic", "turns"),
    [
        ("f32exp", 3), ("f32exp2", 3), ("f32ln", 6), ("f32log2", 6), ("f32sigm", 5), ("f32tanh", 5), ("f32oox", 3),
        ("f32oorx", 4), ("f32sqrt", 5),
    ],
)  # fmt: skip
def test_f32_functions_take_their_turns(mnemonic: str, turns: int) -> None:
    tile, taken = run(f"{mnemonic} $a1,$a0\n{{add $m0,$m0,1; {mnemonic} $a2,$a0}}", [f32_bits(0.7)])
    expected, _ = functions.f32_unary(mnemonic[3:], f32_bits(0.7))
    assert tile.arf[0, 1:3].tolist() == [expected] * 2
    assert (taken, tile.mrf[0, 0]) == (2 * turns, 1)


@pytest.mark.parametrize(("name", "turns"), [("exp", 2), ("exp2", 2), ("ln", 2), ("log2", 2), ("sigm", 2), ("tanh", 1)])
def test_f16_functions_take_their_turns(name: str, turns: int) -> None:
    word = f16_words(0.3, 2.0)[0]
    tile, taken = run(f"f16v2{name} $a1,$a0", [word])
    halves = [functions.f16_unary(name, half, False)[0] for half in (word & 0xFFFF, word >> 16)]
    assert int(tile.arf[0, 1]) == halves[0] | halves[1] << 16
    assert taken == turns


def test_division() -> None:
    tile, turns = run("f32div $a2,$a0,$a1\nf32div $a3,$a1,$azero", [f32_bits(2.0), f32_bits(3.0)])
    assert tile.arf[0, 2:4].tolist() == [functions.f32_quotient(f32_bits(2.0), f32_bits(3.0))[0], 0x7F800000]
    assert (turns, tile.get_csr(0, FP_STS)) == (4, DIV0)


def test_flags_and_traps() -> None:
    tile, _ = run("f32ln $a1,$azero\nf32sqrt $a2,$a0", [f32_bits(-1.0)])
    assert tile.arf[0, 1:3].tolist() == [0xFF800000, 0x7FC00000]
    assert tile.get_csr(0, FP_STS) == INV | DIV0
    with pytest.raises(TileFault) as fault:
        run("nop\nf32ln $a1,$azero", [], control=DIV0)
    assert (fault.value.kind, fault.value.pc) == ("FP", 0x4C004)


def test_random_numbers_continue_through_a_program() -> None:
    body = "urand64 $a0:1\nurand32 $a2\nf16v2grand $a3\nf32v2grand $a4:5"
    tile, turns = run(body, [])
    generator = Generator(seeded(SEED))
    both, single = generator.step(), generator.step() % 2**32
    halves = [f16_normal(generator.normal()) for _ in range(2)]
    words = [f32_normal(generator.normal()) for _ in range(2)]
    expected = [both % 2**32, both // 2**32, single, halves[0] | halves[1] << 16, *words]
    assert tile.arf[0, :6].tolist() == expected
    assert (state(tile), turns) == (generator.words, 4)


def test_seed_written_by_the_program() -> None:
    tile, _ = run("setzi $a0,1\nuput $PRNG_SEED,$a0\nurand64 $a2:3", [])
    assert tile.arf[0, 2:4].tolist() == [0x00003FF9, 0xFFFFBFFE]


def test_masks() -> None:
    words = [0x11112222, 0x33334444, 0x8000]
    tile, _ = run("f16v4rmask $a4:5,$a0:1,$a2\nf32v2rmask $a6:7,$a0:1,$a2", words)
    generator = Generator(seeded(SEED))
    kept = generator.mask(4, 0x8000)
    halves = [half * keep for half, keep in zip((0x2222, 0x1111, 0x4444, 0x3333), kept, strict=True)]
    single = generator.mask(2, 0x8000)
    expected = [halves[0] | halves[1] << 16, halves[2] | halves[3] << 16, words[0] * single[0], words[1] * single[1]]
    assert tile.arf[0, 4:8].tolist() == expected


def test_uniform_floats_and_classes() -> None:
    body = "f16v4sufromui $a2:3,$a0:1\nf32v2sufromui $a4:5,$a0:1\nf16v4class $a6,$a2:3\nf32v2class $a7,$a4:5"
    words = [0x80007FFF, 0x00018001]
    tile, _ = run(body, words)
    halves = [from_unsigned(half, 16) for word in words for half in (word & 0xFFFF, word >> 16)]
    assert tile.arf[0, 2:4].tolist() == [halves[0] | halves[1] << 16, halves[2] | halves[3] << 16]
    assert tile.arf[0, 4:6].tolist() == [from_unsigned(word, 32) for word in words]
    # Of the halves only the last, near -1/2, is normal; the others are -2**-17, 2**-17 and 3 * 2**-17.
    assert tile.arf[0, 6:8].tolist() == [9 << 24 | 8 << 16 | 8 << 8 | 7, 9 << 8 | 10]


def test_lateral_maximum() -> None:
    words = f16_words(1.0, -3.0, -2.0, 5.0)
    tile, _ = run("f16v2maxc $a2,$a0\nf16v4maxc $a3,$a0:1", words)
    assert tile.arf[0, 2:4].tolist() == [f16_words(1.0, 1.0)[0], f16_words(1.0, 5.0)[0]]


def test_f8_conversions_use_the_worker_registers() -> None:
    rng = random.Random(1)
    words = [any_f16(rng) | any_f16(rng) << 16 for _ in range(4)]
    body = "f16v8tof8 $a4:5,$a0:3\nf16v2tof8 $a6,$a0\nf8v4tof16 $a0:1,$a4\nf8v2tof16 $a2,$a4\nf8v4class $a3,$a4"
    tile, _ = run(body, words, nfmt=2, scale=0x3F)
    flags = Flags()
    halves = [half for word in words for half in (word & 0xFFFF, word >> 16)]
    narrow = bytes(float8.narrow(half, "F143", -1, False, flags) for half in halves)
    low = int.from_bytes(narrow[:4], "little")
    assert tile.arf[0, 4:7].tolist() == [low, int.from_bytes(narrow[4:], "little"), low & 0xFFFF]
    wide = [float8.widen(byte, "F143", -1, False, flags) for byte in narrow[:4]]
    assert tile.arf[0, 0:3].tolist() == [wide[0] | wide[1] << 16, wide[2] | wide[3] << 16, wide[0] | wide[1] << 16]


def test_f8_product_counts_as_amp_and_scales() -> None:
    body = (
        "f8v8hihov4amp $azeros,$a0:1,$azeros,TAMP_F8V8_E4_P1\n"
        "f8v8hihov4amp $azeros,$azeros,$azeros,TAMP_F8V8_E4_P0\n"
        "f8v8hihov4amp $a2:3,$azeros,$azeros,TAMP_F8V8_E4_P1"
    )
    start = Start(cwei=[[0x4848] * 4 for _ in range(64)])
    start.a[0][:2] = [0x40404040, 0x40404040]
    tile = new_tile(text_of(body), start)
    tile.set_csr(SUPERVISOR, FP_INFMT, 3)
    tile.set_csr(SUPERVISOR, FP_ISCL, 1)
    tile.run_workers("start", workers=[0])
    # F143: 0x40 is 1, 0x48 is 2; eight products, times two. The first instruction's sums leave with the next group.
    assert tile.arf[0, 2:4].tolist() == f16_words(32.0, 32.0, 32.0, 32.0)


def test_slic_in_a_loop() -> None:
    start = Start(cwei=[[0x3C00] * 4 for _ in range(64)])
    start.a[0][:2] = f16_words(1.0, 1.0, 1.0, 1.0)
    start.m[0][0] = 4
    body = (
        "nop\nrpt $m0,0\n{nop; f16v4hihov4slic $a2:3,$a0:1,$azeros,TSLIC_F16V4_1x4_W0}\n"
        "f16v4sisoslic $a4:5,$a0:1,$azeros,TSLIC_F16V4_1x4_W1\nf16v4hihov4slic $a6:7,$a0:1,$azeros,TSLIC_F16V4_1x4_W2"
    )
    tile = new_tile(text_of(body), start)
    tile.run_workers("start", workers=[0])
    assert tile.arf[0, 4:6].tolist() == [f32_bits(16.0)] * 2
    assert tile.arf[0, 6:8].tolist() == f16_words(16.0, 16.0, 16.0, 16.0)


def test_transpose() -> None:
    body = (
        "f16v4istacc $azeros,$a0:1,$a2:3,TISTACC_P0\nf16v4istacc $azeros,$a4:5,$a6:7,TISTACC_P1\n"
        "f16v4stacc $a0:1,TSTACC_P0\nf16v4stacc $a2:3,TSTACC_P1\nf16v4istacc $a4:5,$azeros,$azeros,TISTACC_P0\n"
        "f16v4istacc $a6:7,$azeros,$azeros,TISTACC_P1"
    )
    rows = [[10 * r + c for c in range(4)] for r in range(4)]
    tile, _ = run(body, [row[i] | row[i + 1] << 16 for row in rows for i in (0, 2)])
    columns = [[10 * r + c for r in range(4)] for c in range(4)]
    assert tile.arf[0, :8].tolist() == [column[i] | column[i + 1] << 16 for column in columns for i in (0, 2)]


# Stochastic rounding: one step of the generator per instruction that narrows to f16, element i rounds with field i.


def halves_of(words: list[int]) -> list[Fraction]:
    return [fp.decode(half, F16).value for word in words for half in (word & 0xFFFF, word >> 16)]


def singles_of(words: list[int]) -> list[Fraction]:
    return [fp.decode(word, F32).value for word in words]


STOCHASTIC: list[tuple[str, str, int, Callable[[list[int]], list[Fraction]]]] = [
    ("f16v2add $a6,$a0,$a1", "f16", 1, lambda a: [x + y for x, y in zip(halves_of(a[:1]), halves_of(a[1:2]))]),
    ("f16v4sub $a6:7,$a0:1,$a2:3", "f16", 2, lambda a: [x - y for x, y in zip(halves_of(a[:2]), halves_of(a[2:4]))]),
    ("f16v4mul $a6:7,$a0:BU,$a2:3", "f16", 2, lambda a: [halves_of(a)[1] * y for y in halves_of(a[2:4])]),
    ("f16v2absadd $a6,$a0,$a1", "f16", 1, lambda a: [abs(x) + abs(y) for x, y in zip(halves_of(a), halves_of(a[1:2]))]),
    ("f32tof16 $a6,$a0", "f32", 1, lambda a: singles_of(a[:1])),
    ("f32v2tof16 $a6,$a0:1", "f32", 1, lambda a: singles_of(a[:2])),
    ("f32v4tof16 $a6:7,$a0:3", "f32", 2, lambda a: singles_of(a[:4])),
]


@pytest.mark.parametrize(("text", "kind", "words", "exact"), STOCHASTIC, ids=lambda v: v if isinstance(v, str) else "")
def test_stochastic_rounding(text: str, kind: str, words: int, exact: Callable[[list[int]], list[Fraction]]) -> None:
    rng = random.Random(text)
    for _ in range(12):
        sources = [
            finite_f32(rng, 115, 135) if kind == "f32" else finite_f16(rng) | finite_f16(rng) << 16 for _ in range(4)
        ]
        seed = rng.getrandbits(32)
        tile, _ = run(text, sources, seed, control=ESR)
        generator = Generator(seeded(seed))
        fields, flags = generator.fields(), Flags()
        results = [f16_stochastic(fp.number(x), fields[i], flags, False) for i, x in enumerate(exact(sources))]
        if text.startswith("f32tof16"):
            results *= 2
        packed = [results[i] | results[i + 1] << 16 for i in range(0, len(results), 2)]
        assert [hex(v) for v in tile.arf[0, 6 : 6 + words].tolist()] == [hex(v) for v in packed]
        assert state(tile) == generator.words
        assert tile.get_csr(0, FP_STS) == (OFLO if "OFLO" in flags else 0)


def test_stochastic_narrowing_of_accumulators() -> None:
    """gacc, gina and the product step: results that leave with fewer bits, four, two and four fields."""
    rng = random.Random(6)
    sums = [finite_f32(rng, 110, 135) for _ in range(32)]
    start = Start(fp_ictl=ESR)
    start.acc[0] = sums
    body = (
        "f16v4gacc $a0:1\nf16v2gina $a2,$azero,1\n"
        "f16v4hihov4amp $a4:5,$azeros,$azeros,TAMP_F16V4_E4_P1\nf32add $a6,$azero,$azero"
    )
    tile = new_tile(text_of(body), start)
    for i, word in enumerate(seeded(SEED)):
        tile.set_csr(0, PRNG + i, word)
    tile.run_workers("start", workers=[0])
    generator = Generator(seeded(SEED))

    def rounded(indices: list[int]) -> list[int]:
        fields = generator.fields()
        parts = [f16_stochastic(fp.decode(sums[k], F32), fields[i], Flags(), False) for i, k in enumerate(indices)]
        return [parts[i] | parts[i + 1] << 16 for i in range(0, len(parts), 2)]

    expected = rounded([0, 2, 4, 6]) + rounded([1, 3])
    # The gina moved the odd chain by one pair; the product step then delivers the next pair of both sets.
    expected += [0, *rounded([5, 7, 17, 19])]
    assert tile.arf[0, :6].tolist() == expected
    assert state(tile) == generator.words


def test_only_narrowing_instructions_draw() -> None:
    body = "f32add $a2,$a0,$a1\nf16v2max $a3,$a0,$a1\nf16v2sufromui $a4,$a0\nf16v2tof8 $a5,$a0\nf8v2tof16 $a6,$a0"
    tile, _ = run(body, [0x3C013C01, 0x3C023C03], control=ESR)
    assert state(tile) == seeded(SEED)
    body = "setzi $a7,0x80000\nuput $FP_CTL,$a7\nf16v2add $a2,$a0,$a1\n"
    body += "uput $FP_CTL,$azero\nf16v2add $a3,$a0,$a1"
    tile, _ = run(body, [0x3C013C01, 0x3C023C03])
    generator = Generator(seeded(SEED))
    generator.step()
    assert state(tile) == generator.words


def test_rounding_mode_of_conversions() -> None:
    """FP_CTL.RND 1 up, 2 down, 3 to zero, as f32int numbers them (inferred); arithmetic is unaffected."""
    value = f32_bits(1.0 + 2.0**-12)
    for mode, expected in ((0, 0x3C00), (1, 0x3C01), (2, 0x3C00), (3, 0x3C00)):
        tile, _ = run("f32tof16 $a1,$a0\nf16v2add $a2,$a3,$a4", [value, 0, 0, 0x3C00, 0x0C00], control=mode << 16)
        assert tile.arf[0, 1] == expected * 0x10001
        assert tile.arf[0, 2] == 0x3C00

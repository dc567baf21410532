"""The accumulating matrix product: the published trace table, random groups and rounding models, against the oracle."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.naive import MODEL_A, MODEL_C
from tests.naive import numbers as fp
from tests.naive.numbers import F16, F32
from tests.programs import (
    FP_STS,
    NANOO,
    Start,
    any_f16,
    emulate,
    f16_words,
    f32_bits,
    finite_f16,
    finite_f32,
    run_both,
    seeds,
)

#: form -> destination, source 0, source 1 in registers that never mix f16 and f32 data: x in $a0:1, partials in $a2:3.
FORMS = {
    "f16v4sisoamp": ("$a4:5", "$a0:1", "$a2:3"),
    "f16v4sihoamp": ("$a6", "$a0:1", "$a2:3"),
    "f16v4hihoamp": ("$a6", "$a0:1", "$a1"),
    "f16v4hihov4amp": ("$a6:7", "$a0:1", "$a0:1"),
    "f32sisoamp": ("$a4:5", "$a2", "$a2:3"),
    "f32sisov2amp": ("$a4:5", "$a2", "$a2:3"),
}
F16_PHASES = [f"TAMP_F16V4_{m}_P{p}" for m, n in (("E4", 4), ("E2", 2), ("E1", 1)) for p in range(n)]
F32_PHASES = [f"TAMP_F32_{m}_P{p}" for m, n in (("E4", 8), ("E2", 4), ("E1", 3)) for p in range(n)]


@st.composite
def step(draw: st.DrawFn, half: bool) -> str:
    name = draw(st.sampled_from([n for n in FORMS if n.startswith("f16") == half]))
    dst, x, partials = FORMS[name]
    if draw(st.integers(0, 4)) == 0:
        x = "$azeros" if half else "$azero"
    if draw(st.integers(0, 4)) == 0 and name != "f16v4hihoamp":
        partials = "$azeros"
    return f"{name} {dst},{x},{partials},{draw(st.sampled_from(F16_PHASES if half else F32_PHASES))}"


def amp_state(rng: random.Random, half: bool, control: int = 0, wide: bool = False) -> Start:
    """Random inputs, weights and accumulators; unless ``wide`` their sums fit a double, so all models agree."""
    start = Start(fp_ictl=control)
    low, high = (1, 30) if wide else (8, 20)
    for worker in range(6):
        start.a[worker] = [finite_f16(rng, low, high) | finite_f16(rng, low, high) << 16 for _ in range(2)]
        start.a[worker] += [finite_f32(rng, 120, 134) for _ in range(6)]
        start.acc[worker] = [finite_f32(rng, 120, 134) for _ in range(32)]
    if half:
        start.cwei = [[finite_f16(rng, low, high) for _ in range(4)] for _ in range(64)]
    else:
        words = [[finite_f32(rng, 120, 134) for _ in range(2)] for _ in range(64)]
        start.cwei = [[w & 0xFFFF if i == 0 else w >> 16 for w in pair for i in (0, 1)] for pair in words]
    return start


@given(st.lists(step(half=True), min_size=2, max_size=5), seeds, st.sampled_from([0, NANOO]))
def test_random_f16_steps(steps: list[str], seed: int, control: int) -> None:
    run_both("\n".join(steps), amp_state(random.Random(seed), True, control))


@given(st.lists(step(half=False), min_size=2, max_size=5), seeds)
def test_random_f32_steps(steps: list[str], seed: int) -> None:
    run_both("\n".join(steps), amp_state(random.Random(seed), False), adder=MODEL_A)


@given(st.lists(step(half=True), min_size=2, max_size=5), seeds)
def test_exact_and_double_models_agree_on_typical_data(steps: list[str], seed: int) -> None:
    """Both oracles must match the same emulator run: sums of the exact and of the double model round alike."""
    for adder in (MODEL_A, MODEL_C):
        run_both("\n".join(steps), amp_state(random.Random(seed), True), adder=adder)


@given(seeds)
def test_sums_of_any_spread_are_rounded_closely(seed: int) -> None:
    """Over the whole f16 range the double model may miss the exact rounding, by no more than its own 2**-53."""
    start = amp_state(random.Random(seed), True, wide=True)
    tile = emulate("f16v4sisoamp $a4:5,$a0:1,$a2:3,TAMP_F16V4_E4_P1", start, workers=range(6))
    for worker in range(6):
        x = [fp.decode(bits, F16).value for word in start.a[worker][:2] for bits in (word & 0xFFFF, word >> 16)]
        for unit in range(8):
            weights = [fp.decode(bits, F16).value for bits in start.cwei[4 * unit + 1]]
            terms = [
                fp.decode(start.acc[worker][2 * unit], F32).value,
                *(p * q for p, q in zip(x, weights, strict=True)),
            ]
            bits = int(tile.aacc.view(np.uint32)[worker, 2 * unit])
            error = abs(fp.decode(bits, F32).value - sum(terms))
            half_place = Fraction(2) ** (max(bits >> 23 & 0xFF, 1) - 127 - 24)
            assert error <= half_place + 4 * Fraction(2) ** -53 * sum(abs(t) for t in terms)


# ---- the trace table --------------------------------------------------------------------------------------------


def small_weights(rng: random.Random) -> np.ndarray:
    """f16 weights [set, unit, slot, element], small integers."""
    return np.array([rng.randint(-8, 8) for _ in range(2 * 8 * 4 * 4)], np.float64).reshape(2, 8, 4, 4)


def cwei_of(weights: np.ndarray) -> list[list[int]]:
    return weights.reshape(64, 4).astype(np.float16).view(np.uint16).tolist()  # type: ignore[no-any-return]


def stream(form: str, flags: list[str], inputs: np.ndarray, partials: np.ndarray, cwei: list[list[int]]) -> np.ndarray:
    """Execute one instruction per row of ``inputs`` and ``partials``; rows of results as float64.

    Operands come from memory and results go back to it, so one program carries any number of instructions.
    """
    scalar = form.startswith("f32")
    half_in, half_out = "hi" in form, "ho" in form
    x_bytes = inputs.astype(np.float32 if scalar else np.float16).tobytes()
    p_bytes = partials.astype(np.float16 if half_in else np.float32).tobytes()
    wide_partial, wide_out = partials.shape[1] * (2 if half_in else 4) == 8, "v4" in form[6:] or not half_out
    dst = "$a4:5" if wide_out else "$a4"
    p = "$a2:3" if wide_partial else "$a2"
    lines = ["setzi $m0,0x60000", "setzi $m1,0x64000", "setzi $m2,0x68000", "setzi $a7,8", "uput $FP_CLR,$a7"]
    for flag in flags:
        lines += [
            f"{'ld32step $a0' if scalar else 'ld64step $a0:1'},$mzero,$m0+=,1",
            f"{'ld64step' if wide_partial else 'ld32step'} {p},$mzero,$m1+=,1",
            f"{form} {dst},{'$a0' if scalar else '$a0:1'},{p},{flag}",
            f"{'st64step' if wide_out else 'st32step'} {dst},$mzero,$m2+=,1",
        ]
    start = Start(cwei=cwei, memory={0x60000: x_bytes, 0x64000: p_bytes})
    pair = run_both("\n".join(lines), start, workers=[0])
    dtype = np.float16 if half_out else np.float32
    width = (8 if wide_out else 4) // np.dtype(dtype).itemsize
    return pair.tile.read(0x68000, dtype, width * len(flags)).reshape(-1, width).astype(np.float64)


def test_trace_table() -> None:
    """Instructions 1 to 13 of the published table: every dst named there, with results identifiable exactly."""
    rng = random.Random(1)
    weights = small_weights(rng)
    # Partials so far apart that no dot product (at most 16 * 4 * 8) can make two results coincide.
    partials = np.array([2048 * (j + 1) for j in range(26)], np.float64).reshape(13, 2)
    inputs = np.zeros((13, 4))
    inputs[4:] = np.array([rng.randint(-4, 4) for _ in range(36)]).reshape(9, 4)
    flags = [f"TAMP_F16V4_E4_P{p}" for p in (0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0)]
    dst = stream("f16v4sisoamp", flags, inputs, partials, cwei_of(weights))
    flat = partials.reshape(-1)

    def result(j: int) -> float:
        group, unit = divmod(j, 8)
        x = inputs[4 + 4 * group : 8 + 4 * group]
        return float(flat[j] + sum(x[p] @ weights[0, unit, p] for p in range(4)))

    results = [result(j) for j in range(16)]
    assert len(set(results)) == 16
    expected = {9: (0, 1), 10: (2, 3), 11: (4, 5), 12: (6, 7), 13: (8, 9)}
    for number, (first, second) in expected.items():
        assert dst[number - 1].tolist() == [results[first], results[second]], f"instruction {number}"


@pytest.mark.parametrize("form", ["f16v4sisoamp", "f16v4sihoamp", "f16v4hihoamp", "f16v4hihov4amp"])
@pytest.mark.parametrize(("mode", "pairs"), [("E4", 4), ("E2", 2), ("E1", 1)])
def test_groups_are_matrix_products(form: str, mode: str, pairs: int) -> None:
    """Group g delivers P + X W during group g + 1, in every mode and on both sets."""
    rng = random.Random(pairs)
    sets = 2 if form == "f16v4hihov4amp" else 1
    groups, units = 4, 2 * pairs
    weights = small_weights(rng)
    x = np.array([rng.randint(-4, 4) for _ in range((groups + 2) * pairs * 4)], np.float64).reshape(-1, 4)
    x[:pairs] = x[-pairs:] = 0  # warm-up and drain
    p = np.array([rng.randint(-32, 32) for _ in range((groups + 2) * pairs * 2 * sets)], np.float64)
    p = p.reshape(-1, 2 * sets)
    flags = [f"TAMP_F16V4_{mode}_P{phase}" for _ in range(groups + 2) for phase in range(pairs)]
    dst = stream(form, flags, x, p, cwei_of(weights))
    for group in range(groups):
        inputs = x[pairs * (group + 1) : pairs * (group + 2)]
        for s in range(sets):
            staged = p[pairs * group : pairs * (group + 1), 2 * s : 2 * s + 2].reshape(-1)
            expected = staged + np.einsum("pe,upe->u", inputs, weights[s, :units, :pairs])
            got = dst[pairs * (group + 2) : pairs * (group + 3), 2 * s : 2 * s + 2].reshape(-1)
            if group < groups - 1:
                assert got.tolist() == expected.tolist()


def ones(form: str, flags: list[str], partials: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    one = [0x0000, 0x3F80] * 2 if form.startswith("f32") else [0x3C00] * 4
    return stream(form, flags, inputs, partials, [one] * 64)


def test_e4_vector() -> None:
    partials = np.zeros((12, 2))
    partials[:4] = np.arange(8).reshape(4, 2)
    inputs = np.zeros((12, 4))
    inputs[4:8] = 1
    dst = ones("f16v4sisoamp", [f"TAMP_F16V4_E4_P{i % 4}" for i in range(12)], partials, inputs)
    assert dst[8:].reshape(-1).tolist() == [16 + u for u in range(8)]


def test_e1_vector() -> None:
    partials = np.array([[10, 20], [0, 0], [0, 0]])
    dst = ones("f16v4sisoamp", ["TAMP_F16V4_E1_P0"] * 3, partials, np.array([[0] * 4, [1] * 4, [0] * 4]))
    assert dst[2].tolist() == [14, 24]


def test_f32_e4_vector() -> None:
    partials = np.zeros((24, 2))
    partials[0:8:2] = np.arange(8).reshape(4, 2)
    inputs = np.zeros((24, 1))
    inputs[8:16] = 1
    dst = ones("f32sisoamp", [f"TAMP_F32_E4_P{i % 8}" for i in range(24)], partials, inputs)
    assert dst[16::2].reshape(-1).tolist() == [8 + u for u in range(8)]
    assert not dst[17::2].any()


def test_f32_two_sets_stream_sixteen_outputs() -> None:
    """Outputs 0..15 leave in phases P0..P7: pairs of set 0 and set 1 in turn."""
    rng = random.Random(5)
    weights = np.array([rng.randint(-8, 8) for _ in range(2 * 8 * 8)], np.float64).reshape(2, 8, 8)
    words = weights.reshape(64, 2).astype(np.float32).view(np.uint16).tolist()
    x = np.array([0] * 8 + [rng.randint(-4, 4) for _ in range(8)] + [0] * 8, np.float64).reshape(-1, 1)
    p = np.array([rng.randint(-64, 64) for _ in range(48)], np.float64).reshape(24, 2)
    dst = stream("f32sisov2amp", [f"TAMP_F32_E4_P{i % 8}" for i in range(24)], x, p, words)
    got = dst[16:].reshape(4, 2, 2)  # pair, set, unit of the pair
    staged = p[:8].reshape(4, 2, 2)
    for s in range(2):
        expected = staged[:, s].reshape(-1) + weights[s] @ x[8:16, 0]
        assert got[:, s].reshape(-1).tolist() == expected.tolist()


def test_slim_convolution_vector() -> None:
    """1x4, all ones, partial 0: every result after warm-up is 16."""
    start = Start(cwei=[[0x3C00] * 4 for _ in range(64)])
    start.a[0][:2] = f16_words(1, 1, 1, 1)
    body = "f16v4sisoslic $a4:5,$a0:1,$azeros,TSLIC_F16V4_1x4_W0\n" * 6
    tile = emulate(body, start)
    assert tile.arf[0, 4:6].view(np.float32).tolist() == [16, 16]


@pytest.mark.nojit
def test_f32_e2_drain_with_a_phase_of_e1() -> None:
    """A group of E2 delivers its second pair to a phase of E1 that only shifts."""
    one = [0x0000, 0x3F80] * 2
    flags = [*(f"TAMP_F32_E2_P{i}" for i in (0, 1, 2, 3, 0, 1, 2, 3, 0)), "TAMP_F32_E1_P2"]
    partials = np.zeros((10, 2))
    partials[0:4:2] = [[1, 2], [3, 4]]
    inputs = np.zeros((10, 1))
    inputs[4:8, 0] = [1, 2, 3, 4]
    dst = stream("f32sisoamp", flags, inputs, partials, [one] * 64)
    assert dst[8].tolist() == [11, 12]
    assert dst[9].tolist() == [13, 14]


def test_aux_half_of_rpt_advances_the_product_once() -> None:
    start = amp_state(random.Random(3), False)
    start.m = [[3] * 12 for _ in range(6)]
    body = "{rpt $m2,0; f32sisoamp $a4:5,$a2,$a2:3,TAMP_F32_E4_P0}\n{add $m0,$m0,1; fnop}"
    run_both(body, start, adder=MODEL_A)


@pytest.mark.parametrize("bad", [0x7C00, 0xFC00, 0x7E00])
@pytest.mark.parametrize("where", ["input", "weight"])
def test_non_finite_operands_give_nan_and_invalid(bad: int, where: str) -> None:
    start = Start(cwei=[[0x3C00] * 4 for _ in range(64)])
    start.a[0][:2] = f16_words(1, 1, 1, 1)
    if where == "input":
        start.a[0][1] = 0x3C00 | bad << 16
    else:
        start.cwei[4 * 2][1] = bad  # unit 2, slot 0
    pair = run_both("f16v4sisoamp $azeros,$a0:1,$azeros,TAMP_F16V4_E4_P0", start, workers=[0])
    sums = pair.tile.aacc[0, 0:16:2]
    assert np.isnan(sums).tolist() == [where == "input" or unit == 2 for unit in range(8)]
    assert pair.tile.get_csr(0, FP_STS) == 1


@given(seeds)
def test_any_f16_pattern(seed: int) -> None:
    """Infinities, NaNs, zeros and subnormals among inputs and weights; small sums so that rounding is not the point."""
    rng = random.Random(seed)
    start = Start(cwei=[[any_f16(rng) if rng.random() < 0.2 else 0x3C00 for _ in range(4)] for _ in range(64)])
    start.a = [[any_f16(rng) | 0x3C000000, 0x3C003C00, f32_bits(1.0), f32_bits(2.0), 0, 0, 0, 0] for _ in range(6)]
    run_both("f16v4sisoamp $azeros,$a0:1,$a2:3,TAMP_F16V4_E4_P0", start)


def test_narrowing_of_results_follows_nanoo() -> None:
    for control, low, flags in ((0, 0x7BFF, 4), (NANOO, 0x7E00, 5)):
        start = Start(fp_ictl=control)
        start.acc[0][1] = f32_bits(1e6)  # staged pair of units 0 and 1: what the next instruction hands out
        start.acc[0][3] = f32_bits(-2.5)
        pair = run_both("f16v4sihoamp $a4,$azeros,$azeros,TAMP_F16V4_E4_P1", start, workers=[0])
        assert pair.tile.arf[0, 4] == low | f16_words(0, -2.5)[0]
        assert pair.tile.get_csr(0, FP_STS) == flags

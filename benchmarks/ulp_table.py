"""Largest error of the transcendental functions in units in the last place, against mpmath, as a markdown table.

    python benchmarks/ulp_table.py [--samples N] > table.md

f16: all 65,536 patterns. f32: N samples of each function (default 10**6), half of them any pattern, half where the
function is neither saturated nor constant. An error of at most 0.5 means the result is the correctly rounded one. The
last column is the largest relative error, in units of 2**-53, of the float64 value before rounding. About five minutes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from mpmath import libmp  # type: ignore[import-untyped]
from numpy.typing import NDArray

from tile_emu.isa.semantics import transcendental as functions
from tile_emu.jit import jit

PRECISION = 120  # bits of the reference values
KERNEL_SAMPLES = 20000
Mpf = tuple[int, int, int, int]


def _inverse(x: Mpf) -> Mpf:
    return libmp.mpf_div(libmp.fone, x, PRECISION)


_LN2 = libmp.mpf_ln2(PRECISION + 20)
REFERENCE: dict[str, Callable[..., Mpf]] = {
    "exp": lambda x: libmp.mpf_exp(x, PRECISION),
    "exp2": lambda x: libmp.mpf_exp(libmp.mpf_mul(x, _LN2), PRECISION),
    "ln": lambda x: libmp.mpf_log(x, PRECISION),
    "log2": lambda x: libmp.mpf_div(libmp.mpf_log(x, PRECISION + 20), _LN2, PRECISION),
    "sigm": lambda x: _inverse(libmp.mpf_add(libmp.fone, libmp.mpf_exp(libmp.mpf_neg(x), PRECISION), PRECISION)),
    "tanh": lambda x: libmp.mpf_tanh(x, PRECISION),
    "sqrt": lambda x: libmp.mpf_sqrt(x, PRECISION),
    "oox": _inverse,
    "oorx": lambda x: _inverse(libmp.mpf_sqrt(x, PRECISION)),
    "div": lambda x, y: libmp.mpf_div(x, y, PRECISION),
}
KERNELS = {"exp": functions.EXP, "exp2": functions.EXP2, "ln": functions.LN}
KERNELS |= {"log2": functions.LOG2, "sigm": functions.SIGM, "tanh": functions.TANH}
#: name -> (smallest, largest exponent of abs(x), both signs?) of the interesting half of the samples
RANGES = {"exp": (-26.0, 6.7, True), "exp2": (-26.0, 7.2, True), "sigm": (-26.0, 6.7, True), "tanh": (-26.0, 3.5, True)}
RANGES |= {"ln": (-1.0, 1.0, False), "log2": (-1.0, 1.0, False)}


@jit
def apply_f32(which: Any, words: Any, out: Any) -> None:
    """Results of one function for f32 patterns."""
    for i in range(len(words)):
        word = np.int64(words[i])
        if which == 10:
            out[i] = np.uint32(functions.f32_root(word, False) & 0xFFFFFFFF)
        elif which == 11:
            out[i] = np.uint32(functions.f32_root(word, True) & 0xFFFFFFFF)
        elif which == 12:
            out[i] = np.uint32(functions.f32_quotient(0x3F800000, word) & 0xFFFFFFFF)
        elif which == 13:
            # The divisor is the word before.
            out[i] = np.uint32(functions.f32_quotient(word, np.int64(words[i - 1])) & 0xFFFFFFFF)
        else:
            out[i] = np.uint32(functions.f32_function(which, word) & 0xFFFFFFFF)


@jit
def apply_f16(which: Any, out: Any) -> None:
    """Results of one function for all f16 patterns."""
    for i in range(65536):
        out[i] = np.uint16(functions.f16_function(which, 0, 0, i) & 0xFFFF)


@jit
def apply_double(which: Any, values: Any, out: Any) -> None:
    for i in range(len(values)):
        out[i] = functions.function_value(which, values[i])


WHICH = KERNELS | {"sqrt": 10, "oorx": 11, "oox": 12, "div": 13}


def samples(name: str, count: int, rng: np.random.Generator) -> NDArray[np.uint32]:
    words = rng.integers(0, 2**32, count, dtype=np.uint32)
    half = count // 2
    if name in RANGES:
        low, high, signed = RANGES[name]
        values = np.exp2(rng.uniform(low, high, half))
        if signed:
            values *= rng.choice([-1.0, 1.0], half)
        words[:half] = values.astype(np.float32).view(np.uint32)
    if name in ("ln", "log2", "sqrt", "oorx"):
        words &= np.uint32(0x7FFFFFFF)
    return words


def error_in_ulp(result: float, exact: Mpf, fraction: int, lowest: int) -> float:
    """|result - exact| in units in the last place of a format at ``exact``; ``lowest``: exponent of subnormals."""
    exponent = max(exact[2] + exact[3] - 1, lowest)
    difference = libmp.mpf_sub(libmp.from_float(result), exact, 53)
    return abs(libmp.to_float(libmp.mpf_shift(difference, fraction - exponent)))


def worst(
    name: str, arguments: Iterable[tuple[float, ...]], results: Iterable[float], fraction: int, lowest: int
) -> tuple[float, int, int]:
    """(largest error, results off the correctly rounded one, results counted) where argument and result are finite."""
    reference = REFERENCE[name]
    largest, wrong, counted = 0.0, 0, 0
    for x, result in zip(arguments, results, strict=True):
        if not math.isfinite(result) or not all(math.isfinite(value) and value != 0.0 for value in x):
            continue
        if abs(x[0]) > 800.0 and name in ("exp", "exp2", "sigm", "tanh"):
            continue
        error = error_in_ulp(result, reference(*(libmp.from_float(value) for value in x)), fraction, lowest)
        largest = max(largest, error)
        wrong += error > 0.5
        counted += 1
    return largest, wrong, counted


def kernel_error(name: str, values: NDArray[np.float64]) -> float:
    out = np.empty(len(values))
    apply_double(KERNELS[name], values, out)
    largest = 0.0
    for x, result in zip(values.tolist(), out.tolist(), strict=True):
        exact = REFERENCE[name](libmp.from_float(x))
        if exact != libmp.fzero:
            relative = libmp.mpf_div(libmp.mpf_sub(libmp.from_float(result), exact, 60), exact, 53)
            largest = max(largest, abs(libmp.to_float(relative)))
    return largest * 2.0**53


def f16_row(name: str) -> tuple[float, int, int]:
    out = np.empty(65536, np.uint16)
    apply_f16(KERNELS[name], out)
    with np.errstate(invalid="ignore"):
        values = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
        results = out.view(np.float16).astype(np.float64)
    # Overflow clamps to the largest value, which is no rounding.
    results[np.abs(results) == 65504.0] = np.inf
    return worst(name, ((x,) for x in values.tolist()), results.tolist(), 10, -14)


def f32_row(name: str, count: int) -> tuple[tuple[float, int, int], NDArray[np.float64]]:
    words = samples(name, count, np.random.default_rng(1))
    out = np.empty(count, np.uint32)
    apply_f32(WHICH[name], words, out)
    with np.errstate(invalid="ignore"):
        values = words.view(np.float32).astype(np.float64)
        results = out.view(np.float32).astype(np.float64)
    columns = [values.tolist()] + ([np.roll(values, 1).tolist()] if name == "div" else [])
    return worst(name, zip(*columns, strict=True), results.tolist(), 23, -126), values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10**6)
    count = parser.parse_args().samples
    print("| function | f16: largest error, ulp | off | of | f32: largest error, ulp | off | of | float64, 2^-53 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in REFERENCE:
        half = "{:.6f} | {} | {:,}".format(*f16_row(name)) if name in KERNELS else "| |"
        row, values = f32_row(name, count)
        kernel = ""
        if name in KERNELS:
            low, high, _ = RANGES[name]
            inside = (np.abs(values) >= 2.0**low) & (np.abs(values) <= min(2.0**high, 100.0))
            kernel = f"{kernel_error(name, values[inside][:KERNEL_SAMPLES]):.2f}"
        print(f"| {name} | {half} | " + "{:.6f} | {} | {:,}".format(*row) + f" | {kernel} |", flush=True)


if __name__ == "__main__":
    main()

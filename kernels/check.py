"""Is a product right? The emulator's C against A . B in float64, with a tolerance that is derived, not tuned.

Error is measured relative to the magnitude |A| . |B| of each element: the sum that rounding acts on, which cancellation
does not make small.

What may differ. The operands are the ones the chip holds (already rounded to f16 or f32); their products are exact.
Every output element then passes through a chain of roundings. Where a rounding to nearest has unit u and acts on a
partial sum, and no partial sum exceeds the element's magnitude |A| . |B| (but for the roundings before it), a chain of
d roundings gives

    |C - A.B| <= ((1 + u)^d - 1) * |A|.|B|  +  d * s            s = half the smallest subnormal, for sums near zero

Splitting K over S tiles makes S chains that act on their own share of the magnitude, so the depth is that of one chain
plus the S additions that join them:

    dtype    u       depth d                        why
    f16      2^-11   ceil(ceil(K / S) / 16) + S     partials are narrowed to f16 after every 16 inputs (one AMP
                                                    position) and after every addition of partial sums; the f32
                                                    roundings in between (4 for each 16 inputs) are added with
                                                    u = 2^-24
    f16f32   2^-24   ceil(K / S) + S                f32 partials, at most one rounding for each input
    f32      2^-24   ceil(K / S) + S                the same

That bound holds for every input, and is loose for large K. Operands of independent random signs allow a sharper test of
the root mean square: a partial sum of k products is about sqrt(k) wide while the magnitude grows as k, so the RMS error
relative to the magnitude stays near 0.6 u sqrt(d / K) (inferred: normal operands, errors independent and uniform).
The limit is u sqrt(d / K) (1 + 4 / sqrt(number of elements)) plus the same for the f32 roundings: narrow enough to
catch one product of 512 left out. It is applied only where the caller says that the operands are of that kind.

What follows a product. A bias is one more term of the sum and one more rounding. A result in another format than the
partial sums is one more rounding in that format. An activation f turns an error of its argument s into at most L times
that error, L = 1 for ReLU and tanh, 1.13 for GELU (the largest slope), and adds roundings of its own:

    tanh   2 u |f|                                       one rounding, one more for hardware that is an ulp off
    GELU   (6 |v| (1 - sigm v) + 3) u |f|                f = s sigm(v), v = s (C0 + C1 s s) (codelets/elementwise.inc):
                                                         6 u bounds the relative error of v, constants included
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_F16_UNIT, _F16_TINY = 2.0**-11, 2.0**-25
_F32_UNIT, _F32_TINY = 2.0**-24, 2.0**-150
_BLOCK_ELEMENTS = 1 << 21  # of the float64 reference held at one time


@dataclass(frozen=True)
class Check:
    """Outcome; errors and limits are relative to |A| . |B|. ``rms_limit`` is None where only the bound applies."""

    ok: bool
    max_rel_error: float
    rms_rel_error: float
    max_limit: float
    rms_limit: float | None
    not_finite: int  # elements of C that are infinite or not a number
    outside: int  # elements beyond the bound, not finite ones included

    def line(self) -> str:
        """One line of text."""
        text = (
            f"{'ok' if self.ok else 'FAILED'}: max error {self.max_rel_error:.3g} (limit {self.max_limit:.3g}), "
            f"RMS {self.rms_rel_error:.3g}"
        )
        if self.rms_limit is not None:
            text += f" (limit {self.rms_limit:.3g})"
        text += " of |A|.|B|"
        if self.outside:
            text += f"; {self.outside:,} elements outside"
        if self.not_finite:
            text += f", {self.not_finite:,} of them not finite"
        return text


def rounding_depths(k: int, dtype: str, k_splits: int = 1, launches: int | None = None) -> tuple[int, int]:
    """Roundings to f16 and to f32 on the way of one output element (module docstring).

    ``launches``: how often the partials of one chain are narrowed, where that is not once for 16 inputs: kernel
    positions of few channels.
    """
    chain = -(-k // k_splits)
    if dtype == "f16":
        narrowed = -(-chain // 16) if launches is None else launches
        return narrowed + k_splits, 4 * narrowed + k_splits
    return 0, chain + k_splits


def max_limit(k: int, dtype: str, k_splits: int = 1) -> float:
    """Bound of the error relative to |A| . |B|, for any operands."""
    return _bound(*rounding_depths(k, dtype, k_splits))


def _bound(narrow: int, single: int) -> float:
    return math.expm1(narrow * math.log1p(_F16_UNIT) + single * math.log1p(_F32_UNIT))


def rms_limit(k: int, dtype: str, elements: int, k_splits: int = 1, launches: int | None = None) -> float:
    """Limit of the RMS error relative to |A| . |B|, for operands of independent random signs."""
    narrow, single = rounding_depths(k, dtype, k_splits, launches)
    spread = _F16_UNIT * math.sqrt(narrow / k) + _F32_UNIT * math.sqrt(single / k)
    return spread * (1 + 4 / math.sqrt(elements))


@dataclass(frozen=True)
class Finish:
    """What is done to a sum of products before it is the result: bias, activation, format f16 or f32 (None: as is)."""

    bias: npt.NDArray[np.floating] | None = None
    activation: str = "none"
    out: str | None = None


_NOTHING = Finish()
_SLOPE = {"none": 1.0, "relu": 1.0, "tanh": 1.0, "gelu": 1.13}
_GELU_0 = 2 * math.sqrt(2 / math.pi)
_GELU_1 = 0.044715 * _GELU_0


def activate(activation: str, s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The activation (none, relu, tanh, gelu: tanh form) in float64."""
    if activation == "relu":
        return np.maximum(s, 0.0)
    if activation == "tanh":
        return np.tanh(s)
    if activation == "gelu":
        return s * _logistic(s * (_GELU_0 + _GELU_1 * s * s))
    return s


def _logistic(v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-np.clip(v, -700.0, 700.0)))


def _own_roundings(activation: str, s: npt.NDArray[np.float64], unit: float) -> npt.NDArray[np.float64]:
    """Bound of what the activation's own roundings add, for exact arguments ``s``."""
    value = np.abs(activate(activation, s))
    if activation == "tanh":
        return 2 * unit * value
    if activation == "gelu":
        v = s * (_GELU_0 + _GELU_1 * s * s)
        return (6 * np.abs(v) * (1 - _logistic(v)) + 3) * unit * value
    return np.zeros_like(s)


Block = tuple[npt.NDArray[Any], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def check_blocks(
    blocks: Iterable[Block],
    k: int,
    dtype: str,
    *,
    k_splits: int = 1,
    random_signs: bool = False,
    finish: Finish = _NOTHING,
    launches: int | None = None,
) -> Check:
    """Compare results with sums of ``k`` products, block by block; ``launches`` as in rounding_depths.

    A block is (found, exact, magnitude), all of one shape ``[..., n]``: the result, the sum in float64 before
    ``finish``, and the sum of the magnitudes of its products. A bias has shape [n]. ``random_signs`` adds the RMS
    limit, which holds for bare products of operands drawn with independent random signs.
    """
    narrow, single = rounding_depths(k, dtype, k_splits, launches)
    out = finish.out or ("f16" if dtype == "f16" else "f32")
    unit, tiny = (_F16_UNIT, _F16_TINY) if out == "f16" else (_F32_UNIT, _F32_TINY)
    steps = (finish.bias is not None or finish.activation != "none") + (out == "f16" and dtype != "f16")
    narrow, single = (narrow + steps, single) if out == "f16" else (narrow, single + steps)
    slope = _SLOPE[finish.activation]
    limit = slope * _bound(narrow, single)
    floor = slope * (narrow * _F16_TINY + single * _F32_TINY) + (8 * tiny if finish.activation != "none" else 0.0)
    largest, squares, elements, outside, not_finite = 0.0, 0.0, 0, 0, 0
    for found, exact, magnitude in blocks:
        if finish.bias is not None:
            bias = finish.bias.astype(np.float64)
            exact, magnitude = exact + bias, magnitude + np.abs(bias)
        with np.errstate(invalid="ignore"):
            error = np.abs(found.astype(np.float64) - activate(finish.activation, exact))
        own = _own_roundings(finish.activation, exact, unit)
        finite = np.isfinite(found)
        not_finite += int(finite.size - finite.sum())
        outside += int((~(error <= limit * magnitude + floor + own)).sum())
        # Below the floor a relative error says nothing: a sum of a few subnormal steps.
        relative = np.where(error <= floor, 0.0, error) / np.where(magnitude == 0.0, 1.0, magnitude)
        relative = np.where(finite, relative, np.inf)
        largest = max(largest, float(relative.max(initial=0.0)))
        squares += float(np.square(relative).sum())
        elements += error.size
    root = math.sqrt(squares / elements)
    bare = finish.bias is None and finish.activation == "none" and steps == 0
    limit_rms = rms_limit(k, dtype, elements, k_splits, launches) if random_signs and bare else None
    ok = outside == 0 and (limit_rms is None or root <= limit_rms)
    return Check(ok, largest, root, limit, limit_rms, not_finite, outside)


def check_matmul(
    a: npt.NDArray[np.floating],
    b: npt.NDArray[np.floating],
    c: npt.NDArray[np.floating],
    dtype: str,
    *,
    k_splits: int = 1,
    random_signs: bool = False,
    finish: Finish = _NOTHING,
) -> Check:
    """Compare ``c[..., m, n]`` with ``a[..., m, k] . b[..., k, n]`` in float64, block of rows by block of rows.

    ``a`` and ``b`` must be the operands as the chip holds them (float16, or float32 for dtype f32). ``random_signs``
    says that they were drawn with independent random signs, which adds the RMS limit. ``finish``: what follows the
    product.
    """
    (m, k), n = a.shape[-2:], b.shape[-1]
    if c.shape != (*a.shape[:-2], m, n):
        raise ValueError(f"result has shape {c.shape}, expected {(*a.shape[:-2], m, n)}")
    rows = max(1, _BLOCK_ELEMENTS // max(n, k))

    def blocks() -> Iterator[Block]:
        for left, right, found in zip(a.reshape(-1, m, k), b.reshape(-1, k, n), c.reshape(-1, m, n)):
            wide_b = right.astype(np.float64)
            abs_b = np.abs(wide_b)
            for first in range(0, m, rows):
                wide_a = left[first : first + rows].astype(np.float64)
                yield found[first : first + rows], wide_a @ wide_b, np.abs(wide_a) @ abs_b

    return check_blocks(blocks(), k, dtype, k_splits=k_splits, random_signs=random_signs, finish=finish)

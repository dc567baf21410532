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
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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


def rounding_depths(k: int, dtype: str, k_splits: int = 1) -> tuple[int, int]:
    """Roundings to f16 and to f32 on the way of one output element (module docstring)."""
    chain = -(-k // k_splits)
    if dtype == "f16":
        return -(-chain // 16) + k_splits, 4 * -(-chain // 16) + k_splits
    return 0, chain + k_splits


def max_limit(k: int, dtype: str, k_splits: int = 1) -> float:
    """Bound of the error relative to |A| . |B|, for any operands."""
    narrow, single = rounding_depths(k, dtype, k_splits)
    return math.expm1(narrow * math.log1p(_F16_UNIT) + single * math.log1p(_F32_UNIT))


def rms_limit(k: int, dtype: str, elements: int, k_splits: int = 1) -> float:
    """Limit of the RMS error relative to |A| . |B|, for operands of independent random signs."""
    narrow, single = rounding_depths(k, dtype, k_splits)
    spread = _F16_UNIT * math.sqrt(narrow / k) + _F32_UNIT * math.sqrt(single / k)
    return spread * (1 + 4 / math.sqrt(elements))


def check_matmul(
    a: npt.NDArray[np.floating],
    b: npt.NDArray[np.floating],
    c: npt.NDArray[np.floating],
    dtype: str,
    *,
    k_splits: int = 1,
    random_signs: bool = False,
) -> Check:
    """Compare ``c[m, n]`` with ``a[m, k] . b[k, n]`` in float64, block of rows by block of rows.

    ``a`` and ``b`` must be the operands as the chip holds them (float16, or float32 for dtype f32). ``random_signs``
    says that they were drawn with independent random signs, which adds the RMS limit.
    """
    (m, k), n = a.shape, b.shape[1]
    if c.shape != (m, n):
        raise ValueError(f"result has shape {c.shape}, expected {(m, n)}")
    limit = max_limit(k, dtype, k_splits)
    narrow, single = rounding_depths(k, dtype, k_splits)
    floor = narrow * _F16_TINY + single * _F32_TINY
    wide_b = b.astype(np.float64)
    abs_b = np.abs(wide_b)
    rows = max(1, _BLOCK_ELEMENTS // max(n, k))
    largest, squares, outside, not_finite = 0.0, 0.0, 0, 0
    for first in range(0, m, rows):
        wide_a = a[first : first + rows].astype(np.float64)
        magnitude = np.abs(wide_a) @ abs_b
        found = c[first : first + rows].astype(np.float64)
        with np.errstate(invalid="ignore"):
            error = np.abs(found - wide_a @ wide_b)
        finite = np.isfinite(found)
        not_finite += int(finite.size - finite.sum())
        outside += int((~(error <= limit * magnitude + floor)).sum())
        # Below the floor a relative error says nothing: a sum of a few subnormal steps.
        relative = np.where(error <= floor, 0.0, error) / np.where(magnitude == 0.0, 1.0, magnitude)
        relative = np.where(finite, relative, np.inf)
        largest = max(largest, float(relative.max()))
        squares += float(np.square(relative).sum())
    root = math.sqrt(squares / (m * n))
    limit_rms = rms_limit(k, dtype, m * n, k_splits) if random_signs else None
    ok = outside == 0 and (limit_rms is None or root <= limit_rms)
    return Check(ok, largest, root, limit, limit_rms, not_finite, outside)

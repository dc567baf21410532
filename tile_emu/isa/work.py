"""What one execution of an instruction amounts to: products, floating-point operations, bytes of SRAM.

Operations are counted as an arithmetic unit performs them: one for an addition, a product, a comparison, a minimum or a
transcendental function, two for a product that is added, each once per element. Conversions, classifications, masks,
random numbers and moves count none. Products of f8 elements are added up in f16 and count as f16 operations.
"""

from __future__ import annotations

import functools
import re

import numpy as np
from numpy.typing import NDArray

from tile_emu.isa.semantics import SEMANTICS, Shape
from tile_emu.isa.table import Form, table

WORK = ("amp", "slic", "macs", "f16_operations", "f32_operations", "bytes_loaded", "bytes_stored")

_NAME = re.compile(r"(f8|f16|f32)(?:v(\d))?(\w+)\Z")
# Operations per element, by what follows type and width in a mnemonic.
_PER_ELEMENT = dict.fromkeys(
    "add sub mul max min absadd absmax acc absacc cmpeq cmpge cmpgt cmple cmplt cmpne exp exp2 ln log2 sigm tanh "
    "div oox oorx sqrt".split(),
    1.0,
)
_PER_ELEMENT |= dict.fromkeys("mac cmac sqacc axpy clamp".split(), 2.0)
# A sum or a maximum over pairs has half as many results as elements. mix: two products and a sum. aop: all four
# products of two pairs, added.
_PER_ELEMENT |= {"sum": 0.5, "maxc": 0.5, "mix": 3.0, "aop": 4.0}


def _operations(mnemonic: str, macs: int) -> tuple[int, int]:
    """f16 and f32 operations of one execution."""
    match = _NAME.match(mnemonic)
    if match is None:
        return 0, 0
    count = 2 * macs or round(int(match[2] or 1) * _PER_ELEMENT.get(match[3], 0.0))
    return (0, count) if match[1] == "f32" else (count, 0)


def _bytes(form: Form) -> tuple[int, int]:
    """Bytes loaded and stored by one execution."""
    semantic = SEMANTICS[form.mnemonic]
    attributes, shape = semantic.attributes, semantic.shape
    if shape is Shape.PACE:
        accesses = attributes["accesses"]
        stored = sum(size for _, size, kind in accesses if kind == "store")
        return sum(size for _, size, _ in accesses) - stored, stored
    if shape is Shape.LOAD_TWO:
        return {"ld64a32": 12, "ldb16b16": 4}[form.mnemonic], 0
    size = int(attributes.get("size", 0)) + int(attributes.get("delta", 0))
    return (0, size) if form.mnemonic.startswith("st") else (size, 0)


def work_of(form: Form) -> tuple[int, ...]:
    """Counts of one execution, in the order of WORK; all 0 for a form without semantics."""
    semantic = SEMANTICS.get(form.mnemonic)
    if semantic is None:
        return (0,) * len(WORK)
    macs = int(semantic.attributes.get("macs", 0))
    amp, slic = int(bool(semantic.attributes.get("amp"))), int(form.mnemonic.endswith("slic"))
    return amp, slic, macs, *_operations(form.mnemonic, macs), *_bytes(form)


@functools.cache
def work_table() -> NDArray[np.int64]:
    """int64[forms + 1, WORK] by form index; the last row is that of no form."""
    rows = [work_of(form) for form in table().forms]
    return np.array([*rows, (0,) * len(WORK)], np.int64)

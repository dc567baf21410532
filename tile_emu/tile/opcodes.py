"""Opcodes of decoded instructions: a dispatch group in the upper half, the form's number in the lower.

Groups keep each dispatch function short. The main pipe's groups come first, so that a comparison tells the pipe.
"""

from __future__ import annotations

import functools

from tile_emu.isa.semantics import SEMANTICS, Shape
from tile_emu.isa.table import Form

GROUPS = (
    "alu", "load", "store", "pace", "control", "csr", "system",
    "bits", "f32", "f16", "accumulate", "amp", "special", "aux_csr",
)  # fmt: skip
GROUP_SHIFT = 16
ALU, LOAD, STORE, PACE, CONTROL, CSR, SYSTEM = range(1, 8)
BITS, F32, F16, ACCUMULATE, AMP, SPECIAL, AUX_CSR = range(8, len(GROUPS) + 1)

_BY_SHAPE = {
    Shape.ALU: "alu",
    Shape.ALU_PAIR: "alu",
    Shape.LOAD: "load",
    Shape.LOAD_STEP: "load",
    Shape.LOAD_DELTA: "load",
    Shape.LOAD_TWO: "load",
    Shape.STORE: "store",
    Shape.STORE_STEP: "store",
    Shape.STORE_INDEXED: "store",
    Shape.STORE_INDEXED_STEP: "store",
    Shape.PACE: "pace",
    Shape.BRANCH: "control",
    Shape.BRANCH_DECREMENT: "control",
    Shape.JUMP: "control",
    Shape.JUMP_REGISTER: "control",
    Shape.CALL: "control",
    Shape.REPEAT: "control",
    Shape.EXIT: "control",
    Shape.TRAP: "control",
    Shape.GET: "csr",
    Shape.PUT: "csr",
    Shape.LAUNCH: "system",
    Shape.WEIGHTS: "system",
    Shape.SYNC: "system",
    Shape.EXCHANGE: "system",
}


@functools.cache
def group_of(form: Form) -> str:
    """Dispatch group of a form that has semantics."""
    semantic = SEMANTICS[form.mnemonic]
    if form.pipe == "main":
        return _BY_SHAPE[semantic.shape]
    if semantic.shape in (Shape.GET, Shape.PUT):
        return "aux_csr"
    if semantic.attributes.get("amp"):
        return "amp"
    module = semantic.module.rsplit(".", 1)[-1]
    if module == "floating":
        return "f16" if form.mnemonic.startswith("f16") else "f32"
    return {"integer": "bits", "accumulators": "accumulate"}.get(module, "special")


def opcode_of(form: Form) -> int:
    """Number that decoded rows carry for a form."""
    return ((GROUPS.index(group_of(form)) + 1) << GROUP_SHIFT) | form.index

"""Headers for assembly sources: the shipped directory, text generated from the project's tables, predefined names."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from tile_emu.chips import Chip, chip_names, load_chip
from tile_emu.isa.csr import csrs
from tile_emu.isa.flags import PRIVATE_FLAGS

INCLUDE_DIRECTORY = Path(__file__).with_name("include")  # headers shipped with the assembler
GENERATED_HEADER = INCLUDE_DIRECTORY / "tile_emu" / "generated.h"  # included by the shipped ones, exists nowhere

# The names popc predefines; ipu21 is 21.
_ARCHITECTURE_NUMBER = {"ipu1": 1, "ipu2": 2, "ipu21": 21}
_FIELD = re.compile(r"([A-Z][A-Z0-9_]*):(\d+)(?:-(\d+))?(?![\w-])")
_PREFIXES = {frozenset(("worker", "supervisor")): "C", frozenset(("worker",)): "W", frozenset(("supervisor",)): "S"}


def predefined(architecture: str) -> dict[str, int]:
    """Preprocessor names that tell a source it is for the tile, and for which."""
    return {"__IPU__": 1, "__IPU_ARCH_VERSION__": _ARCHITECTURE_NUMBER[architecture]}


def architecture_chip(architecture: str) -> Chip:
    """The chip whose memory stands for an architecture: the first one described with it."""
    return next(chip for chip in map(load_chip, chip_names()) if chip.architecture == architecture)


def _csr_values(architecture: str) -> dict[str, int]:
    """``CSR_W_FP_CTL__INDEX``, ``..__RND__SHIFT``, ``..__RND__MASK`` (unshifted) of every register and field."""
    values = {}
    for csr in csrs():
        if csr.space == "cwei" or architecture not in csr.architectures:
            continue
        name = f"CSR_{_PREFIXES[csr.modes]}_{csr.name}"
        values[f"{name}__INDEX"] = csr.index
        for field, high, low in _FIELD.findall(csr.fields):
            first = int(low or high)
            values[f"{name}__{field}__SHIFT"] = first
            values[f"{name}__{field}__MASK"] = (1 << int(high) - first + 1) - 1
    return values


def _chip_values(architecture: str) -> dict[str, int]:
    chip = architecture_chip(architecture)
    return {
        "CTXT_WORKERS": chip.worker_contexts,
        "TFPU_NUM_AMP_SETS": chip.amp_sets,
        "TMEM_REGION0_BASE_ADDR": chip.memory.base,
        "TMEM_BASE_ADDR": chip.memory.base,
        "TMEM_REGION1_BASE_ADDR": chip.memory.interleaved_base,
        "TMEM_ELEMSIZE": chip.memory.element_bytes,
    }


@functools.cache
def generated_header(architecture: str) -> str:
    """Text of ``tile_emu/generated.h``: status registers, figures of the chip, private flags."""
    values = _chip_values(architecture) | _csr_values(architecture) | PRIVATE_FLAGS
    return "".join(f"#define {name} {value:#x}\n" for name, value in values.items())

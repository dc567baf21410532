"""Private values of the symbolic immediates of the AMP, SLIC and transpose instructions.

The vendor's numeric values are not public, so these are the project's own (proposal of semantics.md section 12.6):
bits [1:0] mode (0 E4, 1 E2, 2 E1) and bits [4:2] phase for AMP; bits [1:0] bank, bit 2 shape (0 1x4, 1 1x3) and, for
f32, bit 3 step (0 L, 1 U) for SLIC. Binaries made by the vendor's tools therefore do not carry these values.
"""

from __future__ import annotations

AMP_MODES = {"E4": 0, "E2": 1, "E1": 2}
AMP_PHASE_SHIFT = 2
SLIC_SHAPE_1X3 = 4
SLIC_UPPER_STEP = 8

_AMP_PHASES = {
    "F16V4": {"E4": 4, "E2": 2, "E1": 1},
    "F8V8": {"E4": 4},
    "F32": {"E4": 8, "E2": 4, "E1": 3},
}


def _private_flags() -> dict[str, int]:
    flags = {
        f"TAMP_{form}_{mode}_P{phase}": AMP_MODES[mode] | phase << AMP_PHASE_SHIFT
        for form, modes in _AMP_PHASES.items()
        for mode, phases in modes.items()
        for phase in range(phases)
    }
    for bank in range(4):
        for shape, bits in (("1x4", bank), ("1x3", bank | SLIC_SHAPE_1X3)):
            flags[f"TSLIC_F16V4_{shape}_W{bank}"] = flags[f"TSLIC_F8V8_{shape}_W{bank}"] = bits
            flags[f"TSLIC_F32_{shape}_W{bank}_L"] = bits
            flags[f"TSLIC_F32_{shape}_W{bank}_U"] = bits | SLIC_UPPER_STEP
    for phase in range(2):
        flags[f"TISTACC_P{phase}"] = phase
        flags[f"TSTACC_P{phase}"] = phase
    return flags


PRIVATE_FLAGS: dict[str, int] = _private_flags()

"""What a run is worth telling, as plain values: the object that `tile-emu run --json` prints for any kernel."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.check import Check
from tile_emu.profile.summary import Summary


def run_document(
    head: Mapping[str, Any], summary: Summary, check: Check, wall_s: float, plan: object
) -> dict[str, Any]:
    """``head`` (what was run), then the figures, the check, the emulation's own figures and the plan."""
    return {
        **head,
        **summary.to_dict(),
        "check": {
            "max_rel_error": _finite(check.max_rel_error),
            "rms_rel_error": _finite(check.rms_rel_error),
            "ok": check.ok,
            "max_limit": check.max_limit,
            "rms_limit": check.rms_limit,
            "not_finite": check.not_finite,
        },
        "emulation": {
            "wall_s": wall_s,
            "instructions": summary.instructions,
            "instructions_per_s": summary.instructions / wall_s,
            "peak_rss_bytes": peak_rss_bytes(),
        },
        "plan": plain(plan),
    }


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as plain values; arrays and other machinery are left out."""
    kept: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if isinstance(item, np.generic):
            item = item.item()
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            item = plain(item)
        if item is None or isinstance(item, (bool, int, float, str, dict)):
            kept[field.name] = item
    return kept


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def peak_rss_bytes() -> int:
    """Most memory this process has held, bytes; 0 where the system does not tell."""
    if os.name != "posix":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

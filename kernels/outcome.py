"""What a run is worth telling, as plain values: the object that `tile-emu run --json` prints for any kernel."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.check import Check
from kernels.planner.beside import parts_beside
from kernels.stopwatch import PARTS
from tile_emu import __version__
from tile_emu.profile.estimate import exchange_widths
from tile_emu.profile.summary import Summary

if TYPE_CHECKING:
    from kernels.contraction.run import ContractionResult
    from kernels.planner.plan import ContractionPlan


def run_document(
    head: Mapping[str, Any],
    summary: Summary,
    check: Check,
    wall_s: float,
    result: ContractionResult,
    parts_s: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """``head`` (what was run), then figures, check, the emulation's own figures, the plan, the best plans.

    ``wall_s``: of the kernel, from the operands to the result; ``parts_s`` of the parts in kernels.stopwatch.
    Of a checked machine also ``findings``.
    """
    findings = {} if result.findings is None else {"findings": result.findings.to_dict()}
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
            "parts_s": {} if parts_s is None else {part: parts_s[part] for part in PARTS if part in parts_s},
            "instructions": summary.instructions,
            "instructions_per_s": summary.instructions / wall_s,
            "peak_rss_bytes": peak_rss_bytes(),
        },
        "plan": plain(result.plan),
        "parts": parts_beside(plain(result.plan).get("predicted", {}), summary.supersteps),
        "plans": [_choice(rank, plan, plan == result.plan) for rank, plan in enumerate(result.plans, 1)],
        "estimate": {"exchange_width": exchange_widths(result.recording)},
        **findings,
        "version": __version__,
    }


def _choice(rank: int, plan: ContractionPlan, chosen: bool) -> dict[str, Any]:
    """A plan beside others: ``rank`` as --plan-rank takes it, ``exchange`` the predicted cycles of its exchanges."""
    predicted = dataclasses.asdict(plan.predicted)
    return {
        "rank": rank,
        "chosen": chosen,
        "division": f"{plan_text(plain(plan))}, partners {plan.partners}",
        "tiles": plan.tiles,
        "predicted": {**predicted, "total": plan.predicted.total},
        "exchange": plan.predicted.gather + plan.predicted.reduce_exchange,
        "padding": plan.padding,
        "sram_bytes": plan.sram_bytes,
    }


def plan_text(plan: Mapping[str, Any]) -> str:
    """A plan in one word for each dimension that it cuts."""
    parts = []
    if plan.get("group_splits", 1) > 1:
        parts.append(f"g{plan['group_splits']}")
    positions = [plan[f"{name}_splits"] for name in ("row", "column", "image")]
    parts.append("p" + "x".join(str(n) for n in positions))
    parts += [f"o{plan['output_splits']}", f"k{plan['k_splits']}"]
    if plan.get("tap_splits", 1) > 1:
        parts.append(f"t{plan['tap_splits']}")
    parts.append(f"s{plan['steps']}")
    return " ".join(parts)


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

"""A plan's predicted cycles beside what the program's supersteps took, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tile_emu.profile.summary import Superstep


def parts_beside(predicted: Mapping[str, int], supersteps: Sequence[Superstep]) -> list[dict[str, Any]]:
    """``parts`` (names of PlanCycles), their ``predicted`` cycles, and the ``counted`` ones of their supersteps.

    Parts whose vertices run in the same compute phase stand together. A barrier counts for the exchange after it. What
    no part foresees, such as the instructions before the first barrier, has no ``parts`` and 0 predicted. Empty for a
    plan without a prediction.
    """
    if not predicted:
        return []
    groups: list[tuple[set[str], int]] = []
    for step in supersteps:
        parts = _parts_of(step) & predicted.keys()
        joined = [group for group in groups if group[0] & parts or not (group[0] or parts)]
        groups = [group for group in groups if group not in joined]
        union = parts.union(*(names for names, _ in joined))
        groups.append((union, step.cycles + sum(cycles for _, cycles in joined)))
    unseen = [({name}, 0) for name, cycles in predicted.items() if cycles and not any(name in g for g, _ in groups)]
    order = list(predicted)
    found = [
        {
            "parts": sorted(names, key=order.index),
            "predicted": sum(predicted[name] for name in names),
            "counted": counted,
        }
        for names, counted in [*groups, *unseen]
    ]
    kept = [group for group in found if group["predicted"] or group["counted"]]
    return sorted(kept, key=lambda group: order.index(group["parts"][0]) if group["parts"] else len(order))


def _parts_of(step: Superstep) -> set[str]:
    """The parts that a superstep belongs to, by the names that kernels/contraction gives."""
    if step.kind != "compute":
        return {"gather" if step.name.startswith("gather") else "reduce_exchange"}
    return {_part_of_vertices(name) for name in step.name.split(" + ") if name}


def _part_of_vertices(name: str) -> str:
    if name.startswith(("multiply", "copy")):
        return "compute"
    return "reduce" if name.startswith("sum of") else "finish"

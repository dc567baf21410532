"""Matrix products as contractions, for tests of the planner and of the graphs."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from kernels.contraction.problem import Contraction
from kernels.matmul import matmul_choices
from kernels.planner.contraction import plan_contraction
from kernels.planner.plan import ContractionPlan
from tile_emu.errors import OutOfTileMemory


def put(m: int, k: int, n: int, dtype: str, streamed: str) -> Contraction:
    """A product with the given operand streaming."""
    return matmul_choices(m, k, n, dtype)["ab".index(streamed)]


def plan_matmul(
    m: int, k: int, n: int, dtype: str = "f16", chip: Any = "bow", **limits: Any
) -> tuple[Contraction, ContractionPlan]:
    """The cheaper of the plans for the two ways to put a product."""
    found = []
    for contraction in matmul_choices(m, k, n, dtype):
        try:
            found.append((contraction, plan_contraction(contraction.shape, chip, **limits)[0]))
        except OutOfTileMemory as error:
            problem = error
    if not found:
        raise problem
    return min(found, key=lambda pair: (pair[1].predicted.total, pair[1].sram_bytes))


def forced(
    plan: ContractionPlan, contraction: Contraction, splits: tuple[int, int, int], steps: int, partners: str = "w"
) -> ContractionPlan:
    """A plan with the given parts of positions, outputs and K, and steps."""
    p, o, k = splits
    return dataclasses.replace(
        plan,
        shape=contraction.shape,
        column_splits=p,
        output_splits=o,
        k_splits=k,
        steps=steps,
        partners=partners,
    )


def gathered(shared: dict[int, int], alone: dict[int, int], least: int, homes: int | None = None) -> int:
    """Rows received, those of ``shared`` {tiles: rows} by pairs of tiles two words a cycle where that can be.

    ``least``: K groups of the smallest part, whose shares must be worth pairing too. ``homes``: on how many tiles the
    rows lie, if not on those that receive the same.
    """
    ((tiles, rows),) = shared.items()
    if tiles % 2 == 0 and tiles > 2 and rows * least * 8 // (homes or tiles) >= 16:
        rows = math.ceil(rows / 2)
    return rows + sum(alone.values())

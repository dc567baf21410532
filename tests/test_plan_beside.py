"""Predicted cycles beside those of the supersteps, summed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from kernels.planner.beside import parts_beside
from tile_emu.profile.summary import Superstep

pytestmark = pytest.mark.nojit

PREDICTED = {"gather": 100, "compute": 200, "reduce_exchange": 50, "reduce": 20, "finish": 10}


def beside(*steps: tuple[str, str, int], **predicted: int) -> list[Any]:
    found = parts_beside(PREDICTED | predicted, [Superstep(*step) for step in steps])
    return [(group["parts"], group["predicted"], group["counted"]) for group in found]


def test_every_part_has_its_supersteps() -> None:
    found = beside(
        *(("compute", "", 15), ("sync", "gather 0", 9), ("exchange", "gather 0", 40), ("compute", "multiply 0", 90)),
        *(("sync", "gather 1", 9), ("exchange", "gather 1", 41), ("compute", "copy own + multiply 1", 95)),
        *(("sync", "exchange of partial sums", 9), ("exchange", "exchange of partial sums", 44)),
        ("compute", "sum of partial sums + gelu + cast", 33),
    )
    assert found == [
        (["gather"], 100, 99),
        (["compute"], 200, 185),
        (["reduce_exchange"], 50, 53),
        (["reduce", "finish"], 30, 33),
        ([], 0, 15),
    ]


def test_parts_of_one_phase_stand_together() -> None:
    """Without partial sums the activation follows the multiplication at once; what is 0 in both is left out."""
    found = beside(("compute", "multiply + relu", 230), gather=0, reduce_exchange=0, reduce=0)
    assert found == [(["compute", "finish"], 210, 230)]


def test_a_part_that_never_ran_is_told() -> None:
    found = beside(("compute", "multiply", 230), reduce_exchange=0, reduce=0, finish=0)
    assert found == [(["gather"], 100, 0), (["compute"], 200, 230)]


def test_a_plan_without_a_prediction() -> None:
    assert parts_beside({}, [Superstep("compute", "multiply", 3)]) == []
    assert parts_beside({"all": 3}, [Superstep("compute", "multiply", 4)]) == [
        {"parts": ["all"], "predicted": 3, "counted": 0},
        {"parts": [], "predicted": 0, "counted": 4},
    ]

"""The tables of `make validate-planner` and `make validate-convolution`, from documents and rows worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks import validation
from kernels.convolution import plan_pass
from kernels.convolution.geometry import Convolution


def document(cycles: int, *parts: int) -> dict[str, object]:
    return {"cycles": cycles, "plan": {"predicted": dict(zip(validation.PARTS, parts, strict=True))}}


def test_prediction_table() -> None:
    documents = [
        document(1000, 400, 500, 60, 40, 0),
        {"error": {}},
        document(200, 100, 94, 0, 0, 0),
        document(50, 60, 0, 0, 0, 0),
    ]
    rows = validation.predictions(documents, ["a", "b", "c", "d"])
    assert [(row.name, row.predicted, row.emulated) for row in rows] == [
        ("a", 1000, 1000),
        ("c", 194, 200),
        ("d", 60, 50),
    ]
    *_, last = lines = validation.prediction_table(rows)
    assert last == "3 layers: median error 3.00 %, largest 20.00 %"
    assert "-3.0 %" in lines[2] and "+20.0 %" in lines[3]


def test_published_rows() -> None:
    rows = {row.name: row for row in validation.published()}
    assert len(rows) == 276 and min(row.tflops for row in rows.values()) > 0
    row = rows["ResNet50-Conv1-b8"]
    assert row.tflops == 11.95
    assert row.conv == Convolution(8, 3, 224, 224, 64, (7, 7), (2, 2), (3, 3, 3, 3))
    assert row.conv.macs == 8 * 112 * 112 * 64 * 147
    assert rows["AlexNet-Conv1-b1"].conv.out_height == 55


def test_expected_rates(capsys: pytest.CaptureFixture[str]) -> None:
    assert validation.main(["convolution", "--planned", "--only", "SSD-Conv7-b1"]) == 0
    shown = capsys.readouterr().out.splitlines()
    (row,) = (row for row in validation.published() if row.name == "SSD-Conv7-b1")
    cycles = plan_pass(row.conv, "fwd", chip="gc2")[0].predicted.total
    assert f"{2 * row.conv.macs * 1.6e9 / cycles / 1e12:.2f}" in shown[1]
    assert shown[-1].startswith("1 of 1 rows: geometric mean")

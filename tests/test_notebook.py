"""Notebook use: the example notebook runs, and what it shows are the run's own figures."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.reports import small_report

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "notebooks" / "cycles.ipynb"


@pytest.mark.nojit
def test_report_and_recording_as_html() -> None:
    report = small_report(kernel="<matmul>")
    text = report._repr_html_()
    assert "&lt;matmul&gt;" in text and "<matmul>" not in text
    for figure in ("500 cycles", "310", "62.0 %", "15.5 %", "88.0 %", "workers 66 cycles"):
        assert figure in text, figure
    assert "<td>100</td><td>20.0 %</td>" in report.recording._repr_html_()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_example_notebook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("pandas")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # results are not kept in git
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [
        output["data"].get("text/html", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    cycles = re.search(r"([\d,]+) cycles on Bow", shown[0])
    assert cycles is not None and f"{cycles[1]} cycles on Bow" in shown[2]
    printed = notebook.cells[-1]["outputs"][0]["text"]
    assert re.match(r"32 tiles takes \+[\d,]+ cycles \(\+\d", printed)

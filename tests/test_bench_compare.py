"""The comparison of two benchmark runs: what fails, what passes, what it says of files that it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.compare import main


def saved(path: Path, **ratios: float | None) -> str:
    notes = {name: {} if ratio is None else {"ratio": ratio, "MAC/s": 5e9} for name, ratio in ratios.items()}
    path.write_text(json.dumps({"benchmarks": [{"fullname": n, "extra_info": i} for n, i in notes.items()]}))
    return str(path)


@pytest.mark.parametrize(
    ("new", "options", "status", "verdict"),
    [
        ({"loop": 0.086, "amp": 2.0}, [], 0, "2 compared, 0 worse"),
        ({"loop": 0.084, "amp": 2.0}, [], 1, "2 compared, 1 worse"),
        ({"loop": 0.084, "amp": 2.0}, ["--worse", "20"], 0, "2 compared, 0 worse"),
        ({"loop": 0.1}, [], 1, "1 missing"),
        ({"loop": 0.1, "amp": None}, [], 1, "1 missing"),
        ({"loop": 0.1, "amp": 1.0, "more": 1e-9}, [], 0, "2 compared"),
    ],
)
def test_verdict(
    new: dict[str, float | None],
    options: list[str],
    status: int,
    verdict: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [saved(tmp_path / "old.json", loop=0.1, amp=1.0, untimed=None), saved(tmp_path / "new.json", **new)]
    assert main([*files, *options]) == status
    assert verdict in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", '{"benchmarks": 3}', '{"benchmarks": [{"fullname": "a"}]}'])
def test_damaged_file(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged.json"
    damaged.write_text(text)
    with pytest.raises(SystemExit) as stop:
        main([saved(tmp_path / "old.json", loop=0.1), str(damaged)])
    assert stop.value.code == 2 and "damaged.json" in capsys.readouterr().err

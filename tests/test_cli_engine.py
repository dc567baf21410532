"""The choice of the engine on the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tile_emu.cli.app import app
from tile_emu.engines import DUMP, ENGINE

RUNNING = ("run matmul", "run convolution", "run layer", "network", "exchange", "sweep", "codelet")
WORKERS = """
.worker
.globl start
start:
    setzi $m0, 9
    1: add $m1, $m1, $m0
    brnzdec $m0, 1b
    exitz $mzero
"""


@pytest.fixture(autouse=True)
def kept_environment() -> Iterator[None]:
    """The commands set the engine of the process."""
    before = {name: os.environ.get(name) for name in (ENGINE, DUMP)}
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.mark.parametrize("command", RUNNING)
def test_every_command_that_runs_code_has_the_options(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "--engine" in result.output and "--dump-translated" in result.output


def test_a_codelet_on_each_engine(tmp_path: Path) -> None:
    """The same output; what was translated is copied to the folder."""
    source, state = tmp_path / "sum.S", tmp_path / "state.toml"
    source.write_text(WORKERS)
    state.write_text("")
    outputs = set()
    for engine in ("interpreter", "translator", "auto"):
        dump = tmp_path / engine
        options = ["--entry", "start", "--state", str(state), "--engine", engine, "--dump-translated", str(dump)]
        result = CliRunner().invoke(app, ["codelet", str(source), *options])
        assert result.exit_code == 0, result.output
        outputs.add(result.stdout)
        assert len(list(dump.glob("unit_*.py"))) == (engine == "translator")
    assert len(outputs) == 1

"""`tile-emu run convolution`: the document, files, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tile_emu.cli.entry import run

SMALL = [
    "run",
    "convolution",
    "--tiles",
    "16",
    "--threads",
    "1",
    "--channels",
    "16",
    "--height",
    "6",
    "--outputs",
    "16",
]


@pytest.mark.parametrize("direction", ["fwd", "bwd-data", "bwd-weights"])
def test_document(direction: str, capsys: pytest.CaptureFixture[str]) -> None:
    extra = ["--bias", "--relu"] if direction == "fwd" else []
    assert run([*SMALL, "--pass", direction, "--layout", "NHWC", "--width", "5", "--json", *extra]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kernel"] == "convolution" and found["pass"] == direction and found["check"]["ok"]
    assert found["kernel_size"] == [3, 3] and found["padding"] == [1, 1, 1, 1] and found["width"] == 5
    assert found["cycles"] == sum(found["phases"].values())
    peak = 1472 * 64 * found["cycles"]
    assert found["utilisation"]["mac"] == pytest.approx(6 * 5 * 16 * 16 * 9 / peak)
    assert found["plan"]["k_splits"] >= 1 and found["plan"]["predicted"]["compute"] > 0


@pytest.mark.parametrize("direction", ["fwd", "bwd-data"])
def test_narrowing_after_every_kernel_position_of_few_channels(direction: str) -> None:
    """The bound counts the passes of the plan, which are more than one for 16 inputs."""
    sizes = ["--channels", "48", "--height", "30", "--outputs", "48", "--groups", "48", "--kernel", "5"]
    assert run(["run", "convolution", "--tiles", "64", "--threads", "1", *sizes, "--pass", direction]) == 0


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(1)
    x, w = random.integers(-3, 4, (1, 16, 6, 6)), random.integers(-3, 4, (16, 16, 1, 1))
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    np.save(tmp_path / "w.npy", w)
    files = ["--x", str(tmp_path / "x.npy"), "--w", str(tmp_path / "w.npy"), "--out", str(tmp_path / "out.npy")]
    assert run([*SMALL, "--kernel", "1", "--stride", "2", *files, "--report", str(tmp_path / "report")]) == 0
    text = capsys.readouterr().out
    assert "kernel 1x1, stride 2x2" in text and "check        ok" in text and "out.npy" in text
    expected = np.einsum("nchw,oc->nohw", x[:, :, ::2, ::2], w[:, :, 0, 0])
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    assert (tmp_path / "report" / "summary.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kernel", "3x3x3"], "--kernel 3x3x3"),
        (["--stride", "a"], "whole numbers"),
        (["--padding", "1,2,3"], "one number, two or four"),
        (["--pass", "bwd"], "unknown pass 'bwd'"),
        (["--pass", "bwd-data", "--relu"], "forward pass"),
        (["--groups", "3"], "do not divide"),
        (["--dtype", "f8"], "unknown dtype"),
        (["--layout", "CHWN"], "unknown layout"),
        (["--dout", "nothing.npy"], "pass fwd takes x and w"),
        (["--x", "nothing.npy"], "No such file"),
        (["--tiles", "5000"], "1472 tiles"),
        (["--kernel", "9", "--padding", "0"], "larger than the padded input"),
    ],
)
def test_refusals(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, *options]) == 2
    assert message in capsys.readouterr().err


def test_too_large_for_the_chip(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, "--height", "20000"]) == 1
    assert "MiB of SRAM" in capsys.readouterr().err

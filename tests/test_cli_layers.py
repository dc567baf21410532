"""`tile-emu run NETWORK.LAYER` and `tile-emu network`: small layers on few tiles, and everything that is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tile_emu.cli.entry import run
from tile_emu.graph.keptimage import no_kept_images

# What `run matmul --json` gives, as far as any kernel has it.
FIGURES = {"cycles", "seconds_on_chip", "tflops", "peak_share", "tiles_used", "phases", "utilisation", "sram"}
FIGURES |= {"supersteps", "words", "timing_model", "check", "emulation", "plan", "kernel", "dtype", "chip", "seed"}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Results go to a folder of the test; compiled code stays where it is."""
    monkeypatch.setattr("kernels.networks.cache.cache_directory", lambda: tmp_path)
    return tmp_path


def words(*arguments: str | int | Path) -> list[str]:
    return [str(argument) for argument in arguments]


SMALL = ("--seq", 8, "--tiles", 24)


@pytest.mark.parametrize("direction", ["fwd", "bwd-data", "bwd-weights"])
def test_layer_as_json(direction: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words("run", "bert-base.scores", *SMALL, "--pass", direction, "--json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= FIGURES
    assert (document["network"], document["layer"], document["pass"]) == ("bert-base", "scores", direction)
    assert document["macs"] == 12 * 8 * 64 * 8
    assert document["check"]["ok"] is True
    assert document["cycles"] == sum(document["phases"].values())
    assert document["tiles_used"] <= 24


def test_layer_as_text_with_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--out", tmp_path / "c.npy", "--report", tmp_path / "report")
    assert run(words("run", "bert-base.pool", "--tiles", 48, *files)) == 0
    out = capsys.readouterr().out
    assert "bert-base.pooler, fwd: [1, 768] . [768, 768] + bias, tanh, f16" in out
    assert "check        ok" in out
    assert np.load(tmp_path / "c.npy").shape == (1, 768)
    assert np.abs(np.load(tmp_path / "c.npy")).max() <= 1
    assert {"recording.npz", "summary.json"} <= {path.name for path in (tmp_path / "report").iterdir()}


def test_bare_layer_leaves_out_bias_and_activation(capsys: pytest.CaptureFixture[str]) -> None:
    cycles = []
    for options in ((), ("--bare",)):
        assert run(words("run", "bert-base.pooler", "--tiles", 48, *options, "--json")) == 0
        document = json.loads(capsys.readouterr().out)
        cycles.append(document["cycles"])
        assert document["shape"]["activation"] == ("none" if options else "tanh")
    assert cycles[1] < cycles[0]


def test_convolution_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words("run", "resnet50.conv5_2b", "--tiles", 64, "--json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["check"]["ok"] is True
    assert document["macs"] == 49 * 512 * 512 * 9


def test_network_table_and_cache(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = words("network", "bert-base", *SMALL, "--layers", "scores", "--layers", "context")
    assert run(command) == 0
    out = capsys.readouterr().out
    assert "bert-base, fwd, batch 1, f16, on Bow" in out
    assert "2 of 2 layers right" in out
    assert "emulated 2 layers, 0 from the cache" in out
    assert len(list((cache / "layers").iterdir())) == 2
    assert run([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["emulation"]["from_cache"] == 2
    assert all(set(layer) >= FIGURES for layer in document["layers"])
    counted = [layer["count"] * layer["cycles"] for layer in document["layers"]]
    assert document["totals"]["cycles"] == sum(counted)
    assert document["emulation"]["instructions"] == sum(
        layer["emulation"]["instructions"] for layer in document["layers"]
    )
    assert run([*command, "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| layer | x |")


def test_layers_that_do_not_fit_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    command = words("network", "bert-large", "--tiles", 2, "--layers", "ffn_up", "--layers", "scores", "--seq", 8)
    assert run(command) == 1
    out = capsys.readouterr().out
    assert "does not fit" in out
    assert "do not fit the SRAM of 2 tiles" in out
    # X, W and the sums of half the outputs: more than 4 MiB where a tile has 624 KiB
    assert re.search(r"has 4,\d\d\d KiB of data on a tile and lacks [34],\d\d\d KiB", out)
    assert "1 of 2 layers right" in out


@pytest.mark.parametrize("name", ["convolution", "layer", "network"])
def test_checked_machine(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found in what the kernels do; weights that never come to the tiles are."""
    small = ("--channels", 64, "--outputs", 32, "--height", 8, "--tiles", 8)
    command = {
        "convolution": words("run", "convolution", *small, "--check"),
        "layer": words("run", "bert-base.pooler", "--tiles", 24, "--check"),
        "network": words("network", "bert-base", "--tiles", 24, "--layers", "pooler", "--check"),
    }[name]
    assert run(command) == 0
    assert "check: nothing found" in capsys.readouterr().out
    assert run([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document.get("layers", [document])[0]["findings"] == {"total": 0, "listed": []}
    monkeypatch.setattr("kernels.contraction.builder.gather", lambda *_: None)
    with no_kept_images():
        assert run([*command, *["--fresh"] * (name == "network")]) == 1
    out = capsys.readouterr().out
    assert re.search(r"check: \d+ found", out)
    if name == "network":
        assert "`tile-emu run bert-base.pooler --check` shows them" in out


def test_interrupted_network(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kernels.networks.run.run_layers", interrupted)
    assert run(words("network", "resnet50")) == 130
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith("tile-emu: interrupted: the layers that were done are kept")
    )


def test_layers_beyond_all_memory_are_refused_before_operands_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures of 280 GiB in f16."""
    command = words("network", "resnet50", "--batch", 1000000, "--layers", "conv1", "--layers", "fc", "--json")
    assert run(command) == 1
    errors = [layer["error"] for layer in json.loads(capsys.readouterr().out)["layers"]]
    assert [error["kind"] for error in errors] == ["OutOfTileMemory"] * 2
    assert "operands and result take" in errors[0]["message"]


def test_list_of_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words("network", "resnet50", "--list", "--layers", "conv3_2b")) == 0
    assert "1 x 128 x 28 x 28 -> 128, 3 x 3" in capsys.readouterr().out
    assert run(words("network", "resnet50", "--list", "--json")) == 0
    assert len(json.loads(capsys.readouterr().out)) == 54


def test_plans_of_a_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words("plan", "resnet50.conv3_2b", "--best", 4)) == 0
    title, _, header, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("resnet50.conv3_2b, fwd: 1 x 128 x 28 x 28 -> 128, 3 x 3, f16")
    assert header.split()[:4] == ["streams", "plan", "tiles", "cycles"]
    column = header.index("cycles")
    totals = [int(row[column:].split()[0].replace(",", "")) for row in rows]
    assert len(totals) == 4
    assert totals == sorted(totals)


def test_plans_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words("plan", "matmul", "--m", 512, "--k", 256, "--n", 1024, "--tiles", 64, "--json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["plans"]) == 10
    assert {plan["streams"] for plan in document["plans"]} <= {"a", "b"}
    for plan in document["plans"]:
        predicted = plan["predicted"]
        assert sum(value for part, value in predicted.items() if part != "total") == predicted["total"]
        assert plan["tiles"] <= 64
    conv = ("--channels", 64, "--outputs", 32, "--height", 16, "--kernel", 3, "--padding", 1)
    for direction in ("fwd", "bwd-data", "bwd-weights"):
        assert run(words("plan", "conv", *conv, "--pass", direction, "--best", 2, "--json")) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["macs"] == 16 * 16 * 64 * 32 * 9
        assert len(document["plans"]) == 2
    depthwise = ("--channels", 48, "--outputs", 48, "--groups", 48, "--height", 9, "--kernel", "1x5", "--stride", "1x2")
    assert run(words("plan", "conv", *depthwise, "--dilation", 2, "--padding", "0,4", "--best", 3)) == 0
    title, _, _, *rows = capsys.readouterr().out.splitlines()
    assert "48 channels 9x9" in title and "dilation 2x2, 48 groups" in title and len(rows) == 3


REFUSED: list[tuple[tuple[Any, ...], str]] = [
    (("run", "resnet50.conv9"), "no layer of resnet50 'conv9'"),
    (("run", "resnet50.conv3_2b", "--pass", "back"), "unknown pass 'back'"),
    (("run", "resnet50.conv3_2b", "--seq", 8), "--seq: resnet50 has none"),
    (("run", "resnet50.conv3_2b", "--batch", 0), "batch 0"),
    (("run", "bert-base.qkv", "--dtype", "bf16"), "unknown dtype 'bf16'"),
    (("run", "bert-base.qkv", "--chip", "h100"), "unknown chip 'h100'"),
    (("run", "bert-base.qkv", "--heads", 5), "5 heads do not divide"),
    (("run", "bert-base.qkv", "--tiles", 2000), "--tiles 2000"),
    (("run", "bert-base.qkv", "--threads", 0), "--threads 0"),
    (("run", "bert-base.qkv", "--seed", -1), "--seed -1"),
    (("run", "nothing.qkv"), "no network 'nothing'"),
    (("run", "resnet50.conv1", "--input", "none.png"), "--input none.png: No such file"),
    (("run", "resnet50.conv1", "--pass", "bwd-data", "--input", "none.png"), "has no input among its operands"),
    (("run", "resnet50.conv1", "--weights", "none.npz"), "--weights none.npz: No such file"),
    (("run", "bert-base.qkv", "--weights", "none.npz", "--encoder-layer", 12), "is in layers 0 to 11"),
    (("plan", "resnet50.conv1", "--best", 0), "--best 0"),
    (("plan", "matmul", "--m", 0, "--k", 1, "--n", 1), "m 0: it must be at least 1"),
    (
        ("plan", "conv", "--channels", 3, "--outputs", 4, "--height", 2, "--kernel", 3, "--padding", 0),
        "kernel is larger",
    ),
    (("run", "resnet50"), "'resnet50' is a network: one of its layers is run as resnet50.LAYER"),
    (("plan", "bert"), "'bert' is a network"),
    (("run", "matmull"), "No such command 'matmull'"),
    (("run", "resnet50.conv1", "--encoder-layer", 3), "which layer --weights is read for"),
    (("network", "resnet"), "could be resnet50, resnet50-v1"),
    (("network", "resnet50", "--jobs", 0), "--jobs 0"),
    (("network", "resnet50", "--layers", "x*"), "no layer of resnet50 'x*'"),
    (("network", "resnet50", "--threads", -1), "--threads -1"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_refused(arguments: tuple[Any, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words(*arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["network", "--help"], ["run", "--help"], ["network", "resnet50", "--list"]])
def test_help_and_lists_do_not_import_numba(arguments: list[str]) -> None:
    program = f"import sys; from tile_emu.cli.entry import run; run({arguments!r}); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0

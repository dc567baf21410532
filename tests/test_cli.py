"""The command line in one process, with a kernel that NumPy computes; the real kernel in the tests marked slow."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.recordings import small_recording
from tile_emu.cli.entry import run
from tile_emu.cli.progress import Progress

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class FakePlan:
    grid_m: int = 2
    k_splits: int = 1
    table: tuple[int, ...] = (1, 2)

    def describe(self) -> str:
        return "grid_m 2\nsecond line"


def fake_matmul(a: np.ndarray, b: np.ndarray, dtype: str, **more: Any) -> types.SimpleNamespace:
    exact = a.astype(np.float64) @ b.astype(np.float64)
    if more.get("bias") is not None:
        exact = exact + more["bias"]
    if more.get("activation") == "relu":
        exact = np.maximum(exact, 0)
    out = exact.astype(np.float16 if dtype == "f16" else np.float32)
    sram = np.array([1000, 3000, 2000, 0])
    return types.SimpleNamespace(
        out=out, plan=FakePlan(), recording=small_recording(), sram_bytes=sram, image=None, findings=None, plans=()
    )


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Puts a function in the place of the matmul kernel; by default one that NumPy computes."""

    def install(function: Callable[..., Any]) -> None:
        module = types.ModuleType("kernels.matmul")
        module.matmul = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "kernels.matmul", module)

    install(fake_matmul)
    return install


def matmul(*arguments: str | int | Path) -> int:
    return run(["run", "matmul", *map(str, arguments)])


SMALL = ("--m", 8, "--k", 16, "--n", 4)

# --- what a run prints and writes ---


def test_text_report(kernel: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Progress.__init__.__kwdefaults__, "quiet_seconds", 60.0)  # however slow the computer is
    assert matmul(*SMALL) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for expected in ("C[8, 4]", "check        ok", "cycles       500", "issue 15.5 %", "idle", "grid_m 2"):
        assert expected in out


def test_json_has_the_promised_keys(kernel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert matmul(*SMALL, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {"cycles", "seconds_on_chip", "tflops", "peak_share", "tiles_used"} <= set(document)
    assert set(document["phases"]) == {"compute", "exchange", "sync"}
    assert set(document["utilisation"]) == {"issue", "amp", "mac", "balance"}
    assert set(document["sram"]) == {"max_bytes", "mean_bytes"}
    assert {"max_rel_error", "rms_rel_error", "ok"} <= set(document["check"])
    assert {"wall_s", "instructions", "instructions_per_s", "peak_rss_bytes"} <= set(document["emulation"])
    assert document["check"]["ok"] is True
    assert document["cycles"] == sum(document["phases"].values()) == 500
    assert document["emulation"]["peak_rss_bytes"] > 10 << 20
    assert document["plan"]["grid_m"] == 2


def test_failed_check_is_exit_1_and_still_reported(kernel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(a: np.ndarray, b: np.ndarray, dtype: str, **_: Any) -> types.SimpleNamespace:
        result = fake_matmul(a, b, dtype)
        result.out[0, 0] = np.inf
        return result

    kernel(wrong)
    assert matmul(*SMALL, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["check"]["ok"] is False
    assert document["check"]["max_rel_error"] is None  # infinite


def test_files_in_and_out(kernel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = np.arange(12.0).reshape(3, 4), np.asfortranarray(np.arange(20).reshape(4, 5))
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    files = ("--a", tmp_path / "a.npy", "--b", tmp_path / "b.npy")
    assert matmul(*files, "--out", tmp_path / "c.npy", "--report", tmp_path / "report", "--dtype", "f16f32") == 0
    assert np.array_equal(np.load(tmp_path / "c.npy"), a @ b)
    written = {"recording.npz", "summary.json", "report.html", "trace.perfetto-trace"}
    assert {p.name for p in (tmp_path / "report").iterdir()} == written
    assert json.loads((tmp_path / "report" / "summary.json").read_text())["cycles"] == 500
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "b.npy", "c.npy", "report"]


def test_batches_transposed_files_bias_and_activation(
    kernel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, bias = np.arange(24.0).reshape(2, 4, 3), np.ones((2, 5, 4)), np.arange(-20.0, 30.0, 10.0)
    for name, array in (("a", a), ("b", b), ("bias", bias)):
        np.save(tmp_path / f"{name}.npy", array)
    files = ("--a", tmp_path / "a.npy", "--b", tmp_path / "b.npy", "--bias", tmp_path / "bias.npy")
    turned = ("--batch", 2, "--transpose-a", "--transpose-b", "--activation", "relu")
    assert matmul(*files, *turned, "--out", tmp_path / "c.npy", "--dtype", "f32") == 0
    assert "2 times C[3, 5] = A[3, 4] . B[4, 5], bias, relu, f32" in capsys.readouterr().out
    expected = np.maximum(np.matmul(a.swapaxes(1, 2), b.swapaxes(1, 2)) + bias, 0)
    assert np.array_equal(np.load(tmp_path / "c.npy"), expected)


def test_seed_decides_the_operands(kernel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for name, seed in (("c0", 7), ("c1", 7), ("c2", 8)):
        assert matmul(*SMALL, "--seed", seed, "--out", tmp_path / f"{name}.npy") == 0
        results.append(np.load(tmp_path / f"{name}.npy"))
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


# --- what it refuses: one line, no traceback, before anything runs ---


def broken_files(folder: Path) -> None:
    np.save(folder / "a.npy", np.ones((8, 16), np.float32))
    np.save(folder / "vector.npy", np.ones(16))
    np.save(folder / "empty.npy", np.ones((0, 16)))
    np.save(folder / "nan.npy", np.full((8, 16), np.nan))
    np.save(folder / "large.npy", np.full((8, 16), 1e6))
    np.save(folder / "complex.npy", np.ones((8, 16), np.complex64))
    np.save(folder / "objects.npy", np.array([[{}]]), allow_pickle=True)
    np.savez(folder / "archive.npz", a=np.ones((8, 16)))
    (folder / "truncated.npy").write_bytes((folder / "a.npy").read_bytes()[:200])
    (folder / "text.npy").write_text("not an array")
    (folder / "nothing.npy").touch()


REFUSED: list[tuple[tuple[Any, ...], str]] = [
    (("--m", 8, "--k", 16), "n is not known"),
    (("--m", 0, "--k", 16, "--n", 4), "m is 0 by --m: it must be at least 1"),
    (("--m", 8, "--k", -16, "--n", 4), "k is -16"),
    (("--m", "eight", "--k", 16, "--n", 4), "--m"),
    ((*SMALL, "--dtype", "f64"), "unknown dtype 'f64': choose one of f16, f16f32, f32"),
    ((*SMALL, "--chip", "h100"), "unknown chip 'h100'"),
    ((*SMALL, "--threads", 0), "--threads 0"),
    ((*SMALL, "--batch", 0), "--batch 0"),
    ((*SMALL, "--bias", "vector.npy"), "--bias vector.npy: 16 values, n is 4"),
    (("--a", "a.npy", "--n", 4, "--batch", 3), "--a a.npy: shape (8, 16), expected 3 dimensions"),
    ((*SMALL, "--seed", -1), "--seed -1"),
    ((*SMALL, "--frobnicate"), "--frobnicate"),
    (("--a", "a.npy", "--m", 9, "--n", 4), "m is 9 by --m but 8 by --a a.npy"),
    (("--a", "a.npy", "--b", "a.npy"), "k is 16 by --a a.npy but 8 by --b a.npy"),
    (("--a", "missing.npy", "--n", 4), "--a missing.npy: No such file"),
    (("--a", "vector.npy", "--n", 4), "shape (16,), expected a matrix"),
    (("--a", "empty.npy", "--n", 4), "shape (0, 16), expected a matrix"),
    (("--a", "nan.npy", "--n", 4), "infinite or not a number"),
    (("--a", "large.npy", "--n", 4), "beyond the range of float16"),
    (("--a", "complex.npy", "--n", 4), "dtype complex64, expected real numbers"),
    (("--a", "objects.npy", "--n", 4), "not a whole .npy file"),
    (("--a", "archive.npz", "--n", 4), "an archive"),
    (("--a", "truncated.npy", "--n", 4), "not a whole .npy file"),
    (("--a", "text.npy", "--n", 4), "not a whole .npy file"),
    (("--a", "nothing.npy", "--n", 4), "not a whole .npy file"),
    (("--a", ".", "--n", 4), "Is a directory"),
    ((*SMALL, "--out", "missing/c.npy"), "cannot write missing/c.npy: No such file"),
    ((*SMALL, "--out", "."), "it is a directory"),
    ((*SMALL, "--report", "a.npy"), "cannot write a.npy"),
]


@pytest.mark.parametrize(("arguments", "expected"), REFUSED, ids=[expected for _, expected in REFUSED])
def test_usage_errors(
    arguments: Sequence[Any],
    expected: str,
    kernel: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the kernel ran")

    kernel(never)
    monkeypatch.chdir(tmp_path)
    broken_files(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    assert matmul(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tile-emu: ")
    assert err.count("\n") == 1
    assert expected in err
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_failures_of_a_run_are_one_line(kernel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tile_emu.errors import OutOfTileMemory

    failures = [
        (OutOfTileMemory("tile 3: needs 900 B,\n free 100 B"), 1, "tile 3: needs 900 B, free 100 B"),
        (MemoryError(), 1, "not enough memory on this computer"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ]
    for error, status, line in failures:

        def fail(*_: Any, error: BaseException = error, **__: Any) -> None:
            raise error

        kernel(fail)
        assert matmul(*SMALL, "--out", tmp_path / "c.npy") == status
        assert capsys.readouterr().err.strip().startswith(f"tile-emu: {line}")
        assert list(tmp_path.iterdir()) == []


def test_what_cannot_fit_is_refused_before_operands_are_drawn(kernel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert matmul("--m", 10**12, "--k", 10**6, "--n", 1) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "bow has 897 MiB of SRAM" in err


# --- lists, code, help ---


def test_chips(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chips"]) == 0
    assert "1,216" in capsys.readouterr().out
    assert run(["chips", "--json"]) == 0
    chips = json.loads(capsys.readouterr().out)
    assert [(c["name"], c["tiles"]) for c in chips] == [
        ("gc2", 1216),
        ("gc200", 1472),
        ("bow", 1472),
        ("ipu21", 1472),
    ]


def test_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["kernels"]) == 0
    listed = capsys.readouterr().out
    assert "matmul  Matrix product" in listed and "convolution  One pass of a 2-D convolution" in listed
    assert run(["kernels", "--json"]) == 0
    kernels = {kernel["name"]: kernel["options"] for kernel in json.loads(capsys.readouterr().out)}
    assert set(kernels) == {"layer", "convolution", "matmul"}
    for options in kernels.values():
        assert {"option": "--chip", "help": "Chip name, see `tile-emu chips`.", "default": "bow"} in options


def test_asm_and_disasm_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "small.S"
    source.write_text(".worker\nstart:\n  setzi $m0, 5\n  { add $m0, $m0, 1\n    fnop }\n  br $m10\n")
    assert run(["asm", str(source), "--base", "0x4c100"]) == 0
    *code, symbol = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in code] == ["4c100", "4c104", "4c108", "4c10c"]
    assert symbol.split() == ["4c100", "start"]
    words = ",".join("0x" + line.split()[1] for line in code)
    assert run(["disasm", "--words", words, "--base", "0x4c100"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["4c100", "4c104", "4c10c"]  # the bundle is one line
    assert shown[0].endswith("setzi $m0, 5")
    assert "fnop" in shown[1]


def test_asm_errors_name_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "bad.S"
    source.write_text("nop\nfrobnicate $m0\n")
    assert run(["asm", str(source)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "bad.S:2" in err
    assert run(["asm", str(tmp_path / "missing.S")]) == 2


def test_disasm_refuses_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--words", "zz"], ["--words", "0x1ffffffff"], ["--words", "1", "--mode", "boss"]):
        assert run(["disasm", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    from tile_emu import __version__

    assert run([]) == run(["--help"]) == 0
    assert "disasm" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"tile-emu {__version__}\n"
    assert run(["run"]) == 2
    assert run(["paint"]) == 2


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], "numpy numba"),
        (["chips"], "numpy numba"),
        (["kernels"], "numpy numba"),
        (["run", "matmul", "--help"], "numpy numba"),
        (["disasm", "--words", "0x19e00000"], "numba"),
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str], heavy: str) -> None:
    program = (
        "import sys; from tile_emu.cli.entry import run; status = run(sys.argv[1:]);"
        f"print([m for m in '{heavy}'.split() if m in sys.modules], file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "[]\n")


# --- the world outside: signals, closed pipes ---


def test_interrupt_leaves_no_files(tmp_path: Path) -> None:
    program = (
        "import sys, types, time\n"
        "module = types.ModuleType('kernels.matmul')\n"
        "def matmul(*a, progress, **k):\n"
        "    print('running', flush=True); progress('sleeping'); time.sleep(60)\n"
        "module.matmul = matmul\n"
        "sys.modules['kernels.matmul'] = module\n"
        "from tile_emu.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "run", "matmul", *map(str, SMALL), "--out", str(tmp_path / "c.npy")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(1.5)  # past the quiet second, so that there is a progress line
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    lines = err.splitlines()
    assert lines[-1] == "tile-emu: interrupted"
    assert [line.split("  ")[-1] for line in lines[:-1]][-1:] == ["sleeping"]  # a slow computer tells of more stages
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="pipes behave differently")
def test_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = "from tile_emu.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "chips", "--json"], stdout=writing, stderr=subprocess.PIPE, cwd=ROOT
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


# --- progress ---


class Screen:
    """A stream that remembers; a terminal or not."""

    def __init__(self, terminal: bool) -> None:
        self.terminal, self.text = terminal, ""

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("terminal", [True, False])
def test_progress(terminal: bool) -> None:
    screen: Any = Screen(terminal)
    with Progress(screen) as progress:
        progress("quick")
    assert screen.text == ""
    with Progress(screen, quiet_seconds=0.01) as progress:
        progress("slow", 0.5)
        until = time.monotonic() + 20
        while "slow" not in screen.text and time.monotonic() < until:
            time.sleep(0.05)
    if terminal:
        assert "slow 50 %" in screen.text
        assert screen.text.endswith("\r\x1b[2K")
    else:
        assert re.fullmatch(r" *\d+\.\d s  slow\n", screen.text)


def test_progress_tells_compilation_from_calls() -> None:
    import numba

    from tile_emu.cli.progress import COMPILING

    @numba.njit
    def twice(x: int) -> int:
        return 2 * x

    screen: Any = Screen(False)
    with Progress(screen, quiet_seconds=0.001) as progress:
        progress.watch_compiler()
        assert twice(3) == 6
        assert progress.compilations == 1
        assert twice(4) == 8
        assert progress.compilations == 1
    assert COMPILING in screen.text
    with Progress(screen) as progress:
        assert twice(3.5) == 7.0  # compiled for floats, but nobody is watching any more
        assert progress.compilations == 0


# --- the real thing ---


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["f16", "f16f32", "f32"])
def test_real_matmul(dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert matmul("--m", 24, "--k", 40, "--n", 17, "--dtype", dtype, "--json", "--report", tmp_path / "r") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["check"]["ok"] is True
    assert document["cycles"] == sum(document["phases"].values())
    assert 0 < document["utilisation"]["mac"] < document["utilisation"]["issue"] <= 1
    from tile_emu.profile import Recording

    assert Recording.load(tmp_path / "r" / "recording.npz").cycles == document["cycles"]

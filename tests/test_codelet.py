"""Running one codelet from a state file: the documented example, every entry of the format, every refusal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tile_emu.asm import assemble
from tile_emu.chips import load_chip
from tile_emu.cli.entry import run
from tile_emu.codelet import load_state
from tile_emu.errors import UsageError

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "codelets.md"
CHIP = load_chip("ipu21")
COPY = "copy: ld32 $m0, $m13, 0\nld32 $m1, $m13, 1\nld32 $m2, $m0, 0\nst32 $m2, $m1, 0\nld32 $a0, $m0, 0\nexitz $m15\n"


def block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.fixture
def example(tmp_path: Path) -> tuple[Path, Path]:
    source, state = tmp_path / "add_half.S", tmp_path / "add_half.toml"
    source.write_text(block("asm"))
    state.write_text(block("toml"))
    return source, state


def codelet(source: Path, state: Path, entry: str, *more: str) -> int:
    return run(["codelet", str(source), "--entry", entry, "--state", str(state), *more])


def test_documented_example(example: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert codelet(*example, "addHalf") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(block("text"))
    assert "worker 0 $m3  0x00000002  2" in shown  # groups of worker 0
    expected = (np.arange(28) + 0.5).astype(np.float16)
    assert np.load(example[0].parent / "z.npy").tolist() == expected.tolist()
    assert "z  float16[28] at" in shown
    assert "27.5" in shown


def test_json(example: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert codelet(*example, "addHalf", "--json", "--chip", "bow") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["arrays"] == {"z": (np.arange(28) + 0.5).tolist()}
    # By hand: 16 before the loop, 4 for each of the worker's groups (2 for worker 0, 1 for the others), the exit.
    assert document["turns"] == [25, 21, 21, 21, 21, 21]
    assert document["worker_cycles"] == [150, 126, 126, 126, 126, 126]
    assert document["cycles"] == 6 * 24 + 1  # up to the issue of worker 0's last bundle
    assert document["instructions"] == 25 + 5 * 21 + 4 * 7  # both halves of the four bundles of every group
    assert document["registers"]["worker 1"] == {"m3": 1}
    assert document["chip"] == "bow"


def test_trace_and_profile(example: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Every bundle is listed once, and the counts by source line add up to the turns."""
    assert codelet(*example, "addHalf", "--trace", "--profile", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["trace"]) == sum(document["turns"])
    assert sum(entry["turns"] for entry in document["profile"]) == sum(document["turns"])
    assert all(".S:" in entry["line"] for entry in document["profile"])
    assert codelet(*example, "addHalf", "--trace", "--profile") == 0
    text = capsys.readouterr().out
    assert "worker 5" in text and "exitz" in text and "turns  source line" in text


def test_one_worker_from_an_object_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "copy.s").write_text(".globl copy\n" + COPY)
    assert run(["asm", str(tmp_path / "copy.s"), "-o", str(tmp_path / "copy.o")]) == 0
    state = tmp_path / "state.toml"
    state.write_text(
        'workers = [3]\nprint = ["to", "a0"]\n[arrays.from]\ndtype = "u16"\nvalues = [1, 2, 3, 4]\naddress = 0x60000\n'
        '[arrays.to]\ndtype = "i32"\nvalues = [-1, -2]\n[state]\naddress = 0x70000\n'
        'fields = { source = "@from+4", dest = "@to+4" }\n'
    )
    assert codelet(tmp_path / "copy.o", state, "copy", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["arrays"]["to"] == [-1, 0x40003]
    assert document["turns"] == [0, 0, 0, 6, 0, 0]
    assert document["registers"] == {"worker 3": {"a0": 0x40003}}


def test_supervisor_with_a_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, state = tmp_path / "s.S", tmp_path / "s.toml"
    source.write_text(
        ".supervisor\nmain: ld32 $m1, $m0, 0\nadd $m11, $m11, -8\nst32 $m1, $m11, 1\nsetzi $m2, work\n"
        "runall $m2, $m0, 0\nsync 2\nld32 $m3, $m11, 1\nadd $m11, $m11, 8\nst32 $m3, $m0, 1\nbr $lr\n"
        ".worker\nwork: exitz $mzero\n"
    )
    state.write_text(
        'kind = "supervisor"\nprint = ["$m3", "m1"]\n[state.fields]\nfirst = 7\nsecond = 0\n'
        '[registers]\nm11 = "@stack+64"\n[arrays.stack]\ndtype = "u32"\nfill = 0\ncount = 16\n'
    )
    assert codelet(source, state, "main", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["registers"] == {"supervisor": {"m3": 7, "m1": 7}}
    assert document["turns"] == [1] * 6
    assert document["workers"] is None


def test_words_of_the_vertex_state(tmp_path: Path) -> None:
    code = assemble(text=COPY)
    path = tmp_path / "state.toml"
    np.save(tmp_path / "v.npy", np.array([[1.5, 2.0], [3.0, 1e9]], dtype=np.float64))
    path.write_text(
        'scratch = "@v+2"\n[arrays.v]\nfile = "v.npy"\ndtype = "f16"\n[arrays.w]\nvalues = [0.1]\n'
        "[state.fields]\nminus = -1\nbig = 0xffffffff\nreal = 1.5\nhalves = [1, -1]\nbytes = [1, 2, 3, 0x84]\n"
        'code = "@copy+8"\nhex = "@w+0x10"\n'
    )
    state = load_state(path, CHIP, code)
    base = CHIP.memory.interleaved_base
    expected = [0xFFFFFFFF, 0xFFFFFFFF, 0x3FC00000, 0xFFFF0001, 0x84030201, code.base + 8, base + 16 + 16]
    assert list(state.words) == expected
    assert state.arrays["v"].data.tolist() == [1.5, 2.0, 3.0, np.inf]
    assert state.arrays["w"].data.dtype == np.float32  # the default
    assert state.arrays["w"].address == base + 16
    assert state.address == CHIP.memory.base + CHIP.memory.element_bytes
    assert state.scratch == base + 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = 'boss'", "choose worker or supervisor"),
        ("speed = 1", "unknown entry 'speed'"),
        ("workers = [6]", "numbers 0..5"),
        ("workers = []", "numbers 0..5"),
        ("workers = [true]", "numbers 0..5"),
        ("kind = 'supervisor'\nworkers = [0]", "a supervisor launches its own"),
        ("[registers]\nm1 = 0", "registers are for the supervisor"),
        ("kind = 'supervisor'\n[registers]\nm10 = 0", "'m10' cannot be set"),
        ("print = ['nope']", "no array or register 'nope'"),
        ("print = ['m12']", "no array or register 'm12'"),
        ("print = 'x'", "must be a list"),
        ("arrays = 3", "arrays must be a table"),
        ("[arrays.a]\nvalues = [1]\nsize = 3", "unknown entry 'size'"),
        ("[arrays.a]\ndtype = 'f32'", "needs one of values, file, fill"),
        ("[arrays.a]\nfill = 0", "needs a count"),
        ("[arrays.a]\nfill = 0\ncount = 100000000000", "not a number of 32 bits"),
        ("[arrays.a]\nfill = 0\ncount = 1000000", "count goes with fill and is 1..159744"),
        ("[arrays.a]\nvalues = [1]\ncount = 1", "count goes with fill"),
        ("[arrays.a]\nvalues = ['x']", "must be numbers"),
        ("[arrays.a]\nvalues = 3", "must be numbers"),
        ("[arrays.a]\nvalues = [1]\ndtype = 'f64'", "choose one of f16"),
        ("[arrays.a]\nvalues = [1]\ndtype = { x = 1 }", "choose one of f16"),
        ('[arrays.a]\nvalues = [1]\nsave = "\\u0000"', "must be a file name"),
        ("[arrays.a]\nvalues = [256]\ndtype = 'u8'", "not uint8"),
        ("[arrays.a]\nvalues = [1.5]\ndtype = 'i32'", "not int32"),
        ("[arrays.a]\nvalues = [nan]\ndtype = 'i32'", "not int32"),
        (f"[arrays.a]\nvalues = [{10**400}]", "not float32"),
        ("[arrays.a]\nvalues = [1]\naddress = 0x4c000", "overlaps the code"),
        ("[arrays.a]\nvalues = [1]\naddress = 0x10", "does not lie in tile memory"),
        ("[arrays.a]\nvalues = [1]\naddress = -4", "not a number of 32 bits"),
        ("[arrays.a]\nvalues=[1]\naddress=0x60000\n[arrays.b]\nvalues=[1]\naddress=0x60002", "overlaps arrays.a"),
        ("[arrays.a]\nvalues=[1]\naddress=0x60000\n[state]\naddress=0x60000\nfields={x=1}", "overlaps arrays.a"),
        ("[arrays.a]\nfile = 'missing.npy'", "No such file"),
        ("[arrays.a]\nfile = 'state.toml'", "not a whole .npy"),
        ("[arrays.a]\nfile = 3", "must be a file name"),
        ("[arrays.a]\nvalues = [1]\nsave = 3", "must be a file name"),
        ("[state]\naddress = 0x60001", "not a multiple of 4"),
        ("[state.fields]\nx = '@nope'", "no array or symbol 'nope'"),
        ("[state.fields]\nx = 'nope'", "is not a pointer"),
        ("[state.fields]\nx = '@copy+zz'", "is not a pointer"),
        ("[state.fields]\nx = 0x100000000", "not an integer of 32 bits"),
        ("[state.fields]\nx = [65536, 0]", "not an integer of 16 bits"),
        ("[state.fields]\nx = [1, 2, 3]", "not an integer of 32 bits"),
        ("[state.fields]\nx = true", "not an integer of 32 bits"),
        ("kind =", "Invalid value"),
    ],
)
def test_refusals(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load_state(path, CHIP, assemble(text=COPY))
    assert str(caught.value).startswith(f"{path}: ")


def test_command_line_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, state = tmp_path / "copy.S", tmp_path / "state.toml"
    source.write_text(COPY)
    state.write_text("[state.fields]\nsource = 0x10\ndest = 0x10\n")
    for status, entry, arguments in (
        (2, "nope", (source, state)),
        (2, "copy", (source, tmp_path / "missing.toml")),
        (2, "copy", (tmp_path / "missing.S", state)),
        (1, "copy", (source, state)),  # a load outside memory: the tile faults
    ):
        assert codelet(*arguments, entry) == status
        *progress, line = capsys.readouterr().err.splitlines()
        assert line.startswith("tile-emu: ")
        assert all("compiling" in other for other in progress)  # only where the interpreter was not compiled yet

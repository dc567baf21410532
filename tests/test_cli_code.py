"""`tile-emu asm`, `disasm` and `link`: files out, listings, and one line for everything that is wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tile_emu.asm import LinkError, assemble, assemble_units, link, merge
from tile_emu.asm.elf import read_executable, read_object, write_object
from tile_emu.cli.entry import run

FIRST = """
.globl go, table
.supervisor
go: setzi $m1, work
  call $m10, other
  br $lr
.worker
work: { nop ; fnop }
  exitz $mzero
.data
table: .word go, SEVEN
"""
SECOND = ".globl other\n.supervisor\nother: setzi $m2, table\nwork: br $m10\n"


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    for name, text in (("a.S", FIRST), ("b.S", SECOND)):
        (tmp_path / name).write_text(text)
    return [str(tmp_path / "a.S"), str(tmp_path / "b.S")]


def test_objects_linked_one_by_one_merged_and_from_source_agree(
    sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elf = pytest.importorskip("elftools.elf.elffile")
    a, b, both, image, merged = (str(tmp_path / name) for name in ("a.o", "b.o", "ab.o", "x.elf", "y.elf"))
    assert run(["asm", sources[0], "-o", a, "-D", "SEVEN=7"]) == 0
    assert run(["asm", sources[1], "-o", b]) == 0
    assert run(["asm", *sources, "-o", both, "-DSEVEN=0x7"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["link", a, b, "-o", image, "--entry", "other"]) == 0
    assert run(["link", both, "-o", merged, "--entry", "other"]) == 0
    assert Path(image).read_bytes() == Path(merged).read_bytes()
    code = assemble(sources, define={"SEVEN": 7})
    assert read_executable(Path(image).read_bytes()).words.tolist() == code.words.tolist()
    read = elf.ELFFile(io.BytesIO(Path(image).read_bytes()))
    assert read["e_entry"] == code.symbols["other"]
    assert "4 symbols, entry" in capsys.readouterr().out


def test_disassembly_of_files(sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both, image = str(tmp_path / "ab.o"), str(tmp_path / "x.elf")
    assert run(["asm", *sources, "-o", both, "-D", "SEVEN=7"]) == 0
    assert run(["link", both, "-o", image, "--base", "0x50000"]) == 0
    capsys.readouterr()
    assert run(["disasm", both]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["section .text (ax), 24 bytes", "go:"]
    assert "00000  19100000           setzi $m1, 0  # ABS20 .text+0xc" in shown
    assert "0000c  99e00000 9ad00000  { nop ; fnop }" in shown
    assert "00004  00000007           .word 0x00000007" in shown
    assert any(line.endswith("# ABS19_S2 other") for line in shown)
    assert run(["disasm", image]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1:3] == ["go:", "50000  1915000c           setzi $m1, 327692"]
    assert any(line.endswith("call $m10, other") for line in shown)


def test_supervisor_code_is_found_in_a_file_read_as_worker_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.s").write_text(".supervisor\nsync 3\n.worker\nf32add $a0, $a1, $a2\n")
    out = str(tmp_path / "s.o")
    assert run(["asm", str(tmp_path / "s.s"), "-o", out]) == 0
    for mode in ("worker", "supervisor"):
        assert run(["disasm", out, "--mode", mode]) == 0
        shown = capsys.readouterr().out
        assert "sync 3" in shown
        assert "f32add $a0, $a1, $a2" in shown


def test_chip_and_definitions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "k.S"
    source.write_text("#if __IPU_ARCH_VERSION__ == 1\nadd $REG, $REG, N\n#endif\nnop\n")
    assert run(["asm", str(source), "--chip", "gc2", "-D", "REG=m3", "-D", "N"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2
    assert shown[0].startswith("40000  ")
    assert run(["asm", str(source), "--chip", "bow"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert run(["asm", str(source), "--chip", "gc3"]) == 2


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (1, ["link", "a.o", "-o", "x.elf"]),  # undefined symbols
        (1, ["link", "a.o", "a.o", "b.o", "-o", "x.elf"]),  # twice defined
        (1, ["link", "a.o", "b.o", "-o", "x.elf", "--entry", "nope"]),
        (1, ["link", "a.o", "b.o", "-o", "x.elf", "--base", "0x10000"]),  # not in tile memory
        (2, ["link", "a.o", "b.o", "-o", "x.elf", "--base", "0x50004"]),
        (1, ["link", "a.o", "b1.o", "-o", "x.elf"]),  # architectures
        (1, ["link", "a.S", "-o", "x.elf"]),
        (2, ["link", "missing.o", "-o", "x.elf"]),
        (2, ["link", "a.o", "b.o", "-o", "none/x.elf"]),
        (2, ["link", "a.o", "b.o"]),
        (2, ["asm", "a.S", "-o", "none/x.o"]),
        (2, ["asm", "a.S", "-o", "x.o", "--base", "0x50000"]),
        (2, ["asm", "a.S", "-D", "a-b"]),
        (1, ["asm", "a.S", "a.S", "-o", "x.o"]),
        (2, ["disasm"]),
        (2, ["disasm", "a.o", "--words", "1"]),
        (1, ["disasm", "a.S"]),
        (2, ["disasm", "missing.o"]),
    ],
)
def test_refusals_are_one_line_and_leave_no_file(
    status: int,
    arguments: list[str],
    sources: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["asm", "a.S", "-o", "a.o", "-D", "SEVEN=7"]) == 0
    assert run(["asm", "b.S", "-o", "b.o"]) == 0
    assert run(["asm", "b.S", "-o", "b1.o", "--chip", "gc2"]) == 0
    before = sorted(path.name for path in tmp_path.iterdir())
    capsys.readouterr()
    assert run(arguments) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_warnings_of_the_source_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.s").write_text('.warning "odd"\nnop\n')
    assert run(["asm", str(tmp_path / "w.s"), "-o", str(tmp_path / "w.o")]) == 0
    assert capsys.readouterr().err.endswith("w.s:1: odd\n")


def test_merge_keeps_references_apart_from_local_labels() -> None:
    units = [
        assemble_units(text=text)[0]
        for text in ("loop: nop\nbri loop\n", ".globl start\nstart: bri loop\n", ".globl loop\nnop\nloop: nop\n")
    ]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        chosen = [units[k] for k in order]
        assert link([merge(chosen, "all")], 0x4C000).words.tolist() == link(chosen, 0x4C000).words.tolist()
    again = read_object(write_object(merge(units, "all")))
    assert link([again], 0x4C000).words.tolist() == link(units, 0x4C000).words.tolist()
    with pytest.raises(LinkError, match="`start` is defined twice"):
        merge([units[1], units[1]], "all")
    with pytest.raises(LinkError, match="nothing to link"):
        merge([], "all")

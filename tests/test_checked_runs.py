"""Checked runs: every kind of error is found where it is and named, and the program without it passes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kernels.matmul import matmul
from tile_emu.asm import assemble
from tile_emu.chips import load_chip
from tile_emu.cli.entry import run
from tile_emu.errors import UsageError
from tile_emu.graph import Codelet, Graph, Pointer
from tile_emu.graph.keptimage import no_kept_images
from tile_emu.machine import Machine
from tile_emu.tile import Tile
from tile_emu.tile.check import LISTED, Finding, Findings

DATA = 0x80000  # interleaved memory
LOW = 0x60000  # another element, region 0


def checked(text: str, written: dict[int, bytes] | None = None) -> Tile:
    tile = Tile("ipu21", check=True)
    tile.load(assemble(text=text))
    for address, content in (written or {}).items():
        tile.write(address, np.frombuffer(content, np.uint8))
    return tile


def worker(body: str, written: dict[int, bytes] | None = None, workers: list[int] | None = None) -> list[Finding]:
    """Findings of a worker body; $m0 is DATA, $m1 LOW."""
    text = f".worker\n.globl start\nstart: setzi $m0, {DATA}\nsetzi $m1, {LOW}\n{body}\nexitz $mzero\n"
    tile = checked(text, written)
    tile.run_workers("start", workers=workers)
    return list(tile.findings().listed)


def supervisor(body: str, workers: str = "exitz $mzero") -> list[Finding]:
    """Findings of a supervisor body and the workers it launches; both may use 64 bytes at DATA."""
    start = f".supervisor\n.globl start\nstart: setzi $m1, work\nsetzi $m3, {DATA}\n{body}\nbr $m10\n"
    entry = f".worker\n.align 8\nwork: setzi $m0, {DATA}\nget $m1, $WSR\nand $m1, $m1, 7\n{workers}\nexitz $mzero\n"
    tile = checked(start + entry, {DATA: bytes(64)})
    tile.run_supervisor("start")
    return list(tile.findings().listed)


# Loads and the accesses they make, by the description of the instruction: offsets from DATA (d) and LOW (l), bytes.
LOADS = {
    "ldz8 $m2, $m0, $mzero, 3": [("d", 3, 1)],
    "lds16 $m2, $m0, $mzero, 1": [("d", 2, 2)],
    "ldb16 $a0, $m0, $mzero, 1": [("d", 2, 2)],
    "ld32 $m2, $m0, $mzero, 2": [("d", 8, 4)],
    "ld32step $a0, $mzero, $m0+=, 1": [("d", 0, 4)],
    "ld64 $a0:1, $m0, $mzero, 1": [("d", 8, 8)],
    "ld128step $a0:3, $mzero, $m0+=, 1": [("d", 0, 16)],
    "setzi $m2, 8\nldd16a32 $a0, $m1++, $m0, $m2@": [("d", 8, 4), ("l", 0, 2)],
    "setzi $m2, 8\nld64a32 $a0:3, $m1++, $m0, $m2": [("l", 0, 8), ("d", 8, 4)],
    "tapack $m4:5, $m0, $m1, $mzero\nld2x64pace $a0:1, $a2:3, $m4:5+=, $mzero, 0": [("d", 0, 8), ("l", 0, 8)],
    "tapack $m4:5, $m0, $m1, $mzero\nld64a32pace $a0:1, $a2, $m4:5+=, $mzero, 0": [("d", 0, 8), ("l", 0, 4)],
}


@pytest.mark.parametrize("text", LOADS)
def test_a_load_of_bytes_never_written_is_found(text: str) -> None:
    base = {"d": DATA, "l": LOW}
    assert worker(text, {DATA: bytes(64), LOW: bytes(64)}, workers=[0]) == []
    for where, offset, nbytes in LOADS[text]:
        address = base[where] + offset
        other = {base["dl".replace(where, "")]: bytes(64)}
        last = address + nbytes - 1  # everything but the access's last byte was written
        around = {base[where]: bytes(last - base[where]), last + 1: bytes(16)}
        found = worker(text, {k: v for k, v in (other | around).items() if v}, workers=[0])
        assert [(f.kind, f.address, f.count) for f in found] == [("UNWRITTEN_READ", last, 1)], text


def test_stores_and_the_host_make_memory_readable() -> None:
    assert worker("st32 $mzero, $m0, $mzero, 0\nld32 $m2, $m0, $mzero, 0", workers=[0]) == []
    found = worker("st32 $mzero, $m0, $mzero, 0\nld64 $a0:1, $m0, $mzero, 0", workers=[0])
    assert [f.address for f in found] == [DATA + 4]


def test_a_finding_says_who_where_and_what_to_do() -> None:
    (found,) = worker("ld32 $m2, $m0, $mzero, 0", workers=[4])
    assert (found.tile, found.by.context, found.by.symbol, found.by.line) == (0, "worker 4", "start+0x8", "<text>:5")
    assert found.by.pc == load_chip("ipu21").memory.base + 8
    assert "never written" in str(found) and hex(DATA) in str(found) and "write it first" in str(found)


def test_loops_are_one_finding_with_a_count_and_the_list_is_bounded() -> None:
    tile = checked(f".worker\nstart: setzi $m0, {DATA}\nsetzi $m1, 99\n1: ld32step $m2, $mzero, $m0+=, 1\n"
                   "brnzdec $m1, 1b\nexitz $mzero\n")  # fmt: skip
    tile.run_workers("start", workers=[0])
    findings = tile.findings()
    assert (len(findings.listed), findings.total, findings.listed[0].count) == (1, 100, 100)
    many = "\n".join(f"ld32 $m2, $m0, $mzero, {n}" for n in range(200))
    tile = checked(f".worker\nstart: setzi $m0, {DATA}\n{many}\nexitz $mzero\n")
    tile.run_workers("start", workers=[0])
    findings = tile.findings()
    assert findings.total == 200 and 0 < len(findings.listed) < 200 <= LISTED
    assert len(findings.lines()) < 30


def test_an_unchecked_tile_says_so() -> None:
    with pytest.raises(UsageError, match="check=True"):
        Tile("ipu21").findings()


# Races.


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ("st32 $m1, $m0, $mzero, 0", {"RACE"}),  # all write
        ("ld32 $m2, $m0, $mzero, 0", set()),  # all read
        ("stm32 $m1, $m0, $m1\nldz8 $m2, $m0, $mzero, 0", {"RACE"}),  # own words, then all read the first
        ("stm32 $m1, $m0, $m1\nld32 $m2, $m0, $mzero, $m1", set()),  # own words only
        ("ld32 $m2, $m0, $mzero, 0\nld32 $m2, $m0, $mzero, 1\nstm32 $m1, $m0, $m1", {"RACE"}),  # read, then written
        ("brnz $m1, 1f\nst64 $a0:1, $m0, $mzero, 0\nexitz $mzero\n1: ld32 $m2, $m0, $mzero, 1", {"RACE"}),
        ("brnz $m1, 1f\nst64 $a0:1, $m0, $mzero, 0\nexitz $mzero\n1: ld32 $m2, $m0, $mzero, 2", set()),
    ],
)
def test_workers_of_one_launch_may_not_share_a_word_that_one_writes(body: str, kinds: set[str]) -> None:
    body = body.replace("ld32 $m2, $m0, $mzero, $m1", "shl $m3, $m1, 2\nld32 $m2, $m0, $m3, 0")
    assert {f.kind for f in supervisor("runall $m1, $mzero, 0\nsync 2", body)} == kinds


def test_a_race_names_both_sides() -> None:
    body = "brnz $m1, 1f\nst32 $m1, $m0, $mzero, 2\nexitz $mzero\n1: ld32 $m2, $m0, $mzero, 2"
    (found,) = supervisor("runall $m1, $mzero, 0\nsync 2", body)
    assert (found.address, found.count) == (DATA + 8, 5)
    assert found.other is not None
    assert (found.by.context, found.by.symbol) == ("worker 1", "work+0x18")
    assert (found.other.context, found.other.symbol) == ("worker 0", "work+0x10")
    assert "sync 2" in str(found) and found.other.line in str(found)


def test_the_earlier_reader_of_another_worker_is_found_even_if_the_writer_read_too() -> None:
    # Every worker reads the word; worker 5, which has read it last, writes it.
    body = "ld32 $m2, $m0, $mzero, 0\ncmpeq $m3, $m1, 5\nbrz $m3, 1f\nst32 $m1, $m0, $mzero, 0\n1:"
    (found,) = supervisor("runall $m1, $mzero, 0\nsync 2", body)
    assert found.by.context == "worker 5" and found.other is not None and found.other.context != "worker 5"


def test_launches_between_which_the_supervisor_waited_are_in_order() -> None:
    shift = "add $m1, $m1, $m13\nshl $m1, $m1, 2\nld32 $m2, $m0, $m1, 0\nst32 $m2, $m0, $m1, 0"
    # The second launch's workers use the words of the first one's neighbours: state 0, then 1.
    twice = "runall $m1, $mzero, 0\n{}\nsetzi $m2, 1\nrunall $m1, $m2, 0\nsync 2"
    assert supervisor(twice.format("sync 2"), shift) == []
    single = "run $m1, $m3, 0\n{}\nrun $m1, $m3, 0\nsync 2"
    body = "st32 $m1, $m0, $mzero, 0"
    assert supervisor(single.format("sync 2"), body) == []
    assert [f.kind for f in supervisor(single.format(""), body)] == ["RACE"]


def test_the_supervisor_may_not_touch_what_its_running_workers_use() -> None:
    body = "stm32 $m1, $m0, $m1"
    early = supervisor("runall $m1, $mzero, 0\nld32 $m2, $m3, $mzero, 2\nsync 2", body)
    assert [(f.kind, f.by.context, f.address) for f in early] == [("RACE", "supervisor", DATA + 8)]
    assert supervisor("runall $m1, $mzero, 0\nsync 2\nld32 $m2, $m3, $mzero, 2", body) == []
    assert supervisor("st32 $m1, $m3, $mzero, 2\nrunall $m1, $mzero, 0\nsync 2", body) == []


# The weight store, code.


@pytest.mark.parametrize("change", ["ld64putcs 0", "ld128putcs 2", "setzi $m4, 4\nput $CR, $m4"])
def test_weights_may_not_change_under_workers(change: str) -> None:
    load = "put $CCCSLOAD, $m3\n"
    (found,) = supervisor(f"{load}runall $m1, $mzero, 0\n{change}\nsync 2")
    assert (found.kind, found.by.context, found.address) == ("WEIGHTS_CHANGED", "supervisor", None)
    assert supervisor(f"{load}runall $m1, $mzero, 0\nsync 2\n{change}\nrunall $m1, $mzero, 0\nsync 2") == []
    assert supervisor(f"{load}setzi $m4, 3\nrunall $m1, $mzero, 0\nput $CR, $m4\nsync 2") == []


def test_a_store_into_code_is_found_before_and_after_it_was_executed() -> None:
    own = worker("setzi $m2, start\nst32 $m0, $m2, $mzero, 0", workers=[0])
    assert [(f.kind, f.address, f.by.symbol) for f in own] == [("CODE_STORED", 0x4C000, "start+0xc")]
    later = worker("setzi $m2, after\nst32 $m0, $m2, $mzero, 0\nexitz $mzero\nafter: setzi $m0, 1", workers=[0])
    assert [f.kind for f in later] == ["CODE_STORED"]
    data = worker("setzi $m2, table\nst32 $m0, $m2, $mzero, 0\nexitz $mzero\ntable: .long 1", workers=[0])
    assert data == []


def test_executing_stored_words_is_found() -> None:
    # Copies its last instruction to free memory and jumps there.
    body = "setzi $m2, last\nld32 $m3, $m2, $mzero, 0\nst32 $m3, $m1, $mzero, 0\nbr $m1\nlast:"
    (found,) = worker(body, workers=[0])
    assert (found.kind, found.by.pc) == ("STORED_EXECUTED", LOW)


# Whole machines.

SUM = """
.supervisor
.globl sum
sum: ld32 $m2, $m0, $mzero, 0
 ld32 $m3, $m2, $mzero, 0
 ld32 $m4, $m2, $mzero, 1
 add $m3, $m3, $m4
 st32 $m3, $m2, $mzero, 0
 br $m10
"""


def ring(tmp_path: Path, written: bool, spare: int = 0) -> Findings:
    """Four tiles send two words to the next one, which adds them."""
    source = tmp_path / "sum.S"
    source.write_text(SUM)
    graph = Graph(load_chip("bow"), 4)
    tiles = np.arange(4)
    home = graph.variable("home", tiles, 8, spare=spare)
    here = graph.variable("here", tiles, 8)
    graph.tensor("x", (4, 2), np.int32, home)
    graph.exchange("turn").copy(Pointer(home, tiles), Pointer(here, (tiles + 1) % 4), 8)
    graph.execute("add").add(Codelet("sum", source, "sum", ("data",)), tiles, data=Pointer(here, tiles))
    machine = Machine("bow", 4, check=True)
    machine.load(graph.lower())
    if written:
        machine.write_tensor("x", np.arange(8, dtype=np.int32).reshape(4, 2))
    machine.run()
    return machine.findings()


def test_sending_what_was_never_written_is_found_once_and_receiving_writes(tmp_path: Path) -> None:
    assert not ring(tmp_path, written=True)
    found = ring(tmp_path, written=False)
    assert [(f.kind, f.tile, f.count, f.what_lies_there) for f in found.listed] == [
        ("UNWRITTEN_SEND", tile, 2, f"home[{tile}]") for tile in range(4)
    ]
    assert found.total == 8 and len(found.lines()) == 2 and "3 more tiles" in found.lines()[1]
    assert {f.count for f in ring(tmp_path, written=False, spare=4).listed} == {1}


def test_tables_are_data_and_the_rest_of_a_last_unit_may_be_read() -> None:
    # Gathers of bytes: their tables are loaded with the image, the shards end within units of 64 bits.
    graph = Graph(load_chip("bow"), 4)
    for name in ("a", "b"):
        graph.tensor(name, (44,), np.uint8, graph.variable(name, np.arange(4), 11))
    graph.rearrange("turn", graph.view("a").reshape(4, 11)[:, ::-1], graph.view("b").reshape(4, 11), "unpack")
    machine = Machine("bow", 4, check=True)
    machine.load(graph.lower())
    values = np.arange(44, dtype=np.uint8)
    machine.write_tensor("a", values)
    machine.write_tensor("b", values)
    machine.run()
    assert np.array_equal(machine.read_tensor("b"), values.reshape(4, 11)[:, ::-1].ravel())
    assert not machine.findings(), "\n".join(machine.findings().lines())


@pytest.mark.parametrize(
    ("shape", "dtype", "chip"),
    [((40, 520, 24), "f16", "bow"), ((25, 300, 20), "f16f32", "gc2"), ((30, 260, 30), "f32", "bow")],
)
def test_our_matmul_passes_and_computes_the_same(shape: tuple[int, int, int], dtype: str, chip: str) -> None:
    m, k, n = shape
    kind = np.float32 if dtype == "f32" else np.float16
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((m, k)).astype(kind), rng.standard_normal((k, n)).astype(kind)
    with_check, without = (matmul(a, b, dtype=dtype, chip=chip, check=check) for check in (True, False))
    assert with_check.findings is not None and not with_check.findings, "\n".join(with_check.findings.lines())
    assert without.findings is None
    assert np.array_equal(with_check.out.view(np.uint8), without.out.view(np.uint8))
    assert with_check.recording.cycles == without.recording.cycles


def test_reading_past_an_operand_is_found_if_it_is_not_provided_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Graph.variable
    monkeypatch.setattr(Graph, "variable", lambda self, *args, spare=0, **more: plain(self, *args, **more))
    ones = np.ones((40, 520), np.float16)
    with no_kept_images():
        findings = matmul(ones, np.ones((520, 24), np.float16), check=True).findings
    assert findings is not None and {f.kind for f in findings.listed} == {"UNWRITTEN_READ"}
    assert any("gathered" in f.what_lies_there or "sums" in f.what_lies_there for f in findings.listed)


# The command line.


def test_codelet_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, state = tmp_path / "add.S", tmp_path / "state.toml"
    source.write_text(".globl add\nadd: ld32 $m0, $m13, 0\nld32 $m1, $m0, 1\nst32 $m1, $m0, $mzero, 0\nexitz $mzero\n")
    command = ["codelet", str(source), "--entry", "add", "--state", str(state), "--check"]
    text = 'workers = [0]\n[arrays.x]\ndtype = "i32"\nvalues = {}\n[state.fields]\nx = "@x"\n'
    state.write_text(text.format("[1, 2]"))
    assert run(command) == 0
    assert "check: nothing found" in capsys.readouterr().out
    state.write_text(text.format("[1]"))
    assert run(command) == 1
    shown = capsys.readouterr().out
    assert "check: 1 found" in shown and "add.S:3" in shown
    assert run([*command, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)["check"]
    assert document["total"] == 1
    assert document["listed"][0]["by"]["symbol"] == "add+0x4" and document["listed"][0]["kind"] == "UNWRITTEN_READ"


def test_matmul_check(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "matmul", "--m", "24", "--k", "32", "--n", "16", "--check"]
    assert run(command) == 0
    assert "check: nothing found" in capsys.readouterr().out
    assert run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == {"total": 0, "listed": []}

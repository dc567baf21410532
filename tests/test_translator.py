"""Translated code against the interpreter: registers, memory, status, cycles, executions and faults, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from tests.differential.run import run_share
from tests.engines import both_engines
from tests.test_codelets_matmul import Vertex
from tile_emu import jit
from tile_emu.asm import assemble
from tile_emu.errors import TileFault
from tile_emu.tile import Tile
from tile_emu.tile.layout import SUPERVISOR
from tile_emu.tile.translate import units

BASE, END, HIGH = 0x4C000, 0xE8000, 0x80000
FP_ICTL = 0x20


def tile(text: str) -> Tile:
    """A tile with the text loaded and every register, accumulator and weight set to something."""
    made = Tile("ipu21")
    made.load(assemble(text=text))
    random = np.random.default_rng(5)
    made.mrf[:6, :12] = random.integers(0, 2**32, (6, 12), np.uint32)
    made.arf[:6, :8] = random.standard_normal((6, 16)).astype(np.float16).view(np.uint32)
    made.set_aacc(random.standard_normal((6, 32)).astype(np.float32))
    made.set_cwei(random.standard_normal((64, 4)).astype(np.float16).view(np.uint16))
    made.write(HIGH, random.standard_normal(150_000).astype(np.float16))
    made.write(0xD0000, random.integers(0, 4000, 200, np.uint16) * 8)  # deltas of gathering loads
    return made


def body(text: str) -> str:
    return f".worker\n.globl start\nstart:\n{text}\nexitz $m15\n"


def run(text: str, vertex_base: int = 0, workers: tuple[int, ...] = (0, 3)) -> int:
    """Run a worker body on both engines; turns done by translated code."""
    with both_engines() as translated:
        tile(body(text)).run_workers("start", vertex_base, workers)
    return sum(translated)


LOOPS = {
    "branches": """
        setzi $m0, 9
        1: add $m1, $m1, $m2
        xor $m3, $m3, $m1
        brneg $m3, 2f
        add $m4, $m4, 1
        2: brnzdec $m0, 1b""",
    "calls": """
        setzi $m0, 3
        1: call $m9, f
        add $m2, $m2, $m1
        {call $m9, f; f32add $a0, $a0, $a1}
        {brnzdec $m0, 1b; or64 $a2:3, $a0:1, $a4:5}
        {bri out; setzi $a4, 7}
        f: add $m1, $m1, 7
        add $m3, $m3, $m1
        br $m9
        out:""",
    "status registers": """
        setzi $m0, 2
        1: setzi $a0, 3
        uput $TAS, $a0
        uget $a1, $TAS
        get $m1, $WSR
        get $m2, $COUNT_L
        f32add $a2, $a0, $a1
        uget $a3, $FP_STS
        setzi $a0, 15
        uput $FP_CLR, $a0
        brnzdec $m0, 1b""",
    "special functions": """
        setzi $m0, 3
        1: f32exp $a1, $a0
        f32tanh $a2, $a1
        f32div $a3, $a1, $a2
        {nop; f32sqrt $a0, $a3}
        urand32 $a4
        f32ln $a5, $a4
        brnzdec $m0, 1b""",
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops(name: str) -> None:
    assert run(LOOPS[name]) > 10


REPEATS = {
    "step loads and stores": """
        setzi $m1, 0x80000
        setzi $m2, 0
        setzi $m3, 0x20
        setzi $m4, 3
        .align 8
        {rpt $m5, 1; fnop}
        {ld64step $a0:1, $m1, $m2+=, $m4; f16v4add $a2:3, $a0:1, $a4:5}
        {st64step $a2:3, $m1, $m3+=, 2; f32v2mul $a4:5, $a2:3, $a0:1}""",
    "weighted sums": """
        ld32 $m6, $m15, $m15, 0
        setzi $m2, 0x90000
        setzi $m3, 0xa0008
        tapack $m6:7, $m2, $m3, $m3
        setzi $m1, 0x401
        .align 8
        {rpt $m5, 1; fnop}
        {ld2x64pace $a0:1, $a2:3, $m6:7+=, $m1, 0b0100; f16v4cmac $a0:1, $a2:3}
        {ld2x64pace $a0:1, $a2:3, $m6:7+=, $m1, 0; f32v2mac $a0:1, $a2:3}""",
    "weights": """
        setzi $m2, 0x80000
        setzi $m3, 0xa0008
        tapack $m6:7, $m2, $m3, $m3
        .align 8
        {rpt $m5, 3; fnop}
        {ld2x64pace $a0:1, $a2:3, $m6:7+=, $m15, 0; f16v4hihov4amp $a4:5, $a0:1, $a2:3, 0}
        {nop; f16v4sisoamp $a4:5, $a0:1, $a2:3, 4}
        {add $m1, $m1, 1; f32sisov2amp $a6:7, $a0, $a2:3, 0}
        {mul $m3, $m1, $m1; f16v4hihov4amp $a4:5, $a0:1, $a6:7, 5}""",
    "gathers": """
        setzi $m1, 0x80000
        setzi $m2, 0xd0000
        setzi $m3, 64
        .align 8
        {rpt $m5, 0; fnop}
        {ldd16a64 $a0:1, $m2++, $m1, $m3@; f32v2add $a2:3, $a0:1, $a2:3}""",
}


@pytest.mark.parametrize("name", REPEATS)
@pytest.mark.parametrize("count", [0, 1, 50])
def test_repeats(name: str, count: int) -> None:
    text = REPEATS[name].replace("ld32 $m6, $m15, $m15, 0", "")
    assert run(f"setzi $m5, {count}\n{text}") > 4


@pytest.mark.parametrize("first", [END - 8 * 50, END - 8 * 51 + 4, END - 8 * 49, END - 8])
def test_accesses_that_run_off_memory_in_a_repeat(first: int) -> None:
    text = f"""
        setzi $m1, {first & 0xFFFFF}
        setzi $m2, 0
        setzi $m5, 50
        .align 8
        {{rpt $m5, 1; fnop}}
        {{ld64step $a0:1, $m1, $m2+=, 1; f16v4add $a2:3, $a0:1, $a4:5}}
        {{add $m3, $m3, 1; fnop}}"""
    if first == END - 8 * 50:
        run(text)
    else:
        with pytest.raises(TileFault, match="INVALID_ADDR"):
            run(text)


def test_a_store_into_its_own_code() -> None:
    """The second instruction behind the store is overwritten by the encoding of another one."""
    replacement = int(assemble(text=".worker\nadd $m1, $m1, 5").words[0])
    text = f"""
        setzi $m1, 1
        setzi $m2, word
        ld32 $m3, $m2, $m15, 0
        setzi $m4, there
        stm32 $m3, $m4, $m15
        nop
        there: add $m1, $m1, 1
        bri over
        word: .word {replacement}
        over:"""
    with both_engines() as translated:
        made = tile(body(text))
        made.run_workers("start", workers=(0,))
    assert translated[0] > 0
    assert made.mrf[0, 1] == 6


@pytest.mark.parametrize("control", [1 << 19, 7])
def test_traps_and_stochastic_rounding_are_the_interpreters(control: int) -> None:
    with both_engines() as translated:
        made = tile(body("f16v2add $a0, $a0, $a1\nf32mul $a2, $a3, $a4"))
        made.set_csr(SUPERVISOR, FP_ICTL, control)
        made.run_workers("start", workers=(0,))
    assert translated == [0]


@pytest.mark.parametrize("special", [0x7C00, 0x7E00, 0x7BFF, 0x0001])
def test_products_that_are_not_finite(special: int) -> None:
    with both_engines() as translated:
        made = tile(body("setzi $m5, 5\n" + REPEATS["weights"]))
        made.write(HIGH + 40, np.full(3, special, np.uint16))
        made.run_workers("start", workers=(0,))
    assert translated[0] > 15


@pytest.mark.parametrize("kind", ["f16v4", "f32v2"])
@pytest.mark.parametrize("operation", ["add", "sub", "mul"])
def test_sums_and_products_of_all_patterns(kind: str, operation: str) -> None:
    """Every half with every kind of other: finite, subnormal, infinite, NaN; words of any pattern as f32."""
    text = f"""
        setzi $m1, {HIGH}
        setzi $m2, 0xa0000
        setzi $m3, 0xc0008
        tapack $m6:7, $m1, $m2, $m3
        setzi $m5, 16384
        .align 8
        {{rpt $m5, 0; fnop}}
        {{ld2xst64pace $a0:3, $a4:5, $m6:7+=, $m15, 0; {kind}{operation} $a4:5, $a0:1, $a2:3}}"""
    random = np.random.default_rng(7)
    special = np.array(
        [0, 0x8000, 1, 0x83FF, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0xFD01, 0x3C00, 0x1400], np.uint16
    )
    others = random.integers(0, 1 << 16, 1 << 16, np.uint16)
    with both_engines() as translated:
        made = tile(body(text))
        made.write(HIGH, np.arange(1 << 16, dtype=np.uint16))
        made.write(0xA0000, np.where(random.random(1 << 16) < 0.5, random.choice(special, 1 << 16), others))
        made.run_workers("start", workers=(0,))
    assert translated[0] > 16384


def test_endless_loops_end_at_the_same_turn() -> None:
    with both_engines() as translated, pytest.raises(TileFault, match="ENDLESS"):
        made = tile(body("1: add $m1, $m1, 1\nnop\nbri 1b"))
        made.arrays.limit = 1000
        made.run_workers("start", workers=(0,))
    assert translated[0] > 900


def test_random_programs_agree_with_the_oracle() -> None:
    """``make fuzz-translator`` runs many more: each program is compiled."""
    outcome = run_share(3, 12, engine="translator")
    assert not outcome.reports, "\n\n".join(outcome.reports)


@pytest.mark.parametrize("acc", [False, True], ids=["zero", "acc"])
def test_matmul_codelet(acc: bool) -> None:
    with both_engines() as translated:
        vertex = Vertex("bow", "f16", 31, 6, 2)
        got, _ = vertex.run(acc)
    np.testing.assert_array_equal(got, vertex.x @ vertex.w.T + (vertex.partials if acc else 0))
    assert translated[0] > 1000


def final_registers(name: str, engine: str) -> list[int]:
    """Main registers of a worker after one of LOOPS, by one engine."""
    made = Tile("ipu21", engine=engine)
    made.load(assemble(text=body(LOOPS[name])))
    made.run_workers("start", workers=(0,))
    assert (made.arrays.units.turns > 0) == (engine == "translator")
    return made.mrf[0].tolist()


_PROCESS = """
import sys
from contextlib import nullcontext
from pathlib import Path
from tests.test_translator import final_registers
from tile_emu import jit
from tile_emu.tile.translate import units
final_registers("calls", "interpreter")  # from where it is kept
jit.cache_directory = units.cache_directory = lambda: Path(sys.argv[1])
print([final_registers(name, "translator") for name in sys.argv[2:]])
"""


def test_processes_that_translate_at_once(tmp_path: Path) -> None:
    """Two write the same files; a third loads one of two units that share functions, without the other."""

    def start(*names: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _PROCESS, str(tmp_path), *names]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(process: subprocess.Popen[str]) -> str:
        out, err = process.communicate()
        assert process.returncode == 0, err
        return out.strip()

    both = [start("branches", "calls") for _ in range(2)]
    expected = [final_registers(name, "interpreter") for name in ("branches", "calls")]
    assert [result(process) for process in both] == [str(expected)] * 2
    files = set(tmp_path.rglob("*"))
    assert result(start("calls")) == str(expected[1:])
    assert set(tmp_path.rglob("*")) == files


def test_what_runs_often_is_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine auto: turns of several runs add up to what compiling is worth; then a later run loads it early."""
    monkeypatch.setattr(jit, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(units, "cache_directory", lambda: tmp_path)
    for name, turns in {"_WORTH_COMPILING": 2500, "_WORTH_LOADING": 300, "_WORTH_REMEMBERING": 300}.items():
        monkeypatch.setattr(units, name, turns)
    ended = []
    for _ in range(6):
        monkeypatch.setattr(units, "_loaded", {})
        made = Tile("ipu21", engine="auto")
        made.load(assemble(text=body("setzi $m0, 160\n1: add $m1, $m1, $m0\nnop\nbrnzdec $m0, 1b")))
        for worker in (0, 1):
            made.run_workers("start", workers=(worker,))
        assert made.mrf[1, 1] == 160 * 161 // 2
        made.arrays.units.remember()
        ended.append(made.arrays.units.turns)
    # 485 turns a worker, of which translated code does all but the exit. The third run brings the sum beyond 2,500;
    # from the fourth on, the second worker is beyond 300.
    assert ended == [0, 0, 0, 484, 484, 484]


def test_two_strides_of_one_register() -> None:
    """A register that moves by another register and then by an immediate: the guard may not take them apart."""
    text = """
        .worker
        .globl start
        start:
            setzi $m3, 0x80000
            ldb16step $a1, $m3, $m1+=, $m9
            st64step $a10:11, $m3, $m1+=, 1
            exitz $m15
    """
    with both_engines() as translated:
        for stride in (0, 1, 4, 0x10000000, 0xFFFFFFFF):
            tile = Tile("ipu21")
            tile.load(assemble(text=text))
            tile.mrf[0, [1, 9]] = 256, stride
            with pytest.raises(TileFault, match="INVALID_ADDR") if stride & 3 or stride >> 20 else nullcontext():
                tile.run_workers("start", workers=[0])
        assert translated[-1] > 0

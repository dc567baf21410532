"""Whatever stands in a source, an object file, a state file or memory: a result or one of the project's errors.

``make fuzz`` runs the same with TILE_EMU_FUZZ inputs for each test and new random ones every time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tile_emu.asm import assemble, assemble_units, disassemble, disassemble_one, disassemble_source, link, macros, merge
from tile_emu.asm.elf import read_file, write_executable, write_object
from tile_emu.asm.preprocess import preprocess
from tile_emu.asm.unit import Unit
from tile_emu.chips import load_chip
from tile_emu.codelet import load_state
from tile_emu.errors import AssemblyError, TileEmuError
from tile_emu.isa.table import ARCHITECTURES, table

COUNT = int(os.environ.get("TILE_EMU_FUZZ", "0"))
fuzzed = settings(
    max_examples=COUNT or 60,
    derandomize=not COUNT,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

SOURCE = r"""
#include <poplar/StackSizeDefs.hpp>
#define mBase m2
.macro STEP reg, by=1, rest:vararg
  add \reg, \reg, \by   // comment
  .ifnb \rest
  STEP \rest
  .endif
.endm
.section .text.f, FUNCTION_IS_WORKER
.globl f
.type f, @function
.align 8
f: setzi $mBase, (1 << 3) | CSR
.set CSR, 5
  STEP $m3, 2, $m4
  .rept 2
  { ld64step $a0:1, $mzero, $mBase+=, 1 ; f16v4add $a2:3, $a0:1, $a2:3 }
  .endr
  rpt $m3, (2f - 1f) / 8 - 1
1:
  { nop
    f16v4hihoamp $a0, $azeros, $azero, TAMP_F16V4_E4_P1 }
2:
  .irp n, 0, 1
  brnz $m\n, f + 4
  .endr
  exitz $mzero
.size f, . - f
.data
  .word f, 'a', 1.5h, outer - 4
  .ascii "x\n\101"
.supervisor
.text
g: call $m10, outer
  run $m0, $m1, f
  put $CCCSLOAD, $m0
  ldconst $m4, 0x12345678
"""
WORDS = """
add rpt ld64step f16v4add exitz sendpicp run ldconst bri put nop fnop uget a infh nanh 0x7fffffff 1.5h 1e999h
$m0 $m15 $a0:1 $a0:3 $a7:BL $mzero $FP_CLR $CWEI_0_1 $x += ++ >> @abs@21 1f 1b 1: f: // /* */ \\@ \\() \\b X(
.endm .elseif .else .endif .endr .irpc .equ .word .half .quad .ascii .align .org .space .fill .previous .popsection
.bss .globl .weak .type .altmacro .exitm .include .incbin .ifc .worker .supervisor .allow_optimizations
"""
LINES = """
.macro a b=1 c:vararg
.if 1
.rept 3
.irp x, 1, 2
.set x,
.size f, .-f
.section .text.a
.pushsection .data
.purgem a
.ifdef x
LOCAL q
#define X(a, b) a##b
#if
#include <poplar/AvailableVTypes.h>
#endif
#ifdef __IPU__
"""
SIGNS = "{};:,#\n\t \\\"'()+-*/%&|^~!<>=.$@[]0123456789\0é"
PIECES = [*SIGNS, *WORDS.split(), *("\n" + line for line in LINES.strip().split("\n"))]


@pytest.fixture(autouse=True, scope="module")
def small_sources() -> Iterator[None]:
    """Runaway repetition is found by counting statements: here after fewer of them, for the tests' time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(macros, "MAX_STATEMENTS", 20_000)
        yield


def allowed(action: Any) -> Any:
    """The action's result, None after a project error of one line; anything else fails the test."""
    try:
        return action()
    except TileEmuError as error:
        assert "\n" not in str(error)
        return None


def soup() -> st.SearchStrategy[str]:
    """Texts of the assembler's own vocabulary in any order."""
    separated = st.tuples(st.sampled_from(PIECES), st.sampled_from(["", " ", "\n", ", "]))
    return st.lists(separated, max_size=40).map(lambda pairs: "".join(piece + gap for piece, gap in pairs))


@st.composite
def damaged(draw: Any, content: str | bytes) -> Any:
    """The content with some places overwritten, removed or repeated."""
    out = content
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(out)))
        end = min(len(out), start + draw(st.integers(0, 12)))
        kind = draw(st.integers(0, 3))
        if isinstance(out, bytes):
            new: Any = draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\1\0\0\0"])))
        else:
            new = draw(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)))
        middle = [new, out[:0], out[start:end] * 2, new + out[start:end]][kind]
        out = out[:start] + middle + out[end:]
    return out[: draw(st.integers(0, len(out)))] if draw(st.integers(0, 7)) == 0 else out


def assembled(text: str, preprocessor: bool, architecture: str) -> None:
    units = allowed(lambda: assemble_units(text=text, preprocessor=preprocessor, architecture=architecture))
    if units is None:
        return
    allowed(lambda: link(units, 0x4C000))
    content = allowed(lambda: write_object(units[0]))
    if content is not None:
        again = read_file(content, "x.o")  # what we write, we read
        assert isinstance(again, Unit)
        assert [bytes(section.data) for section in again.sections] == [bytes(s.data) for s in units[0].sections]


@fuzzed
@given(st.one_of(soup(), damaged(SOURCE), st.text(max_size=80)), st.booleans(), st.sampled_from(ARCHITECTURES))
@example("\\" * 3 + "\n" + "(" * 5000 + ".if " + "-" * 5000, False, "ipu21")
@example(".macro a\na\n.endm\na\n", False, "ipu21")
@example(".rept 100000000\nnop\n.endr\n", False, "ipu1")
@example(".rept 2000\n.rept 2000\n.rept 2000\nnop\n.endr\n.endr\n.endr\n", False, "ipu1")
@example("#define A(x) A(x) A(x)\nA(1)\n#if 1/0\n#endif\n", True, "ipu21")
@example("#include <poplar/../../../../../../../../../../etc/passwd>\n", True, "ipu21")
@example(".word 1 << 63 << 63 << 63\n.space -1\n.align 3\n.org 1 << 40\n", False, "ipu21")
@example(".byte " + ",".join(["x"] * 50) + "\n.set x, x\n", False, "ipu21")
def test_sources(text: str, preprocessor: bool, architecture: str) -> None:
    assembled(text, preprocessor, architecture)


@fuzzed
@given(st.binary(max_size=120))
def test_source_files_of_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for name in ("x.S", "x.s"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(content)
        allowed(lambda path=path: assemble(path))


def _files() -> list[bytes]:
    units = assemble_units(text=SOURCE) + assemble_units(text=".globl outer\nouter: nop\n")
    image = write_executable(link(units, 0x4C000), "ipu21")
    return [*(write_object(unit) for unit in units), write_object(merge(units, "all")), image]


FILES = _files()


@fuzzed
@given(
    st.one_of(
        st.sampled_from(FILES).flatmap(damaged), st.binary(max_size=200), st.binary().map(lambda b: FILES[0][:20] + b)
    )
)
def test_object_files(content: bytes) -> None:
    found = allowed(lambda: read_file(content, "x.o"))
    if isinstance(found, Unit):
        allowed(lambda: link([found], 0x4C000))
        allowed(lambda: link([found, read_file(FILES[1], "y.o")], 0x4C000))
        merged = allowed(lambda: merge([found, read_file(FILES[1], "y.o")], "z.o"))
        if merged is not None:
            allowed(lambda: write_object(merged))
    elif found is not None:
        disassemble(found[0].words, found[0].base, symbols=found[0].symbols)


@fuzzed
@given(st.lists(st.integers(0, 0xFFFFFFFF), max_size=12), st.sampled_from(("worker", "supervisor")))
def test_words(words: list[int], mode: str) -> None:
    for word in words:
        form = table().match(word, mode)
        if form is not None:
            assert form.encode(form.extract(word), bool(form.coissue and word >> 31)) == word
    shown = disassemble(words, 0x4C000, mode)
    assert len(shown) <= len(words)
    assert assemble(text=disassemble_source(words, 0x4C000, mode)).words.tolist() == words


@st.composite
def likely_words(draw: Any) -> list[int]:
    """Words most of which are instructions, with any operands and any bit 31."""
    found = []
    for _ in range(draw(st.integers(1, 12))):
        form = draw(st.sampled_from(table().forms))
        word = draw(st.integers(0, 0xFFFFFFFF))
        found.append(
            draw(st.sampled_from([word, form.match | (word & ~form.mask), form.match | (1 << 31)])) & 0xFFFFFFFF
        )
    return found


@fuzzed
@given(likely_words(), st.sampled_from(("worker", "supervisor")))
def test_the_tile_decodes_what_the_disassembler_shows(words: list[int], mode: str) -> None:
    from tile_emu.tile.decode import SUPERVISOR_MODE, WORKER_MODE, decode_tables, decode_word
    from tile_emu.tile.layout import DECODED_FIELDS, FIELD_MAIN, FIELD_SIZE, OPCODE_INVALID

    row = np.zeros(DECODED_FIELDS, np.int32)
    number = WORKER_MODE if mode == "worker" else SUPERVISOR_MODE
    for word, following in zip(words, [*words[1:], 0]):
        decode_word(decode_tables("ipu21"), number, np.int64(word), np.int64(following), row)
        text, size = disassemble_one([word, following], 0, mode)
        # Packed addresses need storage to go back to: the tile refuses $m12:13 and $m14:15, which have a spelling.
        shown_only = re.search(r"\$m1[24]:1[35]\+=", text) is not None
        assert (row[FIELD_MAIN] == OPCODE_INVALID) == (text.startswith(".word") or shown_only), text
        assert row[FIELD_MAIN] == OPCODE_INVALID or row[FIELD_SIZE] == size


STATE = """
kind = "worker"
workers = [0, 1]
print = ["x", "$m3"]
scratch = "@x"
[arrays.x]
dtype = "f16"
values = [1, 2.5, -3]
[arrays.y]
fill = 0
count = 4
address = 0x60000
save = "y.npy"
[state]
address = 0x70000
[state.fields]
x = "@x+4"
n = [1, 2]
b = [1, 2, 3, 4]
r = 1.5
"""


@fuzzed
@given(st.one_of(damaged(STATE), st.text(max_size=60)))
def test_state_files(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "state.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    code = assemble(text="nop")
    allowed(lambda: load_state(Path(path), load_chip("ipu21"), code))


def test_endless_sources_end() -> None:
    for text in (".rept 9000\nnop\n.endr\n" * 3, ".macro a\n.rept 9\na\n.endr\n.endm\na\n"):
        with pytest.raises(AssemblyError, match=r"too many statements|deeper than|bytes"):
            assemble(text=text)
    with pytest.raises(AssemblyError):
        preprocess('#include "loop.h"\n#define a\n', "x.S")
    assert np.asarray(assemble(text="nop").words).size == 1

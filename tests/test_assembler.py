"""The assembler: words taken from public encodings, the text rules of the syntax notes, error messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tile_emu.asm import LinkError, assemble
from tile_emu.errors import AssemblyError, TileEmuError, UsageError

BASE = 0x4C000


def words(text: str, **options: object) -> list[int]:
    return [int(word) for word in assemble(text=text, **options).words]  # type: ignore[arg-type]


# Encodings printed by public tests of the vendor's compiler and by the exchange notes.
PUBLIC = [
    ("add $m0, $m0, 42", 0x2200002A),
    ("addz $m0, $m0, 42", 0x2000002A),
    ("adds $m0, $m0, 42", 0x2200002A),
    ("add $m0, $m0, -42", 0x2200FFD6),
    ("add $m0, $m0, 65432", 0x2000FF98),
    ("cmpeq $m0, $m0, 42", 0x2800002A),
    ("cmpeqz $m0, $m0, 42", 0x2600002A),
    ("max $m0, $m0, 65432", 0x2E00FF98),
    ("maxs $m0, $m0, -42", 0x3000FFD6),
    ("min $m0, $m0, 42", 0x3300002A),
    ("minz $m0, $m0, 42", 0x3100002A),
    ("sub $m0, 42, $m0", 0x3900002A),
    ("subz $m0, 42, $m0", 0x3700002A),
    ("sub $m0, -42, $m0", 0x3900FFD6),
    ("add $m1, $m2, $m3", 0x44203011),
    ("sub $m0, $m2, $m1", 0x44102602),
    ("setzi $azero, 0", 0x1AF00000),
    ("setzi $mzero, 0", 0x19F00000),
    ("f32v2add $a0:1, $azeros, $azeros", 0x58E0E003),
    ("st64 $a2:3, $m2, $mzero, 0", 0x5F20F020),
    ("st64 $a14:15, $m2, $m15, 0", 0x5F20F0E0),
    ("nop", 0x19E00000),
    ("fnop", 0x1AD00000),
]
PUBLIC_SUPERVISOR = [
    ("delay 41", 0x40A00029),
    ("send 4, 0x16000, 1", 0x788B0001),
    ("br $lr", 0x43A00000),
    ("delayxpic 0, 0, 320", 0x64000140),
    ("delaypic 80, 0, 0x60000/4", 0x62818000),
    ("sendoff 31, 0, 5", 0x73E00005),
    ("put $INCOMING_DCOUNT, $m1", 0x43008000 | 1 << 20 | 0xA6),
    ("get $m3, $INCOMING_MUX", 0x41000000 | 3 << 16 | 0xA0),
    ("call $m10, 0x100", 0x18A00100),
]


@pytest.mark.parametrize(("text", "word"), PUBLIC)
def test_public_encodings(text: str, word: int) -> None:
    assert words(text) == [word]


@pytest.mark.parametrize(("text", "word"), PUBLIC_SUPERVISOR)
def test_public_supervisor_encodings(text: str, word: int) -> None:
    assert words(".supervisor\n" + text) == [word]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("zero $m3", "or $m3, $m15, $m15"),
        ("zero $a3", "or $a3, $a15, $a15"),
        ("zero $a2:3", "or64 $a2:3, $a14:15, $a14:15"),
        ("mov $m1, $m2", "or $m1, $m2, 0"),
        ("mov $a1, $a2", "or $a1, $a2, 0"),
        ("mov $m1, $a2", "atom $m1, $a2"),
        ("mov $a0:1, $a2:3", "or64 $a0:1, $a2:3, $azeros"),
        ("movnz $m1, $m2, $m3", "movz $m1, $m2, $m3"),
        ("get $a1, $FP_STS", "uget $a1, 0"),
        ("put $FP_CTL, $a1", "uput 2, $a1"),
        ("swap16 $m1, $m2", "roll16 $m1, $m2, $m2"),
        ("swap16 $a1, $a2", "roll16 $a1, $a2, $a2"),
        ("strap", "put 255, $m15"),
        ("sub $m1, $m2, 7", "add $m1, $m2, -7"),
        ("sub $m1, $m2, -32767", "add $m1, $m2, 32767"),
        ("f16v4sisov2amp $a0:1, $a2:3, $azeros, 0", "f16v4sisoamp $a0:1, $a2:3, $azeros, 0"),
        ("f16v4sisov2slic $a0:1, $a2:3, $azeros, 4", "f16v4sisoslic $a0:1, $a2:3, $azeros, 4"),
        ("ldconst $m1, 0x12345", "setzi $m1, 74565"),
        ("ldconst $m3, 0x12345678", "setzi $m3, 284280\nor $m3, $m3, 305135616"),
        ("ldconst $a1, -2.0h", "setzi $a1, 49152"),
        ("ldconst $m3, -1", "setzi $m3, 0xfffff; or $m3, $m3, 0xfff00000"),
        ("ld32 $m0, $m1, 3", "ld32 $m0, $m1, $mzero, 3"),
        ("ld32 $m0, $m1, $m2", "ld32 $m0, $m1, $m15, $m2"),
        ("st64 $a0:1, $m0, 4", "st64 $a0:1, $m0, $m15, 4"),
        ("ldb16 $a0, $m0, $m3", "ldb16 $a0, $m0, $m15, $m3"),
        ("ld32 $a0, $m4, $azero, 0", "ld32 $a0, $m4, $m15, 0"),
        ("stm32step $m0, $m1+=, $m2", "stm32step $m0, $m1, $m2"),
        ("ld32step $a0, $mzero, $m0 +=, 1", "ld32step $a0, $m15, $m0+=, 1"),
        ("ldb16b16 $a0:1, $m0, $m0 ++, $m0 >>", "ldb16b16 $a0:1, $m0, $m0++, $m0>>"),
        ("or $a7, $a7, 575 << 20", "or $a7, $a7, 602931200"),
        ("or $m0, $m1, -1048576", "or $m0, $m1, 0xfff00000"),
        ("setzi $m0, 1 << 2 + 1", "setzi $m0, 5"),
        ("setzi $m0, 6 + 3 & 1", "setzi $m0, 7"),
        ("setzi $m0, (2 * 6) << 10 | 6", "setzi $m0, 12294"),
        ("setzi $m0, 'A'", "setzi $m0, 65"),
        ("setzi $m0, 010 + 0x10 + 0b10", "setzi $m0, 26"),
        ("setzi $m0, -7 / 2 + 10", "setzi $m0, 7"),
        ("mov $m8, $fp\nmov $lr, $sp", "mov $bp, $m9\nmov $m10, $m11"),
        ("mov $ap0, $ap3", "mov $a0:1, $a6:7"),
        ("f16v4sisoamp $a4:5, $a6:7, $azeros, TAMP_F16V4_E4_P3", "f16v4sisoamp $a4:5, $a6:7, $a14:15, 12"),
        ("f16v4sisoamp $a4:5, $a6:7, $azeros, $TAMP_F16V4_E2_P1", "f16v4sisoamp $a4:5, $a6:7, $a14:15, 5"),
        ("get $m0, $COUNT_L", "get $m0, 0x60"),
    ],
)
def test_spellings(written: str, canonical: str) -> None:
    assert words(written) == words(canonical)


def test_half_literals() -> None:
    """Values from the public test of half immediates."""
    for text, value in [
        ("1.0h", 15360),
        ("1.0009765625h", 15361),
        ("-2.0h", 49152),
        ("65504.0h", 31743),
        ("6.09756e-5h", 1023),
        ("5.96046e-8h", 1),
        ("-0.0h", 32768),
        ("infh", 31744),
        ("-infh", 64512),
        ("0.333251953125h", 13653),
    ]:
        assert words(f"setzi $a0, {text}") == [0x1A000000 | value]
    assert words(".half 1.0h, -1.0h") == [0x3C00 | 0xBC00 << 16]


def test_offset_counts_elements() -> None:
    assert words("ld32 $m0, $mvertex_base, $mzero, 3") == [0x01000000 | 13 << 20 | 15 << 12 | 3]


def test_branch_targets() -> None:
    """A literal is a word address, a label a byte address."""
    assert words("bri 3") == [0x40800003]
    assert words("a: nop\nb: bri a\nbri b + 4\nbri . - 8") == [
        0x19E00000,
        0x40800000 | BASE // 4,
        0x40800000 | BASE // 4 + 2,
        0x40800000 | BASE // 4 + 1,
    ]
    code = assemble(text="x: brz $m1, y\nnop\ny: call $m10, x", base=0x50000)
    assert [int(w) for w in code.words] == [0x13100000 | 0x50008 // 4, 0x19E00000, 0x18A00000 | 0x50000 // 4]


def test_bundle_words() -> None:
    expected = [0x44203011 | 1 << 31, 0x1A400001 | 1 << 31]
    for text in (
        "{ add $m1, $m2, $m3 ; setzi $a4, 1 }",
        "{\n add $m1, $m2, $m3 // main\n setzi $a4, 1 # aux\n}",
        "{add $m1, $m2, $m3\nsetzi $a4, 1}",
        "x: { add $m1, $m2, $m3 ; /* ; } */\n setzi $a4, 1 }",
    ):
        assert words(text) == expected


def test_rpt_bodies() -> None:
    bundle = "{ ld32step $a0, $m1, $m2+=, 1 ; f32add $a1, $a2, $a3 }\n"
    code = words("{rpt $m0, ((2f-1f)/8)-1; fnop}\n1:\n" + bundle * 3 + "2:")
    assert code[0] == 0x4300A000 | 2 | 1 << 31
    code = words("nop\nrpt 10, ((2f - 1f) / 8) - 1\n1:\n" + bundle + "2: nop\nexitz $mzero")
    assert code[1] == 0x40000000 | 10 << 8
    assert words(".allow_invalid_repeat\nrpt 10, 0\nnop\nnop")[0] == 0x40000A00


def test_local_labels() -> None:
    code = words("1: nop\n1: bri 1b\nbri 1f\n1: bri 1b")
    assert [word & 0x7FFFF for word in code] == [0, *(BASE // 4 + k for k in (1, 3, 3))]


def test_symbols_and_sections() -> None:
    text = """
        .set N, 3
        K = N * 2
        .globl start
        .type start, @function
    start:
        setzi $m0, table
        setzi $m1, K
        setzi $m2, end - table
        setzi $m3, late
        .size start, .-start
        .set late, 9
        .section .data
    table: .word start, end - table, N
        .short 1, -1
        .byte 1, 2; .align 4
        .long table+4
    end:
        .section .comment
        .ascii "not in the image"
    """
    code = assemble(text=text)
    data = BASE + 16
    assert code.symbols == {"start": BASE, "table": data, "end": data + 24}
    fields = [int(word) & 0xFFFFF for word in code.words[:4]]
    assert fields == [data, 6, 24, 9]
    assert [int(w) for w in code.words[4:]] == [BASE, 24, 3, 0xFFFF0001, 0x0201, data + 4]


def test_data_directives() -> None:
    code = assemble(
        text='.ascii "a\\n"\n.asciz "#;"\n.byte 1\n.space 2, 0xff\n.quad 0x123456789abcdef0\n.zero 4\n.float 1.5'
    )
    expected = b"a\n#;\0\x01\xff\xff" + (0x123456789ABCDEF0).to_bytes(8, "little") + bytes(4) + b"\0\0\xc0\x3f"
    assert code.words.tobytes() == expected


def test_align_pads_with_nops() -> None:
    assert words("f32max $a0, $a0, $a0\n.align 16\nfnop")[1:] == [0x19E00000] * 3 + [0x1AD00000]
    assert words(".byte 1\n.p2align 2\nnop") == [1, 0x19E00000]


def test_line_table() -> None:
    code = assemble(text="\nnop\n{ nop ;\n fnop }\n.word 7\nbr $lr")
    assert code.line_number.tolist() == [2, 3, 4, 6]
    assert code.line_address.tolist() == [BASE, BASE + 4, BASE + 8, BASE + 16]
    assert set(code.line_file) == {"<text>"}
    assert code.words.dtype == np.uint32 and code.end == BASE + 20


def test_sendpicp() -> None:
    expected = [0xF0000000 | 1 << 27 | 3 << 21 | 0x100 << 3 | 1, 5 << 18 | 6]
    assert words(".supervisor\nsendpicp 3, 0x100, 1, 1, 5, 6") == expected
    assert words(".supervisor\nsendpicp 3, 0x100, 1, 1\n.word (5 << 18) | 6") == expected
    with pytest.raises(AssemblyError, match="multiple of 8"):
        words(".supervisor\nnop\nsendpicp 3, 0x100, 1, 1, 5, 6")


def test_run_takes_a_symbol_as_an_address() -> None:
    """A symbol is relative to the base of memory, a number is the field (syntax notes section 9)."""
    assert words(".supervisor\nrun $m0, $m1, 5") == [0x14001005]
    assert words(".supervisor\nrun $m0, $m1, v\n.set v, 0x4c000 + 0x12344")[0] == 0x14001000 | 0x48D1 & 0xFFF | 4 << 16


def test_architectures() -> None:
    text = "f8v8hihov4amp $a0:1, $a2:3, $a4:5, 0"
    assert len(words(text)) == 1
    with pytest.raises(AssemblyError, match="needs ipu21"):
        words(text, architecture="ipu2")
    with pytest.raises(AssemblyError, match="does not exist on ipu1"):
        words(".supervisor\nld64putcs $CWEI_8_0", architecture="ipu1")
    with pytest.raises(UsageError, match="unknown architecture"):
        words("nop", architecture="ipu3")


def test_optimizations() -> None:
    swapped = words(".allow_optimizations\n{ f32add $a1, $a1, $a2 \n brnzdec $m1, 0 }")
    assert swapped == words("{ brnzdec $m1, 0 ; f32add $a1, $a1, $a2 }")
    text = ".allow_optimizations\nnop\n{ rpt 3, 0 ; fnop }\n{ nop ; fnop }"
    assert words(text)[1] == 0x40000300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "unknown instruction `foo`"),
        ("f32ad $a0, $a1, $a2", "did you mean `f32add`"),
        ("add $m16, $m1, $m2", "no register \\$m16"),
        ("add $m1, $m2", "too few operands"),
        ("add $m1, $m2, $m3, $m4", "too many operands"),
        ("add 1, 2, 3", "add takes"),
        ("add r1, r2, r3", "add takes"),
        ("add $m1, $m2, 4294967296", "does not fit: -32768..65535"),
        ("cmpult $m0, $m0, -1", "outside 0..65535"),
        ("cmpslt $m0, $m0, 40000", "outside -32768..32767"),
        ("sub $m0, $m0, 32768", "32767"),
        ("sub $m0, $m0, -32768", "32767"),
        ("ld32 $m0, $m1, $m2, 1 << 12", "outside 0..4095"),
        ("ld32 $m0, $m1, $m2, -1", "outside 0..4095"),
        ("ld32 $m0, $m1, $m2, ABC", "constant is needed"),
        ("ld32 $m0, $m0, $m2+=, 1", "takes no suffix"),
        ("ld32 $m0, $sp $mzero, 0", "`,` expected"),
        ("stm32 $m0, $sp $m1", "`,` expected"),
        ("ld32step $a0, $mzero, $m0, 1", "needs the suffix \\+="),
        ("ld32step $a0, $mzero, $m0++, 1", "needs the suffix \\+="),
        ("ldd16b16 $a0, $m0++, $m0, $m1", "needs the suffix @"),
        ("ldb16b16 $a0:1, $m0, $m0++, $m0++", "needs the suffix >>"),
        ("setzi $m0++, 1", "takes no suffix"),
        ("setzi $m0?, 1", "cannot read"),
        ("ld64 $a0:x, $m0, 0", "not a register"),
        ("ld64 $a0:5, $m0, 0", "not a register group"),
        ("st64step $a1:2, $m0, $m1+=, $m2", "misaligned"),
        ("ld64a32 $a2:5, $m0++, $m1, $m2", "misaligned"),
        ("ld2x64pace $a0:1, $m4:7, $m0:1+=, $m4, 0", "not a register group"),
        ("bri -4", "outside 0..524287"),
        ("bri $m0", "bri takes"),
        ("x: .short 1\n.short 2\nbri x + 2", "not a multiple of 4"),
        ("bri nowhere", "undefined symbol `nowhere`"),
        ("bri 1b", "no local label `1` before"),
        ("bri 1f", "no local label `1` after"),
        ("x: nop\nx: nop", "already defined at <text>:1"),
        ("setzi $a0, 1.0", "needs the suffix h"),
        (".half 1.0", "needs the suffix h"),
        ("setzi $m0, 1 +", "incomplete"),
        ("setzi $m0, (1", "`\\)` expected"),
        ("setzi $m0, 1 / 0", "division by zero"),
        ("x: nop\nsetzi $m0, x * 2", "of addresses"),
        ("ldconst $m0, x\nx: nop", "known at this place"),
        ("{ ldconst $m0, 1; fnop }", "ldconst cannot stand in a bundle"),
        ("/* open", "comment is not closed"),
        (".bogus 1", "unknown directive `.bogus`"),
        (".align 3", "alignment 3"),
        (".size f .-f", "separated by a comma"),
        (".byte 256", "does not fit in 1 bytes"),
        (".byte 1\nnop", "multiple of 4"),
        ("send 1, 2, 1", "send is a supervisor instruction, this is worker code"),
        (".supervisor\nexitz $m0", "exitz is a worker instruction, this is supervisor code"),
        ("get $m0, $SSR", "does not exist in worker mode"),
        ("put $FP_CTL, $m0", "upper space"),
        ("uput $WSR, $a0", "lower space"),
        ("get $m0, $NO_SUCH", "constant is needed"),
        ("add $m0, $m0, $WSR", "is a status register"),
        # bundles
        ("{ }", "bundle is empty"),
        ("{ nop }", "too few"),
        ("{ nop ; fnop ; fnop }", "too many"),
        ("nop }", "without a bundle"),
        ("{ nop ; fnop", "not terminated"),
        ("{ nop ; { fnop }", "nested"),
        ("{ setzi $m0, 1 ; setzi $m1, 1 }", "wrong lane"),
        ("{ f32fromi32 $a0, $a0 ; setzi $a1, 1 }", "wrong lane"),
        ("{ exitz $m0 ; fnop }", "exitz cannot stand in a bundle"),
        ("{ ld32 $a0, $m0, $m0 ; setzi $a0, 10 }", "both halves of the bundle write \\$a0"),
        ("{ ld32 $a0, $m0, $m0 ; f16v2tof32 $a0:1, $a0 }", "write \\$a0"),
        ("{ ld2x64pace $a0:1, $a2:3, $m0:1+=, $m15, 0 ; setzi $a1, 10 }", "write \\$a1"),
        ("{ ld64a32 $a0:3, $m0++, $m0, $m1 ; setzi $a0, 10 }", "write \\$a0"),
        ("{ ld64 $a14:15, $m13, $m15, 0 ; setzi $a15, 4 }", "write \\$a15"),
        ("{ .word 1 ; fnop }", "directive cannot stand inside"),
        ("{ nop ; x: fnop }", "label cannot stand inside"),
        # repeats
        ("rpt 10, 0\n{ nop ; fnop }", "not 8-byte aligned"),
        ("nop\n{ rpt 10, 0 ; fnop }\n{ nop ; fnop }", "not 8-byte aligned"),
        ("{ rpt 10, 1 ; fnop }\n{ nop ; fnop }\nnop\nnop", "only bundles"),
        ("{ rpt 10, 0 ; fnop }\n{ bri 0 ; fnop }", "bri \\(control\\) cannot stand"),
        ("{ rpt 10, 0 ; fnop }\n{ get $m1, 0 ; fnop }", "get \\(system\\) cannot stand"),
        ("{ rpt 10, 1 ; fnop }\n{ nop ; fnop }", "needs 2 bundles, there are 1"),
        ("{ rpt 10, 256 ; fnop }", "outside 0..255"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(AssemblyError, match=message):
        words(text)


def test_error_names_file_line_and_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.s"
    path.write_text("nop\n\n  add $m0, $m1 # here\n")
    with pytest.raises(AssemblyError) as caught:
        assemble(path)
    assert str(caught.value).startswith(f"{path}:3: too few operands, add takes")
    assert "`add $m0, $m1`" in str(caught.value)
    with pytest.raises(UsageError, match="cannot read"):
        assemble(tmp_path / "none.s")


def test_switches_turn_checks_off() -> None:
    assert words(".allow_invalid_operands\nst64step $a1:2, $m0, $m1+=, $m2") == words("st64step $a0:1, $m0, $m1+=, $m2")
    assert words(".allow_invalid_execution_mode\nsync 3\n.error_on_invalid_execution_mode") == [0x41800003]
    assert len(words(".warn_on_invalid_bundles\n{ setzi $a0, 1 ; setzi $a0, 1 }")) == 2
    with pytest.raises(AssemblyError, match="misaligned"):
        words(".allow_invalid_operands\n.error_on_invalid_operands\nst64step $a1:2, $m0, $m1+=, $m2")


def test_several_files(tmp_path: Path) -> None:
    for name, extra in (("a", "bri b_entry"), ("b", "nop")):
        (tmp_path / f"{name}.s").write_text(
            f".globl {name}_entry\n{name}_entry: nop\nloop: brnzdec $m0, loop\n{extra}\n"
        )
    code = assemble([tmp_path / "a.s", tmp_path / "b.s"])
    second = BASE + 16
    assert code.symbols == {"a_entry": BASE, "b_entry": second, "loop": BASE + 4}
    assert [int(w) & 0x7FFFF for w in code.words] == [0, BASE // 4 + 1, second // 4, 0, 0, second // 4 + 1, 0]
    assert code.line_file[0].endswith("a.s") and code.line_file[-1].endswith("b.s")
    (tmp_path / "c.s").write_text(".globl a_entry\na_entry: nop\n")
    with pytest.raises(LinkError, match="defined twice"):
        assemble([tmp_path / "a.s", tmp_path / "c.s"])
    with pytest.raises(AssemblyError, match="undefined symbol `b_entry`"):
        assemble(tmp_path / "a.s")


def test_c_preprocessor(tmp_path: Path) -> None:
    (tmp_path / "regs.h").write_text("#define mSrc m2\n#define CAT(a, b) a##b\n#define STEP(r) add $r, $r, 1\n")
    path = tmp_path / "k.S"
    path.write_text(
        '#include "regs.h"\n# it\'s a comment\n/* two\n lines */\n'
        "#ifdef WIDE\n  ld64 $a0:1, $mSrc, 0 // isn't\n#else\n"
        '  ld32 $a0, $mSrc, 0\n#endif\n  STEP(m3); STEP(CAT(m, 4))\n.ascii "#ab;"\n  bogus\n'
    )
    with pytest.raises(AssemblyError, match=r"k\.S:12: unknown instruction `bogus`"):
        assemble(path)
    path.write_text(path.read_text().replace("bogus", "nop"))
    common = [*words("add $m3, $m3, 1\nadd $m4, $m4, 1"), int.from_bytes(b"#ab;", "little"), 0x19E00000]
    assert assemble(path).words.tolist() == words("ld32 $a0, $m2, 0") + common
    code = assemble(path, define={"WIDE": None})
    assert code.words.tolist() == words("ld64 $a0:1, $m2, 0") + common
    assert code.line_number.tolist() == [6, 10, 10, 12]
    path.write_text('#include "missing.h"\n')
    with pytest.raises(AssemblyError, match=r"'missing\.h' not found"):
        assemble(path)
    path.write_text("#ifndef X\n#error set X\n#endif\n")
    with pytest.raises(AssemblyError, match=r"k\.S:2: #error set X"):
        assemble(path)
    assert words("#define R m5\nmov $R, $m1") == words("mov $m5, $m1")
    assert words(".if N == 4\nnop\n.endif", define={"N": 4}, preprocessor=False) == [0x19E00000]


def test_macros() -> None:
    text = """
    .macro step reg, by=1, rest:vararg
      add \\reg, \\reg, \\by
      .ifnb \\rest
      step \\rest
      .endif
    .endm
    .macro load dst:req base off
    1: ld32 \\dst, \\base, \\off
       brnz \\dst, 1b
    .endm
      step $m0
      step $m1, 2, $m2, 3, $m4
      step by=7, reg=$m5
      { step $m6 ; fnop }
    x: load $m0 $m1 2 + 1
    """
    expected = """
      add $m0, $m0, 1; add $m1, $m1, 2; add $m2, $m2, 3; add $m4, $m4, 1; add $m5, $m5, 7
      { add $m6, $m6, 1 ; fnop }
    1: ld32 $m0, $m1, 3; brnz $m0, 1b
    """
    assert words(text) == words(expected)


def test_macro_counter_and_separator() -> None:
    text = ".macro m name\n\\name\\()_\\@: bri \\name\\()_\\@\n.endm\nm a\nm a\n"
    assert list(assemble(text=text).symbols) == ["a_0", "a_1"]


def test_repetition_and_conditionals() -> None:
    assert words(".rept 2\n.rept 2\nnop\n.endr\nfnop\n.endr") == [0x19E00000, 0x19E00000, 0x1AD00000] * 2
    assert words(".irp r, $m1, $m2\nmov \\r, $m0\n.endr") == words("mov $m1, $m0; mov $m2, $m0")
    assert words(".irpc d, 12\nsetzi $m\\d, \\d\n.endr") == words("setzi $m1, 1; setzi $m2, 2")
    text = ".set A, 2\n.if A == 1\nbogus\n.elseif A == 2\nnop\n.if 0\nbogus\n.else\nfnop\n.endif\n.else\nbogus\n.endif"
    assert words(text) == [0x19E00000, 0x1AD00000]
    assert (
        words(".ifdef A\nbogus\n.endif\n.ifndef A\nnop\n.endif\n.ifc a, a\nnop\n.endif\n.ifnc a,b\nnop\n.endif")
        == [0x19E00000] * 3
    )
    assert words(".macro m a\n.if \\a\nnop\n.exitm\n.endif\nfnop\n.endm\nm 1\nm 0") == [0x19E00000, 0x1AD00000]
    assert words(".macro cast a, b\nf32v4tof16 \\a, \\b\n.endm\n{nop\n cast $a0:1, $a0:3}\n.purgem cast") == words(
        "{nop; f32v4tof16 $a0:1, $a0:3}"
    )
    assert words(".altmacro\n.macro m a\nLOCAL l\nl: bri l\nsetzi $m0, a\n.endm\nm %1+2\nm 4")[1::2] == [
        0x19000003,
        0x19000004,
    ]


def test_irp_inside_a_macro() -> None:
    text = ".macro m name\n.irp k, 1, 2\n\\name\\()_\\k\\()_end: nop\n.endr\n.endm\nm a\nm b"
    assert list(assemble(text=text).symbols) == ["a_1_end", "a_2_end", "b_1_end", "b_2_end"]


def test_style_of_published_codelets(tmp_path: Path) -> None:
    """Macros whose parameters make mnemonics, labels and section names, with the C preprocessor below them."""
    path = tmp_path / "codelet.S"
    path.write_text(
        """
// A codelet
#ifdef __IPU__
#define STATE_COUNT 2
#define addr_v    m2:3
#define count_v   m4
.macro KERNEL COMMAND, TYPE
.section ".text.kernel_\\TYPE\\()", "ax", @progbits
.globl kernel_\\TYPE\\()
.type kernel_\\TYPE\\(), @function
.align 8
.ifc \\TYPE, float
  .equ SHIFT, 2
.else
.ifc \\TYPE, half
  .equ SHIFT, 1
.else
  .error "no such type"
.endif // half
.endif // float
nop // rpt alignment
.worker
kernel_\\TYPE\\():
  ld32 $count_v , $mvertex_base , $mzero , STATE_COUNT/2
  shr           $count_v, $count_v, (3 - SHIFT)
  rpt           $count_v, (Loop_end_\\TYPE\\() - Loop_start_\\TYPE\\())/8 - 1
Loop_start_\\TYPE\\():
  {
    ld2x64pace    $azeros, $a2:3, $addr_v+=  , $mzero, 0b0011;
    \\COMMAND      $a6:7, $azeros, $a2:3, TAMP_F16V4_E4_P0
  }
Loop_end_\\TYPE\\():
  exitz         $mzero
.size kernel_\\TYPE\\(), \\
  .-kernel_\\TYPE\\()
.endm
KERNEL f16v4sisoamp float
KERNEL f16v4hihov4amp, half
#endif
""".replace("\\\\", "\\")
    )
    code = assemble(path)  # __IPU__ is predefined
    body = "rpt $m4, 0\n{ ld2x64pace $azeros, $a2:3, $m2:3+=, $mzero, 3; %s $a6:7, $azeros, $a2:3, 0 }\nexitz $mzero\n"
    head = "nop\nld32 $m4, $m13, 1\nshr $m4, $m4, %d\n"
    expected = words((head + body) % (1, "f16v4sisoamp")) + [0] + words((head + body) % (2, "f16v4hihov4amp"))
    assert code.words.tolist() == expected
    assert code.symbols["kernel_half"] == BASE + 36


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".macro m\nnop", "has no .endm"),
        (".rept 2\nnop", "has no .endr"),
        (".if 1\nnop", ".if has no .endif"),
        (".else", ".else without .if"),
        (".endm", "without a beginning"),
        (".macro m a:req\nnop\n.endm\nm", "needs its argument `a`"),
        (".macro m a\nnop\n.endm\nm 1, 2", "takes 1 arguments"),
        (".macro m\nm\n.endm\nm", "nested deeper"),
        (".macro m\n.endm\n.macro m\n.endm", "already defined"),
        (".rept x\n.endr\nx:", "not defined at this place"),
        (".rept 1 << 60\nnop\n.endr", "too many statements"),
        ('.error "why"', "why"),
    ],
)
def test_macro_errors(text: str, message: str) -> None:
    with pytest.raises(AssemblyError, match=message):
        words(text)


def test_macro_error_shows_the_expansion_stack() -> None:
    text = ".macro inner a\n bogus \\a\n.endm\n.macro outer\n inner 5\n.endm\n\nouter\n"
    with pytest.raises(AssemblyError) as caught:
        words(text)
    shown = str(caught.value)
    assert shown.startswith("<text>:2: unknown instruction `bogus`")
    assert "(in macro inner expanded at <text>:5) (in macro outer expanded at <text>:8)" in shown


def test_import_is_light() -> None:
    """The assembler must not pull in the JIT compiler."""
    script = "import sys, tile_emu.asm, tile_emu.isa.table; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_include_directive(tmp_path: Path) -> None:
    (tmp_path / "part.inc").write_text("fnop\n")
    (tmp_path / "main.s").write_text('nop\n.include "part.inc"\nnop\n')
    assert assemble(tmp_path / "main.s").words.tolist() == [0x19E00000, 0x1AD00000, 0x19E00000]


_PIECES = st.sampled_from(
    "nop fnop { } ; : 1: 1b 1f x: x . .if .endif .else .macro m .endm m .rept 3 .endr .set .word .align 8 .byte "
    '$m0 $a0:1 $m0:1+= , + - * / ( ) << 1.0h 0x10 "s" # // /* */ add ld32 ld64step rpt 4, bri setzi .section '
    ".data .supervisor \\a \\@ .irp .exitm = $WSR .org .fill -1 ldconst sendpicp".split()
    + ["\n", "\n", " "]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=30))
def test_nonsense_gives_project_errors_only(pieces: list[str]) -> None:
    try:
        assemble(text=" ".join(pieces), preprocessor=False)
    except TileEmuError:
        pass


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_project_errors_only(text: str) -> None:
    try:
        assemble(text=text, preprocessor=False)
    except TileEmuError:
        pass

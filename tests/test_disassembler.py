"""The disassembler: canonical text of public examples, and text -> words -> text -> words over all forms."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tile_emu.asm import assemble, disassemble, disassemble_one, disassemble_source
from tile_emu.isa.table import COISSUE, MODES, Form, table

# Words and text from the public tests of the vendor's disassembler and from the syntax notes.
CANONICAL = [
    (0x1AF00000, "setzi $a15, 0"),
    (0x19F00000, "setzi $m15, 0"),
    (0x58E0E003, "f32v2add $a0:1, $a14:15, $a14:15"),
    (0x5F20F020, "st64 $a2:3, $m2, $m15, 0"),
    (0x5F20F0E0, "st64 $a14:15, $m2, $m15, 0"),
    (0x44203011, "add $m1, $m2, $m3"),
    (0x44102602, "sub $m0, $m2, $m1"),
    (0x19E00000, "nop"),
    (0x1AD00000, "fnop"),
    (0x40800003, "bri 0xc"),
    (0x2200FFD6, "add $m0, $m0, -42"),
    (0x2000FF98, "add $m0, $m0, 65432"),
    (0x41000001, "get $m0, 1"),
]
# An input spelling and the text the printer prefers for it.
PREFERRED = [
    ("or $m1, $m0, 0", "mov $m1, $m0"),
    ("or $a1, $a0, 0", "mov $a1, $a0"),
    ("atom $m1, $a0", "mov $m1, $a0"),
    ("or64 $a0:1, $a2:3, $azeros", "mov $a0:1, $a2:3"),
    ("uget $a0, 1", "get $a0, 1"),
    ("uput 1, $a0", "put 1, $a0"),
    ("or $a10, $azero, $azero", "zero $a10"),
    ("or $m6, $mzero, $mzero", "zero $m6"),
    ("or64 $a2:3, $azeros, $azeros", "zero $a2:3"),
    ("put 255, $mzero", "strap"),
    ("put 255, $m0", "put 255, $m0"),
    ("movz $m1, $m2, $m3", "movnz $m1, $m2, $m3"),
    ("roll16 $m0, $m1, $m1", "swap16 $m0, $m1"),
    ("roll16 $m0, $m1, $m2", "roll16 $m0, $m1, $m2"),
    ("or $a7, $a7, 575 << 20", "or $a7, $a7, 602931200"),
    ("or $m7, $m7, -1048576", "or $m7, $m7, 4293918720"),
    ("ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0", "ld2x64pace $a0:1, $a2:3, $m0:1+=, $m15, 0"),
    ("ldb16b16 $a0:1, $m0, $m0++, $m0>>", "ldb16b16 $a0:1, $m0, $m0++, $m0>>"),
    ("ldd16b16 $a0, $m0++, $m0, $m1@", "ldd16b16 $a0, $m0++, $m0, $m1@"),
    ("f16v2add $a0, $a1:BL, $a2", "f16v2add $a0, $a1:BL, $a2"),
    ("f32v2mul $a0:1, $a3:B, $azeros", "f32v2mul $a0:1, $a3:B, $a14:15"),
]


@pytest.mark.parametrize(("word", "text"), CANONICAL)
def test_canonical_text(word: int, text: str) -> None:
    assert disassemble([word]) == [text]


@pytest.mark.parametrize(("written", "printed"), PREFERRED)
def test_preferred_text(written: str, printed: str) -> None:
    assert disassemble(assemble(text=written).words) == [printed]


def test_bundles_symbols_and_data() -> None:
    code = assemble(text="x: nop\n{ brnzdec $m1, x ; f32add $a1, $a1, $a2 }\n$y: bri $y\n.word 0xffffffff")
    lines = disassemble(code.words, code.base, symbols=code.symbols)
    assert lines == ["nop", "{ brnzdec $m1, x ; f32add $a1, $a1, $a2 }", "bri ($y)", ".word 0xffffffff"]
    assert disassemble_one(code.words, 1) == ("{ brnzdec $m1, 0x4c000 ; f32add $a1, $a1, $a2 }", 8)
    assert disassemble_one(code.words, 0) == ("nop", 4)


def test_modes() -> None:
    word = [0x40A00029]
    assert disassemble(word, mode="supervisor") == ["delay 41"]
    assert disassemble(word) == [".word 0x40a00029"]
    # half of a bundle, misaligned pair (public test of invalid encodings), aux instruction for a supervisor
    for words, mode in ([0xC4203011], "worker"), ([0x5F20F010], "worker"), ([0x58E0E003], "supervisor"):
        assert disassemble(words, mode=mode) == [f".word {words[0]:#010x}"]


def test_sendpicp_takes_two_words() -> None:
    text = "sendpicp 3, 256, 1, 1, 5, 6"
    code = assemble(text=f".supervisor\n{text}\nbr $lr")
    assert disassemble(code.words, mode="supervisor") == [text, "br $m10"]
    assert disassemble(code.words[:1], mode="supervisor") == ["sendpicp 3, 256, 1, 1"]


def random_word(form: Form, rng: random.Random) -> int:
    """A word of a form with random operands, register groups aligned."""
    word = rng.getrandbits(32) & ~form.mask | form.match
    if form.coissue:
        word &= ~COISSUE
    for operand in form.operands:
        if operand.meaning.group > 1:
            for value_low, word_low, width in operand.parts:
                for bit in range(width):
                    if 1 << (value_low + bit) & operand.meaning.step:
                        word &= ~(1 << (word_low + bit))
    return word


@pytest.mark.parametrize("mode", MODES)
def test_round_trip_of_every_form(mode: str) -> None:
    """text -> words -> text -> words with 40 random operand sets for each form."""
    rng = random.Random(f"forms {mode}")
    words: list[int] = []
    for form in table().of_mode(mode):
        for _ in range(40):
            if form.mnemonic == "sendpicp":
                words += [0x19E00000] * (len(words) % 2)
                words += [random_word(form, rng), rng.getrandbits(32)]
            else:
                words.append(random_word(form, rng))
    first = disassemble_source(words, mode=mode)
    assert ".word" not in first
    again = assemble(text=first)
    assert again.words.tolist() == words
    assert disassemble_source(again.words, mode=mode) == first


def test_round_trip_covers_every_form() -> None:
    assert {form.name for mode in MODES for form in table().of_mode(mode)} == set(table().by_name)


def test_plain_text_is_kept_where_it_is_unambiguous() -> None:
    """Without the round-trip option the printed mnemonics are the vendor's, with it the form is named where needed."""
    words = [0x20000005, 0x4200C000]  # add with the unsigned immediate 5, or with high part 0
    assert disassemble(words) == ["add $m0, $m0, 5", "or $m0, $m0, 0"]
    assert disassemble(words, round_trip=True) == ["add_mmmn_zi $m0, $m0, 5", "or_mmmn_iz $m0, $m0, 0"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=40), st.sampled_from(MODES), st.booleans())
def test_any_words_survive(words: list[int], mode: str, bundled: bool) -> None:
    """Random words, and random bundles: whatever they hold, the source text gives them back."""
    if bundled:
        rng = random.Random(len(words))
        main = [form for form in table().of_mode(mode) if form.pipe == "main" and form.coissue]
        aux = [form for form in table().of_mode(mode) if form.pipe == "aux"] or main
        pairs = [(rng.choice(main), rng.choice(aux)) for _ in words]
        words = [random_word(form, rng) | COISSUE for pair in pairs for form in pair]
    assert assemble(text=disassemble_source(words, mode=mode)).words.tolist() == words

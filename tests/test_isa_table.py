"""The instruction table: spot words from published encodings, checks at load, encode and extract."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tile_emu.errors import UsageError
from tile_emu.isa import csr
from tile_emu.isa.flags import PRIVATE_FLAGS
from tile_emu.isa.registers import Register, parse_register
from tile_emu.isa.table import MODES, NOP, TableError, load_table, table

CSV = Path(csr.__file__).with_name("instructions.csv")

# Words of the reference texts (exchange notes section 3 and 5.2, syntax notes section 5), not made by this code.
KNOWN_WORDS = [
    ("setzi_mmmn_zi", (14, 0), 0x19E00000),
    ("setzi_aaan_zi", (13, 0), 0x1AD00000),
    ("delay", (41,), 0x40A00029),
    ("delay", (83,), 0x40A00053),
    ("send", (4, 0x16000, 1), 0x788B0001),
    ("br_mmmn", (10,), 0x43A00000),
    ("delayxpic", (0, 0, 320), 0x64000140),
    ("delayxpic", (4, 0, 0x640), 0x64010640),
    ("delaypic", (80, 0, 0x60000 // 4), 0x62818000),
    ("delayxpic", (59, 0, 1089), 0x640EC441),
    ("delaypic", (25, 0, 0x60000 // 4), 0x60C98000),
    ("delaypic", (25, 0, 0x62000 // 4), 0x60C98800),
    ("send", (59, 0x16000, 1), 0x7F6B0001),
    ("send", (63, 0xB000, 5), 0x7FE58005),
    ("sendoff", (31, 0, 5), 0x73E00005),
    ("delayxpic", (0, 1, 0x142), 0x64002142),
    ("delaypic", (84, 1, 1), 0x62A40001),
    ("delaypic", (93, 1, 0), 0x62EC0000),
]


@pytest.mark.parametrize(("name", "values", "word"), KNOWN_WORDS)
def test_known_words(name: str, values: tuple[int, ...], word: int) -> None:
    form = table().by_name[name]
    assert form.encode(values) == word
    assert form.extract(word) == values


def test_counts_and_nop() -> None:
    assert len(table().forms) == 368
    assert len(table().by_mnemonic) == 251
    assert [form.index for form in table().forms] == list(range(368))
    assert table().by_name["setzi_mmmn_zi"].encode((14, 0)) == NOP


def test_split_fields_by_hand() -> None:
    """Offset 0xABC of an $a store: nibbles A at 11:8, B at 19:16, C at 3:0 (syntax notes section 1)."""
    by_name = table().by_name
    assert by_name["st32_mbmn_zi"].encode((1, 2, 0xABC, 3)) == 0x5E000000 | 1 << 20 | 2 << 12 | 3 << 4 | 0xB0A0C
    assert by_name["st32step_mbmn_si"].encode((0, 0, 0x12, 0)) == 0x5C000000 | 0x1 | 0x2 << 16
    assert by_name["run_mmmn_zi"].encode((0, 0, 0xABCD)) == 0x14000000 | 0xA << 16 | 0xBCD
    pace = by_name["ld2xst64pace_mbbn_ef"]
    assert pace.encode((0, 0, 4, 2, 0b100101)) == 0x56000800 | 2 << 17 | 2 << 4 | 0b10 << 8 | 0b0101
    assert by_name["sendoff"].encode((0b000011_000101, 0, 0)) == 0x70000000 | 0b000101 << 21 | 0b000011 << 14


def test_sub_operand_order() -> None:
    """sub $d, $x, $y puts x in op2 (bits 15:12) and y in op1 (bits 23:20)."""
    assert table().by_name["sub_mmmn"].text == "$op0, $op2, $op1"
    assert table().by_name["sub_mmmn"].encode((0, 7, 5)) == 0x44000602 | 7 << 20 | 5 << 12


@given(st.data())
def test_encode_extract_match(data: st.DataObject) -> None:
    form = table().forms[data.draw(st.integers(0, 367))]
    values = []
    for operand in form.operands:
        kind = operand.meaning
        step = kind.step + 1
        value = data.draw(st.integers(-(-kind.low // step), kind.high // step)) * step
        values.append(value & 0xFFFFFFFF if kind.shift else value)
    word = form.encode(values)
    assert form.extract(word) == tuple(values)
    for mode in MODES:
        expected = form if form.mode in (mode, "both") else None
        found = table().match(word, mode)
        assert found is expected or (expected is None and found is not form)
        if form.coissue and expected:
            assert table().match(word | 1 << 31, mode) is form


def test_encode_refuses() -> None:
    by_name = table().by_name
    for name, values, part in [
        ("add_mmmn_si", (0, 0, 32768), "32767"),
        ("add_mmmn_si", (0, 0), "3 operands"),
        ("or_mmmn_iz", (0, 0, 0x100001), "multiple"),
        ("ld64_mman_zi", (0, 0, 0, 1), "cannot start"),
        ("ld128_mman_zi", (0, 0, 0, 2), "cannot start"),
        ("setzi_mmmn_zi", (16, 0), "cannot start"),
        ("delay", (1 << 19,), "outside"),
    ]:
        with pytest.raises(UsageError, match=part):
            by_name[name].encode(values)
    with pytest.raises(UsageError, match="bundle"):
        by_name["delay"].encode((1,), coissue=True)


def test_match_rejects_misaligned_groups() -> None:
    form = table().by_name["ld128_mman_zi"]
    word = form.encode((0, 0, 0, 4))
    assert table().match(word, "worker") is form
    assert table().match(word | 1 << 16, "worker") is None
    assert table().match(word, "supervisor") is None


def _change(old: str, new: str) -> bytes:
    content = CSV.read_text()
    assert content.count(old) == 1, old
    return content.replace(old, new).encode()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("op0=18:0,40a00000,fff80000", "op0=17:0,40a00000,fff80000", "kind or width"),
        ("op0=18:0,40a00000,fff80000", "op0=18:0,40a00000,fffc0000", "covered twice"),
        ("op0=18:0,40a00000,fff80000", "op0=18:0,40a00000,fff00000", "not covered"),
        ("op0=18:0,40a00000,fff80000", "op0=18:0,40a00001,fff80000", "outside its mask"),
        ("op0=18:0,40a00000,fff80000", "op0=18:0,40c00000,fff80000", "overlap in supervisor"),
        ("op0=18:0,40a00000,fff80000", "op0=18-0,40a00000,fff80000", "bad field"),
        ("delay,delay,$op0,", "delay,delay,$op1,", "operand text"),
        ("delay,delay,$op0,supervisor,main,0,exchange", "delay,delay,$op0,tile,main,0,exchange", "mode is"),
        ("delay,delay,$op0,supervisor,main,0,", "delay,delay,$op0,supervisor,main,1,", "bundle flag"),
        ("op0:imm19zi:in,op0=18:0,40a00000", "op0:imm19qq:in,op0=18:0,40a00000", "kind or width"),
        ("op0:imm19zi:in,op0=18:0,40a00000", "op0:imm19zi:on,op0=18:0,40a00000", "no field"),
        ("operands_text,mode", "operands_text,modus", "column"),
        # 'both' forms are checked against each mode: trap is both, sync supervisor only
        ("41801000,7ffffff0", "41800000,7ffffff0", "overlap in supervisor"),
    ],
)
def test_contradictions_are_found(old: str, new: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        load_table(_change(old, new))


def test_random_words_decode_to_at_most_one_form() -> None:
    """The indexed lookup agrees with trying every form in turn."""
    rng = random.Random(7)
    for mode in MODES:
        forms = table().of_mode(mode)
        for _ in range(300):
            base = rng.choice(table().forms)
            word = rng.getrandbits(32) & ~base.mask | base.match
            fitting = [form for form in forms if word & form.mask == form.match]
            assert len(fitting) <= 1
            found = table().match(word, mode)
            assert found is None or found is fitting[0]


def test_csr_names() -> None:
    assert csr.csr_index("INCOMING_DCOUNT") == 0xA6
    assert csr.csr_index("FP_CLR") == 257
    assert csr.csrs_by_name()["FP_CLR"][0].encoded == 1
    assert csr.csr_index("CWEI_15_3") == 63
    assert csr.csr_name(1, "worker") == "WSR"
    assert csr.csr_name(1, "supervisor") == "SSR"
    assert csr.csr_name(265, "worker", "ipu2") is None
    assert csr.csr_name(40, "supervisor", space="cwei") == "CWEI_10_0"
    with pytest.raises(KeyError):
        csr.csr_index("NO_SUCH")


def test_registers() -> None:
    assert parse_register("azeros") == Register("AP", 14)
    assert parse_register("mvertex_base") == Register("M", 13)
    assert parse_register("a4:7") == Register("AQ", 4)
    assert parse_register("a3:BU") == Register("BU", 3)
    assert str(parse_register("ap1")) == "$a2:3"
    assert parse_register("WSR") is None
    assert "misaligned" in str(parse_register("a1:2"))
    assert parse_register("a1:2", check_groups=False) == Register("AP", 1)
    for wrong in ("m16", "a0:2", "m0:3", "m0:BL", "a0:5"):
        assert isinstance(parse_register(wrong), str)


def test_private_flags() -> None:
    assert PRIVATE_FLAGS["TAMP_F16V4_E4_P3"] == 3 << 2
    assert PRIVATE_FLAGS["TAMP_F16V4_E2_P1"] == 1 | 1 << 2
    assert PRIVATE_FLAGS["TAMP_F32_E4_P7"] == 7 << 2
    assert PRIVATE_FLAGS["TAMP_F32_E1_P2"] == 2 | 2 << 2
    assert PRIVATE_FLAGS["TSLIC_F16V4_1x3_W2"] == 6
    assert PRIVATE_FLAGS["TSTACC_P0"] == 0
    assert max(PRIVATE_FLAGS.values()) < 64

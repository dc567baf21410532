"""Object files and executables: read by an independent ELF library, linked like the sources, damaged on purpose."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest

from tile_emu.asm import LinkError, assemble, assemble_units, link
from tile_emu.asm.elf import ElfError, read_executable, read_object, write_executable, write_object
from tile_emu.asm.unit import Unit
from tile_emu.errors import TileEmuError

elffile = pytest.importorskip("elftools.elf.elffile")

BASE = 0x4C000
FIRST = """
    .globl start, shared
    .type start, @function
start:
    nop
    nop
    { call $m6, printstr ; setzi $a0, shared }
here:
    brnz $m0, here
    .size start, .-start
    .data
shared: .word start, printstr + 4, shared - 4
    .short (printstr + 4)@relative@16@s2
    .long (printstr + 4)@abs18@s2
    .long (shared + 4)@abs19@s2
    .set SEVEN, 7
    .bss
buffer: .space 12
"""
SECOND = """
    .globl printstr
here: nop
printstr: setzi $m0, shared
    setzi $m1, here
    .supervisor
    run $m0, $m1, shared
"""


def unit_of(text: str) -> Unit:
    return assemble_units(text=text)[0]


def test_object_as_another_reader_sees_it() -> None:
    elf = elffile.ELFFile(io.BytesIO(write_object(unit_of(FIRST))))
    assert (elf.elfclass, elf.little_endian, elf["e_type"], elf["e_machine"]) == (32, True, "ET_REL", 248)
    assert elf.header["e_ident"]["EI_OSABI"] == "ELFOSABI_STANDALONE"
    assert elf["e_flags"] & 0xFF == 0x21
    text = elf.get_section_by_name(".text")
    assert text.data()[:4] == (0x19E00000).to_bytes(4, "little")
    assert elf.get_section_by_name(".bss")["sh_type"] == "SHT_NOBITS"
    assert elf.get_section_by_name(".bss")["sh_size"] == 12
    symbols = {s.name: s for s in elf.get_section_by_name(".symtab").iter_symbols()}
    assert symbols["start"]["st_info"] == {"bind": "STB_GLOBAL", "type": "STT_FUNC"}
    assert symbols["start"]["st_size"] == 20
    assert symbols["here"]["st_info"]["bind"] == "STB_LOCAL"
    assert symbols["here"]["st_value"] == 16
    assert symbols["printstr"]["st_shndx"] == "SHN_UNDEF"
    assert (symbols["SEVEN"]["st_shndx"], symbols["SEVEN"]["st_value"]) == ("SHN_ABS", 7)
    # offsets and types as the vendor's tools print them: call is 19_S2 (8), setzi is 20 (3)
    rows = [(r["r_offset"], r["r_info_type"]) for r in elf.get_section_by_name(".rela.text").iter_relocations()]
    assert rows == [(8, 8), (12, 3), (16, 8)]
    rows = [(r["r_offset"], r["r_info_type"]) for r in elf.get_section_by_name(".rela.data").iter_relocations()]
    assert rows == [(0, 4), (4, 4), (8, 4), (12, 6), (14, 7), (18, 8)]


@pytest.mark.parametrize(("architecture", "flag"), [("ipu1", 1), ("ipu2", 2), ("ipu21", 0x21)])
def test_architecture_flag(architecture: str, flag: int) -> None:
    content = write_object(assemble_units(text="nop", architecture=architecture)[0])
    assert elffile.ELFFile(io.BytesIO(content))["e_flags"] == flag
    assert read_object(content).architecture == architecture


def test_linked_objects_equal_linked_sources() -> None:
    units = [unit_of(FIRST), unit_of(SECOND)]
    direct = link(units, BASE)
    again = link([read_object(write_object(unit)) for unit in units], BASE)
    np.testing.assert_array_equal(direct.words, again.words)
    assert {k: direct.symbols[k] for k in ("start", "shared", "printstr")} == {
        k: again.symbols[k] for k in ("start", "shared", "printstr")
    }


def test_relocation_values_by_hand() -> None:
    code = link([unit_of(FIRST), unit_of(SECOND)], BASE)
    data = BASE + 24  # 20 bytes of code, then 8-byte aligned data (22 bytes), 12 bytes of .bss
    bss = data + 24
    printstr = bss + 16 + 4  # second unit starts 8-byte aligned, one nop first
    words = [int(word) for word in code.words]
    assert words[2] == 0x18000000 | 1 << 31 | 6 << 20 | printstr // 4
    assert words[3] == 0x1A000000 | 1 << 31 | data
    assert words[4] == 0x11000000 | (BASE + 16) // 4
    raw = code.words.tobytes()[data - BASE :]
    assert [int.from_bytes(raw[k : k + 4], "little") for k in (0, 4, 8)] == [BASE, printstr + 4, data - 4]
    assert int.from_bytes(raw[12:14], "little") == (printstr + 4 - BASE) // 4
    assert int.from_bytes(raw[14:18], "little") == (printstr + 4) // 4
    assert int.from_bytes(raw[18:22], "little") == (data + 4) // 4
    at = (printstr - BASE) // 4
    assert words[at : at + 2] == [0x19000000 | data, 0x19100000 | printstr - 4]
    assert words[at + 2] == 0x14001000 | (data - BASE) // 4


def test_link_errors() -> None:
    objects = [read_object(write_object(unit_of(text)), name) for text, name in ((FIRST, "a.o"), (SECOND, "b.o"))]
    with pytest.raises(TileEmuError, match=r"a\.o\(\.text\+0x8\).*undefined symbol `printstr`"):
        link(objects[:1], BASE)
    with pytest.raises(LinkError, match="`printstr` is defined twice"):
        link([*objects, objects[1]], BASE)
    weak = unit_of(".weak printstr\nprintstr: nop")
    assert link([*objects, weak], BASE).symbols["printstr"] == link(objects, BASE).symbols["printstr"]
    with pytest.raises(TileEmuError, match="does not fit 20 bits"):
        link([unit_of("x: setzi $m0, x")], 0x100000)


def test_executable() -> None:
    code = assemble(text=".globl start\nnop\nstart: bri start\n.data\n.word 5")
    content = write_executable(code, "ipu21", entry=code.symbols["start"])
    elf = elffile.ELFFile(io.BytesIO(content))
    segment = elf.get_segment(0)
    assert (elf["e_type"], elf["e_entry"], segment["p_vaddr"]) == ("ET_EXEC", BASE + 4, BASE)
    assert segment.data() == code.words.tobytes()
    back = read_executable(content)
    np.testing.assert_array_equal(back.words, code.words)
    assert (back.base, back.symbols) == (code.base, code.symbols)


def test_other_files_are_refused() -> None:
    content = write_object(unit_of(FIRST))
    for wrong, message in [
        (b"", "not a 32-bit"),
        (b"\x7fELF\x02" + content[5:], "not a 32-bit"),
        (content[:18] + b"\x03\x00" + content[20:], "machine 3"),
        (content[:100], "ends inside"),
    ]:
        with pytest.raises(ElfError, match=message):
            read_object(wrong)
    with pytest.raises(ElfError, match="not an executable"):
        read_executable(content)


def test_damaged_files_give_project_errors_only() -> None:
    rng = random.Random(3)
    files = [write_object(unit_of(FIRST)), write_executable(assemble(text="nop"), "ipu21")]
    for _ in range(2000):
        content = bytearray(rng.choice(files))
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.choice((0, 1, 255, rng.randrange(256)))
        del content[rng.randint(len(content) // 2, len(content)) :]
        for read in (read_object, read_executable):
            try:
                result = read(bytes(content))
                if isinstance(result, Unit):
                    link([result], BASE)
            except TileEmuError:
                pass

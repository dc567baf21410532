"""Translated code that does several instructions together, whole AMP groups and packed addresses kept unpacked,
against the interpreter: all state bit for bit, for operands of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engines import both_engines
from tests.test_translator import HIGH, body, tile
from tile_emu.errors import TileFault
from tile_emu.tile import Tile

GROUPS = {"f16v4hihov4amp": ("$a0:1", 4), "f16v4sisoamp": ("$a0:1", 4), "f32sisov2amp": ("$a0", 8)}
PARTIALS, RESULTS = 0x90000, 0xA0008
SPECIAL16 = np.array([0, 0x8000, 1, 0x83FF, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0xFD01], np.uint16)
SPECIAL32 = np.array(
    [0, 0x80000000, 1, 0x807FFFFF, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFA00001], np.uint32
)


def group(name: str) -> str:
    inputs, phases = GROUPS[name]
    results = ("$a4:5", "$a6:7")
    return "\n".join(
        f"{{ld2xst64pace $a0:3, {results[k & 1]}, $m6:7+=, $m15, 0; {name} {results[k & 1]}, {inputs}, $a2:3, {4 * k}}}"
        for k in range(phases)
    )


def program(name: str, passes: int) -> str:
    """A group in straight code, a loop of groups, and a group whose first phases are missing."""
    return body(f"""
        setzi $m1, {HIGH}
        setzi $m2, {PARTIALS}
        setzi $m3, {RESULTS}
        tapack $m6:7, $m1, $m2, $m3
        setzi $m5, {passes}
        .align 8
        {{nop; fnop}}
        {group(name)}
        {{rpt $m5, {GROUPS[name][1] - 1}; fnop}}
        {group(name)}
        {chr(10).join(group(name).splitlines()[2:])}""")


def prepared(name: str, passes: int) -> Tile:
    made = tile(program(name, passes))
    made.arrays.acc[0, 0] = np.random.default_rng(2).standard_normal(32).astype(np.float32)
    return made


def scattered(values: NDArray[Any], special: NDArray[Any], share: float, seed: int) -> NDArray[Any]:
    """The values with some of the special ones among them."""
    random = np.random.default_rng(seed)
    return np.where(random.random(values.shape) < share, random.choice(special, values.shape), values)


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_done_together(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILE_EMU_DUMP", str(tmp_path))
    with both_engines() as translated:
        prepared(name, 3).run_workers("start", workers=(0,))
    assert translated[0] > 4 * GROUPS[name][1]
    (source,) = (path.read_text() for path in tmp_path.glob("unit_*.py"))
    assert source.count(f"entering_{name}(") == 2


@pytest.mark.parametrize("share", [0, 0.003, 0.2])
@pytest.mark.parametrize("name", GROUPS)
def test_special_values_anywhere(name: str, share: float) -> None:
    """As inputs, partials and weights: none, few, so that most groups are usual, or many."""
    wide = name == "f32sisov2amp"
    with both_engines() as translated:
        made = prepared(name, 400)
        for first in (HIGH, PARTIALS):
            values = made.read(first, "uint32" if wide or first == PARTIALS else "uint16", 12_000)
            singles = values.dtype == np.uint32 and name != "f16v4hihov4amp"
            special = (SPECIAL32 if singles else SPECIAL16).astype(values.dtype)
            made.write(first, scattered(values, special, share, first))
        weights = made.arrays.weight_store[0].view(np.uint16).reshape(64, 4).copy()
        made.set_cwei(scattered(weights, SPECIAL16, share / 4, 9).astype(np.uint16))
        made.run_workers("start", workers=(0,))
    assert translated[0] > 400 * GROUPS[name][1]


@pytest.mark.parametrize("name", GROUPS)
def test_any_patterns(name: str) -> None:
    """Operands of every exponent, accumulators too: sums that cancel, round, overflow as f16, are subnormal."""
    random = np.random.default_rng(11)
    with both_engines() as translated:
        made = prepared(name, 1000)
        for first in (HIGH, PARTIALS):
            made.write(first, random.integers(0, 1 << 16, 20_000, np.uint16) & 0xBFFF)
        made.set_cwei(random.integers(0, 1 << 16, (64, 4), np.uint16) & 0xBFFF)
        made.arrays.acc[0, 0] = random.integers(0, 1 << 32, 32, np.uint32).view(np.float32)
        made.run_workers("start", workers=(0,))
    assert translated[0] > 1000


def test_negative_zeros_stay_negative() -> None:
    with both_engines():
        made = prepared("f16v4sisoamp", 2)
        made.write(HIGH, np.zeros(400, np.uint16))
        made.write(PARTIALS, np.full(400, 0x80000000, np.uint32))
        made.set_cwei(np.full((64, 4), 0xBC00, np.uint16))
        made.run_workers("start", workers=(0,))
        # The second group's sums, stored two bundles after they leave in the third.
        assert (made.read(RESULTS + 8 * 11, "uint32", 6) == 0x80000000).all()


PACED = {
    "strides": "{ld2xst64pace $a0:3, $a4:5, $m6:7+=, $m1, 0b100111; f32v2add $a4:5, $a0:1, $a2:3}",
    "a stream that loads nothing": "{ld2x64pace $azeros, $a2:3, $m6:7+=, $m1, 0b0100; f16v4add $a4:5, $a4:5, $a2:3}",
    "streams of two sizes": "{ld64a32pace $a0:1, $a2, $m6:7+=, $m1, 0b0111; f32add $a3, $a2, $a0}",
    "an address that is read": """{st32 $m6, $m2, $m15, 0; fnop}
        {ldst64pace $a0:1, $a4:5, $m6:7+=, $m15, 0; f16v4mul $a4:5, $a0:1, $a4:5}""",
    "an address that is moved as a number": """{add $m6, $m6, 8; fnop}
        {ldst64pace $a0:1, $a4:5, $m6:7+=, $m15, 0; f16v4mul $a4:5, $a0:1, $a4:5}""",
    "two pairs": """{ld2x64pace $a0:1, $a2:3, $m6:7+=, $m15, 0; fnop}
        {st64pace $a0:1, $m8:9+=, $m1, 0b11; fnop}""",
}


@pytest.mark.parametrize("passes", [1, 40])
@pytest.mark.parametrize("name", PACED)
def test_packed_addresses(name: str, passes: int) -> None:
    """In a loop, and behind it in straight code."""
    text = f"""
        setzi $m1, {HIGH}
        setzi $m2, {PARTIALS}
        setzi $m3, {RESULTS}
        tapack $m6:7, $m1, $m2, $m3
        tapack $m8:9, $m15, $m15, $m2
        setzi $m1, {3 | (1021 << 10)}
        setzi $m2, 0xb0000
        setzi $m5, {passes}
        .align 8
        {{rpt $m5, {len(PACED[name].splitlines()) - 1}; fnop}}
        {PACED[name]}
        {PACED[name]}
        {PACED[name]}
        mov $m10, $m6
        mov $m11, $m9"""
    with both_engines() as translated:
        tile(body(text)).run_workers("start", workers=(0, 3))
    assert translated[0] > 12


@pytest.mark.parametrize("loads", ["ld2x64pace $a0:1, $a0:1", "ld64a32pace $a2:3, $a3"])
def test_two_streams_into_one_register_in_a_repeat(loads: str) -> None:
    with both_engines(), pytest.raises(TileFault, match="INVALID_OP"):
        tile(
            body(f"""
                setzi $m1, {HIGH}
                setzi $m2, {PARTIALS}
                tapack $m6:7, $m1, $m2, $m2
                setzi $m5, 3
                .align 8
                {{rpt $m5, 0; fnop}}
                {{{loads}, $m6:7+=, $m15, 0; fnop}}""")
        ).run_workers("start", workers=(0,))

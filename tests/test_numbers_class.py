"""Classification and the lateral maximum: all f16 and f8 patterns, chosen f32 ones."""

from __future__ import annotations

import random

import pytest

from tests.naive.classify import class_of, f8_class_of
from tests.naive.numbers import F16, F32
from tests.programs import any_f32
from tile_emu.isa.semantics import classify

pytestmark = pytest.mark.nojit

INV = 1 << 32


def test_every_half() -> None:
    for low in range(0, 65536, 2):
        expected = class_of(low, F16) | class_of(low + 1, F16) << 8
        assert classify.f16v2class(low | (low + 1) << 16) == expected
    assert classify.f16v4class(0xFC000001, 0x7C018000) == 0x01050308


def test_words() -> None:
    rng = random.Random(1)
    for _ in range(3000):
        a, b = any_f32(rng), any_f32(rng)
        assert classify.f32class(a) == class_of(a, F32), hex(a)
        assert classify.f32v2class(a, b) == class_of(a, F32) | class_of(b, F32) << 8


def test_named_codes() -> None:
    """1 and 2 NaNs, finite above 4, -0 is 5."""
    codes = [0x7F800001, 0x7FC00000, 0xFF800000, 0x7F800000, 0x80000000, 0, 0x80000001, 1, 0xBF800000, 0x3F800000]
    assert [classify.f32class(bits) for bits in codes] == list(range(1, 11))


@pytest.mark.parametrize(("nfmt", "fraction"), [(0, 2), (1, 2), (2, 3), (0xFFFFFFFF, 3)])
def test_every_byte(nfmt: int, fraction: int) -> None:
    for byte in range(256):
        word = byte | (255 - byte) << 8 | byte << 16 | 0x80 << 24
        codes = [f8_class_of(b, fraction) for b in (byte, 255 - byte, byte, 0x80)]
        assert classify.f8v4class(nfmt, word) == int.from_bytes(bytes(codes), "little")


def test_lateral_maximum() -> None:
    assert classify.f16v2maxc(0xC0003C00) == 0x3C003C00
    assert classify.f16v2maxc(0x00008000) == 0  # max(-0, +0)
    assert classify.f16v2maxc(0x7E00BC00) == 0xBC00BC00 | INV
    assert classify.f16v4maxc(0x3C004000, 0xC000BC00) == 0xBC004000
    assert classify.f16v4maxc(0x7E007E00, 0xFC007C00) == 0x7C007E00 | INV

"""The random number generator and its users: the published vectors, then plain integer arithmetic."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.naive.randomness import Generator, f16_normal, f32_normal, from_unsigned, seeded
from tile_emu.isa.semantics import randomness

pytestmark = pytest.mark.nojit


def state(words: list[int]) -> np.ndarray:
    return np.array(words, np.uint32)


def draws(seed: int, count: int) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.getrandbits(32) for _ in range(4)] for _ in range(count)]


def test_published_vector() -> None:
    words = seeded(1)
    assert words == [1, 0xFFFFFFFE, 0x3FFF, 0xFFFFC000]
    prng = state(words)
    for expected in (0xFFFFBFFE00003FF9, 0x0F023FE1F0F3BFDE, 0x2FA045DDD037BDD8):
        low, high = randomness.urand64(prng)
        assert hex(int(low) | int(high) << 32) == hex(expected)


def test_steps_and_state() -> None:
    for words in draws(1, 200):
        prng, generator = state(words), Generator(words)
        for _ in range(3):
            low, high = randomness.urand64(prng)
            assert int(low) | int(high) << 32 == generator.step()
            assert prng.tolist() == generator.words
        assert randomness.urand32(prng) == generator.step() % 2**32


def test_normal_numbers() -> None:
    for words in draws(2, 200):
        prng, generator = state(words), Generator(words)
        assert randomness.f16v2grand(prng) == f16_normal(generator.normal()) | f16_normal(generator.normal()) << 16
        assert randomness.f32v2grand(prng) == tuple(f32_normal(generator.normal()) for _ in range(2))
        assert prng.tolist() == generator.words


def test_normal_numbers_have_the_stated_moments() -> None:
    prng = state(seeded(12345))
    values = [np.uint32(randomness.f32v2grand(prng)[0]).view(np.float32) for _ in range(20000)]
    assert abs(np.mean(values)) < 0.03
    assert abs(np.var(values) - 0.999) < 0.04


@pytest.mark.parametrize("p", [0, 1, 0x4000, 0x8000, 0xFFFF, 0x10000, 0x18000, 0x20000, 0xFFFE0000, 0xFFFFFFFF])
def test_masks(p: int) -> None:
    a, b = 0x12345678, 0x9ABCDEF0
    for words in draws(3, 100):
        prng, generator = state(words), Generator(words)
        kept = generator.mask(4, p)
        halves = [(word >> shift & 0xFFFF) * keep for (word, shift), keep in zip(
            ((a, 0), (a, 16), (b, 0), (b, 16)), kept)]  # fmt: skip
        assert randomness.f16v4rmask(prng, a, b, p) == (halves[0] | halves[1] << 16, halves[2] | halves[3] << 16)
        assert prng.tolist() == generator.words
        kept = generator.mask(2, p)
        assert randomness.f32v2rmask(prng, a, b, p) == (a * kept[0], b * kept[1])
        assert prng.tolist() == generator.words


def test_trivial_masks() -> None:
    prng = state(seeded(9))
    assert randomness.f16v4rmask(prng, 5, 6, 0) == (0, 0)
    assert randomness.f16v4rmask(prng, 5, 6, 0x10000) == (5, 6)


def test_every_unsigned_half() -> None:
    assert randomness.f16v2sufromui(0x80000000) == 0x0080B800
    for u in range(0, 65536, 2):
        expected = from_unsigned(u, 16) | from_unsigned(u + 1, 16) << 16
        assert randomness.f16v2sufromui(u | (u + 1) << 16) == expected, hex(u)


def test_unsigned_words() -> None:
    rng = random.Random(5)
    edges = [0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**31 + 2**8, 2**31 - 2**8, 0x80FFFFFF, 0x7F000000]
    near = [2**31 + sign * rng.getrandbits(rng.randint(1, 30)) for sign in (1, -1) for _ in range(500)]
    for u in edges + near + [rng.getrandbits(32) for _ in range(3000)]:
        assert randomness.f32sufromui(u) == from_unsigned(u, 32), hex(u)

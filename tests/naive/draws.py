"""Instructions that draw random bits or mask with them (semantics 10.2)."""

from __future__ import annotations

import re

from tests.naive.memory import Effects, put_words
from tests.naive.randomness import Generator, f16_normal, f32_normal
from tests.naive.rounding import halves, pack
from tests.naive.state import Worker
from tests.naive.text import Instruction


def draw(worker: Worker, ins: Instruction) -> Effects | None:
    name = ins.mnemonic
    generator = Generator(worker.prng)
    if name in ("urand32", "urand64"):
        out = generator.step()
        words = [out % 2**32, out // 2**32][: ins.operands[0].count]
    elif name == "f16v2grand":
        words = pack([f16_normal(generator.normal()) for _ in range(2)])
    elif name == "f32v2grand":
        words = [f32_normal(generator.normal()) for _ in range(2)]
    elif match := re.fullmatch(r"(f16v4|f32v2)rmask", name):
        words = worker.words(ins.operands[1])
        parts = halves(words) if match[1] == "f16v4" else words
        kept = generator.mask(len(parts), worker.words(ins.operands[2])[0])
        parts = [part if keep else 0 for part, keep in zip(parts, kept, strict=True)]
        words = pack(parts) if match[1] == "f16v4" else parts
    else:
        return None
    effects = Effects(state={"prng": generator.words})
    put_words(effects, ins.operands[0], words)
    return effects

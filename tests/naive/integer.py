"""Integer, bitwise and permute instructions on 32-bit words (semantics 6)."""

from __future__ import annotations

from collections.abc import Callable

WORD = 2**32


def signed(x: int) -> int:
    return x - WORD if x >= 2**31 else x


def _bytes(x: int) -> list[int]:
    return [(x // 256**i) % 256 for i in range(4)]


def _halves(x: int) -> list[int]:
    return [x % 65536, x // 65536]


def _word(parts: list[int]) -> int:
    base = 65536 if len(parts) == 2 else 256
    return sum(part * base**i for i, part in enumerate(parts))


def leading_zeros(x: int) -> int:
    return 32 - len(f"{x:b}") if x else 32


def redundant_signs(x: int) -> int:
    text = f"{x:032b}"
    run = 0
    while run < 31 and text[run + 1] == text[0]:
        run += 1
    return run


def reverse_in_bytes(x: int) -> int:
    return _word([int(f"{b:08b}"[::-1], 2) for b in _bytes(x)])


def _by_bytes(pick: Callable[[list[int], list[int]], list[int]]) -> Callable[[int, int], int]:
    return lambda a, b: _word(pick(_bytes(a), _bytes(b)))


def _by_halves(pick: Callable[[list[int], list[int]], list[int]]) -> Callable[[int, int], int]:
    return lambda a, b: _word(pick(_halves(a), _halves(b)))


#: Two sources a, b (immediates already as 32-bit values); results are taken modulo 2**32.
BINARY: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "andc": lambda a, b: a & ~b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "xnor": lambda a, b: ~(a ^ b),
    "shl": lambda a, b: a * 2**b if b < 32 else 0,
    "shr": lambda a, b: a // 2**b if b < 32 else 0,
    "shrs": lambda a, b: signed(a) // 2 ** min(b, 31),
    "min": lambda a, b: min(signed(a), signed(b)),
    "max": lambda a, b: max(signed(a), signed(b)),
    "cmpeq": lambda a, b: int(a == b),
    "cmpne": lambda a, b: int(a != b),
    "cmpslt": lambda a, b: int(signed(a) < signed(b)),
    "cmpult": lambda a, b: int(a < b),
    "roll16": _by_halves(lambda a, b: [a[1], b[0]]),
    "sort4x16lo": _by_halves(lambda a, b: [a[0], b[0]]),
    "sort4x16hi": _by_halves(lambda a, b: [a[1], b[1]]),
    "roll8r": _by_bytes(lambda a, b: [a[1], a[2], a[3], b[0]]),
    "roll8l": _by_bytes(lambda a, b: [a[3], b[0], b[1], b[2]]),
    "shuf8x8lo": _by_bytes(lambda a, b: [a[0], b[0], a[1], b[1]]),
    "shuf8x8hi": _by_bytes(lambda a, b: [a[2], b[2], a[3], b[3]]),
    "sort8x8lo": _by_bytes(lambda a, b: [a[0], a[2], b[0], b[2]]),
    "sort8x8hi": _by_bytes(lambda a, b: [a[1], a[3], b[1], b[3]]),
}

UNARY: dict[str, Callable[[int], int]] = {
    "abs": lambda a: abs(signed(a)),
    "clz": leading_zeros,
    "cms": redundant_signs,
    "popc": lambda a: f"{a:b}".count("1"),
    "bitrev8": reverse_in_bytes,
    "not": lambda a: ~a,
    "sort8": lambda a: _word([_bytes(a)[i] for i in (0, 2, 1, 3)]),
    "swap8": lambda a: _word([_bytes(a)[i] for i in (1, 0, 3, 2)]),
}

#: Register pairs of the ARF as lists of two words.
PAIRS: dict[str, Callable[[list[int], list[int]], list[int]]] = {
    "and64": lambda a, b: [a[0] & b[0], a[1] & b[1]],
    "andc64": lambda a, b: [a[0] & ~b[0], a[1] & ~b[1]],
    "or64": lambda a, b: [a[0] | b[0], a[1] | b[1]],
    "not64": lambda a, b: [~a[0], ~a[1]],
    "sort4x32lo": lambda a, b: [a[0], b[0]],
    "sort4x32hi": lambda a, b: [a[1], b[1]],
    "roll32": lambda a, b: [a[1], b[0]],
}

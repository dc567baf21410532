"""Constant expressions: numbers, half literals, symbols, differences of symbols, GNU operators and precedence."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np


class ExpressionError(ValueError):
    """A malformed expression; the statement level adds file and line."""


@dataclass(frozen=True, slots=True)
class Symbolic:
    """An address not yet known: ``base`` is a section number or the name of a symbol, ``offset`` bytes from it."""

    base: int | str
    offset: int


Value: TypeAlias = int | Symbolic
# int | Symbolic | ("sym", name) | ("un", op, node) | ("bin", op, node, node)
Node: TypeAlias = int | Symbolic | tuple[Any, ...]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<half>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?h\b)
    | (?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|\d+(?![\w.]))
    | (?P<local>\d+[bf]\b)
    | (?P<float>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<char>'(?:\\.|[^\\])')
    | (?P<name>[A-Za-z_.$][\w.$]*)
    | (?P<op><<|>>|<=|>=|==|!=|<>|&&|\|\||[-+*/%&|^~!()<>])
    )""",
    re.VERBOSE,
)

# GNU precedence: shifts bind like products, bitwise operators tighter than sums.
_PRECEDENCE = {
    **dict.fromkeys(("*", "/", "%", "<<", ">>"), 6),
    **dict.fromkeys(("|", "&", "^", "!"), 5),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("==", "!=", "<>", "<", "<=", ">", ">="), 3),
    "&&": 2,
    "||": 1,
}
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "b": 8, "f": 12}
_HALF_WORDS = {"infh": 0x7C00, "nanh": 0x7E00}
_HALF_SIGN = 0x8000
_MAX_DEPTH = 200


@functools.lru_cache(maxsize=65536)
def _tokens(text: str) -> tuple[tuple[str, str], ...]:
    position, found = 0, []
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"cannot read `{text[position:].strip()}`")
        position = match.end()
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
    return tuple(found)


def half_bits(text: str) -> int:
    """The 16-bit pattern of a half literal such as ``1.0h``."""
    value = float(text.rstrip("h"))
    with np.errstate(over="ignore"):
        return int(np.float16(value).view(np.uint16))


def _integer(text: str) -> int:
    if text[:2] in ("0x", "0X", "0b", "0B"):
        return int(text, 0)
    if text[0] == "0" and len(text) > 1:
        try:
            return int(text, 8)
        except ValueError:
            raise ExpressionError(f"`{text}` is not an octal number") from None
    return int(text)


class _Parser:
    """Precedence climbing over one expression's tokens."""

    def __init__(self, text: str, here: Symbolic | None, local: Callable[[str], str]) -> None:
        self.tokens = _tokens(text)
        self.position = 0
        self.here = here
        self.local = local
        self.depth = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.position += 1
        return token

    def expression(self, lowest: int = 1) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ExpressionError("expression is nested too deeply")
        left = self.unary()
        while True:
            kind, operator = self.peek()
            precedence = _PRECEDENCE.get(operator, 0) if kind == "op" else 0
            if precedence < lowest:
                break
            self.take()
            left = ("bin", operator, left, self.expression(precedence + 1))
        self.depth -= 1
        return left

    def unary(self) -> Node:
        kind, text = self.take()
        if kind == "op" and text in "+-~!":
            if text == "-" and (self.peek()[0] == "half" or self.peek()[1] in _HALF_WORDS):
                operand = self.unary()
                return operand ^ _HALF_SIGN if isinstance(operand, int) else ("un", "-", operand)
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise ExpressionError("expression is nested too deeply")
            operand = self.unary()
            self.depth -= 1
            return -operand if text == "-" and isinstance(operand, int) else ("un", text, operand)
        if kind == "op" and text == "(":
            inner = self.expression()
            if self.take() != ("op", ")"):
                raise ExpressionError("`)` expected")
            return inner
        return self.atom(kind, text)

    def atom(self, kind: str, text: str) -> Node:
        if kind == "number":
            return _integer(text)
        if kind == "half":
            return half_bits(text)
        if kind == "name":
            if text == ".":
                if self.here is None:
                    raise ExpressionError("`.` has no meaning here")
                return self.here
            return _HALF_WORDS[text] if text in _HALF_WORDS else ("sym", text)
        if kind == "local":
            return ("sym", self.local(text))
        if kind == "char":
            return _ESCAPES.get(text[2], ord(text[2])) if text[1] == "\\" else ord(text[1])
        if kind == "float":
            raise ExpressionError(f"float literal `{text}` needs the suffix h (half)")
        raise ExpressionError(f"operand expected before `{text}`" if text else "expression is incomplete")


def _no_local(text: str) -> str:
    raise ExpressionError(f"local label `{text}` has no meaning here")


def parse_expression(text: str, here: Symbolic | None = None, local: Callable[[str], str] = _no_local) -> Node:
    """Parse ``text``. ``here`` is the value of ``.``; ``local`` turns ``1f`` / ``1b`` into a symbol name."""
    parser = _Parser(text, here, local)
    node = parser.expression()
    if parser.peek()[0] != "end":
        raise ExpressionError(f"unexpected `{parser.peek()[1]}` in expression")
    return node


def _divide(a: int, b: int) -> int:
    if b == 0:
        raise ExpressionError("division by zero")
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _shift(a: int, b: int) -> int:
    if not 0 <= b < 64:
        raise ExpressionError(f"shift count {b} is out of range")
    return b


_BINARY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": lambda a, b: a - b * _divide(a, b),
    "<<": lambda a, b: a << _shift(a, b),
    ">>": lambda a, b: a >> _shift(a, b),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "!": lambda a, b: a | ~b,
    "==": lambda a, b: -(a == b),
    "!=": lambda a, b: -(a != b),
    "<>": lambda a, b: -(a != b),
    "<": lambda a, b: -(a < b),
    "<=": lambda a, b: -(a <= b),
    ">": lambda a, b: -(a > b),
    ">=": lambda a, b: -(a >= b),
    "&&": lambda a, b: int(bool(a) and bool(b)),
    "||": lambda a, b: int(bool(a) or bool(b)),
}
_COMPARISONS = ("==", "!=", "<>", "<", "<=", ">", ">=")
_LIMIT = 1 << 128  # keeps chained shifts and products of a hostile source small


def _combine(operator: str, left: Value, right: Value) -> Value:
    if isinstance(left, int) and isinstance(right, int):
        result = _BINARY[operator](left, right)
        if not -_LIMIT < result < _LIMIT:
            raise ExpressionError("value is too large")
        return result
    if operator == "+":
        if isinstance(left, Symbolic) and isinstance(right, int):
            return Symbolic(left.base, left.offset + right)
        if isinstance(left, int) and isinstance(right, Symbolic):
            return Symbolic(right.base, right.offset + left)
    if isinstance(left, Symbolic):
        if operator == "-" and isinstance(right, int):
            return Symbolic(left.base, left.offset - right)
        if isinstance(right, Symbolic) and left.base == right.base:
            if operator == "-":
                return left.offset - right.offset
            if operator in _COMPARISONS:
                return _BINARY[operator](left.offset, right.offset)
    raise ExpressionError(
        f"`{operator}` of addresses: only symbol, symbol + constant and symbol - symbol of one section are supported"
    )


def evaluate(node: Node, lookup: Callable[[str], Value]) -> Value:
    """The value of a parsed expression; ``lookup`` gives the value of a symbol or raises."""
    if isinstance(node, (int, Symbolic)):
        return node
    if node[0] == "sym":
        return lookup(str(node[1]))
    if node[0] == "un":
        value = evaluate(node[2], lookup)
        if not isinstance(value, int):
            raise ExpressionError(f"unary `{node[1]}` of an address")
        return {"-": -value, "+": value, "~": ~value, "!": int(not value)}[str(node[1])]
    left = evaluate(node[2], lookup)
    return _combine(str(node[1]), left, evaluate(node[3], lookup))

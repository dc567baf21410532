"""Operands as written: registers with their suffix, status registers, expressions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tile_emu.asm.expressions import ExpressionError, Node, Symbolic, parse_expression
from tile_emu.isa.csr import csrs_by_name
from tile_emu.isa.registers import parse_register

_DOLLAR = re.compile(r"\$([A-Za-z_]\w*(?::\w*)?)\s*(\+=|\+\+|>>|@)?\s*\Z")
_NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|0|[1-9]\d*)\Z")
_LOCAL = re.compile(r"\d[bf]\b|\.(?![\w.$])")  # 1f, 1b, or `.`: the value depends on the place


@dataclass(frozen=True, slots=True)
class CsrName:
    """A status register by name; which number it stands for depends on the instruction, mode and architecture."""

    name: str


Payload = int | CsrName | Node
Argument = tuple[str, Payload]  # class letter with suffix ("M", "AP+=", "X" for anything else) and value


class OperandError(ValueError):
    """An operand that cannot be read; the statement level adds file and line."""


def _parse_dollar(name: str, suffix: str, check_groups: bool) -> Argument | None:
    register = parse_register(name, check_groups)
    if isinstance(register, str):
        raise OperandError(register)
    if register is not None:
        return register.letter + suffix, register.number
    if name in csrs_by_name() and not suffix:
        return "X", CsrName(name)
    return None


def parse_operand(
    text: str,
    cache: dict[str, Argument],
    check_groups: bool,
    here: Callable[[], Symbolic],
    local: Callable[[str], str],
) -> Argument:
    """Read one operand. ``cache`` keeps those whose meaning does not depend on the place."""
    if _NUMBER.match(text):
        argument: Argument = ("X", int(text, 0))
        cache[text] = argument
        return argument
    match = _DOLLAR.match(text)
    if match is not None:
        found = _parse_dollar(match[1], match[2] or "", check_groups)
        if found is not None:
            cache[text] = found
            return found
        if match[2] or ":" in match[1]:
            raise OperandError(f"`{text}` is not a register")
    if not text:
        raise OperandError("operand is missing")
    try:
        node = parse_expression(text, here() if "." in text else None, local)
    except ExpressionError as error:
        raise OperandError(_explain(text, str(error))) from None
    argument = ("X", node)
    if not _LOCAL.search(text):
        cache[text] = argument
    return argument


def _explain(text: str, message: str) -> str:
    if text.count("$") > 1 or re.match(r"\$\S+\s+\S", text):
        return f"`,` expected between operands, or wrong suffix: {message}"
    return message

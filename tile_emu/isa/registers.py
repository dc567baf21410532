"""Register names of the tile: files, groups, aliases (assembly_syntax.md section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MZERO = 15
AZERO = 15
AZEROS = 14  # first register of the zero pair
LINK_REGISTER = 10


@dataclass(frozen=True, slots=True)
class Register:
    """A register operand as written: class letter of ``Kind.register_class`` and first number."""

    letter: str  # M, A, MP, AP, AQ, BL, BU, B
    number: int

    def __str__(self) -> str:
        return register_text(self.letter, self.number)


_GROUP = {"MP": 2, "AP": 2, "AQ": 4}


def register_text(letter: str, number: int) -> str:
    """Canonical spelling, plain numbers: ``$m3``, ``$a0:1``, ``$a4:BL``."""
    if letter in ("BL", "BU", "B"):
        return f"$a{number}:{letter}"
    file = letter[0].lower()
    if letter in _GROUP:
        return f"${file}{number}:{number + _GROUP[letter] - 1}"
    return f"${file}{number}"


def _aliases() -> dict[str, Register]:
    names = {
        "bp": Register("M", 8),
        "fp": Register("M", 9),
        "lr": Register("M", LINK_REGISTER),
        "sp": Register("M", 11),
        "mworker_base": Register("M", 12),
        "mvertex_base": Register("M", 13),
        "mzero": Register("M", MZERO),
        "azero": Register("A", AZERO),
        "azeros": Register("AP", AZEROS),
    }
    # Numbers above the real registers all mean the zero pair or the zero quad, as in the vendor's compiler.
    names |= {f"ap{k}": Register("AP", 2 * k if k <= 6 else AZEROS) for k in range(16)}
    names |= {f"aq{k}": Register("AQ", 4 * k if k <= 2 else 12) for k in range(16)}
    return names


ALIASES: dict[str, Register] = _aliases()

_PLAIN = re.compile(r"([ma])(\d+)(?::(\d+|BL|BU|B))?\Z")
_LAST = 15


def parse_register(name: str, check_groups: bool = True) -> Register | str | None:
    """A register from its name without ``$``; None if the name is no register; a message if it is a wrong one."""
    alias = ALIASES.get(name)
    if alias is not None:
        return alias
    match = _PLAIN.match(name)
    if match is None:
        return None
    file, first, rest = match[1], int(match[2]), match[3]
    if first > _LAST:
        return f"there is no register ${file}{first}"
    if rest is None:
        return Register(file.upper(), first)
    if not rest.isdigit():
        return Register(rest, first) if file == "a" else f"${name}: only aux registers broadcast"
    size = int(rest) - first + 1
    if size == 2 and int(rest) <= _LAST:
        letter = file.upper() + "P"
    elif size == 4 and file == "a" and int(rest) <= _LAST:
        letter = "AQ"
    else:
        return f"${name} is not a register group (pairs $mN:N+1 and $aN:N+1, quads $aN:N+3)"
    if check_groups and first % size:
        return f"${name} is misaligned: a group of {size} starts at a multiple of {size}"
    return Register(letter, first)

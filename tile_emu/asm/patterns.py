"""Which instruction form a mnemonic with its operand classes means: forms of the table plus the assembler's aliases.

A pattern says how to fill a form's operands from the written ones: by position, by constant, or negated. Patterns of
one mnemonic and one signature are tried in order; the first whose values fit wins (assembly_syntax.md sections 4, 5).
"""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass

from tile_emu.isa.registers import AZEROS, MZERO
from tile_emu.isa.table import ARCHITECTURES, Form, table

ARG, CONST, NEG = 0, 1, 2
Slot = tuple[int, int]

# Status register operand of a mnemonic: which index space its names come from.
CSR_SPACE = {
    "get": "lower",
    "put": "lower",
    "uget": "upper",
    "uput": "upper",
    "ld64putcs": "cwei",
    "ld128putcs": "cwei",
}

# The signed immediate is tried before the unsigned one, the low 12 bits before the high ones.
_PREFERENCE = {"imm16si": 0, "imm16zi": 1, "imm12zi": 0, "imm12iz": 1}
_FORCED = ("add", "cmpeq", "max", "min", "sub")
_SUFFIXES = "+=>@"  # characters of register suffixes
_BASE_ONLY = "stm32step"  # its suffix is optional


@dataclass(frozen=True, slots=True)
class Pattern:
    """A form and, per operand in op0.. order, where its value comes from."""

    form: Form
    slots: tuple[Slot, ...]

    @property
    def arch_level(self) -> int:
        return ARCHITECTURES.index(self.form.since)


Signature = tuple[str, ...]
Patterns = dict[str, dict[Signature, tuple[Pattern, ...]]]


def _written(form: Form) -> tuple[Signature, tuple[Slot, ...]]:
    signature = tuple(form.operands[index].meaning.register_class + suffix for index, suffix in form.text_operands)
    slots: list[Slot] = [(ARG, 0)] * len(form.operands)
    for position, (index, _) in enumerate(form.text_operands):
        slots[index] = (ARG, position)
    return signature, tuple(slots)


def is_memory(form: Form) -> bool:
    """Loads and stores: their address registers are not checked for their file."""
    return form.mnemonic.startswith(("ld", "st")) and form.pipe == "main" and len(form.operands) > 1


def _short_memory(form: Form) -> tuple[Signature, tuple[Slot, ...]] | None:
    """``ld32 $m0, $m1, 3``: the delta left out means $mzero."""
    if form.text != "$op3, $op0, $op1, $op2" or not is_memory(form):
        return None
    signature, _ = _written(form)
    return (signature[0], signature[1], signature[3]), ((ARG, 1), (CONST, MZERO), (ARG, 2), (ARG, 0))


def _add_aliases(found: dict[tuple[str, Signature], list[Pattern]]) -> None:
    by_name = table().by_name
    arg0, arg1 = (ARG, 0), (ARG, 1)
    zero, azeros, mzero = (CONST, 0), (CONST, AZEROS), (CONST, MZERO)
    aliases: list[tuple[str, Signature, str, tuple[Slot, ...]]] = [
        ("nop", (), "setzi_mmmn_zi", ((CONST, 14), zero)),
        ("fnop", (), "setzi_aaan_zi", ((CONST, 13), zero)),
        ("zero", ("M",), "or_mmmn", (arg0, mzero, mzero)),
        ("zero", ("A",), "or_aaan", (arg0, mzero, mzero)),
        ("zero", ("AP",), "or64_aaan", (arg0, azeros, azeros)),
        ("mov", ("M", "M"), "or_mmmn_zi", (arg0, arg1, zero)),
        ("mov", ("A", "A"), "or_aaan_zi", (arg0, arg1, zero)),
        ("mov", ("M", "A"), "atom_mamn", (arg0, arg1)),
        ("mov", ("AP", "AP"), "or64_aaan", (arg0, arg1, azeros)),
        ("get", ("A", "X"), "uget_aaan_zi", (arg0, arg1)),
        ("put", ("X", "A"), "uput_aaan_zi", (arg1, arg0)),
        ("swap16", ("M", "M"), "roll16_mmmn", (arg0, arg1, arg1)),
        ("swap16", ("A", "A"), "roll16_aaan", (arg0, arg1, arg1)),
        ("strap", (), "put_mmmn_zi", (mzero, (CONST, 255))),
        ("sub", ("M", "M", "X"), "add_mmmn_si", (arg0, arg1, (NEG, 2))),
    ]
    for mnemonic, signature, name, slots in aliases:
        found[mnemonic, signature].append(Pattern(by_name[name], slots))
    for mnemonic in _FORCED:
        for suffix, kind in (("s", "si"), ("z", "zi")):
            form = by_name[f"{mnemonic}_mmmn_{kind}"]
            signature, slots = _written(form)
            found[mnemonic + suffix, signature].append(Pattern(form, slots))
    found["movnz", ("M", "M", "M")].append(Pattern(by_name["movz_mmmn"], _written(by_name["movz_mmmn"])[1]))
    for alias, name in (
        ("f16v4sisov2amp", "f16v4sisoamp_aaan_ef"),
        ("f16v4sisov2slic", "f16v4sisoslic_aaan_ef"),
    ):
        signature, slots = _written(by_name[name])
        found[alias, signature].append(Pattern(by_name[name], slots))


@functools.cache
def patterns() -> Patterns:
    """All patterns by mnemonic and signature. A form's own name is accepted as a mnemonic for that form alone."""
    found: dict[tuple[str, Signature], list[Pattern]] = defaultdict(list)
    forms = sorted(
        table().forms,
        key=lambda form: min((_PREFERENCE.get(operand.kind, 0) for operand in form.operands[-1:]), default=0),
    )
    for form in forms:
        signature, slots = _written(form)
        names = (form.mnemonic, form.name) if form.name != form.mnemonic else (form.mnemonic,)
        for name in names:
            found[name, signature].append(Pattern(form, slots))
        if form.mnemonic == _BASE_ONLY:
            found[form.mnemonic, (signature[0], signature[1] + "+=", signature[2])].append(Pattern(form, slots))
        short = _short_memory(form)
        if short is not None:
            found[form.mnemonic, short[0]].append(Pattern(form, short[1]))
    _add_aliases(found)
    result: Patterns = defaultdict(dict)
    for (mnemonic, key), group in found.items():
        result[mnemonic][key] = tuple(group)
    return dict(result)


def lookup(mnemonic: str, signature: Signature) -> tuple[Pattern, ...]:
    """Patterns for a mnemonic and operand classes, () if there are none."""
    known = patterns().get(mnemonic)
    if known is None:
        return ()
    group = known.get(signature)
    if group is None and signature and mnemonic.startswith(("ld", "st")):
        # the register file of address operands does not matter, only the number
        group = known.get((signature[0], *(_as_main(letter) for letter in signature[1:])))
    return group or ()


def _as_main(letter: str) -> str:
    head, suffix = letter.rstrip(_SUFFIXES), letter[len(letter.rstrip(_SUFFIXES)) :]
    return {"A": "M", "AP": "MP"}.get(head, head) + suffix


def suffix_problem(mnemonic: str, signature: Signature) -> str | None:
    """What is wrong if only the suffixes (+=, ++, >>, @) keep a signature from fitting."""
    bare = tuple(letter.rstrip(_SUFFIXES) for letter in signature)
    for known in patterns()[mnemonic]:
        heads = tuple(letter.rstrip(_SUFFIXES) for letter in known)
        if heads == bare or heads[:1] + tuple(map(_as_main, bare[1:])) == heads:
            for position, (got, wanted) in enumerate(zip(signature, known)):
                suffix = wanted[len(wanted.rstrip(_SUFFIXES)) :]
                if got[len(got.rstrip(_SUFFIXES)) :] != suffix:
                    return (
                        f"operand {position + 1} needs the suffix {suffix}"
                        if suffix
                        else (f"operand {position + 1} takes no suffix")
                    )
    return None


def expectation(mnemonic: str) -> str:
    """The operands a mnemonic accepts, for an error message."""
    words = {"M": "$m", "A": "$a", "MP": "$m pair", "AP": "$a pair", "AQ": "$a quad", "X": "value"}
    shown = []
    for signature in patterns()[mnemonic]:
        parts = []
        for letter in signature:
            head = letter.rstrip(_SUFFIXES)
            parts.append(words.get(head, f"$a:{head}") + letter[len(head) :])
        shown.append("`" + (", ".join(parts) or "nothing") + "`")
    return " or ".join(dict.fromkeys(shown))

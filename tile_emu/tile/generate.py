"""Source of the interpreter's dispatch, generated from the instruction table and the semantic functions.

Each form with semantics becomes one branch of an if/elif chain on its opcode (LLVM turns it into a jump table). What a
branch looks like follows from the form's shape and operands; what it computes is the semantic function, called by
name. The chains are split into groups, one function each, because Numba's front end takes time that grows faster than
a function's length; the loops in ``worker_template.py`` and ``supervisor_template.py`` call the groups.

Order inside a bundle: the main half first, with loaded ARF values held back; then the aux half; then the held values.
So both halves read old registers, a store sees the old value of a register the aux half overwrites, and a fault of the
main half leaves no trace of the aux half.
"""

from __future__ import annotations

from collections.abc import Iterable

from tile_emu.isa.semantics import SEMANTICS
from tile_emu.isa.table import Form, table
from tile_emu.tile.branch import Branch, parameters
from tile_emu.tile.groups import RARE, SIGNATURES
from tile_emu.tile.layout import FIELD_AUX_OPERANDS, FIELD_MAIN_OPERANDS
from tile_emu.tile.opcodes import GROUPS, group_of, opcode_of


def _fetch(fields: Iterable[str], pipe: str) -> list[str]:
    """Read operand fields of the decoded row. Registers go through uint32, so that indices are known not negative."""
    base = FIELD_AUX_OPERANDS if pipe == "aux" else FIELD_MAIN_OPERANDS
    entries = ((name, f"code[p + U{base + int(name[1:])}]") for name in sorted(fields))
    return [
        f"{name} = int64(uint32({entry}))" if name[0] == "r" else f"{name} = int64({entry})" for name, entry in entries
    ]


def _chain(forms: Iterable[Form]) -> list[str]:
    """Operand fetch and if/elif chain of some forms of one pipe."""
    lines: list[str] = []
    fields: set[str] = set()
    pipe = "main"
    for form in forms:
        branch = Branch(form)
        word = "elif" if lines else "if"
        lines.append(f"{word} op == {opcode_of(form)}:  # {form.mnemonic} {form.text}")
        lines += [f"    {line}" for text in branch.lines() for line in text.splitlines()]
        fields |= branch.fields
        pipe = form.pipe
    return _fetch(fields, pipe) + lines


def _members(group: str) -> list[Form]:
    return [form for form in table().forms if form.mnemonic in SEMANTICS and group_of(form) == group]


def group_function(group: str) -> str:
    """Source of one group's dispatch function ``do_<group>(op, code, p, ...)``."""
    taken, prologue, _, final = SIGNATURES[group]
    decorator = "@jit(leaf=True)" if group in RARE else "@jit(inline=True)"
    lines = [decorator, f"def do_{group}(op, code, p, {taken}):"]
    if group in RARE:
        lines.append("    outlined()")
    lines += [f"    {line}" for line in [*prologue.splitlines(), *_chain(_members(group))]]
    if final:
        lines.append(f"    {final}")
    return "\n".join(lines)


def stochastic_opcodes() -> tuple[int, ...]:
    """Opcodes of the forms that take a random draw when FP_CTL.ESR is set."""
    known = (form for form in table().forms if form.mnemonic in SEMANTICS)
    return tuple(opcode_of(form) for form in known if "draw" in parameters(SEMANTICS[form.mnemonic]))


def system_chain(indent: str) -> str:
    """The supervisor's own instructions, as a chain to stand inside its loop."""
    return "\n".join(indent + line for line in _chain(_members("system")))


def group_functions() -> str:
    """Source of all groups but the supervisor's."""
    return "\n\n\n".join(group_function(group) for group in GROUPS if group != "system")


def semantic_imports() -> str:
    """Import lines for every semantic function under its ``S_`` name."""
    names = sorted({(s.module, s.name) for s in SEMANTICS.values() if s.function is not None})
    return "\n".join(f"from {module} import {name} as S_{name}" for module, name in names)

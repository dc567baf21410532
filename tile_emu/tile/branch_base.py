"""One form's branch of the dispatch: how generated code names its operands and leaves with a fault."""

from __future__ import annotations

from tile_emu.isa.semantics import SEMANTICS, Semantic
from tile_emu.isa.table import Form, Operand
from tile_emu.tile.groups import SIGNATURES
from tile_emu.tile.opcodes import group_of

_NO_FLAG_MODULES = ("integer",)


class BranchBase:
    """One form's branch: helpers to name operands, and the emitters by shape."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.semantic: Semantic = SEMANTICS[form.mnemonic]
        self.fields: set[str] = set()  # operand fields the branch reads, see _fetch
        self.printed = [form.operands[index] for index, _ in form.text_operands]

    # Operands.

    def field(self, operand: Operand) -> str:
        """Name of an operand's decoded value: rN for a register's position, sN for an immediate."""
        name = ("r" if operand.meaning.is_register else "s") + operand.name[2:]
        self.fields.add(name)
        return name

    def value(self, operand: Operand, word: int = 0) -> str:
        """Content of a source operand (one 32-bit word of it), or the immediate."""
        kind = operand.meaning
        if not kind.is_register:
            return self.field(operand)
        if kind.file == "m":
            return f"int64(mrf[{self.field(operand)}])"
        content = f"int64(arf[{self.field(operand)}{f' + {word}' if word and not kind.select else ''}])"
        if kind.select == "BL":
            return f"(({content} & 0xFFFF) * 0x10001)"
        if kind.select == "BU":
            return f"(({content} >> 16) * 0x10001)"
        return content

    @property
    def destinations(self) -> list[Operand]:
        return [o for o in self.printed if o.direction == "out"]

    @property
    def sources(self) -> list[Operand]:
        return [o for o in self.printed if o.direction != "out"]

    @property
    def call(self) -> str:
        return f"S_{self.semantic.name}"

    @property
    def has_flags(self) -> bool:
        return self.semantic.module.rsplit(".", 1)[-1] not in _NO_FLAG_MODULES

    def fail(self, status: str, address: str = "-1") -> list[str]:
        """Leave the group with a fault."""
        text = SIGNATURES[group_of(self.form)][2].format(status=status, address=address)
        return ["    " + line for line in text.splitlines()]

    def note(self, action: str, offset: str, size: int) -> list[str]:
        """Tell the instrumented variant of a "read" or "write" of ``size`` bytes at an SRAM offset."""
        return [f"@@note_{action}(view, {offset}, {size})"]

    def write_mrf(self, operand: Operand, value: str) -> list[str]:
        """Write a main register; names without storage ignore it."""
        number = self.field(operand)
        if operand.direction == "inout":
            return [f"d = {number}", "if d < MRF_WRITABLE:", f"    mrf[d] = uint32(({value}) & M32)"]
        return [f"mrf[{number}] = uint32(({value}) & M32)"]

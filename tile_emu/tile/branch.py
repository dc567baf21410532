"""Branches of arithmetic, control flow, status registers and the supervisor's own instructions."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from tile_emu.isa.semantics import Semantic
from tile_emu.isa.table import Operand
from tile_emu.tile.branch_memory import MemoryBranch
from tile_emu.tile.groups import EXTRA_TURNS_SHIFT
from tile_emu.tile.layout import FIELD_SECOND_WORD

# What a semantic function may ask for by the name of a parameter, and what generated code passes.
CONTEXT_PARAMETERS = {
    "ctl": "ctl",
    "acc": "acc",
    "weights16": "weights16",
    "weights32": "weights32",
    "tas": "int64(csr[W_TAS])",
    "nfmt": "int64(csr[W_FP_NFMT])",
    "scale": "int64(csr[W_FP_SCL])",
    "prng": "csr[W_PRNG : W_PRNG + 4]",
    "draw": "draw",
}


def parameters(semantic: Semantic) -> tuple[str, ...]:
    """Parameter names of a semantic function."""
    if semantic.function is None:
        return ()
    return tuple(inspect.signature(getattr(semantic.function, "py_func", semantic.function)).parameters)


class Branch(MemoryBranch):
    """Body of one form's branch; the emitter is chosen by the shape of its semantics."""

    def lines(self) -> list[str]:
        """Body of the branch."""
        emit: Callable[[], list[str]] = getattr(self, "_" + self.semantic.shape.value.replace("-", "_"))
        return emit()

    def _arguments(self, word: int | None = None) -> list[str]:
        """Arguments of the semantic function: context parameters by name, then the sources in printed order."""
        arguments: list[str] = []
        for name in parameters(self.semantic):
            if name not in CONTEXT_PARAMETERS:
                break
            # An ALU form of two words uses random fields 0, 1 for the first and 2, 3 for the second.
            arguments.append("draw >> 32" if name == "draw" and word else CONTEXT_PARAMETERS[name])
        for operand in self.sources:
            kind = operand.meaning
            words = range(kind.group) if word is None and kind.file == "a" else (word or 0,)
            arguments += [self.value(operand, w) for w in words]
        return arguments

    def _alu(self) -> list[str]:
        if self.form.pipe == "main":
            destination = next(o for o in self.printed if o.writes)
            return self.write_mrf(destination, f"{self.call}({', '.join(self._arguments())})")
        destination = self.destinations[0]
        group = destination.meaning.group
        lines = [f"v{w} = {self.call}({', '.join(self._arguments(w))})" for w in range(group)]
        return lines + self._write_arf(destination, [f"v{w}" for w in range(group)])

    def _write_arf(self, destination: Operand, values: list[str]) -> list[str]:
        lines = []
        if self.has_flags:
            together = " | ".join(f"({v} >> 32)" for v in values)
            turns = self.semantic.attributes.get("turns", 1) - 1
            lines.append(f"flags = {together}{f' | {turns << EXTRA_TURNS_SHIFT}' if turns else ''}")
        target = self.field(destination)
        if len(values) == 1:
            return [*lines, f"arf[{target}] = uint32({values[0]} & M32)"]
        # Pairs as 64 bits: a later 64-bit read of two 32-bit writes would have to wait for both to reach the cache.
        for pair in range(len(values) // 2):
            low, high = values[2 * pair], values[2 * pair + 1]
            lines.append(f"arf64[({target} >> 1) + {pair}] = join_words({low}, {high})")
        return lines

    def _group(self) -> list[str]:
        call = f"{self.call}({', '.join(self._arguments())})"
        if not self.destinations:
            return [f"flags = {call} >> 32"]
        group = self.destinations[0].meaning.group
        names = [f"v{w}" for w in range(group)]
        return [f"{', '.join(names)} = {call}", *self._write_arf(self.destinations[0], names)]

    def _alu_pair(self) -> list[str]:
        number = self.field(self.destinations[0])
        return [
            f"both = {self.call}({', '.join(self._arguments())})",
            f"d = {number}",
            "mrf[d] = uint32(both & M32)",
            "if d < MRF_WRITABLE:",
            "    mrf[d + 1] = uint32((both >> 32) & M32)",
        ]

    def _taken(self, target: str, indent: str = "") -> list[str]:
        return [f"{indent}next_pc = {target}", f"{indent}taken = 1"]

    def _branch(self) -> list[str]:
        condition, target = self.printed
        return [f"if {self.call}({self.value(condition)}):", *self._taken(f"4 * {self.field(target)}", "    ")]

    def _branch_decrement(self) -> list[str]:
        counter, target = self.printed
        lines = [f"count = {self.value(counter)}", "if count != 0:"]
        lines += ["    " + line for line in self.write_mrf(counter, "count - 1")]
        return lines + self._taken(f"4 * {self.field(target)}", "    ")

    def _jump(self) -> list[str]:
        return self._taken(f"4 * {self.field(self.printed[0])}")

    def _jump_register(self) -> list[str]:
        return self._taken(self.value(self.printed[0]))

    def _call(self) -> list[str]:
        link, target = self.printed
        # Bit 19 of the target field is ignored.
        return [*self.write_mrf(link, "next_pc"), *self._taken(f"4 * ({self.field(target)} & 0x7FFFF)")]

    def _repeat(self) -> list[str]:
        count, size = self.printed
        return [
            f"count = {self.value(count)}{' & repeat_mask' if count.meaning.is_register else ''}",
            f"body = 8 * ({self.field(size)} + 1)",
            "if next_pc & 7:",
            *self.fail("INVALID_PC"),
            "if count == 0:",
            "    next_pc += body",
            "else:",
            "    repeat_count = count",
            "    repeat_end = next_pc + body",
        ]

    def _exit(self) -> list[str]:
        return [f"ended = EXITED_TRUE if {self.call}({self.value(self.printed[0])}) else EXITED_FALSE"]

    def _slot(self, index: Operand) -> list[str]:
        """Storage slot of a status register of the worker, or a fault."""
        space = 1 if self.form.pipe == "aux" else 0
        return [f"slot = int64(slots[{space}, {self.field(index)}])", "if slot == NO_SLOT:", *self.fail("INVALID_OP")]

    def _get(self) -> list[str]:
        destination, index = self.printed
        read = "read_worker(csr, slot, own, cycle, pc)"
        if self.form.pipe == "aux":
            return [*self._slot(index), f"arf[{self.field(destination)}] = uint32({read} & M32)"]
        return [*self._slot(index), *self.write_mrf(destination, read)]

    def _put(self) -> list[str]:
        index, source = self.printed
        return [*self._slot(index), f"return write_worker(csr, slot, {self.value(source)}, acc)"]

    def _trap(self) -> list[str]:
        bit = self.field(self.printed[0])
        return [f"if {bit} & 1:", *self.fail("PBRK1"), "else:", *self.fail("PBRK0")]

    # Supervisor only: pasted into its loop, where faults break.

    def _weights(self) -> list[str]:
        size = self.semantic.attributes["size"]
        slots = size // 8
        lines = [
            f"slot = {self.field(self.printed[0])}",
            f"if slot > weight_slots - {slots}{' or slot & 1' if slots == 2 else ''}:",
            *self.fail("INVALID_OP"),
            "address = int64(scsr[S_CCCSLOAD])",
            f"if address & {size - 1}:",
            *self.fail("INVALID_OP"),
            *self._check("address", size),
        ]
        for n in range(slots):
            lines.append(f"load_weights(weight_store, weights16, weights32, slot + {n}, mem64[(o >> 3) + {n}])")
        lines += [*self.note("read", "o", size), "@@note_weights(view)"]
        return [*lines, f"scsr[S_CCCSLOAD] = uint32((address + {size}) & M32)"]

    def _launch(self) -> list[str]:
        entry, vertex, immediate = self.printed
        every = self.form.mnemonic == "runall"
        return [
            f"status = begin_launch({every}, {self.value(entry)}, {self.value(vertex)}, {self.field(immediate)}, "
            "t, sup, progress, scsr, csrs, all_mrf, timing, sram_base, executable)",
            "if status != 0:",
            "    break",
            f"@@note_launch(view, {every})",
            "launching = True",
        ]

    def _sync(self) -> list[str]:
        return [
            f"zone = {self.field(self.printed[0])}",
            "if zone == 2:",
            "    cost = max(1, last_exit + local_sync - t) if last_exit >= 0 else 1",
            "    @@note_wait(view)",
            "elif zone != 0 and (zone != 1 or sup[SANS_CYCLE] >= 0):",
            "    sup[ARRIVAL] = sup[SANS_CYCLE] if zone == 1 else t",
            "    sup[SANS_CYCLE] = -1",
            "    status = BARRIER if zone == 1 or zone == 3 else HOST",
            "    waiting = True",
            "    @@note_barrier(view)",
        ]

    def _exchange(self) -> list[str]:
        name = self.form.mnemonic
        operands = [self.field(operand) for operand in self.printed]
        if name == "delay":
            return [f"cost = {operands[0]} + 1"]
        if name == "sans":
            return ["sup[SANS_CYCLE] = t"]
        if name == "sendpicp":
            operands.append(f"int64(code[p + U{FIELD_SECOND_WORD}]) & M32")
        operands += ["0"] * (5 - len(operands))
        return [
            f"cost = {operands[0]} + 1",
            f"status = exchange_{name}(t - sup[RELEASE], {', '.join(operands)}, sup, scsr, log)",
            "if status != 0:",
            "    break",
        ]

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

import inspect
from collections.abc import Callable, Iterable

from tile_emu.isa.semantics import SEMANTICS, Semantic
from tile_emu.isa.table import Form, Operand, table
from tile_emu.tile.layout import FIELD_AUX_OPERANDS, FIELD_MAIN_OPERANDS, FIELD_SECOND_WORD
from tile_emu.tile.opcodes import GROUPS, group_of, opcode_of

CONTEXT_PARAMETERS = {
    "ctl": "ctl",
    "acc": "acc",
    "weights16": "weights16",
    "weights32": "weights32",
    "tas": "int64(csr[W_TAS])",
}
_FLAG_MODULES = ("floating", "accumulators", "amp")

# Parameters and last line of each group's function; what a fault inside it returns, with {status} and {address}.
_MEMORY = "mem8, mem16, mem32, mem64, sram, pages, mrf, arf, arf64, undo, trapping"
_NOTHING_HELD = "t0 = t1 = -1\nw0 = w1 = 0"
_UNPACK = "sram_base, sram_size, interleaved, executable, repeat_mask, code_end = sram"
SIGNATURES: dict[str, tuple[str, str, str, str]] = {
    # group: parameters, prologue, fault return, final return
    "alu": ("mrf, arf", "", "", ""),
    "load": (
        _MEMORY,
        _UNPACK + "\n" + _NOTHING_HELD,
        "return {status}, {address}, -1, 0, -1, 0",
        "return 0, -1, t0, w0, t1, w1",
    ),
    "pace": (
        _MEMORY,
        _UNPACK + "\n" + _NOTHING_HELD,
        "return {status}, {address}, -1, 0, -1, 0",
        "return 0, -1, t0, w0, t1, w1",
    ),
    "store": (_MEMORY, _UNPACK, "return {status}, {address}", "return 0, -1"),
    "control": (
        "mrf, next_pc, repeat_mask",
        "taken = repeat_count = repeat_end = 0\nended = 0",
        "return {status}, next_pc, 0, 0, 0, 0",
        "return 0, next_pc, taken, repeat_count, repeat_end, ended",
    ),
    "csr": ("mrf, csr, slots, own, acc, cycle, pc", "", "return {status}", "return 0"),
    "aux_csr": ("arf, csr, slots, own, acc, cycle, pc", "", "return {status}", "return 0"),
    "bits": ("arf, arf64, acc, ctl, csr", "flags = 0", "", "return flags"),
    "f32": ("arf, arf64, acc, ctl, csr", "flags = 0", "", "return flags"),
    "f16": ("arf, arf64, acc, ctl, csr", "flags = 0", "", "return flags"),
    "accumulate": ("arf, arf64, acc, ctl, csr", "flags = 0", "", "return flags"),
    "amp": ("arf, arf64, acc, ctl, weights16, weights32", "flags = 0", "", "return flags"),
    "system": ("", "", "status = {status}\nfault_address = {address}\nbreak", ""),
}

RARE = ("csr", "aux_csr")  # groups that are called, not inlined into the loops


class Branch:
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
        return self.semantic.module.rsplit(".", 1)[-1] in _FLAG_MODULES

    def fail(self, status: str, address: str = "-1") -> list[str]:
        """Leave the group with a fault."""
        text = SIGNATURES[group_of(self.form)][2].format(status=status, address=address)
        return ["    " + line for line in text.splitlines()]

    def write_mrf(self, operand: Operand, value: str) -> list[str]:
        """Write a main register; names without storage ignore it."""
        number = self.field(operand)
        if operand.direction == "inout":
            return [f"d = {number}", "if d < MRF_WRITABLE:", f"    mrf[d] = uint32(({value}) & M32)"]
        return [f"mrf[{number}] = uint32(({value}) & M32)"]

    # Emitters.

    def lines(self) -> list[str]:
        """Body of the branch."""
        emit: Callable[[], list[str]] = getattr(self, "_" + self.semantic.shape.value.replace("-", "_"))
        return emit()

    def _arguments(self, word: int | None = None) -> list[str]:
        """Arguments of the semantic function: context parameters by name, then the sources in printed order."""
        arguments: list[str] = []
        assert self.semantic.function is not None
        function = getattr(self.semantic.function, "py_func", self.semantic.function)
        for name in inspect.signature(function).parameters:
            if name not in CONTEXT_PARAMETERS:
                break
            arguments.append(CONTEXT_PARAMETERS[name])
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
            lines.append(f"flags = {together}")
        target = self.field(destination)
        if len(values) == 1:
            return [*lines, f"arf[{target}] = uint32({values[0]} & M32)"]
        # Pairs as 64 bits: a later 64-bit read of two 32-bit writes would have to wait for both to reach the cache.
        for pair in range(len(values) // 2):
            low, high = values[2 * pair], values[2 * pair + 1]
            lines.append(f"arf64[({target} >> 1) + {pair}] = ({low} & M32) | ({high} << 32)")
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

    # Memory.

    def _check(self, address: str, size: int, store: bool = False) -> list[str]:
        """Range and alignment (and region for 128 bits); ``o`` becomes the byte offset into the tile's SRAM."""
        bad = f"o & {size - 1} or o < 0 or o > sram_size - {size}" if size > 1 else "o < 0 or o >= sram_size"
        lines = [f"o = {address} - sram_base", f"if {bad}{' or o < interleaved' if size == 16 else ''}:"]
        lines += self.fail("INVALID_ADDR", "o + sram_base")
        return lines + (self._before_store("o") if store else [])

    def _before_store(self, offset: str) -> list[str]:
        """A store into executable memory outdates decoded words; a bundle that may trap must be undoable."""
        return [
            f"if {offset} < code_end:",
            f"    forget_page(pages, {offset})",
            "if trapping:",
            f"    keep_memory(undo, mem64, {offset} & -8)",
        ]

    def _read(self, size: int) -> str:
        return f"int64(mem{8 * size}[o >> {size.bit_length() - 1}])"

    def _load_into(self, destination: Operand, size: int, from_memory: str = "") -> list[str]:
        """Read at offset o and write an MRF register, or hold words back for the ARF."""
        if destination.meaning.file == "m":
            return self.write_mrf(destination, f"{self.call}({self._read(size)})")
        if size < 8:
            return [f"w0 = {self.call}({self._read(size)}) & M32", "t0 = d | HELD_WORD"]
        lines = ["w0 = int64(mem64[o >> 3])", "t0 = d"]
        if size == 16:
            lines += ["w1 = int64(mem64[(o >> 3) + 1])", "t1 = d + 2"]
        return lines

    def _guarded_load(self, destination: Operand, address: str, size: int) -> list[str]:
        """A load into a register without storage touches no memory (inferred)."""
        body = self._check(address, size) + self._load_into(destination, size)
        if destination.meaning.file == "m":
            return body
        return [f"d = {self.field(destination)}", "if d < ARF_STORED:", *("    " + line for line in body)]

    def _load(self) -> list[str]:
        destination, base, delta, offset = self.printed
        size = self.semantic.attributes["size"]
        address = f"(({self.value(base)} + {self.value(delta)} + {size} * {self.value(offset)}) & M32)"
        return self._guarded_load(destination, address, size)

    def _load_step(self) -> list[str]:
        destination, base, delta, increment = self.printed
        size = self.semantic.attributes["size"]
        lines = [
            f"old = {self.value(delta)}",
            f"step = {self.signed(increment)}",
            *self._guarded_load(destination, f"(({self.value(base)} + old) & M32)", size),
        ]
        return lines + self.write_mrf(delta, f"old + {size} * step")

    def signed(self, operand: Operand) -> str:
        """A step operand: signed immediate, or a register read as a signed number."""
        value = self.value(operand)
        return f"sign_extend({value}, 32)" if operand.meaning.is_register else value

    def _write_memory(self, source: Operand, size: int) -> list[str]:
        if size == 8:
            return [f"mem64[o >> 3] = uint64(arf64[{self.field(source)} >> 1])"]
        return [f"mem32[o >> 2] = uint32({self.value(source)})"]

    def _store_at(self, source: Operand, address: str) -> list[str]:
        size = self.semantic.attributes["size"]
        return [*self._check(address, size, store=True), *self._write_memory(source, size)]

    def _store(self) -> list[str]:
        source, base, delta, offset = self.printed
        size = self.semantic.attributes["size"]
        return self._store_at(
            source, f"(({self.value(base)} + {self.value(delta)} + {size} * {self.value(offset)}) & M32)"
        )

    def _store_step(self) -> list[str]:
        source, base, delta, increment = self.printed
        size = self.semantic.attributes["size"]
        lines = [f"old = {self.value(delta)}", f"step = {self.signed(increment)}"]
        lines += self._store_at(source, f"(({self.value(base)} + old) & M32)")
        return lines + self.write_mrf(delta, f"old + {size} * step")

    def _store_indexed(self) -> list[str]:
        source, base, offset = self.printed
        return self._store_at(source, f"(({self.value(base)} + 4 * {self.value(offset)}) & M32)")

    def _store_indexed_step(self) -> list[str]:
        source, base, stride = self.printed
        lines = [f"old = {self.value(base)}", f"step = {self.signed(stride)}", *self._store_at(source, "old")]
        return lines + self.write_mrf(base, "old + 4 * step")

    def _two_accesses(self, sizes: tuple[int, int]) -> list[str]:
        """Check addresses a0 and a1 of two accesses, then that they lie in different elements."""
        return [
            *self._check("a0", sizes[0]),
            *self._check("a1", sizes[1]),
            "if same_element(a0, a1, sram_base + interleaved):",
            *self.fail("CONFLICT", "a1"),
        ]

    def _load_delta(self) -> list[str]:
        destination, pointer, base, delta = self.printed
        attributes = self.semantic.attributes
        size, width = attributes["size"], attributes["delta"]
        return [
            f"a0 = {self.value(pointer)}",
            f"old = {self.value(delta)}",
            f"a1 = ({self.value(base)} + ((old >> {attributes['shift']}) & 0xFFFF)) & M32",
            f"d = {self.field(destination)}",
            "if d < ARF_STORED:",
            *("    " + line for line in self._two_accesses((width, size))),
            *("    " + line for line in self._load_into(destination, size)),
            *self._check("a0", width),
            f"following = {self._read(width)}",
            *self.write_mrf(delta, "following"),
            *self.write_mrf(pointer, f"a0 + {width}"),
        ]

    def _load_two(self) -> list[str]:
        return self._ld64a32() if self.form.mnemonic == "ld64a32" else self._ldb16b16()

    def _ld64a32(self) -> list[str]:
        destination, pointer, base, delta = self.printed
        return [
            f"a0 = {self.value(pointer)}",
            f"a1 = ({self.value(base)} + ({self.value(delta)} & 0xFFFF)) & M32",
            f"d = {self.field(destination)}",
            "if d < ARF_STORED:",
            *("    " + line for line in self._two_accesses((8, 4))),
            "    w1 = int64(mem32[o >> 2])",
            "    t1 = (d + 1) | HELD_WORD",
            "    w0 = int64(mem64[(a0 - sram_base) >> 3])",
            "    t0 = d + 2",
            *self.write_mrf(pointer, "a0 + 8"),
        ]

    def _ldb16b16(self) -> list[str]:
        destination, base, deltas, mini = self.printed
        return [
            f"old = {self.value(deltas)}",
            f"a0 = ({self.value(base)} + (old & 0xFFFF)) & M32",
            f"a1 = ({self.value(base)} + (old >> 16)) & M32",
            f"d = {self.field(destination)}",
            f"small = {self.value(mini)}",
            "if d < ARF_STORED:",
            *("    " + line for line in self._two_accesses((2, 2))),
            "    w0 = int64(mem16[(a0 - sram_base) >> 1]) * 0x10001 | (int64(mem16[o >> 1]) * 0x10001) << 32",
            "    t0 = d",
            *self.write_mrf(deltas, "((old + 2) & 0xFFFF) | (((old >> 16) + 2 * (small & 15)) & 0xFFFF) << 16"),
            *self.write_mrf(mini, "small >> 4"),
        ]

    def _pace(self) -> list[str]:
        registers, packed, stride, selectors = self.printed[:-3], *self.printed[-3:]
        accesses = self.semantic.attributes["accesses"]
        lines = [
            f"pair = {self.field(packed)}",
            "low, high = int64(mrf[pair]), int64(mrf[pair + 1])",
            f"strides = {self.value(stride)}",
            f"selectors = {self.field(selectors)}",
        ]
        for which, _, _ in accesses:
            lines.append(f"a{which} = pace_address(low, high, {which})")
        lines += self._pace_targets(registers, accesses)
        lines += self._pace_checks(accesses)
        lines += self._pace_transfers(registers, accesses)
        return lines + self._pace_advance(accesses)

    def _pace_targets(self, registers: list[Operand], accesses: tuple[tuple[int, int, str], ...]) -> list[str]:
        """Destination positions d0, d1 of the load streams; a stream into a register without storage is off."""
        loads = [access for access in accesses if access[2] != "store"]
        if self.form.mnemonic == "ld2xst64pace":
            return [f"d0 = {self.field(registers[0])}", "d1 = d0 + 2 if d0 < ARF_STORED else d0"]
        lines = [f"d{n} = {self.field(registers[n])}" for n in range(len(loads))]
        if len(loads) == 2:
            second = registers[1].meaning.group
            overlap = "d0 == d1" if second == 2 else "d0 == (d1 & -2)"
            lines += [f"if {overlap} and d0 < ARF_STORED:", *self.fail("INVALID_OP")]
        return lines

    def _pace_checks(self, accesses: tuple[tuple[int, int, str], ...]) -> list[str]:
        """Offsets o0..o2 of the accesses, checked; -1 for a load that is off. One test passes the usual case."""
        offsets = [f"o{which}" for which, _, _ in accesses]
        lines = [f"o{which} = a{which} - sram_base" for which, _, _ in accesses]
        usual = [f"({' | '.join(offsets)}) & 7 == 0"] + [f"uint64({o}) <= uint64(sram_size - 8)" for o in offsets]
        usual += [f"d{which} < ARF_STORED" for which, _, kind in accesses if kind != "store"]
        lines.append(f"if not ({' and '.join(usual)}):")
        for which, size, kind in accesses:
            check = [f"    {line}" for line in self._check(f"a{which}", size)]
            if kind == "store":
                lines += check
            else:
                lines += [f"    if d{which} < ARF_STORED:", *(f"    {line}" for line in check)]
                lines += ["    else:", f"        o{which} = -1"]
        for i, (first, _, _) in enumerate(accesses):
            for second, _, kind in accesses[i + 1 :]:
                made = f"o{first} >= 0" + (f" and o{second} >= 0" if kind != "store" else "")
                lines.append(f"if {made} and same_element(a{first}, a{second}, sram_base + interleaved):")
                lines += self.fail("CONFLICT", f"a{second}")
        return lines + (self._before_store("o2") if accesses[-1][2] == "store" else [])

    def _pace_transfers(self, registers: list[Operand], accesses: tuple[tuple[int, int, str], ...]) -> list[str]:
        """Loads first (held back), then the store of the old register content."""
        lines: list[str] = []
        for which, size, kind in accesses:
            if kind == "store":
                continue
            lines.append(f"if o{which} >= 0:")
            if size == 8:
                lines += [f"    w{which} = int64(mem64[o{which} >> 3])", f"    t{which} = d{which}"]
            else:
                scale = " * 0x10001" if kind == "broadcast" else ""
                lines.append(f"    w{which} = int64(mem{8 * size}[o{which} >> {size // 2}]){scale}")
                lines.append(f"    t{which} = d{which} | HELD_WORD")
        if any(kind == "store" for _, _, kind in accesses):
            lines.append(f"mem64[o2 >> 3] = uint64(arf64[{self.field(registers[-1])} >> 1])")
        return lines

    def _pace_advance(self, accesses: tuple[tuple[int, int, str], ...]) -> list[str]:
        """Advance the used addresses by their selected strides and pack them again."""
        lines = ["if selectors == 0:"]
        lines += [f"    a{which} += {size}" for which, size, _ in accesses]
        lines.append("else:")
        for n, (which, size, _) in enumerate(accesses):
            lines.append(f"    a{which} += pace_stride(strides, (selectors >> {2 * n}) & 3, {size})")
        used = {which for which, _, _ in accesses}
        if 0 in used:
            lines.append("low = (low & ~0x1FFFFF) | (a0 & 0x1FFFFF)")
        if 1 in used:
            lines.append("high = (high & ~0x1FFFFF) | (a1 & 0x1FFFFF)")
        if 2 in used:
            lines.append("low = (low & 0x1FFFFF) | ((a2 & 0x7FF) << 21)")
            lines.append("high = (high & 0x801FFFFF) | (((a2 >> 11) & 0x3FF) << 21)")
        return [*lines, "mrf[pair] = uint32(low & M32)", "mrf[pair + 1] = uint32(high & M32)"]

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
        return [*lines, f"scsr[S_CCCSLOAD] = uint32((address + {size}) & M32)"]

    def _launch(self) -> list[str]:
        entry, vertex, immediate = self.printed
        every = self.form.mnemonic == "runall"
        return [
            f"status = begin_launch({every}, {self.value(entry)}, {self.value(vertex)}, {self.field(immediate)}, "
            "t, sup, progress, scsr, csrs, all_mrf, timing, sram_base, executable)",
            "if status != 0:",
            "    break",
            "launching = True",
        ]

    def _sync(self) -> list[str]:
        return [
            f"zone = {self.field(self.printed[0])}",
            "if zone == 2:",
            "    cost = max(1, last_exit + local_sync - t) if last_exit >= 0 else 1",
            "elif zone != 0 and (zone != 1 or sup[SANS_CYCLE] >= 0):",
            "    sup[ARRIVAL] = sup[SANS_CYCLE] if zone == 1 else t",
            "    sup[SANS_CYCLE] = -1",
            "    status = BARRIER if zone == 1 or zone == 3 else HOST",
            "    waiting = True",
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
    parameters, prologue, _, final = SIGNATURES[group]
    decorator = "@jit(leaf=True)" if group in RARE else "@jit(inline=True)"
    lines = [decorator, f"def do_{group}(op, code, p, {parameters}):"]
    lines += [f"    {line}" for line in [*prologue.splitlines(), *_chain(_members(group))]]
    if final:
        lines.append(f"    {final}")
    return "\n".join(lines)


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

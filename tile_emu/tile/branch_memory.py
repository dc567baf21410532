"""Branches of loads, stores and packed-address instructions."""

from __future__ import annotations

from tile_emu.isa.table import Operand
from tile_emu.tile.branch_base import BranchBase


class MemoryBranch(BranchBase):
    """Emitters of the shapes that touch tile memory."""

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

    def _load_into(self, destination: Operand, size: int) -> list[str]:
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
        body = self._check(address, size) + self.note("read", "o", size) + self._load_into(destination, size)
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
        return [
            *self._check(address, size, store=True),
            *self.note("write", "o", size),
            *self._write_memory(source, size),
        ]

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
            *("    " + line for line in self.note("read", "o", size)),
            *("    " + line for line in self._load_into(destination, size)),
            *self._check("a0", width),
            *self.note("read", "o", width),
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
            *("    " + line for line in self.note("read", "o", 4) + self.note("read", "a0 - sram_base", 8)),
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
            *("    " + line for line in self.note("read", "o", 2) + self.note("read", "a0 - sram_base", 2)),
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
        """Offsets o0..o2 of the accesses, checked but for loads that are off. One test passes the usual case."""
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
        for i, (first, _, _) in enumerate(accesses):
            for second, _, kind in accesses[i + 1 :]:
                made = f"d{first} < ARF_STORED" + (f" and d{second} < ARF_STORED" if kind != "store" else "")
                lines.append(f"if {made} and same_element(a{first}, a{second}, sram_base + interleaved):")
                lines += self.fail("CONFLICT", f"a{second}")
        return lines + (self._before_store("o2") if accesses[-1][2] == "store" else [])

    def _pace_transfers(self, registers: list[Operand], accesses: tuple[tuple[int, int, str], ...]) -> list[str]:
        """Loads first (held back), then the store of the old register content."""
        lines: list[str] = []
        for which, size, kind in accesses:
            if kind == "store":
                continue
            lines.append(f"if d{which} < ARF_STORED:")
            lines += ["    " + line for line in self.note("read", f"o{which}", size)]
            if size == 8:
                lines += [f"    w{which} = int64(mem64[o{which} >> 3])", f"    t{which} = d{which}"]
            else:
                scale = " * 0x10001" if kind == "broadcast" else ""
                lines.append(f"    w{which} = int64(mem{8 * size}[o{which} >> {size // 2}]){scale}")
                lines.append(f"    t{which} = d{which} | HELD_WORD")
        if any(kind == "store" for _, _, kind in accesses):
            lines += self.note("write", "o2", 8)
            lines.append(f"mem64[o2 >> 3] = uint64(arf64[{self.field(registers[-1])} >> 1])")
        return lines

    def _pace_advance(self, accesses: tuple[tuple[int, int, str], ...]) -> list[str]:
        """Advance the used addresses by their selected strides and pack them again."""
        lines = ["if selectors == 0:"]
        lines += [f"    a{which} += {size}" for which, size, _ in accesses]
        lines.append("else:")
        for n, (which, size, _) in enumerate(accesses):
            lines.append(f"    a{which} += pace_stride(strides, (selectors >> {2 * n}) & 3, {size})")
        return lines + self.pack({which for which, _, _ in accesses})

    @staticmethod
    def pack(used: set[int]) -> list[str]:
        """Addresses a0..a2, those that are used, back into low and high and register pair ``pair``."""
        lines = []
        if 0 in used:
            lines.append("low = (low & ~0x1FFFFF) | (a0 & 0x1FFFFF)")
        if 1 in used:
            lines.append("high = (high & ~0x1FFFFF) | (a1 & 0x1FFFFF)")
        if 2 in used:
            lines.append("low = (low & 0x1FFFFF) | ((a2 & 0x7FF) << 21)")
            lines.append("high = (high & 0x801FFFFF) | (((a2 >> 11) & 0x3FF) << 21)")
        return [*lines, "mrf[pair] = uint32(low & M32)", "mrf[pair + 1] = uint32(high & M32)"]

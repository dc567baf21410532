"""How operands of every instruction form are drawn: the registry that the random programs draw from.

``Units.of(form)`` gives the lines that execute a form once: set-up of its operands, then the form itself. A form of a
new kind has no maker and is an error.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tests.differential.written import Line, Written
from tile_emu.isa.flags import PRIVATE_FLAGS
from tile_emu.isa.table import Form, table

#: Filled with data and accessed: both ends of memory, both sides of an element, of the regions, and of a pair of them.
REGION1 = 0x80000
WINDOWS = [(0x5FE00, 0x60200), (0x7FE00, 0x80200), (0x87F00, 0x88100), (0xE7E00, 0xE8000), (0x64000, 0x64100)]

#: Forms that need the rest of a chip: what tests them, see tests/test_every_form.py.
ELSEWHERE = ("sans", "send", "sendoff", "sendpic", "sendpicp", "delaypic", "delayxpic")

WORKER_CSRS = (0, 1, 2, 3, 4, 5, 6, 0x60, 0x61, 0x70, 0x71)
UPPER_CSRS = tuple(range(11))
#: Without PC, SSR and CR, which programs with workers under way must leave alone.
SUPERVISOR_CSRS = (3, *range(0x20, 0x27), 0x31, 0x33, 0x50, 0x60, 0x61, 0x70, 0x71, 0x72, 0x73, 0x90, 0xA7, 0xA9)
FP_CLR, FP_CTL = 1, 2
FP_ICTL, CCCSLOAD = 0x20, 0x50
TRAPS, ESR, NANOO = 7, 1 << 19, 1 << 20
SETZI_M, SETZI_A = "setzi_mmmn_zi", "setzi_aaan_zi"


def control_value(rng: random.Random) -> int:
    """An FP_CTL: mostly without traps, often with stochastic rounding, NaN on overflow, or another rounding mode."""
    traps = rng.choice([1, 2, 4, 7]) if rng.random() < 0.12 else 0
    mode = rng.randrange(5) << 16 if rng.random() < 0.25 else 0
    return traps | mode | (ESR if rng.random() < 0.3 else 0) | (NANOO if rng.random() < 0.4 else 0)


class Units:
    """Draws set-up and operands of forms with one random generator."""

    def __init__(self, rng: random.Random, supervised: bool = False, quiet: bool = False) -> None:
        self.rng = rng
        self.supervised = supervised
        self.quiet = quiet  # nothing that could fault or disturb another context
        self.fault_rate = 0.0 if quiet else 0.03

    # ---- operands --------------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def main_register(self, writes: bool = False) -> int:
        if self.chance(0.93):
            return self.distinct(1)[0]
        return self.rng.randrange(14 if writes else 12, 16)

    def distinct(self, count: int) -> list[int]:
        """Main registers; a supervisor keeps its return address and stack pointer."""
        return self.rng.sample(range(10 if self.supervised else 12), count)

    def aux_register(self, group: int) -> int:
        if self.chance(0.93):
            return self.rng.randrange(0, 8, group)
        return self.rng.randrange(8 if group < 4 else 12, 16, group)

    def immediate(self, low: int, high: int, shift: int) -> int:
        bound = self.rng.choice([1, 4, 40, high, high])
        value = self.rng.randint(max(low, -bound), min(high, bound))
        if shift:
            value = self.rng.getrandbits(32 - shift) << shift
        return value

    def value(self, form: Form, index: int) -> int:
        operand = form.operands[index]
        kind = operand.meaning
        if kind.file == "m" and kind.group == 2:
            return self.rng.randrange(0, 12, 2)
        if kind.file == "m":
            return self.main_register(operand.writes)
        if kind.file == "a":
            return self.aux_register(1 if kind.select else kind.group)
        return self.immediate(kind.low, kind.high, kind.shift)

    def write(self, form: Form, fixed: dict[int, int | str] | None = None, names: dict[int, str] | None = None) -> Line:
        """One instruction with operands drawn, except those ``fixed`` by position in the table."""
        fixed = fixed or {}
        while True:
            values = tuple(fixed.get(i, self.value(form, i)) for i in range(len(form.operands)))
            written = Written(form, values, tuple((names or {}).items()))
            if not written.written_twice:
                return Line((written,))

    def set_main(self, register: int, value: int) -> Line:
        return self.write(table().by_name[SETZI_M], {0: register, 1: value})

    # ---- units -----------------------------------------------------------------------------------------------

    def of(self, form: Form) -> list[Line]:
        return _maker(form)(self, form)

    def plain(self, form: Form) -> list[Line]:
        return [self.write(form)]

    def named(self, form: Form) -> list[Line]:
        """Product, SLIC and transpose steps, whose immediate has a name."""
        name = self.rng.choice(flag_names(form.mnemonic))
        index = len(form.operands) - 1
        return [self.write(form, {index: PRIVATE_FLAGS[name]}, {index: name})]

    def rounding_mode(self, form: Form) -> list[Line]:
        return [self.write(form, {2: self.rng.randrange(5)})]

    def address(self, size: int, phase: int | None = None, region: int | None = None) -> int:
        """An aligned address of a window; ``phase``: its bit 3; ``region``: 0 or 1."""
        while True:
            low, high = self.rng.choice(WINDOWS)
            found = self.rng.randrange(low, high, size)
            if region is not None and (found >= REGION1) != bool(region):
                continue
            if phase is None or found >> 3 & 1 == phase:
                return found

    def spoiled(self, address: int) -> int:
        """Mostly the address itself; else one that is misaligned, outside memory, or anywhere."""
        if not self.chance(self.fault_rate):
            return address
        return self.rng.choice([address + 1, address + 2, 0x4BFFC, 0xE8000, self.rng.getrandbits(20)])

    def load_or_store(self, form: Form) -> list[Line]:
        """Base, delta and offset or increment (semantics 7.1 to 7.3)."""
        size = access_size(form.mnemonic)
        address = self.spoiled(self.address(size, region=1 if size == 16 else None))
        base, delta, offset = self.distinct(3)
        if form.mnemonic == "stm32step":
            return [self.set_main(base, address), self.write(form, {1: base})]
        if form.mnemonic == "stm32":
            count = self.rng.randrange(64)
            return [
                self.set_main(base, address - 4 * count),
                self.set_main(delta, count),
                self.write(form, {0: base, 1: delta}),
            ]
        step = form.mnemonic.endswith("step")
        fixed: dict[int, int | str] = {0: base, 1: delta}
        lines = []
        third = form.operands[2].meaning
        count = 0 if step else self.rng.choice([0, 1, 5, 63, 4095])
        if third.is_register and not step:
            fixed[2] = offset
            lines.append(self.set_main(offset, count))
        elif third.is_register:
            fixed[2] = offset
            if self.chance(0.7):
                lines.append(self.set_main(offset, self.rng.randrange(9)))
        else:
            fixed[2] = (
                count if not step else self.rng.randint(-4, 4) if self.chance(0.8) else self.rng.randint(-128, 127)
            )
        moved = self.rng.choice([0, size, 256]) if step or self.chance(0.5) else None
        if moved is None:
            fixed[1] = 15
        else:
            lines.append(self.set_main(delta, moved))
        lines.append(self.set_main(base, (address - (moved or 0) - size * count) % 2**20))
        self.rng.shuffle(lines)
        return [*lines, self.write(form, fixed)]

    def indexed(self, form: Form) -> list[Line]:
        """The loads of semantics 7.4: pointer, base and deltas."""
        base, second, third = self.distinct(3)
        if form.mnemonic == "ldb16b16":
            address = self.address(16, region=1)
            lines = [
                self.set_main(third, 8 << 16 | 2 * self.rng.randrange(4)),
                self.set_main(base, self.spoiled(address)),
            ]
            return [*lines, self.write(form, {0: base, 1: second, 2: third})]
        fetch = 8 if form.mnemonic == "ld64a32" else 4 if "v2" in form.mnemonic else 2
        size = {"ldd16a64": 8, "ldd16b16": 2}.get(form.mnemonic, 4)
        pointer, datum = self.address(fetch, region=0), self.address(size, region=1)
        if self.chance(0.3):
            pointer, datum = self.address(fetch, 0), self.address(size, 1)
        deltas = self.rng.getrandbits(20)
        offset = deltas >> 16 if "v2" in form.mnemonic else deltas & 0xFFFF
        lines = [self.set_main(base, self.spoiled(datum - offset)), self.set_main(second, self.spoiled(pointer))]
        return [*lines, self.set_main(third, deltas), self.write(form, {0: base, 1: second, 2: third})]

    def packed(self, form: Form) -> list[Line]:
        """Packed addresses (semantics 7.5), in different elements unless drawn otherwise."""
        pair = 2 * self.rng.randrange(5 if self.supervised else 6)
        stride = self.rng.choice([r for r in range(12) if r // 2 != pair // 2] + [15])
        streams = [self.address(8, 0, 1), self.address(8, 1, 1), self.address(8, region=0)]
        if self.chance(0.1):
            streams = [self.address(8) for _ in range(3)]
        temporaries = self.rng.sample([r for r in range(12) if r != stride], 3)
        lines = [self.set_main(r, self.spoiled(a)) for r, a in zip(temporaries, streams, strict=True)]
        if stride < 12 and self.chance(0.8):
            fields = [self.rng.choice([0, 1, 2, 1023, 5]) for _ in range(2)]
            lines.append(self.set_main(stride, fields[0] | fields[1] << 10))
        pack = self.write(
            table().by_name["tapack_mmmn"], {0: temporaries[0], 1: temporaries[1], 2: temporaries[2], 3: pair}
        )
        return [*lines, pack, self.write(form, {0: stride, 1: pair})]

    def status_register(self, form: Form) -> list[Line]:
        """get, put, uget, uput."""
        known = SUPERVISOR_CSRS if self.supervised else UPPER_CSRS if form.pipe == "aux" else WORKER_CSRS
        index = self.rng.choice(known) if not self.chance(self.fault_rate) else self.rng.randrange(256)
        if self.supervised and index not in known:
            index = 0x99  # there is none
        if form.mnemonic == "uput" and index in (FP_CLR, FP_CTL):
            return self.put_control(form, index)
        if self.supervised and form.mnemonic == "put" and index == FP_ICTL:
            register = self.rng.randrange(10)
            return [
                self.set_main(register, control_value(self.rng) & 0xFFFFF & ~TRAPS),
                self.write(form, {0: register, 1: index}),
            ]
        if self.supervised and form.mnemonic == "put" and index == CCCSLOAD:
            return self.weight_pointer()
        return [self.write(form, {1: index})]

    def put_control(self, form: Form, index: int) -> list[Line]:
        """A value for FP_CLR or FP_CTL is built first: what registers hold would trap or clear all the time."""
        register = self.rng.randrange(8)
        value = control_value(self.rng) if index == FP_CTL else self.rng.choice([1, 2, 4, 7, 8, 15])
        if self.quiet:
            value &= ~TRAPS
        lines = [self.write(table().by_name[SETZI_A], {0: register, 1: value & 0xFFFFF})]
        if value >> 20:
            lines.append(self.write(table().by_name["or_aaan_iz"], {0: register, 1: register, 2: value >> 20 << 20}))
        return [*lines, self.write(form, {0: register, 1: index})]

    def weights(self, form: Form) -> list[Line]:
        slot = self.rng.randrange(64)
        if form.mnemonic == "ld128putcs" and not self.chance(self.fault_rate):
            slot &= ~1
        load = self.write(form, {0: slot if not self.chance(self.fault_rate) else 64 + slot})
        return [*self.weight_pointer(), load]

    def weight_pointer(self) -> list[Line]:
        register = self.distinct(1)[0]
        put = self.write(table().by_mnemonic["put"][0], {0: register, 1: CCCSLOAD})
        return [self.set_main(register, self.spoiled(self.address(16, region=1))), put]

    def delay(self, form: Form) -> list[Line]:
        return [self.write(form, {0: self.rng.choice([0, 1, 7, 30])})]


def access_size(mnemonic: str) -> int:
    """Bytes of ld*, st* and stm32, from their names."""
    digits = "".join(c for c in mnemonic.removesuffix("step") if c.isdigit())
    return int(digits) // 8


def flag_names(mnemonic: str) -> list[str]:
    kind = mnemonic[: mnemonic.index("v")].upper() if mnemonic.startswith(("f16", "f8")) else "F32"
    if mnemonic.endswith("istacc"):
        prefix = "TISTACC_"
    elif mnemonic.endswith("stacc"):
        prefix = "TSTACC_"
    else:
        prefix = ("TAMP_" if mnemonic.endswith("amp") else "TSLIC_") + kind
    return [name for name in PRIVATE_FLAGS if name.startswith(prefix)]


Maker = Callable[[Units, Form], list[Line]]

#: Forms with a symbolic immediate.
NAMED = re.compile(r"\w+o(v[24])?(amp|slic)|f16v4i?stacc")

#: Placed by the program generator itself: they shape a program.
SHAPING = (
    "bri",
    "br",
    "brz",
    "brnz",
    "brneg",
    "brpos",
    "brnzdec",
    "call",
    "rpt",
    "exitz",
    "exitnz",
    "exitneg",
    "exitpos",
)
SHAPING += ("run", "runall", "sync", "trap")

_BY_MNEMONIC: dict[str, Maker] = {
    "f32int": Units.rounding_mode, "delay": Units.delay, "ld64putcs": Units.weights, "ld128putcs": Units.weights,
    "tapack": Units.plain,
} | dict.fromkeys(("get", "put", "uget", "uput"), Units.status_register)  # fmt: skip


def _maker(form: Form) -> Maker:
    """What draws a form; KeyError for one that no kind here covers."""
    name = form.mnemonic
    if name in _BY_MNEMONIC:
        return _BY_MNEMONIC[name]
    if NAMED.fullmatch(name):
        return Units.named
    if name.endswith("pace"):
        return Units.packed
    if name.startswith("ldd16") or name in ("ld64a32", "ldb16b16"):
        return Units.indexed
    if name.startswith(("ld", "st")):
        return Units.load_or_store
    if form.klass == "ordinary":
        return Units.plain
    raise KeyError(f"no operands for {form.name}")


def drawn_forms(supervised: bool) -> list[Form]:
    """Forms a context can execute whose units are drawn one by one."""
    mode = "supervisor" if supervised else "worker"
    return [f for f in table().of_mode(mode) if f.mnemonic not in (*SHAPING, *ELSEWHERE) and _maker(f)]

"""Conditions under which no access of a repeat loop, or of straight code, can fault, computed once before it.

Every access starts somewhere and moves by the same distance in every pass; so the first and last pass bound all
addresses. The condition is sufficient, not necessary: where it fails the interpreter takes over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tile_emu.isa.semantics import SEMANTICS, Shape
from tile_emu.isa.table import Form, Operand
from tile_emu.tile import layout
from tile_emu.tile.translate.bundles import MemoryMap, PackFunction
from tile_emu.tile.translate.flow import Instruction

_MEMORY = (Shape.LOAD, Shape.LOAD_STEP, Shape.STORE, Shape.STORE_STEP, Shape.STORE_INDEXED, Shape.STORE_INDEXED_STEP)
_UNGUARDED = (Shape.LOAD_DELTA, Shape.LOAD_TWO)


@dataclass
class _Access:
    """One access of the body: ``offset`` is how far its stream has moved since the start of the pass."""

    stream: str
    offset: str
    size: int
    store: bool


@dataclass
class _Streams:
    """What is known so far. A stream is a name; ``start`` its address before the loop, ``moved`` terms per pass."""

    start: dict[str, str] = field(default_factory=dict)
    moved: dict[str, list[str]] = field(default_factory=dict)
    bundles: list[list[_Access]] = field(default_factory=list)

    def offset(self, stream: str) -> str:
        return _sum(self.moved[stream])

    def add(self, stream: str, start: str) -> None:
        self.start.setdefault(stream, start)
        self.moved.setdefault(stream, [])


def _sum(terms: Iterable[str]) -> str:
    """Sum as text, with the plain numbers added up."""
    terms = list(terms)
    number = sum(int(term) for term in terms if term.lstrip("-").isdigit())
    named = [term for term in terms if not term.lstrip("-").isdigit()]
    parts = [f"{named.count(term)} * {term}" for term in dict.fromkeys(named)]
    return " + ".join(parts + [str(number)] * (number != 0 or not parts))


class Guard:
    """Guard of a repeat body, or (``loops`` false, ``count`` 1) of straight code."""

    def __init__(self, body: list[Instruction], where: MemoryMap, loops: bool) -> None:
        self._body = body
        self._map = where
        self._loops = loops
        self._stored = [_stored(instruction) for instruction in body]
        self._streams = _Streams()
        self.lines: list[str] = []
        self._units: dict[int, dict[int, set[int]]] = {}  # register pair -> address -> bytes of its accesses

    def build(self) -> bool:
        """Whether all accesses follow a pattern; then ``lines`` compute ``safe`` from ``count``, [] without any."""
        for number, instruction in enumerate(self._body):
            if instruction.shape in _UNGUARDED:
                return False
            accesses: list[_Access] | None = []  # of instructions that touch no memory
            if instruction.shape is Shape.PACE:
                accesses = self._pace(number, instruction)
            elif instruction.shape in _MEMORY:
                accesses = self._plain(number, instruction)
            if accesses is None:
                return False
            self._streams.bundles.append(accesses)
        for stream in self._streams.start:
            if len({a.size for bundle in self._streams.bundles for a in bundle if a.stream == stream}) > 1:
                return False
        self.lines = self._lines()
        return True

    @property
    def accesses(self) -> int:
        return sum(len(bundle) for bundle in self._streams.bundles)

    # Streams.

    def _changed_by_others(self, registers: set[int], number: int) -> bool:
        """Whether an instruction other than those that step the same registers in the same way writes one of them."""
        key = self._step_key(self._body[number])
        return any(
            registers & stored and self._step_key(other) != key
            for other, stored in zip(self._body, self._stored, strict=True)
        )

    def _step_key(self, instruction: Instruction) -> object:
        """What must agree for two instructions to move the same stream."""
        if instruction.shape is Shape.PACE:
            return ("pace", _register(instruction, _pace_operands(instruction)[0]))
        if instruction.shape in (Shape.LOAD_STEP, Shape.STORE_STEP, Shape.STORE_INDEXED_STEP):
            # A stride in a register is another stream than an immediate one, or one in another register.
            operands = _printed(instruction)[1:]
            registers = tuple(_register(instruction, o) for o in operands if o.meaning.file == "m")
            return (instruction.shape is Shape.STORE_INDEXED_STEP, *registers)
        return id(instruction)

    def _pace(self, number: int, instruction: Instruction) -> list[_Access] | None:
        assert instruction.main is not None
        packed, stride, selectors = _pace_operands(instruction)
        pair, strides = _register(instruction, packed), _value(instruction, stride)
        if self._changed_by_others({pair, pair + 1}, number):
            return None
        if any(_register(instruction, stride) in stored for stored in self._stored):
            return None
        if _loads_twice(instruction):
            return None
        selected = _field(instruction, selectors)
        accesses = []
        for n, (which, size, kind) in enumerate(SEMANTICS[instruction.main.mnemonic].attributes["accesses"]):
            stream = f"p{pair}_{which}"
            self._units.setdefault(pair, {}).setdefault(which, set()).add(size)
            self._streams.add(stream, f"pace_address({_main(pair)}, {_main(pair + 1)}, {which})")
            if kind == "store" or self._is_live(instruction, n):
                accesses.append(_Access(stream, self._streams.offset(stream), size, kind == "store"))
            selector = (selected >> (2 * n)) & 3 if selected else 0
            step = str(size) if selector == 0 else f"pace_stride({strides}, {selector}, {size})"
            self._streams.moved[stream].append("0" if strides == "0" and selector else step)
        return accesses

    def _is_live(self, instruction: Instruction, n: int) -> bool:
        """Whether load stream n has a destination with storage."""
        assert instruction.main is not None
        registers = _printed(instruction)[:-3]
        operand = registers[0] if instruction.main.mnemonic == "ld2xst64pace" else registers[n]
        return _register(instruction, operand) < layout.ARF_STORED

    # Packed addresses kept unpacked: address n of a pair as q{pair}_{n}, a position in memory in units of its accesses.

    def paced(self, instruction: Instruction) -> int:
        """The register pair whose addresses an instruction finds and leaves unpacked; -1 if it does not."""
        if instruction.shape is not Shape.PACE:
            return -1
        pair = _register(instruction, _pace_operands(instruction)[0])
        return pair if pair in self._paced_pairs() else -1

    def _paced_pairs(self) -> list[int]:
        """Pairs of which nothing but the accesses themselves knows where they stand."""
        return [
            pair
            for pair, sizes in self._units.items()
            if pair + 1 < layout.MRF_WRITABLE
            and all(len(of_address) == 1 for of_address in sizes.values())
            and not any(_reads(instruction, {pair, pair + 1}) for instruction in self._body)
        ]

    def _paced_streams(self, pair: int) -> list[tuple[int, int, str]]:
        """Address, unit in bytes, and name of the stream, of a pair's addresses."""
        return [(which, min(sizes), f"p{pair}_{which}") for which, sizes in sorted(self._units[pair].items())]

    def unpack(self) -> list[str]:
        """Lines that unpack addresses, behind the guard's."""
        lines = []
        for pair in self._paced_pairs():
            for which, size, stream in self._paced_streams(pair):
                lines.append(f"{stream} = {self._streams.start[stream]}")
                lines.append(f"q{pair}_{which} = {self._position(stream, size)}")
        return lines

    def advance(self, instruction: Instruction) -> list[str]:
        """Lines that move the positions of an instruction on."""
        pair = self.paced(instruction)
        if pair < 0:
            return []
        assert instruction.main is not None
        _, stride, selectors = _pace_operands(instruction)
        strides, selected = _value(instruction, stride), _field(instruction, selectors)
        lines = []
        for n, (which, _, _) in enumerate(SEMANTICS[instruction.main.mnemonic].attributes["accesses"]):
            selector = (selected >> (2 * n)) & 3 if selected else 0
            if selector == 0 or strides != "0":
                step = "1" if selector == 0 else f"pace_stride({strides}, {selector}, 1)"
                lines.append(f"q{pair}_{which} += {step}")
        return lines

    def pack(self) -> list[tuple[PackFunction, str]]:
        """Functions that pack addresses again after the last pass, with the calls."""
        calls = []
        for pair in self._paced_pairs():
            streams = self._paced_streams(pair)
            function = PackFunction(tuple(which for which, _, _ in streams))
            count = "count * " if self._loops else ""
            moved = [f"{s} + {count}({self._streams.offset(s)})" for _, _, s in streams]
            calls.append((function, f"{function.name}(mrf, {pair}, {', '.join(moved)})"))
        return calls

    def _position(self, stream: str, size: int) -> str:
        return f"({stream} - {self._map.sram_base}) >> {size.bit_length() - 1}"

    def _plain(self, number: int, instruction: Instruction) -> list[_Access] | None:
        """Ordinary loads and stores: base + delta, where one of the two may step."""
        assert instruction.main is not None
        shape = instruction.shape
        operands = _printed(instruction)
        size = SEMANTICS[instruction.main.mnemonic].attributes["size"]
        data, base, rest = operands[0], operands[1], operands[2:]
        store = shape in (Shape.STORE, Shape.STORE_STEP, Shape.STORE_INDEXED, Shape.STORE_INDEXED_STEP)
        if not store and data.meaning.file == "a" and _register(instruction, data) >= layout.ARF_STORED:
            return []
        registers = [_register(instruction, o) for o in [base, *rest] if o.meaning.file == "m"]
        names = set(registers)
        step, fixed = "", 0
        if shape in (Shape.LOAD_STEP, Shape.STORE_STEP):
            start = f"(({_value(instruction, base)} + {_value(instruction, rest[0])}) & M32)"
            step = _step(instruction, rest[1], size)
            moving = _register(instruction, rest[0])
        elif shape is Shape.STORE_INDEXED_STEP:
            start, step = _value(instruction, base), _step(instruction, rest[0], size)
            moving = _register(instruction, base)
        else:
            start, fixed = self._unmoved(instruction, base, rest, size)
            moving = -1
        if any((names - {moving}) & stored for stored in self._stored):
            return None
        if moving >= 0 and self._changed_by_others({moving}, number):
            return None
        others = "_".join(str(name) for name in sorted(names - {moving}))
        stream = f"t{moving}_{others}"
        if moving < 0:
            stream = "_".join(["s", *map(str, registers), str(size)]) if fixed >= 0 else f"s{number}"
        self._streams.add(stream, start)
        offset = self._streams.offset(stream) if moving >= 0 else str(max(fixed, 0))
        access = _Access(stream, offset, size, store)
        if step:
            self._streams.moved[stream].append(step)
        return [access]

    def _unmoved(self, instruction: Instruction, base: Operand, rest: list[Operand], size: int) -> tuple[str, int]:
        """Where an access that does not step starts, and what an immediate adds to that; -1 if there is none.

        Beyond 32 bits an address wraps, without the immediate before it is added: a sum that would wrap fails the test.
        """
        *deltas, offset = rest
        terms = [_value(instruction, o) for o in (base, *deltas)]
        if not offset.meaning.is_register:
            return f"(({' + '.join(terms)}) & M32)", size * _field(instruction, offset)
        return f"(({' + '.join(terms)} + {size} * {_value(instruction, offset)}) & M32)", -1

    # Source.

    def _lines(self) -> list[str]:
        if not any(self._streams.bundles):
            return []
        lines: list[str] = []
        tests: list[str] = []
        for stream, start in self._streams.start.items():
            accesses = [a for bundle in self._streams.bundles for a in bundle if a.stream == stream]
            if accesses:
                lines += [f"{stream} = {start}", *self._reach(stream, accesses)]
                tests += self._stream_tests(stream, accesses)
        return [*lines, *self._conflicts(tests)]

    def _reach(self, stream: str, accesses: list[_Access]) -> list[str]:
        """Lowest address and end of a stream's accesses in all passes."""
        offsets = list(dict.fromkeys(a.offset for a in accesses))
        low, high = _extreme("min", offsets), _extreme("max", offsets)
        first, last = _plus(stream, low), _plus(stream, _sum([high, str(accesses[0].size)]))
        step = _sum(self._streams.moved[stream]) if self._loops else "0"
        if step.lstrip("-").isdigit():
            way = f" + (count - 1) * {step}"
            before, after = (way if int(step) < 0 else ""), (way if int(step) > 0 else "")
            return [f"{stream}_low = {first}{before}", f"{stream}_high = {last}{after}"]
        return [
            f"{stream}_step = {step}",
            f"{stream}_low, {stream}_high = reach({first}, {last}, {stream}_step, count)",
        ]

    def _stream_tests(self, stream: str, accesses: list[_Access]) -> list[str]:
        """Aligned, within memory, and for stores clear of decoded code."""
        base, size = self._map.sram_base, accesses[0].size
        lowest = base + self._map.interleaved if size == 16 else base
        tests = [f"({stream} & {size - 1} == 0)"] if size > 1 else []
        tests += [f"({stream}_low >= {lowest})", f"({stream}_high <= {base + self._map.sram_size})"]
        if any(a.store for a in accesses):
            offsets = f"{stream}_low - {base}, {stream}_high - {base}"
            code_end = self._map.code_end
            tests.append(f"clear_of_code({offsets}, pages, {code_end})")
        return tests

    def _step_of(self, stream: str) -> str:
        """What a stream moves by in a pass, as text."""
        step = _sum(self._streams.moved[stream]) if self._loops else "0"
        return step if step.lstrip("-").isdigit() else f"{stream}_step"

    def _conflicts(self, tests: list[str]) -> list[str]:
        """The whole test; bundles with several accesses: in different elements for all passes."""
        pairs: dict[tuple[str, str], list[str]] = {}
        split = self._map.sram_base + self._map.interleaved
        for bundle in self._streams.bundles:
            for i, first in enumerate(bundle):
                for second in bundle[i + 1 :]:
                    a, b = first.stream, second.stream
                    if first.offset.lstrip("-").isdigit() and second.offset.lstrip("-").isdigit():
                        between = f"{a} - {b} + {int(first.offset) - int(second.offset)}"
                    else:
                        between = f"{a} - {b} + ({first.offset}) - ({second.offset})"
                    steps = f"{self._step_of(a)}, {self._step_of(b)}"
                    pairs.setdefault((a, b), []).append(f"alternating({between}, {steps}, {a}_low, {b}_low, {split})")
        # & and |, not `and` and `or`: one block of code, which compiles much faster.
        for (a, b), others in pairs.items():
            ranges = f"apart({a}_low, {a}_high, {b}_low, {b}_high, {split})"
            tests.append(f"({ranges} | {' & '.join(dict.fromkeys(others))})")
        return [f"safe = {' & '.join(tests)}"]


def _plus(text: str, number: str) -> str:
    return text if number == "0" else f"{text} + {number}"


_ZERO = (14, 15)  # main registers that read as 0


def _main(number: int) -> str:
    return f"int64(mrf[{number}])"


def _stored(instruction: Instruction) -> set[int]:
    """Positions of main registers that an instruction writes."""
    form = instruction.main
    if form is None:
        return set()
    stored = set()
    for operand in _printed(instruction):
        if operand.meaning.file == "m" and operand.writes:
            number = _register(instruction, operand)
            pair = operand.meaning.group == 2 or instruction.shape is Shape.ALU_PAIR
            stored |= {number, number + 1} if pair else {number}
    return stored - {layout.MRF_SINK}


def _extreme(function: str, offsets: list[str]) -> str:
    if all(offset.lstrip("-").isdigit() for offset in offsets):
        return str((min if function == "min" else max)(int(offset) for offset in offsets))
    return offsets[0] if len(offsets) == 1 else f"{function}({', '.join(offsets)})"


def _printed(instruction: Instruction) -> list[Operand]:
    form: Form | None = instruction.main
    assert form is not None
    return [form.operands[index] for index, _ in form.text_operands]


def _pace_operands(instruction: Instruction) -> tuple[Operand, Operand, Operand]:
    packed, stride, selectors = _printed(instruction)[-3:]
    return packed, stride, selectors


def _loads_twice(instruction: Instruction) -> bool:
    """Whether two streams of an instruction load into one register, which is invalid."""
    assert instruction.main is not None
    loads = [a for a in SEMANTICS[instruction.main.mnemonic].attributes["accesses"] if a[2] != "store"]
    if len(loads) < 2 or instruction.main.mnemonic == "ld2xst64pace":
        return False
    first, second = (_register(instruction, operand) for operand in _printed(instruction)[:2])
    return first < layout.ARF_STORED and first >> 1 == second >> 1


def _reads(instruction: Instruction, registers: set[int]) -> bool:
    """Whether an instruction names one of some main registers, other than as its packed addresses."""
    packed = _pace_operands(instruction)[0] if instruction.shape is Shape.PACE else None
    for form, first in ((instruction.main, layout.FIELD_MAIN_OPERANDS), (instruction.aux, layout.FIELD_AUX_OPERANDS)):
        for operand in (form.operands[index] for index, _ in form.text_operands) if form is not None else ():
            if operand.meaning.is_register and operand.meaning.file == "m" and operand is not packed:
                number = int(instruction.row[first + int(operand.name[2:])])
                if registers & set(range(number, number + max(operand.meaning.group, 1))):
                    return True
    return False


def _field(instruction: Instruction, operand: Operand) -> int:
    return int(instruction.row[layout.FIELD_MAIN_OPERANDS + int(operand.name[2:])])


_register = _field  # a register's position


def _value(instruction: Instruction, operand: Operand) -> str:
    """A main register's content or an immediate, as text."""
    number = _field(instruction, operand)
    if not operand.meaning.is_register:
        return str(number)
    return "0" if number in _ZERO else _main(number)


def _step(instruction: Instruction, operand: Operand, size: int) -> str:
    """Bytes a stream moves by: a signed number of accesses."""
    value = _value(instruction, operand)
    return f"{size} * sign_extend({value}, 32)" if value.startswith("int64") else str(size * int(value))

"""Random programs: decks of forms, bundles, hardware loops, branches, and supervisor code with workers."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.differential.forms import REGION1, Units, drawn_forms
from tests.differential.written import Line, Program, Written
from tile_emu.isa.table import Form, table

EXITS = ("exitz", "exitnz", "exitneg", "exitpos")
CONDITIONAL = ("brz", "brnz", "brneg", "brpos", "brnzdec")


class Deck:
    """Forms in random order, each dealt once before any is dealt again."""

    def __init__(self, rng: random.Random, forms: list[Form]) -> None:
        self.rng, self.forms = rng, forms
        self.left: list[Form] = []

    def deal(self, suits: Callable[[Form], bool] = lambda form: True) -> Form:
        while True:
            for position in range(len(self.left) - 1, -1, -1):
                if suits(self.left[position]):
                    return self.left.pop(position)
            self.left = self.rng.sample(self.forms, len(self.forms)) + self.left


def form(mnemonic: str) -> Form:
    return table().by_mnemonic[mnemonic][0]


def is_memory(f: Form) -> bool:
    return f.mnemonic.startswith(("ld", "st")) and f.mnemonic not in ("ld64putcs", "ld128putcs")


class Composer:
    """Strings units together. One for many programs, so that every form comes up early in each run."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.workers = Deck(self.rng, drawn_forms(False))
        self.supervisors = Deck(self.rng, drawn_forms(True))
        self.shapes = Deck(self.rng, [form(name) for name in (*CONDITIONAL, "bri", "br", "call")])
        self.repeats = Deck(self.rng, list(table().by_mnemonic["rpt"]))
        self.exits = Deck(self.rng, [form(name) for name in EXITS])
        self.count = 0

    def label(self) -> str:
        self.count += 1
        return f"L{self.count}"

    # ---- workers ---------------------------------------------------------------------------------------------

    def worker(self, quiet: bool = False) -> list[Line]:
        """A worker's program, ended by one of the exits. ``quiet``: no memory, no faults, no status registers."""
        units = Units(self.rng, quiet=quiet)
        lines: list[Line] = []
        for _ in range(self.rng.randint(2, 7) if not quiet else self.rng.randint(1, 4)):
            lines += self.piece(units)
        if not quiet and self.rng.random() < 0.02:
            lines.append(units.write(form("trap")))
        return [*lines, units.write(self.exits.deal())]

    def piece(self, units: Units) -> list[Line]:
        draw = self.rng.random()
        if draw < 0.68:
            return self.straight(units)
        if draw < 0.82:
            return self.repeat(units)
        if draw < 0.94:
            return self.forward(units)
        return self.counted(units)

    def deal(self, units: Units, suits: Callable[[Form], bool] = lambda f: True) -> Form:
        if units.supervised:
            return self.supervisors.deal(suits)
        if units.quiet:
            return self.workers.deal(lambda f: suits(f) and f.klass == "ordinary" and not is_memory(f))
        return self.workers.deal(suits)

    def straight(self, units: Units) -> list[Line]:
        """A unit, its last instruction often bundled with an aux one."""
        lines = units.of(self.deal(units))
        return self.bundled(units, lines) if self.rng.random() < 0.5 else lines

    def bundled(self, units: Units, lines: list[Line]) -> list[Line]:
        """Complete a main instruction at the end of ``lines`` to a bundle, where the two may stand together."""
        *before, last = lines
        main = last.instructions[0] if last.instructions else None
        if units.supervised or main is None or len(last.instructions) > 1 or main.form.pipe != "main":
            return lines
        if not main.form.coissue:
            return lines
        for _ in range(5):
            *setup, other = units.of(self.deal(units, lambda f: f.pipe == "aux" and f.coissue))
            aux = other.instructions[0]
            if compatible(main, aux) and not touched(setup) & (main.registers(False) | main.registers(True)):
                return [*before, *setup, Line((main, aux), last.label, last.align_end)]
        return lines

    def repeat(self, units: Units) -> list[Line]:
        """rpt with a body of whole bundles; sometimes with something in it that may not stand there."""
        head, body = [], []
        for _ in range(self.rng.randint(1, 3)):
            main_form = self.deal(units, lambda f: f.pipe == "main" and f.coissue and f.klass == "ordinary")
            *setup, last = units.of(main_form)
            aux = self.deal(units, lambda f: f.pipe == "aux" and f.coissue and f.klass == "ordinary")
            for _ in range(5):
                *more, other = units.of(aux)
                if compatible(last.instructions[0], other.instructions[0]):
                    head += setup + more
                    body.append(Line((last.instructions[0], other.instructions[0])))
                    break
        if not body:
            return head
        count, register = self.rng.choice([0, 1, 2, 3, 5]), self.rng.randrange(12)
        rpt = self.repeats.deal()
        by_register = rpt.operands[0].meaning.is_register
        if by_register:
            head.append(units.set_main(register, count | (self.rng.choice([0, 3]) << 16)))
        line = units.write(rpt, {0: register if by_register else count, 1: len(body) - 1})
        if not units.quiet and count and self.rng.random() < 0.03:
            body[-1] = self.rng.choice([Line(body[-1].instructions[:1]), units.write(form("get"), {1: 1})])
        last = self.bundled(units, [line])
        return [
            *head,
            *last[:-1],
            Line(last[-1].instructions, align_end=self.rng.random() > 0.01 or units.quiet),
            *body,
        ]

    def forward(self, units: Units) -> list[Line]:
        """A branch, taken or not, past a unit."""
        target, kind = self.label(), self.shapes.deal()
        skipped = self.straight(units)
        if kind.mnemonic == "br":
            register = self.rng.randrange(10)
            lines = [units.set_main(register, 0), units.write(kind, {0: register})]
            written = lines[0].instructions[0]
            lines[0] = Line((Written(written.form, (register, target)),))
            if units.fault_rate and self.rng.random() < 0.02:
                lines = [units.set_main(register, self.rng.choice([0x4C002, REGION1, 0x100])), lines[1]]
        elif kind.mnemonic == "call":
            lines = [units.write(kind, {0: self.rng.randrange(10), 1: target})]
        elif kind.mnemonic == "bri":
            lines = [units.write(kind, {0: target})]
        else:
            register = self.rng.randrange(10)
            lines = [units.write(kind, {0: register, 1: target})]
            if self.rng.random() < 0.5:
                lines = [units.set_main(register, self.rng.choice([0, 1, 0x80000])), *lines]
        if self.rng.random() < 0.4:
            lines = self.bundled(units, lines)
        return [*lines, *skipped, Line(label=target)]

    def counted(self, units: Units) -> list[Line]:
        """A loop that counts a register of its own down."""
        target, body = self.label(), self.straight(units)
        free = [r for r in range(10) if ("m", r) not in touched(body)]
        if not free:
            return body
        counter, times = self.rng.choice(free), self.rng.randint(0, 3)
        lines = [units.set_main(counter, times), Line(label=target), *body]
        if self.rng.random() < 0.5:
            return [*lines, units.write(form("brnzdec"), {0: counter, 1: target})]
        less = units.write(table().by_name["add_mmmn_si"], {0: counter, 1: counter, 2: -1})
        if times and self.rng.random() < 0.5:
            return [*lines, less, units.write(form("brnz"), {0: counter, 1: target})]
        return [*lines, less, units.write(form("brpos"), {0: counter, 1: target})]

    # ---- supervisor ------------------------------------------------------------------------------------------

    def supervisor(self) -> list[Line]:
        """Code that returns to its caller; launches only where nothing around them can fault."""
        launching = self.rng.random() < 0.5
        units = Units(self.rng, supervised=True, quiet=launching)
        work = self.label()
        lines: list[Line] = []
        live = False
        for _ in range(self.rng.randint(2, 7)):
            draw = self.rng.random()
            if launching and draw < 0.3 and not live:
                lines += self.launch(units, work)
                live = True
            elif live and draw < 0.3:
                lines.append(units.write(form("sync"), {0: 2}))
                live = False
            else:
                lines += self.supervised_piece(units, live)
        if live:
            lines.append(units.write(form("sync"), {0: 2}))
        lines += self.supervised_tail(units)
        if launching:
            lines += [Line(label=work), *self.worker(quiet=True)]
        return lines

    def supervised_piece(self, units: Units, live: bool) -> list[Line]:
        """While workers run, nothing that they could notice: they are run to their end at their launch."""
        draw = self.rng.random()
        if draw > 0.9:
            return self.forward(units) if not live else []
        if draw > 0.8:
            return self.counted(units) if not live else []
        suits = (lambda f: f.klass != "system" and not f.mnemonic.endswith("putcs")) if live else (lambda f: True)
        return units.of(self.supervisors.deal(suits))

    def supervised_tail(self, units: Units) -> list[Line]:
        """Consensus and weights as they are at the end, and the return."""
        lines = []
        if self.rng.random() < 0.3:
            lines = [units.set_main(1, self.rng.randrange(8)), units.write(form("put"), {0: 1, 1: 2})]
        if self.rng.random() < 0.5:
            lines.append(units.write(form("get"), {0: self.rng.randrange(10), 1: 1}))
        if not units.quiet and self.rng.random() < 0.03:
            lines.append(units.write(form("trap")))
        return [*lines, units.write(form("br"), {0: 10})]

    def launch(self, units: Units, work: str) -> list[Line]:
        entry, base = self.rng.sample(range(10), 2)
        name = self.rng.choice(["run", "runall"])
        set_entry = units.set_main(entry, 0).instructions[0]
        return [
            Line((Written(set_entry.form, (entry, work)),)),
            units.write(form(name), {0: entry, 1: base, 2: self.rng.randrange(16)}),
        ]

    def program(self, seed: int) -> Program:
        """The program of a seed, whatever was composed before it (but for the order in which forms are dealt)."""
        if self.rng.random() < 0.15:
            return Program(self.supervisor(), supervised=True, seed=seed)
        return Program(self.worker(), seed=seed)


def compatible(main: Written, aux: Written) -> bool:
    return not main.registers(True) & aux.registers(True)


def touched(lines: list[Line]) -> set[tuple[str, int]]:
    """Registers that some lines write."""
    return {register for line in lines for written in line.instructions for register in written.registers(True)}

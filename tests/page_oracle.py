"""What the page must say of a report, reckoned anew from its arrays; shares no code with tile_emu.profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tile_emu.profile.report import Report


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"


def kib(size: float) -> str:
    return f"{size / 1024:.1f} KiB"


class Step(NamedTuple):
    """A stretch of the program."""

    kind: str
    name: str
    cycles: int
    tile: int
    why: str


class Oracle:
    """Expected texts of every part."""

    def __init__(self, report: Report) -> None:
        self.report, self.r, self.document = report, report.recording, report.document
        self.cycles = int(self.r.finish.max())
        zero = np.zeros((1, self.r.tiles), np.int64)
        self.start = np.concatenate((zero, self.r.row_end))  # of every compute phase and tile
        self.end = np.concatenate((self.r.arrival, self.r.finish[None]))
        self.steps = list(self._steps())

    def _codelet(self, phase: int) -> str:
        """Files by turns of a phase; words lie in files by turns, the last place has no file."""
        turns = (self.r.executions + self.r.extra_turns)[phase]
        by_file = {"one": turns[0:-1:2].sum(), "two": turns[1:-1:2].sum(), "(no source)": turns[-1]}
        return max(by_file, key=lambda name: by_file[name])

    def _steps(self) -> Iterator[Step]:
        r = self.r
        for phase, name in enumerate(r.compute_names):
            begin = r.row_end[phase - 1].max() if phase else 0
            tile = int(self.end[phase].argmax())
            elapsed, busy = self.end[phase, tile] - self.start[phase, tile], r.worker_busy[phase, tile]
            worker = int(r.worker_turns[phase, tile].argmax())
            why = f"workers {busy:,} cycles ({100 * busy / elapsed:.0f} %) in {self._codelet(phase)}, "
            why += f"worker {worker} the busiest; supervisor alone {elapsed - busy:,}"
            yield Step("compute", name, int(self.end[phase].max() - begin), tile, why)
            if phase < len(r.release):
                name, first = r.exchange_names[phase], int(r.arrival[phase].argmin())
                waited = r.release[phase] - r.arrival[phase, first]
                why = f"barrier; the first tile there waited {waited:,} cycles"
                yield Step("sync", name, int(r.release[phase] - r.arrival[phase].max()), first, why)
                yield self._exchange(phase, name)

    def _exchange(self, phase: int, name: str) -> Step:
        r = self.r
        cycles = int(r.row_end[phase].max() - r.release[phase])
        receiver, sender = int(r.receive_cycles[phase].argmax()), int(r.send_cycles[phase].argmax())
        received, sent = r.receive_cycles[phase, receiver], r.send_cycles[phase, sender]
        if received >= sent:
            tile, verb, most, words = receiver, "receives", received, r.received[phase, receiver]
        else:
            tile, verb, most, words = sender, "sends", sent, r.sent[phase, sender]
        why = f"tile {tile} {verb} {words:,} words in {most:,} cycles ({100 * most / cycles:.0f} %)"
        if 100 * most / cycles < 75:
            why += "; the rest is path, gaps and waiting for others"
        return Step("exchange", name, cycles, int(r.row_end[phase].argmax()), why)

    def phases(self) -> dict[str, int]:
        """Cycles by kind; they must add up to those of the program."""
        found = {kind: sum(s.cycles for s in self.steps if s.kind == kind) for kind in ("compute", "exchange", "sync")}
        assert sum(found.values()) == self.cycles
        return found

    def cards(self) -> tuple[list[str], list[str]]:
        """Figures and captions of the overview."""
        d, used = self.document, int((self.r.turns.sum(axis=0) > 0).sum())
        use = d["utilisation"]
        figures = [f"{self.cycles:,}", f"{d['tflops']:.4g} TFLOPS", f"{used:,} of 1,472"]
        figures += [share(use[key], 1) for key in ("issue", "amp", "mac", "balance")]
        micro = self.cycles / 1.85e9 * 1e6
        captions = [
            f"cycles, {micro:.4g} us at the chip's clock",
            f"{share(d['peak_share'], 1)} of the chip's peak",
            "tiles on which a worker ran",
            "issue utilisation: turns used / turns available",
            "AMP utilisation: AMP instructions / turns used",
            "MAC efficiency: useful MACs / peak of the whole chip",
            "tile balance: mean / max busy cycles over the tiles used",
        ]
        return figures, captions

    def utilisation(self, useful_macs: int) -> dict[str, float]:
        """The figures of summary.json from the columns."""
        r, turns = self.r, self.r.turns.sum(axis=0)
        used = turns > 0
        busy = r.worker_busy.sum(axis=0)[used]
        return {
            "issue": turns.sum() / (used.sum() * self.cycles),  # six workers, a turn of each takes six cycles
            "amp": r.amp.sum() / turns.sum(),
            "mac": useful_macs / (1472 * 64 * self.cycles),
            "balance": busy.mean() / busy.max(),
        }

    def slowest(self) -> list[str]:
        """Cells of the ten slowest supersteps."""
        order = sorted((s for s in self.steps if s.cycles), key=lambda s: -s.cycles)[:10]
        return [cell for s in order for cell in (f"{s.cycles:,}", s.kind, s.name, str(s.tile), s.why)]

    def roofline(self) -> tuple[str, list[str]]:
        """The sentence and the cells."""
        r, chip = self.r, 1472 * self.cycles
        macs = self.document["utilisation"]["mac"] * 64 * chip
        sram, words = float(r.bytes_loaded.sum() + r.bytes_stored.sum()), 4.0 * r.received.sum()
        roofs = {"the AMP units": 64.0, "SRAM": macs / sram * 24, "the exchange": macs / words * 8}
        cells = ["AMP units", f"{macs / chip:.2f} MAC/cycle", "", "64 MAC/cycle"]
        for name, size, roof in (("SRAM", sram, roofs["SRAM"]), ("exchange", words, roofs["the exchange"])):
            cells += [name, f"{size / chip:.2f} B/cycle", f"{macs / size:.2f} MAC/B", f"{roof:.1f} MAC/cycle"]
        lowest = min(roofs, key=lambda name: roofs[name])
        return f"An average tile of the chip. The lowest roof is that of {lowest}.", cells

    def codelets(self) -> list[str]:
        """Cells of the codelet table: two files by turns, and the place for code without a source."""
        r, cells = self.r, []
        for phase, name in enumerate(r.compute_names):
            turns = r.executions[phase] + r.extra_turns[phase]
            for file, words in (("one", slice(0, -1, 2)), ("two", slice(1, -1, 2)), ("(no source)", slice(-1, None))):
                supervisor = r.supervisor_executions[phase, words].sum() if file != "(no source)" else 0
                cells += [f"{phase}: {name}", file, f"{turns[words].sum():,}", f"{r.executions[phase, words].sum():,}"]
                cells.append(f"{supervisor:,}")
        return cells

    def exchanges(self) -> list[str]:
        """Cells of the table of exchanges."""
        r, cells = self.r, []
        for phase, name in enumerate(r.exchange_names):
            cycles = r.row_end[phase].max() - r.release[phase]
            words = r.received[phase].sum()
            cells += [f"{phase}: {name}", f"{cycles:,}", f"{words:,}", f"{words / cycles:,.1f}"]
            for column in (r.received[phase], r.sent[phase]):
                cells.append(f"{column.max():,} (tile {int(column.argmax())})")
        return cells

    def memory(self) -> tuple[list[str], list[str], list[str]]:
        """Figures and captions of the memory cards, and cells of what is live at the peak."""
        sram, r = self.report.sram, self.r
        assert sram is not None
        sizes, code = sram.nbytes.reshape(-1, 3), sram.code
        used = sizes.sum(axis=1) + code.sum(axis=1)
        live = sram.live.astype(int) @ sizes.T + code.sum(axis=1)
        step, tile = np.unravel_index(int(live.argmax()), live.shape)
        kind, names = (("compute", r.compute_names), ("exchange", r.exchange_names))[step % 2]
        captions = [
            f"most on a tile (tile {used.argmax()}) of 624.0 KiB",
            "mean over the tiles of the program",
            f"most live at once: tile {tile} in {kind} '{names[step // 2]}'",
        ]
        parts = dict(zip(("codelets", "supervisor program", "exchange rows", "vertex states"), code[tile].tolist()))
        parts |= {name: int(sizes[tile, i]) for i, name in enumerate("xyz") if sram.live[step, i]}
        rows = sorted(parts.items(), key=lambda part: -part[1])
        assert sum(parts.values()) == live.max()
        return (
            [kib(used.max()), kib(used.mean()), kib(live.max())],
            captions,
            [c for n, b in rows for c in (n, f"{b:,}")],
        )

    def plans(self) -> list[str]:
        """Cells of the table of the best plans."""
        cells: list[str] = []
        for plan in self.document["plans"]:
            predicted: dict[str, Any] = plan["predicted"]
            cells += [str(plan["rank"]), plan["division"] + " (this run)" * plan["chosen"], f"{plan['tiles']:,}"]
            cells += [f"{predicted[part]:,}" for part in ("total", "gather", "multiply")]
            cells += [share(plan["padding"], 1), kib(plan["sram_bytes"])]
        return cells

    def happened(self) -> list[str]:
        """Cells of what happened, superstep by superstep."""
        return [cell for s in self.steps if s.cycles for cell in (self.called(s), f"{s.cycles:,}")]

    @staticmethod
    def called(step: Step) -> str:
        """Exchanges are called "exchange 0" already."""
        return step.name if step.kind == "exchange" else f"{step.kind} {step.name}"

    def advice(self) -> list[str]:
        """The lines that this report's numbers call for (tests.reports.page_report)."""
        r, phases = self.r, self.phases()
        busy = r.worker_busy.sum(axis=0)
        alone = (self.end - self.start - r.worker_busy).sum()
        exchange = (r.row_end.max(axis=1) - r.release).argmax()
        words = r.received[exchange].max()
        lines = []
        if busy.mean() / busy.max() < 0.85:
            lines.append(
                f"tile balance {busy.mean() / busy.max():.2f}: tile {busy.argmax()} is busy {busy.max():,} cycles, the "
                f"mean is {busy.mean():,.0f}; equal blocks would save up to {busy.max() - busy.mean():,.0f}; plan 2 "
                "(p3 o1) divides more evenly (padding 12.5 %), but predicts 495 cycles, 10.0 % more than this plan's "
                "450"
            )
        if phases["exchange"] > 0.4 * self.cycles:
            lines.append(
                f"exchange takes {100 * phases['exchange'] / self.cycles:.0f} % of the cycles, most in 'exchange "
                f"{exchange}' ({words:,} words to its busiest receiver); plan 3 (p1 o4) moves less (90 cycles of "
                "exchange predicted), but predicts 590 cycles, 31.1 % more than this plan's 450"
            )
        if alone > 0.3 * (alone + busy.sum()):
            lines.append(
                f"supervisors work alone for {100 * alone / (alone + busy.sum()):.0f} % of the tiles' compute cycles "
                "(weight loads, launches, exchange set-up): longer launches would hide them"
            )
        error = 100 * (self.cycles / 450 - 1)
        lines.append(
            f"the plan predicted 450 cycles, the run took {self.cycles:,} ({error:+.1f} %); 2 of the other best plans "
            "predict fewer than it took, the first of them plan 2 (p3 o1) 495"
        )
        lines.append(
            "25 % of the multiplications are padding: the blocks do not divide the sizes evenly; plan 2 (p3 o1) has "
            "12 %, but predicts 495 cycles, 10.0 % more than this plan's 450"
        )
        return lines

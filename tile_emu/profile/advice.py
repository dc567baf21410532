"""What the numbers of a run call for, a line each; where another plan would change them, what it predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tile_emu.profile.analysis import predicted_cycles
from tile_emu.profile.memory import SramMap
from tile_emu.profile.report import Report

Plan = Mapping[str, Any]  # of the document's "plans": rank, chosen, division, tiles, predicted, exchange, padding


def advice(report: Report) -> list[str]:
    """The lines; empty when nothing stands out."""
    return [line for rule in _RULES for line in rule(report)]


def _plans(report: Report) -> tuple[Plan | None, list[Plan]]:
    """The plan that was run, and the others of the best ones, the cheapest first."""
    plans = report.document.get("plans")
    if not isinstance(plans, list):
        return None, []
    chosen = next((plan for plan in plans if plan["chosen"]), None)
    return chosen, [plan for plan in plans if plan is not chosen]


def _other(report: Report, better: Callable[[Plan, Plan], bool], told: Callable[[Plan], str]) -> str:
    """The cheapest other plan that is ``better`` than the one that was run, in words; ``told``: what it does."""
    chosen, others = _plans(report)
    if chosen is None:
        return ""
    plan = next((plan for plan in others if better(plan, chosen)), None)
    if plan is None:
        return f"; none of the {len(others) + 1} best plans does better in that" if others else ""
    total, own = plan["predicted"]["total"], chosen["predicted"]["total"]
    dearer = total >= own
    change = f"{100 * abs(total / own - 1):.1f} % {'more' if dearer else 'less'} than this plan's {own:,}"
    link = "but" if dearer else "and"
    return f"; plan {plan['rank']} ({plan['division']}) {told(plan)}, {link} predicts {total:,} cycles, {change}"


def _division(report: Report) -> str:
    """How the plan that was run divides the problem."""
    chosen, _ = _plans(report)
    return f"the division {chosen['division']} leaves " if chosen is not None else ""


def _idle_tiles(report: Report) -> Iterator[str]:
    chip, used = report.recording.chip, int((report.recording.turns.sum(axis=0) > 0).sum())
    idle = chip.tiles - used
    if not used or idle <= 0.1 * chip.tiles:
        return
    division = _division(report)
    if division:
        other = _other(
            report, lambda plan, own: plan["tiles"] > own["tiles"], lambda plan: f"uses {plan['tiles']:,} tiles"
        )
        yield f"{division}{idle:,} of {chip.tiles:,} tiles idle{other}"
    else:
        yield f"{idle:,} of {chip.tiles:,} tiles run no worker: a finer split would use them, if the work allows it"


def _imbalance(report: Report) -> Iterator[str]:
    busy = report.recording.worker_busy.sum(axis=0)
    slow = int(busy.argmax())
    busy = busy[busy > 0]
    balance = float(busy.mean() / busy.max()) if busy.size else 1.0
    if balance >= 0.85:
        return
    other = _other(
        report,
        lambda plan, own: plan["padding"] < own["padding"] - 0.01,
        lambda plan: f"divides more evenly (padding {100 * plan['padding']:.1f} %)",
    )
    yield (
        f"tile balance {balance:.2f}: tile {slow} is busy {int(busy.max()):,} cycles, the mean is {busy.mean():,.0f}; "
        f"equal blocks would save up to {busy.max() - busy.mean():,.0f}{other}"
    )


def _exchange_share(report: Report) -> Iterator[str]:
    recording = report.recording
    exchange, total = int(recording.exchange_cycles.sum()), recording.cycles
    if not total or exchange <= 0.4 * total:
        return
    phase = int(recording.exchange_cycles.argmax())
    name, words = recording.exchange_names[phase], int(recording.received[phase].max())
    other = _other(
        report,
        lambda plan, own: plan["exchange"] < own["exchange"],
        lambda plan: f"moves less ({plan['exchange']:,} cycles of exchange predicted)",
    )
    yield (
        f"exchange takes {100 * exchange / total:.0f} % of the cycles, most in '{name}' ({words:,} words to its "
        f"busiest receiver){other or ': fewer, larger blocks a tile would move less'}"
    )


def _sync_share(report: Report) -> Iterator[str]:
    recording = report.recording
    sync, total = int(recording.sync_cycles.sum()), recording.cycles
    if total and sync > 0.1 * total:
        barriers = len(recording.exchange_names)
        yield f"{barriers} barriers take {100 * sync / total:.0f} % of the cycles: fewer supersteps would save them"


def _supervisor_share(report: Report) -> Iterator[str]:
    recording = report.recording
    used = recording.turns.sum(axis=0) > 0
    alone, busy = recording.supervisor_busy[:, used].sum(), recording.worker_busy[:, used].sum()
    if busy and alone > 0.3 * (alone + busy):
        yield (
            f"supervisors work alone for {100 * alone / (alone + busy):.0f} % of the tiles' compute cycles (weight "
            "loads, launches, exchange set-up): longer launches would hide them"
        )


def _memory(report: Report) -> Iterator[str]:
    if report.sram is not None:
        used, size = report.sram.used_bytes, report.sram.size
        if used.max() > 0.9 * size:
            full = 100 * used.max() / size
            yield f"tile {int(used.argmax())} fills {full:.0f} % of its SRAM: {_largest(report.sram)}"


def _largest(sram: SramMap) -> str:
    parts = sram.parts(int(sram.used_bytes.argmax()))[:3]
    return ", ".join(f"{name} {count / 1024:.0f} KiB" for name, count in parts)


def _prediction(report: Report) -> Iterator[str]:
    total, cycles = predicted_cycles(report.document.get("plan")).get("total", 0), report.recording.cycles
    if not total or abs(cycles / total - 1) <= 0.05:
        return
    line = f"the plan predicted {total:,} cycles, the run took {cycles:,} ({100 * (cycles / total - 1):+.1f} %)"
    cheaper = [plan for plan in _plans(report)[1] if plan["predicted"]["total"] < cycles]
    if cheaper:
        first = cheaper[0]
        line += (
            f"; {len(cheaper)} of the other best plans predict fewer than it took, the first of them plan "
            f"{first['rank']} ({first['division']}) {first['predicted']['total']:,}"
        )
    yield line


def _padding(report: Report) -> Iterator[str]:
    plan = report.document.get("plan")
    padding = plan.get("padding") if isinstance(plan, Mapping) else None
    if isinstance(padding, float) and padding > 0.1:
        other = _other(
            report,
            lambda plan, own: plan["padding"] < own["padding"] - 0.01,
            lambda plan: f"has {100 * plan['padding']:.0f} %",
        )
        share = f"{100 * padding:.0f} %"
        yield f"{share} of the multiplications are padding: the blocks do not divide the sizes evenly{other}"


_RULES = (_idle_tiles, _imbalance, _exchange_share, _sync_share, _supervisor_share, _memory, _prediction, _padding)

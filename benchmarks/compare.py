"""Compare two files of ``--benchmark-json`` by the ratio of each benchmark to its reference of the same run.

    python -m benchmarks.compare BASELINE.json NEW.json [--worse 15]

Exits with 1 if a benchmark's ratio lies more than ``--worse`` per cent below the baseline's or is missing from the new
file, with 2 if a file cannot be read. Ratios are to something measured in the same run (benchmarks.reference), so that
a slower or busier computer does not count as a slower program; on a computer of another make they do differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple


class Line(NamedTuple):
    """A benchmark in both files; ``change`` is new over old less 1."""

    name: str
    old: float
    new: float

    @property
    def change(self) -> float:
        return self.new / self.old - 1


def ratios(path: Path) -> dict[str, float]:
    """Ratio of every benchmark in a file that has one. Raises SystemExit(2) with what is wrong with the file."""
    try:
        found = json.loads(path.read_text())["benchmarks"]
        return {b["fullname"]: float(b["extra_info"]["ratio"]) for b in found if "ratio" in b["extra_info"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{path}: not a file of --benchmark-json: {error!r}", file=sys.stderr)
        raise SystemExit(2) from None


def compare(old: dict[str, float], new: dict[str, float]) -> tuple[list[Line], list[str]]:
    """Benchmarks of both, the worst first, and names that the new run lacks."""
    lines = [Line(name, ratio, new[name]) for name, ratio in old.items() if name in new]
    return sorted(lines, key=lambda line: line.change), [name for name in old if name not in new]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="compare two benchmark runs by their in-run ratios")
    parser.add_argument("baseline", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--worse", type=float, default=15, metavar="PERCENT", help="how much worse is a failure")
    chosen = parser.parse_args(arguments)
    lines, missing = compare(ratios(chosen.baseline), ratios(chosen.new))
    worse = 0
    for line in lines:
        bad = line.change < -chosen.worse / 100
        worse += bad
        print(f"{'WORSE ' if bad else '      '}{line.change:+7.1%}  {line.old:.4g} -> {line.new:.4g}  {line.name}")
    for name in missing:
        print(f"MISSING                                {name}")
    print(f"{len(lines)} compared, {worse} worse by more than {chosen.worse:g} %, {len(missing)} missing")
    return int(worse > 0 or bool(missing))


if __name__ == "__main__":
    sys.exit(main())

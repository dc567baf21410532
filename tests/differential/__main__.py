"""``python -m tests.differential``: many random programs, in several processes; exit status 1 if any disagrees."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter

from tests.differential.run import run_job, run_share

SHARE = 500


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other programs")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    shares = -(-arguments.programs // SHARE)
    jobs = [(arguments.seed * 1_000_000 + n, min(SHARE, arguments.programs - n * SHARE)) for n in range(shares)]
    run_share(arguments.seed, 1)  # compile once, not in every process
    start = time.monotonic()
    total: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool(arguments.processes, maxtasksperchild=1) as pool:
        for done, outcome in enumerate(pool.imap_unordered(run_job, jobs), 1):
            total.update(programs=outcome.programs, faults=outcome.faults, disagree=len(outcome.reports))
            total.update(translated=outcome.translated)
            print("\n".join(outcome.reports), end="\n" if outcome.reports else "", flush=True)
            if done % 10 == 0 or done == shares:
                seconds = time.monotonic() - start
                counts = f"{total['programs']:,} programs, {total['faults']:,} of them to a fault"
                counts += f", {total['translated']:,} turns translated"
                print(f"{counts}, {total['disagree']} disagree, {seconds:.0f} s", flush=True)
    return 1 if total["disagree"] else 0


if __name__ == "__main__":
    sys.exit(main())

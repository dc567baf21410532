"""Runs the points of a sweep: known ones from the store, the others in processes here or on a Dask cluster.

Results are kept under a hash of the point and of the program, each as soon as it is there. So a sweep that was
interrupted goes on where it stopped, and a point is in the results once, however often it was begun.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from kernels.networks.cache import ResultCache, package_fingerprint
from kernels.sweep.grid import WIDTH, Point
from tile_emu.errors import TileEmuError, UsageError
from tile_emu.profile.estimate import at_width

Document = dict[str, Any]
Execute = Callable[[Point], Document]
Progress = Callable[..., None]

_ATTEMPTS = 3  # of a point whose process dies


@dataclass(frozen=True)
class Result:
    """A point with its document: figures, or ``error`` with kind and message."""

    point: Point
    document: Document
    cached: bool  # from the store


def run_sweep(
    points: Sequence[Point],
    *,
    store: ResultCache,
    processes: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
    execute: Execute | None = None,
) -> list[Result]:
    """All points in their order; those of another exchange width are estimated from one run.

    ``scheduler``: address of a Dask scheduler, in place of processes here.
    A point that the emulator refuses (too large, say) has an ``error``; such results are not kept in the store.
    ``execute`` replaces the emulation of a point (for tests; it must be a function of a module).
    Raises UsageError when the scheduler cannot be reached or its workers have other sources.
    """
    wanted = list(dict.fromkeys(point.emulated for point in points))
    keys = {point: store.key(point.identity()) for point in wanted}
    found = {point: document for point in wanted if (document := store.get(keys[point])) is not None}
    missing = [point for point in wanted if point not in found]
    done: dict[Point, Document] = {}
    work = execute or execute_point
    source = _on_cluster(missing, keys, scheduler, work) if scheduler else _in_processes(missing, processes, work)
    for point, document in source if missing else ():
        if point in done:
            continue
        done[point] = document
        if "error" not in document:
            store.put(keys[point], document)
        if progress is not None:
            progress(f"{len(found) + len(done)} of {len(wanted)} points", len(done) / len(missing))
    known = {**done, **found}
    return [Result(p, at_width(known[p.emulated], p[WIDTH]), p.emulated in found) for p in points]


def execute_point(point: Point) -> Document:
    """Emulate one point. What the emulator refuses or finds wrong becomes its ``error``."""
    from kernels.networks.run import execute_job
    from kernels.sweep.jobs import job_of

    try:
        return execute_job(job_of(point), threads=1)
    except TileEmuError as error:
        return {"error": {"kind": type(error).__name__, "message": str(error)}}


def _in_processes(points: Sequence[Point], processes: int, execute: Execute) -> Iterator[tuple[Point, Document]]:
    """(point, document) as they are finished. Spawned: the emulator's threads do not survive a fork."""
    if processes <= 1 or len(points) == 1:
        for point in points:
            yield point, execute(point)
        return
    left = list(points)
    attempts = dict.fromkeys(points, 0)
    while left:
        for point, document in _one_pool(left, processes, execute):
            left.remove(point)
            yield point, document
        # The pool has ended; what is left was running or waiting when a process of it died.
        for point in list(left):
            attempts[point] += 1
            if attempts[point] >= _ATTEMPTS:
                left.remove(point)
                message = f"its process died {_ATTEMPTS} times, most likely for lack of memory"
                yield point, {"error": {"kind": "ProcessDied", "message": message}}
        processes = max(1, processes // 2)


def _one_pool(points: Sequence[Point], processes: int, execute: Execute) -> Iterator[tuple[Point, Document]]:
    """Until everything is done or a process dies."""
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(points)), context, initializer=_ignore_interrupts)
    try:
        futures = {pool.submit(execute, point): point for point in points}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                continue
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the first one decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_cluster(
    points: Sequence[Point], keys: dict[Point, str], scheduler: str, execute: Execute
) -> Iterator[tuple[Point, Document]]:
    """(point, document) as they are finished; Dask runs what a lost worker had begun on another one."""
    try:
        from distributed import Client
        from distributed import as_completed as dask_completed
    except ImportError:
        raise UsageError("a cluster needs the package distributed: pip install 'tile-emu[dist]'") from None
    try:
        client = Client(scheduler, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler at {scheduler}: {error}") from None
    with client:
        _check_workers(client)
        futures = {client.submit(execute, p, key=f"tile-emu-{keys[p]}", pure=True): p for p in points}
        try:
            for future in dask_completed(futures, loop=client.loop):
                if future.status == "finished":
                    yield futures[future], future.result()
                else:
                    lost = future.exception()
                    yield futures[future], {"error": {"kind": type(lost).__name__, "message": str(lost)}}
        finally:
            client.cancel([future for future in futures if not future.done()])


def _check_workers(client: Any) -> None:
    """The workers must have the very sources that the results are kept under."""
    own = package_fingerprint()
    try:
        found = client.run(package_fingerprint)
    except ImportError as error:
        raise UsageError(f"the cluster's workers cannot import tile-emu: {error}") from None
    if not found:
        raise UsageError("the cluster has no workers yet")
    for worker, fingerprint in found.items():
        if fingerprint != own:
            raise UsageError(f"worker {worker} has another version of tile-emu: install the same one everywhere")

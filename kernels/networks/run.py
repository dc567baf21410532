"""Many layers: equal ones once, known ones from the cache, the rest emulated in one or several processes."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from kernels.networks.cache import ResultCache
from kernels.networks.job import Job
from tile_emu.errors import TileEmuError
from tile_emu.profile.request import ReportRequest

Progress = Callable[..., None]
Document = dict[str, Any]
Executor = Callable[[Job], Document]
_LONGEST_WAIT = 1.0  # seconds


def run_layers(
    jobs: Sequence[Job],
    *,
    processes: int = 1,
    threads: int | None = None,
    cache: ResultCache | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    execute: Executor | None = None,
    reports: ReportRequest | None = None,
) -> list[Document]:
    """The document of every job, in their order.

    Every distinct job is emulated once; a document of an equal layer is a copy that says so under ``same_as``, one out
    of the cache says so under ``cached``. A layer that cannot be run (it does not fit, or the machine finds something
    wrong) has ``error`` with the reason in place of figures. ``cache`` None: nothing is looked up or kept; ``fresh``:
    nothing is looked up.
    ``reports``: the report wanted of every layer emulated, each in a folder by its name; nothing is looked up then,
    since what is kept has no recording.
    ``execute`` replaces the emulation of one job (for tests). Ctrl-C ends all processes and is passed on.
    """
    keeper = cache or ResultCache()
    keys = [keeper.key(job.identity()) for job in jobs]
    first: dict[str, Job] = {}
    for key, job in zip(keys, jobs):
        first.setdefault(key, job)
    results: dict[str, Document] = {}
    for key in first:
        known = cache.get(key) if cache is not None and not fresh and reports is None else None
        if known is not None:
            results[key] = known | {"cached": True}
    # the longest first: what runs last then ends at about the same time everywhere
    todo = sorted((key for key in first if key not in results), key=lambda key: -first[key].layer.macs)
    clock = _Clock([first[key].layer.macs for key in todo], progress)
    emulate = functools.partial(execute_job, threads=_threads(threads, processes), reports=reports)
    chosen = [first[key] for key in todo]
    if execute is None and (processes == 1 or len(chosen) < 2):
        found = _one_by_one(chosen, threads, reports, clock)
    else:
        found = _documents(chosen, processes, execute or emulate, clock)
    for index, document in found:
        results[todo[index]] = document
        if cache is not None and "error" not in document:
            cache.put(todo[index], document)
    return [_named(results[key], job, first[key]) for key, job in zip(keys, jobs)]


def execute_job(job: Job, threads: int | None = None, reports: ReportRequest | None = None) -> Document:
    """The document of one job; what the emulator refuses or finds wrong becomes its ``error``.

    ``reports``: the report is saved in a folder of this one.
    """
    from kernels.networks.ahead import documents_ahead

    return next(iter(documents_ahead([job], threads, reports)))


def _named(document: Document, job: Job, source: Job) -> Document:
    """The document under a job's own name."""
    named = document | job.head()
    if source.name != job.name:
        named["same_as"] = source.layer.name
    return named


def _threads(threads: int | None, processes: int) -> int | None:
    if threads is not None or processes == 1:
        return threads
    return max(1, (os.cpu_count() or 1) // processes)


class _Clock:
    """Tells how far the work is, by multiplications, and how long the rest will take at the rate so far."""

    def __init__(self, sizes: list[int], progress: Progress | None) -> None:
        self._sizes, self._progress = sizes, progress
        self._began, self._done, self._count = time.monotonic(), 0, 0

    def finished(self, index: int) -> None:
        """One more job is done."""
        self._done += self._sizes[index]
        self._count += 1

    def tell(self, name: str) -> None:
        """Report what runs now."""
        if self._progress is None:
            return
        share = self._done / max(sum(self._sizes), 1)
        left = ""
        if self._done:
            left = f", {_duration((time.monotonic() - self._began) * (1 - share) / share)} left"
        self._progress(f"{name} ({self._count + 1} of {len(self._sizes)}{left})", share)


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{seconds:.0f} s"


def _one_by_one(
    jobs: Sequence[Job], threads: int | None, reports: ReportRequest | None, clock: _Clock
) -> Iterator[tuple[int, Document]]:
    """(index, document) as they are finished, in this process."""
    from kernels.networks.ahead import documents_ahead

    for index, document in enumerate(documents_ahead(jobs, threads, reports, clock.tell)):
        clock.finished(index)
        yield index, document


def _documents(jobs: Sequence[Job], processes: int, emulate: Executor, clock: _Clock) -> Iterator[tuple[int, Document]]:
    """(index, document) as they are finished."""
    if processes > 1 and len(jobs) > 1:
        yield from _in_processes(jobs, processes, emulate, clock)
        return
    for index, job in enumerate(jobs):
        clock.tell(job.layer.name)
        document = emulate(job)
        clock.finished(index)
        yield index, document


def _in_processes(
    jobs: Sequence[Job], processes: int, emulate: Executor, clock: _Clock
) -> Iterator[tuple[int, Document]]:
    """The same in processes of their own. Spawned: the emulator's threads do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, initializer=_ignore_interrupts)
    running: dict[Future[Document], int] = {}
    try:
        # The smallest alone: if anything must be compiled, it is compiled once and the others find it.
        running[pool.submit(emulate, jobs[-1])] = len(jobs) - 1
        waiting = list(range(len(jobs) - 1))
        while running:
            clock.tell(", ".join(jobs[index].layer.name for index in running.values()))
            # An interrupt that comes just before a wait begins does not end it: none lasts long.
            done, _ = wait(running, timeout=_LONGEST_WAIT, return_when=FIRST_COMPLETED)
            for future in done:
                index = running.pop(future)
                clock.finished(index)
                yield index, future.result()
            while waiting and len(running) < processes:
                index = waiting.pop(0)
                running[pool.submit(emulate, jobs[index])] = index
        pool.shutdown()
    except BaseException as error:
        # Nothing of what still runs is wanted: an interrupt, or a process that died.
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
            child.join()
        # The command line ends without the interpreter's tidying up: give the pool's semaphores back now.
        running.clear()
        del pool
        gc.collect()
        if isinstance(error, BrokenProcessPool):
            message = "a process that emulated a layer died, most likely for lack of memory: try fewer --jobs"
            raise TileEmuError(message) from None
        raise


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the first one decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

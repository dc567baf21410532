"""One layer after another in one process: while one is emulated, the next one is prepared and the last one is checked.

Preparing and checking take one thread, emulating has phases that keep no thread busy: together they fill two cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from kernels.networks.execute import Emulated, LayerRun, emulate_prepared, finish, prepare
from kernels.networks.job import Job
from tile_emu.errors import TileEmuError
from tile_emu.profile.report import Report
from tile_emu.profile.request import ReportRequest
from tile_emu.profile.timed import SAMPLE

Document = dict[str, Any]


def error_document(job: Job, error: TileEmuError) -> Document:
    """What the emulator refused or found wrong, in place of figures."""
    return {**job.head(), "error": {"kind": type(error).__name__, "message": str(error)}}


def finished_document(job: Job, run: LayerRun, reports: ReportRequest | None) -> Document:
    """The document of a run, whose report is saved in a folder of ``reports``. Raises UsageError."""
    if reports is not None:
        reports.inside(job.layer.name).save(Report.of(run.document, run.result.recording, run.result.image))
    return run.document


def documents_ahead(
    jobs: Sequence[Job],
    threads: int | None = None,
    reports: ReportRequest | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Document]:
    """The documents of the jobs in their order, see run_layers. ``tell`` gets the name of the layer that runs."""
    if not jobs:
        return
    timed = SAMPLE if reports is None else reports.timed

    def checked(job: Job, emulated: Emulated) -> Document:
        try:
            return finished_document(job, finish(emulated), reports)
        except TileEmuError as error:
            return error_document(job, error)

    helper = ThreadPoolExecutor(1, "layers")
    try:
        ready = helper.submit(prepare, jobs[0], ahead=True)
        last: Future[Document] | None = None
        for index, job in enumerate(jobs):
            if tell is not None:
                tell(job.layer.name)
            coming = ready
            if index + 1 < len(jobs):
                ready = helper.submit(prepare, jobs[index + 1], ahead=True)
            current: Future[Document] = Future()
            try:
                current = helper.submit(checked, job, emulate_prepared(coming.result(), threads, timed=timed))
            except TileEmuError as error:
                current.set_result(error_document(job, error))
            if last is not None:
                yield last.result()
            last = current
        if last is not None:
            yield last.result()
    finally:
        helper.shutdown(wait=False, cancel_futures=True)

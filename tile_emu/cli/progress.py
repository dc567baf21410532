"""The progress line on stderr: silent for the first second, then one line that says what is going on.

On a terminal it is rewritten in place and removed at the end; elsewhere each stage that lasts gets one plain line.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Any, TextIO

QUIET_SECONDS = 1.0
_TERMINAL_TICK, _PLAIN_TICK = 0.25, 1.0
COMPILING = "compiling the interpreter (once per version)..."


class Progress:
    """Context manager, and the ``progress`` callback of the Python API: call it with a stage and maybe a share of 1.

    >>> with Progress() as progress:
    ...     progress("scheduling exchanges", 0.5)
    """

    def __init__(self, stream: TextIO | None = None, *, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._quiet = quiet_seconds
        self._begin = time.monotonic()
        self._stage = ""
        self._share: float | None = None
        self._compiling = 0
        self.compilations = 0  # functions compiled while watching
        self._shown = ""  # the text on the screen (terminal) or the last stage printed (plain)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._listeners: list[tuple[str, Any]] = []

    def __call__(self, stage: str, share: float | None = None) -> None:
        """Say what is being done, and how much of it (0..1) where known."""
        self._share = share
        self._stage = stage

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for name, listener in self._listeners:
            from numba.core import event

            event.unregister(name, listener)
        if self._terminal and self._shown:
            self._write("\r\x1b[2K")

    @property
    def watches_compiler(self) -> bool:
        """Whether watch_compiler has been called."""
        return bool(self._listeners)

    def watch_compiler(self) -> None:
        """Say so while Numba compiles (a result taken from its cache is no compilation)."""
        from numba.core import event

        progress = self

        class Compilation(event.Listener):
            def on_start(self, event: Any) -> None:
                progress._compiling += 1
                progress.compilations += 1

            def on_end(self, event: Any) -> None:
                progress._compiling -= 1

        listener = Compilation()
        event.register("numba:compile", listener)
        self._listeners.append(("numba:compile", listener))

    def _watch(self) -> None:
        wait = self._quiet
        while not self._stop.wait(wait):
            self._show()
            # until there is something to say, a short compilation must not be slept through
            wait = (_TERMINAL_TICK if self._terminal else _PLAIN_TICK) if self._shown else self._quiet

    def _show(self) -> None:
        stage = COMPILING if self._compiling else self._stage
        if not stage:
            return
        elapsed = time.monotonic() - self._begin
        if self._terminal:
            share = f" {100 * self._share:.0f} %" if self._share is not None and not self._compiling else ""
            text = f"{stage}{share}  {elapsed:.0f} s"[: shutil.get_terminal_size().columns - 1]
            if text != self._shown:
                self._write(f"\r\x1b[2K{text}")
                self._shown = text
        elif stage != self._shown:
            self._write(f"{elapsed:5.1f} s  {stage}\n")
            self._shown = stage

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stop.set()  # stderr is gone; progress is not worth an error

"""How long the parts of a run take on the host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

# In the order in which a run has them. "run": the emulation proper, Machine.run.
PARTS = ("operands", "planning", "image", "host copies", "run", "check")


class Stopwatch:
    """``seconds``: wall seconds by part, those of a part that comes again added up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done in this context to the part, one of PARTS."""
        assert name in PARTS
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

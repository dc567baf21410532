"""Files that are either whole or absent: written beside their place, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tile_emu.errors import UsageError


def require_writable(path: Path, *, directory: bool = False) -> None:
    """Find out before the work whether ``path`` can be written after it.

    With ``directory`` the path is a folder, made when missing. Raises UsageError with the system's reason.
    """
    folder = path if directory else path.parent
    try:
        if directory:
            folder.mkdir(parents=True, exist_ok=True)
        elif path.is_dir():
            raise UsageError(f"cannot write {path}: it is a directory")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; on success it takes its name, on any exception it is removed."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        # mkstemp makes the file private; give it what open() would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

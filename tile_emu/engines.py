"""Which engine runs workers, as the environment says: the choice alone, without importing either."""

from __future__ import annotations

import os
from pathlib import Path

from tile_emu.errors import UsageError

ENGINES = ("interpreter", "translator", "auto")
ENGINE = "TILE_EMU_ENGINE"
DUMP = "TILE_EMU_DUMP"


def known_engine(engine: str | None) -> str:
    """A chosen engine, else ``$TILE_EMU_ENGINE``, else auto. Raises UsageError for an unknown one."""
    engine = engine or os.environ.get(ENGINE) or "auto"
    if engine not in ENGINES:
        raise UsageError(f"unknown engine '{engine}': choose one of {', '.join(ENGINES)}")
    return engine


def choose_engine(engine: str | None, dump: Path | None) -> None:
    """Set the engine of this process, and the folder that gets a copy of all translated code. None: as it was."""
    if engine is not None:
        os.environ[ENGINE] = known_engine(engine)
    if dump is not None:
        os.environ[DUMP] = str(dump)


def dump_folder() -> Path | None:
    """Folder for copies of translated code, ``$TILE_EMU_DUMP``."""
    found = os.environ.get(DUMP)
    return Path(found) if found else None

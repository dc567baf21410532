"""From files or text to placed code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tile_emu.asm.assembler import assemble_unit
from tile_emu.asm.code import Code
from tile_emu.asm.headers import architecture_chip
from tile_emu.asm.link import link
from tile_emu.asm.preprocess import preprocess, wants_preprocessor
from tile_emu.asm.unit import Unit
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import UsageError
from tile_emu.isa.table import ARCHITECTURES

DEFAULT_BASE = 0x4C000  # start of tile memory on ipu2 and ipu21
TEXT_NAME = "<text>"

Paths = str | Path | Sequence[str | Path]


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from None


def assemble_units(
    paths: Paths | None = None,
    *,
    text: str | None = None,
    architecture: str = "ipu21",
    define: Mapping[str, Any] | None = None,
    include: Iterable[str | Path] = (),
    preprocessor: bool | None = None,
) -> list[Unit]:
    """Assemble every source into a unit of its own. Arguments as of ``assemble``."""
    if (paths is None) == (text is None):
        raise UsageError("assemble takes either paths or text=")
    if architecture not in ARCHITECTURES:
        raise UsageError(f"unknown architecture '{architecture}': use one of {', '.join(ARCHITECTURES)}")
    include = list(include)
    units = []
    if text is not None:
        wanted = preprocessor if preprocessor is not None else bool(define or include) or wants_preprocessor(text)
        sources = [(TEXT_NAME, text, wanted)]
    else:
        assert paths is not None
        listed = [paths] if isinstance(paths, (str, Path)) else list(paths)
        sources = [(str(p), _read(p), Path(p).suffix == ".S" if preprocessor is None else preprocessor) for p in listed]
    for name, content, wanted in sources:
        if wanted:
            directories = [*include] if text is not None else [Path(name).parent, *include]
            content = preprocess(content, name, define, directories, architecture)
        units.append(assemble_unit(content, name, architecture, include, {} if wanted else _as_symbols(define)))
    return units


def _as_symbols(define: Mapping[str, Any] | None) -> dict[str, int]:
    """Definitions for a source that the preprocessor does not see: absolute symbols, True and None being 1."""
    symbols = {}
    for name, value in (define or {}).items():
        if value is not None and not isinstance(value, int):
            raise UsageError(f"define {name}: a source without preprocessor takes numbers, not {value!r}")
        symbols[name] = 1 if value is None else int(value)
    return symbols


def assemble(
    paths: Paths | None = None,
    *,
    text: str | None = None,
    architecture: str = "ipu21",
    chip: str | Chip | None = None,
    base: int | None = None,
    define: Mapping[str, Any] | None = None,
    include: Iterable[str | Path] = (),
    preprocessor: bool | None = None,
) -> Code:
    """Assemble one path, several paths, or ``text`` into code placed from ``base`` (byte address, multiple of 8).

    ``chip`` gives the architecture, and the start of its tile memory as base; without it the base is 0x4C000.
    Several files are concatenated, each starting 8-byte aligned; labels that are not ``.globl`` are local to their
    file. Files ending in ``.S`` go through the C preprocessor (``define``, ``include``), text does if it has
    ``#define``-like directives or either argument is given; ``preprocessor`` forces it on or off. Without it
    ``define`` makes absolute symbols.
    Raises AssemblyError (file and line) for bad source, UsageError for bad arguments.
    """
    if chip is not None:
        described = load_chip(chip) if isinstance(chip, str) else chip
        architecture = described.architecture
        base = described.memory.base if base is None else base
    units = assemble_units(
        paths, text=text, architecture=architecture, define=define, include=include, preprocessor=preprocessor
    )
    return link(units, DEFAULT_BASE if base is None else base, architecture_chip(architecture).memory.base)

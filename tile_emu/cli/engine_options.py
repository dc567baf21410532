"""The options of every command that runs machine code: which engine, and a copy of what it generates."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

_Engine = Annotated[
    str | None,
    typer.Option(help="interpreter, translator or auto (both): how workers run; results and cycles are the same."),
]
_Dump = Annotated[Path | None, typer.Option(help="Folder for a copy of the translated code that ran.")]
_OPTIONS = {"engine": _Engine, "dump_translated": _Dump}


def with_engine(command: Callable[..., None]) -> Callable[..., None]:
    """The command with ``--engine`` and ``--dump-translated``, which hold for everything that it runs."""
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def chosen(engine: str | None = None, dump_translated: Path | None = None, **options: Any) -> None:
        from tile_emu.engines import choose_engine

        choose_engine(engine, dump_translated)
        command(**options)

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    # Before --json, which is last everywhere.
    *own, last = (p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values())
    chosen.__signature__ = signature.replace(parameters=[*own, *added, last])  # type: ignore[attr-defined]
    chosen.__annotations__ = {p.name: p.annotation for p in (*own, *added, last)}
    return chosen

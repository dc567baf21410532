"""Dataclasses of arrays and plain values as one ``.npz`` file."""

from __future__ import annotations

import json
import typing
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tile_emu.errors import UsageError
from tile_emu.profile.atomic import replacing

T = TypeVar("T")


def save_arrays(value: Any, path: Path, format_version: int) -> None:
    """Write a dataclass of arrays, tuples of text and numbers; the file appears whole or not at all."""
    arrays: dict[str, Any] = {}
    plain: dict[str, Any] = {"format": format_version}
    for entry in fields(value):
        content = getattr(value, entry.name)
        if isinstance(content, np.ndarray):
            arrays[entry.name] = content
        else:
            plain[entry.name] = content
    with replacing(path) as file:
        np.savez_compressed(file, plain=np.array(json.dumps(plain)), **arrays)


def load_arrays(kind: type[T], path: Path, format_version: int) -> T:
    """Read what save_arrays wrote. Raises UsageError for a file that is missing, damaged or of another format."""
    what = kind.__name__
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            plain = json.loads(str(data["plain"]))
            if plain.pop("format") != format_version:
                raise UsageError(f"{path}: {what} of another format than this version of tile-emu reads")
            hints = typing.get_type_hints(kind)
            values = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
            values |= {name: data[name] for name in hints if name in data}
        return kind(**values)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError, TypeError):
        raise UsageError(f"{path} does not hold a whole {what}") from None

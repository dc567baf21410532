"""Dataclasses of arrays, text and numbers as members of an ``.npz`` file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
_PLAIN = "plain"  # member for everything that is no array


def pack(value: Any, prefix: str) -> dict[str, Any]:
    """Members ``prefix.field`` of a dataclass; integers in 32 bits where they fit."""
    arrays: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for entry in fields(value):
        content = getattr(value, entry.name)
        if isinstance(content, np.ndarray):
            arrays[f"{prefix}.{entry.name}"] = narrow(content)
        else:
            plain[entry.name] = content
    return {**arrays, f"{prefix}.{_PLAIN}": np.array(json.dumps(plain))}


def unpack(kind: type[T], data: Mapping[str, Any], prefix: str) -> T | None:
    """What :func:`pack` made, integers in 64 bits again; None if the file has none.

    Raises KeyError, ValueError or TypeError for other fields than the dataclass has.
    """
    if f"{prefix}.{_PLAIN}" not in data:
        return None
    plain = json.loads(str(data[f"{prefix}.{_PLAIN}"]))
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
    for entry in fields(kind):  # type: ignore[arg-type]
        if entry.name not in values:
            values[entry.name] = wide(data[f"{prefix}.{entry.name}"])
    return kind(**values)


def narrow(column: Any) -> Any:
    """The same integers in 32 bits where they fit: smaller files that are faster to write."""
    fits = column.dtype == np.int64 and -(1 << 31) <= column.min(initial=0) and column.max(initial=0) < 1 << 31
    return column.astype(np.int32) if fits else column


def wide(column: Any) -> Any:
    """Integers in 64 bits; anything else as it is."""
    return column.astype(np.int64) if column.dtype == np.int32 else column

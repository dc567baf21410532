"""An image as one .npz file: the arrays, and one JSON text for everything else.

Arrays are not compressed, which would take longer than what an image saves; integers are written as narrow as they fit.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from tile_emu.chips import Chip, Exchange, Memory, SupervisorTiming, Timing
from tile_emu.errors import UsageError
from tile_emu.graph.hostorder import HostOrder
from tile_emu.graph.hosttensor import HostTensor
from tile_emu.graph.image import Image, LineTable, MemoryMap
from tile_emu.profile.atomic import replacing

FORMAT = 4  # raised whenever the fields of Image or of its parts change
_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)


def save_image(image: Image, path: Path) -> None:
    """Write whole or not at all; raises UsageError if that cannot be."""
    arrays: dict[str, np.ndarray] = {}
    header = {"format": FORMAT, "image": {f.name: _put(getattr(image, f.name), f.name, arrays) for f in fields(image)}}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    try:
        with replacing(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise UsageError(f"cannot write image '{path}': {error.strerror or error}") from error


def load_image(path: Path) -> Image:
    """Read an image file; raises UsageError if there is none, or it is damaged or of another format."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT:
            raise UsageError(f"image '{path}' has format {header['format']}, this version reads {FORMAT}")
        values = {name: _get(value, arrays) for name, value in header["image"].items()}
        return Image(**values)
    except OSError as error:
        raise UsageError(f"cannot read image '{path}': {error.strerror or error}") from error
    except (KeyError, ValueError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UsageError(f"'{path}' is not an image file, or it is damaged") from error


def _put(value: Any, key: str, arrays: dict[str, np.ndarray]) -> Any:
    """A JSON value for ``value``; arrays go to ``arrays`` under ``key`` and are referred to."""
    if isinstance(value, np.ndarray):
        arrays[key] = _narrow(value)
        return {"array": key, "as": value.dtype.str}
    if isinstance(value, np.dtype):
        return {"dtype": value.str}
    if isinstance(value, Chip):
        return {"chip": asdict(value)}
    if isinstance(value, (tuple, list)):
        return {"tuple": [_put(item, f"{key}.{i}", arrays) for i, item in enumerate(value)]}
    if isinstance(value, dict):
        return {"dict": [[name, _put(item, f"{key}.{i}", arrays)] for i, (name, item) in enumerate(value.items())]}
    if hasattr(value, "__dataclass_fields__"):
        parts = {f.name: _put(getattr(value, f.name), f"{key}.{f.name}", arrays) for f in fields(value)}
        return {"object": type(value).__name__, "fields": parts}
    return {"plain": value}


def _narrow(array: np.ndarray) -> np.ndarray:
    """The same numbers in the smallest integers that hold them all."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    least, most = int(array.min()), int(array.max())
    fits = (kind for kind in _INTEGERS if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max)
    return array.astype(next(fits, array.dtype), copy=False)


def _get(value: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    if "array" in value:
        return arrays[value["array"]].astype(value["as"], copy=False)
    if "dtype" in value:
        return np.dtype(value["dtype"])
    if "chip" in value:
        return _chip(value["chip"])
    if "tuple" in value:
        return tuple(_get(item, arrays) for item in value["tuple"])
    if "dict" in value:
        return {name: _get(item, arrays) for name, item in value["dict"]}
    if "object" in value:
        kind = _kinds()[value["object"]]
        return kind(**{name: _get(part, arrays) for name, part in value["fields"].items()})
    return value["plain"]


def _kinds() -> dict[str, Callable[..., Any]]:
    from tile_emu.exchange.transfers import Transfers

    return {kind.__name__: kind for kind in (LineTable, MemoryMap, HostTensor, HostOrder, Transfers)}


def _chip(values: dict[str, Any]) -> Chip:
    timing = values["timing"]
    parts = {
        "memory": Memory(**values["memory"]),
        "timing": Timing(**{**timing, "supervisor": SupervisorTiming(**timing["supervisor"])}),
        "exchange": Exchange(**values["exchange"]),
    }
    return Chip(**{**values, **parts})

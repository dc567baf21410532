"""An image as one .npz file: the arrays, and one JSON text for everything else."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from tile_emu.chips import Chip, Exchange, Memory, SupervisorTiming, Timing
from tile_emu.errors import UsageError
from tile_emu.graph.hosttensor import HostTensor
from tile_emu.graph.image import Image, LineTable, MemoryMap

FORMAT = 3  # raised whenever the fields of Image or of its parts change


def save_image(image: Image, path: Path) -> None:
    """Write under a temporary name in the same folder, then rename: a reader never sees half a file."""
    arrays: dict[str, np.ndarray] = {}
    header = {"format": FORMAT, "image": {f.name: _put(getattr(image, f.name), f.name, arrays) for f in fields(image)}}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write image '{path}': {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


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
        arrays[key] = value
        return {"array": key}
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


def _get(value: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    if "array" in value:
        return arrays[value["array"]]
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

    return {kind.__name__: kind for kind in (LineTable, MemoryMap, HostTensor, Transfers)}


def _chip(values: dict[str, Any]) -> Chip:
    timing = values["timing"]
    parts = {
        "memory": Memory(**values["memory"]),
        "timing": Timing(**{**timing, "supervisor": SupervisorTiming(**timing["supervisor"])}),
        "exchange": Exchange(**values["exchange"]),
    }
    return Chip(**{**values, **parts})

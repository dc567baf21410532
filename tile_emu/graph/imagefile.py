"""An image as one flat file: a line of JSON, padded with blanks, then the bytes of the arrays one after another.

The JSON has everything but the contents of the arrays, a checksum of those, and where each begins. Arrays are not
compressed, which would take longer than what a kept image saves; integers are written as narrow as they fit.
"""

from __future__ import annotations

import json
import zlib
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

FORMAT = 5  # raised whenever the fields of Image or of its parts change
_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)


_ALIGN = 64  # bytes; of the JSON and of every array


def save_image(image: Image, path: Path) -> None:
    """Write whole or not at all; raises UsageError if that cannot be."""
    arrays = _Arrays()
    values = {f.name: _put(getattr(image, f.name), arrays) for f in fields(image)}
    body = b"".join(arrays.parts)
    header = json.dumps({"format": FORMAT, "checksum": zlib.crc32(body), "bytes": len(body), "image": values}).encode()
    try:
        with replacing(path) as file:
            file.write(header + b" " * (-(len(header) + 1) % _ALIGN) + b"\n" + body)
    except OSError as error:
        raise UsageError(f"cannot write image '{path}': {error.strerror or error}") from error


def load_image(path: Path) -> Image:
    """Read an image file; raises UsageError if there is none, or it is damaged or of another format."""
    try:
        content = path.read_bytes()
        end = content.index(b"\n") + 1
        header = json.loads(content[:end])
        if header["format"] != FORMAT:
            raise UsageError(f"image '{path}' has format {header['format']}, this version reads {FORMAT}")
        body = memoryview(content)[end:]
        if len(body) != header["bytes"] or zlib.crc32(body) != header["checksum"]:
            raise ValueError("damaged")
        return Image(**{name: _get(value, body) for name, value in header["image"].items()})
    except OSError as error:
        raise UsageError(f"cannot read image '{path}': {error.strerror or error}") from error
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise UsageError(f"'{path}' is not an image file, or it is damaged") from error


class _Arrays:
    """The arrays of a file as they are added: ``parts`` bytes that follow one another."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._at = 0

    def add(self, array: np.ndarray) -> dict[str, Any]:
        """Where the array lies and how it is to be read."""
        stored = _narrow(array)
        content = stored.tobytes()
        place = {"at": self._at, "stored": stored.dtype.str, "dtype": array.dtype.str, "shape": array.shape}
        self.parts.append(content + bytes(-len(content) % _ALIGN))
        self._at += len(self.parts[-1])
        return place

    @staticmethod
    def read(place: dict[str, Any], body: memoryview) -> np.ndarray:
        """An array of its own, which may be written to."""
        shape, stored = tuple(place["shape"]), np.dtype(place["stored"])
        count = int(np.prod(shape, dtype=np.int64))
        found = np.frombuffer(body, stored, count, place["at"]) if count else np.zeros(0, stored)
        return found.reshape(shape).astype(place["dtype"])


def _put(value: Any, arrays: _Arrays) -> Any:
    """A JSON value for ``value``; arrays go to ``arrays``."""
    if isinstance(value, np.ndarray):
        return {"array": arrays.add(value)}
    if isinstance(value, np.dtype):
        return {"dtype": value.str}
    if isinstance(value, Chip):
        return {"chip": asdict(value)}
    if isinstance(value, (tuple, list)):
        return {"tuple": [_put(item, arrays) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[name, _put(item, arrays)] for name, item in value.items()]}
    if hasattr(value, "__dataclass_fields__"):
        parts = {f.name: _put(getattr(value, f.name), arrays) for f in fields(value)}
        return {"object": type(value).__name__, "fields": parts}
    return {"plain": value}


def _narrow(array: np.ndarray) -> np.ndarray:
    """The same numbers in the smallest integers that hold them all."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    least, most = int(array.min()), int(array.max())
    fits = (kind for kind in _INTEGERS if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max)
    return array.astype(next(fits, array.dtype), copy=False)


def _get(value: dict[str, Any], body: memoryview) -> Any:
    if "array" in value:
        return _Arrays.read(value["array"], body)
    if "dtype" in value:
        return np.dtype(value["dtype"])
    if "chip" in value:
        return _chip(value["chip"])
    if "tuple" in value:
        return tuple(_get(item, body) for item in value["tuple"])
    if "dict" in value:
        return {name: _get(item, body) for name, item in value["dict"]}
    if "object" in value:
        kind = _kinds()[value["object"]]
        return kind(**{name: _get(part, body) for name, part in value["fields"].items()})
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

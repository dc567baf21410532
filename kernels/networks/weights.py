"""Trained weights from files, by name: .npz, .onnx (needs the package onnx) and .safetensors."""

from __future__ import annotations

import difflib
import functools
import json
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.networks.layers import ConvolutionLayer, Layer, MatmulLayer
from tile_emu.errors import UsageError

Array = NDArray[Any]
Loader = Callable[[], Array]

_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
_LONGEST_HEADER = 100 << 20  # bytes; of a .safetensors file that is what it says it is


class WeightFile:
    """The arrays of a file by name, read when asked for. Raises UsageError for a file that is not what it seems."""

    def __init__(self, path: Path) -> None:
        self.path = path
        readers = {".npz": _read_npz, ".onnx": _read_onnx, ".safetensors": _read_safetensors}
        reader = readers.get(path.suffix.lower())
        if reader is None:
            raise UsageError(f"--weights {path}: expected a file named {', '.join('*' + kind for kind in readers)}")
        try:
            self._loaders = reader(path)
        except OSError as error:
            raise UsageError(f"--weights {path}: {error.strerror or 'cannot be read'}") from None

    @property
    def names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(self._loaders)

    def array(self, candidates: Sequence[str]) -> Array:
        """The array called by one of the names, or the only one whose name ends with ``.`` and one of them.

        Raises UsageError when there is none, or more than one.
        """
        for candidate in candidates:
            found = [name for name in self.names if name == candidate]
            found = found or [name for name in self.names if name.endswith(f".{candidate}")]
            if len(found) > 1:
                raise UsageError(f"--weights {self.path}: {candidate} could be {', '.join(found)}")
            if found:
                array = self._loaders[found[0]]()
                if array.dtype.kind not in "fiu":
                    raise UsageError(f"--weights {self.path}: {found[0]} has dtype {array.dtype}, expected numbers")
                return array
        wanted = " or ".join(dict.fromkeys(candidates))
        close = difflib.get_close_matches(candidates[0], self.names, n=3, cutoff=0.5) or list(self.names[:3])
        raise UsageError(
            f"--weights {self.path}: no {wanted} among {len(self.names)} arrays, such as {', '.join(close)}"
        )


def _read_npz(path: Path) -> dict[str, Loader]:
    try:
        archive = np.load(path, allow_pickle=False)
        names = archive.files
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        raise UsageError(f"--weights {path}: not a whole .npz archive") from None

    def loader(name: str) -> Loader:
        def load() -> Array:
            try:
                array: Array = archive[name]
            except (ValueError, EOFError, zipfile.BadZipFile):
                raise UsageError(f"--weights {path}: {name} is damaged or not an array of numbers") from None
            return array

        return load

    return {name: loader(name) for name in names}


def _read_onnx(path: Path) -> dict[str, Loader]:
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise UsageError(
            f"--weights {path}: reading .onnx needs the package onnx (pip install 'tile-emu[onnx]')"
        ) from None
    try:
        tensors = onnx.load(str(path)).graph.initializer
    except OSError:
        raise
    except Exception as error:  # what protobuf raises is not part of its interface
        raise UsageError(f"--weights {path}: not a whole .onnx file ({type(error).__name__})") from None
    return {tensor.name: functools.partial(numpy_helper.to_array, tensor) for tensor in tensors}


def _read_safetensors(path: Path) -> dict[str, Loader]:
    """A length of 8 bytes, that many bytes of JSON, then the arrays."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError
            header = json.loads(file.read(length))
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        return {name: _safetensor(path, 8 + length, entry) for name, entry in entries.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"--weights {path}: not a whole .safetensors file") from None


def _safetensor(path: Path, start: int, entry: Mapping[str, Any]) -> Loader:
    kind, shape, (low, high) = entry["dtype"], entry["shape"], entry["data_offsets"]

    def load() -> Array:
        if kind not in _SAFETENSORS:
            raise UsageError(f"--weights {path}: arrays of {kind} are not supported")
        with path.open("rb") as file:
            file.seek(start + low)
            data = file.read(high - low)
        try:
            array = np.frombuffer(data, _SAFETENSORS[kind]).reshape(shape)
        except ValueError:
            raise UsageError(f"--weights {path}: ends in the middle of an array") from None
        return (array.astype("<u4") << 16).view("<f4") if kind == "BF16" else array

    return load


def layer_weights(file: WeightFile, layer: Layer, encoder_layer: int = 0) -> dict[str, Array]:
    """Operands "w", or "b" and "bias", of a layer; of ``encoder_layer`` where the network has many alike.

    Looked up by the names of published checkpoints, then by the layer's own: ``<layer>.weight``, ``<layer>.bias``.
    A matrix may lie as [n, k], as checkpoints have it, or as [k, n]. Raises UsageError.
    """
    if isinstance(layer, ConvolutionLayer):
        weight = file.array((*layer.weight_names, f"{layer.name}.weight", layer.name))
        shape = (layer.out_channels, layer.in_channels, layer.kernel, layer.kernel)
        if weight.shape != shape:
            raise UsageError(f"--weights {file.path}: weights of {layer.name} are {weight.shape}, expected {shape}")
        return {"w": weight}
    if not layer.trained:
        raise UsageError(f"--weights: {layer.name} has none, both its operands are activations")
    parts = [name.format(layer=encoder_layer) for name in layer.weight_names]
    own = (f"{layer.name}.weight", layer.name)
    every = [_matrix(file, layer, (name, *own) if len(parts) == 1 else (name,), len(parts)) for name in parts]
    found = {"b": np.concatenate(every, axis=1)}
    if layer.bias:
        names = [name.format(layer=encoder_layer) for name in layer.bias_names]
        biases = [file.array((name, f"{layer.name}.bias") if len(names) == 1 else (name,)) for name in names]
        found["bias"] = np.concatenate(biases)
    return found


def _matrix(file: WeightFile, layer: MatmulLayer, names: Sequence[str], parts: int) -> Array:
    """One of ``parts`` weights of a product as [k, n / parts]."""
    weight = file.array(names)
    k, n = layer.k, layer.n // parts
    if weight.shape == (n, k):
        return weight.T
    if weight.shape == (k, n):
        return weight
    raise UsageError(f"--weights {file.path}: {names[0]} is {weight.shape}, {layer.name} wants {(n, k)}")

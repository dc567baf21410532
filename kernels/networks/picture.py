"""Pictures and stored activations as a layer's input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import UsageError

# Mean and standard deviation of the ImageNet training set, red, green, blue of 0..1: what published weights expect.
MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])


def read_input(paths: Sequence[Path], shape: tuple[int, ...]) -> NDArray[Any]:
    """The input of a layer, float32 of ``shape``: from one .npy file, or from pictures for [N, 3, H, W].

    One picture fills the whole batch, otherwise there are as many as the batch has. A picture is scaled until its
    shorter side fits, its middle cut out, and normalised as for ImageNet. Raises UsageError.
    """
    if len(paths) == 1 and paths[0].suffix.lower() == ".npy":
        return _read_array(paths[0], shape)
    if len(shape) != 4 or shape[1] != 3:
        raise UsageError(f"--input {paths[0]}: this layer has no picture for its input; give a .npy file of {shape}")
    if len(paths) not in (1, shape[0]):
        raise UsageError(f"--input: {len(paths)} pictures for a batch of {shape[0]}")
    pictures = np.stack([read_picture(path, shape[2], shape[3]) for path in paths])
    return np.ascontiguousarray(np.broadcast_to(pictures, shape))


def read_picture(path: Path, height: int, width: int) -> NDArray[np.float32]:
    """One picture as float32 [3, height, width]. Needs Pillow. Raises UsageError."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise UsageError(f"--input {path}: reading pictures needs Pillow (pip install 'tile-emu[image]')") from None
    try:
        with Image.open(path) as opened:
            fitted = ImageOps.fit(opened.convert("RGB"), (width, height), Image.Resampling.BILINEAR)
    except UnidentifiedImageError:
        raise UsageError(f"--input {path}: not a picture that Pillow knows") from None
    except OSError as error:
        raise UsageError(f"--input {path}: {error.strerror or error}") from None
    values = (np.asarray(fitted, np.float64) / 255 - MEAN) / DEVIATION
    return values.transpose(2, 0, 1).astype(np.float32)


def _read_array(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise UsageError(f"--input {path}: {error.strerror or 'cannot be read'}") from None
    except (ValueError, EOFError):
        raise UsageError(f"--input {path}: not a whole .npy file of numbers") from None
    if array.shape != shape or array.dtype.kind not in "fiu":
        raise UsageError(f"--input {path}: {array.dtype} of {array.shape}, expected numbers of {shape}")
    return array.astype(np.float32)

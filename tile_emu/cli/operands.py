"""Operands of a kernel from ``.npy`` files or from a seed, checked before anything is emulated."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tile_emu.errors import UsageError

Matrix = npt.NDArray[np.floating[Any]]


def load_matrix(option: str, path: Path, dtype: type[np.floating[Any]]) -> Matrix:
    """Read a matrix as load_array does."""
    return load_array(option, path, dtype, 2)


def load_array(option: str, path: Path, dtype: type[np.floating[Any]], dimensions: int) -> Matrix:
    """Read a numeric ``.npy`` of that many dimensions and round it to ``dtype``.

    Raises UsageError, naming the option and the file, when the file is missing, damaged, not an array of real numbers,
    empty, or holds values that are not finite at ``dtype``.
    """
    what = f"{option} {path}"
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except OSError as error:
        raise UsageError(f"{what}: {error.strerror or 'cannot be read'}") from None
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise UsageError(f"{what}: not a whole .npy file of numbers") from None
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{what}: an archive, not one .npy array")
    if array.dtype.kind not in "fiu":
        raise UsageError(f"{what}: dtype {array.dtype}, expected real numbers")
    if array.ndim != dimensions or 0 in array.shape:
        wanted = "a matrix with rows and columns" if dimensions == 2 else f"{dimensions} dimensions, none of them 0"
        raise UsageError(f"{what}: shape {array.shape}, expected {wanted}")
    if not np.isfinite(array).all():
        raise UsageError(f"{what}: holds values that are infinite or not a number")
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(array, dtype=dtype)
    if not np.isfinite(rounded).all():
        raise UsageError(f"{what}: holds values beyond the range of {np.dtype(dtype).name}")
    return rounded


def random_matrix(generator: np.random.Generator, rows: int, columns: int, dtype: type[np.floating[Any]]) -> Matrix:
    """Standard normal values rounded to ``dtype``: independent random signs, as the RMS check wants them."""
    return generator.standard_normal((rows, columns), dtype=np.float32).astype(dtype)


def matching(name: str, *sources: tuple[str, int | None]) -> int:
    """The one value several sources give for a dimension; ``sources`` are (where it comes from, value or None).

    Raises UsageError when they disagree, when there is none, or when it is not at least 1.
    """
    given = [(where, value) for where, value in sources if value is not None]
    if not given:
        raise UsageError(f"{name} is not known: give --{name}, or a file that has it")
    where, value = given[0]
    for other, differs in given[1:]:
        if differs != value:
            raise UsageError(f"{name} is {value} by {where} but {differs} by {other}")
    if value < 1:
        raise UsageError(f"{name} is {value} by {where}: it must be at least 1")
    return value

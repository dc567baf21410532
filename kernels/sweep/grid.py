"""The grid of a sweep: axes from options or a TOML file, expanded into points."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tile_emu.chips import load_chip
from tile_emu.chips.whatif import ADJUSTABLE
from tile_emu.errors import UsageError
from tile_emu.profile.estimate import WIDTHS

MOST_POINTS = 20_000

WIDTH = "exchange_width"  # in widths of the real fabric; others than 1 are estimated from the run at 1

# Axes that every kernel has, with what stands for them when they are not given.
COMMON: Mapping[str, Any] = {
    **{"dtype": "f16", "chip": "bow", "tiles": None, "plan_rank": 1},
    **{"pass": "fwd", "seed": 0, "bare": False},
    WIDTH: 1,
}
REQUIRED = "required"  # stands where an axis must be given
# Axes of each kernel's own. Any other kernel is a layer, NETWORK.LAYER.
KERNELS: Mapping[str, Mapping[str, Any]] = {
    "matmul": {"m": REQUIRED, "k": REQUIRED, "n": REQUIRED, "groups": 1},
    "convolution": {
        "batch": 1,
        "in_channels": REQUIRED,
        "out_channels": REQUIRED,
        "height": REQUIRED,
        "width": REQUIRED,
        "kernel_size": REQUIRED,
        "stride": 1,
        "padding": 0,
    },
}
_LAYER: Mapping[str, Any] = {"batch": 1, "seq": None, "heads": None}
_TEXT = {"kernel", "dtype", "chip", "pass"}
_OPTIONAL = {"tiles", "seq", "heads"}  # None, typed "default", leaves them to the program


@dataclass(frozen=True)
class Point:
    """One run: the kernel and a value for each of its axes; changed chip figures are part of the chip's name."""

    kernel: str
    values: tuple[tuple[str, Any], ...]

    def __getitem__(self, axis: str) -> Any:
        return dict(self.values)[axis]

    @property
    def name(self) -> str:
        """For people: kernel and the values that are not the usual ones."""
        axes = axes_of(self.kernel)
        told = [f"{axis}={value}" for axis, value in self.values if value != axes[axis]]
        return " ".join([self.kernel, *told])

    @property
    def emulated(self) -> Point:
        """The point that is emulated for this one: the same at the real width of the fabric."""
        return Point(self.kernel, tuple((axis, 1 if axis == WIDTH else value) for axis, value in self.values))

    def identity(self) -> dict[str, Any]:
        """Everything that decides the result, but the program itself."""
        return {"kernel": self.kernel, **dict(self.values)}


def axes_of(kernel: str) -> dict[str, Any]:
    """The axes of a kernel and what stands for them. Raises UsageError for what is neither kernel nor layer."""
    if kernel not in KERNELS and "." not in kernel:
        raise UsageError(
            f"there is no kernel '{kernel}': choose {', '.join(KERNELS)}, or a layer such as resnet50.conv1"
        )
    return {**KERNELS.get(kernel, _LAYER), **COMMON}


def read_grid(path: Path) -> list[Mapping[str, Any]]:
    """The tables ``[[sweep]]`` of a TOML file. Raises UsageError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    tables = data.pop("sweep", None)
    if data or not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise UsageError(f"{path}: tables [[sweep]] are wanted, and nothing else")
    return tables


def axes_from_options(options: Sequence[str]) -> dict[str, Any]:
    """``axis=value,value`` as typed, as a table. Raises UsageError. Commas inside brackets belong to a chip's name."""
    axes: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"--axis '{option}': write axis=value,value")
        if name in axes:
            raise UsageError(f"--axis {name} is given twice: put its values into one, {name}=a,b")
        axes[name] = [_typed(name, value) for value in _split(text)]
    return axes


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for letter in text:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _typed(axis: str, text: str) -> Any:
    if axis in _TEXT or text == "default":
        return text
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise UsageError(f"--axis {axis}: '{text}' is not a number")


def expand(tables: Sequence[Mapping[str, Any]]) -> list[Point]:
    """All points of all tables, in order, each once; the last axis changes fastest. Raises UsageError."""
    points: dict[Point, None] = {}
    for table in tables:
        for point in _points(table):
            points[point] = None
            if len(points) > MOST_POINTS:
                raise UsageError(f"the grid has more than {MOST_POINTS:,} points")
    if not points:
        raise UsageError("the grid has no points")
    return list(points)


def _points(table: Mapping[str, Any]) -> Iterator[Point]:
    axes = {name: value if isinstance(value, list) else [value] for name, value in table.items()}
    for kernel in axes.pop("kernel", ["matmul"]):
        known = axes_of(str(kernel))
        _check(str(kernel), axes, known)
        for combination in itertools.product(*axes.values()):
            yield _point(str(kernel), dict(zip(axes, combination)), known)


def _check(kernel: str, axes: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in axes:
        if name not in known and name not in ADJUSTABLE:
            figures = ", ".join(ADJUSTABLE)
            raise UsageError(
                f"{kernel} has no axis '{name}'; it has {', '.join(known)}, and the chip figures {figures}"
            )
    for name, default in known.items():
        if default is REQUIRED and name not in axes:
            raise UsageError(f"{kernel} needs the axis {name}")


def _point(kernel: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> Point:
    figures = {name: value for name, value in given.items() if name in ADJUSTABLE and name not in known}
    values = {**known, **{name: value for name, value in given.items() if name in known}}
    for name, value in values.items():
        values[name] = _checked(kernel, name, None if value == "default" else value, known[name])
    if figures:
        base, _, more = str(values["chip"]).partition("[")
        changed = [f"{name}={value}" for name, value in figures.items()]
        values["chip"] = f"{base}[{','.join([*filter(None, [more.rstrip(']')]), *changed])}]"
    values["chip"] = load_chip(str(values["chip"])).name
    return Point(kernel, tuple(values.items()))


def _checked(kernel: str, name: str, value: Any, default: Any) -> Any:
    if name in _TEXT:
        fits = isinstance(value, str)
    elif name == WIDTH:
        fits = value == 1 or value in WIDTHS
    elif isinstance(default, bool):
        fits = isinstance(value, bool)
    else:
        least = 0 if name in ("seed", "padding") else 1
        fits = (value is None and name in _OPTIONAL) or (type(value) is int and value >= least)
    if not fits:
        widths = f": {', '.join(f'{width:g}' for width in sorted((1, *WIDTHS)))} are" if name == WIDTH else ""
        raise UsageError(f"{kernel}: {name} = {value!r} is not possible{widths}")
    return value

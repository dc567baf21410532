"""The recording: columnar counters of one run, superstep by tile. It knows nothing of how they are shown.

A program is C compute phases separated by B = C - 1 barriers, each barrier followed by an exchange (possibly of no
words). Every cycle figure is a tile clock cycle counted from the start of the program, the same origin on every tile.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tile_emu.chips import Chip, chip_from, load_chip
from tile_emu.errors import UsageError
from tile_emu.profile.arrays import narrow
from tile_emu.profile.atomic import replacing

I64 = npt.NDArray[np.int64]

# Raised when a column is added or changes its meaning. 1: without per-worker turns, work and execution counts.
FORMAT = 2
# Who wrote a file that does not say so.
FIRST_WRITER = "an early tile-emu (recording format 1, which names no version)"


class Column(NamedTuple):
    """Annotation of a column: its dimensions and what it counts.

    Dimensions: B barriers, C compute phases, T tiles, W workers, I instruction words (and one place for all others).
    """

    dims: str
    meaning: str


@dataclass(frozen=True)
class Recording:
    """What one run left behind. B barriers, C = B + 1 compute phases, T = ``tiles``; all arrays int64.

    Raises ValueError when a column's shape does not fit (a bug of the machine, not of the user).
    """

    chip: Chip
    tiles: int
    compute_names: tuple[str, ...]  # C
    exchange_names: tuple[str, ...]  # B
    model: str  # version of the timing model
    words: int  # instruction words that all tiles share, from the start of SRAM; I = words + 1
    arrival: Annotated[I64, Column("BT", "cycle at which the tile reached the barrier")]
    release: Annotated[I64, Column("B", "cycle at which the barrier let every tile go")]
    row_end: Annotated[I64, Column("BT", "cycle at which the tile left its exchange row; the release if it had none")]
    finish: Annotated[I64, Column("T", "cycle at which the tile ended its program")]
    turns: Annotated[I64, Column("CT", "turns used, all workers together")]
    worker_busy: Annotated[I64, Column("CT", "cycles from a launch to its last exit, summed over launches")]
    supervisor_instructions: Annotated[I64, Column("CT", "instructions of the supervisor")]
    instructions: Annotated[I64, Column("CT", "instructions of supervisor and workers, bundles counted twice")]
    amp: Annotated[I64, Column("CT", "AMP instructions")]
    slic: Annotated[I64, Column("CT", "SLIC instructions")]
    macs: Annotated[I64, Column("CT", "multiply-accumulates of AMP and SLIC instructions")]
    f16_operations: Annotated[I64, Column("CT", "f16 operations (products of f8 included)")]
    f32_operations: Annotated[I64, Column("CT", "f32 operations")]
    bytes_loaded: Annotated[I64, Column("CT", "bytes read from SRAM by loads")]
    bytes_stored: Annotated[I64, Column("CT", "bytes written to SRAM by stores")]
    launches: Annotated[I64, Column("CT", "launches of workers")]
    worker_turns: Annotated[I64, Column("CTW", "turns of each worker")]
    sent: Annotated[I64, Column("BT", "words put on the fabric")]
    received: Annotated[I64, Column("BT", "words stored from the fabric")]
    send_cycles: Annotated[I64, Column("BT", "cycles in which an item (one word, or two) left")]
    receive_cycles: Annotated[I64, Column("BT", "cycles in which an item was stored")]
    exchange_busy: Annotated[I64, Column("BT", "cycles in which an item left or was stored")]
    executions: Annotated[I64, Column("CI", "executions of each instruction by workers, all tiles")]
    extra_turns: Annotated[I64, Column("CI", "turns beyond one an execution, multi-pass functions")]
    supervisor_executions: Annotated[I64, Column("CI", "executions of each instruction by supervisors, all tiles")]
    # Runs of workers on a few chosen tiles, i64[n, 5]: compute phase, tile, worker, cycle of the first turn, turns.
    worker_runs: I64 = field(default_factory=lambda: np.zeros((0, 5), np.int64))
    writer: str = field(default_factory=lambda: _this_version())  # the version that recorded it, "tile-emu 0.1.0"
    missing: frozenset[str] = frozenset()  # columns that the file read did not have: zeros stand in their place

    def __post_init__(self) -> None:
        computes, barriers = len(self.compute_names), len(self.exchange_names)
        if computes != barriers + 1:
            raise ValueError(f"{computes} compute phases need {computes - 1} barriers, not {barriers}")
        sizes = _sizes(self.chip, self.tiles, computes, self.words)
        for name, dims in columns():
            found, shape = getattr(self, name).shape, tuple(sizes[d] for d in dims)
            if found != shape:
                raise ValueError(f"recording column {name} has shape {found}, expected {shape}")

    @classmethod
    def zeros(
        cls,
        chip: Chip,
        tiles: int,
        compute_names: tuple[str, ...],
        exchange_names: tuple[str, ...],
        model: str,
        words: int = 0,
    ) -> Recording:
        """A recording of zeros, to be filled in place."""
        sizes = _sizes(chip, tiles, len(compute_names), words)
        data: dict[str, Any] = {n: np.zeros([sizes[d] for d in dims], np.int64) for n, dims in columns()}
        return cls(chip, tiles, compute_names, exchange_names, model, words, **data)

    @property
    def cycles(self) -> int:
        """Cycles of the whole program: until its last tile has finished."""
        return int(self.finish.max(initial=0))

    @property
    def exchange_end(self) -> I64:
        """[B] cycle at which the last tile left the exchange."""
        last: I64 = self.row_end.max(axis=1, initial=0)
        return np.maximum(last, self.release)

    @property
    def last_arrival(self) -> I64:
        """[B] cycle at which the last tile reached the barrier."""
        last: I64 = self.arrival.max(axis=1, initial=0)
        return last

    @property
    def compute_cycles(self) -> I64:
        """[C] chip level: from the end of the previous exchange to the last arrival (the last phase: to the finish).

        With the next two, the parts of :attr:`cycles`: they add up to it exactly.
        """
        begin = np.concatenate(([0], self.exchange_end))
        end = np.concatenate((self.last_arrival, [self.cycles]))
        return end - begin

    @property
    def sync_cycles(self) -> I64:
        """[B] chip level: from the last arrival to the release."""
        return self.release - self.last_arrival

    @property
    def exchange_cycles(self) -> I64:
        """[B] chip level: from the release until the last tile left its row."""
        return self.exchange_end - self.release

    @property
    def wait_cycles(self) -> I64:
        """[B, T] from the tile's arrival at the barrier to its release."""
        return self.release[:, None] - self.arrival

    @property
    def exchange_idle(self) -> I64:
        """[B, T] from the release until the last tile left the exchange: cycles without a send or a store."""
        return self.exchange_cycles[:, None] - self.exchange_busy

    @property
    def tile_start(self) -> I64:
        """[C, T] cycle at which the tile began the compute phase: when it left its row of the exchange before."""
        return np.concatenate((np.zeros((1, self.tiles), np.int64), self.row_end))

    @property
    def tile_end(self) -> I64:
        """[C, T] cycle at which the tile reached the barrier after the compute phase, or finished."""
        return np.concatenate((self.arrival, self.finish[None, :]))

    @property
    def supervisor_busy(self) -> I64:
        """[C, T] cycles of the tile's compute phase in which no launch was under way: its supervisor works alone."""
        return self.tile_end - self.tile_start - self.worker_busy

    def slow_tiles(self, most: int = 3) -> list[int]:
        """Tiles that held the chip up: the last to end each of the longest compute phases, the longest first.

        At most ``most`` different ones; phases of no cycles and those without workers have none.
        """
        found: dict[int, None] = {}
        for phase in np.argsort(-self.compute_cycles, kind="stable"):
            if self.compute_cycles[phase] and self.turns[phase].any():
                found[int(self.tile_end[phase].argmax())] = None
        return list(found)[:most]

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """Flat columns, a row for each compute phase and tile, phase by phase, with the barrier and exchange after it.

        After the last phase there is none: exchange "", counts of 0, times that of the tile's finish.
        """
        computes, tiles = len(self.compute_names), self.tiles
        flat: dict[str, npt.NDArray[Any]] = {
            "phase": np.repeat(np.arange(computes), tiles),
            "compute": np.repeat(np.array(self.compute_names, np.str_), tiles),
            "exchange": np.repeat(np.array((*self.exchange_names, ""), np.str_), tiles),
            "tile": np.tile(np.arange(tiles), computes),
            "start": self.tile_start.ravel(),
        }
        release = np.broadcast_to(self.release[:, None], self.arrival.shape)
        times = {"arrival": self.arrival, "release": release, "row_end": self.row_end}
        flat |= {name: np.concatenate((value, self.finish[None])).ravel() for name, value in times.items()}
        for name, dims in columns():
            value = getattr(self, name)
            if dims == "CT":
                flat[name] = value.ravel()
            elif dims == "BT" and name not in times:
                flat[name] = np.concatenate((value, np.zeros((1, tiles), np.int64))).ravel()
        flat |= {f"worker{w}_turns": self.worker_turns[:, :, w].ravel() for w in range(self.chip.worker_contexts)}
        return flat

    def to_pandas(self) -> Any:
        """:meth:`table` as a pandas DataFrame. Raises UsageError when pandas is not installed."""
        return _frame("pandas", self.table())

    def to_polars(self) -> Any:
        """:meth:`table` as a polars DataFrame. Raises UsageError when polars is not installed."""
        return _frame("polars", self.table())

    def save_parquet(self, path: Path) -> None:
        """Write :meth:`table` as Parquet, whole or not at all. Raises UsageError when pyarrow is not installed."""
        from tile_emu.profile.parquet import parquet_bytes, pyarrow

        with replacing(path) as file:
            file.write(parquet_bytes(pyarrow().table(self.table())))

    def save(self, path: Path, **more: Any) -> None:
        """Write as ``.npz``, with ``more`` arrays beside the columns; the file appears whole or not at all."""
        from tile_emu import __version__

        arrays: dict[str, Any] = {name: narrow(getattr(self, name)) for name, _ in columns()}
        with replacing(path) as file:
            np.savez_compressed(
                file,
                format=np.array(FORMAT),
                version=np.array(__version__),
                chip=np.array(json.dumps(dataclasses.asdict(self.chip))),
                tiles=np.array(self.tiles),
                words=np.array(self.words),
                worker_runs=narrow(self.worker_runs),
                model=np.array(self.model),
                compute_names=np.array(self.compute_names, dtype=np.str_),
                exchange_names=np.array(self.exchange_names, dtype=np.str_),
                **arrays,
                **more,
            )

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what :meth:`save` of this or an earlier version wrote; :attr:`missing` names what an earlier one lacks.

        Raises UsageError when the file is missing, damaged, something else, or of a later version.
        """
        with opened(path) as data:
            return cls.read(data, path)

    @classmethod
    def read(cls, data: Mapping[str, Any], path: Path) -> Recording:
        """:meth:`load` from the open file ``path``; see :func:`opened`."""
        written = int(data["format"]) if "format" in data else 1
        if written > FORMAT:
            raise UsageError(
                f"{path} was written by tile-emu {data['version']} in format {written}; this one reads {FORMAT}"
            )
        blank = cls.zeros(
            chip=_chip(str(data["chip"])),
            tiles=int(data["tiles"]),
            model=str(data["model"]),
            words=int(data["words"]) if "words" in data else 0,
            compute_names=tuple(str(name) for name in data["compute_names"]),
            exchange_names=tuple(str(name) for name in data["exchange_names"]),
        )
        found = {name: data[name].astype(np.int64) for name, _ in columns() if name in data}
        missing = frozenset(name for name, _ in columns() if name not in found)
        if missing & _ALWAYS:
            raise KeyError(*missing)
        if "worker_runs" in data:
            found["worker_runs"] = data["worker_runs"].astype(np.int64)
        writer = f"tile-emu {data['version']}" if "version" in data else FIRST_WRITER
        return dataclasses.replace(blank, missing=missing, writer=writer, **found)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from tile_emu.profile.notebook import recording_html

        return recording_html(self)


def _this_version() -> str:
    from tile_emu import __version__

    return f"tile-emu {__version__}"


# Columns of format 1: a file without them is no recording.
_ALWAYS = frozenset(
    "arrival release row_end finish turns worker_busy supervisor_instructions instructions amp sent received".split()
)


@contextmanager
def opened(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of a recording's file; whatever goes wrong while they are read becomes a UsageError."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            yield data
    except OSError as error:
        raise UsageError(f"cannot read recording {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError, TypeError):
        raise UsageError(f"{path} is not a whole recording of tile-emu") from None


@functools.cache
def column_table() -> dict[str, Column]:
    """Every column of a recording by name."""
    hints = typing.get_type_hints(Recording, include_extras=True)
    found = {name: getattr(hint, "__metadata__", (None,))[0] for name, hint in hints.items()}
    return {name: column for name, column in found.items() if isinstance(column, Column)}


def columns() -> Iterator[tuple[str, str]]:
    """Name and dimensions of every column."""
    return ((name, column.dims) for name, column in column_table().items())


def _sizes(chip: Chip, tiles: int, computes: int, words: int) -> dict[str, int]:
    return {"B": computes - 1, "C": computes, "T": tiles, "W": chip.worker_contexts, "I": words + 1}


def _chip(text: str) -> Chip:
    """The chip as it was described when it was written; format 1 has its name only."""
    return chip_from(json.loads(text)) if text.startswith("{") else load_chip(text)


def _frame(library: str, table: dict[str, npt.NDArray[Any]]) -> Any:
    import importlib

    try:
        module = importlib.import_module(library)
    except ImportError:
        raise UsageError(f"{library} is not installed: pip install {library}") from None
    return module.DataFrame(table)

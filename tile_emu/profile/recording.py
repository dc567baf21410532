"""The recording: columnar counters of one run, superstep by tile. It knows nothing of how they are shown.

A program is C compute phases separated by B = C - 1 barriers, each barrier followed by an exchange (possibly of no
words). Every cycle figure is a tile clock cycle counted from the start of the program, the same origin on every tile.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tile_emu.chips import Chip, load_chip
from tile_emu.errors import UsageError
from tile_emu.profile.atomic import replacing

I64 = npt.NDArray[np.int64]

# Columns by shape; B barriers, C compute phases, T tiles.
_BARRIER_BY_TILE = (
    *("arrival", "row_end", "sent", "received"),
    *("send_cycles", "receive_cycles", "exchange_busy"),
)
_COMPUTE_BY_TILE = ("turns", "worker_busy", "supervisor_instructions", "instructions", "amp")


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
    arrival: I64  # [B, T] cycle at which the tile reached the barrier
    release: I64  # [B] cycle at which the barrier let every tile go
    row_end: I64  # [B, T] cycle at which the tile left its exchange row; the release if it had none
    finish: I64  # [T] cycle at which the tile ended its program
    turns: I64  # [C, T] turns used, summed over the workers
    worker_busy: I64  # [C, T] cycles of the busiest worker
    supervisor_instructions: I64  # [C, T]
    instructions: I64  # [C, T] supervisor and workers, both halves of a bundle counted
    amp: I64  # [C, T] AMP instructions
    sent: I64  # [B, T] words put on the fabric
    received: I64  # [B, T] words stored from the fabric
    send_cycles: I64  # [B, T] cycles in which an item (one word, or two) left
    receive_cycles: I64  # [B, T] cycles in which an item was stored
    exchange_busy: I64  # [B, T] cycles in which an item left or was stored

    def __post_init__(self) -> None:
        computes, barriers = len(self.compute_names), len(self.exchange_names)
        if computes != barriers + 1:
            raise ValueError(f"{computes} compute phases need {computes - 1} barriers, not {barriers}")
        shapes: dict[str, tuple[int, ...]] = {"release": (barriers,), "finish": (self.tiles,)}
        shapes |= dict.fromkeys(_BARRIER_BY_TILE, (barriers, self.tiles))
        shapes |= dict.fromkeys(_COMPUTE_BY_TILE, (computes, self.tiles))
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"recording column {name} has shape {found}, expected {shape}")

    @classmethod
    def zeros(
        cls, chip: Chip, tiles: int, compute_names: tuple[str, ...], exchange_names: tuple[str, ...], model: str
    ) -> Recording:
        """A recording of zeros, to be filled in place."""
        barriers, computes = len(exchange_names), len(compute_names)
        columns: dict[str, I64] = {name: np.zeros((barriers, tiles), np.int64) for name in _BARRIER_BY_TILE}
        columns |= {name: np.zeros((computes, tiles), np.int64) for name in _COMPUTE_BY_TILE}
        columns |= {"release": np.zeros(barriers, np.int64), "finish": np.zeros(tiles, np.int64)}
        return cls(chip, tiles, compute_names, exchange_names, model, **columns)

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

    def save(self, path: Path) -> None:
        """Write as ``.npz``; the file appears whole or not at all."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _PLAIN}
        with replacing(path) as file:
            np.savez_compressed(
                file,
                chip=np.array(self.chip.name),
                tiles=np.array(self.tiles),
                model=np.array(self.model),
                compute_names=np.array(self.compute_names, dtype=np.str_),
                exchange_names=np.array(self.exchange_names, dtype=np.str_),
                **arrays,
            )

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what :meth:`save` wrote. Raises UsageError when the file is missing, damaged or something else."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                arrays = {f.name: data[f.name] for f in fields(cls) if f.name not in _PLAIN}
                return cls(
                    chip=load_chip(str(data["chip"])),
                    tiles=int(data["tiles"]),
                    model=str(data["model"]),
                    compute_names=tuple(str(name) for name in data["compute_names"]),
                    exchange_names=tuple(str(name) for name in data["exchange_names"]),
                    **arrays,
                )
        except OSError as error:
            raise UsageError(f"cannot read recording {path}: {error.strerror or error}") from None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError, TypeError):
            raise UsageError(f"{path} is not a whole recording of tile-emu") from None


_PLAIN = frozenset({"chip", "tiles", "model", "compute_names", "exchange_names"})

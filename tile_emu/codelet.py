"""One codelet on one tile: a state file says what lies in memory, a run gives the arrays afterwards and the cycles.

The format of the file is described in docs/codelets.md.
"""

from __future__ import annotations

import re
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.chips import Chip
from tile_emu.errors import UsageError

if TYPE_CHECKING:
    from tile_emu.asm import Code
    from tile_emu.tile import Run, Tile
    from tile_emu.tile.check import Findings

KINDS = ("worker", "supervisor")
DTYPES = {
    "f16": np.float16,
    "f32": np.float32,
    "i8": np.int8,
    "u8": np.uint8,
    "i16": np.int16,
    "u16": np.uint16,
    "i32": np.int32,
    "u32": np.uint32,
}
_ARRAY_ALIGN = 16  # bytes: what the widest access of an instruction needs
_TOP_KEYS = {"kind", "workers", "print", "arrays", "state", "registers", "scratch"}
_ARRAY_KEYS = {"address", "dtype", "values", "file", "fill", "count", "save"}
_POINTER = re.compile(r"@(\w+)\s*(?:\+\s*(\w+))?\Z")
_REGISTER = re.compile(r"\$?([ma])(\d+)\Z")
_SUPERVISOR = 6  # row of the supervisor in a tile's register file
_STORED = {"m": 12, "a": 8}  # registers with storage


@dataclass(frozen=True)
class Array:
    """A named array in tile memory. ``data`` is one-dimensional; ``save`` is the .npy to write afterwards."""

    name: str
    address: int
    data: NDArray[Any]
    save: Path | None = None

    @property
    def end(self) -> int:
        return self.address + self.data.nbytes


@dataclass(frozen=True)
class State:
    """Everything a run needs beside the code. ``words`` is the vertex state, 32-bit words at ``address``."""

    kind: str
    workers: tuple[int, ...]
    arrays: dict[str, Array]
    address: int
    words: tuple[int, ...]
    registers: dict[int, int]
    scratch: int | None
    arrays_shown: tuple[str, ...]
    registers_shown: tuple[tuple[str, int], ...]

    @property
    def main_registers(self) -> dict[int, int]:
        """What a supervisor function is called with."""
        return {0: self.address, **self.registers}


@dataclass(frozen=True)
class CodeletRun:
    """What came out. ``worker_cycles`` are a worker's own turns in cycles, 0 for one that did not run."""

    run: Run
    worker_cycles: tuple[int, ...]
    arrays: dict[str, NDArray[Any]]
    registers: dict[str, dict[str, int]] = field(default_factory=dict)  # context -> register -> 32-bit value
    findings: Findings | None = None  # of a checked run


def load_state(path: Path, chip: Chip, code: Code) -> State:
    """Read a state file. Raises UsageError, naming the file and the entry, for anything that is not right.

    Arrays without an address are placed one after another from the start of interleaved memory. Pointers may also
    name symbols of ``code``.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None
    try:
        return _Loader(path, chip, code).state(table)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


class _Loader:
    """Checks one parsed state file."""

    def __init__(self, path: Path, chip: Chip, code: Code) -> None:
        self.folder = path.parent
        self.chip = chip
        self.code = code
        self.arrays: dict[str, Array] = {}

    def state(self, table: Mapping[str, Any]) -> State:
        _known_keys("the file", table, _TOP_KEYS)
        kind = table.get("kind", "worker")
        if kind not in KINDS:
            raise UsageError(f"kind '{kind}': choose worker or supervisor")
        self._load_arrays(_table("arrays", table.get("arrays", {})))
        state = _table("state", table.get("state", {}))
        _known_keys("state", state, {"address", "fields"})
        words = self._words(_table("state.fields", state.get("fields", {})))
        address = self._state_address(state, len(words))
        registers = _table("registers", table.get("registers", {}))
        if registers and kind == "worker":
            raise UsageError("registers are for the supervisor: a worker starts with $mvertex_base alone")
        shown_arrays, shown_registers = self._shown(table.get("print"))
        return State(
            kind=kind,
            workers=self._workers(table.get("workers"), kind),
            arrays=self.arrays,
            address=address,
            words=words,
            registers={_main_register(name): self._word(f"registers.{name}", v) for name, v in registers.items()},
            scratch=None if "scratch" not in table else self._pointer_or_address("scratch", table["scratch"]),
            arrays_shown=shown_arrays,
            registers_shown=shown_registers,
        )

    # Arrays

    def _load_arrays(self, tables: Mapping[str, Any]) -> None:
        free = self.chip.memory.interleaved_base
        for name, given in tables.items():
            what = f"arrays.{name}"
            entry = _table(what, given)
            _known_keys(what, entry, _ARRAY_KEYS)
            data = self._data(what, entry)
            address = entry.get("address", free)
            array = Array(name, _integer(f"{what}.address", address), data, self._save(what, entry))
            self._check_place(what, array.address, array.end)
            for other in self.arrays.values():
                if array.address < other.end and other.address < array.end:
                    raise UsageError(f"{what} at {array.address:#x}..{array.end:#x} overlaps arrays.{other.name}")
            if "address" not in entry:
                free = -(-array.end // _ARRAY_ALIGN) * _ARRAY_ALIGN
            self.arrays[name] = array

    def _check_place(self, what: str, start: int, end: int) -> None:
        memory = self.chip.memory
        if not memory.base <= start <= end <= memory.end:
            raise UsageError(
                f"{what} at {start:#x}..{end:#x} does not lie in tile memory {memory.base:#x}..{memory.end:#x}"
            )
        if start < self.code.end and self.code.base < end:
            raise UsageError(
                f"{what} at {start:#x}..{end:#x} overlaps the code at {self.code.base:#x}..{self.code.end:#x}"
            )

    def _data(self, what: str, entry: Mapping[str, Any]) -> NDArray[Any]:
        given = [key for key in ("values", "file", "fill") if key in entry]
        if len(given) != 1:
            raise UsageError(f"{what} needs one of values, file, fill with count")
        name = entry.get("dtype", None if given == ["file"] else "f32")
        if name is not None and (not isinstance(name, str) or name not in DTYPES):
            raise UsageError(f"{what}.dtype '{name}': choose one of {', '.join(DTYPES)}")
        if given == ["file"]:
            data = self._from_file(what, entry["file"])
            dtype = data.dtype if name is None else np.dtype(DTYPES[name])
            if dtype.type not in DTYPES.values():
                raise UsageError(f"{what}.file holds {data.dtype}: give a dtype of {', '.join(DTYPES)}")
        else:
            dtype = np.dtype(DTYPES[str(name)])
            listed = entry["values"] if given == ["values"] else [entry["fill"]]
            if not isinstance(listed, list) or any(type(value) not in (int, float) for value in listed):
                raise UsageError(f"{what}.{given[0]} must be numbers")
            data = np.array(listed, dtype=object)
        if "count" in entry:
            count = _integer(f"{what}.count", entry["count"])
            room = self.chip.memory.size // dtype.itemsize
            if given != ["fill"] or not 0 < count <= room:
                raise UsageError(f"{what}.count goes with fill and is 1..{room}")
            data = np.repeat(data, count)
        elif given == ["fill"]:
            raise UsageError(f"{what} with fill needs a count")
        return _converted(what, data, dtype)

    def _from_file(self, what: str, name: Any) -> NDArray[Any]:
        if not isinstance(name, str):
            raise UsageError(f"{what}.file must be a file name")
        path = self.folder / name
        try:
            with path.open("rb") as file:
                array = np.load(file, allow_pickle=False)
        except OSError as error:
            raise UsageError(f"{what}.file {path}: {error.strerror or 'cannot be read'}") from None
        except (ValueError, EOFError):
            raise UsageError(f"{what}.file {path}: not a whole .npy file of numbers") from None
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise UsageError(f"{what}.file {path}: not one array of real numbers")
        return array.reshape(-1)

    def _save(self, what: str, entry: Mapping[str, Any]) -> Path | None:
        if "save" not in entry:
            return None
        if not isinstance(entry["save"], str) or "\0" in entry["save"]:
            raise UsageError(f"{what}.save must be a file name")
        return self.folder / entry["save"]

    # Vertex state

    def _state_address(self, state: Mapping[str, Any], words: int) -> int:
        memory = self.chip.memory
        # Without an address: the first element after the code, so that nothing shares it with instructions.
        first = -(-(self.code.end - memory.base) // memory.element_bytes) * memory.element_bytes + memory.base
        address = _integer("state.address", state.get("address", first))
        if address % 4:
            raise UsageError(f"state.address {address:#x} is not a multiple of 4")
        self._check_place("state", address, address + 4 * words)
        for other in self.arrays.values():
            if address < other.end and other.address < address + 4 * words:
                raise UsageError(f"state at {address:#x}..{address + 4 * words:#x} overlaps arrays.{other.name}")
        return address

    def _words(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(self._word(f"state.fields.{name}", value) for name, value in fields.items())

    def _word(self, what: str, value: Any) -> int:
        """32 bits of a field: an integer, an f32, a pointer, or two halves or four bytes, lowest address first."""
        if isinstance(value, list) and len(value) in (2, 4):
            bits = 32 // len(value)
            parts = [_fitting(what, part, bits) for part in value]
            return sum(part << bits * place for place, part in enumerate(parts))
        if isinstance(value, float):
            with np.errstate(over="ignore"):
                return int(np.float32(value).view(np.uint32))
        if isinstance(value, str):
            return self._pointer_or_address(what, value)
        return _fitting(what, value, 32)

    def _pointer_or_address(self, what: str, value: Any) -> int:
        if not isinstance(value, str):
            return _integer(what, value)
        match = _POINTER.match(value)
        try:
            offset = int(match[2], 0) if match and match[2] else 0
        except ValueError:
            match = None
        if match is None:
            raise UsageError(f"{what} '{value}' is not a pointer, written @name or @name+bytes")
        if match[1] in self.arrays:
            return self.arrays[match[1]].address + offset
        if match[1] in self.code.symbols:
            return self.code.symbols[match[1]] + offset
        raise UsageError(f"{what}: there is no array or symbol '{match[1]}'")

    # What runs and what is shown

    def _workers(self, given: Any, kind: str) -> tuple[int, ...]:
        contexts = self.chip.worker_contexts
        if given is None:
            return tuple(range(contexts))
        if kind == "supervisor":
            raise UsageError("workers are for worker codelets: a supervisor launches its own")
        valid = isinstance(given, list) and all(type(w) is int and 0 <= w < contexts for w in given)
        if not valid or not given:
            raise UsageError(f"workers must be a list of numbers 0..{contexts - 1}")
        return tuple(sorted(set(given)))

    def _shown(self, given: Any) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
        if given is None:
            return tuple(self.arrays), ()
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise UsageError("print must be a list of array names and registers")
        arrays, registers = [], []
        for name in given:
            register = _REGISTER.match(name)
            if name in self.arrays:
                arrays.append(name)
            elif register and int(register[2]) < _STORED[register[1]]:
                registers.append((register[1], int(register[2])))
            else:
                raise UsageError(f"print: there is no array or register '{name}'")
        return tuple(arrays), tuple(registers)


def _table(what: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{what} must be a table")
    return value


def _known_keys(what: str, table: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise UsageError(f"{what} has an unknown entry '{unknown[0]}', known are {', '.join(sorted(known))}")


def _integer(what: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise UsageError(f"{what} {value!r} is not a number of 32 bits")
    return value


def _fitting(what: str, value: Any, bits: int) -> int:
    if type(value) is not int or not -(1 << bits - 1) <= value < 1 << bits:
        raise UsageError(f"{what} {value!r} is not an integer of {bits} bits")
    return value & (1 << bits) - 1


def _main_register(name: str) -> int:
    match = _REGISTER.match(name)
    if match is None or match[1] != "m" or int(match[2]) >= _STORED["m"] or int(match[2]) in (0, 10):
        raise UsageError(
            f"registers: '{name}' cannot be set, m1..m9 and m11 can ($m0 is the vertex state, $m10 returns)"
        )
    return int(match[2])


def _converted(what: str, data: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """One dimension of ``dtype``; integers must fit, real numbers are rounded once."""
    try:
        real = data.astype(np.float64)  # exact for every integer of 32 bits
    except OverflowError:
        raise UsageError(f"{what} holds values that are not {dtype.name}") from None
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not np.all((np.floor(real) == real) & (real >= limits.min) & (real <= limits.max)):
            raise UsageError(f"{what} holds values that are not {dtype.name}")
    with np.errstate(over="ignore"):
        return real.astype(dtype)


def prepare_tile(code: Code, state: State, chip: Chip, check: bool = False) -> Tile:
    """A fresh tile with the code and everything the state file puts into memory."""
    from tile_emu.tile import Tile

    tile = Tile(chip, check)
    tile.load(code)
    for array in state.arrays.values():
        tile.write(array.address, array.data)
    if state.words:
        tile.write(state.address, np.array(state.words, dtype=np.uint32))
    if state.scratch is not None:
        for worker in range(chip.worker_contexts):
            tile.set_worker_base(worker, state.scratch)
    return tile


def run_codelet(
    code: Code, entry: str, state: State, chip: Chip, trace: bool = False, check: bool = False
) -> CodeletRun:
    """Run the codelet on a fresh tile. Raises TileFault, UsageError.

    ``trace`` records every bundle; ``check`` looks for errors that the hardware lets pass.
    """
    tile = prepare_tile(code, state, chip, check)
    if state.kind == "worker":
        run = tile.run_workers(entry, vertex_base=state.address, workers=list(state.workers), trace=trace)
    else:
        run = tile.run_supervisor(entry, m=state.main_registers, trace=trace)
    return CodeletRun(
        run=run,
        worker_cycles=tuple(turns * chip.timing.worker_turn for turns in run.turns),
        arrays={name: tile.read(a.address, a.data.dtype, a.data.size) for name, a in state.arrays.items()},
        registers=_registers(tile, state),
        findings=tile.findings() if check else None,
    )


def _registers(tile: Tile, state: State) -> dict[str, dict[str, int]]:
    if not state.registers_shown:
        return {}
    contexts = {f"worker {w}": w for w in state.workers} if state.kind == "worker" else {"supervisor": _SUPERVISOR}
    shown: dict[str, dict[str, int]] = {}
    for name, context in contexts.items():
        shown[name] = {}
        for file, index in state.registers_shown:
            if file == "m":
                shown[name][f"m{index}"] = int(tile.mrf[context, index])
            elif context != _SUPERVISOR:
                shown[name][f"a{index}"] = int(tile.arf[context, index])
    return shown


def as_float(word: int) -> float:
    """A 32-bit word read as f32, for display."""
    return float(struct.unpack("<f", struct.pack("<I", word))[0])

"""What has been translated, for one set of tiles, and the decision what is worth it.

A unit is code reachable from a launch address, identified by the decoded pages it lies in; tiles that hold the same
words there share it. Its source is kept in the cache directory under a hash of the decoded instructions, of everything
the generator depends on and of the chip's memory map; Numba keeps the compiled code beside its own.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.engines import dump_folder, known_engine
from tile_emu.isa.table import table
from tile_emu.jit import DISABLED, cache_directory, fingerprint
from tile_emu.profile.atomic import replacing
from tile_emu.tile import layout
from tile_emu.tile.translate.calls import (
    CONTEXT_FIELDS,
    UNIT_ADDRESS,
    UNIT_BASE,
    UNIT_BLOCK,
    UNIT_DONE,
    UNIT_FIELDS,
    UNIT_FIRST_PAGE,
    UNIT_LIMIT,
    UNIT_NEXT,
    UNIT_PAGES,
    UNIT_SLOTS,
    UNIT_TURNS,
)
from tile_emu.tile.translate.emit import ChipFacts, Emitter
from tile_emu.tile.translate.flow import MOST_PAGES, Instruction, Unit, find_unit

if TYPE_CHECKING:
    from tile_emu.tile.state import TileArrays

_CAPACITY = 1024  # rows of the table; the table never moves, because threads read it
_NEVER = np.iinfo(np.int64).max
# Turns a unit is interpreted for before it is translated (auto): about the time that loading it from the cache, or
# compiling it, takes. Those of earlier runs count too, so that what is run again and again is compiled once.
_WORTH_LOADING = 2_000_000
_WORTH_COMPILING = 200_000_000
_WORTH_REMEMBERING = _WORTH_LOADING

NO_UNITS = np.zeros((1, UNIT_FIELDS), np.int64)


def new_context() -> NDArray[np.int64]:
    """Room for the arguments of translated code; one for each thread."""
    return np.zeros(CONTEXT_FIELDS, np.int64)


@functools.cache
def _version() -> str:
    """Hash of what the generated source depends on, but for the code and the chip."""
    here = Path(__file__).with_name("emit.py")
    return f"{table().version} {fingerprint(here)}"


def _relative(instruction: Instruction, base: int) -> bytes:
    """A decoded row that does not depend on where the code lies."""
    row = instruction.row.copy()
    row[layout.FIELD_UNIT] = 0
    if instruction.target is not None:
        row[instruction.target_field] = (instruction.target - base) // 4
    return bytes(row.tobytes())


def unit_key(unit: Unit, chip: ChipFacts) -> str:
    """Content hash of a unit: equal for the same code wherever it lies."""
    base = unit.low
    digest = hashlib.sha256(f"{_version()} {chip.sram}".encode())
    digest.update(chip.slots.tobytes())
    for block in unit.blocks:
        digest.update(f"{block.pc - base} {block.stop}".encode())
        for instruction in block.instructions:
            for one in (instruction, *instruction.body):
                digest.update(f"{one.pc - base}".encode())
                digest.update(_relative(one, base))
    return digest.hexdigest()[:24]


def _path(key: str) -> Path:
    """Source of a unit. Beside it: an empty file ``.compiled`` once it is, until then its turns in ``.turns``."""
    return cache_directory() / "generated" / f"unit_{key}.py"


def _is_compiled(key: str) -> bool:
    return _path(key).with_suffix(".compiled").is_file()


def _earlier_turns(key: str) -> int:
    """Turns that earlier runs interpreted."""
    try:
        return int(_path(key).with_suffix(".turns").read_text())
    except (OSError, ValueError):
        return 0


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write(text.encode())


_loaded: dict[str, int] = {}


def address_of_unit(unit: Unit, chip: ChipFacts, key: str) -> int:
    """Address of the compiled function of a unit; writes its source and compiles it if the cache does not have it."""
    if key not in _loaded:
        path = _path(key)
        if not path.is_file():
            _write(path, Emitter(unit, chip).source())
        dump = dump_folder()
        if dump is not None:
            dump.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, dump / path.name)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        _loaded[key] = int(module.translated.address)
        if not _is_compiled(key) and not DISABLED:
            _write(path.with_suffix(".compiled"), "")
    return _loaded[key]


class Units:
    """The table of units of some tiles. ``rows``: int64[1024, .]; row 0 holds whether it is to be used at all."""

    def __init__(self, engine: str | None, chip: ChipFacts) -> None:
        self.engine = known_engine(engine)
        self.rows = np.zeros((_CAPACITY, UNIT_FIELDS), np.int64)
        self.rows[0, UNIT_ADDRESS] = self.engine != "interpreter"
        self.chip = chip
        self._count = 1
        self._found: dict[int, tuple[Unit, str]] = {}  # row -> unit and its key
        self._remembered: dict[int, int] = {}  # row -> turns already kept for later runs
        self._lock = threading.Lock()

    @property
    def turns(self) -> int:
        """Turns done by translated code so far."""
        return int(self.rows[1 : self._count, UNIT_DONE].sum())

    def consider(self, arrays: TileArrays, tiles: NDArray[np.int64]) -> None:
        """Look at the entries at which workers of some tiles stopped with Status.TRANSLATE. Safe from several threads.

        Of the tiles at one entry one is looked at, and the pages of its unit are decoded for all: those that hold the
        same code find it when they go on.
        """
        addresses = arrays.progress[tiles, arrays.sup[tiles, layout.STOPPED_CONTEXT], layout.PC]
        for pc in np.unique(addresses).tolist():
            group = tiles[addresses == pc]
            row = self._consider(arrays, int(group[0]), pc)
            first = int(self.rows[row, UNIT_FIRST_PAGE])
            for page in range(first, first + int(self.rows[row, UNIT_PAGES])):
                arrays.decode_pages(group, page)

    def _consider(self, arrays: TileArrays, tile: int, pc: int) -> int:
        """Row of the unit of a tile at an entry, which is registered or translated if it is time to."""
        with self._lock:
            slot, position = self._place(arrays, tile, pc)
            head = int(arrays.pool.rows[position])
            row = self._known(arrays, tile, head)
            if row < 0:
                row = self._register(arrays, tile, pc, slot, head)
                arrays.pool.rows[position] = row
            elif self.rows[row, UNIT_ADDRESS] == 0 and self.rows[row, UNIT_TURNS] >= self.rows[row, UNIT_LIMIT]:
                self._translate(row)
            return row

    def _place(self, arrays: TileArrays, tile: int, pc: int) -> tuple[int, int]:
        """Pool slot of the page of an address, and the position of its row's FIELD_UNIT."""
        word = (pc - arrays.chip.memory.base) // 4
        slot = arrays.page_slot(tile, word // layout.PAGE_WORDS)
        row = slot * layout.PAGE_WORDS + word % layout.PAGE_WORDS
        return slot, row * layout.DECODED_FIELDS + layout.FIELD_UNIT

    def _known(self, arrays: TileArrays, tile: int, row: int) -> int:
        """The unit of a chain that fits the tile once its pages are decoded; -1 if there is none."""
        while row > 0:
            first, count = int(self.rows[row, UNIT_FIRST_PAGE]), int(self.rows[row, UNIT_PAGES])
            slots = [arrays.page_slot(tile, first + i) for i in range(count)]
            if slots == self.rows[row, UNIT_SLOTS : UNIT_SLOTS + count].tolist():
                return row
            row = int(self.rows[row, UNIT_NEXT])
        return -1

    def _register(self, arrays: TileArrays, tile: int, pc: int, slot: int, head: int) -> int:
        """A new row for the code at an entry; where nothing can be translated, one that says so."""
        row = min(self._count, _CAPACITY - 1)
        self._count = row + 1
        unit = find_unit(pc, self._reader(arrays, tile), arrays.chip.memory.base, arrays.slots)
        new = np.zeros(UNIT_FIELDS, np.int64)
        new[UNIT_NEXT] = head
        new[UNIT_LIMIT] = _NEVER
        if row == _CAPACITY - 1:  # full: this last row fits everything and is never translated
            new[UNIT_NEXT] = 0
        elif unit is None or unit.pages > MOST_PAGES:
            new[UNIT_FIRST_PAGE], new[UNIT_PAGES] = (pc - arrays.chip.memory.base) // layout.PAGE_BYTES, 1
            new[UNIT_SLOTS] = slot
        else:
            key = unit_key(unit, self.chip)
            self._found[row] = unit, key
            new[UNIT_BLOCK] = next(block.index for block in unit.blocks if block.pc == pc)
            new[UNIT_FIRST_PAGE], new[UNIT_PAGES], new[UNIT_BASE] = unit.first_page, unit.pages, unit.low
            new[UNIT_SLOTS : UNIT_SLOTS + unit.pages] = [
                arrays.page_slot(tile, unit.first_page + i) for i in range(unit.pages)
            ]
            new[UNIT_LIMIT] = self._limit(key)
        self.rows[row] = new
        if new[UNIT_LIMIT] == 0:
            self._translate(row)
        return row

    def _limit(self, key: str) -> int:
        """Turns after which a unit is translated."""
        if self.engine == "translator" or key in _loaded:
            return 0
        if _is_compiled(key):
            return _WORTH_LOADING
        return max(_WORTH_LOADING, _WORTH_COMPILING - _earlier_turns(key))

    def remember(self) -> None:
        """Keep the turns of what was not worth compiling yet, for later runs; call at the end of a run."""
        with self._lock, contextlib.suppress(OSError):  # without it, later runs only compile later
            for row, (_, key) in self._found.items():
                turns = int(self.rows[row, UNIT_TURNS])
                new = turns - self._remembered.get(row, 0)
                if self.rows[row, UNIT_ADDRESS] == 0 and new >= _WORTH_REMEMBERING and not _is_compiled(key):
                    _write(_path(key).with_suffix(".turns"), str(_earlier_turns(key) + new))
                    self._remembered[row] = turns

    def _reader(self, arrays: TileArrays, tile: int) -> Callable[[int], Any]:
        base = arrays.chip.memory.base

        def row_at(pc: int) -> Any:
            offset = pc - base
            if offset & 3 or not 0 <= offset < arrays.executable:
                return None
            slot = arrays.page_slot(tile, offset // layout.PAGE_BYTES)
            start = (slot * layout.PAGE_WORDS + offset // 4 % layout.PAGE_WORDS) * layout.DECODED_FIELDS
            return arrays.pool.rows[start : start + layout.DECODED_FIELDS]

        return row_at

    def _translate(self, row: int) -> None:
        unit, key = self._found[row]
        self.rows[row, UNIT_LIMIT] = _NEVER  # also where a tile traps and it is not used: nothing more to do
        self.rows[row, UNIT_ADDRESS] = address_of_unit(unit, self.chip, key)

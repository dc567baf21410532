"""The package's own names: imported when first used, and nothing before."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tile_emu


def test_import_loads_nothing() -> None:
    program = "import sys, tile_emu; print([m for m in sys.modules if m.startswith(('tile_emu.', 'numpy', 'numba'))])"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_every_name_is_there() -> None:
    for name in tile_emu.__all__:
        assert callable(getattr(tile_emu, name))
        assert name in dir(tile_emu)
    with pytest.raises(AttributeError, match="no attribute 'Tiles'"):
        _ = tile_emu.Tiles  # type: ignore[attr-defined]


def test_the_short_way() -> None:
    from tile_emu import Tile, assemble, disassemble

    code = assemble(text="go: ld32 $m0, $mvertex_base, 0\nadd $m0, $m0, 2\nst32 $m0, $mvertex_base, 1\nexitz $m0\n")
    assert disassemble(code.words)[1] == "add $m0, $m0, 2"
    tile = Tile("ipu21")
    tile.load(code)
    tile.write(0x51000, np.array([40], dtype=np.uint32))
    run = tile.run_workers("go", vertex_base=0x51000, workers=[0])
    assert tile.read(0x51004, "uint32", 1).tolist() == [42]
    assert run.turns[0] == 4

"""All codelets of the project on both engines: state, cycles and execution counts after every launch, bit for bit.

The vertices are those of the codelets' own tests, which also compare the numbers with NumPy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kernels.codelets
import tile_emu.graph.codelets
from kernels.matmul import matmul
from tests import test_codelets_elementwise as elementwise
from tests import test_codelets_matmul as matmuls
from tests import test_codelets_slic as slic
from tests import test_graph_codelets as graph
from tests.engines import both_engines, both_engines_of_machines
from tile_emu.graph.codelets import FAR, NEAR

FOLDERS = [Path(package.__file__).parent for package in (kernels.codelets, tile_emu.graph.codelets)]
CODELETS = sorted(path.stem for folder in FOLDERS for path in folder.glob("*.S"))


def product(chip: str, dtype: str, variants: tuple[bool, ...] = (True,)) -> Callable[[], None]:
    """``variants``: whether to start from partial sums; the two have entries of their own, which all are compiled."""

    def run() -> None:
        for acc in variants:
            vertex = matmuls.Vertex(chip, dtype, 31, 6, 2)
            got, _ = vertex.run(acc)
            np.testing.assert_array_equal(got, vertex.x @ vertex.w.T + (vertex.partials if acc else 0))

    return run


def activation(name: str, bits: int) -> Callable[[], None]:
    dtype = {16: np.float16, 32: np.float32}[bits]
    return lambda: elementwise.test_numbers_and_turns(*elementwise.BLOCKS[1], name, dtype)


def gather(unit: int, far: bool) -> Callable[[], None]:
    return lambda: graph.test_gather("bow", unit, far, 13)


VERTICES: dict[str, Callable[[], None]] = {
    "matmul_f16": product("bow", "f16", (False, True)),
    "matmul_f16_gc2": product("gc2", "f16"),
    "matmul_f16f32": product("bow", "f16f32"),
    "matmul_f32": product("bow", "f32"),
    "matmul_f32_gc2": product("gc2", "f32"),
    "slic_f16": lambda: slic.test_sums_of_windows(50, 6, "bow", "f16"),
    "slic_f16f32": lambda: slic.test_sums_of_windows(50, 6, "bow", "f16f32"),
    "cast_f16_f32": lambda: elementwise.test_cast(40, False),
    "cast_f32_f16": lambda: elementwise.test_cast(40, True),
    "copy_rows": lambda: matmuls.test_rows_copied_within_a_tile(3, 6, 16),
    "copy8": lambda: graph.test_copy("bow", 13),
    "merge8": lambda: graph.test_scatter_and_merge("bow", 13, True),
    "scatter8": lambda: graph.test_scatter_and_merge("bow", 13, False),
    "transpose4": lambda: graph.test_transpose("bow", 32, 40, 13),
    "reduce_f16": lambda: matmuls.test_reduction(np.float16, "bow", 20, 4, 22),
    "reduce_f32": lambda: matmuls.test_reduction(np.float32, "bow", 20, 4, 22),
}
for _bits in (16, 32):
    VERTICES[f"bias_f{_bits}"] = activation("none", _bits)
    VERTICES |= {f"bias_{name}_f{_bits}": activation(name, _bits) for name in elementwise.ACTIVATIONS if name != "none"}
VERTICES |= {f"gather{unit}": gather(unit, False) for unit in NEAR}
VERTICES |= {f"gather{unit}_far": gather(unit, True) for unit in FAR if unit > 1}


@pytest.mark.parametrize("name", CODELETS)
def test_codelet(name: str) -> None:
    """A new codelet file has to have its vertex above."""
    with both_engines() as translated:
        VERTICES[name]()
    assert f"{name}.S" in translated.files
    assert translated[0] > 0


def test_a_whole_machine() -> None:
    """Exchanges, partial sums, bias and activation on 16 tiles: all state, and everything that is recorded."""
    random = np.random.default_rng(1)
    a, b = (random.standard_normal(shape).astype(np.float16) for shape in ((60, 600), (600, 50)))
    with both_engines_of_machines() as translated:
        result = matmul(a, b, bias=random.standard_normal(50).astype(np.float16), activation="gelu", tiles=16)
    assert translated[0] > 1000
    assert np.isfinite(result.out).all()


def test_faults_at_every_instruction() -> None:
    """Three codelets; translated code as plain Python, so that hundreds of variants of it need no compiling."""
    command = [sys.executable, "-m", "tests.differential.faults"]
    done = subprocess.run(command, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 3

"""Assembled code from the cache is that of the assembler, and an edit of anything it depends on is noticed."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kernels.codelets import __file__ as kernel_codelets
from tile_emu.asm import assemble
from tile_emu.asm.code import Code
from tile_emu.graph import keptcode
from tile_emu.graph.codelets import __file__ as graph_codelets
from tile_emu.graph.keptcode import assemble_kept

BASE = 0x4C000


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILE_EMU_CACHE_DIR", str(tmp_path / "cache"))


def assembled_times(paths: list[Path]) -> int:
    """How often the assembler ran for one call."""
    with mock.patch.object(keptcode, "assemble", wraps=assemble) as seen:
        same(assemble_kept(paths, "ipu21", BASE), assemble(paths, architecture="ipu21", base=BASE))
        return seen.call_count


def same(first: Code, second: Code) -> None:
    for name in ("words", "line_address", "line_number"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype and np.array_equal(one, other)
    for name in ("base", "symbols", "line_file", "line_unit"):
        assert getattr(first, name) == getattr(second, name)


def test_all_codelets() -> None:
    """Every codelet of the project can be kept."""
    for folder in (kernel_codelets, graph_codelets):
        for path in sorted(Path(folder).parent.glob("*.S")):
            if "gc2" not in path.name:
                assert assembled_times([path]) == 1 and assembled_times([path]) == 0


def codelet(folder: Path, include: str = "values.inc") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "values.inc").write_text("#define VALUE 3\n")
    path = folder / "one.S"
    path.write_text(f'#include "{include}"\n.worker\n.globl one\none:\n    setzi $m0, VALUE\n    exitz $mzero\n')
    return path


def test_edits_are_noticed(tmp_path: Path) -> None:
    path = codelet(tmp_path / "own")
    assert assembled_times([path]) == 1 and assembled_times([path]) == 0
    (path.parent / "values.inc").write_text("#define VALUE 4\n")
    assert assembled_times([path]) == 1 and assembled_times([path]) == 0
    path.write_text(path.read_text().replace("$m0", "$m1"))
    assert assembled_times([path]) == 1


def test_what_is_included_from_elsewhere_is_not_kept(tmp_path: Path) -> None:
    codelet(tmp_path / "other")
    path = codelet(tmp_path / "own", "../other/values.inc")
    assert assembled_times([path]) == 1 and assembled_times([path]) == 1


def test_a_damaged_file_counts_as_absent(tmp_path: Path) -> None:
    path = codelet(tmp_path / "own")
    assert assembled_times([path]) == 1
    (kept,) = (tmp_path / "cache" / "code").iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:200] + bytes(100) + whole[300:]):
        kept.write_bytes(damaged)
        assert assembled_times([path]) == 1 and kept.read_bytes() == whole

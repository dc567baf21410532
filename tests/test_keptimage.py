"""Images kept on disk: found again by what they were made from, the same run, gone when damaged."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.contraction import run as contraction_run
from kernels.contraction.run import ContractionResult, plan_and_lower
from kernels.convolution import convolution
from kernels.matmul import matmul, matmul_choices
from tile_emu import kept
from tile_emu.chips import load_chip
from tile_emu.errors import TileFault
from tile_emu.graph import Image, keptimage
from tile_emu.machine import Machine
from tile_emu.profile.report import Report

CHIP = load_chip("bow")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images are kept; compiled code and plans stay where they are."""
    monkeypatch.setattr(keptimage, "cache_directory", lambda: tmp_path)
    kept._added.clear()
    return tmp_path / "images"


@pytest.fixture
def no_graphs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it, and nothing can be built from then on."""
    return lambda: monkeypatch.setattr(contraction_run, "build_graph", None)


def product() -> ContractionResult:
    draw = np.random.default_rng(3)
    a, b, bias = (draw.standard_normal(shape).astype(np.float16) for shape in ((40, 200), (200, 33), (33,)))
    return matmul(a, b, "f16f32", "bow", bias=bias, activation="gelu", tiles=24, threads=1)


def strided() -> ContractionResult:
    draw = np.random.default_rng(4)
    x, w = draw.standard_normal((2, 20, 9, 9)), draw.standard_normal((24, 20, 3, 3))
    return convolution(x.astype(np.float16), w.astype(np.float16), 2, 1, dtype="f16", tiles=20, threads=1, check=True)


def files(result: ContractionResult, folder: Path) -> dict[str, Any]:
    """Every file of a report as bytes, archives as the bytes of their arrays."""
    folder.mkdir()
    Report.of({"kernel": "it", "cycles": result.recording.cycles}, result.recording, result.image).save(folder)
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        found[path.name] = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found[path.name] = {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}
    return found


@pytest.mark.parametrize("kernel", [product, strided])
def test_a_run_from_a_kept_image_is_the_same(kernel: Any, folder: Path, tmp_path: Path, no_graphs: Any) -> None:
    with keptimage.no_kept_images():
        lowered = kernel()
    assert not folder.exists()
    first = kernel()
    assert len(list(folder.iterdir())) == 1
    no_graphs()
    again = kernel()
    expected = files(lowered, tmp_path / "lowered")
    assert len(expected) >= 4
    for name, result in (("first", first), ("again", again)):
        assert result.image == lowered.image
        assert np.array_equal(result.out, lowered.out) and np.array_equal(result.sram_bytes, lowered.sram_bytes)
        assert files(result, tmp_path / name) == expected
        assert result.findings is None or result.findings.to_dict() == lowered.findings.to_dict()


def test_a_fault_reads_the_same(folder: Path, no_graphs: Any) -> None:
    def message(image: Image) -> str:
        machine = Machine(CHIP, image.tiles, 1)
        machine.load(image)
        code = max(image.symbols.values()) - CHIP.memory.base
        machine.memory[3, code : code + 16] = 0xFF  # no instructions
        with pytest.raises(TileFault) as caught:
            machine.run()
        return str(caught.value)

    choices = matmul_choices(64, 64, 32, "f16")
    lowered = message(plan_and_lower(choices, CHIP, tiles=8)[1])
    no_graphs()
    assert message(plan_and_lower(choices, CHIP, tiles=8)[1]) == lowered and "tile 3" in lowered and ".inc:" in lowered


def test_other_problems_are_other_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lower(m: int = 64, chip: Any = CHIP, **options: Any) -> None:
        plan_and_lower(matmul_choices(m, 64, 32, "f16"), chip, **{"tiles": 8, **options})

    lower()
    lower(m=65)
    lower(tiles=2)
    lower(plan_rank=2)
    lower(chip=load_chip("gc200"))
    slower = dataclasses.replace(CHIP, timing=dataclasses.replace(CHIP.timing, sync_release=900))
    lower(chip=slower)
    assert len(list(folder.iterdir())) == 6
    lower()
    assert len(list(folder.iterdir())) == 6
    monkeypatch.setattr(keptimage, "tree_hash", lambda *folders, without: "an edited program")
    lower()
    assert len(list(folder.iterdir())) == 7


def test_damaged_and_foreign_files_are_replaced(folder: Path) -> None:
    choices = matmul_choices(64, 64, 32, "f16")
    image = plan_and_lower(choices, CHIP, tiles=8)[1]
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (b"", b"something else", b"{}\n", b"[3]\n", whole[:middle], whole[:-100], whole + b" ", flipped):
        path.write_bytes(content)
        assert plan_and_lower(choices, CHIP, tiles=8)[1] == image
        assert Image.load(path) == image


def test_a_disk_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(keptimage, "cache_directory", lambda: tmp_path / "file")
    assert plan_and_lower(matmul_choices(64, 64, 32, "f16"), CHIP, tiles=8)[1].tiles


def test_the_least_recently_used_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_and_lower(matmul_choices(64, 64, 32, "f16"), CHIP, tiles=8)
    (first,) = folder.iterdir()
    monkeypatch.setitem(kept._KINDS, "images", (("images",), 2 * first.stat().st_size))
    for m in (65, 66, 67, 68):
        plan_and_lower(matmul_choices(m, 64, 32, "f16"), CHIP, tiles=8)
    assert 1 <= len(list(folder.iterdir())) <= 2 and not first.exists()


@pytest.mark.nojit
def test_different_values_are_different_bytes() -> None:
    values: list[Any] = [(), [1], [[1]], ["1"], [1.0], [True], [None], {"a": 1}, {"a": 2}, "a", b"a"]
    values += [[1, [2]], [[1], 2], np.zeros(2), np.zeros(2, np.float32), np.zeros((2, 1)), np.zeros((1, 2))]
    values.append([np.zeros(1), np.zeros(1)])
    made = [b"".join(keptimage._flat(value)) for value in values]
    assert len(set(made)) == len(values)

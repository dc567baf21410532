"""Recording and summary against figures worked out by hand (tests/recordings.py)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.recordings import small_recording
from tile_emu.chips import load_chip
from tile_emu.errors import UsageError
from tile_emu.profile import Recording, Summary, summarise
from tile_emu.profile.atomic import replacing, require_writable
from tile_emu.profile.summary import Histogram

pytestmark = pytest.mark.nojit


def small_summary() -> Summary:
    # A quarter of 1,472 tiles * 64 MAC * 500 cycles.
    return summarise(small_recording(), useful_macs=11_776_000, dtype="f16", sram_bytes=np.array([1000, 3000, 2000, 0]))


def test_phases_by_superstep() -> None:
    recording = small_recording()
    assert recording.compute_cycles.tolist() == [100, 55, 155]
    assert recording.sync_cycles.tolist() == [45, 45]
    assert recording.exchange_cycles.tolist() == [100, 0]
    assert recording.cycles == 500
    assert recording.wait_cycles.tolist() == [[45, 55, 65, 45], [45, 95, 85, 55]]
    assert recording.exchange_idle.tolist() == [[50, 50, 30, 50], [0, 0, 0, 0]]


def test_figures() -> None:
    summary = small_summary()
    assert (summary.compute_cycles, summary.sync_cycles, summary.exchange_cycles) == (310, 90, 100)
    assert summary.tiles_used == 2
    assert summary.issue_utilisation == pytest.approx(155 / 1000)  # 2 tiles * 6 workers * 500 cycles / 6
    assert summary.amp_utilisation == pytest.approx(75 / 155)
    assert summary.mac_efficiency == pytest.approx(0.25)
    assert summary.tile_balance == pytest.approx(0.88)  # busy 100 and 76
    assert summary.seconds_on_chip == pytest.approx(500 / 1.85e9)
    assert summary.tflops == pytest.approx(87.1424)  # 2 * 11,776,000 / 270.27 ns
    assert summary.peak_share == pytest.approx(0.25)
    assert (summary.sram_max_bytes, summary.sram_mean_bytes) == (3000, 1500.0)
    assert summary.instructions == 300
    assert (summary.words_sent, summary.words_received) == (150, 250)


def test_peak_depends_on_dtype() -> None:
    summary = summarise(small_recording(), useful_macs=11_776_000, dtype="f32", sram_bytes=np.zeros(4, np.int64))
    assert summary.mac_efficiency == pytest.approx(1.0)  # 16 MAC per tile and cycle


def test_histogram_counts_every_tile_once() -> None:
    histogram = small_summary().histogram
    assert histogram.idle == 1470  # of the whole chip, not only of the four that the program was laid out on
    # 90 and 65 of 500 turns: 0.18 and 0.13, bins of 2 % up to 20 %.
    assert histogram.edges[-1] == pytest.approx(0.2)
    assert histogram.counts == (0, 0, 0, 0, 0, 0, 1, 0, 0, 1)
    lines = histogram.lines()
    assert lines[0].split() == ["idle", "1,470"]
    assert lines[6].split() == ["10..12", "%", "0"]
    assert lines[7].split() == ["12..14", "%", "#" * 40, "1"]


def test_histogram_bars_are_in_proportion() -> None:
    lines = Histogram((0.0, 0.1, 0.2, 0.3), (1000, 250, 1), 0).lines()
    assert [line.count("#") for line in lines] == [0, 40, 10, 1]  # too few for a bar in proportion, but not nothing


def test_supersteps_in_program_order() -> None:
    steps = [(s.kind, s.name, s.cycles) for s in small_summary().supersteps]
    assert steps == [
        ("compute", "first", 100),
        ("sync", "to second", 45),
        ("exchange", "to second", 100),
        ("compute", "second", 55),
        ("sync", "to third", 45),
        ("exchange", "to third", 0),
        ("compute", "third", 155),
    ]
    # The empty exchange is not worth a line; the rest stays in order.
    assert [line.split()[-1] for line in small_summary().superstep_lines()] == ["first", "second", "second", "third"]


def test_nothing_ran() -> None:
    empty = Recording.zeros(load_chip("gc2"), 3, ("only",), (), "test")
    summary = summarise(empty, useful_macs=0, dtype="f16", sram_bytes=np.zeros(3, np.int64))
    assert (summary.cycles, summary.tiles_used, summary.issue_utilisation, summary.tile_balance) == (0, 0, 0.0, 0.0)
    assert summary.histogram.idle == 1216
    assert summary.lines()


def test_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"column turns has shape \(1, 4\), expected \(3, 4\)"):
        dataclasses.replace(small_recording(), turns=np.zeros((1, 4), np.int64))
    with pytest.raises(ValueError, match="2 compute phases need 1 barriers, not 2"):
        dataclasses.replace(small_recording(), compute_names=("a", "b"))


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "recording.npz"
    recording = small_recording()
    recording.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["recording.npz"]
    loaded = Recording.load(path)
    assert loaded.writer.startswith("tile-emu ")
    recording = dataclasses.replace(recording, writer=loaded.writer)
    for field in dataclasses.fields(Recording):
        before, after = getattr(recording, field.name), getattr(loaded, field.name)
        assert np.array_equal(before, after) if isinstance(before, np.ndarray) else before == after


def test_load_refuses_what_is_not_a_recording(tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    small_recording().save(whole)
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(whole.read_bytes()[:500])
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    single = tmp_path / "single.npy"
    np.save(single, np.zeros(3))
    (tmp_path / "empty.npz").touch()
    for path in (truncated, other, single, tmp_path / "empty.npz"):
        with pytest.raises(UsageError, match="not a whole recording"):
            Recording.load(path)
    with pytest.raises(UsageError, match="No such file"):
        Recording.load(tmp_path / "missing.npz")


def test_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_places_are_found_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a directory"):
        require_writable(tmp_path)
    with pytest.raises(UsageError, match="No such file"):
        require_writable(tmp_path / "missing" / "c.npy")
    with pytest.raises(UsageError, match=r"exists|Not a directory"):
        require_writable(tmp_path / "file", directory=True)
    require_writable(tmp_path / "new" / "deep", directory=True)
    assert (tmp_path / "new" / "deep").is_dir()

"""The trace, parsed back by perfetto's own protobuf classes and compared with the recording."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from tests.recordings import small_recording
from tile_emu.chips import load_chip
from tile_emu.profile import Recording
from tile_emu.profile.protobuf import chunk, number, varint
from tile_emu.profile.trace import perfetto_trace

pytestmark = pytest.mark.nojit


def parsed(data: bytes) -> tuple[dict[str, list[tuple[str, int, int]]], dict[str, str], Any]:
    """Slices (name, start, end) by track name, parent by track name, all packets."""
    messages = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    trace = messages.Trace()
    trace.ParseFromString(data)
    tracks: dict[int, Any] = {}
    interned: dict[int, str] = {}
    open_slices: dict[int, list[tuple[str, int]]] = defaultdict(list)
    slices: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1
        if packet.HasField("track_descriptor"):
            tracks[packet.track_descriptor.uuid] = packet.track_descriptor
        for entry in packet.interned_data.event_names:
            interned[entry.iid] = entry.name
        event = packet.track_event
        if event.type == event.TYPE_SLICE_BEGIN:
            open_slices[event.track_uuid].append((interned[event.name_iid], packet.timestamp))
        elif event.type == event.TYPE_SLICE_END:
            name, start = open_slices[event.track_uuid].pop()
            slices[tracks[event.track_uuid].name].append((name, start, packet.timestamp))
    assert not any(open_slices.values())
    parents = {t.name: tracks[t.parent_uuid].name for t in tracks.values() if t.parent_uuid and t.parent_uuid != 1}
    return slices, parents, trace.packet


def recording() -> Recording:
    runs = np.array([[0, 1, 0, 6, 5], [0, 1, 5, 11, 3], [2, 1, 0, 366, 6]], np.int64)
    return dataclasses.replace(small_recording(), worker_runs=runs)


def test_phases_are_those_of_the_recording() -> None:
    slices, _, _ = parsed(perfetto_trace(recording(), "test"))
    # compute 100, 55, 155; sync 45, 45; exchange 100, 0 (an empty one leaves no slice)
    assert slices["phases"] == [
        ("compute first", 0, 100),
        ("sync to second", 100, 145),
        ("exchange to second", 145, 245),
        ("compute second", 245, 300),
        ("sync to third", 300, 345),
        ("compute third", 345, 500),
    ]


def test_a_tile_and_its_workers() -> None:
    slices, parents, _ = parsed(perfetto_trace(recording(), "test"))
    assert slices["tile 1"] == [
        ("compute first", 0, 90),
        ("wait for the barrier", 90, 145),
        ("compute second", 145, 250),
        ("wait for the barrier", 250, 345),
        ("compute third", 345, 410),
    ]
    assert slices["tile 1 worker 0"] == [("run in first", 6, 36), ("run in third", 366, 402)]
    assert slices["tile 1 worker 5"] == [("run in first", 11, 29)]
    assert parents["tile 1 worker 5"] == "tile 1"


def test_utilisation_counter_and_annotations() -> None:
    _, _, packets = parsed(perfetto_trace(recording(), "test"))
    counters = [(p.timestamp, p.track_event.counter_value) for p in packets if p.track_event.type == 4]
    # turns 90, 12, 53 of four tiles times 100, 55, 155 cycles
    assert counters[0] == (0, 22) and (245, 5) in counters and (345, 9) in counters and counters[-1] == (500, 0)
    begins = [p.track_event for p in packets if p.track_event.type == 1 and p.track_event.debug_annotations]
    notes = {a.name: a.int_value for a in begins[0].debug_annotations}
    assert notes == {"worker turns": 30, "MACs": 1280}


def left_out(packets: Any) -> list[str]:
    names = [entry.name for p in packets for entry in p.interned_data.event_names]
    return [name for name in names if "left out" in name]


def test_runs_left_out_are_mentioned() -> None:
    whole = perfetto_trace(recording(), "test")
    slices, _, packets = parsed(perfetto_trace(recording(), "test", max_bytes=len(whole) - 70))
    assert [len(slices[f"tile 1 worker {w}"]) for w in (0, 5)] == [1, 1]
    assert left_out(packets) == ["1 later runs of workers are left out of this trace"]
    assert left_out(parsed(whole)[2]) == []


def test_tiles_left_out_are_mentioned_and_the_slowest_come_first() -> None:
    """Of tiles 0, 1 and 2 the last one ends the longest compute phase; there is room for the phases and one tile."""
    runs = np.array([[0, tile, 0, 6, 5] for tile in (0, 1, 2)], np.int64)
    busy = small_recording().turns + np.array([0, 0, 1, 0])
    made = dataclasses.replace(small_recording(), worker_runs=runs, turns=busy)
    alone = len(perfetto_trace(dataclasses.replace(made, worker_runs=runs[:0]), "test"))
    slices, _, packets = parsed(perfetto_trace(made, "test", max_bytes=alone + 1))
    assert "tile 2" in slices and "tile 0" not in slices and len(slices["phases"]) == 6
    assert left_out(packets) == [
        "2 tiles are left out of this trace",
        "3 later runs of workers are left out of this trace",
    ]


def test_a_full_trace_is_small() -> None:
    """The largest trace that is ever written, a full chip whose every tile was timed: under 20 MB."""
    chip = load_chip("bow")
    names = tuple(f"phase {i}" for i in range(60))
    blank = Recording.zeros(chip, chip.tiles, names, names[1:], "test")
    times = np.arange(59)[:, None] * 1000 + np.zeros((1, chip.tiles), np.int64)
    runs = np.zeros((200_000, 5), np.int64)
    runs[:, 1] = np.arange(len(runs)) % chip.tiles
    runs[:, 3] = 10**9 + np.arange(len(runs)) // 6 * 700
    runs[:, 4] = 100
    made = dataclasses.replace(
        blank, worker_runs=runs, arrival=times + 500, release=times[:, 0] + 600, row_end=times + 900
    )
    assert 15e6 < len(perfetto_trace(made, "full")) < 20e6


def test_encoding() -> None:
    # Examples of protobuf.dev: 150 is 96 01, the string "testing" in field 2.
    assert varint(150) == b"\x96\x01"
    assert number(1, 150) == b"\x08\x96\x01"
    assert chunk(2, "testing") == b"\x12\x07testing"
    assert number(1, -2) == b"\x08" + b"\xfe" + 8 * b"\xff" + b"\x01"

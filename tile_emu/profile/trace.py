"""A recording as a Perfetto trace: track events in protobuf, for https://ui.perfetto.dev or trace_processor.

One nanosecond of the trace is one tile cycle. Tracks: the chip's phases, issue utilisation of each phase, and for every
tile of the recording's sample its compute, wait and exchange, with one track below it for each worker. Field numbers
are those of perfetto's trace_packet.proto, track_descriptor.proto, track_event.proto and interned_data.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tile_emu.profile.protobuf import chunk, number
from tile_emu.profile.recording import Recording
from tile_emu.profile.text import step_name

# Bytes of a trace, beyond which nothing but the phases is added. What is left out is said in the trace.
MAX_BYTES = 19_000_000

_PACKET = 1  # Trace.packet
_TIMESTAMP, _SEQUENCE, _TRACK_EVENT, _INTERNED, _FLAGS, _DESCRIPTOR = 8, 10, 11, 12, 13, 60  # TracePacket
_UUID, _NAME, _PROCESS, _PARENT, _COUNTER, _ORDERING, _RANK = 1, 2, 3, 5, 8, 11, 12  # TrackDescriptor
_TYPE, _NAME_IID, _TRACK, _COUNTER_VALUE, _ANNOTATION = 9, 10, 11, 30, 4  # TrackEvent
_BEGIN, _END, _INSTANT, _COUNTER_EVENT = 1, 2, 3, 4  # TrackEvent.Type
_EXPLICIT = 3  # TrackDescriptor.ChildTracksOrdering
_CLEARED, _NEEDED = 1, 2  # TracePacket.SequenceFlags
_SEQUENCE_ID = 1
_PROCESS_UUID, _PHASES_UUID, _UTILISATION_UUID, _FIRST_TILE_UUID = 1, 2, 3, 16


class _Writer:
    """Packets of one sequence, names interned when first used."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.out = bytearray()
        self._names: dict[str, int] = {}
        self._tail = number(_SEQUENCE, _SEQUENCE_ID)
        self._parts: dict[tuple[int, int, str], bytes] = {}
        self._packet(number(_FLAGS, _CLEARED))

    def _packet(self, content: bytes) -> None:
        self.out += chunk(_PACKET, content + self._tail)

    def track(self, uuid: int, name: str, parent: int = 0, rank: int = 0, more: bytes = b"") -> None:
        """Declare a track."""
        body = number(_UUID, uuid) + chunk(_NAME, name) + number(_ORDERING, _EXPLICIT) + number(_RANK, rank) + more
        self._packet(chunk(_DESCRIPTOR, body + (number(_PARENT, parent) if parent else b"")))

    def process(self, name: str) -> None:
        """Declare the process that all tracks belong to: pid 1."""
        body = number(_UUID, _PROCESS_UUID) + number(_ORDERING, _EXPLICIT)
        self._packet(chunk(_DESCRIPTOR, body + chunk(_PROCESS, number(1, 1) + chunk(6, name))))

    @property
    def full(self) -> bool:
        """Whether the trace has as many bytes as it may have."""
        return len(self.out) >= self._most

    def slice(self, track: int, name: str, start: int, end: int, notes: Mapping[str, int] | None = None) -> None:
        """A stretch of a track, in cycles; none if it is empty."""
        if end > start:
            self._event(start, _BEGIN, track, name, _annotations(notes or {}))
            self._event(end, _END, track, "", b"")

    def instant(self, track: int, name: str, at: int) -> None:
        """A point of a track."""
        self._event(at, _INSTANT, track, name, b"")

    def counter(self, track: int, at: int, value: int) -> None:
        """A value of a counter track."""
        self._event(at, _COUNTER_EVENT, track, "", number(_COUNTER_VALUE, value))

    def _event(self, at: int, kind: int, track: int, name: str, more: bytes) -> None:
        body = self._parts.get((kind, track, name))
        if body is None:
            body = number(_TYPE, kind) + number(_TRACK, track)
            if name:
                body += number(_NAME_IID, self._interned(name))
            self._parts[kind, track, name] = body
        self._packet(number(_TIMESTAMP, at) + chunk(_TRACK_EVENT, body + more) + number(_FLAGS, _NEEDED))

    def _interned(self, name: str) -> int:
        if name not in self._names:
            self._names[name] = len(self._names) + 1
            entry = number(1, self._names[name]) + chunk(2, name)
            self._packet(chunk(_INTERNED, chunk(2, entry)) + number(_FLAGS, _NEEDED))
        return self._names[name]


def _annotations(notes: Mapping[str, int]) -> bytes:
    return b"".join(chunk(_ANNOTATION, chunk(10, name) + number(4, value)) for name, value in notes.items())


def perfetto_trace(recording: Recording, title: str, max_bytes: int = MAX_BYTES) -> bytes:
    """The trace of a recording, ``title`` the name of its process.

    From ``max_bytes`` on no more tiles are begun and no more runs of workers added; those that held the chip up and the
    earlier runs come first.
    """
    writer = _Writer(max_bytes)
    writer.process(f"{title} (1 ns is 1 tile cycle)")
    writer.track(_PHASES_UUID, "phases", _PROCESS_UUID, 0)
    for kind, name, start, end in stretches(recording):
        writer.slice(_PHASES_UUID, step_name(kind, name), start, end)
    _utilisation(writer, recording)
    timed = {int(tile) for tile in recording.worker_runs[:, 1]}
    slow = [tile for tile in recording.slow_tiles() if tile in timed]
    order = [*slow, *sorted(timed.difference(slow))]
    ranks: dict[int, int] = {}
    for tile in order:
        if writer.full:
            left = len(order) - len(ranks)
            writer.instant(_PHASES_UUID, f"{left} tiles are left out of this trace", recording.cycles)
            break
        ranks[tile] = len(ranks)
        _tile(writer, recording, tile, ranks[tile])
    _workers(writer, recording, ranks)
    return bytes(writer.out)


def stretches(recording: Recording) -> Iterator[tuple[str, str, int, int]]:
    """Kind, name, first and last cycle of the chip's phases in program order."""
    at = 0
    for phase, name in enumerate(recording.compute_names):
        end = at + int(recording.compute_cycles[phase])
        yield "compute", name, at, end
        if phase < len(recording.exchange_names):
            released, at = int(recording.release[phase]), int(recording.exchange_end[phase])
            yield "sync", recording.exchange_names[phase], end, released
            yield "exchange", recording.exchange_names[phase], released, at


def _utilisation(writer: _Writer, recording: Recording) -> None:
    """Issue utilisation of every compute phase over the tiles of the program, in per cent."""
    unit = number(3, 1) + chunk(6, "%")  # CounterDescriptor: unit count, its name
    writer.track(_UTILISATION_UUID, "issue utilisation", _PROCESS_UUID, 1, chunk(_COUNTER, unit))
    turns = recording.turns.sum(axis=1)
    phase = 0
    for kind, _, start, end in stretches(recording):
        share = 0
        if kind == "compute":
            available = (end - start) * recording.tiles
            share = round(100 * int(turns[phase]) / available) if available else 0
            phase += 1
        writer.counter(_UTILISATION_UUID, start, share)
    writer.counter(_UTILISATION_UUID, recording.cycles, 0)


def _tile_uuid(rank: int, worker: int = -1) -> int:
    return _FIRST_TILE_UUID + 8 * rank + worker + 1


def _tile(writer: _Writer, recording: Recording, tile: int, rank: int) -> None:
    """What one tile did, phase by phase, and empty tracks for its workers."""
    uuid = _tile_uuid(rank)
    writer.track(uuid, f"tile {tile}", _PROCESS_UUID, 2 + rank)
    for worker in range(recording.chip.worker_contexts):
        writer.track(_tile_uuid(rank, worker), f"tile {tile} worker {worker}", uuid, worker)
    start, end = recording.tile_start[:, tile], recording.tile_end[:, tile]
    for phase, name in enumerate(recording.compute_names):
        notes = {"worker turns": int(recording.turns[phase, tile]), "MACs": int(recording.macs[phase, tile])}
        writer.slice(uuid, step_name("compute", name), int(start[phase]), int(end[phase]), notes)
        if phase < len(recording.exchange_names):
            released, left = int(recording.release[phase]), int(recording.row_end[phase, tile])
            writer.slice(uuid, "wait for the barrier", int(end[phase]), released)
            words = {"words sent": int(recording.sent[phase, tile])}
            words["words received"] = int(recording.received[phase, tile])
            writer.slice(uuid, step_name("exchange", recording.exchange_names[phase]), released, left, words)


def _workers(writer: _Writer, recording: Recording, ranks: Mapping[int, int]) -> None:
    """Runs of the workers of tiles, by the rank of each tile among the tracks."""
    turn = recording.chip.timing.worker_turn
    names = [f"run in {name}" for name in recording.compute_names]
    for done, (phase, tile, worker, start, turns) in enumerate(recording.worker_runs.tolist()):
        if writer.full:
            left = len(recording.worker_runs) - done
            writer.instant(_PHASES_UUID, f"{left} later runs of workers are left out of this trace", recording.cycles)
            return
        if tile in ranks:
            writer.slice(_tile_uuid(ranks[tile], worker), names[phase], start, start + turn * turns)


def title_of(document: Mapping[str, Any]) -> str:
    """What a run is called: kernel and sizes, or layer and pass; format; chip."""
    if "layer" in document:
        parts = [f"{document.get('network', '')}.{document['layer']}", str(document.get("pass", ""))]
    else:
        sizes = " x ".join(str(document[key]) for key in ("m", "k", "n") if key in document)
        parts = [str(document.get("kernel", "program")), sizes]
    parts.append(str(document.get("dtype", "")))
    return " ".join(part for part in parts if part) + f" on {document.get('chip', 'a chip')}"

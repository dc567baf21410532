"""A saved report as something to compare: figures by name, the recording where there is one, layers of a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tile_emu.errors import UsageError
from tile_emu.profile.network import LAYERS, title_of_network
from tile_emu.profile.recording import Recording
from tile_emu.profile.report import RECORDING, SUMMARY
from tile_emu.profile.trace import title_of


@dataclass(frozen=True, eq=False)
class Subject:
    """``name`` tells it from the others; ``recording`` None: only figures are known.

    ``parts``: recordings of a network's layers, each with how many times the layer occurs.
    """

    name: str
    document: Mapping[str, Any]
    recording: Recording | None = None
    parts: tuple[tuple[Recording, int], ...] = ()

    @property
    def title(self) -> str:
        """What was run."""
        return title_of_network(self.document) if self.layers else title_of(self.document)

    @property
    def figures(self) -> dict[str, float]:
        """Every number of the document by its path, ``phases.compute``."""
        return dict(_numbers(self.document, ""))

    @property
    def layers(self) -> dict[str, Mapping[str, Any]]:
        """Documents of a network's layers by name; empty for a single run."""
        listed = self.document.get("layers")
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            return {}
        return {layer_name(layer, i): layer for i, layer in enumerate(listed)}

    @property
    def recordings(self) -> tuple[tuple[Recording, int], ...]:
        """All recordings there are, each with how many times it counts."""
        return self.parts if self.recording is None else ((self.recording, 1),)

    @property
    def utilisation(self) -> NDArray[np.float64] | None:
        """Issue utilisation of every tile that is used, ascending; None without a recording.

        Of a network: over all of its layers that have a recording.
        """
        cycles = sum(times * recording.cycles for recording, times in self.recordings)
        if not cycles:
            return None
        chip = self.recordings[0][0].chip
        turns = np.zeros(chip.tiles, np.int64)
        for recording, times in self.recordings:
            turns[: recording.tiles] += times * recording.turns.sum(axis=0)
        available = chip.worker_contexts * cycles / chip.timing.worker_turn
        return np.sort(turns[turns > 0] / available)

    @property
    def writer(self) -> str:
        """The version of tile-emu that wrote the report; empty when it does not say."""
        if self.recordings:
            return self.recordings[0][0].writer
        version = self.document.get("version")
        return f"tile-emu {version}" if version else ""

    @property
    def missing(self) -> frozenset[str]:
        """Columns that the version which wrote the report did not record."""
        return frozenset().union(*(recording.missing for recording, _ in self.recordings))

    @property
    def supersteps(self) -> dict[tuple[str, str], int]:
        """Cycles by kind and name, those of one name added up; of a network none."""
        found: dict[tuple[str, str], int] = {}
        for step in self.document.get("supersteps", ()):
            key = (str(step["kind"]), str(step["name"]))
            found[key] = found.get(key, 0) + int(step["cycles"])
        return found


def layer_name(layer: Mapping[str, Any], index: int) -> str:
    """How a layer's document is named."""
    return str(layer.get("layer") or layer.get("name") or index)


def _numbers(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, float]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _numbers(item, f"{path}{key}.")
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            yield f"{path}{key}", float(item)


def load_subject(path: Path, name: str) -> Subject:
    """A report folder, or a file with the object of summary.json or of ``--json``.

    Raises UsageError when it is missing, damaged, or of a later version (which it names).
    """
    file = path / SUMMARY if path.is_dir() else path
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from None
    except ValueError:
        raise UsageError(f"{file} is not a whole summary of tile-emu") from None
    if not isinstance(document, dict):
        raise UsageError(f"{file} is not a summary of tile-emu")
    totals = document.get("totals")
    if isinstance(totals, dict):
        document = {**totals, **document}
    if "cycles" not in document:
        raise UsageError(f"{file} is not a summary of tile-emu: it has no cycles")
    recorded = path / RECORDING
    recording = Recording.load(recorded) if path.is_dir() and recorded.is_file() else None
    return Subject(name, document, recording, _layers(path, document) if path.is_dir() else ())


def _layers(folder: Path, document: Mapping[str, Any]) -> tuple[tuple[Recording, int], ...]:
    """Recordings of the layers of a network's folder; equal layers share one."""
    found: dict[str, Recording] = {}
    parts = []
    for layer in document.get("layers", ()):
        source = str(layer.get("same_as", layer.get("layer")))
        file = folder / LAYERS / source / RECORDING
        if source not in found and file.is_file():
            found[source] = Recording.load(file)
        if source in found:
            parts.append((found[source], int(layer.get("count", 1))))
    return tuple(parts)


def load_subjects(paths: Sequence[Path]) -> list[Subject]:
    """All of them, named by the shortest ends of their paths that differ."""
    return [load_subject(path, name) for path, name in zip(paths, _names(paths))]


def _names(paths: Sequence[Path]) -> list[str]:
    whole = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-length:]) for parts in whole]
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({i + 1})" for i, path in enumerate(paths)]

"""A report folder: recording.npz with everything in arrays, summary.json with the figures a person asks for first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tile_emu.errors import UsageError
from tile_emu.profile.arrays import pack, unpack
from tile_emu.profile.atomic import replacing
from tile_emu.profile.listing import CodeListing, code_listing
from tile_emu.profile.memory import SramMap, sram_map
from tile_emu.profile.recording import Recording, opened
from tile_emu.profile.trace import perfetto_trace, title_of
from tile_emu.profile.traffic import Traffic, traffic

if TYPE_CHECKING:
    from tile_emu.graph.image import Image

RECORDING, SUMMARY, PAGE, TRACE = "recording.npz", "summary.json", "report.html", "trace.perfetto-trace"


@dataclass(frozen=True, eq=False)
class Report:
    """One run: its recording, the document of summary.json, and what is known of its image.

    ``sram``, ``listing`` and ``traffic`` are None in reports of versions that did not save them.
    """

    document: Mapping[str, Any]
    recording: Recording
    sram: SramMap | None = None
    listing: CodeListing | None = None
    traffic: Traffic | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any], recording: Recording, image: Image | None) -> Report:
        """The report of a run of ``image`` (None: not known); ``document`` is what summary.json will hold."""
        if image is None:
            return cls(document, recording)
        return cls(document, recording, sram_map(image), code_listing(image), traffic(image))

    def save(self, folder: Path) -> None:
        """Write all files of the report; each appears whole or not at all."""
        parts = {"sram": self.sram, "code": self.listing, "traffic": self.traffic}
        more: dict[str, Any] = {}
        for prefix, part in parts.items():
            if part is not None:
                more |= pack(part, prefix)
        self.recording.save(folder / RECORDING, **more)
        with replacing(folder / SUMMARY) as file:
            file.write((json.dumps(self.document, indent=2) + "\n").encode())
        self.save_views(folder)

    def save_views(self, folder: Path) -> None:
        """Write what is made from the recording: page and trace."""
        from tile_emu.profile.page import report_page

        with replacing(folder / PAGE) as file:
            file.write(report_page(self).encode())
        with replacing(folder / TRACE) as file:
            file.write(perfetto_trace(self.recording, title_of(self.document)))

    @classmethod
    def load(cls, folder: Path) -> Report:
        """Read a report folder. Raises UsageError when it is missing, damaged or of a later version."""
        path = folder / RECORDING
        with opened(path) as data:
            return cls(
                read_summary(folder),
                Recording.read(data, path),
                unpack(SramMap, data, "sram"),
                unpack(CodeListing, data, "code"),
                unpack(Traffic, data, "traffic"),
            )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from tile_emu.profile.notebook import report_html

        return report_html(self)


def read_summary(folder: Path) -> dict[str, Any]:
    """The document of a report folder. Raises UsageError."""
    path = folder / SUMMARY
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError:
        raise UsageError(f"{path} is not a whole summary of tile-emu") from None
    if not isinstance(document, dict) or not {"cycles", "layers"} & set(document):
        raise UsageError(f"{path} is not a summary of tile-emu")
    return document


def is_network(folder: Path) -> bool:
    """Whether a folder holds the report of a network. Raises UsageError as read_summary does."""
    return "layers" in read_summary(folder)

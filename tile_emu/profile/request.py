"""What report is wanted of a run: where, of which tiles the workers are timed, in which formats."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from tile_emu.errors import UsageError
from tile_emu.profile.atomic import require_writable
from tile_emu.profile.parquet import pyarrow
from tile_emu.profile.report import PAGE, Report
from tile_emu.profile.timed import FOR_REPORTS, TileChoice


@dataclass(frozen=True)
class ReportRequest:
    """``folder`` of the report; ``timed`` tiles; ``parquet``: also the counters as recording.parquet."""

    folder: Path
    timed: TileChoice = dataclasses.field(default_factory=lambda: TileChoice.parse(FOR_REPORTS))
    parquet: bool = False

    @classmethod
    def of(cls, folder: Path | None, timed: str | None, parquet: bool) -> ReportRequest | None:
        """From a command's options; None when no report is wanted. Raises UsageError for what cannot be done."""
        if folder is None:
            if timed is not None or parquet:
                raise UsageError("--report-tiles and --report-parquet need --report FOLDER")
            return None
        request = cls(folder, TileChoice.parse(FOR_REPORTS if timed is None else timed), parquet)
        if parquet:
            pyarrow()
        request.require()
        return request

    def require(self) -> None:
        """Raise UsageError if the folder cannot be written."""
        require_writable(self.folder, directory=True)

    def inside(self, name: str) -> ReportRequest:
        """The same for a folder in this one."""
        return dataclasses.replace(self, folder=self.folder / name)

    def told(self) -> str:
        """The line that says where it is."""
        return f"wrote {self.folder / PAGE} and more; tile-emu report {self.folder} shows it here"

    def save(self, report: Report) -> None:
        """Write the report's files."""
        self.require()
        report.save(self.folder)
        if self.parquet:
            report.recording.save_parquet(self.folder / PARQUET)
        else:
            (self.folder / PARQUET).unlink(missing_ok=True)  # of an earlier run


PARQUET = "recording.parquet"

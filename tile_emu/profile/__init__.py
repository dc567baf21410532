"""Where the cycles went: the recording a run leaves behind, the summary made from it, reports of both."""

from tile_emu.profile.recording import Recording
from tile_emu.profile.report import Report
from tile_emu.profile.summary import Summary, summarise

__all__ = ["Recording", "Report", "Summary", "summarise"]

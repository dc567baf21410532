"""Where the cycles went: the recording a run leaves behind, and the summary made from it."""

from tile_emu.profile.recording import Recording
from tile_emu.profile.summary import Summary, summarise

__all__ = ["Recording", "Summary", "summarise"]

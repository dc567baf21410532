"""Chips: one TOML file each, loaded into a frozen dataclass.

Every figure's source stands beside it in the TOML; a figure worked out rather than published is marked inferred there.
"""

from tile_emu.chips.chip import Chip, Exchange, Memory, SupervisorTiming, Timing, chip_from, chip_names, load_chip

__all__ = ["Chip", "Exchange", "Memory", "SupervisorTiming", "Timing", "chip_from", "chip_names", "load_chip"]

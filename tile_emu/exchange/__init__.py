"""Exchange: fabric delays, scheduling of transfers, emission of rows, delivery from the logs of rows."""

from tile_emu.chips.topology import logical_ids, physical_ids
from tile_emu.exchange.check import check_schedule
from tile_emu.exchange.deliver import Delivery, deliver
from tile_emu.exchange.fabric import direction, mux_offset, sample_to_store, store_offset
from tile_emu.exchange.rows import Rows, emit_rows
from tile_emu.exchange.schedule import Schedule, load_bound, schedule
from tile_emu.exchange.transfers import Transfers

__all__ = [
    "Delivery",
    "Rows",
    "Schedule",
    "Transfers",
    "check_schedule",
    "deliver",
    "direction",
    "emit_rows",
    "load_bound",
    "logical_ids",
    "mux_offset",
    "physical_ids",
    "sample_to_store",
    "schedule",
    "store_offset",
]

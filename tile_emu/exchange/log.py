"""What a tile's exchange row did, as logged by the interpreter: int32[tiles, capacity, 5], one line per effect.

Lines of a tile are in the order of their events. Columns: kind, event, value, count, sctl. An event is a cycle counted
from the release of the barrier, which is the same cycle on every tile.
"""

from __future__ import annotations

KIND, EVENT, VALUE, COUNT, SCTL = range(5)
COLUMNS = 5

SEND = 1  # value: byte address of the first item; count items leave at event, event + 1, ..; sctl as encoded
MUX = 2  # value: the new incoming mux
MUXPAIR = 3  # value: the new paired mux
POINTER = 4  # value: the new store address in bytes
FORMAT = 5  # value: the new incoming format, 0 for 32-bit items
WORKER = 6  # between rows, where asked for: value: turns; count: which worker; event: cycle of its first turn

"""An independent, slow, obvious model of one tile in plain Python: the oracle of the emulator's tests.

Written from the instruction set's description alone; it shares no table, encoding or helper with ``tile_emu``.
"""

from tests.naive.accumulators import MODEL_A, MODEL_C
from tests.naive.state import NaiveFault
from tests.naive.tile import NaiveTile

__all__ = ["MODEL_A", "MODEL_C", "NaiveFault", "NaiveTile"]

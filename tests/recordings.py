"""A small recording whose figures were worked out by hand; nothing of the emulator runs."""

from __future__ import annotations

import numpy as np

from tile_emu.chips import load_chip
from tile_emu.profile import Recording


def small_recording() -> Recording:
    """Four tiles of a Bow, two of them used, 500 cycles; compute 310, sync 90, exchange 100."""

    def column(*rows: list[int]) -> np.ndarray:
        return np.array(rows, np.int64)

    return Recording(
        chip=load_chip("bow"),
        tiles=4,
        compute_names=("first", "second", "third"),
        exchange_names=("to second", "to third"),
        model="test",
        arrival=column([100, 90, 80, 100], [300, 250, 260, 290]),
        release=np.array([145, 345], np.int64),
        row_end=column([245, 145, 200, 145], [345, 345, 345, 345]),
        finish=np.array([400, 410, 500, 345], np.int64),
        turns=column([60, 30, 0, 0], [12, 0, 0, 0], [18, 35, 0, 0]),
        worker_busy=column([66, 36, 0, 0], [12, 0, 0, 0], [22, 40, 0, 0]),
        supervisor_instructions=column([9, 9, 5, 5], [4, 2, 2, 2], [4, 4, 2, 2]),
        instructions=column([100, 60, 5, 5], [20, 2, 2, 2], [40, 60, 2, 2]),
        amp=column([40, 20, 0, 0], [0, 0, 0, 0], [0, 15, 0, 0]),
        sent=column([100, 0, 50, 0], [0, 0, 0, 0]),
        received=column([0, 100, 100, 50], [0, 0, 0, 0]),
        send_cycles=column([50, 0, 50, 0], [0, 0, 0, 0]),
        receive_cycles=column([0, 50, 50, 50], [0, 0, 0, 0]),
        exchange_busy=column([50, 50, 70, 50], [0, 0, 0, 0]),
    )

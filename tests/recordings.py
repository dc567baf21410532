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
        words=3,
        arrival=column([100, 90, 80, 100], [300, 250, 260, 290]),
        release=np.array([145, 345], np.int64),
        row_end=column([245, 145, 200, 145], [345, 345, 345, 345]),
        finish=np.array([400, 410, 500, 345], np.int64),
        turns=column([60, 30, 0, 0], [12, 0, 0, 0], [18, 35, 0, 0]),
        worker_busy=column([66, 36, 0, 0], [12, 0, 0, 0], [22, 40, 0, 0]),
        supervisor_instructions=column([9, 9, 5, 5], [4, 2, 2, 2], [4, 4, 2, 2]),
        instructions=column([100, 60, 5, 5], [20, 2, 2, 2], [40, 60, 2, 2]),
        amp=column([40, 20, 0, 0], [0, 0, 0, 0], [0, 15, 0, 0]),
        slic=column([0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
        macs=column([2560, 1280, 0, 0], [0, 0, 0, 0], [0, 960, 0, 0]),
        f16_operations=column([5120, 2560, 0, 0], [0, 0, 0, 0], [0, 1920, 0, 0]),
        f32_operations=column([0, 0, 0, 0], [10, 0, 0, 0], [0, 0, 0, 0]),
        bytes_loaded=column([640, 320, 0, 0], [80, 0, 0, 0], [100, 240, 0, 0]),
        bytes_stored=column([160, 80, 0, 0], [40, 0, 0, 0], [20, 60, 0, 0]),
        launches=column([2, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]),
        worker_turns=np.array(
            [
                [[11, 10, 10, 10, 10, 9], [6, 6, 6, 6, 6, 0], [0] * 6, [0] * 6],
                [[2, 2, 2, 2, 2, 2], [0] * 6, [0] * 6, [0] * 6],
                [[3, 3, 3, 3, 3, 3], [6, 6, 6, 6, 6, 5], [0] * 6, [0] * 6],
            ],
            np.int64,
        ),
        executions=column([60, 30, 0, 0], [0, 2, 4, 6], [50, 3, 0, 0]),
        extra_turns=column([0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
        supervisor_executions=column([0, 0, 20, 8], [0, 0, 6, 4], [0, 0, 8, 4]),
        sent=column([100, 0, 50, 0], [0, 0, 0, 0]),
        received=column([0, 100, 100, 50], [0, 0, 0, 0]),
        send_cycles=column([50, 0, 50, 0], [0, 0, 0, 0]),
        receive_cycles=column([0, 50, 50, 50], [0, 0, 0, 0]),
        exchange_busy=column([50, 50, 70, 50], [0, 0, 0, 0]),
    )

"""`tile-emu warmup`: compile ahead, so that the first real run starts at once."""

from __future__ import annotations

import time

import numpy as np

from tile_emu.cli.matmul import DTYPES
from tile_emu.cli.progress import Progress
from tile_emu.jit import cache_directory


def warm_up() -> None:
    """Run a tiny product of each dtype; what they compile, every later run takes from the cache."""
    began = time.perf_counter()
    with Progress() as progress:
        from kernels.matmul import matmul

        progress.watch_compiler()
        for dtype, element in DTYPES.items():
            progress(f"tiny matmul, {dtype}")
            # Large enough to split K, so that the exchange and the reduction are compiled too.
            ones = np.ones((32, 512), element)
            matmul(ones, ones.T.copy(), dtype=dtype, chip="bow", progress=progress)
        compiled = progress.compilations
    did = f"compiled {compiled} functions" if compiled else "everything was compiled already"
    print(f"{did}, {time.perf_counter() - began:.1f} s; kept in {cache_directory()}")

"""`tile-emu warmup`: compile ahead, so that the first real run starts at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from tile_emu.cli.matmul import DTYPES
from tile_emu.cli.progress import Progress
from tile_emu.jit import cache_directory

_TILES = 16


def _problems() -> Iterator[tuple[str, dict[str, Any]]]:
    """Tiny products that between them run the codelets of products, sums of partials, biases and activations."""
    from kernels.codelets.elementwise import ACTIVATIONS

    for dtype, element in DTYPES.items():
        # Large enough to split K, so that the exchange and the reduction are compiled too.
        ones = np.ones((32, 512), element)
        yield f"tiny matmul, {dtype}", {"a": ones, "b": ones.T.copy(), "dtype": dtype}
        for activation in ACTIVATIONS:
            form = {"bias": np.zeros(32, element), "activation": activation, "tiles": _TILES}
            yield f"tiny matmul, {dtype}, {activation}", {"a": ones, "b": ones.T.copy(), "dtype": dtype, **form}


def warm_up() -> None:
    """Run tiny problems on both engines; what they compile, every later run takes from the cache."""
    began = time.perf_counter()
    with Progress() as progress:
        from kernels.matmul import matmul
        from tile_emu.engines import choose_engine
        from tile_emu.graph.keptimage import no_kept_images

        progress.watch_compiler()
        choose_engine("translator", None)
        for name, problem in _problems():
            progress(name)
            with no_kept_images():  # what makes images is to be compiled too
                matmul(**problem, chip="bow", progress=progress)
        compiled = progress.compilations
    did = f"compiled {compiled} functions" if compiled else "everything was compiled already"
    print(f"{did}, {time.perf_counter() - began:.1f} s; kept in {cache_directory()}")

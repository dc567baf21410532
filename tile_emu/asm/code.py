"""Assembled code, placed in tile memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Code:
    """Words of a program at a base address, with its symbols and the source line of every instruction word."""

    base: int  # byte address of words[0]
    words: NDArray[np.uint32]  # uint32[n]
    symbols: dict[str, int]  # label -> byte address
    line_address: NDArray[np.int32]  # int32[k], byte address of an instruction word, ascending
    line_number: NDArray[np.int32]  # int32[k], 1-based
    line_file: tuple[str, ...]  # k file names
    line_unit: tuple[str, ...] = ()  # k names of the assembled sources, which may have included line_file

    @property
    def end(self) -> int:
        """First byte address after the code."""
        return self.base + 4 * len(self.words)

"""Graphs: tensors mapped to tiles, vertices in compute sets, copies; and their lowering to an image."""

from tile_emu.graph.computeset import ComputeSet
from tile_emu.graph.copies import ExchangePhase
from tile_emu.graph.graph import Graph
from tile_emu.graph.hosttensor import HostTensor
from tile_emu.graph.variables import Codelet, Pointer, Variable
from tile_emu.graph.views import View

__all__ = ["Codelet", "ComputeSet", "ExchangePhase", "Graph", "HostTensor", "Image", "Pointer", "Variable", "View"]


def __getattr__(name: str) -> object:
    # Image draws in the transfers and with them numba; a graph alone does not need it.
    if name == "Image":
        from tile_emu.graph.image import Image

        return Image
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

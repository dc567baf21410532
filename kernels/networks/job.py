"""One pass of one layer as something that can be run, kept and sent to another process."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from kernels.networks.layers import PASSES, ConvolutionLayer, Layer, layer_bytes
from tile_emu.errors import UsageError


@dataclass(frozen=True)
class Job:
    """What to run. ``bare`` leaves out a layer's bias and activation; backward passes never have them."""

    network: str
    layer: Layer
    direction: str = "fwd"  # one of PASSES
    dtype: str = "f16"
    chip: str = "bow"
    seed: int = 0
    bare: bool = False
    tiles: int | None = None  # how many may be used; None: all
    plan_rank: int = 1  # 1: the cheapest plan
    check: bool = False  # the machine looks for errors that the hardware lets pass

    def __post_init__(self) -> None:
        require_pass(self.direction)

    @property
    def name(self) -> str:
        """``network.layer``."""
        return f"{self.network}.{self.layer.name}"

    @property
    def epilogue(self) -> bool:
        """Whether bias and activation of the layer are part of the run."""
        layer = self.layer
        return not self.bare and self.direction == "fwd" and layer.kind == "matmul"

    def identity(self) -> dict[str, Any]:
        """Everything that a result depends on but the program itself. Equal layers of a network have equal ones."""
        return {
            "kind": self.layer.kind,
            **self.shape(),
            "pass": self.direction,
            "dtype": self.dtype,
            "chip": self.chip,
            "seed": self.seed,
            "tiles": self.tiles,
            "plan_rank": self.plan_rank,
            "check": self.check,
        }

    def shape(self) -> dict[str, Any]:
        """The layer's sizes as plain values."""
        named = dataclasses.fields(self.layer)
        shape = {field.name: getattr(self.layer, field.name) for field in named if field.compare}
        del shape["name"]
        if not self.epilogue and self.layer.kind == "matmul":
            shape |= {"bias": False, "activation": "none"}
        return shape

    def head(self) -> dict[str, Any]:
        """The beginning of a result's JSON object: what was run."""
        layer = self.layer
        return {
            "kernel": layer.kind,
            "network": self.network,
            "layer": layer.name,
            "pass": self.direction,
            "shape": self.shape(),
            "macs": layer.macs,
            "bytes": layer_bytes(layer, self.dtype),
            "count": layer.count,
            "dtype": self.dtype,
            "chip": self.chip,
            "seed": self.seed,
        }


def require_pass(direction: str) -> None:
    """Raise UsageError for a pass that is none."""
    if direction not in PASSES:
        raise UsageError(f"unknown pass '{direction}': choose one of {', '.join(PASSES)}")


def operand_shapes(job: Job) -> dict[str, tuple[int, ...]]:
    """The operands of a pass by name.

    Convolutions: x [N, C, H, W], w [K, C, R, S], dout [N, K, H', W']. Products: a [groups, m, k], b [groups, k, n], dc
    [groups, m, n] (no groups dimension where there is one group), bias [n].
    """
    layer = job.layer
    if isinstance(layer, ConvolutionLayer):
        shapes: dict[str, tuple[int, ...]] = {
            "x": (layer.batch, layer.in_channels, layer.height, layer.width),
            "w": (layer.out_channels, layer.in_channels, layer.kernel, layer.kernel),
            "dout": (layer.batch, layer.out_channels, layer.out_height, layer.out_width),
        }
        wanted = {"fwd": ("x", "w"), "bwd-data": ("dout", "w"), "bwd-weights": ("x", "dout")}
    else:
        lead = (layer.groups,) if layer.groups > 1 else ()
        sizes = {"a": (layer.m, layer.k), "b": (layer.k, layer.n), "dc": (layer.m, layer.n)}
        shapes = {name: (*lead, *size) for name, size in sizes.items()} | {"bias": (layer.n,)}
        biased = ("bias",) if layer.bias and job.epilogue else ()
        wanted = {"fwd": ("a", "b", *biased), "bwd-data": ("dc", "b"), "bwd-weights": ("a", "dc")}
    return {name: shapes[name] for name in wanted[job.direction]}

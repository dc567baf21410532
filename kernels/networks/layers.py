"""Layers as a table holds them: shapes, multiplications, bytes. Nothing here knows of chips or plans."""

from __future__ import annotations

from dataclasses import dataclass, field

from tile_emu.errors import UsageError

PASSES = ("fwd", "bwd-data", "bwd-weights")
ELEMENT_BYTES = {"f16": 2, "f16f32": 2, "f32": 4}  # of the operands
RESULT_BYTES = {"f16": 2, "f16f32": 4, "f32": 4}


@dataclass(frozen=True)
class ConvolutionLayer:
    """A two-dimensional convolution with equal kernel, stride and padding in both directions.

    ``weight_names``: what files of trained weights call its weights (out channels, in channels, rows, columns).
    """

    name: str
    batch: int
    in_channels: int
    out_channels: int
    height: int  # of the input
    width: int
    kernel: int
    stride: int = 1
    padding: int = 0
    count: int = field(default=1, compare=False)  # times the layer occurs in the network
    weight_names: tuple[str, ...] = field(default=(), compare=False)

    kind = "convolution"

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def macs(self) -> int:
        """Multiplications of any one pass; those with padding count, as is usual."""
        return self.output_elements * self.in_channels * self.kernel**2

    @property
    def weights(self) -> int:
        """Trained parameters."""
        return self.out_channels * self.in_channels * self.kernel**2

    @property
    def input_elements(self) -> int:
        """Elements of the input."""
        return self.batch * self.in_channels * self.height * self.width

    @property
    def output_elements(self) -> int:
        """Elements of the output."""
        return self.batch * self.out_channels * self.out_height * self.out_width

    def shape_text(self, epilogue: bool = True) -> str:
        """The shape in a few words."""
        stride = f" / {self.stride}" if self.stride > 1 else ""
        return (
            f"{self.batch} x {self.in_channels} x {self.height} x {self.width} -> {self.out_channels}, "
            f"{self.kernel} x {self.kernel}{stride}"
        )


@dataclass(frozen=True)
class MatmulLayer:
    """``groups`` products C[m, n] = A[m, k] . B[k, n] with an optional bias of n and an activation.

    ``trained``: B is a weight (then ``groups`` is 1), not an activation. ``b_transposed``: B lies in memory as [n, k].
    ``weight_names`` and ``bias_names``: what files of trained weights call B (as [n, k]; several are put side by side
    along n) and the bias.
    """

    name: str
    groups: int
    m: int
    k: int
    n: int
    trained: bool = True
    b_transposed: bool = False
    bias: bool = False
    activation: str = "none"
    count: int = field(default=1, compare=False)
    weight_names: tuple[str, ...] = field(default=(), compare=False)
    bias_names: tuple[str, ...] = field(default=(), compare=False)

    kind = "matmul"

    @property
    def macs(self) -> int:
        """Multiplications of any one pass."""
        return self.groups * self.m * self.k * self.n

    @property
    def weights(self) -> int:
        """Trained parameters."""
        return self.k * self.n + (self.n if self.bias else 0) if self.trained else 0

    @property
    def input_elements(self) -> int:
        """Elements of the operands that are not trained."""
        return self.groups * (self.m * self.k + (0 if self.trained else self.k * self.n))

    @property
    def output_elements(self) -> int:
        """Elements of C."""
        return self.groups * self.m * self.n

    def shape_text(self, epilogue: bool = True) -> str:
        """The shape in a few words, with bias and activation if ``epilogue``."""
        groups = f"{self.groups} x " if self.groups > 1 else ""
        after = " + bias" if self.bias and epilogue else ""
        after += f", {self.activation}" if self.activation != "none" and epilogue else ""
        return f"{groups}[{self.m}, {self.k}] . [{self.k}, {self.n}]{after}"


Layer = ConvolutionLayer | MatmulLayer


def layer_bytes(layer: Layer, dtype: str) -> int:
    """Bytes that one pass reads and writes at least once: operands, trained parameters and result.

    The same elements take part in all three passes, one of the three being the result.
    """
    operands = layer.input_elements + layer.weights
    return operands * ELEMENT_BYTES[dtype] + layer.output_elements * RESULT_BYTES[dtype]


@dataclass(frozen=True)
class Network:
    """A network's layers in the order of execution; sums count a layer as often as it occurs."""

    name: str
    layers: tuple[ConvolutionLayer | MatmulLayer, ...]

    @property
    def macs(self) -> int:
        """Multiplications of one pass over all layers."""
        return sum(layer.count * layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """Trained parameters of all layers."""
        return sum(layer.count * layer.weights for layer in self.layers)


def require_positive(**sizes: int) -> None:
    """Raise UsageError for a size below one, naming it."""
    for name, value in sizes.items():
        if value < 1:
            raise UsageError(f"{name} {value}: it must be at least 1")


def split_heads(hidden: int, heads: int) -> int:
    """Size of one attention head. Raises UsageError when the heads do not divide the hidden size."""
    if hidden % heads:
        raise UsageError(f"{heads} heads do not divide the hidden size {hidden}")
    return hidden // heads

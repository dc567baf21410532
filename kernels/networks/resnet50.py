"""ResNet-50: 53 convolutions and the classifier (He et al., Deep Residual Learning for Image Recognition, table 1).

Names: ``conv1``; ``conv<stage>_<block><letter>`` with stage 2 to 5, the block counted from 1, and a, b, c the 1 x 1,
3 x 3 and 1 x 1 convolution of a block; ``conv<stage>_1p`` the projection beside the first block of a stage; ``fc``.

Where the stage halves the picture: in v1.5 (what today's frameworks train) the 3 x 3 convolution of the first block has
stride 2, in v1 (the paper) its first 1 x 1 convolution. The projection has stride 2 in both.
"""

from __future__ import annotations

from kernels.networks.layers import ConvolutionLayer, Layer, MatmulLayer, Network, require_positive

STAGES = ((2, 3, 64), (3, 4, 128), (4, 6, 256), (5, 3, 512))  # stage, blocks, channels of the 3 x 3 convolutions
EXPANSION = 4  # channels of a block's output to those of its 3 x 3 convolution
VERSIONS = ("v1.5", "v1")
IMAGE = 224
CLASSES = 1000


def resnet50(batch: int = 1, version: str = "v1.5") -> Network:
    """The table for pictures of 224 x 224. Raises UsageError for a batch below one."""
    require_positive(batch=batch)
    if version not in VERSIONS:
        raise ValueError(f"ResNet-50 {version}: there are {', '.join(VERSIONS)}")
    first = ConvolutionLayer("conv1", batch, 3, 64, IMAGE, IMAGE, 7, 2, 3, weight_names=("conv1.weight",))
    layers: list[Layer] = [first]
    size, channels = IMAGE // 4, first.out_channels  # behind the max pooling
    for stage, blocks, width in STAGES:
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            layers += _block(batch, stage, block, size, channels, width, stride, version)
            size, channels = size // stride, width * EXPANSION
    fc = MatmulLayer("fc", 1, batch, channels, CLASSES, bias=True, weight_names=("fc.weight",), bias_names=("fc.bias",))
    return Network("resnet50" if version == "v1.5" else "resnet50-v1", (*layers, fc))


def _block(
    batch: int, stage: int, block: int, size: int, channels: int, width: int, stride: int, version: str
) -> list[ConvolutionLayer]:
    """The convolutions of one bottleneck block; ``size`` of its input. Weight names are those of torchvision."""
    early, late = (1, stride) if version == "v1.5" else (stride, 1)
    inner, outer = size // early, size // stride
    prefix, file = f"conv{stage}_{block}", f"layer{stage - 1}.{block - 1}"
    made = [
        ConvolutionLayer(
            f"{prefix}a", batch, channels, width, size, size, 1, early, weight_names=(f"{file}.conv1.weight",)
        ),
        ConvolutionLayer(
            f"{prefix}b", batch, width, width, inner, inner, 3, late, 1, weight_names=(f"{file}.conv2.weight",)
        ),
        ConvolutionLayer(
            f"{prefix}c", batch, width, width * EXPANSION, outer, outer, 1, weight_names=(f"{file}.conv3.weight",)
        ),
    ]
    if block == 1:
        projection = ConvolutionLayer(
            f"{prefix}p",
            batch,
            channels,
            width * EXPANSION,
            size,
            size,
            1,
            stride,
            weight_names=(f"{file}.downsample.0.weight",),
        )
        made.append(projection)
    return made

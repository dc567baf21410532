"""The layer tables against totals and shapes published for the networks."""

from __future__ import annotations

import pytest

from kernels.networks import Sizes, load_layer, load_network, network_names, select_layers
from kernels.networks.bert import bert
from kernels.networks.layers import ConvolutionLayer, MatmulLayer, layer_bytes
from kernels.networks.resnet50 import resnet50
from tile_emu.errors import UsageError


def test_resnet50_has_53_convolutions_and_a_classifier() -> None:
    layers = resnet50().layers
    assert [type(layer) for layer in layers] == 53 * [ConvolutionLayer] + [MatmulLayer]
    assert len({layer.name for layer in layers}) == 54


def test_resnet50_multiplications() -> None:
    """4.09 GMAC for v1.5, 3.86 for v1 (the paper: 3.8 billion) without the bias; proportional to the batch."""
    assert resnet50().macs == 4_089_184_256
    assert resnet50(version="v1").macs == 3_857_973_248
    assert resnet50(7).macs == 7 * 4_089_184_256


def test_resnet50_parameters() -> None:
    """torchvision counts 25,557,032 parameters; 2 for each of 26,560 normalised channels are not weights of layers."""
    assert resnet50().weights == 25_557_032 - 2 * 26_560
    assert sum(layer.out_channels for layer in resnet50().layers if isinstance(layer, ConvolutionLayer)) == 26_560


def test_resnet50_pictures_shrink_as_published() -> None:
    for version, halves in (("v1.5", "b"), ("v1", "a")):
        layers = {layer.name: layer for layer in resnet50(version=version).layers}
        for stage, size in ((1, 112), (2, 56), (3, 28), (4, 14), (5, 7)):
            of_stage = [layer for name, layer in layers.items() if name.startswith(f"conv{stage}")]
            last = of_stage[-1]
            assert isinstance(last, ConvolutionLayer)
            assert (last.out_height, last.out_width) == (size, size)
            for layer in of_stage:
                assert isinstance(layer, ConvolutionLayer)
                halving = stage > 2 and layer.name[-2:] in ("1p", f"1{halves}")
                assert layer.stride == (2 if halving or stage == 1 else 1), layer.name


def test_strided_block_of_v15() -> None:
    _, layer = load_layer("resnet50.conv3_1b", Sizes(batch=4))
    assert layer == ConvolutionLayer("conv3_1b", 4, 128, 128, 56, 56, 3, 2, 1)
    assert layer.macs == 4 * 28 * 28 * 128 * 128 * 9


@pytest.mark.parametrize(("size", "parameters"), [("base", 85_054_464), ("large", 302_309_376)])
def test_bert_encoder_parameters(size: str, parameters: int) -> None:
    """The published encoders have that many parameters; four vectors of two layer normalisations are not matmuls'."""
    network = bert(size)
    hidden = {"base": 768, "large": 1024}[size]
    layers = {"base": 12, "large": 24}[size]
    pooler = hidden * hidden + hidden
    assert network.weights - pooler + layers * 4 * hidden == parameters


def test_bert_shapes() -> None:
    layers = {layer.name: layer for layer in bert("large", batch=2, seq=384).layers}
    shapes = {name: (layer.groups, layer.m, layer.k, layer.n) for name, layer in layers.items()}  # type: ignore[union-attr]
    assert shapes == {
        "qkv": (1, 768, 1024, 3072),
        "scores": (32, 384, 64, 384),
        "context": (32, 384, 384, 64),
        "output": (1, 768, 1024, 1024),
        "ffn_up": (1, 768, 1024, 4096),
        "ffn_down": (1, 768, 4096, 1024),
        "pooler": (1, 2, 1024, 1024),
    }
    assert all(layer.count == (1 if name == "pooler" else 24) for name, layer in layers.items())


def test_heads_divide_the_attention() -> None:
    scores = bert("base", heads=6).layers[1]
    assert isinstance(scores, MatmulLayer)
    assert (scores.groups, scores.k) == (6, 128)
    with pytest.raises(UsageError, match="7 heads do not divide the hidden size 768"):
        bert("base", heads=7)


def test_bytes_of_a_layer() -> None:
    _, conv = load_layer("resnet50.conv1")
    elements = 3 * 224 * 224 + 64 * 3 * 7 * 7, 64 * 112 * 112
    assert layer_bytes(conv, "f16") == 2 * sum(elements)
    assert layer_bytes(conv, "f16f32") == 2 * elements[0] + 4 * elements[1]
    _, scores = load_layer("bert-base.scores")
    assert layer_bytes(scores, "f32") == 4 * 12 * (2 * 128 * 64 + 128 * 128)


def test_names_may_be_shortened() -> None:
    assert load_layer("resnet50.f")[1].name == "fc"
    assert load_layer("bert-b.ffn_u")[0].name == "bert-base"
    assert load_layer("resnet50.conv1")[1].name == "conv1"
    assert load_network("resnet50-").name == "resnet50-v1"
    assert load_network("resnet50").name == "resnet50"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50.conv3_2x", "did you mean conv3_2"),
        ("resnet50.conv3_2", "could be conv3_2a, conv3_2b, conv3_2c"),
        ("resnet50.conv", "could be conv1"),
        ("bert.ffn_up", "could be bert-base, bert-large"),
        ("resnet.conv1", "could be resnet50, resnet50-v1"),
        ("restnet50.conv1", "did you mean resnet50"),
        ("bert-base.ffn", "could be ffn_up, ffn_down"),
        ("bert-base.zzz", "known: qkv, scores"),
        ("bert-base.", "no layer of bert-base"),
        ("nothing", "NETWORK.LAYER"),
    ],
)
def test_wrong_names(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        load_layer(name)


def test_sizes_are_checked() -> None:
    with pytest.raises(UsageError, match="batch 0: it must be at least 1"):
        load_network("resnet50", Sizes(batch=0))
    with pytest.raises(UsageError, match="--seq: resnet50 has none"):
        load_network("resnet50", Sizes(seq=128))
    assert all(load_network(name).macs > 0 for name in network_names())


def test_layers_by_pattern() -> None:
    network = resnet50()
    assert [layer.name for layer in select_layers(network, ["conv5_3*"])] == ["conv5_3a", "conv5_3b", "conv5_3c"]
    assert [layer.name for layer in select_layers(network, ["fc", "conv1"])] == ["conv1", "fc"]
    assert len(select_layers(network, [])) == 54
    with pytest.raises(UsageError, match="no layer of resnet50 'conv9\\*'"):
        select_layers(network, ["conv9*"])

"""BERT encoders: the matrix products of one encoder layer and the pooler (Devlin et al., section 3).

The encoder layers of a network are alike, so each product is in the table once, with the number of encoder layers as
its count. Names: ``qkv`` (the three projections side by side), ``scores`` (Q . K^T), ``context`` (softmax . V),
``output`` (of the attention), ``ffn_up``, ``ffn_down``, ``pooler``. GELU is the tanh form that BERT was published with.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernels.networks.layers import Layer, MatmulLayer, Network, require_positive, split_heads

FFN_EXPANSION = 4


@dataclass(frozen=True)
class BertSize:
    """What distinguishes the published sizes."""

    layers: int
    hidden: int
    heads: int


SIZES = {"base": BertSize(12, 768, 12), "large": BertSize(24, 1024, 16)}
MINILM_L6 = BertSize(6, 384, 12)  # sentence-transformers/all-MiniLM-L6-v2, config.json


def bert(size: str | BertSize = "base", batch: int = 1, seq: int = 128, heads: int | None = None) -> Network:
    """The table for ``batch`` sequences of ``seq`` tokens.

    ``size`` is "base", "large", or the sizes of another encoder of the same build; ``heads`` replaces its number of
    heads. Raises UsageError for sizes below one, or heads that do not divide the hidden size.
    """
    of = SIZES[size] if isinstance(size, str) else size
    count = of.heads if heads is None else heads
    require_positive(batch=batch, seq=seq, heads=count)
    head = split_heads(of.hidden, count)
    name = f"bert-{size}" if isinstance(size, str) else "bert"
    hidden, inner = of.hidden, of.hidden * FFN_EXPANSION
    layers: list[Layer] = [
        _dense("qkv", batch * seq, hidden, 3 * hidden, of, ("self.query", "self.key", "self.value")),
        MatmulLayer("scores", batch * count, seq, head, seq, trained=False, b_transposed=True, count=of.layers),
        MatmulLayer("context", batch * count, seq, seq, head, trained=False, count=of.layers),
        _dense("output", batch * seq, hidden, hidden, of, ("output.dense",)),
        _dense("ffn_up", batch * seq, hidden, inner, of, ("intermediate.dense",), "gelu"),
        _dense("ffn_down", batch * seq, inner, hidden, of, ("output.dense",)),
    ]
    pooler = MatmulLayer(
        "pooler",
        1,
        batch,
        hidden,
        hidden,
        bias=True,
        activation="tanh",
        weight_names=("pooler.dense.weight",),
        bias_names=("pooler.dense.bias",),
    )
    return Network(name, (*layers, pooler))


def _dense(
    name: str, m: int, k: int, n: int, size: BertSize, parts: tuple[str, ...], activation: str = "none"
) -> MatmulLayer:
    """A product with a weight of every encoder layer; file names are those of the published checkpoints."""
    attention = name in ("qkv", "output")
    where = "encoder.layer.{layer}." + ("attention." if attention else "")
    return MatmulLayer(
        name,
        1,
        m,
        k,
        n,
        bias=True,
        activation=activation,
        count=size.layers,
        weight_names=tuple(f"{where}{part}.weight" for part in parts),
        bias_names=tuple(f"{where}{part}.bias" for part in parts),
    )

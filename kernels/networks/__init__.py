"""Layer tables of known networks, found by name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kernels.networks.bert import MINILM_L6, BertSize, bert
from kernels.networks.layers import Layer, Network
from kernels.networks.resnet50 import resnet50
from tile_emu.errors import UsageError


@dataclass(frozen=True)
class Sizes:
    """What a table may be asked for; ``seq`` and ``heads`` concern the BERT tables only (None: their own)."""

    batch: int = 1
    seq: int | None = None
    heads: int | None = None


def _resnet(version: str) -> Callable[[str, Sizes], Network]:
    def make(name: str, sizes: Sizes) -> Network:
        for option, value in (("--seq", sizes.seq), ("--heads", sizes.heads)):
            if value is not None:
                raise UsageError(f"{option}: {name} has none")
        return resnet50(sizes.batch, version)

    return make


def _bert(size: str | BertSize) -> Callable[[str, Sizes], Network]:
    def make(name: str, sizes: Sizes) -> Network:
        made = bert(size, sizes.batch, 128 if sizes.seq is None else sizes.seq, sizes.heads)
        return Network(name, made.layers)

    return make


_TABLES: dict[str, Callable[[str, Sizes], Network]] = {
    "resnet50": _resnet("v1.5"),
    "resnet50-v1": _resnet("v1"),
    "bert-base": _bert("base"),
    "bert-large": _bert("large"),
    "minilm-l6": _bert(MINILM_L6),
}


def network_names() -> tuple[str, ...]:
    """The networks there are tables of."""
    return tuple(_TABLES)


def load_network(name: str, sizes: Sizes | None = None) -> Network:
    """The table of a network by its name or an unambiguous beginning of it. Raises UsageError."""
    full = resolve(name, network_names(), "network")
    return _TABLES[full](full, sizes or Sizes())


def load_layer(name: str, sizes: Sizes | None = None) -> tuple[Network, Layer]:
    """The layer called ``network.layer``; both may be shortened as long as they are unambiguous. Raises UsageError."""
    first, dot, last = name.partition(".")
    if not dot:
        known = ", ".join(network_names())
        raise UsageError(f"'{name}' is no layer: a layer is called NETWORK.LAYER, the networks are {known}")
    network = load_network(first, sizes)
    layers = {layer.name: layer for layer in network.layers}
    return network, layers[resolve(last, tuple(layers), f"layer of {network.name}")]


def select_layers(network: Network, patterns: Sequence[str]) -> tuple[Layer, ...]:
    """The layers whose names match any of the shell patterns; all without a pattern. Raises UsageError for none."""
    if not patterns:
        return network.layers
    for pattern in patterns:
        if not fnmatch.filter([layer.name for layer in network.layers], pattern):
            raise UsageError(_unknown(pattern, [layer.name for layer in network.layers], f"layer of {network.name}"))
    return tuple(layer for layer in network.layers if any(fnmatch.fnmatchcase(layer.name, p) for p in patterns))


def resolve(name: str, known: Sequence[str], what: str) -> str:
    """``name`` or the only one of ``known`` that begins with it. Raises UsageError with what comes close, or all."""
    if name in known:
        return name
    found = [candidate for candidate in known if name and candidate.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"'{name}' could be {', '.join(found)}: which {what}?")
    raise UsageError(_unknown(name, known, what))


def _unknown(name: str, known: Sequence[str], what: str) -> str:
    close = difflib.get_close_matches(name, known, n=4, cutoff=0.6)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"no {what} '{name}'{hint} (known: {', '.join(known)})"

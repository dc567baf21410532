"""Running many layers: equal ones once, the cache, processes, failures, the table. The emulation is a stand-in."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from kernels.networks import load_network, select_layers
from kernels.networks.cache import ResultCache, package_fingerprint
from kernels.networks.job import Job
from kernels.networks.layers import MatmulLayer
from kernels.networks.run import run_layers
from kernels.networks.table import HEADER, aligned, distinct, emulation, footnotes, markdown, rows, totals
from tile_emu.chips import load_chip
from tile_emu.errors import TileEmuError, UsageError


def document(job: Job) -> dict[str, Any]:
    """What an emulation might have found: cycles follow from the multiplications."""
    cycles = job.layer.macs // 1000
    plan = {f"{name}_splits": 2 for name in ("group", "row", "column", "image", "output", "k")} | {"steps": 3}
    return {
        **job.head(),
        "cycles": cycles,
        "seconds_on_chip": cycles / 1.85e9,
        "phases": {"compute": cycles // 2, "exchange": cycles // 4, "sync": cycles - cycles // 2 - cycles // 4},
        "utilisation": {"issue": 0.5, "amp": 0.75, "mac": 0.3, "balance": 0.9},
        "sram": {"max_bytes": 100 * 1024, "mean_bytes": 1.0},
        "check": {"max_rel_error": 1e-4, "ok": job.layer.name != "pooler"},
        "emulation": {"wall_s": 2.0, "instructions": 1000, "parts_s": {"run": 1.5, "check": 0.25}},
        "plan": plan,
        "pid": os.getpid(),
    }


def jobs(name: str, *patterns: str) -> list[Job]:
    network = load_network(name)
    return [Job(network.name, layer) for layer in select_layers(network, patterns)]


class Counted:
    """The stand-in, remembering what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, job: Job) -> dict[str, Any]:
        self.asked.append(job.layer.name)
        return document(job)


def test_equal_layers_are_emulated_once() -> None:
    emulate = Counted()
    found = run_layers(jobs("resnet50", "conv2*"), execute=emulate)
    assert sorted(emulate.asked) == ["conv2_1a", "conv2_1b", "conv2_1c", "conv2_2a"]
    assert [d["layer"] for d in found] == [job.layer.name for job in jobs("resnet50", "conv2*")]
    same = {d["layer"]: d["same_as"] for d in found if "same_as" in d}
    # the projection of the first block is a 1 x 1 convolution of 64 to 256 channels, like conv2_1c
    assert same == {
        "conv2_1p": "conv2_1c",
        "conv2_2b": "conv2_1b",
        "conv2_2c": "conv2_1c",
        "conv2_3a": "conv2_2a",
        "conv2_3b": "conv2_1b",
        "conv2_3c": "conv2_1c",
    }


def test_known_results_come_from_the_cache(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "layers")
    todo = jobs("bert-base")
    first = run_layers(todo, cache=cache, execute=Counted())
    again = Counted()
    found = run_layers(todo, cache=cache, execute=again)
    assert again.asked == []
    assert all(d.pop("cached") for d in found)
    assert found == first
    fresh = Counted()
    run_layers(todo, cache=cache, fresh=True, execute=fresh)
    assert len(fresh.asked) == len(todo)
    other = Counted()
    run_layers([dataclasses.replace(job, dtype="f32") for job in todo], cache=cache, execute=other)
    assert len(other.asked) == len(todo)
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_interrupted_network_goes_on(tmp_path: Path) -> None:
    cache, todo = ResultCache(tmp_path), jobs("bert-base")

    class Interrupted(Counted):
        def __call__(self, job: Job) -> dict[str, Any]:
            if len(self.asked) == 3:
                raise KeyboardInterrupt
            return super().__call__(job)

    first, rest = Interrupted(), Counted()
    with pytest.raises(KeyboardInterrupt):
        run_layers(todo, cache=cache, execute=first)
    run_layers(todo, cache=cache, execute=rest)
    assert len(first.asked) == 3
    assert sorted(first.asked + rest.asked) == sorted(job.layer.name for job in todo)


def test_what_a_key_depends_on() -> None:
    job = Job("bert-base", MatmulLayer("x", 1, 2, 3, 4))
    key = ResultCache().key
    base = key(job.identity())
    same = [dataclasses.replace(job, network="other"), dataclasses.replace(job, bare=True)]
    same.append(dataclasses.replace(job, layer=dataclasses.replace(job.layer, name="y", count=7)))
    assert {key(other.identity()) for other in same} == {base}
    different: list[dict[str, Any]] = [{"direction": "bwd-data"}, {"dtype": "f32"}, {"chip": "gc2"}, {"seed": 1}]
    different += [{"tiles": 4}, {"layer": dataclasses.replace(job.layer, bias=True)}]
    keys = {key(dataclasses.replace(job, **change).identity()) for change in different}
    assert len(keys | {base}) == len(different) + 1
    biased = dataclasses.replace(job, layer=dataclasses.replace(job.layer, bias=True), bare=True)
    assert key(biased.identity()) == base  # the bias is left out
    assert len(package_fingerprint()) == 64


def test_damaged_results_count_as_absent(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path)
    cache.put("k", {"a": 1})
    assert cache.get("k") == {"a": 1}
    for damage in ("", "{", "[1]"):
        (tmp_path / "k.json").write_text(damage)
        assert cache.get("k") is None
    blocked = ResultCache(tmp_path / "k.json" / "below")
    blocked.put("k", {})  # cannot be written: no error
    assert blocked.get("k") is None


def test_processes_give_the_same_in_the_same_order() -> None:
    todo = jobs("resnet50", "conv2*", "fc")
    told: list[str] = []
    found = run_layers(todo, processes=2, execute=document, progress=lambda stage, share=None: told.append(stage))
    assert [d["layer"] for d in found] == [job.layer.name for job in todo]
    assert os.getpid() not in {d["pid"] for d in found}
    assert any("of 5" in stage for stage in told)
    assert not multiprocessing.active_children()


def die(job: Job) -> dict[str, Any]:
    os._exit(3)


def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(TileEmuError, match="try fewer --jobs"):
        run_layers(jobs("bert-base"), processes=2, execute=die)
    for child in multiprocessing.active_children():
        child.join(5)
    assert not multiprocessing.active_children()


def sleep(job: Job) -> dict[str, Any]:
    threading.Event().wait(60)
    return {}


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_all_processes() -> None:
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_layers(jobs("bert-base"), processes=2, execute=sleep)
    for child in multiprocessing.active_children():
        child.join(5)
    assert not multiprocessing.active_children()


def failed(job: Job) -> dict[str, Any]:
    if job.layer.name == "qkv":
        return {**job.head(), "error": {"kind": "OutOfTileMemory", "message": "qkv wants 7 KiB more"}}
    return document(job)


def test_table(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path)
    found = run_layers(jobs("bert-base"), execute=failed, cache=cache)
    bow = load_chip("bow")
    summed = totals(found, bow, "f16")
    ran = [d for d in found if d["layer"] != "qkv"]
    assert summed["cycles"] == sum(d["count"] * d["cycles"] for d in ran)
    assert summed["macs"] == sum(d["count"] * d["macs"] for d in ran)
    assert summed["mac_efficiency"] == pytest.approx(summed["macs"] / (1472 * 64 * summed["cycles"]))
    assert (summed["layers"], summed["ran"], summed["checked"]) == (7, 6, 5)
    assert sum(summed["phases"].values()) == summed["cycles"]
    took = emulation(found, 5.0)
    parts = {"operands": 0, "planning": 0, "image": 0, "host copies": 0, "run": 9.0, "check": 1.5}
    assert took.pop("parts_s") == parts
    assert took == {"wall_s": 12.0, "instructions": 6000, "emulated": 6, "from_cache": 0, "elapsed_s": 5.0}
    took["parts_s"] = parts
    assert emulation(run_layers(jobs("bert-base"), execute=failed, cache=cache), 1.0)["from_cache"] == 6
    table = rows(found, summed)
    assert [d["count"] for d in distinct(found)] == [12] * 6 + [1]
    conv = run_layers(jobs("resnet50", "conv2*"), execute=document)
    assert [(d["layer"], d["count"]) for d in distinct(conv)] == [
        ("conv2_1a", 1),
        ("conv2_1b", 3),
        ("conv2_1c", 4),
        ("conv2_2a", 2),
    ]
    text = "\n".join([*aligned(table), *footnotes(found, summed, took)])
    assert "does not fit" in text
    assert "qkv: qkv wants 7 KiB more" in text
    assert "6,000 instructions in 9.0 s of emulation; operands 0.0 s" in text and "check 1.5 s; this table" in text
    assert "g2 p2x2x2 o2 k2 s3" in text
    assert "1.0e-04 FAILED" in text
    assert text.splitlines()[0].split() == " ".join(HEADER).split()
    lines = markdown(table)
    assert all(line.count("|") == len(HEADER) + 1 for line in lines)
    json.dumps({"layers": found, "totals": summed})


def test_unknown_pass() -> None:
    with pytest.raises(UsageError, match="unknown pass 'backward': choose one of fwd, bwd-data, bwd-weights"):
        Job("bert-base", MatmulLayer("x", 1, 2, 3, 4), "backward")

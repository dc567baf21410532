"""Sweeps: grids, what-ifs, resuming, processes that die, a Dask cluster that loses a worker, files."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernels.networks.cache import ResultCache
from kernels.sweep.grid import Point, axes_from_options, expand, read_grid
from kernels.sweep.run import run_sweep
from tests import sweep_tools
from tile_emu.chips import load_chip
from tile_emu.chips.whatif import ADJUSTABLE
from tile_emu.cli.entry import run
from tile_emu.errors import UsageError
from tile_emu.profile.sweeptable import records, sweep_page, write_records

# --- chips with changed figures ---


def test_changed_chip() -> None:
    chip = load_chip("bow[clock_hz=2e9,exchange.row_delay=4,macs_per_cycle.f16=128]")
    assert (chip.clock_hz, chip.exchange.row_delay, chip.macs_per_cycle["f16"]) == (2e9, 4, 128)
    assert (chip.exchange.store_offset, chip.macs_per_cycle["f32"]) == (52, 16)
    assert load_chip(chip.name) == chip and "2000000000" in chip.name
    assert load_chip("bow").clock_hz == 1.85e9


def test_every_adjustable_figure_exists() -> None:
    for figure in ADJUSTABLE:
        assert load_chip(f"bow[{figure}=6]").name == f"bow[{figure}=6]"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bow[clock=2]", "'clock' cannot be changed"),
        ("bow[timing.worker_turn=4]", "cannot be changed"),
        ("bow[exchange.width=2]", "part of its instructions .* exchange_width=0.5,1,2"),
        ("bow[clock_hz]", "write the changed figures"),
        ("bow[clock_hz=fast]", "not a number"),
        ("bow[tiles=1473]", "has 1472 tiles"),
        ("bow[exchange.drain=1.5]", "a whole number"),
        ("bow[exchange.row_delay=3]", "an even number"),
        ("bow[clock_hz=-1]", "at least 1"),
        ("cow[clock_hz=1e9]", "unknown chip 'cow'"),
    ],
)
def test_what_cannot_be_changed(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_chip(name)


# --- grids ---


def test_grid_of_options() -> None:
    axes = axes_from_options(["m=1,2", "k=8", "n=4", "chip=bow,bow[clock_hz=1e9,exchange.drain=8]", "tiles=default,16"])
    points = expand([axes])
    assert len(points) == 8
    assert [p["m"] for p in points] == [1] * 4 + [2] * 4
    assert [p["tiles"] for p in points[:2]] == [None, 16]
    assert points[2]["chip"] == "bow[clock_hz=1000000000,exchange.drain=8]"
    assert points[1].name == "matmul m=1 k=8 n=4 tiles=16"


def test_figures_of_the_chip_are_axes() -> None:
    table = {"m": 1, "k": 1, "n": 1, "chip": ["bow", "gc200"], "clock_hz": [1e9, 2e9]}
    names = [p["chip"] for p in expand([table])]
    assert names == [f"{chip}[clock_hz={clock}000000000]" for chip in ("bow", "gc200") for clock in (1, 2)]


def test_equal_points_are_one() -> None:
    assert len(expand([{"m": [1, 1], "k": 1, "n": 1}, {"m": 1, "k": 1, "n": [1, 2], "dtype": "f16"}])) == 2


def test_grid_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text('[[sweep]]\nm = [1, 2]\nk = 3\nn = 4\n[[sweep]]\nkernel = "resnet50.conv1"\nbatch = [1, 2]\n')
    points = expand(read_grid(path))
    assert [p.kernel for p in points] == ["matmul", "matmul", "resnet50.conv1", "resnet50.conv1"]
    for text in ("[[sweep]", "m = 1", "[[sweep]]\n[other]\n", "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(UsageError, match=r"grid\.toml"):
            read_grid(path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"m": 1, "k": 1}, "needs the axis n"),
        ({"m": 1, "k": 1, "n": 0}, "n = 0 is not possible"),
        ({"m": 1, "k": 1, "n": "x"}, "n = 'x'"),
        ({"m": 1, "k": 1, "n": True}, "n = True"),
        ({"m": 1, "k": 1, "n": 1, "colour": 3}, "no axis 'colour'"),
        ({"m": 1, "k": 1, "n": 1, "exchange_width": 3}, "exchange_width = 3 is not possible: 0.5, 1, 2, 4, 8 are"),
        ({"kernel": "fft"}, "no kernel 'fft'"),
        ({"m": [], "k": 1, "n": 1}, "no points"),
        ({"m": 1, "k": 1, "n": 1, "seed": list(range(30_000))}, "more than 20,000"),
        ({"m": 1, "k": 1, "n": 1, "chip": "cow"}, "unknown chip"),
    ],
)
def test_what_is_no_grid(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        expand([table])


# --- running ---


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setenv(sweep_tools.NOTES, str(folder))
    return folder


def executions(notes: Path) -> Counter[str]:
    """How often each point was begun."""
    return Counter("-".join(path.name.split("-")[:2]) for path in notes.iterdir())


def grid(count: int = 4) -> list[Point]:
    return expand([{"m": list(range(1, count + 1)), "k": 1, "n": [1, 2]}])


def test_in_order_and_only_once(notes: Path, tmp_path: Path) -> None:
    points, store = grid(), ResultCache(tmp_path / "store")
    first = run_sweep(points, store=store, execute=sweep_tools.counting)
    assert [r.point for r in first] == points
    assert [r.document["cycles"] for r in first] == [10 * m + n for m in (1, 2, 3, 4) for n in (1, 2)]
    assert not any(r.cached for r in first)
    again = run_sweep([*points, *grid(5)[-2:]], store=store, execute=sweep_tools.counting)
    assert [r.cached for r in again] == [True] * 8 + [False] * 2
    assert set(executions(notes).values()) == {1} and len(executions(notes)) == 10


def test_an_interrupted_sweep_goes_on(notes: Path, tmp_path: Path) -> None:
    points, store = grid(), ResultCache(tmp_path / "store")

    def interrupted(point: Point) -> dict[str, Any]:
        if point["m"] == 3:
            raise KeyboardInterrupt
        return sweep_tools.counting(point)

    with pytest.raises(KeyboardInterrupt):
        run_sweep(points, store=store, execute=interrupted)
    assert len(executions(notes)) == 4
    results = run_sweep(points, store=store, execute=sweep_tools.counting)
    assert [r.cached for r in results] == [True] * 4 + [False] * 4
    assert set(executions(notes).values()) == {1}


def test_errors_are_results_but_not_kept(notes: Path, tmp_path: Path) -> None:
    points, store = grid(2), ResultCache(tmp_path / "store")
    results = run_sweep(points, store=store, execute=sweep_tools.failing)
    assert [("error" in r.document) for r in results] == [False, False, True, True]
    run_sweep(points, store=store, execute=sweep_tools.failing)
    assert executions(notes) == {"1-1": 1, "1-2": 1, "2-1": 2, "2-2": 2}


def test_processes_and_one_that_dies(notes: Path, tmp_path: Path) -> None:
    points = grid()
    results = run_sweep(points, store=ResultCache(tmp_path / "a"), processes=2, execute=sweep_tools.dying_once)
    assert [r.document["cycles"] for r in results] == [10 * m + n for m in (1, 2, 3, 4) for n in (1, 2)]
    pids = {path.name.split("-")[2] for path in notes.iterdir()}
    assert str(os.getpid()) not in pids


def test_other_widths_of_the_fabric_are_estimated_from_one_run(notes: Path, tmp_path: Path) -> None:
    points = expand([{"m": [1, 2], "k": 1, "n": 1, "exchange_width": [0.5, 1, 2]}])
    results = run_sweep(points, store=ResultCache(tmp_path / "store"), execute=sweep_tools.estimated)
    assert executions(notes) == {"1-1": 1, "2-1": 1}
    assert [r.document["cycles"] for r in results] == [21, 11, 9, 31, 21, 19]
    assert [r.document.get("estimated", False) for r in results] == 2 * [True, False, True]
    found = records([r.point.identity() for r in results], [r.document for r in results])
    assert [record["exchange_width"] for record in found] == 2 * [0.5, 1, 2]
    assert found[2]["tflops"] == pytest.approx(found[1]["tflops"] * 11 / 9)
    assert found[2]["phases.exchange"] == 2 and found[2]["estimated"] and not found[1]["estimated"]
    page = sweep_page(found, list(points[0].identity()))
    assert page.count("<td>estimated</td>") == 4


# --- a cluster ---


def start(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *arguments], env=environment, stderr=subprocess.DEVNULL)


@pytest.fixture
def cluster(notes: Path, tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers on loopback, as processes of their own."""
    pytest.importorskip("distributed")
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    file = tmp_path / "scheduler.json"
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    worker = ("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard")
    place = ("--scheduler-file", str(file))
    processes = [start(*scheduler, *place, environment=environment)]
    try:
        wait_for(file.is_file)
        folder = ("--local-directory", str(tmp_path))
        processes += [start(*worker, *place, *folder, environment=environment) for _ in range(2)]
        address = json.loads(file.read_text())["address"]
        wait_for_workers(address, 2)
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_for(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds  # a first run compiles
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, timeout="60s", set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_cluster_that_loses_a_worker(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], notes: Path, tmp_path: Path
) -> None:
    address, workers = cluster
    points, store = grid(5), ResultCache(tmp_path / "store")
    killed: list[int] = []

    def progress(stage: str, share: float) -> None:
        if not killed:
            workers[0].send_signal(signal.SIGKILL)
            killed.append(workers[0].pid)

    results = run_sweep(points, store=store, scheduler=address, execute=sweep_tools.slow, progress=progress)
    assert killed
    # Nothing lost, nothing twice: every point once, in order, with its own figures.
    assert [r.point for r in results] == points
    assert [r.document["cycles"] for r in results] == [10 * p["m"] + p["n"] for p in points]
    begun = executions(notes)
    assert len(begun) == 10 and max(begun.values()) <= 2
    # The store has every result, so nothing is run again.
    again = run_sweep(points, store=store, scheduler="tcp://127.0.0.1:1", execute=sweep_tools.slow)
    assert all(r.cached for r in again)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_command_on_a_cluster(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two real points on two workers give what they give here."""
    found = []
    for place, more in (("there", ("--scheduler", cluster[0])), ("here", ())):
        assert run(["sweep", *SMALL, "--store", str(tmp_path / place), "--json", *more]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1] and [record["m"] for record in found[0]] == [64, 65]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_no_scheduler_there(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(UsageError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:1"):
        run_sweep(grid(1), store=ResultCache(tmp_path), scheduler="tcp://127.0.0.1:1", execute=sweep_tools.figures)


# --- tables ---


def results_table() -> list[dict[str, Any]]:
    points = grid(2)
    documents = [sweep_tools.figures(p) if p["m"] == 1 else {"error": {"kind": "X", "message": "no"}} for p in points]
    return records([p.identity() for p in points], documents)


def test_csv(tmp_path: Path) -> None:
    write_records(results_table(), tmp_path / "r.csv")
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert [row["m"] for row in rows] == ["1", "1", "2", "2"]
    assert [row["cycles"] for row in rows] == ["11.0", "12.0", "", ""]
    assert (rows[0]["phases.compute"], rows[0]["check.ok"], rows[2]["error"]) == ("8.0", "True", "no")


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_records(results_table(), tmp_path / "r.parquet")
    columns = parquet.read_table(tmp_path / "r.parquet").to_pydict()
    assert columns["n"] == [1, 2, 1, 2] and columns["cycles"] == [11, 12, None, None]
    assert columns["chip"] == ["bow"] * 4


def test_page() -> None:
    page = sweep_page(results_table(), ["kernel", "m", "k", "n", "dtype", "chip"])
    assert "kernel matmul, k 1, dtype f16, chip bow" in page  # what does not vary is said once
    assert "m 1, n 2: 12 cycles" in page and "m 2, n 1: did not run" in page and "<script" not in page


# --- the command, with the real kernel ---

SMALL = ("--axis", "m=64,65", "--axis", "k=64", "--axis", "n=64", "--axis", "tiles=4")


@pytest.mark.slow
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page, store = tmp_path / "r.csv", tmp_path / "r.html", tmp_path / "store"
    more = ("--axis", "exchange.row_delay=2,10", "--store", str(store))
    assert run(["sweep", *SMALL, *more, "-o", str(out), "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert text.count(" ok") == 4 and "4 points, 0 of them known before" in text
    rows = list(csv.DictReader(out.read_text().splitlines()))
    slow = {row["chip"]: float(row["phases.exchange"]) for row in rows if row["m"] == "64"}
    # Tiles 0 to 3 lie in rows 0 and 1: a longer way to row 1 makes the exchange longer by as much.
    assert slow["bow[exchange.row_delay=10]"] >= slow["bow[exchange.row_delay=2]"] + 8
    assert run(["sweep", *SMALL, *more]) == 0
    assert "4 points, 4 of them known before" in capsys.readouterr().out
    assert "4 points" in page.read_text()


@pytest.mark.slow
def test_command_in_processes_gives_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for jobs in ("1", "2"):
        assert run(["sweep", *SMALL, "--store", str(tmp_path / jobs), "--jobs", jobs, "--json"]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0] == results[1]
    parts = ("phases.compute", "phases.exchange", "phases.sync")
    for record in results[0]:
        assert record["cycles"] == sum(record[part] for part in parts)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_command_interrupted_and_run_again(jobs: str, tmp_path: Path) -> None:
    """Ctrl-C while points run: status 130, no file of results, what was done is kept and the rest run."""
    store, out = tmp_path / "store", tmp_path / "r.csv"
    sizes = ("--axis", "m=" + ",".join(str(64 + i) for i in range(12)), "--axis", "k=64", "--axis", "n=64")
    arguments = ("sweep", *sizes, "--axis", "tiles=4", "--store", str(store), "--jobs", jobs, "-o", str(out))
    command = [sys.executable, "-c", "import sys; from tile_emu.cli import main; sys.exit(main())", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: process.poll() is not None or (store.is_dir() and any(store.glob("*.json"))), seconds=300)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130 and "Traceback" not in told and not out.exists()
    kept = {path.name: path.read_bytes() for path in store.glob("*.json")}
    assert 0 < len(kept) < 12
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0 and f"12 points, {len(kept)} of them known before" in again.stdout
    assert len(out.read_text().splitlines()) == 13
    # run again they would tell other wall seconds
    assert all((store / name).read_bytes() == document for name, document in kept.items())


@pytest.mark.slow
def test_plans_are_an_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The third plan predicts no fewer cycles than the first, divides otherwise, and is right as well."""
    axes = ("--axis", "m=60", "--axis", "k=64", "--axis", "n=200", "--axis", "tiles=5", "--axis", "plan_rank=1,3")
    assert run(["sweep", *axes, "--store", str(tmp_path), "--json"]) == 0
    first, third = json.loads(capsys.readouterr().out)
    parts = [name for name in first if name.startswith("plan.predicted.")]
    assert parts and sum(first[name] for name in parts) <= sum(third[name] for name in parts)
    assert any(first[name] != third[name] for name in first if name.startswith("plan."))
    assert first["check.ok"] and third["check.ok"]


def test_points_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    axes = ("--axis", "m=100000", "--axis", "k=10000", "--axis", "n=8", "--axis", "tiles=1")
    assert run(["sweep", *axes, "--store", str(tmp_path)]) == 1
    assert "error: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a grid"),
        (["--axis", "m"], "axis=value"),
        (["--axis", "m=1", "--axis", "m=2"], "given twice"),
        (["--axis", "m=x", "--axis", "k=1", "--axis", "n=1"], "not a number"),
        ([*SMALL, "-o", "r.txt"], "must end in .csv or .parquet"),
        ([*SMALL, "--jobs", "0"], "at least 1"),
        (["missing.toml"], "cannot read"),
    ],
)
def test_usage_errors(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["sweep", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_list_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", *SMALL, "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"matmul m={m} k=64 n=64 tiles=4" for m in (64, 65)]

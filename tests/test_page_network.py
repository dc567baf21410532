"""The page of a network in a headless Chromium: its figures, and the whole content of the layer that is chosen."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Page, browser
from tests.reports import random_report, small_report
from tile_emu.profile.network import save_network
from tile_emu.profile.report import Report

CHECK = {"check": {"ok": True}}
FIRST = small_report(layer="first", network="net", count=1, **CHECK)
SECOND = random_report()
SECOND = dataclasses.replace(SECOND, document={**SECOND.document, "layer": "second", "network": "net", **CHECK})
CYCLES = {"first": 500, "second": SECOND.recording.cycles}


def network() -> dict[str, Any]:
    """first, second twice, third the same as first, and one that did not run; sums by hand."""
    layers = [
        {**FIRST.document},
        {**SECOND.document, "count": 2},
        {**FIRST.document, "layer": "third", "same_as": "first"},
        {"layer": "fourth", "count": 1, "error": {"kind": "OutOfTileMemory", "message": "lacks 3 <KiB>"}},
    ]
    phases = {
        part: 2 * FIRST.document["phases"][part] + 2 * SECOND.document["phases"][part]
        for part in ("compute", "exchange", "sync")
    }
    totals = {"layers": 4, "ran": 3, "checked": 3, "macs": 123_456, "cycles": 1000 + 2 * CYCLES["second"]}
    totals |= {"seconds_on_chip": totals["cycles"] / 1.85e9, "tflops": 87.125, "phases": phases}
    totals |= {"mac_efficiency": 0.256, "sram_max_bytes": 3000}
    return {
        "network": "net",
        "chip": "bow",
        "dtype": "f16",
        "pass": "fwd",
        "batch": 2,
        "layers": layers,
        "totals": totals,
    }


def saved(folder: Path, reports: dict[str, Report]) -> dict[str, Any]:
    for name, report in reports.items():
        (folder / "layers" / name).mkdir(parents=True)
        report.save(folder / "layers" / name)
    document = network()
    save_network(document, folder)
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("network")
    saved(found, {"first": FIRST, "second": SECOND})
    return found


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    # The page alone, where no other file of the report is.
    alone = tmp_path_factory.mktemp("alone") / "report.html"
    alone.write_bytes((folder / "report.html").read_bytes())
    with browser(tmp_path_factory.mktemp("browser")) as tab:
        tab.open(alone)
        yield tab


@pytest.fixture(autouse=True)
def no_complaints(page: Page) -> Iterator[None]:
    """No errors on the console, no request over the network, before and after every test."""
    assert page.problems == []
    yield
    assert page.problems == []


def choose(page: Page, name: str) -> None:
    """Choose a layer and wait until it is shown."""
    page.choose("layer", name)
    shown(page, name)


def shown(page: Page, name: str) -> None:
    page.run(
        f"""new Promise((done) => {{ const wait = () => document.querySelector("#layers tr.chosen")?.dataset.layer ===
            {json.dumps(name)} ? done() : setTimeout(wait, 10); wait(); }})"""
    )


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"


def row(document: dict[str, Any], total: int) -> list[str]:
    cycles, times, use = document["cycles"], document.get("count", 1), document["utilisation"]
    parts = (document["phases"][part] for part in ("compute", "exchange", "sync"))
    return [
        *(document["layer"], str(times), f"{cycles:,}", share(times * cycles, total), ""),
        *(share(part, cycles) for part in parts),
        *(share(use[key], 1) for key in ("mac", "amp", "balance")),
        *(f"{document['sram']['max_bytes'] / 1024:.1f} KiB", "ok"),
    ]


def test_every_figure_above_the_layer_is_that_of_the_summary(page: Page, folder: Path) -> None:
    document = json.loads((folder / "summary.json").read_text())
    totals, layers = document["totals"], document["layers"]
    cycles = totals["cycles"]
    page.expect("#network h1", ["net fwd batch 2 f16 on bow"])
    page.expect("#network p", ["3 layers run one after another, 123,456 useful MACs"])
    page.expect(".network .card b", [f"{cycles:,}", "87.12 TFLOPS", "25.6 %", "3 of 4", "3", f"{3000 / 1024:.1f} KiB"])
    micro = f"{cycles / 1.85e9 * 1e6:.4g} us"
    page.expect(
        ".network .card span",
        [
            f"cycles, {micro} at the chip's clock",
            "over all layers",
            "MAC efficiency: useful MACs / peak of the chip",
            "layers ran",
            "of them passed the check against float64",
            "SRAM of the fullest tile",
        ],
    )
    parts = totals["phases"]
    page.expect(
        ".network .split + .key > span",
        [f"{part} {value:,} cycles ({share(value, cycles)})" for part, value in parts.items()],
    )
    rows = [row(layer, cycles) for layer in layers[:3]]
    rows.append(["fourth", "1", "-", "-", "", *["-"] * 7, "lacks 3 <KiB>"])
    page.expect("#layers td", [cell for cells in rows for cell in cells])
    spent = {layer["layer"]: layer.get("count", 1) * layer["cycles"] for layer in layers[:3]}
    lost = spent["second"] * (1 - layers[1]["utilisation"]["mac"])
    most = max(parts, key=lambda part: layers[1]["phases"][part])
    efficiency = 100 * layers[1]["utilisation"]["mac"]
    page.expect(
        "#network-advice li",
        [
            f"the layers that take the most cycles: second (2 times) {100 * spent['second'] / cycles:.0f} %, first "
            f"(2 times) {100 * 1000 / cycles:.0f} %",
            f"the most cycles beyond those of its multiplications at the peak: second (2 times), {round(lost):,} "
            f"({efficiency:.0f} % MAC efficiency, most of its cycles in {most})",
        ],
    )
    assert page.not_compared("#network") == page.not_compared(".network") == []
    titles = page.run("[...document.querySelectorAll('.strip > div')].map((e) => e.title)")
    assert titles == [
        f"{layer['layer']}: {spent[layer['layer']]:,} cycles, {share(layer['utilisation']['mac'], 1)} MAC efficiency"
        for layer in layers[:3]
    ]
    widths = page.run("[...document.querySelectorAll('.strip > div')].map((e) => e.getBoundingClientRect().width)")
    # each has a border of one pixel
    assert (widths[1] - 1) / (widths[0] - 1) == pytest.approx(spent["second"] / 500, rel=0.02)


def test_a_layer_is_chosen_by_select_key_row_and_address(page: Page) -> None:
    choose(page, "first")
    assert page.text("#view h1") == "net.first f16 on bow" and page.figures()["cycles"] == "500"
    page.press("layer-after", "]")
    shown(page, "second")
    assert page.figures()["cycles"] == f"{CYCLES['second']:,}"
    assert page.text("#layer-note") == "2 times"
    page.run("document.querySelectorAll('#layers tr')[3].click()")
    shown(page, "third")
    assert page.figures()["cycles"] == "500" and page.text("#layer-note") == "the same as first, run once"
    page.run("location.hash = '#layer=second'")
    shown(page, "second")
    page.run("document.querySelectorAll('.strip > div')[0].click()")
    shown(page, "first")
    assert page.run("document.querySelectorAll('#view h1').length") == 1
    # a layer without a report cannot be chosen
    assert page.texts("#layer option") == ["first", "second", "third"]


def test_the_chosen_layer_has_its_whole_page(page: Page) -> None:
    """Zoom, tiles, counters and memory work on the layer that was chosen last, and only on that."""
    recording = SECOND.recording
    page.choose("counter", "3")  # worker turns
    for _ in range(2):
        choose(page, "first")
        assert page.text("#counter-info").endswith("most 90")  # turns of tile 0
        choose(page, "second")
        turns = recording.turns.sum(axis=0)
        assert f"total {turns.sum():,}" in page.text("#counter-info")
        page.press("timeline-canvas", "+")
        span = [int(word.replace(",", "")) for word in page.text("#timeline-info").split() if word[0].isdigit()]
        assert span[1] - span[0] == pytest.approx(0.7 * recording.cycles, abs=2)
        page.choose("tile-number", "1203")
        assert page.text("#heat-info").endswith(f": {turns[1203]:,} worker turns")
        page.click("heat-canvas", 600, 200)
        assert page.run("document.getElementById('tile-number').value") != "1203"


def test_a_counter_stays_chosen(page: Page) -> None:
    choose(page, "first")
    page.choose("counter", "9")
    name = page.run("document.querySelector('#counter').selectedOptions[0].text")
    choose(page, "second")
    assert page.run("document.querySelector('#counter').selectedOptions[0].text") == name != "worker turns"
    page.press("layer-after", "c")
    assert page.run("document.querySelector('#counter').selectedIndex") == 10


def test_the_table_sorts(page: Page) -> None:
    names = "#layers td:first-child"
    page.run("document.querySelectorAll('#layers th')[2].click()")
    assert page.texts(names)[:1] != ["fourth"]
    page.run("document.querySelectorAll('#layers th')[0].click()")
    assert page.texts(names) == ["third", "second", "fourth", "first"]
    page.run("document.querySelectorAll('#layers th')[0].click()")
    assert page.texts(names) == ["first", "fourth", "second", "third"]


def test_help_lists_the_keys_of_networks(page: Page) -> None:
    page.press("layer-after", "?")
    assert page.run("document.getElementById('help').open") is True
    assert any("layer before" in text for text in page.texts("#help-keys td"))
    page.press("help", "Escape")
    page.run("document.getElementById('help').close()")


def test_equal_layers_are_stored_once(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert text.count('<script type="text/plain"') == 2 and text.count("class Timeline") == 1

"""report.html in a headless Chromium: every figure it shows against the recording, reckoned anew with NumPy."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.browser import Page, browser
from tests.reports import random_report, small_report
from tile_emu.profile.html import embedded, fill_page
from tile_emu.profile.page import report_page
from tile_emu.profile.report import Report

REPORT = random_report()
REPORT = dataclasses.replace(REPORT, document={**REPORT.document, "plan": {"predicted": {"all": 1}}})
TILE = 1203

# Counters of the page by their legends, from the recording's columns.
R = REPORT.recording
COUNTERS = {
    "worker turns": R.turns,
    "cycles with workers running": R.worker_busy,
    "cycles of the supervisor alone": np.concatenate((R.arrival, R.finish[None]))
    - np.concatenate((np.zeros((1, R.tiles), np.int64), R.row_end))
    - R.worker_busy,
    "instructions": R.instructions,
    "AMP instructions": R.amp,
    "SLIC instructions": R.slic,
    "MACs": R.macs,
    "f16 operations": R.f16_operations,
    "f32 operations": R.f32_operations,
    "bytes loaded": R.bytes_loaded,
    "bytes stored": R.bytes_stored,
    "launches": R.launches,
    "cycles waited for the barrier": R.release[:, None] - R.arrival,
    "words sent": R.sent,
    "words received": R.received,
    "cycles sending": R.send_cycles,
    "cycles receiving": R.receive_cycles,
    "cycles idle in the exchange": (R.row_end.max(axis=1) - R.release)[:, None] - R.exchange_busy,
}


SHARES = ("issue utilisation", "AMP utilisation", "time with workers running")


def numbers(text: str) -> list[int]:
    """All whole numbers of a text."""
    return [int(match.replace(",", "")) for match in re.findall(r"-?[\d,]*\d(?![.\d])", text)]


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def opened(tab: Page, folder: Path, report: Report) -> Page:
    path = folder / "report.html"
    path.write_text(report_page(report), encoding="utf-8")
    tab.problems.clear()
    tab.open(path)
    assert tab.problems == []
    return tab


@pytest.fixture(scope="module")
def page(tab: Page, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return opened(tab, tmp_path_factory.mktemp("page"), REPORT)


@pytest.fixture(autouse=True)
def no_complaints(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test: no errors on the console, no request over the network."""
    yield
    if "page" in request.fixturenames:
        assert request.getfixturevalue("page").problems == []


# --- figures in words ---


def test_figures_are_those_of_summary_and_recording(page: Page) -> None:
    document, figures = REPORT.document, page.figures()
    assert figures["cycles"] == f"{R.finish.max():,}" == f"{document['cycles']:,}"
    for name, value in document["phases"].items():
        assert figures[f"phases.{name}"] == f"{value:,}"
    for name, value in document["utilisation"].items():
        assert figures[f"utilisation.{name}"] == f"{100 * value:.1f} %"
    assert figures["tflops"] == f"{document['tflops']:.4g} TFLOPS"
    assert figures["tiles_used"] == f"{document['tiles_used']:,} of 1,472"
    sram = REPORT.sram
    assert sram is not None
    used = np.bincount(sram.tile, sram.nbytes, 1472) + sram.code.sum(axis=1)
    assert figures["sram.max_bytes"] == f"{used.max() / 1024:.1f} KiB"
    assert figures["sram.mean_bytes"] == f"{used.mean() / 1024:.1f} KiB"


def test_slowest_supersteps(page: Page) -> None:
    rows = page.texts("tr.go")
    end = np.concatenate((R.arrival.max(axis=1), [R.finish.max()]))
    begin = np.concatenate(([0], R.row_end.max(axis=1)))
    lengths = [*(end - begin), *(R.release - R.arrival.max(axis=1)), *(R.row_end.max(axis=1) - R.release)]
    shown = page.texts("tr.go td:first-child")
    assert shown == [f"{value:,}" for value in sorted(lengths, reverse=True)[:10]]
    assert len(rows) == 10


def test_codelet_table(page: Page) -> None:
    turns = R.executions + R.extra_turns
    found = page.texts("tr[data-codelet] td:nth-child(3)")
    wanted = []
    for phase in range(4):
        wanted += [turns[phase, 0:40:2].sum(), turns[phase, 1:40:2].sum(), turns[phase, 40]]
    assert found == [f"{value:,}" for value in wanted]


def test_source_lines(page: Page) -> None:
    page.choose("source-file", "1")
    page.choose("source-phase", "2")
    turns = (R.executions + R.extra_turns)[2]
    shown = page.texts("#source .t")
    assert len(shown) == 40
    for line in range(20):  # words 2 line and 2 line + 1, the second of which is of the second file
        assert shown[line] == f"{turns[2 * line + 1]:,}"
    assert set(shown[20:]) == {""}
    assert numbers(page.text("#source-info")) == [turns[1:40:2].sum(), R.supervisor_executions[2, 1:40:2].sum()]


# --- tiles ---


@pytest.mark.parametrize("name", list(COUNTERS))
def test_every_counter_of_every_superstep(page: Page, name: str) -> None:
    names = page.texts("#counter option")
    assert names == [*SHARES, *COUNTERS]
    page.choose("counter", str(names.index(name)))
    page.choose("tile-number", TILE)
    column = COUNTERS[name]
    for phase in (-1, *range(len(column))):
        page.choose("counter-phase", str(phase))
        values = column.sum(axis=0) if phase < 0 else column[phase]
        text = page.text("#counter-info").split(": total")[1]
        assert numbers(text) == [values.sum(), values.min(), np.sort(values)[735], values.max()]
        assert numbers(page.text("#heat-info"))[4] == values[TILE]
        assert numbers(page.text("#histogram-info"))[:2] == [1472, int((values == 0).sum())]
        assert page.text("#sorted-info") == f"mean / most {100 * values.mean() / values.max():.1f} %"


@pytest.mark.parametrize("name", SHARES)
def test_every_share_of_every_superstep(page: Page, name: str) -> None:
    page.choose("counter", str(SHARES.index(name)))
    page.choose("tile-number", TILE)
    begin = np.concatenate(([0], R.row_end.max(axis=1)))
    cycles = np.concatenate((R.arrival.max(axis=1), [R.finish.max()])) - begin
    for phase in (-1, 0, 1, 2, 3):
        chosen = slice(None) if phase < 0 else slice(phase, phase + 1)
        turns = R.turns[chosen].sum(axis=0)
        had = R.finish.max() if phase < 0 else cycles[phase]
        wanted = {
            "issue utilisation": turns / had,  # six workers, a turn of each takes six cycles
            "AMP utilisation": np.where(turns > 0, R.amp[chosen].sum(axis=0) / np.maximum(turns, 1), 0),
            "time with workers running": R.worker_busy[chosen].sum(axis=0) / had,
        }[name]
        page.choose("counter-phase", str(phase))
        figures = (wanted.mean(), wanted.min(), np.sort(wanted)[735], wanted.max())
        texts = [f"{word} {100 * value:.1f} %" for word, value in zip(("mean", "least", "median", "most"), figures)]
        assert page.text("#counter-info").endswith(": " + ", ".join(texts))
        assert page.text("#heat-info").endswith(f": {100 * wanted[TILE]:.1f} % {name}")
        assert page.text("#sorted-info") == f"mean / most {100 * wanted.mean() / wanted.max():.1f} %"


def test_selection_by_keyboard_follows_the_layout(page: Page) -> None:
    """Tiles 0 and 1 are a pair in lanes 0 and 2 of row 0; going down from tile 0 leads to row 1 of the column."""
    page.choose("tile-number", 0)
    assert page.text("#heat-info").startswith("tile 0 (column 0, row 0, lane 0)")
    page.press("heat-canvas", "ArrowRight")
    page.press("heat-canvas", "ArrowRight")
    assert page.text("#heat-info").startswith("tile 1 (column 0, row 0, lane 2)")
    page.press("heat-canvas", "ArrowDown")
    assert page.text("#heat-info").startswith("tile 3 (column 0, row 1, lane 2)")
    assert page.run("document.getElementById('tile-number').value") == "3"
    assert page.text("#memory-tile") == "3"


def test_selection_by_mouse(page: Page) -> None:
    page.choose("tile-number", 0)
    page.click("heat-canvas", 600, 200)
    chosen = int(page.run("document.getElementById('tile-number').value"))
    assert chosen != 0
    assert page.text("#heat-info").startswith(f"tile {chosen} (")


# --- timeline ---


def view(page: Page) -> tuple[int, int]:
    first, last, *_ = numbers(page.text("#timeline-info"))
    return first, last


def test_zoom_by_keyboard_buttons_and_wheel(page: Page) -> None:
    page.press("timeline-canvas", "0")
    assert view(page) == (0, REPORT.recording.cycles)
    page.press("timeline-canvas", "+")
    first, last = view(page)
    assert last - first == pytest.approx(0.7 * R.cycles, abs=2)
    page.press("timeline-canvas", "ArrowLeft")
    assert view(page)[0] < first
    page.run("document.getElementById('zoom-all').click()")
    assert view(page) == (0, R.cycles)
    wheel = "new WheelEvent('wheel', {deltaY: -100, clientX: 600, cancelable: true})"
    page.run(f"document.getElementById('timeline-canvas').dispatchEvent({wheel})")
    first, last = view(page)
    assert last - first == pytest.approx(0.8 * R.cycles, abs=2)


def test_keys_work_anywhere_on_the_page(page: Page) -> None:
    """Zoom, supersteps, timed tiles, counters, parts and the list of keys, without the focus being on any of them."""
    page.press("zoom-all", "0")
    page.press("zoom-all", "+")
    first, last = view(page)
    assert last - first == pytest.approx(0.7 * R.cycles, abs=2)
    page.press("zoom-all", "0")
    lengths = [int(text.replace(",", "")) for text in page.texts("#happened td:last-child")]
    for key, at in ((".", 0), (".", 1), (".", 2), (",", 1)):
        page.press("zoom-all", key)
        first, last = view(page)
        assert last - first == pytest.approx(min(R.cycles, 1.06 * max(lengths[at], 12)), abs=3)
    page.choose("tile-number", 0)
    page.press("zoom-all", "t")
    assert page.run("document.getElementById('tile-number').value") == "7"  # the only timed one
    page.choose("counter", "0")
    page.press("zoom-all", "c")
    assert page.run("document.getElementById('counter').selectedIndex") == 1
    page.press("zoom-all", "C")
    page.press("zoom-all", "C")
    assert page.run("document.getElementById('counter').selectedIndex") == len(SHARES) + len(COUNTERS) - 1
    page.press("zoom-all", "6")
    assert page.run("document.getElementById('memory').getBoundingClientRect().top") == pytest.approx(0, abs=60)
    page.press("zoom-all", "g")
    assert page.run("document.activeElement.id") == "tile-number"
    page.press("tile-number", "5")  # typed into the field: no jump to the exchanges
    assert page.run("document.activeElement.id") == "tile-number"
    page.press("zoom-all", "?")
    assert page.run("document.getElementById('help').open") is True
    assert len(page.texts("#help-keys tr")) == 8
    page.run("document.getElementById('help').close()")


def test_a_row_of_the_table_zooms_to_its_superstep(page: Page) -> None:
    page.run("document.querySelector('tr.go').click()")
    length = numbers(page.text("tr.go td:first-child"))[0]
    first, last = view(page)
    assert last - first == pytest.approx(1.06 * length, abs=2)
    assert page.run("document.getElementById('tile-number').value") == page.text("tr.go td:nth-child(4)")


def test_drawn_pixels_follow_the_recording(page: Page) -> None:
    """The selected tile's strip at the middle of its compute, wait and exchange has three different colours."""
    page.choose("tile-number", 7)
    page.press("timeline-canvas", "0")
    middle = [R.arrival[0, 7] / 2, (R.arrival[0, 7] + R.release[0]) / 2, (R.release[0] + R.row_end[0, 7]) / 2]
    colours = []
    for cycle in middle:
        script = f"""(() => {{ const c = document.getElementById('timeline-canvas'), s = c.width / c.clientWidth;
            const x = 112 + {cycle / R.cycles} * (c.clientWidth - 120);
            return [...c.getContext('2d').getImageData(x * s, 204 * s, 1, 1).data].slice(0, 3); }})()"""
        colours.append(tuple(page.run(script)))
    assert colours == [(43, 108, 212), (151, 161, 174), (196, 101, 28)]  # --compute, --sync, --exchange


# --- exchange and memory ---


def test_exchange_matrix(page: Page) -> None:
    assert REPORT.traffic is not None
    words = REPORT.traffic.words
    for phase in (-1, 0, 1, 2):
        page.choose("traffic-phase", str(phase))
        chosen = words.sum(axis=0) if phase < 0 else words[phase]
        assert numbers(page.text("#traffic-total"))[:2] == [chosen.sum(), chosen.max()]
    cell = page.run("document.getElementById('traffic-canvas').clientHeight - 40") / 46
    page.run(f"""(() => {{ const c = document.getElementById('traffic-canvas'), b = c.getBoundingClientRect();
        c.dispatchEvent(new PointerEvent('pointermove', {{clientX: b.left + 56 + 10.5 * {cell},
        clientY: b.top + 20 + 3.5 * {cell}}})); }})()""")
    assert page.text("#traffic-info") == f"tiles 96 .. 127 to tiles 320 .. 351: {words[2, 3, 10]:,} words"


def test_memory_of_a_tile(page: Page) -> None:
    sram = REPORT.sram
    assert sram is not None
    page.choose("tile-number", TILE)
    shown = dict(zip(page.texts("#map-parts dt"), page.texts("#map-parts dd")))
    sizes = sram.nbytes.reshape(-1, 3)[TILE]
    assert [shown[name] for name in "xyz"] == [f"{size:,}" for size in sizes]
    code = sram.code[TILE]
    names = ("codelets", "supervisor program", "exchange rows", "vertex states")
    assert [shown[name] for name in names] == [f"{size:,}" for size in code]
    assert shown["free"] == f"{638_976 - sizes.sum() - code.sum():,}"
    live = sram.live.astype(int) @ sram.nbytes.reshape(-1, 3).T + sram.code.sum(axis=1)
    assert numbers(page.text("#live-info")) == [live.max(), live[:, TILE].max()]


# --- the page as a whole ---


def test_dark_mode_changes_the_colours(page: Page) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    for scheme, wanted in (("dark", "rgb(18, 22, 29)"), ("light", "rgb(255, 255, 255)")):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert page.run(colour) == wanted


def test_small_report_and_one_without_parts(tab: Page, tmp_path: Path) -> None:
    """Names with markup stay text; a report of an earlier version still loads."""
    report = small_report(kernel="<b>&'\"</b>")
    loaded = opened(tab, tmp_path, report)
    assert loaded.text("h1") == "<b>&'\"</b> 8 x 16 x 4 f16 on bow"
    assert "<script>&" in loaded.text("#source") or loaded.choose("source-file", "1") is None
    assert "<script>&" in loaded.text("#source")
    assert loaded.texts("#happened td:first-child")[:3] == ["compute first", "sync to second", "exchange to second"]
    assert loaded.texts("#happened td:last-child") == ["100", "45", "100", "55", "45", "155"]
    assert loaded.figures()["plan.predicted"] == "450" and loaded.figures()["plan.error"] == "+11.1 %"
    lacking = frozenset({"macs", "worker_turns", "bytes_loaded"})
    old = Report({"cycles": 500}, dataclasses.replace(report.recording, missing=lacking))
    loaded = opened(tab, tmp_path, old)
    assert loaded.figures()["cycles"] == "500"
    assert "MACs" not in loaded.texts("#counter option")
    assert "does not have a memory map" in loaded.text("#memory-part")


def test_page_of_a_full_chip_is_small() -> None:
    assert len(report_page(random_report(phases=12))) < 3e6


@pytest.mark.nojit
def test_text_put_into_the_page() -> None:
    assert fill_page("a@X@b@Y@@X@ c@d", {"X": "1@Y@", "Y": "2"}) == "a1@Y@b21@Y@ c@d"
    assert "</script" not in embedded({"text": "</script><!--"})

"""Every figure that report.html shows, in words, tables and on canvases, against the recording; none is left out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest

from tests.browser import Page, browser
from tests.page_oracle import Oracle, kib
from tests.reports import plan_choices, random_report
from tile_emu.profile.page import report_page
from tile_emu.profile.report import Report

TILE = 1203
PLAN = {"codelet": "some", "k_splits": 1234, "padding": 0.25, "predicted": {"gather": 150, "multiply": 300}}


PARTS = [
    {"parts": ["gather"], "predicted": 150, "counted": 1234},
    {"parts": ["multiply", "finish"], "predicted": 300, "counted": 297},
    {"parts": [], "predicted": 0, "counted": 15},
]


def page_report() -> Report:
    """A whole chip with random counters, a plan and others; workers of two tiles were timed."""
    report = random_report()
    runs = np.array([[1, 7, 3, 6000, 40], [1, TILE, 2, 7000, 25]], np.int64)
    recording = dataclasses.replace(report.recording, worker_runs=runs)
    document = {**report.document, "plan": PLAN, "plans": plan_choices(), "parts": PARTS}
    return dataclasses.replace(report, document=document, recording=recording)


REPORT = page_report()
R = REPORT.recording
ORACLE = Oracle(REPORT)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_page(REPORT), encoding="utf-8")
    with browser(tmp_path_factory.mktemp("browser")) as tab:
        tab.open(path)
        tab.choose("tile-number", TILE)
        tab.choose("counter", "3")  # worker turns; shares and the other counters are compared in test_page
        yield tab
        assert tab.problems == []


def phases_of(names: tuple[str, ...]) -> list[str]:
    return ["all together", *(f"{i}: {name}" for i, name in enumerate(names))]


def test_no_figure_of_the_page_is_left_out(page: Page) -> None:
    """Words and tables, part by part; at the end nothing with a digit has been left uncompared."""
    used = int((R.turns.sum(axis=0) > 0).sum())
    page.expect("#view h1", ["test f16 on bow"])
    page.expect("header .soft", [f"Bow (Mk2, wafer on wafer), 1,472 tiles at 1.85 GHz, {used:,} of them used"])
    overview(page)
    timeline_and_tiles(page)
    code_and_exchange(page)
    memory(page)
    plan(page)
    page.expect(".foot", ["Page by tile-emu 0.1.0; recorded by tile-emu 0.1.0, test."])
    assert page.not_compared() == []


def overview(page: Page) -> None:
    for key, value in ORACLE.utilisation(10**9).items():
        assert REPORT.document["utilisation"][key] == pytest.approx(value)
    assert REPORT.document["phases"] == ORACLE.phases() and REPORT.document["cycles"] == ORACLE.cycles
    assert REPORT.document["tflops"] == pytest.approx(2e9 / (ORACLE.cycles / 1.85e9) / 1e12)
    figures, captions = ORACLE.cards()
    page.expect("#overview .card b", figures)
    page.expect("#overview .card span", captions)
    page.expect(
        "#overview .key > span",
        [f"{n} {c:,} cycles ({100 * c / ORACLE.cycles:.1f} %)" for n, c in ORACLE.phases().items()],
    )
    page.expect("#advice li", ORACLE.advice())
    page.expect("#slowest td", ORACLE.slowest())
    text, cells = ORACLE.roofline()
    below = "MAC a cycle against MAC a byte; the lines are what each traffic allows, the dots this run."
    page.expect("#roofline p", [text, below])
    page.expect("#roofline td", cells)


def timeline_and_tiles(page: Page) -> None:
    page.expect("#timeline-info", [f"cycles 0 to {ORACLE.cycles:,} of {ORACLE.cycles:,}, tile {TILE}"])
    marks = dict.fromkeys(R.slow_tiles(), " (held the chip up)")
    page.expect("#tile-sampled option", ["choose", *(f"{tile}{marks.get(tile, '')}" for tile in (7, TILE))])
    page.expect("#counter option", page.texts("#counter option"))  # their names are compared in test_page
    page.expect("#counter-phase option", phases_of(R.compute_names))
    page.expect("#timeline + p", page.texts("#timeline + p"))  # no figures: which keys do what
    page.expect("#chip-layout", [layout_text()])
    turns = R.turns.sum(axis=0)
    page.expect(
        "#counter-info",
        [
            f"turns used, all workers together: total {turns.sum():,}, least {turns.min():,}, median "
            f"{np.sort(turns)[735]:,}, most {turns.max():,}"
        ],
    )
    row, column, lane = place(TILE)
    page.expect("#heat-info", [f"tile {TILE} (column {column}, row {row}, lane {lane}): {turns[TILE]:,} worker turns"])
    page.expect("#histogram-info", [f"1,472 tiles; {(turns == 0).sum()} of them at 0"])
    page.expect("#sorted-info", [f"mean / most {100 * turns.mean() / turns.max():.1f} %"])
    page.expect("#counter-scale option", ["from 0", "from the least"])


def layout_text() -> str:
    return (
        "The chip as it lies: 16 columns of 4 lanes, 23 rows of islands, the spine at the top. Click a tile, or use "
        "the arrow keys."
    )


def place(tile: int) -> tuple[int, int, int]:
    """Row, column and lane of a logical tile, from its physical number."""
    from tile_emu.chips.topology import physical_ids

    physical = int(physical_ids(R.chip)[tile])
    return physical >> 6, physical >> 2 & 15, physical & 3


def code_and_exchange(page: Page) -> None:
    page.expect("tr[data-codelet] td", ORACLE.codelets())
    turns, supervisor = R.executions + R.extra_turns, R.supervisor_executions
    own = turns[:, 0:-1:2].sum(axis=0), turns[:, 1:-1:2].sum(axis=0)
    order = [0, 1] if own[0].sum() >= own[1].sum() else [1, 0]
    first = order[0]
    page.expect("#source-file option", [("one.S", "two.S")[i] for i in order])
    page.expect("#source-phase option", phases_of(R.compute_names))
    page.expect(
        "#source-info",
        [f"{own[first].sum():,} worker turns, {supervisor[:, first:-1:2].sum():,} supervisor instructions"],
    )
    # words 2 line and 2 line + 1 are of line + 1 of the first and second file
    page.expect("#source .t", [*(f"{count:,}" for count in own[first]), *[""] * 20])
    page.expect("#source .l", [str(line) for line in range(1, 41)])
    page.expect("#source div > span:last-child", [f"{('line', 'row')[first]} {i}" for i in range(40)])
    widths = page.run("[...document.querySelectorAll('#source .b i')].map((e) => parseFloat(e.style.width))")
    assert widths == pytest.approx(100 * own[first] / own[first].max(), abs=1e-3)
    page.expect("#exchange-table td", ORACLE.exchanges())
    assert REPORT.traffic is not None
    words = REPORT.traffic.words.sum(axis=0)
    page.expect("#traffic-phase option", phases_of(R.exchange_names))
    page.expect(
        "#traffic-total",
        [
            f"{words.sum():,} words delivered, at most {words.max():,} from one group to another; a multicast counts "
            "at each receiver"
        ],
    )


def memory(page: Page) -> None:
    figures, captions, parts = ORACLE.memory()
    page.expect("#memory-part .card b", figures)
    page.expect("#memory-part .card span", captions)
    page.expect("#live-peak td", parts)
    sram = REPORT.sram
    assert sram is not None
    sizes, code = sram.nbytes.reshape(-1, 3), sram.code
    page.expect("#memory-tile", [str(TILE)])
    here = dict(zip(("codelets", "supervisor program", "exchange rows", "vertex states"), code[TILE].tolist()))
    here |= dict(zip("xyz", sizes[TILE].tolist()))
    used = sum(here.values())
    rows = [*sorted(here.items(), key=lambda part: -part[1]), ("free", 638_976 - used)]
    page.expect("#map-parts dt", [name for name, _ in rows])
    page.expect("#map-parts dd", [f"{size:,}" for _, size in rows])
    page.expect("#map-info", [f"{used:,} of 638,976 B in use on tile {TILE}"])
    live = sram.live.astype(int) @ sizes.T + code.sum(axis=1)
    page.expect("#live-info", [f"at most {live.max():,} B live on a tile, {live[:, TILE].max():,} B on this one"])


def plan(page: Page) -> None:
    error = f"{100 * (ORACLE.cycles / 450 - 1):+.1f} %"
    page.expect("#view [data-part=plan] .card b", ["450", f"{ORACLE.cycles:,}", error])
    page.expect(
        "#foreseen td",
        [
            "gather",
            "150",
            "1,234",
            "+722.7 %",
            "multiply, finish",
            "300",
            "297",
            "-1.0 %",
            "foreseen by no part",
            "0",
            "15",
            "",
        ],
    )
    page.expect("#happened td", ORACLE.happened())
    page.expect("#plan-values dt", ["codelet", "k splits", "padding"])
    page.expect("#plan-values dd", ["some", "1,234", "0.25"])
    page.expect("#plans td", ORACLE.plans())


# --- what is drawn ---


def texts(page: Page, canvas: str) -> list[tuple[str, float, float]]:
    """Text, x and y of what a canvas has written."""
    return [(str(call["given"][0]), *call["given"][1:3]) for call in page.drawn(canvas, "fillText")]


def size(page: Page, canvas: str) -> tuple[float, float]:
    found = page.run(
        f"[document.getElementById('{canvas}').clientWidth, document.getElementById('{canvas}').clientHeight]"
    )
    return float(found[0]), float(found[1])


def number(text: str) -> float:
    """A written number; k, M and G are thousands, millions and milliards."""
    figure, _, unit = text.replace(",", "").partition(" ")
    return float(figure) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "KiB": 1024}[unit]


def colour(share: float) -> tuple[int, ...]:
    """Between five colours, linear in each part."""
    stops = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], float)
    at = min(0.9999, max(0.0, share)) * 4
    low = int(at)
    return tuple(math.floor(v + 0.5) for v in stops[low] + (at - low) * (stops[low + 1] - stops[low]))


def rgb(text: str) -> tuple[int, ...]:
    return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))


def test_colours_of_the_chip(page: Page) -> None:
    """One cell for each of the 1,472 tiles, row by row, coloured by its turns; the legend has both ends."""
    turns = R.turns.sum(axis=0)
    cells = page.drawn("heat-canvas", "fillRect")[:1472]
    order = sorted(range(1472), key=lambda tile: place(tile))
    wanted = [colour(turns[tile] / turns.max()) for tile in order]
    assert [rgb(cell["colour"]) for cell in cells] == wanted
    xs = [cell["given"][0] for cell in cells]
    assert len({round(x, 3) for x in xs}) == 64 and len({round(cell["given"][1], 3) for cell in cells}) == 23
    shown = [text for text, _, y in texts(page, "heat-canvas") if y > size(page, "heat-canvas")[1] - 10]
    assert number(shown[0]) == 0 and number(shown[1]) == pytest.approx(turns.max(), rel=1e-3)


def test_histogram_and_sorted_curve(page: Page) -> None:
    turns = R.turns.sum(axis=0)
    counts = np.histogram(turns / turns.max(), bins=40, range=(0, 1))[0]
    bars = page.drawn("histogram-canvas", "fillRect")
    bottom = size(page, "histogram-canvas")[1] - 20
    heights = np.array([bar["given"][3] for bar in bars])
    assert heights / (bottom - 6) * counts.max() == pytest.approx(counts, abs=1.01)  # one tile may lie on an edge
    curve = page.drawn("sorted-canvas", "lineTo")[-1471:]
    bottom = size(page, "sorted-canvas")[1] - 20
    values = [(bottom - point["given"][1]) / (bottom - 6) * turns.max() for point in curve]
    assert values == pytest.approx(np.sort(turns)[1:].tolist(), abs=1)
    for canvas, most in (("histogram-canvas", counts.max()), ("sorted-canvas", turns.max())):
        height = size(page, canvas)[1]
        ticks = [(number(text), y) for text, x, y in texts(page, canvas) if x == 50]
        assert len(ticks) > 2
        for value, y in ticks:
            assert y == pytest.approx(height - 20 - (height - 26) * value / most, abs=0.6)


def test_axis_and_names_of_the_timeline(page: Page) -> None:
    """Labels lie where their cycle is; a superstep's name lies in the middle of it; so do the tile's own strips."""
    page.press("timeline-canvas", "0")
    width, height = size(page, "timeline-canvas")

    def x(cycle: float) -> float:
        return 112 + cycle / ORACLE.cycles * (width - 120)

    ticks = [(number(text), at) for text, at, y in texts(page, "timeline-canvas") if y == height - 11]
    assert len(ticks) > 3 and all(at == pytest.approx(min(x(value), at), abs=0.6) for value, at in ticks)
    assert [at for value, at in ticks if x(value) < width - 60] == pytest.approx(
        [x(value) for value, at in ticks if x(value) < width - 60], abs=0.6
    )
    names = {text: at for text, at, y in texts(page, "timeline-canvas") if y == 14 and text != "chip"}
    begin = 0
    for step in ORACLE.steps:
        if step.name in names and step.kind != "sync":
            assert names.pop(step.name) == pytest.approx(x(begin + step.cycles / 2), abs=0.6)
        begin += step.cycles
    assert not names
    strips = [call["given"] for call in page.drawn("timeline-canvas", "fillRect") if call["given"][1] == 196]
    starts = sorted(strip[0] for strip in strips)
    wanted = [*ORACLE.start[:, TILE], *ORACLE.end[:-1, TILE], *R.release]
    assert starts == pytest.approx(sorted(x(cycle) for cycle in wanted), abs=0.6)
    (run,) = [call["given"] for call in page.drawn("timeline-canvas", "fillRect") if call["given"][1] == 218 + 2 * 14]
    assert run[0] == pytest.approx(x(7000), abs=0.6) and run[2] == pytest.approx(x(6 * 25) - x(0), abs=0.6)


def test_bands_are_percentiles(page: Page) -> None:
    """25 rows; the compute of row i ends at that quantile of the arrivals."""
    page.press("timeline-canvas", "0")
    width, _ = size(page, "timeline-canvas")
    blue = [call for call in page.drawn("timeline-canvas", "fillRect") if call["colour"] == "#2b6cd4"]
    for i in (0, 6, 12, 24):
        row = [call["given"] for call in blue if call["given"][1] == 32 + 6 * i]
        quantile = round(i * 1471 / 24)
        for phase, (left, _, wide, _) in enumerate(row):
            start, end = (np.sort(times[phase])[quantile] for times in (ORACLE.start, ORACLE.end))
            scale = (width - 120) / ORACLE.cycles
            assert (left, left + wide) == pytest.approx((112 + start * scale, 112 + end * scale), abs=1)


def test_roofline_is_drawn_to_its_scale(page: Page) -> None:
    """Axes are logarithmic; every roof begins with its bytes a cycle and ends at the peak; dots are the run."""
    ticks = texts(page, "roof-canvas")
    rates = [(math.log10(number(text)), y) for text, x, y in ticks if x == 48]
    (a, ya), (b, yb) = rates[0], rates[-1]
    _, height = size(page, "roof-canvas")
    across = [(math.log10(number(text)), x) for text, x, y in ticks if y == height - 24]
    (c, xc), (d, xd) = across[0], across[-1]

    def place_of(intensity: float, rate: float) -> list[float]:
        x = xc + (xd - xc) * (math.log10(intensity) - c) / (d - c)
        return [x, ya + (yb - ya) * (math.log10(rate) - a) / (b - a)]

    chip = 1472 * ORACLE.cycles
    reached = REPORT.document["utilisation"]["mac"] * 64
    sizes = (float(R.bytes_loaded.sum() + R.bytes_stored.sum()), 4.0 * R.received.sum())
    dots = [call["given"][:2] for call in page.drawn("roof-canvas", "arc")]
    starts = [call["given"] for call in page.drawn("roof-canvas", "moveTo")][-2:]
    ridges = [call["given"] for call in page.drawn("roof-canvas", "lineTo")][-4::2]
    for dot, start, ridge, total, most in zip(dots, starts, ridges, sizes, (24, 8), strict=True):
        assert dot == pytest.approx(place_of(reached * chip / total, reached), abs=0.5)
        assert ridge == pytest.approx(place_of(64 / most, 64), abs=0.5)
        slope = (ridge[1] - start[1]) / (yb - ya) * (b - a), (ridge[0] - start[0]) / (xd - xc) * (d - c)
        assert slope[0] == pytest.approx(slope[1])


def test_what_is_under_the_mouse(page: Page) -> None:
    page.press("timeline-canvas", "0")
    width, _ = size(page, "timeline-canvas")
    page.hover("timeline-canvas", 112 + 7075 / ORACLE.cycles * (width - 120), 218 + 2 * 14 + 5)
    text = page.text("#timeline-point")
    assert f"worker 2 of tile {TILE} from 7,000: 25 turns" in text
    begin = 0
    for step in ORACLE.steps:
        if begin <= 7075 < begin + step.cycles:
            assert f"{ORACLE.called(step)}, {step.cycles:,} cycles" in text
        begin += step.cycles


def test_memory_map_and_live_bytes(page: Page) -> None:
    sram = REPORT.sram
    assert sram is not None
    width, _ = size(page, "map-canvas")
    scale = (width - 8) / 638_976
    blocks = page.drawn("map-canvas", "fillRect")[1:]
    at = sram.base
    wanted = []
    for count in sram.code[TILE]:
        wanted.append((at, count))
        at += count
    mine = sram.tile == TILE
    wanted += list(zip(sram.address[mine].tolist(), sram.nbytes[mine].tolist()))
    for block, (address, count) in zip(blocks, wanted, strict=True):
        left, _, wide, _ = block["given"]
        assert left == pytest.approx(4 + (address - sram.base) * scale, abs=0.1)
        assert wide == pytest.approx(max(1, count * scale), abs=0.1)
    assert [text for text, *_ in texts(page, "map-canvas")] == ["0x4c000", "0xe8000"]
    live = sram.live.astype(int) @ sram.nbytes.reshape(-1, 3).T + sram.code.sum(axis=1)
    _, height = size(page, "live-canvas")
    points = [call["given"][1] for call in page.drawn("live-canvas", "lineTo")][-3 * 14 :]
    values = [(height - 24 - y) / (height - 30) * live.max() for y in points[::2]]
    curves = np.concatenate([live.max(axis=1), live.mean(axis=1), live[:, TILE]])
    assert values == pytest.approx(curves.tolist(), rel=1e-3)
    ticks = [(text, y) for text, x, y in texts(page, "live-canvas") if x == 60]
    for text, y in ticks:
        assert text == kib((height - 24 - y) / (height - 30) * live.max())


def test_what_is_under_the_mouse_in_the_memory(page: Page) -> None:
    """The largest block of the tile, and the bytes live in every superstep; last, because it changes the texts."""
    sram = REPORT.sram
    assert sram is not None
    width, _ = size(page, "map-canvas")
    mine = np.flatnonzero(sram.tile == TILE)
    block = mine[sram.nbytes[mine].argmax()]
    middle = sram.address[block] + sram.nbytes[block] / 2 - sram.base
    page.hover("map-canvas", 4 + middle * (width - 8) / 638_976, 20)
    name = sram.names[sram.name_index[block]]
    assert page.text("#map-info") == f"{name}: {sram.nbytes[block]:,} B at 0x{sram.address[block]:x}"
    live = sram.live.astype(int) @ sram.nbytes.reshape(-1, 3).T + sram.code.sum(axis=1)
    width, _ = size(page, "live-canvas")
    for step in range(7):
        page.hover("live-canvas", 66 + (step + 0.5) * (width - 72) / 7, 50)
        kind = ("compute phase", "exchange")[step % 2]
        wanted = f"{kind} {step // 2}: {live[step].max():,} B at most, {live[step, TILE]:,} B on tile {TILE}"
        assert page.text("#live-info") == wanted


def test_what_is_under_the_mouse_on_the_chip(page: Page) -> None:
    turns, other = R.turns.sum(axis=0), 500
    cells = page.drawn("heat-canvas", "fillRect")[:1472]
    left, top, wide, tall = cells[sorted(range(1472), key=place).index(other)]["given"]
    page.hover("heat-canvas", left + wide / 2, top + tall / 2)
    row, column, lane = place(other)
    text = f"tile {other} (column {column}, row {row}, lane {lane}): {turns[other]:,} worker turns"
    assert page.text("#heat-info") == text


def test_exchange_matrix_colours(page: Page) -> None:
    assert REPORT.traffic is not None
    words = REPORT.traffic.words.sum(axis=0)
    cells = page.drawn("traffic-canvas", "fillRect")
    assert [rgb(cell["colour"]) for cell in cells] == [colour(count / words.max()) for count in words.ravel()]

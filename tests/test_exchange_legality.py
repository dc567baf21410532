"""Every rule of the exchange broken once: the message says where, when, what, and what to do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests import exchange_oracle as oracle
from tests.test_exchange_machine import row_words
from tile_emu.chips import load_chip
from tile_emu.errors import IllegalExchange, TileFault
from tile_emu.exchange import Schedule, Transfers, deliver, emit_rows
from tile_emu.exchange import log as layout
from tile_emu.exchange.elements import RowSpans
from tile_emu.exchange.pairing import Pieces
from tile_emu.graph import Codelet, Graph, Image, Pointer
from tile_emu.machine import Machine
from tile_emu.profile.recording import Recording

BOW = load_chip("bow")
# Four elements of 16 KiB, so that little memory is touched.
CHIP = dataclasses.replace(BOW, memory=dataclasses.replace(BOW.memory, size=65536))
BASE, ELEMENT = CHIP.memory.base, CHIP.memory.element_bytes
SEND, MUX, POINTER, PAIR, FORMAT = layout.SEND, layout.MUX, layout.POINTER, layout.MUXPAIR, layout.FORMAT
NEUTRAL, TILES = 0x640, 702

# m(10, 700) = -42, m(10, 701) = -43, direction 1, stored 44 events after the send (worked pairs of the notes).
TILE_10 = 320
SENDER = [(SEND, 42, BASE, 5, 1)]


def receiver(to: int) -> list[tuple[int, ...]]:
    return [(MUX, 0, TILE_10), (MUX, 5, NEUTRAL), (POINTER, 86, to)]


def pair_receivers(to: int, items: int) -> dict[int, list[tuple[int, ...]]]:
    """Tiles 700 and 701 take 64-bit items that tile 10 sends at event 43."""
    late = [(FORMAT, 85, 1), (POINTER, 87, to), (FORMAT, 85 + items, 0)]
    early = [(PAIR, 0, TILE_10 ^ 2), (PAIR, items, NEUTRAL), *late]
    return {700: late, 701: sorted(early, key=lambda line: line[1])}


def run(logs, intended: Transfers | None = None, row_at: dict[int, int] | None = None):
    """Deliver logs by tile; ``row_at``: first bytes of rows of 64 bytes, look-ahead included."""
    memory = (np.arange(TILES * CHIP.memory.size // 4, dtype=np.uint32)).view(np.uint8).reshape(TILES, -1)
    log, count = np.zeros((TILES, 8, 5), np.int32), np.zeros(TILES, np.int32)
    for tile, lines in logs.items():
        for i, line in enumerate(lines):
            log[tile, i] = (*line, 0, 0)[:5]
        count[tile] = len(lines)
    begin = np.zeros(TILES, np.int64)
    for tile, address in (row_at or {}).items():
        begin[tile] = address
    rows = RowSpans(begin, np.where(begin > 0, begin + 64, 0))
    mux, pointer = np.full(TILES, NEUTRAL, np.int32), np.zeros(TILES, np.int32)
    deliver(
        CHIP, memory, log, count, mux, pointer, intended, lambda tile, address: f"v{tile}+{address - BASE:#x}", rows
    )
    return memory.view(np.uint32)


def word(memory: np.ndarray, tile: int, address: int) -> int:
    return int(memory[tile, (address - BASE) // 4])


ON_BOTH = {10: SENDER, 700: receiver(BASE + ELEMENT)}
REFUSED = {
    "send in the row's element": (
        (ON_BOTH, {10: BASE + 1024}),
        r"tile 10 sends 5 words at 0x4c000 \(v10\+0x0\) at cycle 42 in an SRAM element of its running row \(0x4c400..0x"
        r"4c43f, look-ahead included\): move the variable up, or the code down, by an element",
    ),
    "send in the element of the look-ahead": (
        (ON_BOTH | {10: [(SEND, 42, BASE + ELEMENT, 5, 1)]}, {10: BASE + ELEMENT - 32}),
        r"tile 10 sends 5 words at 0x50000 .* of its running row \(0x4ffe0..0x5001f",
    ),
    "store in the row's element": (
        (ON_BOTH, {700: BASE + 2 * ELEMENT - 8}),
        r"tile 700 stores 5 words at 0x50000 \(v700\+0x4000\) sent by tile 10 at cycle 86 in an SRAM element of its",
    ),
    "send and store in one element at one cycle": (
        ({10: SENDER, 700: [*receiver(BASE), (SEND, 90, BASE + 2048, 1, 1)]}, None),
        r"tile 700 reads 0x4c800 \(v700\+0x800\) for a send and stores the word of tile 10 to 0x4c010 \(v700\+0x10\) "
        r"at cycle 90, in one SRAM element: keep the two variables in different elements \(Graph.separate\)",
    ),
    "send and store that meet in an element": (
        ({10: SENDER, 700: [*receiver(BASE + ELEMENT - 8), (SEND, 86, BASE + ELEMENT + 64, 5, 1)]}, None),
        r"tile 700 reads 0x50048 .* to 0x50000 \(v700\+0x4000\) at cycle 88, in one SRAM element",
    ),
    "paired and ordinary settings at once": (
        ({700: [(MUX, 3, TILE_10), (FORMAT, 3, 1), (MUX, 4, NEUTRAL), (FORMAT, 9, 0)]}, None),
        r"tile 700: makes settings at cycle 3 that no instruction makes together: only mux and pointer may coincide",
    ),
    "two pointers at once": (
        ({700: [(POINTER, 3, BASE), (POINTER, 3, BASE)]}, None),
        r"tile 700: makes settings .* 3 ",
    ),
    "only to itself": (
        ({10: [(SEND, 50, BASE, 2, 3), (MUX, 21, TILE_10), (MUX, 24, NEUTRAL), (POINTER, 40, BASE + 64)]}, None),
        r"tile 10 sends 2 words from 0x4c000 at cycle 50 only to itself, which the fabric cannot: let another",
    ),
    "sent on too soon": (
        ({10: SENDER, 700: [*receiver(BASE), (SEND, 96, BASE + 16, 1, 1)]}, None),
        r"tile 700 sends the word at 0x4c010 \(v700\+0x10\) at cycle 96, 6 after it stores one of tile 10 there at "
        r"cycle 90: sent on after fewer than 7 cycles it is not known which word leaves",
    ),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_refused(rule):
    (logs, rows), message = REFUSED[rule]
    logs = {tile: sorted(lines, key=lambda line: line[1]) for tile, lines in logs.items()}
    with pytest.raises(IllegalExchange, match=f"^{message}"):
        run(logs, row_at=rows)


def test_other_elements_and_other_cycles_are_fine():
    apart = [*receiver(BASE + ELEMENT), (SEND, 86, BASE + 2 * ELEMENT, 5, 1)]
    after = [*receiver(BASE + ELEMENT), (SEND, 91, BASE + ELEMENT + 512, 5, 1)]
    for lines in (apart, after):
        run({10: SENDER, 700: lines}, row_at={10: BASE + ELEMENT, 700: BASE + 3 * ELEMENT})


def test_own_pair_needs_another_one():
    """m(10, 10) = -29 and m(10, 11) = -28: both tiles of the pair take 64-bit items of tile 10."""
    m = [oracle.fabric(320, 320)[2], oracle.fabric(320, 322)[2]]
    late = 60 + max(m)
    both = [(FORMAT, late + 60, 1), (POINTER, late + 62, BASE + ELEMENT), (FORMAT, late + 64, 0)]
    early = int(np.argmin(m))
    setter = [(PAIR, 60 + min(m), 320 ^ (2 * early)), (PAIR, 64 + min(m), NEUTRAL)]
    logs = {10: [*both, (SEND, 60, BASE, 4, 7)], 11: both}
    logs[10 + early] = [*logs[10 + early], *setter]
    logs = {tile: sorted(lines, key=lambda line: line[1]) for tile, lines in logs.items()}
    with pytest.raises(IllegalExchange, match=r"^tile 10 sends 8 words from 0x4c000 at cycle 60 only to its own pair"):
        run(logs)


def test_words_sent_on_are_the_old_or_the_new_ones():
    """Tile 700 stores at 86 and sends the word on to tile 699 before, or seven cycles after."""
    s, d = oracle.physical(700), oracle.physical(699)
    _, code, m = oracle.fabric(s, d)
    way = m + 52 + 2 * (d >> 6)
    for event, tile in ((85, 700), (93, 10)):
        hears = [(MUX, event + m, s), (MUX, event + m + 1, NEUTRAL), (POINTER, event + way, BASE + ELEMENT)]
        logs = {10: SENDER, 700: [*receiver(BASE), (SEND, event, BASE, 1, code)], 699: hears}
        logs = {t: sorted(lines, key=lambda line: line[1]) for t, lines in logs.items()}
        assert word(run(logs), 699, BASE + ELEMENT) == tile * CHIP.memory.size // 4
        intended = Transfers.merge([10, 700], BASE, [20, 4], [700, 699], [BASE, BASE + ELEMENT])
        if event == 85:
            run(logs, intended)
        else:
            with pytest.raises(IllegalExchange, match="read what was there before it; use two exchanges"):
                run(logs, intended)


def test_settings_that_no_instruction_makes():
    """An odd number of items: on tile 701 the end of the paired mux falls on the pointer's setting, 86 events on."""
    t = Transfers.merge(10, BASE, 8 * 87, [700, 701], BASE + ELEMENT)
    plan = Schedule(Pieces(t, np.ones(1, bool)), np.array([100], np.int32), 0)
    with pytest.raises(
        IllegalExchange, match=r"^tile 701 at cycle 143: no instruction makes all the settings due there"
    ):
        emit_rows(CHIP, plan)


# --- on a machine ---


def two_tiles() -> Image:
    graph = Graph(BOW, 2)
    source, dest = graph.variable("source", [0], [64]), graph.variable("dest", [1], [64])
    graph.exchange("hand over").copy(Pointer(source, 0), Pointer(dest, 0), 64)
    return graph.lower()


def changed(image: Image, tile: int, k: int, value: int) -> Image:
    """The image with word k of a tile's row replaced."""
    at = int(image.memory_map.row_address[0, tile] - image.segment_address[tile]) // 4 + int(image.segment_start[tile])
    words = image.segment_words.copy()
    words[at + k] = value
    return dataclasses.replace(image, segment_words=words)


def run_image(image: Image) -> Recording:
    machine = Machine("bow", tiles=image.tiles)
    machine.load(image)
    return machine.run()


def test_a_row_that_does_not_drain():
    image = two_tiles()
    run_image(image)
    row = row_words(image, 1)
    assert row[-2] >> 19 == 0x40A00000 >> 19
    with pytest.raises(
        IllegalExchange, match=r"'hand over': the row of tile 1 ends at event \d+, its last word .* 7 ev"
    ):
        run_image(changed(image, 1, len(row) - 2, row[-2] - 1))


def test_a_receive_one_cycle_off():
    image = two_tiles()
    row = row_words(image, 1)
    k = next(k for k, w in enumerate(row) if w >> 26 == 0x64000000 >> 26)
    with pytest.raises(
        IllegalExchange, match=r"'hand over': 'hand over: source -> dest': .*tile 1 .* sent at cycle|sends"
    ):
        run_image(changed(image, 1, k, row[k] + (1 << 14)))


def test_sendpicp_off_its_8_bytes():
    """One word further on than it is now."""
    image = two_tiles()
    row = row_words(image, 0)
    send = next(k for k, w in enumerate(row) if w >> 27 == 0x78000000 >> 27)
    odd = send if send % 2 else send + 1
    with pytest.raises(TileFault, match="tile 0"):
        run_image(changed(image, 0, odd, 0xF0000000))


def test_a_barrier_waits_for_the_workers(tmp_path):
    """So that none runs while words arrive: a supervisor that starts its workers and goes on without waiting."""
    source = tmp_path / "rush.S"
    source.write_text(
        ".supervisor\n.globl rush\nrush:\n    setzi $m1, long\n    runall $m1, $m0, 0\n    br $m10\n"
        ".worker\n.align 8\nlong:\n    setzi $m3, 400\n1:\n    add $m3, $m3, -1\n    brnz $m3, 1b\n"
        "    exitnz $mzero\n"
    )
    graph = Graph(BOW, 2)
    out, dest = graph.variable("source", [0], [64]), graph.variable("dest", [1], [64])
    graph.execute("rush").add(Codelet("rush", source, "rush", ("data",)), [1], data=Pointer(dest, 0))
    graph.exchange("hand over").copy(Pointer(out, 0), Pointer(dest, 0), 64)
    assert run_image(graph.lower()).arrival[0, 1] > 400 * 2 * 6

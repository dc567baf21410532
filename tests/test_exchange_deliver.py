"""Delivery from hand-written logs: what carries over, what is refused and how the message reads."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from tile_emu.chips import load_chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange import Transfers, deliver
from tile_emu.exchange import log as layout

BOW = load_chip("bow")
pytestmark = pytest.mark.nojit

CHIP = dataclasses.replace(BOW, memory=dataclasses.replace(BOW.memory, size=16384))
BASE = CHIP.memory.base
SEND, MUX, POINTER = layout.SEND, layout.MUX, layout.POINTER
TO = BASE + 8192
NEUTRAL = 0x640

# m(10, 700) = -42, direction 1, stored 44 events after the send; m(56, 700) = -24 (worked pairs).
TILE_10, TILE_56 = 320, 1089


class Exchange:
    """A machine's exchange state, and logs by tile."""

    def __init__(self) -> None:
        words = np.arange(BOW.tiles * 4096, dtype=np.uint32)
        self.memory = words.view(np.uint8).reshape(BOW.tiles, 16384).copy()
        self.mux = np.full(BOW.tiles, NEUTRAL, dtype=np.int32)
        self.pointer = np.zeros(BOW.tiles, dtype=np.int32)

    def run(self, logs: dict[int, list[tuple[int, ...]]], intended: Transfers | None = None, **kw):
        log = np.full((BOW.tiles, 8, 5), -1, dtype=np.int32)
        count = np.zeros(BOW.tiles, dtype=np.int32)
        for tile, lines in logs.items():
            for i, line in enumerate(lines):
                log[tile, i] = (*line, 0, 0)[:5]
            count[tile] = len(lines)
        return deliver(CHIP, self.memory, log, count, self.mux, self.pointer, intended, **kw)

    def words(self, tile: int, address: int, n: int) -> list[int]:
        return self.memory[tile].view(np.uint32)[(address - BASE) // 4 :][:n].tolist()


def ten_to_700(words: int = 5) -> Transfers:
    return Transfers.merge(10, BASE, 4 * words, 700, TO, 0, ("weights",))


SENDER = [(SEND, 42, BASE, 5, 1)]
RECEIVER = [(MUX, 0, TILE_10), (MUX, 5, NEUTRAL), (POINTER, 86, TO)]


def test_worked_example():
    x = Exchange()
    done = x.run({10: SENDER, 700: RECEIVER}, ten_to_700())
    assert x.words(700, TO, 6) == [40960, 40961, 40962, 40963, 40964, 700 * 4096 + 2053]
    assert (done.sent[10], done.received[700], done.last_store[700], done.last_store[10]) == (5, 5, 90, -1)
    assert (done.sent.sum(), done.received.sum()) == (5, 5)
    assert (x.mux[700], x.pointer[700]) == (NEUTRAL, TO + 20)


def test_order_of_lines_of_one_event_does_not_matter():
    for lines in ([(MUX, 86, NEUTRAL), (POINTER, 86, TO)], [(POINTER, 86, TO), (MUX, 86, NEUTRAL)]):
        x = Exchange()
        x.run({10: SENDER, 700: [(MUX, 0, TILE_10), *lines]}, ten_to_700())
        assert x.words(700, TO, 2) == [40960, 40961]


def test_mux_and_pointer_carry_over():
    """R7: a mux left on a source takes what it sends in the next exchange, at the pointer left behind."""
    x = Exchange()
    x.run({700: [(MUX, 3, TILE_10), (POINTER, 4, 0x4C100), (POINTER, 7, TO)]})
    assert (x.mux[700], x.pointer[700]) == (TILE_10, TO)
    done = x.run({10: [(SEND, 0, BASE, 2, 1)]})  # would be sampled at -42
    assert x.words(700, TO, 2) == [40960, 40961]
    assert done.last_store[700] == 45
    assert x.pointer[700] == TO + 8


def test_pointer_set_between_the_words_of_a_message():
    x = Exchange()
    x.run({10: SENDER, 700: [*RECEIVER, (POINTER, 88, TO + 400)]})
    assert x.words(700, TO, 2) == [40960, 40961]
    assert x.words(700, TO + 400, 3) == [40962, 40963, 40964]


def test_one_stream_to_both_directions_and_itself():
    """s -> s arrives too if another tile listens; a send with sctl 0 or without the direction stores nothing."""
    x = Exchange()
    x.run({10: [(SEND, 42, BASE, 5, 2), (SEND, 47, BASE, 5, 0)], 700: RECEIVER})
    assert x.words(700, TO, 1) == [700 * 4096 + 2048]
    assert x.pointer[700] == TO


def test_host_mux_values_bring_nothing():
    x = Exchange()
    assert x.run({700: [(MUX, 0, 0x624)]}).received.sum() == 0


REFUSED = [
    ({10: [(SEND, 5, BASE, 10, 1), (SEND, 14, BASE, 1, 1)]}, "tile 10: sends at cycle 14 while .* cycle 5 is still"),
    ({10: [(SEND, 42, BASE, 5, 5)], 700: RECEIVER}, "tile 700: listens for another width .* tile 10 sends at cycle 42"),
    (
        {10: [(SEND, 42, BASE, 5, 5)], 11: [(SEND, 46, BASE, 1, 1)]},
        "tile 10: .* 42, .* lane its partner uses at cycle 46",
    ),
    ({700: [(layout.MUXPAIR, 3, 320)]}, "tile 700: leaves its paired mux or format at 0x140, set at cycle 3"),
    ({700: [(layout.FORMAT, 3, 1)]}, "tile 700: leaves its paired mux or format at 0x1, set at cycle 3"),
    (
        {10: SENDER, 700: [*RECEIVER[:2], (layout.FORMAT, 84, 1), RECEIVER[2], (layout.FORMAT, 90, 0)]},
        "tile 700: stores at cycle 86 what tile 10 sent, with another incoming format",
    ),
    ({700: [(MUX, 3, 1500)]}, "tile 700: listens from cycle 3 to mux value 0x5dc, which is no tile"),
    ({700: [(MUX, 9, 4), (MUX, 3, 4)]}, "tile 700: log goes back from cycle 9 to cycle 3"),
    (
        {10: SENDER, 700: [*RECEIVER[:2], (POINTER, 86, BASE + 16384 - 16)]},
        "tile 700 stores 5 words at .* sent by tile 10 at cycle 42, stored by tile 700 at cycle 86",
    ),
    (
        {10: [(SEND, 42, BASE - 4, 5, 1)], 700: RECEIVER},
        "tile 10 sends 5 words at 0x4bffc, .* sent by tile 10 at cycle 42, stored by tile 700 at cycle 86",
    ),
    (
        {10: SENDER, 700: [*RECEIVER, (SEND, 90, TO + 16, 1, 1)]},
        "tile 700 sends the word at 0x4e010 at cycle 90, 0 after it stores one of tile 10 there at cycle 90: sent on",
    ),
]


@pytest.mark.parametrize(("logs", "message"), REFUSED)
def test_refused_whatever_is_intended(logs, message):
    x = Exchange()
    before = x.memory.copy()
    with pytest.raises(IllegalExchange, match=message):
        x.run(logs)
    assert np.array_equal(x.memory, before)


DIFFERENT = [
    (  # the source reads one word further on
        {10: [(SEND, 42, BASE + 4, 5, 1)], 700: RECEIVER},
        "'weights': tile 700 0x4e000 got at cycle 86 the word that tile 10 0x4c004 sent at cycle 42; it should hold "
        "the word of tile 10 0x4c000",
    ),
    (  # one event late: the first word is missed, no stray word follows
        {10: SENDER, 700: [(MUX, 1, TILE_10), (MUX, 6, NEUTRAL), (POINTER, 87, TO + 4)]},
        "'weights': nothing came for tile 700 0x4e000, which waits for the word of tile 10 0x4c000: tile 10 sends it "
        "at cycle 42, it passes tile 700 at cycle 0 and would be stored at cycle 86, but the mux is elsewhere",
    ),
    (  # stored at another address
        {10: SENDER, 700: [*RECEIVER[:2], (POINTER, 86, TO + 400)]},
        "'weights': tile 700 0x4e190 got at cycle 86 the word that tile 10 0x4c000 sent at cycle 42, which belongs to "
        "tile 700 0x4e000",
    ),
    (  # another source at the right time
        {10: SENDER, 56: [(SEND, 24, BASE + 64, 5, 1)], 700: [(MUX, 0, TILE_56), *RECEIVER[1:]]},
        "'weights': tile 700 0x4e000 got at cycle 86 the word that tile 56 0x4c040 sent at cycle 24; it should hold "
        "the word of tile 10 0x4c000",
    ),
    (  # direction bit missing
        {10: [(SEND, 42, BASE, 5, 2)], 700: RECEIVER},
        "'weights': nothing came for tile 700 0x4e000, which waits for the word of tile 10 0x4c000: tile 10 sends it "
        "at cycle 42, it passes tile 700 at cycle 0, but not in the direction of tile 700 (sctl 2)",
    ),
    (  # never sent
        {700: RECEIVER},
        "'weights': nothing came for tile 700 0x4e000, which waits for the word of tile 10 0x4c000: tile 10 never "
        "sends it",
    ),
    (  # a sixth word
        {10: [(SEND, 42, BASE, 6, 1)], 700: [RECEIVER[0], (MUX, 6, NEUTRAL), RECEIVER[2]]},
        "tile 700 0x4e014 got at cycle 91 the word that tile 10 0x4c014 sent at cycle 47, where nothing is to be "
        "stored",
    ),
    (  # an overhearing third tile: m(10, 11) = -28, stored 34 events after the send
        {10: SENDER, 700: RECEIVER, 11: [(MUX, 15, TILE_10), (MUX, 16, NEUTRAL), (POINTER, 20, TO)]},
        "'weights': tile 11 0x4e000 got at cycle 77 the word that tile 10 0x4c004 sent at cycle 43, where nothing is "
        "to be stored",
    ),
    (  # the same words again
        {10: [*SENDER, (SEND, 142, BASE, 1, 1)], 700: [*RECEIVER, (MUX, 100, TILE_10), (POINTER, 150, TO)]},
        "'weights': tile 700 0x4e000 got at cycle 186 the word that tile 10 0x4c000 sent at cycle 142, a second time",
    ),
]


@pytest.mark.parametrize(("logs", "message"), DIFFERENT)
def test_what_differs_from_the_intention_is_named(logs, message):
    x = Exchange()
    before = x.memory.copy()
    logs = {tile: sorted(lines, key=lambda line: line[1]) for tile, lines in logs.items()}
    with pytest.raises(IllegalExchange, match=f"^{re.escape(message)}$"):
        x.run(logs, ten_to_700())
    assert np.array_equal(x.memory, before)


def test_places_are_named_if_names_are_known():
    with pytest.raises(IllegalExchange, match=r"nothing came for tile 700 0x4e000 \(w of 700\)"):
        Exchange().run({700: RECEIVER}, ten_to_700(), name_of=lambda tile, address: f"w of {tile}")


def test_overlapping_intention_is_refused():
    t = Transfers.merge([10, 56], BASE, 20, 700, TO)
    with pytest.raises(IllegalExchange):
        Exchange().run({10: SENDER, 700: RECEIVER}, t)


def test_nothing_at_all():
    assert Exchange().run({}, Transfers.empty()).received.sum() == 0

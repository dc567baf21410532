"""Rows and delivery against the plain cycle-by-cycle model, which decodes the emitted words itself."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import exchange_oracle as oracle
from tests.exchange_tools import transfers_of
from tile_emu.chips import Chip, load_chip
from tile_emu.errors import IllegalExchange
from tile_emu.exchange import Delivery, Rows, Schedule, Transfers, check_schedule, deliver, emit_rows, schedule
from tile_emu.exchange.pairing import ordinary, paired
from tile_emu.exchange.schedule import schedule_pieces

BOW = load_chip("bow")


def one(source, address, words, dest, to) -> Transfers:
    return Transfers.merge(source, address, np.multiply(words, 4), dest, to)


def row(rows: Rows, tile: int) -> list[int]:
    return rows.words[rows.start[tile] : rows.start[tile + 1]].tolist()


def all_rows(rows: Rows) -> dict[int, list[int]]:
    return {int(t): row(rows, t) for t in np.nonzero(np.diff(rows.start))[0]}


@functools.cache
def small_memory() -> np.ndarray:
    """Every word of all tiles of SMALL different; read-only."""
    words = np.arange(SMALL.tiles * SMALL.memory.size // 4, dtype=np.uint32) * np.uint32(2654435761)
    words.flags.writeable = False
    return words.view(np.uint8).reshape(SMALL.tiles, SMALL.memory.size)


class Lazy(dict):
    """Word memory of the plain model, backed by the start value."""

    def __init__(self, chip: Chip, row: np.ndarray) -> None:
        super().__init__()
        self.words, self.base = row.view(np.uint32), chip.memory.base

    def __missing__(self, address: int) -> int:
        if not 0 <= address - self.base < 4 * self.words.size:
            raise IndexError(f"{address:#x}")
        return int(self.words[(address - self.base) >> 2])


def run_log(chip: Chip, words: dict[int, list[int]], memory: np.ndarray, intended: Transfers | None, **kw) -> Delivery:
    lines = {tile: oracle.log_of(row) for tile, row in words.items()}
    log = np.zeros((chip.tiles, max(len(x) for x in lines.values()), 5), dtype=np.int32)
    count = np.zeros(chip.tiles, dtype=np.int32)
    for tile, x in lines.items():
        log[tile, : len(x)], count[tile] = x, len(x)
    mux = kw.pop("mux", np.full(chip.tiles, chip.exchange.neutral_mux, dtype=np.int32))
    pointer = kw.pop("pointer", np.zeros(chip.tiles, dtype=np.int32))
    return deliver(chip, memory, log, count, mux, pointer, intended, **kw)


# --- worked examples of the isa notes, words in hex ---


def fixed(t: Transfers, start: list[int]) -> Schedule:
    return Schedule(ordinary(t), np.array(start, dtype=np.int32), 0)


def test_five_words_as_in_the_worked_example():
    rows = emit_rows(BOW, fixed(one(10, 0x58000, 5, 700, 0x60000), [42]))
    # The example ends its sender's row right after the message.
    assert row(rows, 10) == [0x40A00029, 0x788B0001, 0x43A00000]
    assert row(rows, 700) == [0x64000140, 0x64010640, 0x62818000, 0x40A00009, 0x43A00000]
    assert rows.events[[10, 700, 11]].tolist() == [47, 97, 0]


def test_two_messages_without_a_gap_as_in_the_worked_example():
    t = one([10, 56], 0x58000, 60, 700, [0x60000, 0x62000])
    rows = emit_rows(BOW, fixed(t, [42, 84]))
    assert row(rows, 10) == [0x40A00029, 0x7F6B0001, 0x43A00000]
    assert row(rows, 56) == [0x40A00053, 0x7F6B0001, 0x43A00000]
    expected = [0x64000140, 0x640EC441, 0x60C98000, 0x64084640, 0x60C98800, 0x40A00040, 0x43A00000]
    assert row(rows, 700) == expected
    assert rows.events[700] == 212


def test_multicast_as_in_the_worked_example():
    t = one(10, 0x58000, 4, [12, 56, 700, 1100], 0x60000)
    rows = all_rows(emit_rows(BOW, fixed(t, [49])))
    memory = {tile: Lazy(BOW, np.zeros(BOW.memory.size, np.uint8)) for tile in rows}
    first: dict[int, int] = {}
    for event, tile, *_ in oracle.lock_step(rows, memory):
        first.setdefault(tile, event)
    assert first == {12: 82, 56: 86, 700: 93, 1100: 94}


def test_longest_fields():
    """Messages and waits beyond what one instruction holds."""
    t = one([10, 10], [0x58000, 0x80000], [9000, 1], [700, 12], [0x60000, 0x90000])
    rows = emit_rows(BOW, fixed(t, [600_000, 620_000]))
    words = row(rows, 10)
    assert words[:2] == [0x40A7FFFF, 0x40A00000 | 600_000 - 524_288 - 1]
    counts = [(line[1], line[3]) for line in oracle.log_of(words)]
    assert counts == [(600_000, 64), (600_064, 4096), (604_160, 4096), (608_256, 744), (620_000, 1)]
    assert [n for *_, n in oracle.decode(row(rows, 700))].count(0) == 1


# --- properties ---

tiles_of = st.sampled_from(
    [
        [0, 1, 2, 3, 45, 46, 1470, 1471],  # neighbours, pairs, both ends of the serpentine
        [10, 11, 12, 56, 700, 701, 1100, 1101],
        [5, 735, 736, 737, 780],
    ]
)


@st.composite
def exchanges(draw, longest=90, most=12):
    """A few transfers between few tiles; short and long ones, self-inclusive ones too."""
    pool = draw(tiles_of)
    groups = []
    for _ in range(draw(st.integers(1, most))):
        s = draw(st.sampled_from(pool))
        to = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=len(pool), unique=True))
        words = draw(st.one_of(st.integers(1, 3), st.integers(1, longest)))
        if to != [s]:
            groups.append((s, to, words))
    return groups or [(pool[0], [pool[1]], 1)]


def expected_memory(chip: Chip, t: Transfers, before: np.ndarray) -> np.ndarray:
    after = before.copy()
    words_after, words_before = after.view(np.uint32), before.view(np.uint32)
    for i in range(len(t)):
        a = (t.source_address[i] - chip.memory.base) // 4
        for j in range(t.dest_start[i], t.dest_start[i + 1]):
            to = (t.dest_address[j] - chip.memory.base) // 4
            words_after[t.dest_tile[j], to : to + t.words[i]] = words_before[t.source_tile[i], a : a + t.words[i]]
    return after


SMALL = dataclasses.replace(BOW, memory=dataclasses.replace(BOW.memory, size=16384))  # so that comparing is quick


@st.composite
def to_pairs(draw):
    """Multicasts to whole pairs of tiles and single ones, long enough for 64-bit items; addresses odd and even."""
    pool = draw(st.sampled_from([[0, 2, 44, 46, 1470], [10, 12, 56, 700, 1100], [4, 734, 736, 780], [90, 91, 92]]))
    groups = []
    for _ in range(draw(st.integers(1, 8))):
        s = draw(st.sampled_from(pool)) ^ draw(st.integers(0, 1))
        first = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=len(pool), unique_by=lambda tile: tile // 2))
        to = {tile ^ side for tile in first for side in draw(st.sampled_from([(0, 1), (0, 1), (0,), (1,)]))}
        words = draw(st.one_of(st.integers(1, 40), st.integers(90, 180)))
        if to != {s}:
            groups.append((s, sorted(to), words))
    return groups or [(pool[0], [pool[1]], 1)]


@given(to_pairs())
def test_64_bit_items_deliver_exactly_what_was_asked(groups):
    """Whether they pay or not."""
    t = transfers_of(SMALL, groups)
    pieces = paired(SMALL, t)
    plan = schedule_pieces(SMALL, pieces)
    assert plan is not None
    carry_out(t, plan)


@given(exchanges())
def test_rows_deliver_exactly_what_was_asked(groups):
    t = transfers_of(SMALL, groups)
    carry_out(t, schedule(SMALL, t))


def carry_out(t: Transfers, plan: Schedule) -> None:
    """Rows of a schedule in the plain model and by deliver: every word, count and cycle."""
    check_schedule(SMALL, plan)
    emitted = emit_rows(SMALL, plan)
    rows = all_rows(emitted)
    before = small_memory()
    expected = expected_memory(SMALL, t, before)

    lines = oracle.lock_step(rows, plain := {tile: Lazy(SMALL, before[tile]) for tile in rows})
    for tile in rows:
        view = before[tile].copy().view(np.uint32)
        for address, value in plain[tile].items():
            view[(address - SMALL.memory.base) >> 2] = value
        assert np.array_equal(view, expected[tile].view(np.uint32))

    memory = before.copy()
    done = run_log(SMALL, rows, memory, t)
    assert np.array_equal(memory, expected)
    stores = np.array([line[:2] for line in lines])
    leaving: dict[int, set[int]] = {tile: set() for tile in rows}
    for tile, words in rows.items():
        for kind, event, _, count, _ in oracle.log_of(words):
            leaving[tile].update(range(event, event + count) if kind == 1 else ())
    for tile in rows:
        mine = stores[stores[:, 1] == tile, 0]
        assert done.received[tile] == mine.size
        assert done.last_store[tile] == (mine.max() if mine.size else -1)
        assert (done.send_cycles[tile], done.receive_cycles[tile]) == (len(leaving[tile]), len(set(mine.tolist())))
        assert done.busy_cycles[tile] == len(leaving[tile] | set(mine.tolist()))
        sent = plan.pieces.transfers
        assert done.sent[tile] == sent.words[sent.source_tile == tile].sum()
        assert emitted.events[tile] == oracle.decode(rows[tile])[-1][0]
    assert plan.horizon <= emitted.events.max() <= max(plan.horizon, 6)


@given(exchanges(longest=40), st.integers(0, 2**32 - 1))
def test_any_legal_schedule_can_be_encoded(groups, seed):
    """Random starts instead of the scheduler's: settings fall on every place of outgoing messages."""
    t = transfers_of(SMALL, groups)
    rng = np.random.default_rng(seed)
    start = schedule_pieces(SMALL, ordinary(t)).start.copy()
    for i in rng.permutation(len(t)):
        trial = start.copy()
        trial[i] = rng.integers(0, 400)
        try:
            check_schedule(SMALL, fixed(t, trial.tolist()))
        except IllegalExchange:
            continue
        start = trial
    rows = all_rows(emit_rows(SMALL, fixed(t, start.tolist())))
    before = small_memory()
    oracle.lock_step(rows, {tile: Lazy(SMALL, before[tile]) for tile in rows})
    memory = before.copy()
    run_log(SMALL, rows, memory, t)
    assert np.array_equal(memory, expected_memory(SMALL, t, before))


def around_the_double_setting():
    """Two outgoing messages of tile 700 laid around event 86, where it sets mux and pointer at once."""
    for begin in range(74, 88):
        for first in (1, 2, 3, 12, 70):
            for gap in (0, 1, 2):
                for second in (1, 2, 70):
                    yield 5, begin, first, gap, second
    for words in (5, 6, 7, 8, 9, 30, 84, 85):  # a neutral setting inside the first message, then the double one
        for begin in (0, 1, 2, 3, 4):
            for first in (80, 82, 83, 86, 100):
                yield words, begin, first, 1, 70


def mnemonic(word: int) -> str:
    for mask, match, name in (
        (0xFFF80000, 0x40A00000, "delay"),
        (0xFC000000, 0x60000000, "delaypic"),
        (0xFC000000, 0x64000000, "delayxpic"),
        (0xF8000000, 0x78000000, "send"),
        (0xF8100000, 0x70000000, "sendoff"),
        (0xF8100000, 0x70100000, "sendpic"),
    ):
        if word & mask == match:
            return name
    return "other"


def seconds(row: list[int]) -> set[int]:
    """Indices of the second words of sendpicp."""
    out: set[int] = set()
    for k, word in enumerate(row):
        if word >> 28 == 0xF and k not in out:
            out.add(k + 1)
    return out


def test_double_setting_next_to_and_inside_of_messages():
    """m(10, 700) = -42 and m(56, 700) = -24: tile 700 samples at 0 and 86, stores the former from 86 on."""
    before = small_memory()
    base = SMALL.memory.base
    changed: set[str] = set()
    for words, begin, first, gap, second in around_the_double_setting():
        t = Transfers.merge(
            [10, 56, 700, 700],
            base + np.array([0, 0, 0, 4000]),
            4 * np.array([words, 4, first, second]),
            [700, 700, 12, 12],
            base + np.array([8000, 9000, 8000, 9000]),
        )
        plan = fixed(t, [42, 110, begin, begin + first + gap])
        check_schedule(SMALL, plan)
        rows = all_rows(emit_rows(SMALL, plan))
        plain = {tile: Lazy(SMALL, before[tile]) for tile in rows}
        stores = oracle.lock_step(rows, plain)
        stored = sorted((tile, to, s, address) for _, tile, to, s, _, address in stores)
        assert stored == sorted(word_map(t))
        row = rows[700]
        changed |= {
            mnemonic(row[k - 1]) for k in range(2, len(row), 2) if row[k] >> 28 == 0xF and k not in seconds(row)
        }
    # Each of these stood before a sendpicp somewhere, so each was split or replaced somewhere.
    assert changed >= {"delay", "delayxpic", "send", "sendoff", "sendpic"}


def word_map(t: Transfers) -> list[tuple[int, int, int, int]]:
    """tile, address stored, source tile, address read of every word."""
    return [
        (int(t.dest_tile[j]), int(t.dest_address[j]) + k, int(t.source_tile[i]), int(t.source_address[i]) + k)
        for i in range(len(t))
        for j in range(t.dest_start[i], t.dest_start[i + 1])
        for k in range(0, 4 * t.words[i], 4)
    ]


def replace_word(rng, words: list[int]) -> list[int] | None:
    """Change one instruction: a wait by one event, a source, a store address, a direction or an item address."""
    k = int(rng.integers(len(words) - 1))
    w = words[k]
    if k and words[k - 1] >> 28 == 0xF and k % 2 == 1:
        change = int(rng.choice([1, 1 << 18]))  # store address or source in the second word of a sendpicp
        return [*words[:k], w ^ change, *words[k + 1 :]]
    if w & 0xFFF80000 == 0x40A00000:
        change = 1
    elif w & 0xFC000000 == 0x60000000:
        change = int(rng.choice([1, 1 << 19]))
    elif w & 0xFC000000 == 0x64000000:
        change = int(rng.choice([2, 1 << 14]))
    elif w & 0xF8000000 == 0x78000000:
        change = int(rng.choice([8, 3, 1 << 21]))
    else:
        return None
    return [*words[:k], w ^ change, *words[k + 1 :]]


@given(exchanges(longest=30, most=6), st.integers(0, 2**32 - 1))
def test_a_changed_row_is_caught_or_harmless(groups, seed):
    """The plain model says what one changed word does; deliver must agree, and object if a word is not as meant."""
    t = transfers_of(SMALL, groups)
    rows = all_rows(emit_rows(SMALL, schedule(SMALL, t)))
    rng = np.random.default_rng(seed)
    tile = int(rng.choice(list(rows)))
    changed = replace_word(rng, rows[tile])
    if changed is None:
        return
    rows[tile] = changed
    before = small_memory()
    plain = {k: Lazy(SMALL, before[k]) for k in rows}
    try:
        stores = oracle.lock_step(rows, plain)
        right = sorted((d, to, s, a) for _, d, to, s, _, a in stores) == sorted(word_map(t))
        comparable = True
    except oracle.BadRow:  # the row ends too early: a matter of whoever runs it
        return
    except IndexError:  # outside tile memory
        right, comparable = False, False
    memory = before.copy()
    if right:
        run_log(SMALL, rows, memory, t)
    else:
        with pytest.raises(IllegalExchange):
            run_log(SMALL, rows, memory, t)
        assert np.array_equal(memory, before)
    if comparable:
        try:
            run_log(SMALL, rows, memory, None)
        except IllegalExchange:
            return  # forwarding or an address outside memory
        for k in rows:
            view = before[k].copy().view(np.uint32)
            for address, value in plain[k].items():
                view[(address - SMALL.memory.base) >> 2] = value
            assert np.array_equal(view, memory[k].view(np.uint32))

"""Plain-Python model of exchange rows and fabric, word by word and cycle by cycle: the oracle of the exchange tests.

Nothing here comes from tile_emu: topology, delays, instruction fields and timing are written down once more from their
published description.
"""

from __future__ import annotations

from collections import defaultdict

NEUTRAL = {23: 0x640, 19: 0x500}


class BadRow(AssertionError):
    """A row that no tile could run."""


def physical(tile: int, rows: int = 23) -> int:
    p, b = tile // 2, tile // 2 // rows
    k = p % rows
    r = k if b % 2 == 0 else rows - 1 - k
    return 64 * r + 4 * (b // 2) + (b % 2) + 2 * (tile % 2)


def fields(ident: int) -> tuple[int, int, int, int, int]:
    """row, column, lane, h, x"""
    r, q, lane = ident >> 6, (ident >> 2) & 15, ident & 3
    h = 1 if q >= 8 else 0
    return r, q, lane, h, (15 - q if h else q)


def fabric(s: int, d: int) -> tuple[int, int, int]:
    """D, direction, m of two physical ids."""
    r_s, q_s, l_s, h_s, x_s = fields(s)
    r_d, q_d, l_d, h_d, x_d = fields(d)
    if l_d >= 2:
        e = 2 if h_d == (l_d & 1) else 4
    else:
        e = 1 if h_d == l_d else 5
    big_d = 6 * (x_d - x_s - (h_s ^ (l_s & 1))) + e
    t = (q_s % 8) + 1 if h_s == h_d else 16 - (q_s % 8)
    m = 8 * h_s + t + 4 * x_s - 4 * x_d - q_d + 2 * (r_s - r_d) + abs(big_d) - 31
    return big_d, (1 if big_d >= 1 else 2), m


def decode(words: list[int]) -> list[tuple[int, list[tuple[str, int]], tuple[int, int] | None, int]]:
    """A row as (first event, controls there, (item address, sctl) of its first item or None, events).

    Controls of delaypic / delayxpic get an entry of their own, one event long. The last entry is the return.
    """
    out = []
    event = index = 0
    stream: tuple[int, int] | None = None  # next item, sctl
    while True:
        w = int(words[index])
        index += 1
        if w & 0xFFF80000 == 0x40A00000:
            n = (w & 0x7FFFF) + 1
            out.append((event, [], None, n))
        elif w & 0xFC000000 in (0x60000000, 0x64000000):
            if w & 0xFC000000 == 0x60000000:
                n, control = ((w >> 19) & 127) + 1, ("format" if w >> 18 & 1 else "pointer", w & 0x3FFFF)
            else:
                n, control = ((w >> 14) & 4095) + 1, ("muxpair" if w >> 13 & 1 else "mux", w & 0x1FFF)
            out.append((event + n - 1, [control], None, 1))
        elif w & 0xF8000000 == 0x78000000:
            n, item, sctl = ((w >> 21) & 63) + 1, (w >> 3) & 0x3FFFF, w & 7
            out.append((event, [], (item, sctl), n))
            stream = (item + n, sctl)
        elif w & 0xF8100000 == 0x70000000:
            n = (((w >> 14) & 63) << 6 | ((w >> 21) & 63)) + 1
            if stream is None:
                raise BadRow("sendoff without a stream")
            item, sctl = stream[0] + ((w >> 3) & 0x7FF), w & 7
            out.append((event, [], (item, sctl), n))
            stream = (item + n, sctl)
        elif w & 0xF8100000 == 0x70100000:
            n, sel, v = ((w >> 21) & 63) + 1, (w >> 18) & 3, w & 0x3FFFF
            if stream is None or stream[1] & 3 == 0:
                raise BadRow("sendpic without a stream")
            control = (("mux", "muxpair", "pointer", "format")[sel], v & 0x1FFF if sel < 2 else v)
            out.append((event, [control], stream, n))
            stream = (stream[0] + n, stream[1])
        elif w & 0xF0000000 == 0xF0000000:
            if index % 2 == 0:
                raise BadRow("sendpicp not on 8 bytes")
            second = int(words[index])
            index += 1
            n, item, sctl, ps = ((w >> 21) & 63) + 1, (w >> 3) & 0x3FFFF, w & 7, w >> 27 & 1
            xpic = second >> 18
            controls = [
                ("format" if ps else "pointer", second & 0x3FFFF),
                ("muxpair" if xpic >> 13 & 1 else "mux", xpic & 0x1FFF),
            ]
            out.append((event, controls, (item, sctl) if sctl else None, n))
            if sctl:
                stream = (item + n, sctl)
        elif w == 0x43A00000:
            if index != len(words):
                raise BadRow("words after the return")
            out.append((event, [], None, 0))
            return out
        else:
            raise BadRow(f"word {w:#x}")
        event += n


class Receiver:
    """Incoming side of one tile: histories by event, so that what acts later can look back."""

    def __init__(self, me: int, neutral: int) -> None:
        self.me, self.neutral = me, neutral
        self.mux, self.pair, self.format = defaultdict(lambda: neutral), defaultdict(lambda: neutral), defaultdict(int)
        self.pointer = 0
        self.from_partner: int | None = None  # source set by the partner one event ago
        self.next_from_partner: int | None = None

    def begin(self, c: int) -> None:
        self.mux[c], self.format[c] = self.mux[c - 1], self.format[c - 1]
        self.from_partner, self.next_from_partner = self.next_from_partner, None
        self.pair[c] = self.pair[c - 1] if self.from_partner is None else self.from_partner

    def apply(self, c: int, settings: list[tuple[str, int]], partner: Receiver | None) -> None:
        for kind, v in settings:
            if kind.startswith("mux"):
                v &= 0x7FF  # 11 bits are used
            if kind == "mux":
                self.mux[c] = v
            elif kind == "pointer":
                self.pointer = 4 * v
            elif kind == "format":
                self.format[c] = v
            else:
                source = v if v == self.neutral else v ^ (self.me & 2)
                self.pair[c] = source
                if partner:
                    partner.next_from_partner = source

    def taken(self, c: int, ids: dict[int, int], islands: int) -> tuple[int | None, int]:
        """Source tile and send event of what is stored at c."""
        x = c - 52 - 2 * (self.me >> 6)
        if self.format[c - 2] == 0:
            source = ids.get(self.mux[x])
            return source, x - fabric(self.mux[x], self.me)[2] if source is not None else 0
        for sample, late in ((x, True), (x - 1, False)):  # the early tile of a pair waits one event for the late one
            source = ids.get(self.pair[sample])
            if source is not None:
                _, code, m = fabric(physical(source, islands), self.me)
                if (m > fabric(physical(source, islands), self.me ^ 2)[2]) == late and code == self.format[c - 2]:
                    return source, sample - m
        return None, 0


def lock_step(rows: dict[int, list[int]], memory: dict[int, dict[int, int]], islands: int = 23) -> list[tuple]:
    """Run rows for all tiles together, cycle by cycle, storing into ``memory[tile][byte address]``, a value per word.

    Returns every store as (event, tile, address, source tile, send event, source address). Raises BadRow for stores
    within six events of the end of a row.
    """
    controls: dict[int, dict[int, list]] = {}
    sends: dict[int, dict[int, tuple[int, int]]] = {}
    length = {}
    for tile, words in rows.items():
        controls[tile], sends[tile] = defaultdict(list), {}
        for event, settings, item, n in decode(words):
            controls[tile][event] += settings
            for k in range(n if item and item[1] & 3 else 0):
                sends[tile][event + k] = (item[0] + k, item[1])
            length[tile] = event + n
    ids = {physical(tile, islands): tile for tile in rows}
    state = {tile: Receiver(physical(tile, islands), NEUTRAL[islands]) for tile in rows}
    out: dict[int, dict[int, tuple[int, int, list[int]]]] = {tile: {} for tile in rows}
    stores = []
    for c in range(max(length.values()) + 200):
        for s in rows:
            if c in sends[s]:
                address, sctl = sends[s][c]
                size = 8 if sctl & 4 else 4
                out[s][c] = (sctl, address * size, [memory[s][address * size + k] for k in range(0, size, 4)])
        for d in rows:
            state[d].begin(c)
        for d in rows:
            state[d].apply(c, controls[d].get(c, ()), state.get(ids.get(state[d].me ^ 2, -1)))
        for d in rows:
            me = state[d]
            source, e = me.taken(c, ids, islands)
            sent = out[source].get(e) if source is not None else None
            if not sent or not sent[0] & fabric(physical(source, islands), me.me)[1]:
                continue
            if bool(sent[0] & 4) != bool(me.format[c - 2]):
                raise BadRow("width")
            for k, value in enumerate(sent[2]):
                memory[d][me.pointer] = value
                stores.append((c, d, me.pointer, source, e, sent[1] + 4 * k))
                me.pointer += 4
            if c + 7 > length[d]:
                raise BadRow(f"tile {d} ends at {length[d]}, stores at {c}")
    return stores


def log_of(words: list[int]) -> list[list[int]]:
    """The log an interpreter would write for a row: kind, event, value, count, sctl."""
    kinds = {"mux": 2, "muxpair": 3, "pointer": 4, "format": 5}
    lines = []
    for event, settings, item, n in decode(words):
        for kind, value in settings:
            lines.append([kinds[kind], event, 4 * value if kind == "pointer" else value, 0, 0])
        if item:
            lines.append([1, event, item[0] * (8 if item[1] & 4 else 4), n, item[1]])
    return lines

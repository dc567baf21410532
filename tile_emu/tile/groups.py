"""What the function of each dispatch group takes and returns, on normal return and on a fault."""

from __future__ import annotations

_MEMORY = "mem8, mem16, mem32, mem64, sram, pages, mrf, arf, arf64, undo, trapping@{, view}@"
_NOTHING_HELD = "t0 = t1 = -1\nw0 = w1 = 0"
_UNPACK = "sram_base, sram_size, interleaved, executable, repeat_mask, code_end = sram"
SIGNATURES: dict[str, tuple[str, str, str, str]] = {
    # group: parameters, prologue, fault return, final return
    "alu": ("mrf, arf", "", "", ""),
    "load": (
        _MEMORY,
        _UNPACK + "\n" + _NOTHING_HELD,
        "return {status}, {address}, -1, 0, -1, 0",
        "return 0, -1, t0, w0, t1, w1",
    ),
    "pace": (
        _MEMORY,
        _UNPACK + "\n" + _NOTHING_HELD,
        "return {status}, {address}, -1, 0, -1, 0",
        "return 0, -1, t0, w0, t1, w1",
    ),
    "store": (_MEMORY, _UNPACK, "return {status}, {address}", "return 0, -1"),
    "control": (
        "mrf, next_pc, repeat_mask",
        "taken = repeat_count = repeat_end = 0\nended = 0",
        "return {status}, next_pc, 0, 0, 0, 0",
        "return 0, next_pc, taken, repeat_count, repeat_end, ended",
    ),
    "csr": ("mrf, csr, slots, own, acc, cycle, pc", "", "return {status}", "return 0"),
    "aux_csr": ("arf, csr, slots, own, acc, cycle, pc", "", "return {status}", "return 0"),
    "bits": ("arf, arf64, acc, ctl, csr", "flags = 0", "", "return flags"),
    "f32": ("arf, arf64, acc, ctl, draw, csr", "flags = 0", "", "return flags"),
    "f16": ("arf, arf64, acc, ctl, draw, csr", "flags = 0", "", "return flags"),
    "accumulate": ("arf, arf64, acc, ctl, draw, csr", "flags = 0", "", "return flags"),
    "special": ("arf, arf64, acc, ctl, draw, csr, weights16, weights32", "flags = 0", "", "return flags"),
    "amp": ("arf, arf64, acc, ctl, draw, csr, weights16, weights32", "flags = 0", "", "return flags"),
    "system": ("", "", "status = {status}\nfault_address = {address}\nbreak", ""),
}

RARE = ("csr", "aux_csr", "special")  # groups that are called, not inlined into the loops
EXTRA_TURNS_SHIFT = 8  # position, in the flags the special group returns, of turns beyond the first

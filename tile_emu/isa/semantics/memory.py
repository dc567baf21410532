"""Loads, stores and packed addresses (isa semantics 7).

A load's function turns the raw datum into the content of one destination register (for register groups: of each
32-bit word). ``size`` is the access size in bytes; where and in which order registers are written follows from the
shape. Address checks (range, alignment, region, element conflicts) are the machine's, not the instruction's.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from tile_emu.isa.semantics.bits import sign_extend
from tile_emu.isa.semantics.registry import Shape, declare
from tile_emu.jit import jit

PACE_FIELD = 0x1FFFFF  # a packed address has 21 bits


@jit(inline=True)
def as_is(raw):
    return raw


@jit(inline=True)
def signed_byte(raw):
    return sign_extend(raw, 8)


@jit(inline=True)
def signed_half(raw):
    return sign_extend(raw, 16)


@jit(inline=True)
def broadcast_byte(raw):
    return raw * 0x01010101


@jit(inline=True)
def broadcast_half(raw):
    return raw * 0x00010001


for _name, _size, _function, _summary in (
    ("ldz8", 1, as_is, "byte, zero-extended"),
    ("lds8", 1, signed_byte, "byte, sign-extended"),
    ("ldb8", 1, broadcast_byte, "byte copied to all four bytes"),
    ("ldz16", 2, as_is, "half word, zero-extended"),
    ("lds16", 2, signed_half, "half word, sign-extended"),
    ("ldb16", 2, broadcast_half, "half word copied to both halves"),
    ("ld32", 4, as_is, "32-bit load"),
    ("ld64", 8, as_is, "64-bit load into a pair"),
    ("ld128", 16, as_is, "128-bit load into a quad, interleaved region only"),
):
    _sink = "" if _name in ("ldz8", "lds8", "ldz16", "lds16") else "zero-sink"
    declare(
        _name, Shape.LOAD, f"{_summary}; address base + delta + {_size} * offset", _function, choices=_sink, size=_size
    )
    declare(
        f"{_name}step",
        Shape.LOAD_STEP,
        f"{_summary}; delta += {_size} * increment",
        _function,
        choices=_sink,
        size=_size,
    )

declare("st32", Shape.STORE, "32-bit store; address base + delta + 4 * offset", as_is, size=4)
declare("st64", Shape.STORE, "64-bit store; address base + delta + 8 * offset", as_is, size=8)
declare("st32step", Shape.STORE_STEP, "32-bit store; delta += 4 * increment", as_is, size=4)
declare("st64step", Shape.STORE_STEP, "64-bit store; delta += 8 * increment", as_is, size=8)
declare("stm32", Shape.STORE_INDEXED, "32-bit store; address base + 4 * offset", as_is, size=4)
declare("stm32step", Shape.STORE_INDEXED_STEP, "32-bit store at base; base += 4 * stride", as_is, size=4)

# Delta loads: datum at base + (delta >> shift & 0xffff), then the next deltas from the pointer, which steps.
declare(
    "ldd16a32",
    Shape.LOAD_DELTA,
    "32-bit datum at the delta, next 16-bit delta",
    as_is,
    size=4,
    delta=2,
    shift=0,
    choices="delta-upper zero-sink",
)
declare(
    "ldd16a64",
    Shape.LOAD_DELTA,
    "64-bit datum at the delta, next 16-bit delta",
    as_is,
    size=8,
    delta=2,
    shift=0,
    choices="delta-upper zero-sink",
)
declare(
    "ldd16b16",
    Shape.LOAD_DELTA,
    "broadcast half at the delta, next 16-bit delta",
    broadcast_half,
    size=2,
    delta=2,
    shift=0,
    choices="delta-upper zero-sink",
)
declare(
    "ldd16v2a32",
    Shape.LOAD_DELTA,
    "32-bit datum at the upper delta, next two deltas",
    as_is,
    size=4,
    delta=4,
    shift=16,
    choices="zero-sink",
)

declare(
    "ld64a32",
    Shape.LOAD_TWO,
    "quad[2:3] = 64 bits at the pointer, quad[1] = 32 bits at the delta; pointer += 8",
    choices="zero-sink",
)
declare(
    "ldb16b16",
    Shape.LOAD_TWO,
    "two broadcast halves at both deltas; low delta += 2, high delta += 2 * mini-delta (which takes which is inferred)",
    choices="mini-delta zero-sink",
)

# Packed addresses: the accesses in operand order as (address, size, kind). Address 0 and 1 are load streams, 2 the
# store stream. The second stream of ld64a32pace and ld64b16pace moves in units of its datum (inferred).
declare(
    "ld2x64pace",
    Shape.PACE,
    "two 64-bit loads",
    accesses=((0, 8, "load"), (1, 8, "load")),
    choices="pace-wrap zero-sink",
)
declare(
    "ldst64pace",
    Shape.PACE,
    "64-bit load and 64-bit store",
    accesses=((0, 8, "load"), (2, 8, "store")),
    choices="pace-wrap zero-sink",
)
declare("st64pace", Shape.PACE, "64-bit store", accesses=((2, 8, "store"),), choices="pace-wrap")
declare(
    "ld2xst64pace",
    Shape.PACE,
    "two 64-bit loads and a 64-bit store",
    accesses=((0, 8, "load"), (1, 8, "load"), (2, 8, "store")),
    choices="pace-wrap zero-sink",
)
declare(
    "ld64a32pace",
    Shape.PACE,
    "64-bit and 32-bit load",
    accesses=((0, 8, "load"), (1, 4, "load")),
    choices="pace-unit pace-wrap zero-sink",
)
declare(
    "ld64b16pace",
    Shape.PACE,
    "64-bit load and broadcast 16-bit load",
    accesses=((0, 8, "load"), (1, 2, "broadcast")),
    choices="pace-unit pace-wrap zero-sink",
)


@jit(inline=True)
def pace_stride(strides, selector, unit):
    """Bytes an address moves by: one unit, or one of three signed 10-bit fields of the stride register in units."""
    if selector == 0:
        return unit
    field = (strides >> (10 * (selector - 1))) & 0x3FF
    return unit * sign_extend(field, 10)


@jit(inline=True)
def pace_address(low, high, which):
    """One of the three 21-bit addresses of a packed pair."""
    if which == 0:
        return low & PACE_FIELD
    if which == 1:
        return high & PACE_FIELD
    return ((low >> 21) & 0x7FF) | (((high >> 21) & 0x3FF) << 11)

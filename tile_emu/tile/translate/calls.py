"""How the interpreter's loops call translated code.

A translated function has one argument, the address of an int64 array, the *context* (fields below), and returns 0 to
have the interpreter go on at own[PC], or the EXITED status of a worker that ended. One fixed signature means that the
interpreter's loops are compiled once, whatever is translated later.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

from tile_emu.jit import DISABLED, jit, native_function
from tile_emu.tile.layout import TOUCHED, TURNS

# Context fields. In: addresses of arrays, the entry block, the unit's lowest address, the limit of turns.
# Out: words and AMP instructions executed.
(
    CONTEXT_MEMORY, CONTEXT_PAGES, CONTEXT_MRF, CONTEXT_ARF, CONTEXT_ACC, CONTEXT_CSR, CONTEXT_OWN, CONTEXT_WEIGHTS16,
    CONTEXT_WEIGHTS32, CONTEXT_BLOCK, CONTEXT_BASE, CONTEXT_LIMIT, CONTEXT_WORDS, CONTEXT_AMP, CONTEXT_COUNTERS,
    CONTEXT_COUNTERS_LENGTH,
) = range(16)  # fmt: skip
CONTEXT_RAN = 16  # from here: how often each segment ran
MOST_SEGMENTS = 1008
CONTEXT_FIELDS = CONTEXT_RAN + MOST_SEGMENTS

# A row of the table of units (int64). ADDRESS is 0 while a unit is not translated; TURNS are all its
# turns, DONE those by translated code, BASE its lowest address.
(
    UNIT_ADDRESS, UNIT_BLOCK, UNIT_FIRST_PAGE, UNIT_PAGES, UNIT_NEXT, UNIT_TURNS, UNIT_LIMIT, UNIT_DONE, UNIT_BASE,
    UNIT_SLOTS,
) = range(10)  # fmt: skip
UNIT_FIELDS = UNIT_SLOTS + 16


if DISABLED:

    def address_of(array: Any) -> Any:
        """Address of an array's first element."""
        return array.ctypes.data

    def call_address(function: Any, argument: Any) -> Any:
        """Call the translated function with a number that jit.native gave it."""
        return native_function(function)(argument)

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    _I64 = ir.IntType(64)

    @intrinsic
    def address_of(typingctx: Any, array: Any) -> Any:
        """Address of an array's first element."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            return builder.ptrtoint(data, _I64)

        return types.int64(array), codegen

    @intrinsic
    def call_address(typingctx: Any, function: Any, argument: Any) -> Any:
        """Call the int64(int64) function at an address."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.FunctionType(_I64, [_I64])
            return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [args[1]])

        return types.int64(types.int64, types.int64), codegen


@jit(leaf=True)
def find_unit(units, first, pages):
    """Row of the first unit in a chain whose pages a tile holds; -1 if there is none.

    pages: int32[2, n], of which row 0 is the workers'.
    """
    row = first
    while row > 0:
        page = units[row, UNIT_FIRST_PAGE]
        same = True
        for i in range(units[row, UNIT_PAGES]):
            same = same and pages[0, page + i] == units[row, UNIT_SLOTS + i]
        if same:
            return row
        row = units[row, UNIT_NEXT]
    return -1


@jit(leaf=True)
def run_unit(unit, sram_base, mem8, pages, mrf, arf, acc, csr, own, weights16, weights32, counters, limit, context):
    """Run a worker's translated code; own[] holds where it stands, before and after."""
    context[CONTEXT_MEMORY] = address_of(mem8)
    context[CONTEXT_PAGES] = address_of(pages)
    context[CONTEXT_MRF] = address_of(mrf)
    context[CONTEXT_ARF] = address_of(arf)
    context[CONTEXT_ACC] = address_of(acc)
    context[CONTEXT_CSR] = address_of(csr)
    context[CONTEXT_OWN] = address_of(own)
    context[CONTEXT_WEIGHTS16] = address_of(weights16)
    context[CONTEXT_WEIGHTS32] = address_of(weights32)
    context[CONTEXT_BLOCK] = unit[UNIT_BLOCK]
    context[CONTEXT_BASE] = unit[UNIT_BASE]
    context[CONTEXT_LIMIT] = limit
    context[CONTEXT_COUNTERS] = address_of(counters)
    context[CONTEXT_COUNTERS_LENGTH] = len(counters)
    before = own[TURNS]
    ended = call_address(unit[UNIT_ADDRESS], address_of(context))
    unit[UNIT_DONE] += own[TURNS] - before
    for page in range(unit[UNIT_PAGES]):
        counters[TOUCHED] |= 1 << ((unit[UNIT_FIRST_PAGE] + page) & 63)
    return ended

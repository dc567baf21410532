"""Compiled support of translated code: views of arrays by address, registers of its own, counters, guards of loops."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tile_emu.jit import DISABLED, jit
from tile_emu.tile.csrspace import W_FP_CTL
from tile_emu.tile.layout import ARF_SLOTS, EXECUTION_PARTS, EXECUTIONS, MRF_SLOTS, PAGE_SHIFT
from tile_emu.tile.runs import count_run, run_place
from tile_emu.tile.translate.calls import (
    CONTEXT_AMP,
    CONTEXT_COUNTERS,
    CONTEXT_COUNTERS_LENGTH,
    CONTEXT_MEMORY,
    CONTEXT_PAGES,
    CONTEXT_RAN,
    CONTEXT_WEIGHTS16,
    CONTEXT_WEIGHTS32,
    CONTEXT_WORDS,
)

ATTENTION = 1 << 40  # in a result of a *usual* function: not the usual case, everything has to be done again

if DISABLED:
    import ctypes

    def _plain_view(dtype: Any) -> Any:
        def view(address: Any, count: Any) -> Any:
            size = int(count) * np.dtype(dtype).itemsize
            return np.frombuffer((ctypes.c_uint8 * size).from_address(int(address)), dtype)

        return view

    view_u8, view_u16, view_u32, view_u64 = map(_plain_view, (np.uint8, np.uint16, np.uint32, np.uint64))
    view_i64, view_f32, view_f64 = map(_plain_view, (np.int64, np.float32, np.float64))

    def view_pages(address: Any, count: Any) -> Any:
        """int32[2, count] over memory."""
        return _plain_view(np.int32)(address, 2 * int(count)).reshape(2, -1)

    def local_accumulators() -> Any:
        """float32[32] of the calling function's own."""
        return np.zeros(32, np.float32)

    def local_mrf() -> Any:
        """uint32 of the calling function's own, for its main registers."""
        return np.zeros(MRF_SLOTS, np.uint32)

    def local_arf() -> Any:
        """uint32 of the calling function's own, for its aux registers."""
        return np.zeros(ARF_SLOTS, np.uint32)

    def local_marks() -> Any:
        """int64[2] of the calling function's own."""
        return np.zeros(2, np.int64)

    def as_pairs(array: Any) -> Any:
        """The int64 view of a uint32 array."""
        return array.view(np.int64)

    def copy_accumulators(target: Any, source: Any) -> None:
        """target[:] = source"""
        target[:] = source

    copy_mrf = copy_arf = copy_accumulators

    def counts_of(segments: int) -> Any:
        """Functions of a unit with so many segments: an array of zeroed counts, and a copy of such an array."""
        return (lambda: np.zeros(segments, np.int64)), copy_accumulators

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    _I64 = ir.IntType(64)

    def _view(context: Any, builder: Any, array_type: Any, data: Any, shape: tuple[Any, ...]) -> Any:
        """Array structure over memory that somebody else owns."""
        array = context.make_array(array_type)(context, builder)
        size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
        strides = [_I64(size)] * len(shape)
        for dimension in range(len(shape) - 2, -1, -1):
            strides[dimension] = builder.mul(strides[dimension + 1], shape[dimension + 1])
        context.populate_array(
            array, data=data, shape=shape, strides=strides, itemsize=_I64(size), meminfo=None, parent=None
        )
        return array._getvalue()

    def _define_view(dtype: Any) -> Any:
        array_type = types.Array(dtype, 1, "C")

        @intrinsic
        def view(typingctx: Any, address: Any, count: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                element = context.get_data_type(dtype)
                data = builder.inttoptr(args[0], element.as_pointer())
                return _view(context, builder, array_type, data, (args[1],))

            return array_type(types.int64, types.int64), codegen

        return view

    view_u8 = _define_view(types.uint8)
    view_u16 = _define_view(types.uint16)
    view_u32 = _define_view(types.uint32)
    view_u64 = _define_view(types.uint64)
    view_i64 = _define_view(types.int64)
    view_f32 = _define_view(types.float32)
    view_f64 = _define_view(types.float64)

    @intrinsic
    def view_pages(typingctx: Any, address: Any, count: Any) -> Any:
        """int32[2, count] over memory."""
        array_type = types.Array(types.int32, 2, "C")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
            return _view(context, builder, array_type, data, (_I64(2), args[1]))

        return array_type(types.int64, types.int64), codegen

    _ACCUMULATORS = types.Array(types.float32, 1, "C")

    @intrinsic
    def local_accumulators(typingctx: Any) -> Any:
        """float32[32] of the calling function's own. LLVM keeps it in vector registers: all accesses are at constant
        positions, and it is never passed to a function that is not inlined."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            storage = cgutils.alloca_once(builder, ir.ArrayType(ir.FloatType(), 32))
            data = builder.bitcast(storage, ir.FloatType().as_pointer())
            return _view(context, builder, _ACCUMULATORS, data, (_I64(32),))

        return _ACCUMULATORS(), codegen

    def _define_local(dtype: Any, count: int) -> Any:
        """A function whose result is a zeroed array of the calling function's own."""
        array_type = types.Array(dtype, 1, "C")

        @intrinsic
        def local(typingctx: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                element = context.get_data_type(dtype)
                storage = cgutils.alloca_once(builder, ir.ArrayType(element, count))
                storage.align = 8
                data = builder.bitcast(storage, element.as_pointer())
                for position in range(count):
                    builder.store(element(0), builder.gep(data, [_I64(position)]))
                return _view(context, builder, array_type, data, (_I64(count),))

            return array_type(), codegen

        return local

    # Registers of the calling function's own; kept in machine registers for the same reason.
    local_mrf = _define_local(types.uint32, MRF_SLOTS)
    local_arf = _define_local(types.uint32, ARF_SLOTS)
    local_marks = _define_local(types.int64, 2)

    @intrinsic
    def as_pairs(typingctx: Any, array: Any) -> Any:
        """The int64 view of a uint32 array, without the detour over an address."""
        array_type = types.Array(types.int64, 1, "C")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            data = builder.bitcast(data, _I64.as_pointer())
            return _view(context, builder, array_type, data, (_I64(ARF_SLOTS // 2),))

        return array_type(array), codegen

    def _define_copy(array_type: Any, piece: Any, pieces: int) -> Any:
        @intrinsic
        def copy(typingctx: Any, target: Any, source: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                to, of = (context.make_array(array_type)(context, builder, a).data for a in args)
                to, of = (builder.bitcast(pointer, piece.as_pointer()) for pointer in (to, of))
                for position in range(pieces):
                    value = builder.load(builder.gep(of, [_I64(position)]), align=4)
                    builder.store(value, builder.gep(to, [_I64(position)]), align=4)
                return context.get_dummy_value()

            return types.void(array_type, array_type), codegen

        return copy

    # target[:] = source, at constant positions: accumulators in vectors of eight, aux registers in pairs.
    copy_accumulators = _define_copy(_ACCUMULATORS, ir.VectorType(ir.FloatType(), 8), 4)
    copy_mrf = _define_copy(types.Array(types.uint32, 1, "C"), ir.IntType(32), MRF_SLOTS)
    copy_arf = _define_copy(types.Array(types.uint32, 1, "C"), _I64, ARF_SLOTS // 2)

    def counts_of(segments: int) -> Any:
        """Functions of a unit with so many segments: an array of zeroed counts, and a copy of such an array."""
        return _define_local(types.int64, segments), _define_copy(types.Array(types.int64, 1, "C"), _I64, segments)


_bundles: dict[tuple[Any, ...], Any] = {}


def bundle(function: Any) -> Any:
    """Decorator of the functions in a unit's source, inlined where they are called.

    Units of one process share functions that are the same: each is compiled once.
    """
    code = function.__code__
    key = (code.co_name, code.co_code, repr(code.co_consts), code.co_names, code.co_varnames)
    if key not in _bundles:
        _bundles[key] = jit(function, inline=True)
    return _bundles[key]


class State(NamedTuple):
    """What bundle functions work on: memory, registers (mrf, arf, marks and, where kept, held and trial are arrays of
    the translated function's own), status registers, weights, and the memory map.

    held: the accumulators, acc: their place in memory, trial: room for a copy. marks: flags raised for FP_STS, turns
    beyond one an instruction. code_low, code_bytes: offset and size of the unit's own code.
    """

    mem8: Any
    mem16: Any
    mem32: Any
    mem64: Any
    pages: Any
    mrf: Any
    arf: Any
    arf64: Any
    acc: Any
    held: Any
    trial: Any
    marks: Any
    csr: Any
    own: Any
    weights16: Any
    weights32: Any
    ctl: Any
    sram_base: Any
    sram_size: Any
    interleaved: Any
    code_end: Any
    code_low: Any
    code_bytes: Any
    counters: Any


@jit(inline=True)
def new_state(context, own, csr, acc, mrf, arf, marks, held, trial, base, size, interleaved, code_end, low, code_bytes):
    """The State of a call."""
    memory = context[CONTEXT_MEMORY]
    return State(
        view_u8(memory, size),
        view_u16(memory, size >> 1),
        view_u32(memory, size >> 2),
        view_u64(memory, size >> 3),
        view_pages(context[CONTEXT_PAGES], code_end >> (PAGE_SHIFT + 2)),
        mrf,
        arf,
        as_pairs(arf),
        acc,
        held,
        trial,
        marks,
        csr,
        own,
        view_f64(context[CONTEXT_WEIGHTS16], 256),
        view_f32(context[CONTEXT_WEIGHTS32], 128),
        np.int64(csr[W_FP_CTL]),
        base,
        size,
        interleaved,
        code_end,
        low,
        code_bytes,
        view_i64(context[CONTEXT_COUNTERS], context[CONTEXT_COUNTERS_LENGTH]),
    )


@jit(inline=True)
def load_registers(mrf, arf, mrf_address, arf_address):
    """Registers from memory; those that always read as 0 as constants."""
    copy_mrf(mrf, view_u32(mrf_address, MRF_SLOTS))
    copy_arf(arf, view_u32(arf_address, ARF_SLOTS))
    mrf[14] = np.uint32(0)
    mrf[15] = np.uint32(0)
    pairs = as_pairs(arf)
    pairs[4] = 0
    pairs[5] = 0


@jit(inline=True)
def store_registers(mrf, arf, mrf_address, arf_address):
    """Registers to memory."""
    copy_mrf(view_u32(mrf_address, MRF_SLOTS), mrf)
    copy_arf(view_u32(arf_address, ARF_SLOTS), arf)


@jit(leaf=True)
def count_executions(context, counters, base, sram_base, segment_first, words, sizes, amp, segment, count):
    """Count what ran: segments as often as context says, and the first ``count`` instructions of one more.

    segment_first: where each segment starts in words (offset of every instruction from the base, in words), sizes
    (words) and amp (1 for an AMP instruction).
    """
    total_words = total_amp = 0
    for s in range(len(segment_first) - 1):
        ran = context[CONTEXT_RAN + s]
        first, after = segment_first[s], segment_first[s + 1]
        if ran != 0 and first != after:
            end = words[after - 1] + sizes[after - 1]
            count_run(counters, sram_base, base + 4 * words[first], base + 4 * end, ran)
            for i in range(first, after):
                total_words += ran * sizes[i]
                total_amp += ran * amp[i]
    if count != 0:
        first, last = segment_first[segment], segment_first[segment] + count - 1
        end = words[last] + sizes[last]
        count_run(counters, sram_base, base + 4 * words[first], base + 4 * end, 1)
        for i in range(first, last + 1):
            total_words += sizes[i]
            total_amp += amp[i]
    context[CONTEXT_WORDS] = total_words
    context[CONTEXT_AMP] = total_amp


@jit(leaf=True)
def count_extra(counters, sram_base, pc, turns):
    """Count the turns of an instruction beyond its first."""
    words = (len(counters) - EXECUTIONS) // EXECUTION_PARTS
    counters[words + run_place(counters, sram_base, pc)] += turns


# Guards of repeat loops: whether every access of every pass is legal, from where it starts and how far it moves.


@jit(inline=True)
def holds_unit(offset, code_low, code_bytes):
    """Whether a store at an offset changes a unit's code, which starts at code_low."""
    return code_low <= offset and offset < code_low + code_bytes


@jit(inline=True)
def reach(start, step, count, first, last):
    """Lowest address and end of the accesses of ``count`` passes; the first touches start + first .. start + last."""
    far = (count - 1) * step
    return start + first + min(0, far), start + last + max(0, far)


@jit(inline=True)
def in_memory(start, low, high, size, state):
    """Whether accesses of a size to low .. high - 1 are legal."""
    base = state.sram_base
    lowest = base + state.interleaved if size == 16 else base
    return start & (size - 1) == 0 and low >= lowest and high <= base + state.sram_size


@jit(inline=True)
def holds_no_code(low, high, state):
    """Whether stores to low .. high - 1 touch no decoded page."""
    low_offset, high_offset = low - state.sram_base, high - state.sram_base
    return low_offset >= state.code_end or _is_data(low_offset, high_offset, state.pages, state.code_end)


@jit(leaf=True)
def _is_data(low, high, pages, code_end):
    first = max(low - 8, 0) >> (PAGE_SHIFT + 2)
    last = (min(high, code_end) - 1) >> (PAGE_SHIFT + 2)
    for page in range(first, last + 1):
        if pages[0, page] >= 0 or pages[1, page] >= 0:
            return False
    return True


@jit(inline=True)
def apart(low0, high0, low1, high1, split):
    """Whether two address ranges share no SRAM element: see same_element; high is exclusive."""
    shift = 14 if high0 <= split and high1 <= split else 15
    return (high0 - 1) >> shift < low1 >> shift or (high1 - 1) >> shift < low0 >> shift


@jit(inline=True)
def alternating(between, step0, step1, low0, low1, split):
    """Whether two streams in region 1, so far apart, differ in address bit 3, that is in the element, in every pass."""
    return between & 15 == 8 and (step0 - step1) & 15 == 0 and low0 >= split and low1 >= split

"""Compiled support of translated code: views of arrays by address, registers of its own, counters, guards of loops."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np

from tile_emu.jit import DISABLED, jit
from tile_emu.tile.layout import ARF_SLOTS, EXECUTION_PARTS, EXECUTIONS, MRF_SLOTS, PAGE_SHIFT
from tile_emu.tile.runs import count_run, run_place
from tile_emu.tile.translate.calls import (
    CONTEXT_AMP,
    CONTEXT_RAN,
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
    point_u8, point_u16, point_u32, point_u64, point_i64 = view_u8, view_u16, view_u32, view_u64, view_i64

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

    def _define_pointer(dtype: Any) -> Any:
        """As a view, but without anything beside the address: a seventh of the code where it is handed on."""
        pointer = types.CPointer(dtype)

        @intrinsic
        def point(typingctx: Any, address: Any, count: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                return builder.inttoptr(args[0], context.get_value_type(pointer))

            return pointer(types.int64, types.int64), codegen

        return point

    view_u32 = _define_view(types.uint32)
    point_u8 = _define_pointer(types.uint8)
    point_u16 = _define_pointer(types.uint16)
    point_u32 = _define_pointer(types.uint32)
    point_u64 = _define_pointer(types.uint64)
    point_i64 = _define_pointer(types.int64)
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

    def _define_local(dtype: Any, storage: Any) -> Any:
        """A function whose result points to zeroed memory of the calling function's own, of LLVM type ``storage``.

        Zeroing makes LLVM see elements of that type; each stays in one machine register unless a part is used alone.
        """
        pointer = types.CPointer(dtype)

        @intrinsic
        def local(typingctx: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                memory = cgutils.alloca_once(builder, storage)
                memory.align = 8
                builder.store(ir.Constant(storage, None), memory)
                return builder.bitcast(memory, context.get_data_type(dtype).as_pointer())

            return pointer(), codegen

        return local

    # Registers of the calling function's own; kept in machine registers for the same reason. Aux registers as pairs.
    local_mrf = _define_local(types.uint32, ir.ArrayType(ir.IntType(32), MRF_SLOTS))
    local_arf = _define_local(types.uint32, ir.ArrayType(_I64, ARF_SLOTS // 2))
    local_marks = _define_local(types.int64, ir.ArrayType(_I64, 2))

    @intrinsic
    def as_pairs(typingctx: Any, pointer: Any) -> Any:
        """A pointer to uint32 as one to int64."""
        pairs = types.CPointer(types.int64)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(pairs))

        return pairs(pointer), codegen

    def _define_pointer_copy(dtype: Any, piece: Any, pieces: int) -> Any:
        pointer = types.CPointer(dtype)

        @intrinsic
        def copy(typingctx: Any, target: Any, source: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                to, of = (builder.bitcast(a, piece.as_pointer()) for a in args)
                for position in range(pieces):
                    value = builder.load(builder.gep(of, [_I64(position)]), align=4)
                    builder.store(value, builder.gep(to, [_I64(position)]), align=4)
                return context.get_dummy_value()

            return types.void(pointer, pointer), codegen

        return copy

    @intrinsic
    def copy_accumulators(typingctx: Any, target: Any, source: Any) -> Any:
        """target[:] = source, in vectors of eight."""
        piece = ir.VectorType(ir.FloatType(), 8)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            to, of = (context.make_array(_ACCUMULATORS)(context, builder, a).data for a in args)
            to, of = (builder.bitcast(pointer, piece.as_pointer()) for pointer in (to, of))
            for position in range(4):
                value = builder.load(builder.gep(of, [_I64(position)]), align=4)
                builder.store(value, builder.gep(to, [_I64(position)]), align=4)
            return context.get_dummy_value()

        return types.void(_ACCUMULATORS, _ACCUMULATORS), codegen

    # target[:] = source, at constant positions: aux registers in pairs.
    copy_mrf = _define_pointer_copy(types.uint32, ir.IntType(32), MRF_SLOTS)
    copy_arf = _define_pointer_copy(types.uint32, _I64, ARF_SLOTS // 2)

    def counts_of(segments: int) -> Any:
        """Functions of a unit with so many segments: an array of zeroed counts, and a copy of such an array."""
        zeros = _define_local(types.int64, ir.ArrayType(_I64, segments))
        return zeros, _define_pointer_copy(types.int64, _I64, segments)


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


@jit(inline=True)
def load_registers(mrf, arf, pairs, mrf_address, arf_address):
    """Registers from memory; those that always read as 0 as constants. pairs: int64 view of arf."""
    copy_mrf(mrf, point_u32(mrf_address, MRF_SLOTS))
    copy_arf(arf, point_u32(arf_address, ARF_SLOTS))
    mrf[14] = np.uint32(0)
    mrf[15] = np.uint32(0)
    pairs[4] = 0
    pairs[5] = 0


@jit(inline=True)
def store_registers(mrf, arf, mrf_address, arf_address):
    """Registers to memory."""
    copy_mrf(point_u32(mrf_address, MRF_SLOTS), mrf)
    copy_arf(point_u32(arf_address, ARF_SLOTS), arf)


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
    """Whether a store of at most 8 bytes at an offset changes a unit's code, which starts at code_low."""
    return code_low - 8 < offset and offset < code_low + code_bytes


@jit(inline=True)
def reach(first, last, step, count):
    """Lowest address and end of the accesses of ``count`` passes; those of the first lie at first .. last - 1."""
    far = (count - 1) * step
    return first + min(0, far), last + max(0, far)


@jit(inline=True)
def clear_of_code(low, high, pages, code_end):
    """Whether stores to offsets low .. high - 1 touch no decoded page."""
    return low >= code_end or _is_data(low, high, pages, code_end)


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
    return ((high0 - 1) >> shift < low1 >> shift) | ((high1 - 1) >> shift < low0 >> shift)


@jit(inline=True)
def alternating(between, step0, step1, low0, low1, split):
    """Whether two streams in region 1, so far apart, differ in address bit 3, that is in the element, in every pass."""
    return (between & 15 == 8) & ((step0 - step1) & 15 == 0) & (low0 >= split) & (low1 >= split)

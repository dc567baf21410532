"""Every choice this emulator makes where no public text decides: named once, and who makes it.

A semantic function names the choices it depends on when it is registered (``choices=``); choices of the machine as a
whole are named by no instruction. The generated ISA page lists both. ``where`` is the constant or function that makes
the choice, as ``module:name``; ``section`` is that of the architecture's description (isa semantics).
"""

from __future__ import annotations

from dataclasses import dataclass

#: What a choice can change: results of ordinary operands, only those of special values (NaN, overflow, infinities,
#: flags, faults), only under control bits that are off by default, turns, or encodings private to this project.
RESULT, SPECIAL, CONTROL, TIME, PRIVATE, MACHINE = "result", "special", "control", "time", "private", "machine"


@dataclass(frozen=True)
class Choice:
    """One modelling choice."""

    kind: str
    section: str
    where: str
    text: str


_S = "tile_emu.isa.semantics."
_T = "tile_emu.tile."

CHOICES: dict[str, Choice] = {
    # Integer, permutes.
    "shift-amount": Choice(
        SPECIAL, "6.1", _S + "integer:shl", "shifts by 32 and more: 0, or the sign everywhere (shrs)"
    ),
    "abs-lowest": Choice(SPECIAL, "6.1", _S + "integer:abs_", "abs of 0x80000000 is 0x80000000"),
    "byte-order": Choice(RESULT, "6.2", _S + "integer:sort8", "order of the bytes of sort8 and swap8"),
    # Memory.
    "zero-sink": Choice(
        SPECIAL,
        "4.2",
        _T + "branch_memory:MemoryBranch._guarded_load",
        "a load into a register without storage accesses no memory and cannot fault",
    ),
    "delta-upper": Choice(
        RESULT, "7.4", _T + "branch_memory:MemoryBranch._load_delta", "ldd16*: upper half of D becomes 0"
    ),
    "mini-delta": Choice(
        RESULT,
        "7.4",
        _T + "branch_memory:MemoryBranch._ldb16b16",
        "ldb16b16: low delta += 2, high delta += 2 * mini-delta",
    ),
    "pace-unit": Choice(
        RESULT,
        "7.5",
        _S + "memory:pace_stride",
        "second stream of ld64a32pace and ld64b16pace counts in units of its datum",
    ),
    "pace-wrap": Choice(
        SPECIAL, "7.5", _S + "memory:PACE_FIELD", "packed addresses wrap modulo 2**21, unused ones stay"
    ),
    # Control, status registers, system.
    "branch-fault": Choice(SPECIAL, "5", _T + "layout:Status", "br to an address that cannot execute is INVALID_PC"),
    "repeat-zero": Choice(
        SPECIAL,
        "5.1",
        _T + "branch:Branch._repeat",
        "rpt: aux half runs once also for count 0; a misaligned body is INVALID_PC",
    ),
    "csr-access": Choice(
        SPECIAL,
        "2.5",
        _T + "csrspace:write_worker",
        "writes to read-only registers are ignored; unknown ones are INVALID_OP",
    ),
    "lowest-context": Choice(
        RESULT, "1.3", _T + "support:begin_launch", "run takes the lowest inactive context, or waits"
    ),
    "consensus": Choice(
        RESULT,
        "1.3",
        _T + "supervisor_template:SUPERVISOR_TEMPLATE",
        "exit statuses are ANDed into SSR.LC when the worker is launched",
    ),
    "weight-pair": Choice(SPECIAL, "7.7", _T + "branch:Branch._weights", "ld128putcs to an odd slot is INVALID_OP"),
    "sans-outline": Choice(RESULT, "5", _T + "branch:Branch._exchange", "sans answers one coming barrier"),
    # Floating point.
    "nan": Choice(
        SPECIAL,
        "8.4",
        _S + "floating:F32_NAN",
        "NaN results are canonical, 0x7fc00000 and 0x7e00; payloads are dropped",
    ),
    "overflow": Choice(
        SPECIAL, "8.4", _S + "floating:f32_special", "f32 overflow gives an infinity and OFLO; subnormals as IEEE 754"
    ),
    "f16-overflow": Choice(
        SPECIAL, "8.4", _S + "rounding:f16_round", "f16 beyond range also sets OFLO when NANOO makes it NaN"
    ),
    "trap": Choice(
        MACHINE,
        "8.3",
        _T + "support:restore_state",
        "an enabled exception writes nothing but FP_STS; PC stays at the bundle",
    ),
    "stochastic": Choice(
        CONTROL, "8.5", _S + "rounding:quantise", "ESR: 16 bits of the discarded fraction against field i of one draw"
    ),
    "stochastic-forms": Choice(
        CONTROL, "8.5", _T + "generate:stochastic_opcodes", "ESR also rounds plain f16 arithmetic and functions"
    ),
    "rounding-mode": Choice(
        CONTROL,
        "8.2",
        _S + "floating:f16v2_converted",
        "FP_CTL.RND other than 0 rounds conversions to f16 as f32int does",
    ),
    "extremes": Choice(
        SPECIAL,
        "9.1",
        _S + "floating:_select",
        "max(-0, +0) = +0, min = -0; a NaN operand sets INV; clamp of NaN gives lo",
    ),
    "lateral-maximum": Choice(
        RESULT, "9.1", _S + "classify:f16v2maxc", "f16v2maxc fills both halves; f16v4maxc pairs neighbours"
    ),
    "saturation": Choice(
        SPECIAL,
        "9.3",
        _S + "floating:_to_integer",
        "float to integer: saturates beyond range, NaN gives 0; both set INV",
    ),
    "unit-rounding": Choice(RESULT, "9.3", _S + "randomness:_unit_half", "f16 sufromui rounds to nearest even"),
    "f8-rounding": Choice(
        RESULT, "9.3", _S + "float8:f8_narrow", "f8: scaled before one rounding to nearest even, in both directions"
    ),
    "f8-range": Choice(
        SPECIAL, "9.3", _S + "float8:F8_MAX", "f8 beyond range: NaN under NANOO, else the largest; -0 becomes 0x00"
    ),
    "f8-upper": Choice(RESULT, "9.3", _S + "float8:f16v2tof8", "f16v2tof8 clears the upper bytes"),
    "class-codes": Choice(RESULT, "9.4", _S + "classify:f32class", "codes 3, 4 and 6 to 10, and that no flag is set"),
    # Functions.
    "function-rounding": Choice(
        RESULT,
        "10.1",
        _S + "transcendental:function_value",
        "computed in float64, rounded once; hardware may differ by 1 to 2 ulp",
    ),
    "quotient": Choice(RESULT, "10.1", _S + "transcendental:f32_quotient", "f32div and f32oox are correctly rounded"),
    "root": Choice(RESULT, "10.1", _S + "transcendental:f32_root", "f32sqrt correctly rounded, f32oorx from float64"),
    "poles": Choice(
        SPECIAL,
        "10.1",
        _S + "transcendental:F16_LOG_OF_ZERO",
        "log of 0 is -infinity with DIV0, in f16 too; values at infinities",
    ),
    "turns": Choice(TIME, "14.3", _S + "registry:EXTRA_TURN", "turns of the multi-pass functions, a constant for each"),
    "trivial-quotient": Choice(
        TIME, "14.3", _S + "transcendental:quotient_is_trivial", "which operands let f32div take one turn"
    ),
    # Random.
    "random-half": Choice(RESULT, "10.2", _S + "randomness:urand32", "urand32 takes the low half of a step"),
    "random-mask": Choice(
        RESULT, "10.2", _S + "randomness:_kept", "rmask: one step always; field i below p[15:0] keeps i"
    ),
    "gaussian": Choice(
        RESULT, "10.2", _S + "randomness:_nearly_normal", "grand: sum of twelve 5-bit fields of one step each"
    ),
    # Accumulators.
    "single-rounding": Choice(
        RESULT, "11.1", _S + "accumulators:_keep", "each accumulator update is exact with one rounding to f32"
    ),
    "staging-chain": Choice(
        RESULT, "2.3", _S + "accumulators:accumulator_index", "the staging chain is the odd accumulators"
    ),
    "spare-immediate": Choice(
        RESULT, "11.2", _S + "accumulators:_gina", "immediate bits without known meaning are ignored"
    ),
    "transpose-places": Choice(RESULT, "11.4", _S + "transpose:f16v4istacc", "where rows wait inside the accumulators"),
    # AMP and SLIC.
    "product-rounding": Choice(
        RESULT,
        "12.7",
        _S + "fused:dot4_8",
        "products exact; pairwise float64 sum, then the accumulator, one rounding (model C)",
    ),
    "fused-product": Choice(
        RESULT, "12.7", _S + "fused:fused_multiply_add", "f32 products: fused multiply-add (model A)"
    ),
    "partials": Choice(
        SPECIAL, "12.7", _S + "amp:_settle_partials", "a partial that is not finite enters as NaN and sets INV at once"
    ),
    "odd-phase": Choice(
        RESULT, "12.4", _S + "amp:f32sisoamp", "f32sisoamp: odd phases ignore source 1 and return +0; TAS stays"
    ),
    "second-set": Choice(
        RESULT, "12.4", _S + "amp:f32sisov2amp", "two sets in f32: even phases move set 0, odd ones set 1"
    ),
    "slic-steps": Choice(
        RESULT, "13.1", _S + "slic:f32sisov2slic", "f32 SLIC: L moves set 0; U moves nothing, or set 1 of two"
    ),
    "f8-scale": Choice(RESULT, "12.7", _S + "float8:f8_sums", "f8 products are scaled before they are accumulated"),
    "flag-values": Choice(
        PRIVATE, "12.6", "tile_emu.isa.flags:PRIVATE_FLAGS", "numeric values of TAMP_*, TSLIC_*, T(I)STACC_*"
    ),
    # The machine.
    "absent-registers": Choice(MACHINE, "2.2", _T + "layout:ARF_STORED", "$a8..$a13 and $m14 read 0 and ignore writes"),
    "kept-state": Choice(
        MACHINE, "1.3", _T + "support:start_worker", "registers, accumulators, TAS and repeat registers survive"
    ),
    "launch-order": Choice(
        MACHINE,
        "1.1",
        _T + "supervisor_template:SUPERVISOR_TEMPLATE",
        "workers of one launch run one after another: races in that order",
    ),
    "timing": Choice(MACHINE, "14.2", "tile_emu.chips.chip:load_chip", "supervisor cycles are fitted: chips/*.toml"),
    "fault-kinds": Choice(
        MACHINE, "15.1", _T + "layout:Status", "which exception type a cause raises, where no name says it"
    ),
}

"""Shipped headers: sources in the style of public codelets assemble as they stand and give the plain words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tile_emu.asm import assemble
from tile_emu.asm.headers import INCLUDE_DIRECTORY, generated_header
from tile_emu.chips import load_chip
from tile_emu.errors import AssemblyError
from tile_emu.isa.flags import PRIVATE_FLAGS

WORKER = r"""
#ifdef __IPU__
#include "poplar/AvailableVTypes.h"
#include "poplar/StackSizeDefs.hpp"
#include <poplar/TileConstants.hpp>
#include <arch/gc_tile_defines.h>

#define NAME(TYPE) __runCodelet_test__Scale___##TYPE
#define LOG2_STRIDE 1
#define ZERO_ALL (CSR_W_FP_CLR__ZAACC__MASK << CSR_W_FP_CLR__ZAACC__SHIFT)
// registers
#define mBase  m2
#define mCount m3
#define mId    m4
#define VALUES a0:1

.macro ENTRY name align=8 nop_before=""
  DEF_STACK_USAGE 0 \name
  .section .text.\name, FUNCTION_IS_WORKER
  .global \name
  .type \name, @function
  .align \align
  .worker
\name\()_BEGIN:
  \nop_before
\name:
.endm

.macro SCALE TYPE WIDE
ENTRY NAME(\TYPE) 8 nop
  ld32 $mBase, $mvertex_base, $mzero, 0   // pointer
  {
    get   $mId, $WSR
    setzi $a7, ZERO_ALL
  }
  { and $mId, $mId, CSR_W_WSR__CTXTID_M1__MASK
    uput $FP_CLR, $a7 }
  ldz16 $mCount, $mvertex_base, 4/2
  add $mCount, $mCount, CTXT_WORKERS - 1
  shr $mCount, $mCount, LOG2_STRIDE
  brnzdec $mCount, 1f
  bri .Lend\@
  .align 8
  nop
1:
  rpt $mCount, (3f - 2f) / 8 - 1
2:
.ifc "\WIDE", "true"
  { ld64step $VALUES, $mzero, $mBase+=, NUM_WORKERS * 2
    f32v2add $a2:3, $VALUES, $VALUES }
.else
  { ld32step $a0, $mzero, $mBase+=, 1+(5*1)
    fnop }
.endif
3:
.Lend\@:
  exitz $mzero
  .size NAME(\TYPE), . - NAME(\TYPE)
.endm

SCALE half false
SCALE float true
#endif
"""

PLAIN = """
  nop
  ld32 $m2, $m13, $m15, 0
  { get $m4, 1 ; setzi $a7, 8 }
  { and $m4, $m4, 7 ; uput 1, $a7 }
  ldz16 $m3, $m13, $m15, 2
  add $m3, $m3, 5
  shr $m3, $m3, 1
  brnzdec $m3, first
  bri end
  .align 8
  nop
first:
  rpt $m3, 0
  { %s }
end:
  exitz $m15
"""


def test_worker_source_in_the_public_style() -> None:
    code = assemble(text=WORKER)
    bodies = ("ld32step $a0, $m15, $m2+=, 6 ; fnop", "ld64step $a0:1, $m15, $m2+=, 12 ; f32v2add $a2:3, $a0:1, $a0:1")
    names = ("half", "float")
    starts = [code.symbols[f"__runCodelet_test__Scale___{name}"] for name in names]
    for start, body in zip(starts, bodies):
        assert start % 8 == 4  # one nop after an aligned place
        expected = assemble(text=PLAIN % body, base=start - 4).words.tolist()
        first = (start - 4 - code.base) // 4
        assert code.words[first : first + len(expected)].tolist() == expected
    assert set(code.line_file) == {"<text>"}


def test_supervisor_source_in_the_public_style() -> None:
    code = assemble(
        text=r"""
        #include "poplar/StackSizeDefs.hpp"
        #include "poplar/TileConstants.hpp"
        DEF_STACK_SIZE_OWN 16 sup
        DEF_FUNC_CALL_PTRS sup, worker
        .supervisor
        .section ".text.sup", "ax", @progbits
        .globl sup
        .type sup, @function
        .align 4
        sup:
          setzi  $m1, worker
          add    $m2, $m0, -TMEM_REGION0_BASE_ADDR & 0
          runall $m1, $m0, 0
          sync   TEXCH_SYNCZONE_LOCAL
          put    $CCCSLOAD, $m0
          ld64putcs 0
          br     $lr
        .size sup, .-sup
        .allow_optimizations
        .worker
        worker: { f16v4hihoamp $a0, $azeros, $azero, TAMP_F16V4_E4_P2
                  nop }
          exitnz $mzero
        """.replace("\n        ", "\n")
    )
    plain = assemble(
        text="""
        .supervisor
        setzi $m1, worker
        add $m2, $m0, 0
        runall $m1, $m0, 0
        sync 2
        put 80, $m0
        ld64putcs 0
        br $m10
        .worker
        worker: { nop ; f16v4hihoamp $a0, $a14:15, $a15, 8 }
        exitnz $m15
        """
    )
    assert code.words.tolist() == plain.words.tolist()


def test_every_shipped_header_stands_alone() -> None:
    names = [path.relative_to(INCLUDE_DIRECTORY).as_posix() for path in INCLUDE_DIRECTORY.rglob("*.h*")]
    assert set(names) >= {
        "poplar/AvailableVTypes.h",
        "poplar/TileConstants.hpp",
        "poplar/StackSizeDefs.hpp",
        "arch/gc_tile_defines.h",
    }
    for name in names:
        for architecture in ("ipu1", "ipu2", "ipu21"):
            assert (
                assemble(text=f"#include <{name}>\n#include <{name}>\nnop\n", architecture=architecture).words.size == 1
            )


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("ipu1", [0x40000, 0xFFF, 1, 1, 32, 258, 0]),
        ("ipu2", [0x4C000, 0xFFFF, 2, 2, 0, 258, 1]),
        ("ipu21", [0x4C000, 0xFFFF, 2, 21, 0, 258, 1]),
    ],
)
def test_constants_depend_on_the_architecture(architecture: str, expected: list[int]) -> None:
    text = """
    #include <poplar/TileConstants.hpp>
    #include <poplar/AvailableVTypes.h>
    #ifdef VECTOR_AVAIL_SCALED_PTR32
    #define PTR 32
    #else
    #define PTR 0
    #endif
    .data
    .word TMEM_REGION0_BASE_ADDR, CSR_W_REPEAT_COUNT__VALUE__MASK, TFPU_NUM_AMP_SETS, __IPU_ARCH_VERSION__, PTR
    .word CSR_W_FP_CTL__INDEX, (CSR_S_SSR__RAERR__SHIFT + TEXCPT_FP) * 0 + (__IPU_ARCH_VERSION__ > 1)
    """.replace("\n    ", "\n")
    words = assemble(text=text, architecture=architecture).words.tolist()
    words[-1] &= 1  # GNU's true is -1
    assert words == expected


def test_generated_header_has_fields_and_private_flags() -> None:
    values = {name: int(value, 0) for name, value in re.findall(r"#define (\w+) (\S+)", generated_header("ipu21"))}
    # Public values of the published header, written down by hand.
    public = {
        "CSR_W_WSR__CTXTID_M1__MASK": 7,
        "CSR_W_WSR__ETYPE__SHIFT": 4,
        "CSR_W_FP_CTL__ESR__SHIFT": 19,
        "CSR_W_FP_CTL__NANOO__SHIFT": 20,
        "CSR_W_FP_CTL__RND__MASK": 7,
        "CSR_W_TAS__F16_16__SHIFT": 16,
        "CSR_W_VERTEX_BASE__ADDR__SHIFT": 2,
        "CSR_W_FP_SCL__INDEX": 266,
        "CSR_S_FP_INFMT__INDEX": 49,
        "CSR_C_PC__INDEX": 0,
    }
    assert {name: values[name] for name in public} == public
    assert {name: values[name] for name in PRIVATE_FLAGS} == PRIVATE_FLAGS
    assert values["CTXT_WORKERS"] == load_chip("ipu21").worker_contexts


def test_chip_gives_architecture_and_base() -> None:
    assert assemble(text="nop", chip="gc2").base == 0x40000
    assert assemble(text="nop", chip=load_chip("bow")).base == 0x4C000
    with pytest.raises(AssemblyError, match="needs ipu21"):
        assemble(text="ldb8 $a0, $m0, $m15, 0", chip="bow")


def test_own_headers_come_before_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "poplar").mkdir()
    (tmp_path / "poplar" / "TileConstants.hpp").write_text("#define CTXT_WORKERS 4\nbad header\n")
    source = tmp_path / "k.S"
    source.write_text('#include "poplar/TileConstants.hpp"\n')
    with pytest.raises(AssemblyError, match=r"poplar/TileConstants\.hpp:2: unknown instruction `bad`"):
        assemble(source)


def test_forms_seen_in_public_sources() -> None:
    """One of each: empty macro arguments, names pasted over parameters, arguments that carry a comma, labels 7b."""
    code = assemble(
        text=r"""
#include "poplar/StackSizeDefs.hpp"
#include "poplar/TileConstants.hpp"
#define SYMBOL(KIND) \
  __run ## KIND ## _\TYPE\()_end
#define ENTRY(kind, n) __entry_ ## kind ## _ ## n
#define STACK (4 + 8)
#define VALUE a4
.macro APPLY OP EXTRA
  { nop
    \OP $VALUE, $a0 \EXTRA };
.endm
.macro ALIGNED_RPT COUNT
  .if ( . - 7b ) & 0x7
    rpt \COUNT, (7f - 6f) / 8 - 1;
  .else
    {rpt \COUNT, (7f - 6f) / 8 - 1; fnop}
  .endif
6:
.endm
.macro MAKE TYPE OP EXTRA=""
DEF_STACK_USAGE (STACK) SYMBOL()
DEF_STACK_USAGE STACK SYMBOL(InPlace)
.section .text.SYMBOL()
.type SYMBOL() @function
.align 8
7:
SYMBOL():
  ALIGNED_RPT $m0
  APPLY \OP "\EXTRA"
7:
  nop
  ALIGNED_RPT $m0
  APPLY \OP "\EXTRA"
7:// the end
.if NUM_WORKERS == 4
  .error "four"
.elseif NUM_WORKERS == 8 || NUM_WORKERS == 6
  exitz $mzero
.endif // NUM_WORKERS
  ld64 $VALUE:5, $m1, $m2
  .size SYMBOL(), \
    . - SYMBOL()
.endm
MAKE half f16v2tanh
MAKE float f32max ",$azero"
.section .text.ENTRY(half, 2), "ax"
ENTRY(half, 2): ldconst $m1, (1 << 24) - 1
  or $m2, $mzero, ~((1 << 24) - 1)
"""
    )
    loop = "{ rpt $m0, 0 ; fnop }\n{ nop ; %s }\nnop\nrpt $m0, 0\n{ nop ; %s }\nexitz $m15\n"
    loop += "ld64 $a4:5, $m1, $m15, $m2\n.align 8\n"
    plain = "".join(loop % (body, body) for body in ("f16v2tanh $a4, $a0", "f32max $a4, $a0, $a15"))
    plain += "setzi $m1, 0xfffff\nor $m1, $m1, 0xf00000\nor $m2, $m15, 0xff000000\n"
    assert code.words[code.words != 0].tolist() == [w for w in assemble(text=plain).words.tolist() if w]
    assert {"__run_half_end", "__run_float_end", "__entry_half_2"} <= set(code.symbols)


def test_output_of_a_compiler() -> None:
    code = assemble(
        text="""
#include "arch/gc_tile_defines.h"
\t.text
\t.allow_optimizations
\t.file\t"codelet.cpp"
\t.section\t.text.__runCodelet_V,"ax",@progbits
\t.globl\t__runCodelet_V         # -- Begin function __runCodelet_V
\t.p2align\t2
\t.type\t__runCodelet_V,@function
__runCodelet_V:                # @__runCodelet_V
.Lfunc_begin0:
\t.cfi_startproc
\t.loc\t1 3 0 prologue_end              # codelet.cpp:3:0
# %bb.0:                                # isn't
\tbrz $m0, .LBB0_3
\t#APP
\tadd $m0, $m0, 1
\t#NO_APP
.LBB0_3:
\t{
\tadd $m1, $m1, 4
\tf32add $a0, $a0, $a1
\t}
\texitz $m15
.Lfunc_end0:
\t.size\t__runCodelet_V, .Lfunc_end0-__runCodelet_V
\t.cfi_endproc
\t.section\t".note.GNU-stack","",@progbits
\t.section\t.stack_sizes,"o",@progbits,.text.__runCodelet_V
\t.long\t.Lfunc_begin0
\t.byte\t0
\t.section\t.debug_str,"MS",@progbits,1
\t.asciz\t"a compiler"
\t.ident\t"it"
\t.addrsig
"""
    )
    plain = "brz $m0, l\nadd $m0, $m0, 1\nl: { add $m1, $m1, 4 ; f32add $a0, $a0, $a1 }\nexitz $m15\n"
    assert code.words.tolist() == assemble(text=plain).words.tolist()

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

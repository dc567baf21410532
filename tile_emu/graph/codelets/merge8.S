// merge8: DST[TABLE[i]] = SRC[i] where MASK[i] has ones, and stays where it has zeros; blocks of 8 bytes.
//
// Entry      graph_merge8
//
// Layout     SRC [blocks] and MASK [blocks] of 8 bytes, DST anywhere, all 8-byte aligned
//            TABLE [blocks] u16, 2-byte aligned: number of the block, counted from DST; no block twice
//
// Vertex state, 30 words: six worker records of 5 words
//              SRC, TABLE   byte addresses of the worker's first block and entry
//              DST          byte address that the table counts from
//              BLOCKS       blocks of this worker, 0..4095
//              MASK         byte address of the worker's first mask
//
// Turns of a worker: 7 + 7 blocks.

#define ENTRY graph_merge8
#define RECORD 5

.globl graph_merge8
#include "launch.inc"

.worker
.align 8
worker:
    { ld32 $m4, $mvertex_base, $mzero, 3; fnop }
    ld32 $m0, $mvertex_base, $mzero, 0
    ld32 $m1, $mvertex_base, $mzero, 1
    ld32 $m2, $mvertex_base, $mzero, 2
    ld32 $m5, $mvertex_base, $mzero, 4
    { rpt $m4, 6; fnop }
    { ldz16step $m3, $mzero, $m1+=, 1; fnop }
    { ld64step $a0:1, $mzero, $m0+=, 1; fnop }
    { ld64step $a2:3, $mzero, $m5+=, 1; fnop }
    { ld64 $a4:5, $m2, $mzero, $m3; and64 $a0:1, $a0:1, $a2:3 }
    { nop; andc64 $a4:5, $a4:5, $a2:3 }
    { nop; or64 $a0:1, $a0:1, $a4:5 }
    { st64 $a0:1, $m2, $mzero, $m3; fnop }
    exitz $mzero

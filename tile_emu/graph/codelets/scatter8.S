// scatter8: DST[TABLE[i]] = SRC[i], blocks of 8 bytes.
//
// Entry      graph_scatter8
//
// Layout     SRC [blocks] of 8 bytes, DST anywhere, both 8-byte aligned
//            TABLE [blocks] u16, 2-byte aligned: number of the block, counted from DST
//
// Vertex state, 24 words: six worker records of 4 words
//              SRC, TABLE   byte addresses of the worker's first block and entry
//              DST          byte address that the table counts from
//              BLOCKS       blocks of this worker, 0..4095
//
// Turns of a worker: 6 + 3 blocks.

#define ENTRY graph_scatter8
#define RECORD 4

.globl graph_scatter8
#include "launch.inc"

.worker
.align 8
worker:
    ld32 $m4, $mvertex_base, $mzero, 3
    ld32 $m0, $mvertex_base, $mzero, 0
    ld32 $m1, $mvertex_base, $mzero, 1
    ld32 $m2, $mvertex_base, $mzero, 2
    { rpt $m4, 2; fnop }
    { ldz16step $m3, $mzero, $m1+=, 1; fnop }
    { ld64step $a0:1, $mzero, $m0+=, 1; fnop }
    { st64 $a0:1, $m2, $mzero, $m3; fnop }
    exitz $mzero

// copy8: contiguous 8-byte blocks.
//
// Entry      graph_copy8
//
// Layout     SRC and DST [blocks] of 8 bytes, 8-byte aligned, in different SRAM elements: a block is stored in the
//            bundle that loads the next one.
//
// Vertex state, 18 words: six worker records of 3 words
//              SRC, DST   byte addresses of the worker's first block
//              BLOCKS     blocks of this worker, 0..4096
//
// Turns of a worker: 10 + blocks (without blocks 5).

#define ENTRY graph_copy8
#define RECORD 3

.globl graph_copy8
#include "launch.inc"

.worker
.align 8
worker:
    ld32 $m4, $mvertex_base, $mzero, 2
    ld32 $m2, $mvertex_base, $mzero, 0
    ld32 $m3, $mvertex_base, $mzero, 1
    brz $m4, done
    add $m4, $m4, -1
    ld64step $a0:1, $mzero, $m2+=, 1
    tapack $m0:1, $m2, $m2, $m3
    nop
    { rpt $m4, 0; fnop }
    { ldst64pace $a0:1, $a0:1, $m0:1+=, $mzero, 0; fnop }
    st64pace $a0:1, $m0:1+=, $mzero, 0
done:
    exitz $mzero

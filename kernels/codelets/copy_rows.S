// copy_rows: rows of 32-byte units from one place of a tile to another, their pitches free.
//
// Entry      copy_rows
//
// Layout     SRC, DST 8-byte aligned, in different SRAM elements: a bundle loads from SRC and stores to DST.
//
// Vertex state, 36 words: six worker records of 6 words
//              SRC, DST   byte addresses of the worker's part of the first row
//              PAIRS      16-byte pieces of the worker's part of a row, at least 1
//              ROWS       rows - 1; negative: nothing to do
//              SPITCH     bytes from row to row of SRC
//              DPITCH     the same of DST
//
// Over-reads 8 bytes behind the worker's part of every row of SRC.
//
// Turns of a worker: 8 + rows (7 + 2 PAIRS), or 4 with nothing to do. Vertex: 6 times the most + launch
// (planner/cost.py).

#define RECORD 6

.globl copy_rows
.supervisor
.align 8
copy_rows:
    setzi $m1, worker
    runall $m1, $m0, RECORD
    sync 2
    br $m10

.worker
.align 8
worker:
    ld32 $m3, $mvertex_base, $mzero, 3
    ld32 $m0, $mvertex_base, $mzero, 0
    brneg $m3, done
    ld32 $m1, $mvertex_base, $mzero, 1
    ld32 $m2, $mvertex_base, $mzero, 2
    ld32 $m4, $mvertex_base, $mzero, 4
    { ld32 $m5, $mvertex_base, $mzero, 5; fnop }
row:
    ld64 $a0:1, $m0, $mzero, 0
    add $m8, $m0, 8
    { tapack $m6:7, $m8, $mzero, $m1; fnop }
    { rpt $m2, 1; fnop }
    { ldst64pace $a2:3, $a0:1, $m6:7+=, $mzero, 0; fnop }
    { ldst64pace $a0:1, $a2:3, $m6:7+=, $mzero, 0; fnop }
    add $m0, $m0, $m4
    add $m1, $m1, $m5
    brnzdec $m3, row
done:
    exitz $mzero

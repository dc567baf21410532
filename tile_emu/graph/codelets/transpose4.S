// transpose4: 4 x 4 tiles of 16-bit elements, transposed in the accumulators.
//
// Entry      graph_transpose4
//
// Layout     A tile is 4 source rows of 8 bytes, SOURCE_PITCH apart, and becomes 4 rows of 8 bytes, DEST_PITCH apart;
//            rows are 8-byte aligned, pitches multiples of 8 and may be negative. Element c of source row r becomes
//            element r of destination row c; its bits do not change.
//            TABLE [tiles][2] u16, 2-byte aligned: first row of the tile in blocks of 8 bytes, from SRC and from DST on.
//            One entry past the worker's last is read. Destinations do not overlap sources.
//
// Vertex state, 36 words: six worker records of 6 words
//              SRC, SOURCE_PITCH, DST, DEST_PITCH    bytes
//              TABLE    byte address of the worker's first entry
//              TILES    tiles of this worker, 0..4095
//
// Turns of a worker: 20 + 10 tiles (without tiles 5).
//
// The last two columns of a tile leave the accumulators when the next tile goes in. In the first pass these are what
// was there before; they go where the second pass puts the right ones.

#define ENTRY graph_transpose4
#define RECORD 6

.globl graph_transpose4
#include "launch.inc"

.worker
.align 8
worker:
    { ld32 $m11, $mvertex_base, $mzero, 5; fnop }
    ld32 $m0, $mvertex_base, $mzero, 0
    ld32 $m3, $mvertex_base, $mzero, 1
    brz $m11, done
    add $m1, $m0, $m3
    add $m2, $m1, $m3
    add $m3, $m2, $m3
    ld32 $m4, $mvertex_base, $mzero, 2
    ld32 $m7, $mvertex_base, $mzero, 3
    add $m5, $m4, $m7
    add $m6, $m5, $m7
    add $m7, $m6, $m7
    ld32 $m8, $mvertex_base, $mzero, 4
    ldz16step $m9, $mzero, $m8+=, 1
    ldz16 $m10, $m8, $mzero, 0
    { rpt $m11, 9; fnop }
    { ld64 $a0:1, $m0, $mzero, $m9; fnop }
    { ld64 $a2:3, $m1, $mzero, $m9; fnop }
    { ld64 $a4:5, $m2, $mzero, $m9; f16v4istacc $a0:1, $a0:1, $a2:3, TISTACC_P0 }
    { ld64 $a6:7, $m3, $mzero, $m9; fnop }
    { st64 $a0:1, $m6, $mzero, $m10; f16v4istacc $a2:3, $a4:5, $a6:7, TISTACC_P1 }
    { st64 $a2:3, $m7, $mzero, $m10; f16v4stacc $a4:5, TSTACC_P0 }
    { ldz16step $m10, $mzero, $m8+=, 1; f16v4stacc $a6:7, TSTACC_P1 }
    { st64 $a4:5, $m4, $mzero, $m10; fnop }
    { st64 $a6:7, $m5, $mzero, $m10; fnop }
    { ldz16step $m9, $mzero, $m8+=, 1; fnop }
    { nop; f16v4istacc $a0:1, $azeros, $azeros, TISTACC_P0 }
    { st64 $a0:1, $m6, $mzero, $m10; f16v4istacc $a2:3, $azeros, $azeros, TISTACC_P1 }
    st64 $a2:3, $m7, $mzero, $m10
done:
    exitz $mzero

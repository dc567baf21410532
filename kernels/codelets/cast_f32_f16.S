// cast_f32_f16: OUT = IN rounded to f16 (to nearest even; beyond the range by the mode in FP_CTL).
//
// Entry      cast_f32_f16
//
// Layout     IN  [quads][4] f32, 16-byte aligned, interleaved region (128-bit loads)     OUT [quads][4] f16, 8-byte aligned
//
// Vertex state, 18 words: six worker records of 3 words
//              IN, OUT   byte addresses of the worker's first quad
//              QUADS     quads of this worker - 1; negative: nothing to do
//
// Turns of a worker: 5 without quads, otherwise 8 + 2 quads. Vertex: 6 times the most + launch (planner/cost.py).

#define RECORD 3

.globl cast_f32_f16
.supervisor
.align 8
cast_f32_f16:
    setzi $m1, worker
    runall $m1, $m0, RECORD
    sync 2
    br $m10

.worker
.align 8
worker:
    ld32 $m2, $mvertex_base, $mzero, 2
    ld32 $m0, $mvertex_base, $mzero, 0
    ld32 $m1, $mvertex_base, $mzero, 1
    brneg $m2, done
    ld128step $a0:3, $mzero, $m0+=, 1
    nop
    { rpt $m2, 1; fnop }
    { ld128step $a0:3, $mzero, $m0+=, 1; f32v4tof16 $a4:5, $a0:3 }
    { st64step $a4:5, $mzero, $m1+=, 1; fnop }
    f32v4tof16 $a4:5, $a0:3
    st64step $a4:5, $mzero, $m1+=, 1
done:
    exitz $mzero

// cast_f16_f32: OUT = IN widened to f32, exactly.
//
// Entry      cast_f16_f32
//
// Layout     IN  [quads][4] f16, 8-byte aligned      OUT [quads][4] f32, 8-byte aligned
//
// Vertex state, 18 words: six worker records of 3 words
//              IN, OUT   byte addresses of the worker's first quad
//              QUADS     quads of this worker - 1; negative: nothing to do
//
// Turns of a worker: 5 without quads, otherwise 7 + 3 quads. Vertex: 6 times the most + launch (planner/cost.py).

#define RECORD 3

.globl cast_f16_f32
.supervisor
.align 8
cast_f16_f32:
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
    ld64step $a0:1, $mzero, $m0+=, 1
    f16v2tof32 $a2:3, $a0
    { rpt $m2, 2; fnop }
    { st64step $a2:3, $mzero, $m1+=, 1; f16v2tof32 $a4:5, $a1 }
    { ld64step $a0:1, $mzero, $m0+=, 1; fnop }
    { st64step $a4:5, $mzero, $m1+=, 1; f16v2tof32 $a2:3, $a0 }
    { st64step $a2:3, $mzero, $m1+=, 1; f16v2tof32 $a4:5, $a1 }
    st64step $a4:5, $mzero, $m1+=, 1
done:
    exitz $mzero

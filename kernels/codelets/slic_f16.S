// slic_f16: C[p][o] = sum over windows v, columns t < 4, inputs i < 4 of x[p + shift_v + t][i] w[v][t][o][i], f16 in, f16
// partial sums and results, 4 inputs and 4 outputs: depthwise and grouped convolutions with few channels.
// Two AMP sets (ipu2 and later): 64 products per position and window in one turn.
//
// Entry      slic_f16
//
// Layout     X    planes of [positions][4 inputs] f16, anywhere (multiple of 8 bytes), also overlapping: a window reads
//                 the three positions behind each position too
//            W    [windows][4 columns][4 outputs][4 inputs] f16, in launch order; 16-byte aligned
//            OUT  [positions][4 outputs] f16; 16-byte aligned, interleaved region, no SRAM element shared with X
//
// Vertex state, 20 + 6 (windows - 1) words: six worker records of 3 words
//              X      byte address of the worker's first position, first window
//              OUT    byte address of the worker's first position, a multiple of 16
//              PAIRS  n / 2 - 1. n = positions of this worker, even, at least 2
//            then
//              WEIGHTS  byte address of W
//              LATER    windows - 2; -1 for a single one
//            and for every later window six byte addresses, of the workers' first positions.
//
// Over-reads X up to 5 positions and OUT up to 5 positions behind the worker's last.
//
// Pipeline   SLIC number j takes input j, pushes the partials of position j and delivers the sums of position j - 4. Bundle
//            j loads input and partials j + 1 and stores the sums of position j - 6, so that the two accesses to OUT
//            differ in address bit 3. What the four stages hold from before leaves with the first four results.
//
// Turns of a worker: n + 14 in the first launch, n + 12 in the others. Cycles of the vertex: kernels/planner/cost.py.

#define RECORD 3
#define WORD_WEIGHTS 18
#define WORD_LATER 19
#define WORD_PLANES 20
#define PLANE_BYTES 24

#define LOAD_WEIGHTS \
    ld64putcs 24; ld64putcs 28; ld64putcs 56; ld64putcs 60; ld64putcs 16; ld64putcs 20; ld64putcs 48; ld64putcs 52; \
    ld64putcs 8; ld64putcs 12; ld64putcs 40; ld64putcs 44; ld64putcs 0; ld64putcs 4; ld64putcs 32; ld64putcs 36;

#define SLIC f16v4hihov4slic
#define W0 TSLIC_F16V4_1x4_W0
#define KEEP_A1 0b0100          // ld2x64pace with $mzero: A1 does not move

#define FILL(out) { ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0; SLIC out, $a0:1, $a2:3, W0 }
#define FLOW(out) { ld2xst64pace $a0:3, out, $m0:1+=, $mzero, 0; SLIC out, $a0:1, $a2:3, W0 }
#define FILL_ZERO(out) { ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, KEEP_A1; SLIC out, $a0:1, $azeros, W0 }
#define FLOW_ZERO(out) { ldst64pace $a0:1, out, $m0:1+=, $mzero, 0; SLIC out, $a0:1, $azeros, W0 }

.globl slic_f16
.supervisor
.align 8
slic_f16:
    ld32 $m2, $m0, $mzero, WORD_WEIGHTS
    ld32 $m1, $m0, $mzero, WORD_LATER
    setzi $m5, worker_first
    setzi $m6, worker_next
    put $CCCSLOAD, $m2
    add $m2, $m0, 4 * WORD_PLANES
    LOAD_WEIGHTS
    runall $m5, $m0, RECORD
    brneg $m1, finished
later:
    sync 2
    LOAD_WEIGHTS
    runall $m6, $m2, 1
    add $m2, $m2, PLANE_BYTES
    brnzdec $m1, later
finished:
    sync 2
    br $m10

.worker
.align 8
worker_next:
    ld32 $m3, $mvertex_base, $mzero, 0
    tapack $m0:1, $m3, $m9, $m9
    ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0
    nop
    FILL($a4:5)
    FILL($a6:7)
    FILL($a4:5)
    FILL($a6:7)
    FILL($a4:5)
    FILL($a6:7)
    { rpt $m7, 1; fnop }
    FLOW($a4:5)
    FLOW($a6:7)
    st64pace $a4:5, $m0:1+=, $mzero, 0
    st64pace $a6:7, $m0:1+=, $mzero, 0
    exitz $mzero

.align 8
worker_first:
    ld32 $m3, $mvertex_base, $mzero, 0
    ld32 $m9, $mvertex_base, $mzero, 1
    ld32 $m7, $mvertex_base, $mzero, 2
    tapack $m0:1, $m3, $m9, $m9
    ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, KEEP_A1
    nop
    FILL_ZERO($a4:5)
    FILL_ZERO($a6:7)
    FILL_ZERO($a4:5)
    FILL_ZERO($a6:7)
    FILL_ZERO($a4:5)
    FILL_ZERO($a6:7)
    { rpt $m7, 1; fnop }
    FLOW_ZERO($a4:5)
    FLOW_ZERO($a6:7)
    st64pace $a4:5, $m0:1+=, $mzero, 0
    st64pace $a6:7, $m0:1+=, $mzero, 0
    exitz $mzero

// matmul_f32_gc2: C[p][o] (+)= sum over i of x[p][i] w[o][i], all f32, 8 outputs at a time.
// One AMP set (ipu1): 8 inputs x 8 outputs per position in 8 turns, 8 MAC per cycle.
//
// Entries    matmul_f32_gc2_zero: out groups start from zero. matmul_f32_gc2_acc: they add to the partials in OUT.
//
// Layout     X    planes of [positions][8 inputs] f32, anywhere (multiple of 8 bytes), also overlapping
//            W    [out groups][planes][8 outputs][8 inputs] f32, i.e. contiguous in launch order; 16-byte aligned,
//                 interleaved region
//            OUT  [out groups][positions][8 outputs] f32; 16-byte aligned, no SRAM element shared with X
//
// Vertex state: as matmul_f16.S, with 4 chunks (pairs of f32 outputs) per position: TAIL = 32 n - 40,
// WRAP = (-(4 n - 1)) & 0x3ff. 4 <= n <= 128 positions per worker.
//
// Over-reads Each launch reads 8 bytes of X past the worker's positions: X needs 8 bytes behind its last plane.
//
// Pipeline   As matmul_f16.S, but only the AMP instructions of even phases move partials and results: a pair of them
//            (2t, 2t+1) pushes chunk t + 4 and delivers chunk t - 4. Even bundles store chunk t - 5; odd bundles load a pair
//            of inputs and chunk t + 5.
//
// Turns of a worker: init 7 (6 for acc) + first without its first 2; first 8 n + 15 (zero) or 8 n + 20 (acc);
// next 8 n + 5; finish 6. Cycles of the vertex: kernels/planner/cost.py.

#define SUP(name) matmul_f32_gc2_##name
#define LOAD_WEIGHTS \
    ld128putcs 0; ld128putcs 2; ld128putcs 4; ld128putcs 6; ld128putcs 8; ld128putcs 10; ld128putcs 12; ld128putcs 14; \
    ld128putcs 16; ld128putcs 18; ld128putcs 20; ld128putcs 22; ld128putcs 24; ld128putcs 26; ld128putcs 28; ld128putcs 30;

#define P0 TAMP_F32_E4_P0
#define P1 TAMP_F32_E4_P1
#define P2 TAMP_F32_E4_P2
#define P3 TAMP_F32_E4_P3
#define P4 TAMP_F32_E4_P4
#define P5 TAMP_F32_E4_P5
#define P6 TAMP_F32_E4_P6
#define P7 TAMP_F32_E4_P7
#define AMP f32sisoamp
#define STAY_A1 0b0100          // ld2x64pace with $mzero: A1 does not move
#define STAY_A0 0b0001          // ld2x64pace with $mzero: A0 does not move
#define WRAP_IN 0b0100          // ld2x64pace with $m2: A1 goes back to chunk 0
#define WRAP_OUT 0b01           // st64pace with $m2: A2 goes back to chunk 0

// Registers as in amp_stream4.inc, but $a0:1 a pair of inputs, $a4:5 results, $a6:7 a sink.
#define EVEN(selectors, phase) { st64pace $a4:5, $m0:1+=, $m2, selectors; AMP $a4:5, $a0, $a2:3, phase }
#define ODD(selectors, phase)  { ld2x64pace $a0:1, $a2:3, $m0:1+=, $m2, selectors; AMP $a6:7, $a1, $azeros, phase }
#define ZERO_EVEN(phase)       { st64pace $a4:5, $m0:1+=, $mzero, 0; AMP $a4:5, $a0, $azeros, phase }
#define ZERO_ODD(phase)        { ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1; AMP $a6:7, $a1, $azeros, phase }
#define DRAIN(phase)           { st64pace $a4:5, $m0:1+=, $mzero, 0; AMP $a4:5, $azero, $azeros, phase }
#define X_EVEN(phase)          { nop; AMP $a4:5, $a0, $azeros, phase }
#define X_ODD(phase)           { ld64step $a0:1, $mzero, $m8+=, 1; AMP $a6:7, $a1, $azeros, phase }
#define IN_EVEN(phase)         { nop; AMP $a4:5, $a0, $a2:3, phase }
#define PUSH(phase)            { st64pace $a4:5, $m0:1+=, $mzero, 0; AMP $a4:5, $azero, $a2:3, phase }
#define PUSH_IN(phase)         { nop; AMP $a4:5, $azero, $a2:3, phase }
#define GET_IN(phase)          { ld2x64pace $azeros, $a2:3, $m0:1+=, $mzero, STAY_A0; AMP $a6:7, $azero, $azeros, phase }

#define INIT \
    { ld32 $m11, $mvertex_base, $mzero, 0; setzi $a0, 8 } \
    { ld32 $m9, $mvertex_base, $mzero, 1; uput $FP_CLR, $a0 } \
    { ld32 $m10, $mvertex_base, $mzero, 2; zero $a4:5 } \
    ld32 $m2, $mvertex_base, $mzero, 3; \
    ld32 $m7, $mvertex_base, $mzero, 4;

.globl matmul_f32_gc2_zero
.globl matmul_f32_gc2_acc
#include "amp_supervisor.inc"

.worker
.align 8
worker_next:
    { ld32 $m3, $mvertex_base, $mzero, 0; fnop }    // a bundle, so that the body of rpt is aligned
    tapack $m0:1, $m3, $m5, $m6
    ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1
    EVEN(0, P0)
    ODD(0, P1)
    EVEN(0, P2)
    ODD(0, P3)
    EVEN(0, P4)
    ODD(0, P5)
    EVEN(0, P6)
    ODD(0, P7)
    EVEN(WRAP_OUT, P0)
    ODD(0, P1)
next_10:
    EVEN(0, P2)
    ODD(0, P3)
    EVEN(0, P4)
    ODD(0, P5)
    EVEN(0, P6)
    ODD(0, P7)
    { rpt $m7, 7; fnop }
    EVEN(0, P0)
    ODD(0, P1)
    EVEN(0, P2)
    ODD(0, P3)
    EVEN(0, P4)
    ODD(0, P5)
    EVEN(0, P6)
    ODD(0, P7)
    EVEN(0, P0)
    ODD(0, P1)
    EVEN(0, P2)
    ODD(0, P3)
    EVEN(0, P4)
    ODD(WRAP_IN, P5)
    EVEN(0, P6)
    ODD(0, P7)
    EVEN(0, P0)
    ODD(0, P1)
    EVEN(0, P2)
    ODD(0, P3)
    EVEN(0, P4)
    ODD(0, P5)
    EVEN(0, P6)
    ODD(0, P7)
    exitz $mzero

.align 8
worker_init:                    // the stores of the first bundles put zeros into chunks that are written again later
    INIT
    add $m6, $m9, $m10
    bri first
.align 8
worker_first:
    ld32 $m8, $mvertex_base, $mzero, 5
    add $m9, $m9, $m8
first:
    tapack $m0:1, $mzero, $mzero, $m6
    mov $m8, $m11
    DRAIN(P0)                   // x = 0: the even phases alone move everything
    DRAIN(P2)
    DRAIN(P4)
    DRAIN(P6)
    { st64pace $a4:5, $m0:1+=, $mzero, 0; fnop }
    { ld64step $a0:1, $mzero, $m8+=, 1; fnop }
    X_EVEN(P0)
    X_ODD(P1)
    X_EVEN(P2)
    X_ODD(P3)
    X_EVEN(P4)
    X_ODD(P5)
    X_EVEN(P6)
    X_ODD(P7)
    X_EVEN(P0)
    X_ODD(P1)
    tapack $m0:1, $m8, $m9, $m9
    add $m5, $m9, 40
    ZERO_EVEN(P2)
    ZERO_ODD(P3)
    ZERO_EVEN(P4)
    ZERO_ODD(P5)
    ZERO_EVEN(P6)
    ZERO_ODD(P7)
    { rpt $m7, 7; fnop }
    ZERO_EVEN(P0)
    ZERO_ODD(P1)
    ZERO_EVEN(P2)
    ZERO_ODD(P3)
    ZERO_EVEN(P4)
    ZERO_ODD(P5)
    ZERO_EVEN(P6)
    ZERO_ODD(P7)
    ZERO_EVEN(P0)
    ZERO_ODD(P1)
    ZERO_EVEN(P2)
    ZERO_ODD(P3)
    ZERO_EVEN(P4)
    ZERO_ODD(P5)
    ZERO_EVEN(P6)
    ODD(0, P7)
    EVEN(0, P0)
    ODD(0, P1)
    EVEN(0, P2)
    ODD(0, P3)
    EVEN(0, P4)
    ODD(0, P5)
    EVEN(0, P6)
    ODD(0, P7)
    add $m6, $m9, $m10
    exitz $mzero

.align 8
worker_init_acc:                // like first_acc, but there is no older result to store
    INIT
    tapack $m0:1, $m11, $m9, $m9
    ld2x64pace $azeros, $a2:3, $m0:1+=, $mzero, STAY_A0
    PUSH_IN(P0)
    GET_IN(P1)
    PUSH_IN(P2)
    GET_IN(P3)
    PUSH_IN(P4)
    GET_IN(P5)
    PUSH_IN(P6)
    { ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0; AMP $a6:7, $azero, $azeros, P7 }
    IN_EVEN(P0)
    bri first_acc_1
worker_first_acc:
    ld32 $m8, $mvertex_base, $mzero, 5
    add $m9, $m9, $m8
first_acc:
    tapack $m0:1, $m11, $m9, $m6
    ld2x64pace $azeros, $a2:3, $m0:1+=, $mzero, STAY_A0
    PUSH(P0)
    GET_IN(P1)
    PUSH(P2)
    GET_IN(P3)
    PUSH(P4)
    GET_IN(P5)
    PUSH(P6)
    { ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0; AMP $a6:7, $azero, $azeros, P7 }
    EVEN(0, P0)
first_acc_1:
    ODD(0, P1)
    IN_EVEN(P2)
    ODD(0, P3)
    IN_EVEN(P4)
    ODD(0, P5)
    IN_EVEN(P6)
    ODD(0, P7)
    IN_EVEN(P0)
    ODD(0, P1)
    add $m3, $m11, 48
    add $m5, $m9, 80
    tapack $m0:1, $m3, $m5, $m9
    add $m5, $m9, 40
    add $m6, $m9, $m10
    bri next_10

.align 8
worker_finish:
    DRAIN(P0)
    DRAIN(P2)
    DRAIN(P4)
    DRAIN(P6)
    st64pace $a4:5, $m0:1+=, $mzero, 0
    exitz $mzero

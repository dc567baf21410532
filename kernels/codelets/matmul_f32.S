// matmul_f32: C[p][o] (+)= sum over i of x[p][i] w[o][i], all f32, 16 outputs at a time.
// Two AMP sets (ipu2 and later): 8 inputs x 16 outputs per position in 8 turns, 16 MAC per cycle.
//
// Entries    matmul_f32_zero: out groups start from zero. matmul_f32_acc: they add to the partials in OUT.
//
// Layout     X    planes of [positions][8 inputs] f32, anywhere (multiple of 8 bytes), also overlapping
//            W    [out groups][planes][16 outputs][8 inputs] f32, i.e. contiguous in launch order; 16-byte aligned,
//                 interleaved region
//            OUT  [out groups][positions][16 outputs] f32; 16-byte aligned, interleaved region, no SRAM element shared
//                 with X
//
// Vertex state: as matmul_f16.S, with 8 chunks (pairs of f32 outputs) per position: TAIL = 64 n - 80,
// WRAP = (-(8 n - 1)) & 0x3ff. 4 <= n <= 64 positions per worker.
//
// Over-reads Each launch reads 8 bytes of X past the worker's positions: X needs 8 bytes behind its last plane.
//
// Pipeline   As matmul_f16.S: AMP i = 8 position + phase takes scalar i, pushes chunk i + 8, delivers chunk i - 8. Bundle
//            i loads chunk i + 9 and stores chunk i - 10; odd bundles load a pair of inputs as well.
//
// Turns of a worker: init 7 (6 for acc) + first without its first 2; first 8 n + 17 (zero) or 8 n + 20 (acc);
// next 8 n + 5; finish 11. Cycles of the vertex: kernels/planner/cost.py.

#define SUP(name) matmul_f32_##name
#define LOAD_WEIGHTS \
    ld128putcs 0; ld128putcs 2; ld128putcs 4; ld128putcs 6; ld128putcs 32; ld128putcs 34; ld128putcs 36; ld128putcs 38; \
    ld128putcs 8; ld128putcs 10; ld128putcs 12; ld128putcs 14; ld128putcs 40; ld128putcs 42; ld128putcs 44; ld128putcs 46; \
    ld128putcs 16; ld128putcs 18; ld128putcs 20; ld128putcs 22; ld128putcs 48; ld128putcs 50; ld128putcs 52; ld128putcs 54; \
    ld128putcs 24; ld128putcs 26; ld128putcs 28; ld128putcs 30; ld128putcs 56; ld128putcs 58; ld128putcs 60; ld128putcs 62;

#define P0 TAMP_F32_E4_P0
#define P1 TAMP_F32_E4_P1
#define P2 TAMP_F32_E4_P2
#define P3 TAMP_F32_E4_P3
#define P4 TAMP_F32_E4_P4
#define P5 TAMP_F32_E4_P5
#define P6 TAMP_F32_E4_P6
#define P7 TAMP_F32_E4_P7
#define AMP f32sisov2amp
#define STAY_A1 0b0100          // ld2x64pace with $mzero: A1 does not move
#define STAY_A0 0b0001          // ld2x64pace with $mzero: A0 does not move
#define WRAP_IN 0b0001          // ldst64pace with $m2: A0 goes back to chunk 0
#define WRAP_OUT 0b010000       // ld2xst64pace with $m2: A2 goes back to chunk 0
#define HOLD_IN 0b000011        // ld2xst64pace with $m2: A0 does not move (field 2 is 0)

// Registers as in amp_stream4.inc, but A0 = partials in, A1 = input; $a0:1 partials in, $a2:3 a pair of inputs.
#define EVEN(selectors, phase) { ldst64pace $a0:1, $a4:5, $m0:1+=, $m2, selectors; AMP $a4:5, $a2, $a0:1, phase }
#define ODD(selectors, phase)  { ld2xst64pace $a0:3, $a6:7, $m0:1+=, $m2, selectors; AMP $a6:7, $a3, $a0:1, phase }
#define ZERO_EVEN(phase)       { st64pace $a4:5, $m0:1+=, $mzero, 0; AMP $a4:5, $a2, $azeros, phase }
#define ZERO_ODD(phase)        { ld2xst64pace $a0:3, $a6:7, $m0:1+=, $m2, HOLD_IN; AMP $a6:7, $a3, $azeros, phase }
#define DRAIN(out, phase)      { st64pace out, $m0:1+=, $mzero, 0; AMP out, $azero, $azeros, phase }
#define X_EVEN(phase)          { nop; AMP $a4:5, $a2, $azeros, phase }
#define X_ODD(phase)           { ld64step $a2:3, $mzero, $m8+=, 1; AMP $a6:7, $a3, $azeros, phase }
#define IN_EVEN(phase)         { ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1; AMP $a4:5, $a2, $a0:1, phase }
#define IN_ODD(phase)          { ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0; AMP $a6:7, $a3, $a0:1, phase }
#define PUSH(out, phase)       { ldst64pace $a0:1, out, $m0:1+=, $mzero, 0; AMP out, $azero, $a0:1, phase }
#define PUSH_IN(out, phase)    { ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1; AMP out, $azero, $a0:1, phase }

#define INIT \
    { ld32 $m11, $mvertex_base, $mzero, 0; setzi $a0, 8 } \
    { ld32 $m9, $mvertex_base, $mzero, 1; uput $FP_CLR, $a0 } \
    { ld32 $m10, $mvertex_base, $mzero, 2; zero $a4:5 } \
    { ld32 $m2, $mvertex_base, $mzero, 3; zero $a6:7 } \
    { ld32 $m7, $mvertex_base, $mzero, 4; fnop }

.globl matmul_f32_zero
.globl matmul_f32_acc
#include "amp_supervisor.inc"

.worker
.align 8
worker_next:
    { ld32 $m3, $mvertex_base, $mzero, 0; fnop }    // a bundle, so that the body of rpt is aligned
    tapack $m0:1, $m5, $m3, $m6
    ld2x64pace $azeros, $a2:3, $m0:1+=, $mzero, STAY_A0
    EVEN(0, P0)
    ODD(0, P1)
    EVEN(0, P2)
    ODD(0, P3)
    EVEN(0, P4)
    ODD(0, P5)
    EVEN(0, P6)
    ODD(0, P7)
    EVEN(0, P0)
    ODD(WRAP_OUT, P1)
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
    ODD(0, P5)
    EVEN(WRAP_IN, P6)
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
worker_init:                    // the stores of the first ten bundles put zeros into chunks that are written again later
    INIT
    add $m6, $m9, $m10
    bri first
.align 8
worker_first:
    ld32 $m8, $mvertex_base, $mzero, 5
    add $m9, $m9, $m8
first:
    tapack $m0:1, $m11, $mzero, $m6
    add $m8, $m11, 16
    DRAIN($a4:5, P0)
    DRAIN($a6:7, P1)
    DRAIN($a4:5, P2)
    DRAIN($a6:7, P3)
    DRAIN($a4:5, P4)
    DRAIN($a6:7, P5)
    DRAIN($a4:5, P6)
    { ldst64pace $a2:3, $a6:7, $m0:1+=, $mzero, 0; AMP $a6:7, $azero, $azeros, P7 }
    ZERO_EVEN(P0)
    { ldst64pace $a2:3, $a6:7, $m0:1+=, $mzero, 0; AMP $a6:7, $a3, $azeros, P1 }
    X_EVEN(P2)
    X_ODD(P3)
    X_EVEN(P4)
    X_ODD(P5)
    X_EVEN(P6)
    X_ODD(P7)
    X_EVEN(P0)
    X_ODD(P1)
    tapack $m0:1, $m9, $m8, $m9
    add $m5, $m9, 72
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
    { ld2xst64pace $a0:3, $a6:7, $m0:1+=, $mzero, 0; AMP $a6:7, $a3, $azeros, P7 }
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
    tapack $m0:1, $m9, $m11, $m9
    ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1
    PUSH_IN($a4:5, P0)
    PUSH_IN($a6:7, P1)
    PUSH_IN($a4:5, P2)
    PUSH_IN($a6:7, P3)
    PUSH_IN($a4:5, P4)
    PUSH_IN($a6:7, P5)
    PUSH_IN($a4:5, P6)
    { ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0; AMP $a6:7, $azero, $a0:1, P7 }
    IN_EVEN(P0)
    IN_ODD(P1)
    bri first_acc_2
worker_first_acc:
    ld32 $m8, $mvertex_base, $mzero, 5
    add $m9, $m9, $m8
first_acc:
    tapack $m0:1, $m9, $m11, $m6
    ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1
    PUSH($a4:5, P0)
    PUSH($a6:7, P1)
    PUSH($a4:5, P2)
    PUSH($a6:7, P3)
    PUSH($a4:5, P4)
    PUSH($a6:7, P5)
    PUSH($a4:5, P6)
    { ld2xst64pace $a0:3, $a6:7, $m0:1+=, $mzero, 0; AMP $a6:7, $azero, $a0:1, P7 }
    EVEN(0, P0)
    ODD(0, P1)
first_acc_2:
    IN_EVEN(P2)
    IN_ODD(P3)
    IN_EVEN(P4)
    IN_ODD(P5)
    IN_EVEN(P6)
    IN_ODD(P7)
    IN_EVEN(P0)
    IN_ODD(P1)
    add $m3, $m11, 48
    add $m5, $m9, 152
    tapack $m0:1, $m5, $m3, $m9
    add $m5, $m9, 72
    add $m6, $m9, $m10
    bri next_10

.align 8
worker_finish:
    DRAIN($a4:5, P0)
    DRAIN($a6:7, P1)
    DRAIN($a4:5, P2)
    DRAIN($a6:7, P3)
    DRAIN($a4:5, P4)
    DRAIN($a6:7, P5)
    DRAIN($a4:5, P6)
    DRAIN($a6:7, P7)
    st64pace $a4:5, $m0:1+=, $mzero, 0
    st64pace $a6:7, $m0:1+=, $mzero, 0
    exitz $mzero

// matmul_f16_gc2: C[p][o] (+)= sum over i of x[p][i] w[o][i], f16 in, f16 partial sums and results, 8 outputs at a time.
// One AMP set (ipu1): 16 inputs x 8 outputs per position in 4 turns, 32 MAC per cycle.
//
// Entries    matmul_f16_gc2_zero: out groups start from zero. matmul_f16_gc2_acc: they add to the partials in OUT.
//
// Layout     X    planes of [positions][16 inputs] f16, anywhere (multiple of 8 bytes), also overlapping
//            W    [out groups][planes][8 outputs][16 inputs] f16, i.e. contiguous in launch order; 16-byte aligned,
//                 interleaved region
//            OUT  [out groups][positions][8 outputs] f16; 16-byte aligned, no SRAM element shared with X
//
// Vertex state: as matmul_f16.S, with chunks of 8 bytes = 4 f16 outputs, 2 per position: TAIL = 16 n - 24,
// WRAP = (-(2 n - 1)) & 0x3ff. 4 <= n <= 255 positions per worker.
//
// Over-reads Each launch reads 8 bytes of X past the worker's positions: X needs 8 bytes behind its last plane.
//
// Pipeline   As matmul_f16.S, but an AMP instruction takes and gives only two f16: a pair of instructions (2t, 2t+1)
//            pushes chunk t + 2 and delivers chunk t - 2. Even bundles load x and store chunk t - 3; odd bundles load x
//            and chunk t + 3. No bundle has more than two accesses.
//
// Turns of a worker: init 7 (6 for acc) + first without its first 2; first 4 n + 13 (zero) or 4 n + 16 (acc);
// next 4 n + 5; finish 6. Cycles of the vertex: kernels/planner/cost.py.

#define SUP(name) matmul_f16_gc2_##name
#define LOAD_WEIGHTS \
    ld128putcs 0; ld128putcs 2; ld128putcs 4; ld128putcs 6; ld128putcs 8; ld128putcs 10; ld128putcs 12; ld128putcs 14; \
    ld128putcs 16; ld128putcs 18; ld128putcs 20; ld128putcs 22; ld128putcs 24; ld128putcs 26; ld128putcs 28; ld128putcs 30;

#define P0 TAMP_F16V4_E4_P0
#define P1 TAMP_F16V4_E4_P1
#define P2 TAMP_F16V4_E4_P2
#define P3 TAMP_F16V4_E4_P3
#define STAY_A1 0b0100          // ld2x64pace with $mzero: A1 does not move
#define STAY_A0 0b0001          // ld2x64pace with $mzero: A0 does not move
#define WRAP_IN 0b0100          // ld2x64pace with $m2: A1 goes back to chunk 0
#define WRAP_OUT 0b0100         // ldst64pace with $m2: A2 goes back to chunk 0
#define AMP f16v4hihoamp

// Registers as in amp_stream4.inc, but $a2, $a3 are the partials of an even and an odd AMP, $a4..$a7 the results of the
// four phases. EVEN names the pair that is stored: the one completed by the bundle before.
#define EVEN(stored, selectors, out, phase) \
    { ldst64pace $a0:1, stored, $m0:1+=, $m2, selectors; AMP out, $a0:1, $a2, phase }
#define ODD(selectors, out, phase) \
    { ld2x64pace $a0:1, $a2:3, $m0:1+=, $m2, selectors; AMP out, $a0:1, $a3, phase }
#define ZERO_EVEN(stored, out, phase) \
    { ldst64pace $a0:1, stored, $m0:1+=, $mzero, 0; AMP out, $a0:1, $azero, phase }
#define ZERO_ODD(out, phase) \
    { ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1; AMP out, $a0:1, $azero, phase }
#define ZERO_X(out, phase) { ld64step $a0:1, $mzero, $m8+=, 1; AMP out, $a0:1, $azero, phase }
#define IN_EVEN(out, phase) \
    { ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1; AMP out, $a0:1, $a2, phase }

#define INIT \
    { ld32 $m11, $mvertex_base, $mzero, 0; setzi $a0, 8 } \
    { ld32 $m9, $mvertex_base, $mzero, 1; uput $FP_CLR, $a0 } \
    { ld32 $m10, $mvertex_base, $mzero, 2; zero $a4:5 } \
    { ld32 $m2, $mvertex_base, $mzero, 3; zero $a6:7 } \
    { ld32 $m7, $mvertex_base, $mzero, 4; fnop }

.globl matmul_f16_gc2_zero
.globl matmul_f16_gc2_acc
#include "amp_supervisor.inc"

.worker
.align 8
worker_next:
    { ld32 $m3, $mvertex_base, $mzero, 0; fnop }    // a bundle, so that the body of rpt is aligned
    tapack $m0:1, $m3, $m5, $m6
    ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1
    EVEN($a6:7, 0, $a4, P0)
    ODD(0, $a5, P1)
    EVEN($a4:5, 0, $a6, P2)
    ODD(0, $a7, P3)
    EVEN($a6:7, WRAP_OUT, $a4, P0)
    ODD(0, $a5, P1)
next_6:
    EVEN($a4:5, 0, $a6, P2)
    ODD(0, $a7, P3)
    { rpt $m7, 3; fnop }
    EVEN($a6:7, 0, $a4, P0)
    ODD(0, $a5, P1)
    EVEN($a4:5, 0, $a6, P2)
    ODD(0, $a7, P3)
    EVEN($a6:7, 0, $a4, P0)
    ODD(WRAP_IN, $a5, P1)
    EVEN($a4:5, 0, $a6, P2)
    ODD(0, $a7, P3)
    EVEN($a6:7, 0, $a4, P0)
    ODD(0, $a5, P1)
    EVEN($a4:5, 0, $a6, P2)
    ODD(0, $a7, P3)
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
    tapack $m0:1, $m11, $m9, $m6
    add $m8, $m11, 16
    { st64pace $a6:7, $m0:1+=, $mzero, 0; AMP $a4, $azeros, $azero, P0 }
    { nop; AMP $a5, $azeros, $azero, P1 }
    { st64pace $a4:5, $m0:1+=, $mzero, 0; AMP $a6, $azeros, $azero, P2 }
    { ld2x64pace $a0:1, $azeros, $m0:1+=, $mzero, STAY_A1; AMP $a7, $azeros, $azero, P3 }
    ZERO_EVEN($a6:7, $a4, P0)
    ZERO_X($a5, P1)
    ZERO_X($a6, P2)
    ZERO_X($a7, P3)
    ZERO_X($a4, P0)
    ZERO_X($a5, P1)
    tapack $m0:1, $m8, $m9, $m9
    add $m5, $m9, 24
    ZERO_EVEN($a4:5, $a6, P2)
    ZERO_ODD($a7, P3)
    { rpt $m7, 3; fnop }
    ZERO_EVEN($a6:7, $a4, P0)
    ZERO_ODD($a5, P1)
    ZERO_EVEN($a4:5, $a6, P2)
    ZERO_ODD($a7, P3)
    ZERO_EVEN($a6:7, $a4, P0)
    ZERO_ODD($a5, P1)
    ZERO_EVEN($a4:5, $a6, P2)
    { ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0; AMP $a7, $a0:1, $azero, P3 }
    EVEN($a6:7, 0, $a4, P0)
    ODD(0, $a5, P1)
    EVEN($a4:5, 0, $a6, P2)
    ODD(0, $a7, P3)
    add $m6, $m9, $m10
    exitz $mzero

.align 8
worker_init_acc:                // like first_acc, but there is no older result to store
    INIT
    tapack $m0:1, $m11, $m9, $m9
    ld2x64pace $azeros, $a2:3, $m0:1+=, $mzero, STAY_A0
    { nop; AMP $a4, $azeros, $a2, P0 }
    { ld2x64pace $azeros, $a2:3, $m0:1+=, $mzero, STAY_A0; AMP $a5, $azeros, $a3, P1 }
    { nop; AMP $a6, $azeros, $a2, P2 }
    { ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0; AMP $a7, $azeros, $a3, P3 }
    IN_EVEN($a4, P0)
    bri first_acc_1
worker_first_acc:
    ld32 $m8, $mvertex_base, $mzero, 5
    add $m9, $m9, $m8
first_acc:
    tapack $m0:1, $m11, $m9, $m6
    ld2x64pace $azeros, $a2:3, $m0:1+=, $mzero, STAY_A0
    { st64pace $a6:7, $m0:1+=, $mzero, 0; AMP $a4, $azeros, $a2, P0 }
    { ld2x64pace $azeros, $a2:3, $m0:1+=, $mzero, STAY_A0; AMP $a5, $azeros, $a3, P1 }
    { st64pace $a4:5, $m0:1+=, $mzero, 0; AMP $a6, $azeros, $a2, P2 }
    { ld2x64pace $a0:1, $a2:3, $m0:1+=, $mzero, 0; AMP $a7, $azeros, $a3, P3 }
    EVEN($a6:7, 0, $a4, P0)
first_acc_1:
    ODD(0, $a5, P1)
    IN_EVEN($a6, P2)
    ODD(0, $a7, P3)
    IN_EVEN($a4, P0)
    ODD(0, $a5, P1)
    add $m3, $m11, 56
    add $m5, $m9, 48
    tapack $m0:1, $m3, $m5, $m9
    add $m5, $m9, 24
    add $m6, $m9, $m10
    bri next_6

.align 8
worker_finish:
    { st64pace $a6:7, $m0:1+=, $mzero, 0; AMP $a4, $azeros, $azero, P0 }
    { nop; AMP $a5, $azeros, $azero, P1 }
    { st64pace $a4:5, $m0:1+=, $mzero, 0; AMP $a6, $azeros, $azero, P2 }
    { nop; AMP $a7, $azeros, $azero, P3 }
    st64pace $a6:7, $m0:1+=, $mzero, 0
    exitz $mzero

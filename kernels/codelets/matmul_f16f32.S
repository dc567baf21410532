// matmul_f16f32: C[p][o] (+)= sum over i of x[p][i] w[o][i], f16 in, f32 partial sums and results, 8 outputs at a time.
// One AMP set, all chips: 16 inputs x 8 outputs per position in 4 turns, 32 MAC per cycle.
//
// Entries    matmul_f16f32_zero: out groups start from zero. matmul_f16f32_acc: they add to the partials in OUT.
//
// Layout     X    planes of [positions][16 inputs] f16, anywhere (multiple of 8 bytes), also overlapping
//            W    [out groups][planes][8 outputs][16 inputs] f16, i.e. contiguous in launch order; 16-byte aligned,
//                 interleaved region
//            OUT  [out groups][positions][8 outputs] f32; 16-byte aligned, interleaved region, no SRAM element shared
//                 with X
//
// Vertex state, pipeline, over-reads, turns: as matmul_f16.S; a chunk is a pair of f32 outputs, 4 chunks per position.
// 4 <= n <= 128 positions per worker.

#define SUP(name) matmul_f16f32_##name
#define AMP f16v4sisoamp
#define LOAD_WEIGHTS \
    ld128putcs 0; ld128putcs 2; ld128putcs 4; ld128putcs 6; ld128putcs 8; ld128putcs 10; ld128putcs 12; ld128putcs 14; \
    ld128putcs 16; ld128putcs 18; ld128putcs 20; ld128putcs 22; ld128putcs 24; ld128putcs 26; ld128putcs 28; ld128putcs 30;

.globl matmul_f16f32_zero
.globl matmul_f16f32_acc
#include "amp_supervisor.inc"
#include "amp_stream4.inc"

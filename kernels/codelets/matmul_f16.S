// matmul_f16: C[p][o] (+)= sum over i of x[p][i] w[o][i], f16 in, f16 partial sums and results, 16 outputs at a time.
// Two AMP sets (ipu2 and later): 16 inputs x 16 outputs per position in 4 turns, 64 MAC per cycle.
//
// Entries    matmul_f16_zero: out groups start from zero. matmul_f16_acc: they add to the partials in OUT.
//
// Layout     X    planes of [positions][16 inputs] f16, anywhere (multiple of 8 bytes), also overlapping
//            W    [out groups][planes][16 outputs][16 inputs] f16, i.e. contiguous in launch order; 16-byte aligned,
//                 interleaved region
//            OUT  [out groups][positions][16 outputs] f16; pitch of an out group free (multiple of 16 bytes); 16-byte
//                 aligned, interleaved region, no SRAM element shared with X: a bundle loads from X, loads from OUT and
//                 stores to OUT. The two OUT accesses differ in address bit 3.
//
// Vertex state, 40 + 6 (planes - 1) words: six worker records of 6 words
//              X      byte address of the worker's first position in plane 0
//              OUT    byte address of the worker's first position in out group 0
//              TAIL   byte offset from there to chunk 4 n - 6 of the worker's outputs: 32 n - 48
//              WRAP   (-(4 n - 1)) & 0x3ff: stride, in chunks of 8 bytes, from the last chunk to the first
//              COUNT  n - 4
//              OPITCH bytes from out group to out group
//            then the words of amp_supervisor.inc, the addresses in the later planes at the end. n = positions of this worker, 4 <= n <= 128.
//
// Over-reads Each launch reads 8 bytes of X past the worker's positions: X needs 8 bytes behind its last plane.
//
// Pipeline   AMP number i (i = 4 position + phase) takes input vector i, pushes the partials of the next position (chunk
//            i + 4 of OUT) and delivers the sums of the previous position (chunk i - 4). It runs on from launch to launch:
//            the last position of a launch pushes the partials of the first position of the next launch, and the first
//            six bundles of that launch store the last six chunks of the one before. The registers $a0:7, the
//            accumulators and $m0:11 live on between launches; two pointers wrap inside the stream by means of the
//            stride in $m2. So a launch costs 4 n + 5 turns. A new out group starts with one group of x = 0, which drains
//            the old sums while it pushes the new partials (or zeros); nothing but defined values is ever stored.
//
// Turns of a worker: init 7 (6 for acc) + first without its first 2; first 4 n + 13 (zero) or 4 n + 16 (acc);
// next 4 n + 5; finish 7. Cycles of the vertex: kernels/planner/cost.py, checked by tests/test_codelets_matmul.py.

#define SUP(name) matmul_f16_##name
#define AMP f16v4hihov4amp
#define LOAD_WEIGHTS \
    ld128putcs 0; ld128putcs 2; ld128putcs 4; ld128putcs 6; ld128putcs 32; ld128putcs 34; ld128putcs 36; ld128putcs 38; \
    ld128putcs 8; ld128putcs 10; ld128putcs 12; ld128putcs 14; ld128putcs 40; ld128putcs 42; ld128putcs 44; ld128putcs 46; \
    ld128putcs 16; ld128putcs 18; ld128putcs 20; ld128putcs 22; ld128putcs 48; ld128putcs 50; ld128putcs 52; ld128putcs 54; \
    ld128putcs 24; ld128putcs 26; ld128putcs 28; ld128putcs 30; ld128putcs 56; ld128putcs 58; ld128putcs 60; ld128putcs 62;

.globl matmul_f16_zero
.globl matmul_f16_acc
#include "amp_supervisor.inc"
#include "amp_stream4.inc"

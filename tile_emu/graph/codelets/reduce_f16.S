// reduce_f16: OUT = OWN + the sum of R received rows, all f16; summed in f32, rounded once.
//
// Entry      reduce_f16
//
// Layout     OWN   [columns][8] f16        RECV [R][pitch] f16, R >= 1      OUT [columns][8] f16
//            A column is 16 bytes. OWN and RECV are 16-byte aligned and lie in the interleaved region (128-bit loads);
//            OUT is 8-byte aligned, anywhere, also on OWN itself.
//
// Vertex state, 42 words: six worker records of 7 words
//              OWN, RECV, OUT  byte addresses of the worker's first column
//              COLUMNS         columns of this worker - 1; negative: nothing to do
//              PITCH           row pitch of RECV in units of 16 bytes
//              ROWS            R - 1
//              BACK            1 - (R - 1) * PITCH: from the last row to the first of the next column, units of 16 bytes
//
// Over-reads 16 bytes behind the worker's last column of OWN.
//
// Turns of a worker: 14 + columns (R + 5). Vertex: 6 times the most + launch (__init__.py).

#define ENTRY reduce_f16
#define ACC f16v8acc
#define GINA_A f16v2gina $a4, $azero, 0
#define GINA_B f16v2gina $a5, $azero, 0
#define GINA_C f16v2gina $a6, $azero, 0
#define GINA_D f16v2gina $a7, $azero, 0

.globl reduce_f16
#include "reduce.inc"

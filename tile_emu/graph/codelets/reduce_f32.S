// reduce_f32: OUT = OWN + the sum of R received rows, all f32; terms are added in the order OWN, row 0, row 1, ...
//
// Entry      reduce_f32
//
// Layout     OWN   [columns][4] f32        RECV [R][pitch] f32, R >= 1      OUT [columns][4] f32
//            A column is 16 bytes. OWN and RECV are 16-byte aligned and lie in the interleaved region (128-bit loads);
//            OUT is 8-byte aligned, anywhere, also on OWN itself.
//
// Vertex state: as reduce_f16.S.   Over-reads 16 bytes behind the worker's last column of OWN.
//
// Turns of a worker: 14 + columns (R + 5). Vertex: 6 times the most + launch (__init__.py).

#define ENTRY reduce_f32
#define ACC f32v4acc
#define GINA_A f32v2gina $a4:5, $azeros, 0
#define GINA_B fnop
#define GINA_C fnop
#define GINA_D f32v2gina $a6:7, $azeros, 0

.globl reduce_f32
#include "reduce.inc"

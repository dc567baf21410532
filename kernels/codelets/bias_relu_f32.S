// bias_relu_f32: OUT = max(OUT + BIAS, 0), in f32. Contract, layout and turns: elementwise.inc.
//
// Entry      bias_relu_f32

#define ENTRY bias_relu_f32
#define RELU

.globl bias_relu_f32
#include "elementwise.inc"

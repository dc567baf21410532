// bias_gelu_f32: OUT = gelu(OUT + BIAS), tanh form, in f32. Contract, layout and turns: elementwise.inc.
//
// Entry      bias_gelu_f32

#define ENTRY bias_gelu_f32
#define GELU

.globl bias_gelu_f32
#include "elementwise.inc"

// bias_tanh_f32: OUT = tanh(OUT + BIAS), in f32. Contract, layout and turns: elementwise.inc.
//
// Entry      bias_tanh_f32

#define ENTRY bias_tanh_f32
#define TANH

.globl bias_tanh_f32
#include "elementwise.inc"

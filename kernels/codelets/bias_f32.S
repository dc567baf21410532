// bias_f32: OUT = OUT + BIAS, in f32. Contract, layout and turns: elementwise.inc.
//
// Entry      bias_f32

#define ENTRY bias_f32

.globl bias_f32
#include "elementwise.inc"

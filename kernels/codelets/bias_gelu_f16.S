// bias_gelu_f16: OUT = gelu(OUT + BIAS), tanh form, in f16. Contract, layout and turns: elementwise.inc.
//
// Entry      bias_gelu_f16

#define ENTRY bias_gelu_f16
#define HALF
#define GELU

.globl bias_gelu_f16
#include "elementwise.inc"

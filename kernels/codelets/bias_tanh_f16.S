// bias_tanh_f16: OUT = tanh(OUT + BIAS), in f16. Contract, layout and turns: elementwise.inc.
//
// Entry      bias_tanh_f16

#define ENTRY bias_tanh_f16
#define HALF
#define TANH

.globl bias_tanh_f16
#include "elementwise.inc"

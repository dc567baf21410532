// bias_relu_f16: OUT = max(OUT + BIAS, 0), in f16. Contract, layout and turns: elementwise.inc.
//
// Entry      bias_relu_f16

#define ENTRY bias_relu_f16
#define HALF
#define RELU

.globl bias_relu_f16
#include "elementwise.inc"

// bias_f16: OUT = OUT + BIAS, in f16. Contract, layout and turns: elementwise.inc.
//
// Entry      bias_f16

#define ENTRY bias_f16
#define HALF

.globl bias_f16
#include "elementwise.inc"

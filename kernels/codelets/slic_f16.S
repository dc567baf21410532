// slic_f16: slim convolution, f16 in, f16 partial sums and results, 4 inputs and 4 outputs. Layout, vertex state and turns:
// slic.inc. Two AMP sets (ipu2 and later): 64 products per position and window in one turn.
//
// Entry      slic_f16

#define ENTRY slic_f16
#define SLIC f16v4hihov4slic

// in the order of W: columns 0 to 3, of each outputs 0 and 1 (first set), 2 and 3 (second set)
#define LOAD_WEIGHTS \
    ld64putcs 24; ld64putcs 28; ld64putcs 56; ld64putcs 60; ld64putcs 16; ld64putcs 20; ld64putcs 48; ld64putcs 52; \
    ld64putcs 8; ld64putcs 12; ld64putcs 40; ld64putcs 44; ld64putcs 0; ld64putcs 4; ld64putcs 32; ld64putcs 36;

#include "slic.inc"

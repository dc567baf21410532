// slic_f16f32: slim convolution, f16 in, f32 partial sums and results, 4 inputs and 2 outputs. Layout, vertex state and
// turns: slic.inc. One AMP set, so all chips: 32 products per position and window in one turn.
//
// Entry      slic_f16f32

#define ENTRY slic_f16f32
#define SLIC f16v4sisoslic

// in the order of W: columns 0 to 3, of each outputs 0 and 1
#define LOAD_WEIGHTS \
    ld64putcs 24; ld64putcs 28; ld64putcs 16; ld64putcs 20; ld64putcs 8; ld64putcs 12; ld64putcs 0; ld64putcs 4;

#include "slic.inc"

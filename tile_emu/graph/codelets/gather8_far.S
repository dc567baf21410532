// gather8_far: 8-byte units by a table of unit numbers (far). Contract in gather.inc.
// Turns of a worker: 7 + 3 blocks.

#define ENTRY graph_gather8_far
#define PRIME nop
#define FINISH
#define BODY_LAST 2
#define BODY \
    { ldz16step $m3, $mzero, $m1+=, 1; fnop } \
    { ld64 $a0:1, $m0, $mzero, $m3; fnop } \
    { st64step $a0:1, $mzero, $m2+=, 1; fnop }

.globl graph_gather8_far
#include "gather.inc"

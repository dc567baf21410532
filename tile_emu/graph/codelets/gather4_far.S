// gather4_far: 4-byte units by a table of unit numbers (far). Contract in gather.inc.
// Turns of a worker: 7 + 5 blocks.

#define ENTRY graph_gather4_far
#define PRIME nop
#define FINISH
#define BODY_LAST 4
#define BODY \
    { ldz16step $m3, $mzero, $m1+=, 1; fnop } \
    { ld32 $a0, $m0, $mzero, $m3; fnop } \
    { ldz16step $m3, $mzero, $m1+=, 1; fnop } \
    { ld32 $a1, $m0, $mzero, $m3; fnop } \
    { st64step $a0:1, $mzero, $m2+=, 1; fnop }

.globl graph_gather4_far
#include "gather.inc"

// gather2_far: 2-byte units by a table of unit numbers (far). Contract in gather.inc.
// Turns of a worker: 7 + 10 blocks.

#define ENTRY graph_gather2_far
#define PRIME nop
#define FETCH(to) { ldz16step $m3, $mzero, $m1+=, 1; fnop } { ldb16 to, $m0, $mzero, $m3; fnop }
#define BODY_LAST 9
#define BODY \
    FETCH($a0) \
    FETCH($a1) \
    { ldz16step $m3, $mzero, $m1+=, 1; sort4x16lo $a4, $a0, $a1 } \
    { ldb16 $a2, $m0, $mzero, $m3; fnop } \
    FETCH($a3) \
    { nop; sort4x16lo $a5, $a2, $a3 } \
    { st64step $a4:5, $mzero, $m2+=, 1; fnop }
#define FINISH

.globl graph_gather2_far
#include "gather.inc"

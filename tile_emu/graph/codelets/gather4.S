// gather4: 4-byte units by a table of byte offsets (near). Contract in gather.inc.
// Turns of a worker: 7 + 3 blocks.

#define ENTRY graph_gather4
#define PRIME ldz16step $m3, $mzero, $m1+=, 1
#define FINISH
#define BODY_LAST 2
#define BODY \
    { ldd16a32 $a0, $m1++, $m0, $m3@; fnop } \
    { ldd16a32 $a1, $m1++, $m0, $m3@; fnop } \
    { st64step $a0:1, $mzero, $m2+=, 1; fnop }

.globl graph_gather4
#include "gather.inc"

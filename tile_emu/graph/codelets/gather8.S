// gather8: 8-byte units by a table of byte offsets (near). Contract in gather.inc.
// Turns of a worker: 7 + 2 blocks.

#define ENTRY graph_gather8
#define PRIME ldz16step $m3, $mzero, $m1+=, 1
#define FINISH
#define BODY_LAST 1
#define BODY \
    { ldd16a64 $a0:1, $m1++, $m0, $m3@; fnop } \
    { st64step $a0:1, $mzero, $m2+=, 1; fnop }

.globl graph_gather8
#include "gather.inc"

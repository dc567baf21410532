// gather1: single bytes by a table of byte numbers (up to 64 KiB from SRC on). Contract in gather.inc.
// Turns of a worker: 7 + 24 blocks.

#define ENTRY graph_gather1
#define PRIME nop
#define FETCH(to) { ldz16step $m3, $mzero, $m1+=, 1; fnop } { ldz8 to, $m0, $mzero, $m3; fnop }
#define WORD \
    FETCH($m5) \
    FETCH($m6) \
    { shuf8x8lo $m5, $m5, $m6; fnop } \
    FETCH($m6) \
    FETCH($m7) \
    { shuf8x8lo $m6, $m6, $m7; fnop } \
    { sort4x16lo $m5, $m5, $m6; fnop } \
    { st32step $m5, $mzero, $m2+=, 1; fnop }
#define BODY_LAST 23
#define BODY \
    WORD \
    WORD
#define FINISH

.globl graph_gather1
#include "gather.inc"

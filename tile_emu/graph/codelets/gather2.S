// gather2: 2-byte units by a table of byte offsets (near). Contract in gather.inc.
// Turns of a worker: 10 + 5 blocks (without blocks 7). The last two halves of a block are paired and stored while the
// next block is loaded.

#define ENTRY graph_gather2
#define PRIME \
    ldz16step $m3, $mzero, $m1+=, 1; \
    brz $m4, done; \
    add $m4, $m4, -1; \
    ldd16b16 $a0, $m1++, $m0, $m3@; \
    ldd16b16 $a1, $m1++, $m0, $m3@; \
    { ldd16b16 $a2, $m1++, $m0, $m3@; sort4x16lo $a4, $a0, $a1 } \
    { ldd16b16 $a3, $m1++, $m0, $m3@; fnop }
#define BODY_LAST 4
#define BODY \
    { ldd16b16 $a0, $m1++, $m0, $m3@; sort4x16lo $a5, $a2, $a3 } \
    { st64step $a4:5, $mzero, $m2+=, 1; fnop } \
    { ldd16b16 $a1, $m1++, $m0, $m3@; fnop } \
    { ldd16b16 $a2, $m1++, $m0, $m3@; sort4x16lo $a4, $a0, $a1 } \
    { ldd16b16 $a3, $m1++, $m0, $m3@; fnop }
#define FINISH \
    { nop; sort4x16lo $a5, $a2, $a3 } \
    st64step $a4:5, $mzero, $m2+=, 1

.globl graph_gather2
#include "gather.inc"

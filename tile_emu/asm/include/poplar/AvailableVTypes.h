/* Which packed pointer layouts of a vertex state exist, written for this project under the name public codelet sources
 * include. Inferred from how many address bits each has: 16-bit pointers scaled by 4 or 8 and the 18-bit offsets of
 * DELTAN reach all of memory on ipu1 alone; 16 bits scaled by 16 and the 20 bits of a short span do on every chip.
 */
#ifndef POPLAR_AVAILABLE_VTYPES_H
#define POPLAR_AVAILABLE_VTYPES_H

#define VECTOR_AVAIL_SHORT_SPAN 1
#define VECTOR_AVAIL_SCALED_PTR128 1
#if __IPU_ARCH_VERSION__ == 1
#define VECTOR_AVAIL_SCALED_PTR32 1
#define VECTOR_AVAIL_SCALED_PTR64 1
#define VECTORLIST_AVAIL_DELTAN 1
#endif

#endif

/* Constants of kernels that depend on the tile, written for this project under the name public codelet sources include.
 * Values: as the public poplibs sources use them.
 */
#ifndef POPLAR_TILE_CONSTANTS_HPP
#define POPLAR_TILE_CONSTANTS_HPP

#include <arch/gc_tile_defines.h>

#define NUM_WORKERS CTXT_WORKERS
#define CONV_UNIT_INPUT_LOAD_ELEMS_FLOAT 2
#define CONV_UNIT_INPUT_LOAD_ELEMS_HALF 4
#define NUM_STRIDE_BITS 10

#endif

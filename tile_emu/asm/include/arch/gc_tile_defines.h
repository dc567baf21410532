/* Constants of the tile for assembly sources, written for this project under the name public codelet sources include.
 *
 * Values without a remark: Saghetti0/graphcore-ipu-research. LLVM: the public LLVM fork (graphcore/llvm-project-fork).
 * poplibs: as its public sources use the value. Status registers and their fields, the chip's memory, and the private
 * values of AMP, SLIC and accumulator flags (none is public) are generated from the project's own tables.
 */
#ifndef ARCH_GC_TILE_DEFINES_H
#define ARCH_GC_TILE_DEFINES_H

#include <tile_emu/generated.h>

/* Contexts and registers. */
#define CTXT_TOTAL (CTXT_WORKERS + 1)
#define CTXT_TOTAL_BITWIDTH 3
#define MRF_CAPACITY 16
#define MRF_GP_REGISTERS 12
#define ARF_CAPACITY 16
#define ARF_GP_REGISTERS 8
#define ARF_MAX_ACCESS_SIZE 4
#define TREG_UPPER_CSR_SPACE_BASE 0x100

/* Dot-product units. */
#define TFPU_AMP_UNITS_PER_SET 8
#define TFPU_AMP_UNITS_PER_ENGINE 2
#define TFPU_AACC_PER_AMP_UNIT 2
#define SECOND_WEIGHT_BANK 1 /* poplibs */

/* Addresses. */
#define TMEM_BYTE_MAX_ADDRESS_WIDTH 21
#define TMEM_FULL_ADDRESS_MASK 0x1fffff

/* Rounding mode, FP_CTL.RND (LLVM). */
#define TFPU_ROUND_EVEN 0
#define TFPU_ROUND_POSINF 1
#define TFPU_ROUND_NEGINF 2
#define TFPU_ROUND_ZERO 3
#define TFPU_ROUND_AWAY 4

/* f32class results (LLVM). */
#define TFPU_CLASS_UNC 0
#define TFPU_CLASS_SNAN 1
#define TFPU_CLASS_QNAN 2

/* Results of compares (poplibs). */
#define TFPU_FP32_TRUE 0xffffffff
#define TFPU_FP32_FALSE 0
#define TFPU_FP16_TRUE 0xffff
#define TFPU_FP16_FALSE 0

/* Exception types, WSR.ETYPE and SSR.ETYPE. */
#define TEXCPT_NONE 0
#define TEXCPT_RBRK 1
#define TEXCPT_PBRK0 2
#define TEXCPT_PBRK1 3
#define TEXCPT_BOS 4
#define TEXCPT_FP 5
#define TEXCPT_CONFLICT 6
#define TEXCPT_EXCONF 7
#define TEXCPT_INVALID_ADDR 8
#define TEXCPT_INVALID_OP 9
#define TEXCPT_INVALID_PC 10
#define TEXCPT_DBRK 11
#define TEXCPT_INVALID_INSTR 12
#define TEXCPT_EXERR 13
#define TEXCPT_MEMERR 14
#define TEXCPT_IBRK 15
#define TEXCPT_ENUM_BITWIDTH 4

/* Context states, CTXT_STS. */
#define TCTXT_STATUS_INACTIVE 0
#define TCTXT_STATUS_WAEX 0
#define TCTXT_STATUS_ACTIVE 1
#define TCTXT_STATUS_EXCEPTED_DBG 2
#define TCTXT_STATUS_EXCEPTED_NDBG 3

/* Operand of sync. */
#define TEXCH_SYNCZONE_RECV 0
#define TEXCH_SYNCZONE_ANS 1
#define TEXCH_SYNCZONE_LOCAL 2
#define TEXCH_SYNCZONE_INTERNAL 3
#define TEXCH_SYNCZONE_INTERNAL0 3
#define TEXCH_SYNCZONE_GS1 4
#define TEXCH_SYNCZONE_GS1H 5
#define TEXCH_SYNCZONE_GS2 6
#define TEXCH_SYNCZONE_GS2H 7
#define TEXCH_SYNCZONE_GS1_MSR 12
#define TEXCH_SYNCZONE_GS1H_MSR 13
#define TEXCH_SYNCZONE_GS2_MSR 14
#define TEXCH_SYNCZONE_GS2H_MSR 15

/* INCOMING_FORMAT, and the control field of send. */
#define TEXCH_IFMT_32I 0
#define TEXCH_IFMT_64E 1
#define TEXCH_IFMT_64W 2
#define DATAFMT_SEND_SCTL3__EV__SHIFT 0
#define DATAFMT_SEND_SCTL3__EV__MASK 1
#define DATAFMT_SEND_SCTL3__WV__SHIFT 1
#define DATAFMT_SEND_SCTL3__WV__MASK 1
#define DATAFMT_SEND_SCTL3__64BITS__SHIFT 2
#define DATAFMT_SEND_SCTL3__64BITS__MASK 1

#endif

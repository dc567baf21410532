/* Stack declarations of codelets, written for this project under the name public codelet sources include.
 *
 * The vendor's tools add the sizes up to reserve stack; here nothing is reserved, whoever runs a codelet that has a
 * stack gives it one ($sp, or $mworker_base), so the declarations are accepted and leave no trace.
 */
#ifndef POPLAR_STACK_SIZE_DEFS_HPP
#define POPLAR_STACK_SIZE_DEFS_HPP

#define FUNCTION_IS_WORKER "ax"
#define FUNCTION_IS_SUPERVISOR "ax"

.macro DEF_STACK_USAGE size:req, function:vararg
.endm
.macro DEF_STACK_SIZE_OWN size:req, function:vararg
.endm
.macro DEF_STACK_SIZE_ZERO function:vararg
.endm
.macro DEF_FUNC_CALL_PTRS caller:req, called:vararg
.endm
.macro DEF_RECURSIVE_FUNCTION_SIZE size:req, function:vararg
.endm

#endif

"""Control flow, status registers, launches, barriers and exchange instructions (isa semantics 1.3, 5; exchange.md)."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from tile_emu.isa.semantics.registry import Shape, declare, semantic
from tile_emu.jit import jit


@semantic("brz", Shape.BRANCH, "branch if zero")
@jit(inline=True)
def is_zero(a):
    return a == 0


@semantic("brnz", Shape.BRANCH, "branch if not zero")
@jit(inline=True)
def is_not_zero(a):
    return a != 0


@semantic("brneg", Shape.BRANCH, "branch if bit 31 is set")
@jit(inline=True)
def is_negative(a):
    return a >> 31 != 0


@semantic("brpos", Shape.BRANCH, "branch if bit 31 is clear")
@jit(inline=True)
def is_positive(a):
    return a >> 31 == 0


declare("exitz", Shape.EXIT, "end of the worker; status is that the register is zero", is_zero, choices="consensus")
declare(
    "exitnz", Shape.EXIT, "end of the worker; status is that the register is not zero", is_not_zero, choices="consensus"
)
declare("exitneg", Shape.EXIT, "end of the worker; status is bit 31", is_negative, choices="consensus")
declare("exitpos", Shape.EXIT, "end of the worker; status is bit 31 clear", is_positive, choices="consensus")

declare("brnzdec", Shape.BRANCH_DECREMENT, "if not zero: decrement and branch")
declare("bri", Shape.JUMP, "branch always")
declare("br", Shape.JUMP_REGISTER, "branch to the address in a register", choices="branch-fault")
declare("call", Shape.CALL, "link register = next address; branch")
declare(
    "rpt",
    Shape.REPEAT,
    "repeat the next bundles; a register count has 16 significant bits (12 on ipu1)",
    choices="repeat-zero",
)
declare("get uget", Shape.GET, "read a status register", choices="csr-access")
declare("put uput", Shape.PUT, "write a status register", choices="csr-access")
declare("trap", Shape.TRAP, "breakpoint exception; bit 0 selects PBRK0 or PBRK1")
declare(
    "run",
    Shape.LAUNCH,
    "launch the lowest inactive worker (choice inferred); vertex base = register + 4 * imm + memory base",
    choices="lowest-context",
)
declare("runall", Shape.LAUNCH, "launch all six workers; vertex base of worker n = register + n * 4 * imm")
declare("ld64putcs", Shape.WEIGHTS, "weight slot from CCCSLOAD, which moves on by 8", size=8)
declare(
    "ld128putcs", Shape.WEIGHTS, "two weight slots from CCCSLOAD, which moves on by 16", size=16, choices="weight-pair"
)
declare("sync", Shape.SYNC, "barrier on a zone")
declare("sans", Shape.EXCHANGE, "answer the coming barriers without waiting (outline inferred)", choices="sans-outline")
declare("delay", Shape.EXCHANGE, "time passes")
declare("send", Shape.EXCHANGE, "send items from an absolute address")
declare("sendoff", Shape.EXCHANGE, "continue the outgoing stream after a gap")
declare("sendpic", Shape.EXCHANGE, "continue sending and set one incoming control")
declare("sendpicp", Shape.EXCHANGE, "restart the stream and set both incoming controls; two words")
declare("delaypic", Shape.EXCHANGE, "wait, then set the incoming pointer or format")
declare("delayxpic", Shape.EXCHANGE, "wait, then set the incoming source")

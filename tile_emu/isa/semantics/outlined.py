"""A mark that keeps a rare function out of its callers.

LLVM copies small functions into every caller, and each copy is optimised again in the interpreter loops, at some
seconds of the first compilation. A function that starts with ``outlined()`` stays a call.
"""

from __future__ import annotations

from typing import Any

from tile_emu.jit import DISABLED

if DISABLED:

    def outlined() -> None:
        """Nothing: only compiled code has callers to stay out of."""

else:
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def outlined(typingctx: Any) -> Any:
        """Mark the function being compiled as never to be inlined."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.function.attributes.add("noinline")
            return context.get_dummy_value()

        return types.void(), codegen

"""How Numba compiles functions that exist only inlined into others: without wrappers for Python and machine code.

Numba makes every compiled function callable on its own: it wraps it for Python, optimises it in full and translates it
to machine code. Where LLVM inlines the function everywhere, all that is thrown away, after most of the compile time.
"""
# mypy: disable-error-code="misc,no-untyped-call"

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder


class _NoEnvironment:
    """Takes the place of the code generator where Numba tells it the environment of a function it could call."""

    def set_env(self, name: str, environment: Any) -> None:
        """Nothing to do: the function is in no engine."""


class InlinedLibrary(JITCodeLibrary):
    """Code that is linked into that of callers, as it was lowered; the caller's own optimisation works on it."""

    @property
    def codegen(self) -> Any:
        """What may be told the environment."""
        return _NoEnvironment()

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout
        # Nobody uses its environment. Left as it is, whoever loads a caller from the cache would have to import the
        # module of this function for it, and the source of another unit cannot be imported by name.
        for variable in ll_module.global_variables:
            if variable.name.startswith("_ZN08NumbaEnv") and not variable.is_declaration:
                variable.linkage = "internal"

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """0: there is no machine code."""
        return 0


class EntryLibrary(JITCodeLibrary):
    """Code of a function into which others are inlined, optimised once, after they have been.

    Numba's three rounds are made for reference counts, which code without allocations has none of.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        manager, builder = self._codegen._module_pass_manager()
        manager.run(self._final_module, builder)


class _Compiler(CompilerBase):
    """Numba's pipeline with a library of our own."""

    library: type[JITCodeLibrary]

    def define_pipelines(self) -> list[Any]:
        """The one pipeline."""
        state = self.state
        if state.library is None:
            state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return [DefaultPassBuilder.define_nopython_pipeline(state)]


class InlinedCompiler(_Compiler):
    """For functions that exist only inlined."""

    library = InlinedLibrary


class EntryCompiler(_Compiler):
    """For functions that are called by address."""

    library = EntryLibrary


INLINED = {"pipeline_class": InlinedCompiler, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

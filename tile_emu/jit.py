"""The one module that owns Numba's flags and where compiled code is kept.

Numba's own cache notices an edit of the file that holds a function, but not of the files it calls into. So each
function's cache directory carries a fingerprint of its module and of every module of this project that it imports,
directly or not, of the instruction table, and of the Numba version.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from tile_emu.cachedir import cache_directory as cache_directory
from tile_emu.inlining import INLINED, EntryCompiler
from tile_emu.sources import source_hash

F = TypeVar("F", bound=Callable[..., Any])

DISABLED = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]

# The vectors that matter are written out (tile_emu.isa.semantics.fused); searching for more costs a tenth of
# the compile time.
numba.config.LOOP_VECTORIZE = 0  # type: ignore[attr-defined]
numba.config.SLP_VECTORIZE = 0  # type: ignore[attr-defined]

_TABLE = Path(__file__).resolve().parent / "isa" / "instructions.csv"

# No fastmath anywhere: accumulation order is architectural. error_model numpy: a division by zero is a value, not an
# exception. boundscheck off: the decoder has already checked every register number, and address checks are ours.
_FLAGS: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy", "boundscheck": False}
_NOT_FOR_C = {"no_cfunc_wrapper": True}  # only ``native`` functions are called by address


@functools.cache
def fingerprint(path: Path) -> str:
    """Hash of a source file, of the project files it imports (transitively), of the table and of the compiler."""
    digest = hashlib.sha256(source_hash(path))
    digest.update(_TABLE.read_bytes())
    digest.update(f"{numba.__version__} {sys.version_info[:3]} {_FLAGS} no vectoriser".encode())
    return digest.hexdigest()[:16]


def _without_literals(dispatcher: Any, compiled: Any = None) -> Any:
    """Have calls from compiled code share one version of a function whatever constants they pass.

    Numba otherwise compiles a version for every integer or boolean written in a call, a third of all versions here;
    LLVM sees the constants anyway where a call is inlined. ``compiled``: what they call instead of the dispatcher.
    """
    compiled = compiled or dispatcher
    template = compiled.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        plain = tuple(numba.types.unliteral(arg) for arg in args)
        return template(plain, {name: numba.types.unliteral(arg) for name, arg in kws.items()})

    dispatcher.get_call_template = get_call_template
    dispatcher.get_overload = compiled.get_overload
    return dispatcher


def jit(function: F | None = None, *, inline: bool = False, leaf: bool = False) -> Any:
    """Compile a function with the project's flags and keep the result in the fingerprinted cache.

    ``inline`` has LLVM inline it at every call: the small functions on the hot path. ``leaf`` functions (inline ones
    are) allocate nothing, so their array arguments need no reference counts, which otherwise cost more than the work.
    With ``NUMBA_DISABLE_JIT=1`` the plain Python function is returned.
    """

    def decorate(target: F) -> Any:
        if DISABLED:
            return target
        if inline:
            # Compiled only as part of a caller, which is what gets cached; when Python calls it, once more.
            flags = {"forceinline": True, "_nrt": False, **_FLAGS, **_NOT_FOR_C}
            return _without_literals(numba.njit(**flags)(target), numba.njit(**{**flags, **INLINED})(target))
        numba.config.CACHE_DIR = str(cache_directory() / "numba" / fingerprint(Path(target.__code__.co_filename)))  # type: ignore[attr-defined]
        # Numba hands a caller's flags down: said nothing, a function first called by an inline one is inlined as well.
        flags = {"forceinline": False, "_nrt": not leaf, **_FLAGS, **_NOT_FOR_C}
        return _without_literals(numba.njit(cache=True, **flags)(target))

    return decorate if function is None else decorate(function)


_plain: list[Callable[..., Any]] = []  # functions that ``native`` was given without the JIT


class _Numbered:
    """Stands for a compiled function where there is no JIT: its address is a number."""

    def __init__(self, function: Callable[..., Any]) -> None:
        _plain.append(function)
        self.address = len(_plain)


def native_function(address: int) -> Callable[..., Any]:
    """The plain function that ``native`` numbered. Only without the JIT."""
    return _plain[int(address) - 1]


def native(function: F) -> Any:
    """Compile an ``int64(int64)`` function to be called by address from compiled code; ``.address`` is the address.

    Kept like those of ``jit``. Without the JIT the address is a number for ``native_function``.
    """
    if DISABLED:
        return _Numbered(function)
    numba.config.CACHE_DIR = str(cache_directory() / "numba" / fingerprint(Path(function.__code__.co_filename)))  # type: ignore[attr-defined]
    return numba.cfunc("int64(int64)", cache=True, _nrt=False, pipeline_class=EntryCompiler, **_FLAGS)(function)

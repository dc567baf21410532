"""The interpreter: generated source, written to the cache directory under its content hash, then imported.

A real file lets Numba cache the compiled loops across processes and lets a traceback point into readable source.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from tile_emu.isa.semantics import SEMANTICS
from tile_emu.isa.table import table
from tile_emu.jit import cache_directory, fingerprint
from tile_emu.profile.atomic import replacing
from tile_emu.tile import csrspace, decode, layout, runs
from tile_emu.tile.generate import group_functions, semantic_imports, stochastic_opcodes, system_chain
from tile_emu.tile.groups import EXTRA_TURNS_SHIFT
from tile_emu.tile.opcodes import opcode_of
from tile_emu.tile.supervisor_template import SUPERVISOR_TEMPLATE
from tile_emu.tile.translate import calls
from tile_emu.tile.worker_template import WORKER_TEMPLATE

_HEADER = '''"""Interpreter loops of tile-emu, generated from the instruction table.

Do not edit: made anew when the table, a semantic function or the generator changes."""

import numpy as np
from numpy import int64, uint32, uint64

from tile_emu.isa.semantics.bits import join_words, sign_extend
from tile_emu.isa.semantics.memory import pace_address, pace_stride
from tile_emu.isa.semantics.outlined import outlined
from tile_emu.isa.semantics.randomness import prng_step
from tile_emu.isa.semantics.rounding import CTL_ESR
from tile_emu.jit import jit
from tile_emu.tile.csrspace import *
from tile_emu.tile.decode import decode_fetched
from tile_emu.tile.layout import *
from tile_emu.tile.opcodes import *
from tile_emu.tile.runs import count_run, count_runs, run_place
from tile_emu.tile.support import *
@@from tile_emu.tile.notes import *
from tile_emu.tile.translate.calls import *
@IMPORTS@

M32 = 0xFFFFFFFF
# Positions in a decoded row, unsigned like the row's own position, so that no index needs a check for being negative.
U0, U1, U2, U3, U4, U5, U6, U7, U8, U9, U10, U11, U12, U13, U14, U15 = [uint64(field) for field in range(16)]
OP_GET = @GET@
OP_PUT = @PUT@
STOCHASTIC = @STOCHASTIC@
EXTRA_TURNS_SHIFT = @EXTRA_TURNS_SHIFT@
@STATUS@

'''


def interpreter_source(instrumented: bool = False) -> str:
    """Python source of both loops. ``instrumented``: the variant that counts steps and notes accesses, see notes.py."""
    header = _HEADER.replace("@IMPORTS@", semantic_imports())
    for name in ("GET", "PUT"):
        header = header.replace(f"@{name}@", str(opcode_of(table().by_mnemonic[name.lower()][0])))
    header = header.replace("@STOCHASTIC@", repr(stochastic_opcodes()))
    header = header.replace("@EXTRA_TURNS_SHIFT@", str(EXTRA_TURNS_SHIFT))
    header = header.replace("@STATUS@", "\n".join(f"{status.name} = {int(status)}" for status in layout.Status))
    supervisor = SUPERVISOR_TEMPLATE.replace("@SYSTEM@", system_chain(" " * 16))
    return _variant(header + group_functions() + "\n\n" + WORKER_TEMPLATE + supervisor, instrumented)


_LINE = re.compile(r"^( *)@@(.*\n)", re.MULTILINE)
_INSERTION = re.compile(r"@\{(.*?)\}@")


def _variant(source: str, instrumented: bool) -> str:
    """Keep or drop what only the instrumented variant has: lines that start with ``@@``, and ``@{text}@`` in a line."""
    return _INSERTION.sub(r"\1" if instrumented else "", _LINE.sub(r"\1\2" if instrumented else "", source))


def _version() -> str:
    """Hash of everything the generated source and what it compiles to depend on."""
    digest = hashlib.sha256(table().version.encode())
    modules = {sys.modules[s.module].__file__ for s in SEMANTICS.values() if s.module}
    modules |= {module.__file__ for module in (csrspace, decode, runs, calls)}
    modules |= {__file__, str(Path(__file__).with_name("support.py"))}
    for path in sorted(str(m) for m in modules if m):
        digest.update(fingerprint(Path(path)).encode())
    return digest.hexdigest()[:16]


@functools.cache
def interpreter(instrumented: bool = False) -> ModuleType:
    """The module with the compiled ``run_worker`` and ``run_tiles``, or its instrumented variant."""
    name = "instrumented" if instrumented else "interpreter"
    path = cache_directory() / "generated" / f"{name}_{_version()}.py"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write(interpreter_source(instrumented).encode())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module

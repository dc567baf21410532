"""Assembled codelets kept on disk: assembling those of a layer takes as long as the rest of its lowering.

Code is found under a hash of all files beside its sources, of the assembler and its tables, and of where it is placed.
Sources that include anything but files beside them or the shipped headers are assembled every time. A damaged file
counts as absent, a disk that cannot be written is no reason to fail.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import tile_emu
from tile_emu.asm import assemble
from tile_emu.asm.code import Code
from tile_emu.asm.headers import INCLUDE_DIRECTORY
from tile_emu.cachedir import cache_directory
from tile_emu.profile.atomic import replacing

_INCLUDE = re.compile(rb"""^[ \t]*(?:#[ \t]*include|\.include|\.incbin)[ \t]*(.*?)[ \t]*\r?$""", re.MULTILINE)
_NAMED = re.compile(r"""["<]([^"<>]+)[">]\Z""")
_PACKAGE = Path(tile_emu.__file__).parent
_SOURCES = (".S", ".s", ".asm", ".inc", ".h", ".hpp")
_ARRAYS = ("words", "line_address", "line_number")


def assemble_kept(paths: Sequence[Path], architecture: str, base: int) -> Code:
    """As ``assemble`` of several files; from the cache where it is known."""
    path = _place(paths, architecture, base)
    if path is None:
        return assemble(paths, architecture=architecture, base=base)
    known = _load(path)
    if known is None:
        known = assemble(paths, architecture=architecture, base=base)
        _save(path, known)
    return known


def _place(paths: Sequence[Path], architecture: str, base: int) -> Path | None:
    """Where the code of some sources is kept; None if it depends on more than is hashed."""
    digest = hashlib.sha256(f"{_assembler_version()} {architecture} {base}".encode())
    for path in paths:
        source = Path(path)
        folder = _folder_hash(source.parent)
        if folder is None:
            return None
        digest.update(f"{path} {folder} {named_from(source)}\n".encode())
    return cache_directory() / "code" / f"{digest.hexdigest()[:32]}.npz"


def named_from(path: Path) -> str:
    """The folder from which included files are named: the current one where they lie in it."""
    return os.getcwd() if path.absolute().is_relative_to(os.getcwd()) else ""


def _folder_hash(folder: Path) -> str | None:
    """Hash of the sources in a folder; None if one includes what is neither there nor a shipped header."""
    digest = hashlib.sha256()
    try:
        sources = sorted(path for path in folder.iterdir() if path.suffix in _SOURCES)
        for path in sources:
            content = path.read_bytes()
            if not all(_is_hashed(written, folder) for written in _INCLUDE.findall(content)):
                return None
            digest.update(f"{path.name} {len(content)}\n".encode() + content)
    except OSError:
        return None
    return digest.hexdigest()


def _is_hashed(written: bytes, folder: Path) -> bool:
    """Whether what an include directive names is a source of the folder or a shipped header."""
    named = _NAMED.match(written.decode(errors="replace"))
    if named is None or ".." in named[1]:
        return False
    beside = folder / named[1]
    return (beside.parent == folder and beside.suffix in _SOURCES) or (INCLUDE_DIRECTORY / named[1]).is_file()


@functools.cache
def _assembler_version() -> str:
    """Hash of what code depends on beside its sources: the assembler, the tables, the chips, the shipped headers."""
    digest = hashlib.sha256()
    for pattern in ("asm/**/*", "isa/**/*", "chips/*"):
        for path in sorted(p for p in _PACKAGE.glob(pattern) if p.is_file() and p.suffix != ".pyc"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _load(path: Path) -> Code | None:
    try:
        with path.open("rb") as handle, np.load(handle) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            rest = json.loads(bytes(file["rest"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    names = rest.pop("names")
    for field in ("line_file", "line_unit"):
        rest[field] = tuple(names[i] for i in rest[field])
    return Code(**arrays, **rest)


def _save(path: Path, code: Code) -> None:
    rest = {f.name: getattr(code, f.name) for f in dataclasses.fields(code) if f.name not in _ARRAYS}
    names = list(dict.fromkeys(str(name) for name in (*code.line_file, *code.line_unit)))
    number = {name: i for i, name in enumerate(names)}
    for field in ("line_file", "line_unit"):
        rest[field] = [number[str(name)] for name in rest[field]]
    rest |= {"names": names, "base": int(code.base), "symbols": {n: int(at) for n, at in code.symbols.items()}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            arrays = {name: getattr(code, name) for name in _ARRAYS}
            np.savez(file, **arrays, rest=np.frombuffer(json.dumps(rest).encode(), np.uint8))
    except OSError:
        return

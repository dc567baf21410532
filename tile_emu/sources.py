"""What a source file of this project depends on: a hash of the file and of all project files it imports.

Finding a file's imports takes parsing it, which took longer than everything else at a start. So they are kept on disk
by the file's content: a name in ``imports.json`` beside the compiled code.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from pathlib import Path

from tile_emu.cachedir import cache_directory
from tile_emu.profile.atomic import replacing

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("tile_emu", "kernels")
_MOST_KEPT = 4096  # files whose imports are kept; edits make new ones


@functools.cache
def source_hash(path: Path) -> bytes:
    """Hash of a source file and of the project files it imports, directly or not."""
    seen: dict[Path, bytes] = {}
    todo = [path]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen[current], imports = _own_source(current)
            todo.extend(imports)
    digest = hashlib.sha256()
    for current in sorted(seen):
        digest.update(seen[current])
    return digest.digest()


@functools.cache
def _own_source(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """A file's content hash and the project files it imports."""
    text = path.read_bytes()
    content = hashlib.sha256(text)
    names = _kept_imports().get(content.hexdigest())
    if names is None:
        names = sorted(_imported_names(ast.parse(text)))
        _keep_imports(content.hexdigest(), names)
    files = (_imported_file(name) for name in names)
    return content.digest(), tuple(file for file in files if file is not None)


def _imported_names(tree: ast.AST) -> set[str]:
    """All that a file's import statements could mean by a module of this project: ``a.b`` and ``a.b.c`` for c of a.b.

    Whether c is a module or something in one depends on what files there are, not on this one.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.update(f"{node.module}:{alias.name}" for alias in node.names)
    return {name for name in names if name.replace(":", ".").split(".")[0] in _PACKAGES}


@functools.cache
def _imported_file(name: str) -> Path | None:
    """File of ``module`` or of ``module:name``: a module of that name in the package, else the one it is taken from."""
    package, _, member = name.partition(":")
    if member:
        # A module from a package does not depend on what else the package imports.
        return _module_file(f"{package}.{member}") or _module_file(package)
    return _module_file(package)


@functools.cache
def _module_file(name: str) -> Path | None:
    path = _ROOT.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports_path() -> Path:
    return cache_directory() / "numba" / "imports.json"


@functools.cache
def _kept_imports() -> dict[str, list[str]]:
    """Imported names by the hash of a file's content; empty when nothing is kept or what is kept is damaged."""
    try:
        found = json.loads(_imports_path().read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or len(found) > _MOST_KEPT:
        return {}
    names = (name for value in found.values() for name in (value if isinstance(value, list) else [None]))
    return found if all(isinstance(name, str) for name in names) else {}


def _keep_imports(content: str, names: list[str]) -> None:
    """Keep a file's imports. A full or read-only disk costs time at the next start, nothing else."""
    kept = _kept_imports()
    kept[content] = names
    try:
        _imports_path().parent.mkdir(parents=True, exist_ok=True)
        with replacing(_imports_path()) as file:
            file.write(json.dumps(kept).encode())
    except OSError:
        return

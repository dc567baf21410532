"""The C preprocessor in front of the assembler (files ending in ``.S``), by way of pcpp."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tile_emu.asm.headers import GENERATED_HEADER, INCLUDE_DIRECTORY, generated_header, predefined
from tile_emu.errors import AssemblyError

_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(define|undef|include|if|ifdef|ifndef)\b", re.MULTILINE)
_TEXT_DIRECTIVE = re.compile(r"^#(define|undef|include|if|ifdef|ifndef)\b", re.MULTILINE)
_KNOWN = ("define", "undef", "include", "if", "ifdef", "ifndef", "elif", "else", "endif", "line", "error", "warning")
_COMMENT = re.compile(r"^([ \t]*)#(?![ \t]*(?:" + "|".join(_KNOWN) + r")\b)(?![ \t]*\d)[^\n]*", re.MULTILINE)


def wants_preprocessor(text: str) -> bool:
    """Whether a source given as text uses C preprocessor directives (written without a space after ``#``)."""
    return _TEXT_DIRECTIVE.search(text) is not None


def preprocess(
    text: str,
    file: str,
    define: Mapping[str, Any] | None = None,
    include: Iterable[str | Path] = (),
    architecture: str = "ipu21",
) -> str:
    """Expand includes, conditionals and macros; the result carries ``#line`` markers.

    ``__IPU__`` and ``__IPU_ARCH_VERSION__`` are predefined; the directory of shipped headers is searched last.

    Raises AssemblyError for an include not found, a bad directive or ``#error``.
    """
    if not define and not _DIRECTIVE.search(text):
        return text
    from pcpp import Preprocessor

    class _Preprocessor(Preprocessor):
        def on_error(self, file: str, line: int, msg: str) -> None:
            raise AssemblyError(" ".join(msg.split()), str(file), int(line))

        def on_directive_unknown(self, directive: Any, toks: Any, ifpassthru: bool, precedingtoks: Any) -> Any:
            message = " ".join("".join(tok.value for tok in toks).split())
            if directive.value == "error":
                raise AssemblyError(f"#error {message}", directive.source, directive.lineno)
            # `# text` is a comment of the assembler, as far as C's preprocessor allows it
            return None if directive.value == "line" else True

        def on_file_open(self, is_system_include: bool, includepath: str) -> Any:
            if includepath == str(GENERATED_HEADER):
                return io.StringIO(generated_header(architecture))
            with open(includepath, encoding="utf-8-sig") as handle:
                return io.StringIO(_COMMENT.sub(r"\1", handle.read()))

    processor = _Preprocessor()
    processor.line_directive = "#line"
    # File names in errors: the source as the user gave it, included ones from here.
    processor.rewrite_paths = [
        (re.escape(os.path.abspath(file)) + r"\Z", file.replace("\\", r"\\")),
        (re.escape(os.path.abspath("") + os.sep) + "(.*)", r"\1"),
    ]
    processor.path = [str(directory) for directory in (*include, INCLUDE_DIRECTORY)]
    for name, value in {**predefined(architecture), **(define or {})}.items():
        processor.define(f"{name} {1 if value is True or value is None else value}")
    output = io.StringIO()
    try:
        # pcpp prints what it cannot tokenise; the assembler will complain about it with its place
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            processor.parse(_COMMENT.sub(r"\1", text), source=file)
            processor.write(output)
    except AssemblyError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError, AssertionError) as error:
        raise AssemblyError(f"the C preprocessor failed: {error}", file, 0) from error
    return output.getvalue()

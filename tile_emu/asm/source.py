"""Source text into statements: comments out, lines split at ``;`` and at braces, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tile_emu.errors import AssemblyError


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """Where a statement stands; ``parent`` is the macro call it comes from."""

    file: str
    line: int
    parent: Location | None = None
    macro: str = ""

    def stack(self) -> str:
        """The macro expansion stack as text, innermost first; empty outside macros."""
        text = ""
        frame: Location | None = self
        while frame is not None and frame.parent is not None:
            text += f" (in {frame.macro} expanded at {frame.parent.file}:{frame.parent.line})"
            frame = frame.parent
        return text

    def error(self, message: str, text: str = "") -> AssemblyError:
        return AssemblyError(message + self.stack(), self.file, self.line, text)


Statement = tuple[str, Location]

_NOISE = re.compile(r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^\\\n])'|//[^\n]*|\#[^\n]*|/\*.*?\*/""", re.DOTALL)
_MARKER = re.compile(r"#\s*(?:line\s+)?(\d+)(?:\s+\"((?:\\.|[^\"\\])*)\")?(?:\s+\d+)*\s*\Z")
_HAS_COMMENT = re.compile(r"[#]|//|/\*")
_SPECIAL = re.compile(r"[;{}\"]")
_PIECES = re.compile(r"""(?:"(?:\\.|[^"\\])*"?|'(?:\\.|[^\\])'|[^;{}"])+|[;{}]""")


_CONTINUED = re.compile(r"(?:[^\n]*\\\n)+[^\n]*")


def _join(match: re.Match[str]) -> str:
    return match[0].replace("\\\n", " ") + "\n" * match[0].count("\\\n")


def _replace(match: re.Match[str]) -> str:
    text = match[0]
    if text[0] in "\"'":
        return text
    return "\n" * text.count("\n") or " "


def strip_comments(text: str, file: str = "<text>") -> str:
    """Comments become blanks, line numbers stay; markers ``# 12 "file"`` at the start of a line are kept."""
    if not _HAS_COMMENT.search(text):
        return text
    if "/*" in text:
        _check_block_comments(text, file)
    return _NOISE.sub(_keep_markers, text)


def _keep_markers(match: re.Match[str]) -> str:
    text = match[0]
    if text[0] == "#" and _MARKER.match(text):
        start = match.start()
        if start == 0 or match.string[start - 1] == "\n":
            return text
    return _replace(match)


def _check_block_comments(text: str, file: str) -> None:
    rest = _NOISE.sub("", text)
    if "/*" in rest:
        at = text.rfind("/*")
        raise AssemblyError("comment is not closed", file, text.count("\n", 0, at) + 1)


def split_line(line: str) -> list[str]:
    """Statements of one line without comments; braces are statements of their own."""
    if not _SPECIAL.search(line):
        line = line.strip()
        return [line] if line else []
    pieces = (piece.strip() for piece in _PIECES.findall(line))
    return [piece for piece in pieces if piece and piece != ";"]


def statements(text: str, file: str) -> Iterator[Statement]:
    """All statements of a source text in order."""
    name, number = file, 0
    text = strip_comments(text, file)
    if "\\\n" in text:  # a continued line counts as one, the blank lines after it keep the numbers right
        text = _CONTINUED.sub(_join, text)
    for line in text.split("\n"):
        number += 1
        if line.startswith("#"):
            marker = _MARKER.match(line)
            if marker:
                number = int(marker[1]) - 1
                name = marker[2] if marker[2] is not None else name
            continue
        if not line or line.isspace():
            continue
        location = Location(name, number)
        for statement in split_line(line):
            yield statement, location

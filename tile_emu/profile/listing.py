"""The code that ran: every instruction word with its source line and disassembly, to lay execution counts on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tile_emu.profile.recording import I64, Recording

if TYPE_CHECKING:
    from tile_emu.graph.image import Image


@dataclass(frozen=True, eq=False)
class CodeListing:
    """Instructions of the code that all tiles share, n of them.

    ``word`` i64[n]: place in Recording.executions; ``line`` i64[n] and ``file`` i64[n] (into ``files``) its source;
    ``unit`` i64[n]: the assembled source, which may have included that file; ``symbol``: the label each lies behind;
    ``text``: its disassembly; ``source``: text of each file.
    """

    base: int
    word: I64
    line: I64
    file: I64
    unit: I64
    files: tuple[str, ...]
    source: tuple[str, ...]
    symbol: tuple[str, ...]
    text: tuple[str, ...]


@dataclass(frozen=True)
class CodeletUse:
    """What one codelet (the code of one assembled source) cost in one compute phase, all tiles together."""

    phase: int
    name: str  # file name without its ending
    turns: int  # of workers
    executions: int  # bundles and instructions of workers
    supervisor_instructions: int


def code_listing(image: Image) -> CodeListing:
    """The listing of an image. A source that is gone leaves its lines without text."""
    from tile_emu.asm import disassemble_one

    code, lines, base = image.shared_words(), image.lines, image.chip.memory.base
    order = np.argsort(lines.address, kind="stable")
    order = order[(lines.address[order] >= base) & (lines.address[order] < base + 4 * len(code))]
    word = ((lines.address[order] - base) // 4).astype(np.int64)
    words = [int(w) for w in code]
    labels = sorted((at, name) for name, at in image.symbols.items())
    starts = np.array([at for at, _ in labels], np.int64)
    behind = np.searchsorted(starts, base + 4 * word, side="right") - 1
    names = [name for _, name in labels]
    text = []
    for at in word:
        worker, _ = disassemble_one(words[at : at + 2], 0, "worker", base=base + 4 * int(at))
        text.append(worker)
    return CodeListing(
        base=base,
        word=word,
        line=lines.line[order].astype(np.int64),
        file=lines.file[order].astype(np.int64),
        unit=lines.unit[order].astype(np.int64),
        files=tuple(Path(name).name for name in lines.files),
        source=tuple(_read(Path(name)) for name in lines.files),
        symbol=tuple(names[i] if i >= 0 else "" for i in behind),
        text=tuple(text),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def instruction_turns(recording: Recording) -> I64:
    """[C, I] worker turns spent on each instruction, all tiles together."""
    return recording.executions + recording.extra_turns


def codelet_uses(recording: Recording, listing: CodeListing) -> Iterator[CodeletUse]:
    """Every codelet of every compute phase in which it ran; code without a source goes by ``(no source)``."""
    turns = instruction_turns(recording)
    names = (*(Path(name).stem for name in listing.files), "(no source)")
    owner = np.full(recording.words + 1, len(listing.files), np.int64)
    owner[listing.word] = listing.unit
    counts = [_by_owner(column, owner, len(names)) for column in (turns, recording.executions)]
    supervisor = _by_owner(recording.supervisor_executions[:, :-1], owner[:-1], len(names))
    for phase in range(len(turns)):
        for number, name in enumerate(names):
            if counts[0][phase, number] or supervisor[phase, number]:
                shares = (int(count[phase, number]) for count in (*counts, supervisor))
                yield CodeletUse(phase, name, *shares)


def _by_owner(column: I64, owner: I64, count: int) -> NDArray[np.int64]:
    """Sums over the words of each owner, i64[C, count]."""
    total = np.zeros((len(column), count), np.int64)
    for phase, row in enumerate(column):
        total[phase] = np.bincount(owner, row, count).astype(np.int64)
    return total

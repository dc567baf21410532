"""`tile-emu cache`: what is kept on disk, and its deletion."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tile_emu.cachedir import cache_directory
from tile_emu.cli.listing import print_table
from tile_emu.kept import Kept, clear, kept


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**20:,.1f} MiB"


def _row(entry: Kept) -> tuple[str, ...]:
    return entry.kind, f"{entry.files:,}", _size(entry.nbytes), "" if entry.most is None else _size(entry.most)


def print_kept(as_json: bool) -> None:
    """What is kept, by kind, and where."""
    found = kept()
    if as_json:
        kinds = {entry.kind: {"files": entry.files, "bytes": entry.nbytes, "most_bytes": entry.most} for entry in found}
        print(json.dumps({"folder": str(cache_directory()), "kinds": kinds}, indent=2))
        return
    print(f"in {cache_directory()}\n")
    print_table(("kind", "files", "size", "at most"), [_row(entry) for entry in found])


def clear_kept(kinds: Sequence[str]) -> None:
    """Delete, and say what is gone."""
    gone = clear(kinds)
    now = {entry.kind: entry for entry in kept()}
    for before in gone:
        after = now[before.kind]
        left = f", {after.files:,} could not be deleted" if after.files else ""
        print(f"{before.kind}: {before.files - after.files:,} files, {_size(before.nbytes - after.nbytes)}{left}")

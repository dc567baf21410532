"""`tile-emu codelet`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tile_emu.asm import Code, assemble_units, link
from tile_emu.asm.elf import read_file
from tile_emu.asm.unit import Unit
from tile_emu.chips import Chip, load_chip
from tile_emu.cli.code import ELF_MAGIC, definitions, read_bytes, warn
from tile_emu.cli.progress import Progress
from tile_emu.codelet import CodeletRun, State, as_float, load_state, run_codelet
from tile_emu.errors import UsageError
from tile_emu.profile.atomic import replacing, require_writable

_SHOWN = 64  # elements of an array printed as text; JSON has all


def print_codelet(
    sources: Sequence[Path],
    entry: str,
    state_file: Path,
    include: Sequence[Path],
    define: Sequence[str],
    chip_name: str,
    as_json: bool,
    trace: bool = False,
    profile: bool = False,
    check: bool = False,
) -> bool:
    """Assemble, run, print, and write the arrays that are to be saved; False if a check found something.

    ``trace`` lists every executed bundle, ``profile`` how often each source line was executed; ``check`` looks for
    errors that the hardware lets pass.
    """
    chip = load_chip(chip_name)
    code = load_code(sources, entry, chip, include, define)
    state = load_state(state_file, chip, code)
    saved = {name: array.save for name, array in state.arrays.items() if array.save is not None}
    for path in saved.values():
        require_writable(path)
    with Progress() as progress:
        progress.watch_compiler()
        result = run_codelet(code, entry, state, chip, trace or profile, check)
    for name, path in saved.items():
        with replacing(path) as file:
            np.save(file, result.arrays[name])
    if as_json:
        document = _document(chip, entry, state, result)
        if trace:
            document["trace"] = [dataclasses.asdict(step) for step in result.run.trace()]
        if profile:
            document["profile"] = [{"line": line, "turns": turns} for line, turns in _profile(result)]
        if result.findings is not None:
            document["check"] = result.findings.to_dict()
        print(json.dumps(document))
        return not result.findings
    for step in result.run.trace() if trace else ():
        print(step)
    _print(state, result)
    if profile:
        print("turns  source line (supervisor instructions count one)")
        for line, turns in _profile(result):
            print(f"{turns:>5}  {line}")
    if result.findings is not None:
        print("\n".join(result.findings.lines()))
    return not result.findings


def _profile(result: CodeletRun) -> list[tuple[str, int]]:
    from tile_emu.tile.trace import turns_by_line

    return turns_by_line(result.run.trace())


def load_code(sources: Sequence[Path], entry: str, chip: Chip, include: Sequence[Path], define: Sequence[str]) -> Code:
    """Sources and object files, linked. Raises UsageError, also if there is no symbol ``entry``."""
    units: list[Unit] = []
    for path in sources:
        content = read_bytes(path)
        if content[:4] == ELF_MAGIC:
            found = read_file(content, str(path))
            if not isinstance(found, Unit):
                raise UsageError(f"{path} is an executable: give its sources or object files")
            units.append(found)
        else:
            units += assemble_units(path, architecture=chip.architecture, include=include, define=definitions(define))
    warn(units)
    code = link(units, chip.memory.base, chip.memory.base)
    if entry not in code.symbols:
        raise UsageError(f"there is no symbol '{entry}' in {', '.join(map(str, sources))}")
    return code


def _document(chip: Chip, entry: str, state: State, result: CodeletRun) -> dict[str, Any]:
    run = result.run
    return {
        "chip": chip.name,
        "entry": entry,
        "kind": state.kind,
        "workers": list(state.workers) if state.kind == "worker" else None,
        "cycles": run.cycles,
        "instructions": run.instructions,
        "turns": list(run.turns),
        "worker_cycles": list(result.worker_cycles),
        "arrays": {name: _plain(result.arrays[name]) for name in state.arrays_shown},
        "registers": result.registers,
    }


def _plain(array: Any) -> list[Any]:
    """Numbers JSON has; infinities and NaN as text."""
    return [v if not isinstance(v, float) or np.isfinite(v) else str(v) for v in array.tolist()]


def _print(state: State, result: CodeletRun) -> None:
    run = result.run
    print(f"cycles        {run.cycles}")
    print(f"instructions  {run.instructions}")
    for worker, (turns, cycles) in enumerate(zip(run.turns, result.worker_cycles)):
        if turns:
            print(f"worker {worker}      {cycles} cycles, {turns} turns")
    for context, registers in result.registers.items():
        for name, word in registers.items():
            print(f"{context} ${name}  {word:#010x}  {word}  {as_float(word):g}")
    for name in state.arrays_shown:
        array = result.arrays[name]
        place = f"{array.dtype.name}[{array.size}] at {state.arrays[name].address:#x}"
        values = np.array2string(array, threshold=_SHOWN, max_line_width=110, separator=" ")
        print(f"{name}  {place}\n  " + values.replace("\n", "\n  "))
    sys.stdout.flush()

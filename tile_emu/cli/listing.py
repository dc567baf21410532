"""`tile-emu chips` and `tile-emu kernels`."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tile_emu.chips import chip_names, load_chip


def print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Left-aligned columns, two spaces apart."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip())


def print_chips(as_json: bool) -> None:
    """One line for each chip; as JSON every figure of its description."""
    chips = [load_chip(name) for name in chip_names()]
    if as_json:
        print(json.dumps([dataclasses.asdict(chip) for chip in chips], indent=2))
        return
    rows: list[tuple[str, ...]] = [
        (
            chip.name,
            chip.title,
            chip.architecture,
            f"{chip.tiles:,}",
            f"{chip.clock_hz / 1e9:.3f} GHz",
            f"{chip.memory.size // 1024} KiB",
            f"{2 * chip.tiles * chip.macs_per_cycle['f16'] * chip.clock_hz / 1e12:.1f}",
        )
        for chip in chips
    ]
    print_table(("name", "chip", "architecture", "tiles", "clock", "SRAM per tile", "peak f16 TFLOPS"), rows)


def print_kernels(group: Any, as_json: bool) -> None:
    """The commands of ``tile-emu run`` (a click group): name, what it does, options."""
    listed = [
        {
            "name": name,
            "summary": (command.help or "").split("\n\n")[0],
            "options": [
                {"option": parameter.opts[0], "help": parameter.help, "default": _plain(parameter.default)}
                for parameter in command.params
                if getattr(parameter, "help", None) and parameter.name != "help"
            ],
        }
        for name, command in sorted(group.commands.items())
    ]
    if as_json:
        print(json.dumps(listed, indent=2))
        return
    for kernel in listed:
        print(f"{kernel['name']}  {kernel['summary']}")
        for option in kernel["options"]:
            print(f"  {option['option']:<10} {option['help']}")


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else None

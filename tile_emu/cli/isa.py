"""`tile-emu isa`: what the instruction table and the semantic functions say of each mnemonic."""

from __future__ import annotations

import difflib
import json
from typing import Any

from tile_emu.cli.listing import print_table
from tile_emu.errors import UsageError
from tile_emu.isa.semantics import SEMANTICS
from tile_emu.isa.semantics.choices import CHOICES
from tile_emu.isa.table import Form, table


def _form(form: Form) -> dict[str, Any]:
    """One encoding as plain values."""
    operands = form.text
    for operand in form.operands:
        operands = operands.replace(f"${operand.name}", operand.kind)
    return {
        "form": form.name,
        "operands": operands,
        "mode": form.mode,
        "pipe": form.pipe,
        "bundle": form.coissue,
        "class": form.klass,
        "since": form.since,
        "match": f"{form.match:#010x}",
        "mask": f"{form.mask:#010x}",
    }


def describe(mnemonic: str) -> dict[str, Any]:
    """Meaning, worker turns and encodings of a mnemonic. Raises UsageError, with near names, for an unknown one."""
    known = table().by_mnemonic
    if mnemonic not in known:
        near = difflib.get_close_matches(mnemonic, known, n=4)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UsageError(f"no instruction '{mnemonic}'{hint}")
    semantic = SEMANTICS[mnemonic]
    return {
        "mnemonic": mnemonic,
        "meaning": semantic.summary,
        "mark": semantic.exactness,
        "choices": {name: CHOICES[name].text for name in semantic.choices},
        "turns": semantic.attributes.get("turns", 1),
        "forms": [_form(form) for form in known[mnemonic]],
    }


def print_isa(mnemonics: list[str], as_json: bool) -> None:
    """The named mnemonics with their encodings; without names a line for each of them all."""
    described = [describe(name) for name in mnemonics or sorted(table().by_mnemonic)]
    if as_json:
        print(json.dumps(described, indent=2))
    elif not mnemonics:
        rows: list[tuple[str, ...]] = [
            (entry["mnemonic"], entry["forms"][0]["mode"], entry["forms"][0]["pipe"], entry["mark"], entry["meaning"])
            for entry in described
        ]
        print_table(("mnemonic", "mode", "pipe", "mark", "meaning"), rows)
    else:
        for entry in described:
            turns = f"  ({entry['turns']} worker turns)" if entry["turns"] > 1 else ""
            print(f"{entry['mnemonic']}: {entry['meaning']}{turns}  {entry['mark']}")
            for name, text in entry["choices"].items():
                print(f"  {name}: {text}")
            fields = ("form", "operands", "mode", "pipe", "class", "since", "match", "mask")
            print_table(fields, [tuple(form[field] for field in fields) for form in entry["forms"]])

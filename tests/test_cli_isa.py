"""`tile-emu isa`, and that every row of the table has a meaning."""

import importlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tile_emu.cli.app import app
from tile_emu.cli.isa import describe
from tile_emu.errors import UsageError
from tile_emu.isa.semantics import SEMANTICS, Shape
from tile_emu.isa.semantics.choices import CHOICES, MACHINE
from tile_emu.isa.semantics.registry import declare
from tile_emu.isa.table import table


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["isa", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_mnemonic_of_the_table_has_semantics_and_no_other_has():
    assert set(SEMANTICS) == set(table().by_mnemonic)
    assert len(SEMANTICS) == 251 and len(table().forms) == 368


def test_all_are_listed_once():
    lines = run().splitlines()
    assert [line.split()[0] for line in lines[1:]] == sorted(SEMANTICS)


def test_one_is_described_with_its_encodings():
    text = run("brnzdec")
    assert "decrement" in text and "0x13080000" in text and "0x7f080000" in text and "MR, Rel19S2" in text


def test_turns_and_choices_are_marked():
    assert "6 worker turns" in run("f32ln")
    sort8, add, shl = json.loads(run("sort8", "add", "shl", "--json"))
    assert (sort8["mark"], add["mark"], shl["mark"]) == ("MODEL", "EXACT", "SPECIAL")
    assert "byte-order" in sort8["choices"] and not add["choices"]
    assert [form["form"] for form in add["forms"]] == ["add_mmmn", "add_mmmn_si", "add_mmmn_zi"]


def test_the_page_is_current():
    page = Path(__file__).parents[1] / "docs" / "isa.md"
    assert page.read_text(encoding="utf-8") == run("--markdown"), "run `make isa-page`"


def test_the_page_has_every_form_and_choice_once():
    rows = [line for line in run("--markdown").splitlines() if line.startswith("| ")]
    words = [row for row in rows if row.startswith("| `")]
    assert len(words) == len(table().forms)
    for form in table().forms:
        encoding = f"| `{form.match:08x}` | `{form.mask:08x}` |"
        assert sum(row.startswith(f"| `{form.mnemonic}` ") and encoding in row for row in words) == 1
    for name in CHOICES:
        assert sum(row.startswith(f"| {name} |") for row in rows) == 1


def test_choices_name_what_exists_and_who_depends_on_them():
    used = {name for semantic in SEMANTICS.values() for name in semantic.choices}
    assert used == {name for name, choice in CHOICES.items() if choice.kind != MACHINE}
    for name, choice in CHOICES.items():
        module, _, path = choice.where.partition(":")
        found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        assert found is not None, name


def test_a_meaning_that_says_inferred_names_its_choice():
    for semantic in SEMANTICS.values():
        if "inferred" in semantic.summary or "MODEL" in semantic.summary:
            assert semantic.choices, semantic.mnemonic


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="no choice"):
        declare("nothing", Shape.ALU, "", choices="nowhere")


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(UsageError, match=r"no instruction 'f16v4ad'; did you mean .*f16v4add"):
        describe("f16v4ad")

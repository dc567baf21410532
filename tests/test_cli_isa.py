"""`tile-emu isa`, and that every row of the table has a meaning."""

import json

import pytest
from typer.testing import CliRunner

from tile_emu.cli.app import app
from tile_emu.cli.isa import describe
from tile_emu.errors import UsageError
from tile_emu.isa.semantics import SEMANTICS
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


def test_turns_and_inferred_meanings_are_marked():
    assert "6 worker turns" in run("f32ln")
    sort8, add = json.loads(run("sort8", "add", "--json"))
    assert sort8["inferred"] and not add["inferred"]
    assert [form["form"] for form in add["forms"]] == ["add_mmmn", "add_mmmn_si", "add_mmmn_zi"]


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(UsageError, match=r"no instruction 'f16v4ad'; did you mean .*f16v4add"):
        describe("f16v4ad")

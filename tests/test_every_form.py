"""Every form of the table is executed by the emulator and compared with an oracle, or tested by what is named here."""

from __future__ import annotations

import importlib
import random

import numpy as np
import pytest

from tests.differential.forms import ELSEWHERE, SHAPING, Units, drawn_forms
from tests.differential.run import small_run
from tests.naive import NaiveTile
from tests.naive.text import parse
from tile_emu.errors import TileFault
from tile_emu.isa.semantics import SEMANTICS
from tile_emu.isa.table import ARCHITECTURES, COISSUE, Form, table
from tile_emu.tile import Tile

#: Forms that act on the fabric or on other tiles: the tests that compare them with tests/exchange_oracle.py, which
#: decodes and follows exchange instructions cycle by cycle, or run them on a machine of several tiles.
TESTED_ELSEWHERE = {
    "send": "tests.test_exchange_rows:test_rows_deliver_exactly_what_was_asked",
    "sendoff": "tests.test_exchange_rows:test_longest_fields",
    "sendpic": "tests.test_exchange_rows:test_any_legal_schedule_can_be_encoded",
    "sendpicp": "tests.test_exchange_rows:test_double_setting_next_to_and_inside_of_messages",
    "delaypic": "tests.test_exchange_rows:test_five_words_as_in_the_worked_example",
    "delayxpic": "tests.test_exchange_rows:test_five_words_as_in_the_worked_example",
    "sans": "tests.test_machine:test_sans_answers_a_barrier_before_the_tile_waits_for_it",
}


def executed() -> frozenset[str]:
    """Forms that random programs complete on both machines with the same outcome."""
    outcome = small_run()
    assert not outcome.reports, "\n\n".join(outcome.reports)
    return frozenset(outcome.executed)


def test_every_form_has_semantics_and_a_test() -> None:
    forms = {form.name: form for form in table().forms}
    assert len(forms) == 368
    assert {form.mnemonic for form in forms.values()} == set(SEMANTICS)
    assert executed() <= set(forms)
    assert set(TESTED_ELSEWHERE) == set(ELSEWHERE)
    untested = {form for name, form in forms.items() if name not in executed()}
    assert {form.mnemonic for form in untested} == set(TESTED_ELSEWHERE)


def test_no_form_is_called_tested_elsewhere_that_is_executed_here() -> None:
    assert not {table().by_name[name].mnemonic for name in executed()} & set(TESTED_ELSEWHERE)


@pytest.mark.parametrize("mnemonic", TESTED_ELSEWHERE)
def test_the_tests_named_exist(mnemonic: str) -> None:
    module, _, name = TESTED_ELSEWHERE[mnemonic].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_registry_draws_every_form() -> None:
    drawn = {form.name for supervised in (False, True) for form in drawn_forms(supervised)}
    left = {form.mnemonic for form in table().forms if form.name not in drawn}
    assert left == {*SHAPING, *ELSEWHERE}


def test_oracle_reads_what_the_registry_writes() -> None:
    """Every form in text that the oracle parses to as many operands as the table has."""
    rng = random.Random(3)
    for supervised in (False, True):
        for form in drawn_forms(supervised):
            written = Units(rng, supervised).of(form)[-1].instructions[0]
            (step,) = parse(written.text()).steps.values()
            assert step.instructions[0].mnemonic == form.mnemonic
            assert len(step.instructions[0].operands) == len(form.operands)


def test_oracle_does_not_pass_over_what_it_does_not_know() -> None:
    with pytest.raises(NotImplementedError):
        NaiveTile("start:\nf32frobnicate $a0,$a1\n").run_workers("start", workers=[0])


def newer(architecture: str) -> list[Form]:
    limit = ARCHITECTURES.index(architecture)
    return [form for form in table().forms if ARCHITECTURES.index(form.since) > limit]


@pytest.mark.parametrize(("chip", "architecture", "count"), [("gc2", "ipu1", 24), ("gc200", "ipu2", 19)])
def test_forms_newer_than_the_chip_fault(chip: str, architecture: str, count: int) -> None:
    forms = newer(architecture)
    assert len(forms) == count
    tile = Tile(chip)
    base = tile.chip.memory.base
    for form in forms:
        tile.write(base, np.array([form.match & ~COISSUE], np.uint32))
        with pytest.raises(TileFault) as fault:
            tile.run_workers(base, workers=[0])
        assert (fault.value.kind, fault.value.pc) == ("INVALID_INSTR", base), form.name

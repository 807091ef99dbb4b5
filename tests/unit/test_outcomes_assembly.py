"""Failures by their reason, with the cells that share it."""

from __future__ import annotations

from outcomes_records import BREAKS, LEARNS, cell, crash, outcome, trial

from runner.matrix.model import Seeds
from runner.outcomes.assembly import failure_groups
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.verdict import Label

NO_LR = crash("argument 'lr' at 0x7f3a", kind="TypeError", stage="build-model")


def names(group):
    return [one.id.get("tensorflow") for one in group.cells]


def test_the_reason_that_most_cells_share_comes_first():
    found = failure_groups(
        [
            outcome("1", *[BREAKS] * 4),
            outcome("2", (), (), **NO_LR),
            outcome("3", *[LEARNS] * 4),
            outcome("4", (), (), **{**NO_LR, **crash("argument 'lr' at 0x1", kind="TypeError", stage="build-model")}),
        ]
    )
    assert [(names(group), len(group.trials), group.reason) for group in found] == [
        (["2", "4"], 4, "crashed-build-model: TypeError: argument 'lr' at <address> (build-model)"),
        (["1"], 4, "nan"),
    ]
    assert found[0].example[0].seed == 0


def test_a_flaky_cell_stands_with_each_of_its_reasons():
    values, trials = cell("1", LEARNS, BREAKS, BREAKS)
    mixed = judge_cell(values, [*trials, trial(seed=9, **crash("bad shape"))], Seeds())
    found = failure_groups([mixed])
    assert [(group.label, len(group.trials)) for group in found] == [(Label.NAN, 2), (Label.CRASHED_TRAINING, 1)]
    assert all(group.cells == (mixed,) for group in found)


def test_cells_that_can_not_be_made_are_grouped_by_the_resolvers_words():
    def unresolvable(name, message):
        return outcome(name, (), stage="install", exit_code=1, unresolvable=True, message=message)

    same = [unresolvable(name, f"keras=={name} needs numpy<1.2{name}") for name in "12"]
    found = failure_groups([*same, unresolvable("3", "no CPython has wheels")])
    assert [names(group) for group in found] == [["1", "2"], ["3"]]
    assert found[0].reason == "unresolvable: exit code 1: keras==# needs numpy<# (install)"


def test_a_matrix_without_failures_has_no_groups():
    assert failure_groups([outcome("1", *[LEARNS] * 4)]) == ()

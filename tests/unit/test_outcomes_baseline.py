"""The baseline of a matrix and its second pass: R10 of docs/verdicts.md."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from outcomes_records import BREAKS, cell, outcome, record, settling, trial

from runner.matrix.cell_id import CellId
from runner.matrix.criterion import parse
from runner.matrix.model import Judging, Seeds
from runner.outcomes.judged_matrix import baseline_of, judge_matrix
from runner.outcomes.judging import verdict_of
from runner.outcomes.verdict import Basis, Label, Reference

GOOD, POOR = settling(0.14), settling(0.9)


def labels(judged):
    return [str(one.outcome) for one in judged.cells]


def bases(outcome):
    return {verdict.basis for _, verdict in outcome.trials}


def test_settled_trials_are_held_against_the_best_cell():
    judged = judge_matrix([cell("1", *[POOR] * 4), cell("2", *[GOOD] * 4), cell("3", *[BREAKS] * 4)], Seeds())
    assert labels(judged) == ["fails (plateaued)", "converges", "fails (nan)"]
    assert judged.baseline is judged.cells[1]
    assert judged.reference == Reference(final=0.14, scale=2.3)
    assert judged.reason == "the best median final value (0.14) of the cells that mostly succeed"
    assert [bases(one) for one in judged.cells] == [{Basis.ABOVE_BASELINE}, {Basis.REFERENCE}, {Basis.NON_FINITE}]


def test_a_trial_within_ten_per_cent_of_the_baselines_start_is_level_with_it():
    near, far = settling(0.14 + 0.229), settling(0.14 + 0.231)
    judged = judge_matrix([cell("1", *[GOOD] * 4), cell("2", *[near] * 4), cell("3", *[far] * 4)], Seeds())
    assert labels(judged) == ["converges", "converges", "fails (plateaued)"]


def test_one_cell_is_not_held_against_itself():
    judged = judge_matrix([cell("1", *[GOOD] * 4)], Seeds())
    assert (labels(judged), judged.baseline, judged.reference) == (["settles"], None, None)
    blocked = cell("2", stage="install", exit_code=1)
    assert judge_matrix([cell("1", *[GOOD] * 4), blocked], Seeds()).reason == (
        "fewer than two cells have a judged trial: there is nothing to compare"
    )


def test_cells_whose_losses_start_ten_times_apart_stay_settled():
    summed = settling(1.4, start=23.1)
    judged = judge_matrix([cell("1", *[GOOD] * 4), cell("2", *[summed] * 4)], Seeds())
    assert (labels(judged), judged.baseline) == (["settles", "settles"], None)
    assert judged.reason.startswith("the first values of cells range from 2.3 to 23.1, more than 10 times")
    close = judge_matrix([cell("1", *[GOOD] * 4), cell("2", *[settling(1.4, start=22.9)] * 4)], Seeds())
    assert close.baseline is close.cells[0]


def test_a_cell_that_explodes_at_once_does_not_take_the_baseline_from_the_others():
    explodes = (5e4, 2e6, float("nan"), float("nan"), float("nan"))
    judged = judge_matrix([cell("1", *[GOOD] * 4), cell("2", *[explodes] * 4), cell("3", *[POOR] * 4)], Seeds())
    assert labels(judged) == ["converges", "fails (nan)", "fails (plateaued)"]


def test_a_named_baseline_wins_over_a_better_one():
    cells = [cell("2.16", *[POOR] * 4), cell("2", *[GOOD] * 4)]
    judged = judge_matrix(cells, Seeds(), baseline={"tensorflow": "2.16.0"})
    assert (labels(judged), judged.reason) == (["converges", "converges"], "named (tensorflow 2.16.0)")
    assert judged.baseline is judged.cells[0]
    assert judged.named


def test_a_named_baseline_needs_no_four_trials_and_may_have_no_level():
    few = judge_matrix([cell("1", GOOD), cell("2", *[POOR] * 4)], Seeds(), baseline={"tensorflow": "1"})
    assert labels(few) == ["undecided", "fails (plateaued)"]
    failing = judge_matrix([cell("1", *[BREAKS] * 4), cell("2", *[POOR] * 4)], Seeds(), baseline={"tensorflow": "1"})
    assert (labels(failing), failing.reference) == (["fails (nan)", "settles"], None)
    assert failing.baseline is failing.cells[0]
    assert failing.reason == "named (tensorflow 1); none of its trials succeeds, so that it has no level"


def test_of_several_cells_that_a_name_fits_the_best_is_taken_and_a_name_that_fits_none_is_told():
    outcomes = [outcome("1", *[POOR] * 4), outcome("2", *[GOOD] * 4)]
    several = baseline_of(outcomes, {})
    assert (several.cell, several.named) == (outcomes[1].id, False)
    assert baseline_of(outcomes, {"tensorflow": "3"}).reason == (
        "the named baseline (tensorflow 3) is none: no cell has these values"
    )


def test_a_cell_with_few_trials_mostly_failing_or_only_copies_is_no_baseline():
    few, flaky = outcome("1", *[GOOD] * 3), outcome("2", GOOD, GOOD, BREAKS, BREAKS)
    copies = outcome("3", GOOD, GOOD, weights="same")
    found = baseline_of([few, flaky, copies])
    assert (found.cell, found.reference) == (None, None)
    assert found.reason == "no cell has 4 judged trials, most of which succeed; name a baseline to have one"
    poor = outcome("4", *[POOR] * 4)
    assert baseline_of([few, flaky, copies, poor]).cell == poor.id


def test_with_a_criterion_the_baseline_is_chosen_and_no_level_is_judged():
    criterion = (parse("loss < 1"),)
    cells = [
        (values, [(made, verdict_of(made, criterion)) for made, _ in trials])
        for values, trials in (cell("1", *[POOR] * 4), cell("2", *[settling(0.14, start=230)] * 4))
    ]
    judged = judge_matrix(cells, Seeds(), criterion=criterion)
    assert (labels(judged), judged.reference) == (["converges", "converges"], None)
    assert judged.baseline is judged.cells[1]


def test_of_a_maximised_metric_the_highest_level_is_best():
    judging = Judging(metric="accuracy")

    def accuracies(level):
        made = [record(*settling(level, start=0.1), seed=seed, weights=str(seed)) for seed in range(4)]
        renamed = [
            one.model_copy(
                update={"epochs": tuple(e.model_copy(update={"logs": {"acc": e.logs["loss"]}}) for e in one.epochs)}
            )
            for one in made
        ]
        return [(one, verdict_of(one, judging=judging)) for one in renamed]

    cells = [(CellId.of({"keras": "1"}), accuracies(0.6)), (CellId.of({"keras": "2"}), accuracies(0.95))]
    judged = judge_matrix(cells, Seeds(), judging=judging)
    assert labels(judged) == ["fails (plateaued)", "converges"]
    assert judged.baseline is judged.cells[1]


def test_how_a_trial_that_ran_out_of_time_looked_is_held_against_the_baseline_too():
    timed_out = trial(*POOR, seed=9, stage="training", exit_code=None, timed_out=True)
    values, trials = cell("1", *[POOR] * 4)
    judged = judge_matrix([(values, [*trials, timed_out]), cell("2", *[GOOD] * 4)], Seeds())
    _, verdict = judged.cells[0].trials[-1]
    assert (verdict.label, verdict.shape) == (Label.TIMEOUT, Label.PLATEAUED)


def test_a_cell_that_the_second_pass_makes_flaky_asks_for_more_seeds():
    mixed = cell("1", POOR, POOR, GOOD, GOOD)
    judged = judge_matrix([mixed, cell("2", *[GOOD] * 4)], Seeds())
    assert labels(judged) == ["flaky (neither leads)", "converges"]
    assert judged.seeds_wanted(Seeds()) == (4, 0)
    assert judge_matrix([mixed], Seeds()).seeds_wanted(Seeds()) == (0,)


@given(st.permutations(range(4)), st.permutations(range(3)))
def test_neither_the_order_of_trials_nor_that_of_cells_changes_what_is_said(trials, cells):
    levels = ((0.14, 0.15, 0.13, 0.16), (0.9, 0.8, 0.85, 0.2), (0.5, 0.5, 0.14, 0.7))
    known = [cell(str(number), *map(settling, of_cell)) for number, of_cell in enumerate(levels)]
    shuffled = [(known[i][0], [known[i][1][j] for j in trials]) for i in cells]
    straight, other = judge_matrix(known, Seeds()), judge_matrix(shuffled, Seeds())
    assert other.reference == straight.reference
    assert [labels(other)[cells.index(i)] for i in range(3)] == labels(straight)

"""A cell against the baseline: the label, the words that follow the numbers, and the seeds still needed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes_records import BREAKS, cell, crash, epochs, outcome, settling, trial

from runner.matrix.cell_id import CellId
from runner.matrix.model import Seeds
from runner.outcomes.comparing import compare, comparisons, control, top_up
from runner.outcomes.comparison import ComparisonLabel, figure_in_words
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.judged_matrix import judge_matrix
from runner.outcomes.outcome import OUTCOMES, Footing, OutcomeKind, footing

SPREAD = (0.0100, 0.0101, 0.0102, 0.0103, 0.0104, 0.0105, 0.0106)


def good(name="g", factor=1.0, number=4):
    return outcome(name, *(settling(factor * level) for level in SPREAD[:number]))


def bad(name="b", number=4):
    return outcome(name, *[BREAKS] * number)


def flaky(name="f"):
    return outcome(name, *(losses for level in SPREAD[:5] for losses in (settling(level), BREAKS)))


def blocked(name="x"):
    return outcome(name, (), stage="install", exit_code=1, message="no wheel")


def broken(name="i"):
    return outcome(name, (), (), **crash("no lstm", kind="ImportError", stage="import"))


def copies(name="c"):
    return outcome(name, BREAKS, BREAKS, weights="same")


@pytest.mark.parametrize(
    ("made", "baseline", "label", "reason"),
    [
        (bad, good, "worse", "succeeds less often: 0 of 4 against 4 of 4 trials succeed (-100 points, 95 % interval"),
        (good, bad, "better", "succeeds more often: 4 of 4 against 0 of 4 trials succeed (+100 points, 95 % interval"),
        (good, good, "equivalent", "both succeed, at the same level: median final loss 0.0101 against 0.0101 (1 times"),
        (blocked, good, "blocked", "can't be compared: the cell is blocked (install-failed)"),
        (good, blocked, "blocked", "can't be compared: the baseline is blocked (install-failed)"),
        (broken, good, "breaks", "breaks where the baseline settles: ImportError: no lstm in stage import"),
        (good, broken, "better", "settles where the baseline breaks: ImportError: no lstm in stage import"),
        (broken, bad, "inconclusive", "both fail (0 of 2 against 0 of 4 trials succeed): no difference found"),
        (flaky, broken, "inconclusive", "no difference found: 5 of 10 against 0 of 2 trials succeed (+50 points"),
        (bad, bad, "inconclusive", "both fail (0 of 4 against 0 of 4 trials succeed): no difference found"),
        (flaky, good, "inconclusive", "no difference found: 5 of 10 against 4 of 4 trials succeed (-50 points"),
        (copies, good, "inconclusive", "look different, which is not sure: 0 of 1 against 4 of 4 trials succeed"),
    ],
)
def test_the_label_and_its_words_follow_the_numbers(made, baseline, label, reason):
    found = compare(made(), baseline())
    assert found.label == label
    assert found.reason.startswith(reason)


def test_a_level_that_differs_is_said_with_its_size_and_which_way_is_better():
    found = compare(good(factor=3), good())
    assert found.label is ComparisonLabel.LEVEL_DIFFERS
    assert found.reason == (
        "succeeds at another level: median final loss 0.0305 against 0.0101 (3 times, 95 % interval 2.94 to 3.06; "
        "higher, p = 0.029), which is worse; 4 of 4 against 4 of 4 trials succeed"
    )


def test_a_sure_difference_that_hardly_matters_is_said_to_be_one():
    found = compare(good(factor=1.1), good())
    assert found.label is ComparisonLabel.LEVEL_DIFFERS
    assert "higher, p = 0.029, though the same within a factor of 1.26" in found.reason


def test_no_difference_found_is_not_equal():
    wide = outcome("w", *map(settling, (0.005, 0.02, 0.01, 0.04)))
    found = compare(wide, outcome("v", *map(settling, (0.006, 0.015, 0.012, 0.03))))
    assert found.label is ComparisonLabel.INCONCLUSIVE
    assert "no difference found, p = 1; not shown to be the same within a factor of 1.26" in found.reason
    assert found.reason.endswith("to show them the same takes about 339 seeds each")


def test_copies_are_one_observation_and_no_more_seeds_are_asked_for():
    found = compare(copies(), good())
    assert (found.rates.counted, found.level, found.seeds_needed) == ((1, 4), None, (0, 0))
    assert found.reason.endswith("the trials of the cell are copies of one, whatever the seed: no test can tell more")


def test_levels_of_cells_that_settled_from_far_apart_are_not_compared():
    summed = outcome("s", *(settling(30 * level, start=69) for level in SPREAD[:4]))
    found = compare(summed, good())
    assert (found.level, found.label) == (None, ComparisonLabel.INCONCLUSIVE)
    assert found.reason == "both succeed (4 of 4 against 4 of 4 trials succeed); levels are not compared"


def test_fewer_than_four_successes_have_no_level_and_ask_for_more():
    found = compare(good(number=2), good())
    assert (found.level, found.seeds_needed) == (None, (2, 0))
    assert found.reason.endswith("still needed: 2 more seeds of the cell, 0 of the baseline")


def test_a_matrix_is_corrected_and_topped_up_as_its_size_asks():
    base = good("base")
    cells = [bad(), *(good(str(number)) for number in range(5))]
    made = comparisons([base, *cells], base, named=True)
    assert [one.label.value for one in made] == ["inconclusive", *["equivalent"] * 5]
    assert (made[0].tests, made[0].rates.adjusted_p) == (6, pytest.approx(6 * 2 / 70))
    assert "0.17 among 6 comparisons); still needed: 1 more seed of the cell, 1 of the baseline" in made[0].reason
    assert top_up([base, *cells], base) == (1, 1, 0, 0, 0, 0, 0)
    topped = [good("base", number=5), bad(number=5), *cells[1:]]
    assert comparisons(topped, topped[0], named=True)[0].label is ComparisonLabel.WORSE
    assert top_up(topped, topped[0]) == (0,) * 7


def test_blocked_cells_are_no_comparisons_to_correct_for():
    base = good("base")
    made = comparisons([base, bad(), blocked("1"), blocked("2")], base)
    assert [one.label.value for one in made] == ["worse", "blocked", "blocked"]
    assert made[0].tests == 1


def test_the_levels_of_a_chosen_baseline_are_tested_as_one_of_all_pairs():
    cells = [good(str(number), factor=3, number=5) for number in range(3)]
    base = good("base", number=5)
    named, chosen = (comparisons(cells, base, named=named)[0].level.adjusted_p for named in (True, False))
    assert (named, chosen) == (pytest.approx(3 * 2 / 252), pytest.approx(6 * 2 / 252))


def timed(name, seconds, peak):
    made = [
        trial(
            *BREAKS,
            seed=seed,
            peak_memory_bytes=peak + seed,
            epochs=tuple(
                e.model_copy(update={"time_s": seconds + seed / 100}) for e in epochs("f", *[{"loss": 1}] * 6)
            ),
        )
        for seed in range(4)
    ]
    return judge_cell(CellId.of({"tensorflow": name}), made, Seeds())


def test_times_and_memory_are_compared_the_same_way_and_do_not_decide():
    found = compare(timed("slow", 3.0, 10**8), timed("quick", 2.0, 10**8))
    assert found.label is ComparisonLabel.INCONCLUSIVE
    assert figure_in_words(found.epoch_s, "time per epoch", " s").startswith(
        "median time per epoch 3.01 s against 2.01 s (1.5 times, 95 % interval 1.4"
    )
    assert (found.epoch_s.label, found.peak_memory_bytes.label) == ("higher", "equivalent")


def test_trials_that_crashed_half_way_are_not_timed():
    broken = [trial(*BREAKS, seed=seed, peak_memory_bytes=5, **crash()) for seed in range(4)]
    assert compare(judge_cell(CellId(()), broken, Seeds()), timed("quick", 2.0, 10**8)).peak_memory_bytes is None


def test_every_pair_of_outcomes_has_its_footing():
    pairs = {(one, other): footing(one, other) for one in OUTCOMES for other in OUTCOMES}
    blocked_pairs = {pair for pair, found in pairs.items() if found is Footing.BLOCKED}
    assert blocked_pairs == {pair for pair in pairs if OutcomeKind.UNTESTABLE in {one.kind for one in pair}}
    broken_pairs = {pair for pair, found in pairs.items() if found is Footing.BREAKS}
    assert broken_pairs == {
        (one, other)
        for one, other in pairs
        if (one.breaks and other.kind is OutcomeKind.GOOD) or (other.breaks and one.kind is OutcomeKind.GOOD)
    }
    assert all(footing(other, one) is found for (one, other), found in pairs.items())


def test_a_break_has_no_p_value_is_not_corrected_for_and_asks_for_no_seeds():
    base = good("base")
    made = comparisons([base, bad(), broken()], base, named=True)
    assert [(one.label.value, one.tests) for one in made] == [("worse", 1), ("breaks", 1)]
    assert (made[1].rates, made[1].seeds_needed, made[1].label.different) == (None, (0, 0), True)
    assert top_up([base, broken()], base) == (0, 0)


MIRRORED = {ComparisonLabel.WORSE: ComparisonLabel.BETTER, ComparisonLabel.BETTER: ComparisonLabel.WORSE}
CELLS = st.lists(st.sampled_from([*map(settling, SPREAD), settling(0.1), BREAKS]), min_size=1, max_size=7)


@given(CELLS, CELLS, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_swapping_sides_turns_worse_into_better_and_the_order_of_trials_does_not_matter(ours, theirs, shuffler):
    (values, trials), one = cell("1", *ours), outcome("2", *theirs)
    shuffled = list(trials)
    shuffler.shuffle(shuffled)
    straight = compare(judge_cell(values, trials, Seeds()), one)
    swapped = compare(one, judge_cell(values, shuffled, Seeds()))
    assert swapped.label is MIRRORED.get(straight.label, straight.label)
    assert swapped.seeds_needed == tuple(reversed(straight.seeds_needed))
    assert straight.reason


def test_a_control_counts_how_often_the_same_was_called_different():
    found = control([(good(), good()), (good(), bad()), (flaky(), good()), (blocked(), blocked())])
    assert (found.compared, found.different, found.other_outcomes) == (3, 1, 2)
    assert str(found) == (
        "of 3 pairs of the same cell 1 were called different (95 % interval 0.8-90.6 %); "
        "2 have outcomes of another kind"
    )
    assert str(control([])) == "no two cells that are the same were compared"


def test_seeds_of_a_matrix_are_counted_without_scipy():
    code = (
        "import sys; sys.path.insert(0, 'tests/unit'); from outcomes_records import *; "
        "from runner.outcomes.judged_matrix import judge_matrix; from runner.outcomes.assembly import failure_groups; "
        "from runner.matrix.model import Seeds; "
        "judged = judge_matrix([cell('1', *[settling(0.1)] * 4), cell('2', *[BREAKS] * 4)], Seeds()); "
        "print(judged.seeds_wanted(Seeds()), *judged.cells[0].flags, len(failure_groups(judged.cells)), "
        "*{'pandas', 'scipy', 'numpy', 'statsmodels'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "(0, 0) 1"


def test_a_matrix_compares_its_cells_with_its_baseline():
    cells = [cell(str(n), *map(settling, SPREAD[:4])) for n in range(2)] + [cell("bad", *[BREAKS] * 4)]
    judged = judge_matrix(cells, Seeds(), baseline={"tensorflow": "0"})
    assert [one.label.value for one in judged.comparisons] == ["equivalent", "inconclusive"]
    assert judged.seeds_wanted(Seeds()) == (1, 0, 1)
    assert judged.seeds_wanted(Seeds(lead=4, cap=4)) == (0, 0, 0)
    assert judged.seeds_wanted(Seeds(lead=4, cap=4, fixed=True)) == (0, 0, 0)
    assert judge_matrix([cells[0]], Seeds()).comparisons == ()

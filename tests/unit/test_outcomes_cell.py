"""A cell's outcome over its trials, the interval, and when no further seed is asked for."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes_records import BREAKS, LEARNS, crash, trial

from runner.matrix.cell_id import CellId
from runner.matrix.criterion import parse
from runner.matrix.declaration import OUTCOME_LABELS
from runner.matrix.model import Seeds
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.judging import verdict_of
from runner.outcomes.outcome import OUTCOMES, Outcome, OutcomeKind
from runner.outcomes.significance import clopper_pearson
from runner.outcomes.tally import most_trials, seeds_wanted
from runner.outcomes.verdict import Label, standing

CELL = CellId.of({"tensorflow": "2.9.3"})
TIMEOUT = {"stage": "training", "exit_code": None, "timed_out": True}
UNKNOWN = {"stage": "import", "exit_code": 1, "probe_started": False}
NO_MODULE = crash("No module named 'keras.layers'", kind="ModuleNotFoundError", stage="import")
INSTALL = {"stage": "install", "exit_code": 1, "message": "no wheel"}


def good(seed):
    return trial(*LEARNS, seed=seed)


def bad(seed):
    return trial(*BREAKS, seed=seed)


def cut(seed):
    return trial(1.0, seed=seed, **TIMEOUT)


def lost(seed):
    return trial(seed=seed, **UNKNOWN)


def broken(seed):
    return trial(seed=seed, **NO_MODULE)


def offline(seed):
    return trial(seed=seed, **crash("<urlopen error x>", kind="urllib.error.URLError", stage="import"))


def short(seed):
    return trial(1.0, seed=seed)


def trials(*kinds):
    return [kind(seed) for seed, kind in enumerate(kinds)]


def fixed(number):
    return Seeds(lead=number, cap=number, fixed=True)


@pytest.mark.parametrize(
    ("kinds", "label", "kind", "counted"),
    [
        ([good] * 4, "settles", "good", (4, 4)),
        ([bad] * 4, "fails (nan)", "bad", (0, 4)),
        ([good, bad] * 5, "flaky (neither leads)", "undecided", (5, 10)),
        ([good, bad], "flaky (too few to say)", "undecided", (1, 2)),
        ([good] * 5 + [bad], "flaky (mostly settles)", "undecided", (5, 6)),
        ([good] + [bad] * 5, "flaky (mostly fails)", "undecided", (1, 6)),
        ([good] * 3, "undecided", "undecided", (3, 3)),
        ([], "not run", "undecided", (0, 0)),
        ([broken] * 2, "breaks (crashed-import)", "bad", (0, 2)),
        ([broken] * 3 + [cut] * 2, "breaks (crashed-import)", "bad", (0, 5)),
        ([bad] * 3 + [broken] * 2, "fails (nan)", "bad", (0, 5)),
        ([broken] * 2 + [good] * 4, "flaky (neither leads)", "undecided", (4, 6)),
        ([cut] * 2, "breaks (timeout)", "bad", (0, 2)),
        ([cut, lost, cut, short], "breaks (timeout)", "bad", (0, 2)),
        ([offline] * 2, "blocked (download-failed)", "untestable", (0, 0)),
        ([offline] * 2 + [good] * 4, "settles", "good", (4, 4)),
        ([short] * 2, "undecided", "undecided", (0, 0)),
    ],
)
def test_a_cell_is_named_after_what_its_trials_did(kinds, label, kind, counted):
    outcome = judge_cell(CELL, trials(*kinds), Seeds())
    assert (outcome.label, outcome.kind, (outcome.converged, outcome.counted)) == (label, kind, counted)


def test_a_cell_with_a_target_converges():
    made = [(record, verdict_of(record, (parse("loss < 0.2"),))) for record, _ in trials(good, good, good, good)]
    outcome = judge_cell(CELL, made, Seeds())
    assert (outcome.label, outcome.reason) == ("converges", "4 of 4 counted trials succeeded: 4 converged")


def test_an_undecided_cell_lists_what_did_not_count():
    outcome = judge_cell(CELL, trials(good, short, short, lost), Seeds())
    listed = "1 of the 4 needed trials count: 2 too-short, 1 unknown, 1 settled"
    assert outcome.reason == f"{listed}; {outcome.trials[1][1].reason}"
    assert judge_cell(CELL, [], Seeds()).reason == "0 of the 4 needed trials count: none ran"


def test_what_has_no_value_is_listed_with_its_name():
    made = [(record, verdict_of(record, (parse("test_mae < 1"),))) for record, _ in trials(good, good)]
    listed = "0 of the 4 needed trials count: 2 no-metrics (test_mae)"
    assert judge_cell(CELL, made, Seeds()).reason == f"{listed}; {made[0][1].reason}"


@pytest.mark.parametrize("flag", ["earlier-fit-nan", "later-fit-raised", "other-model-nan", "crashed-after-training"])
def test_what_went_wrong_beside_a_success_is_in_the_cell_s_reason(flag):
    record, verdict = good(0)
    troubled = replace(verdict.with_flags(flag), reason=f"{verdict.reason}; fold 3 ended in NaN")
    judged = judge_cell(CELL, [(record, troubled), *map(good, (1, 2, 3))], Seeds())
    assert judged.label == "settles"
    assert judged.reason == f"4 of 4 counted trials succeeded: 4 settled; {troubled.reason}"
    assert judge_cell(CELL, trials(good, good, good, good), Seeds()).reason.endswith("4 settled")


def test_one_failed_installation_blocks_a_cell_and_one_failed_import_does_not_break_it():
    assert judge_cell(CELL, [trial(**INSTALL)], Seeds()).label == "blocked (install-failed)"
    unresolvable = judge_cell(CELL, [trial(**INSTALL, unresolvable=True)], Seeds())
    assert (unresolvable.label, unresolvable.reason) == ("blocked (unresolvable)", "no wheel")
    assert judge_cell(CELL, trials(broken), Seeds()).label == "undecided"


def test_two_failures_to_import_for_different_reasons_do_not_break_a_cell():
    other = trial(seed=1, **crash("cannot import name 'x'", kind="ImportError", stage="import"))
    pair = [broken(0), other]
    assert judge_cell(CELL, pair, Seeds()).label == "undecided"
    assert seeds_wanted([*pair, broken(2)], Seeds()) > 0
    assert judge_cell(CELL, [*pair, broken(2), broken(3)], Seeds()).label == "breaks (crashed-import)"


def test_a_crash_is_no_sample_so_that_two_are_not_few():
    two = judge_cell(CELL, trials(broken, broken), Seeds())
    assert two.flags == ()
    assert two.reason == "ModuleNotFoundError: No module named 'keras.layers' in stage import"


def test_copies_that_broke_alike_break_a_cell_as_well_and_are_one_observation():
    crashed = crash("'val_acc'", kind="KeyError", stage="after-training")
    copies = [trial(*LEARNS, seed=seed, weights="same", **crashed) for seed in range(2)]
    outcome = judge_cell(CELL, copies, Seeds())
    assert (outcome.label, outcome.counted) == ("breaks (crashed-after-training)", 1)
    assert outcome.flags == ("seed-insensitive",)
    assert outcome.reason == "settled at loss 0.139, then KeyError: 'val_acc'"


def test_crashes_whose_messages_print_a_set_in_another_order_are_alike():
    pair = [
        trial(seed=seed, **crash(f"unknown: {{{names}}} at 0x{seed}", stage="build-model"))
        for seed, names in enumerate(("'a', {'y', 'x'}, 'b'", "{'x', 'y'}, 'b', 'a'"))
    ]
    assert judge_cell(CELL, pair, Seeds()).label == "breaks (crashed-build-model)"


def test_one_asked_for_seed_decides_and_is_flagged():
    outcome = judge_cell(CELL, trials(good), fixed(1))
    assert (outcome.label, outcome.kind, outcome.flags) == ("settles", OutcomeKind.GOOD, ("few-seeds",))
    assert judge_cell(CELL, trials(broken), fixed(1)).label == "breaks (crashed-import)"
    assert judge_cell(CELL, trials(good), Seeds()).label == "undecided"
    assert judge_cell(CELL, trials(good, good, good, good), fixed(4)).flags == ()


def test_identical_trials_are_one_observation_without_an_interval():
    copies = [trial(*BREAKS, seed=seed, weights="same") for seed in range(2)]
    outcome = judge_cell(CELL, copies, Seeds())
    assert (outcome.label, outcome.counted, outcome.interval) == ("fails (nan)", 1, None)
    assert outcome.flags == ("seed-insensitive",)
    assert outcome.reason.startswith("2 identical trials count as one: 2 nan; loss ended at NaN")
    assert seeds_wanted(copies, Seeds()) == 0


def test_where_weights_are_not_seen_the_same_series_is_the_same_trial():
    unseen = [trial(*LEARNS, seed=seed, weights=None) for seed in range(4)]
    assert judge_cell(CELL, unseen, Seeds()).flags == ("seed-insensitive",)
    nearly = [
        *unseen[:1],
        *(trial(*LEARNS[:-1], LEARNS[-1] + seed / 2**50, seed=seed, weights=None) for seed in (1, 2, 3)),
    ]
    assert judge_cell(CELL, nearly, Seeds()).counted == 4


def test_crashes_before_any_metric_are_not_taken_for_copies():
    crashes = [trial(seed=seed, weights=None, **crash()) for seed in range(4)]
    outcome = judge_cell(CELL, crashes, Seeds())
    assert (outcome.label, outcome.counted) == ("breaks (crashed-training)", 4)
    assert outcome.reason == "ValueError: bad shape in stage training"


@given(
    st.lists(st.sampled_from([good, bad, cut, lost, short, broken, offline]), max_size=12),
    st.randoms(use_true_random=False),
)
def test_an_outcome_does_not_depend_on_the_order_of_the_trials(kinds, shuffler):
    in_order = trials(*kinds)
    shuffled = list(in_order)
    shuffler.shuffle(shuffled)
    assert repr(judge_cell(CELL, shuffled, Seeds())) == repr(judge_cell(CELL, in_order, Seeds()))
    assert seeds_wanted(shuffled, Seeds()) == seeds_wanted(in_order, Seeds())


@given(st.integers(0, 10**6), st.sampled_from([Seeds(), Seeds(lead=3, cap=9), fixed(1), fixed(2), fixed(5)]))
def test_asking_for_seeds_comes_to_an_end_within_the_most_trials(luck, seeds):
    draw = random.Random(luck)
    kinds = draw.sample([good, bad, cut, lost, short, broken, offline], draw.randint(1, 7))
    done = []
    while wanted := seeds_wanted(done, seeds):
        done += [draw.choice(kinds)(len(done) + number) for number in range(wanted)]
        assert len(done) <= most_trials(seeds)
    counted = [verdict for _, verdict in done if standing(verdict.label).counts]
    assert len(counted) <= seeds.cap


@pytest.mark.parametrize(
    ("kinds", "seeds", "wanted"),
    [
        ([], Seeds(), 2),
        ([], fixed(1), 1),
        ([good], Seeds(), 1),
        ([good, good], Seeds(), 2),
        ([good, good, good, bad], Seeds(), 2),
        ([good] * 4, Seeds(), 0),
        ([good, bad] * 5, Seeds(), 0),
        ([good, bad] * 4 + [good], Seeds(), 1),
        ([offline], Seeds(), 1),
        ([offline, offline], Seeds(), 0),
        ([broken], Seeds(), 1),
        ([broken, broken], Seeds(), 0),
        ([broken, broken, bad], Seeds(), 1),
        ([cut], Seeds(), 1),
        ([cut, cut], Seeds(), 0),
        ([short, short], Seeds(), 0),
        ([good, short, short], Seeds(), 1),
        ([good, good, short, short, short], Seeds(), 0),
        ([lost, lost], Seeds(), 1),
        ([lost, lost, lost], Seeds(), 0),
        ([cut], fixed(1), 0),
        ([cut, cut], fixed(4), 0),
        ([lost], fixed(1), 1),
        ([good, bad], fixed(4), 2),
    ],
)
def test_as_many_seeds_are_asked_for_as_are_needed_at_the_least(kinds, seeds, wanted):
    assert seeds_wanted(trials(*kinds), seeds) == wanted


@pytest.mark.parametrize(
    ("label", "expected", "matches"),
    [
        ("fails (nan)", "fails", True),
        ("fails (nan)", "fails (diverged)", False),
        ("converges", "converges", True),
        ("settles", "converges", False),
        ("flaky (mostly converges)", "flaky", True),
        ("blocked (unresolvable)", "blocked", True),
        ("blocked (install-failed)", "blocked (unresolvable)", False),
        ("breaks (crashed-import)", "breaks", True),
        ("breaks (crashed-import)", "fails", True),
        ("breaks (timeout)", "blocked", False),
        ("fails (nan)", "breaks", False),
        ("undecided", "flaky", False),
        ("flaky (neither leads)", "undecided", False),
    ],
)
def test_an_expectation_is_one_outcome_or_a_word_for_several(label, expected, matches):
    assert Outcome.parse(label).meets(expected) is matches


def test_text_of_an_outcome_is_read_back_as_the_same_outcome():
    assert [Outcome.parse(str(outcome)) for outcome in OUTCOMES] == list(OUTCOMES)
    assert len({str(outcome) for outcome in OUTCOMES}) == len(OUTCOMES)
    allowed = {
        f"{word} ({label})" if label else word for word, labels in OUTCOME_LABELS.items() for label in labels or ("",)
    }
    assert {str(outcome) for outcome in OUTCOMES} == {*allowed, "not run"}  # which nobody expects


@pytest.mark.parametrize("text", ["", "fail", "fails", "fails (converged)", "flaky (nan)", "blocked", "Converges"])
def test_any_other_text_is_not_an_outcome(text):
    with pytest.raises(ValueError, match="is not an outcome; the outcomes are "):
        Outcome.parse(text)


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        ("blocked (crashed-import)", "breaks (crashed-import)"),
        ("blocked (crashed-build-model)", "breaks (crashed-build-model)"),
        ("fails (crashed-training)", "breaks (crashed-training)"),
        ("flaky (coin flip)", "flaky (neither leads)"),
    ],
)
def test_what_an_earlier_version_called_otherwise_is_read_by_its_new_name(earlier, now):
    assert str(Outcome.parse(earlier)) == now


def test_a_reason_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="does not go with the kind"):
        Outcome(OutcomeKind.GOOD, Label.NAN)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 4), (4, 4), (5, 10), (1, 7), (99, 100), (3, 2000)])
def test_the_interval_is_the_one_by_quantiles_of_the_beta_distribution(successes, n):
    from scipy.special import betaincinv

    low = betaincinv(successes, n - successes + 1, 0.025) if successes else 0.0
    high = betaincinv(successes + 1, n - successes, 0.975) if successes < n else 1.0
    assert clopper_pearson(successes, n) == pytest.approx((low, high), abs=1e-9)


def test_four_of_four_is_forty_to_a_hundred_per_cent():
    low, high = judge_cell(CELL, trials(good, good, good, good), Seeds()).interval
    assert (round(low, 3), high) == (0.398, 1.0)

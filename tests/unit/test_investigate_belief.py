"""What a cell's trials say to a search: successes, faults, and whether more of them would tell more."""

from __future__ import annotations

from outcomes_records import BREAKS, LEARNS, crash, trial

from runner.investigate.belief import Evidence, belief, evidence_of, fault_of
from runner.matrix.model import Seeds

SEEDS = Seeds()
STAYS = (2.3, 2.3, 2.3, 2.3, 2.3, 2.3)


def crashes(*seeds, **changes):
    return [trial(seed=seed, **crash(**changes)) for seed in seeds]


def test_successes_and_failures_are_counted_by_their_fault() -> None:
    trials = [trial(*LEARNS, seed=0), trial(*BREAKS, seed=1), trial(*BREAKS, seed=2), trial(*STAYS, seed=3)]
    made = evidence_of(trials, SEEDS)
    assert (made.good, made.faults, made.trials) == (1, (("nan", 2), ("does not converge", 1)), 4)
    assert (made.bad("nan"), made.other("nan"), made.bad(None)) == (2, 1, 3)
    assert not made.exhausted
    assert not made.certain


def test_a_decided_cell_may_get_more_trials_than_its_outcome_needs() -> None:
    made = evidence_of([trial(*LEARNS, seed=seed) for seed in range(12)], SEEDS)
    assert (made.good, made.exhausted) == (12, False)


def test_a_fixed_number_of_seeds_is_kept() -> None:
    made = evidence_of([trial(*LEARNS, seed=0)], Seeds(lead=1, cap=1, fixed=True))
    assert made.exhausted


def test_copies_are_one_observation_in_which_chance_plays_no_part() -> None:
    made = evidence_of([trial(*BREAKS, seed=seed, weights="same") for seed in range(2)], SEEDS)
    assert (made.bad("nan"), made.certain, made.exhausted, made.trials) == (1, True, True, 2)
    assert belief(made, "nan") < 0.01


def test_a_crash_before_training_is_a_fault_by_its_fingerprint() -> None:
    trials = crashes(0, 1, message="no attribute 'set_session'", kind="AttributeError", stage="build-model")
    made = evidence_of(trials, SEEDS)
    assert made.fault == fault_of(trials[0])
    assert made.fault is not None
    assert made.fault.startswith("AttributeError: no attribute")
    assert (made.certain, made.exhausted, made.blocked) == (True, True, "")
    assert made.testable(made.fault)
    assert not made.testable("another fault")


def test_a_loop_that_hangs_is_a_fault() -> None:
    trials = [trial(*LEARNS[:2], seed=seed, timed_out=True, exit_code=None, stage="training") for seed in range(2)]
    made = evidence_of(trials, SEEDS)
    assert made.bad(None) == 2
    assert made.exhausted


def test_what_cannot_be_installed_is_blocked_with_its_reason() -> None:
    trials = [trial(stage="install", message="no wheels", probe_started=False, phases=(), epochs=(), exit_code=None)]
    made = evidence_of(trials, SEEDS)
    assert made.blocked
    assert not made.testable(None)
    assert made.trials == 0


def test_nothing_known_tells_nothing() -> None:
    assert evidence_of([], SEEDS) == Evidence()
    assert belief(Evidence(), None) == 0.5


def test_what_is_not_there_is_the_same_fault_whatever_advice_follows() -> None:
    gone = "module 'numpy' has no attribute 'bool'"
    faults = {
        fault_of(trial(**crash(message, kind="AttributeError")))
        for message in (gone, f"{gone}.\n`np.bool` was a deprecated alias for the builtin `bool`.")
    }
    assert faults == {f"AttributeError: {gone} (training)"}
    assert "advice" in fault_of(trial(**crash("it has no attribute 'bool'. advice", kind="ValueError")))

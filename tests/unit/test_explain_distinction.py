"""What tells the good cell from the bad one, and where one trial shows it."""

from __future__ import annotations

import pytest
from outcomes_records import LEARNS, crash, trial

from runner.explain.distinction import DistinctionKind, distinction_between
from runner.investigate.belief import Evidence, decision_of
from runner.outcomes.account import Decision

GOOD = [trial(*LEARNS, seed=seed) for seed in range(3)]


@pytest.mark.parametrize(
    ("how", "certain"),
    [
        (crash("no module", kind="ImportError", stage="import"), True),
        (crash("bad shape", stage="build-model"), True),
        (crash("'Sequential' object has no attribute 'x'", kind="AttributeError", stage="after-training"), True),
        (crash("fit() got an unexpected keyword argument 'x'", kind="TypeError", stage="training"), True),
        (crash("out of range", stage="training"), False),
    ],
)
def test_a_fault_that_comes_before_chance_or_says_that_something_is_gone_is_certain(
    how: dict[str, object], certain: bool
) -> None:
    bad = [trial(*LEARNS, seed=seed, **how) for seed in range(2)]
    found = distinction_between(GOOD, bad)
    assert found is not None
    assert (found.kind, found.certain) == (DistinctionKind.ENDING, certain)
    seen = Evidence(faults=((found.fault, 1),), trials=1)
    decision = decision_of(found.made_certain(seen), found.fault, error=0.001, cap=16)
    assert decision is Decision.BAD
    other = Evidence(faults=(("another", 1),), trials=1)
    assert not found.made_certain(other).certain


def test_the_rule_is_told_in_the_words_of_the_trials() -> None:
    broken = [crash(f"array is 3-dimensional after {step} steps", stage="training") for step in (7, 8)]
    bad = [trial(*LEARNS, seed=seed, **how) for seed, how in enumerate(broken)]
    found = distinction_between(GOOD, bad)
    assert found is not None
    assert found.fault == "ValueError: array is #-dimensional after # steps (training)"
    told = found.told([*bad, trial(*LEARNS, seed=9)])
    assert told.fault == "ValueError: array is 3-dimensional after # steps (training)"
    assert str(told) == f"a trial passes that does not end this way: {told.fault}"
    assert found.told(GOOD) == found


def test_a_fault_that_the_good_cell_has_too_is_not_certain() -> None:
    broken = crash("no module", kind="ImportError", stage="import")
    bad = [trial(*LEARNS, seed=seed, **broken) for seed in range(2)]
    mixed = [*GOOD, trial(*LEARNS, seed=9, **broken)]
    found = distinction_between(mixed, bad)
    assert found is not None
    assert not found.certain

"""A training that its library says did not converge: the label where nothing else tells, else a flag."""

from __future__ import annotations

from typing import Any

import pytest
from outcomes_records import LEARNS, epochs, record

from runner.matrix.criterion import parse
from runner.outcomes.judging import verdict_of
from runner.outcomes.verdict import Basis, Label, Reference
from runner.trials.record import Evaluation, Phase, Record

SAID = "lbfgs failed to converge (status=1):\nSTOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"


def fit(number: int = 1, *warnings: str) -> Phase:
    return Phase(name=f"fit-{number}", model="LogisticRegression", finished=True, warnings=warnings)


def scored(*scores: float, **changes: Any) -> Record:
    """A trial whose one fit told no loss, and which asked for scores."""
    asked = tuple(
        Evaluation(kind="score", number=number, round=number, model_number=1, phase="fit-1", logs={"score": score})
        for number, score in enumerate(scores, 1)
    )
    values = {"phases": (fit(),), "epochs": epochs("fit-1", {"n_iter": 2.0}), "evaluations": asked, **changes}
    return record(**values)


@pytest.mark.parametrize("changes", [{"epochs": ()}, {}, {"epochs": epochs("fit-1", *({"loss": x} for x in LEARNS))}])
def test_without_a_criterion_what_the_library_said_is_the_label_in_the_place_of_a_shape(changes: Any) -> None:
    verdict = verdict_of(scored(phases=(fit(1, SAID),), **changes))

    assert (verdict.label, verdict.basis) == (Label.UNCONVERGED, Basis.WARNING)
    assert verdict.flags == ("convergence-warning",)
    assert verdict.reason.startswith(
        "LogisticRegression did not converge, as it said itself: lbfgs failed to converge (status=1): STOP: TOTAL"
    )


def test_a_criterion_and_a_baseline_are_what_is_judged_and_what_was_said_is_a_flag() -> None:
    warned = scored(0.9, phases=(fit(1, SAID),))
    fell = scored(phases=(fit(1, SAID),), epochs=epochs("fit-1", *({"loss": x} for x in LEARNS)))
    good = verdict_of(warned, (parse("score > 0.8"),))
    bad = verdict_of(warned, (parse("score > 0.95"),))
    level = verdict_of(fell, reference=Reference(final=0.14, scale=2.3))

    assert [(one.label, one.flags) for one in (good, bad, level)] == [
        (Label.CONVERGED, ("convergence-warning",)),
        (Label.MISSED, ("convergence-warning",)),
        (Label.CONVERGED, ("convergence-warning",)),
    ]
    assert good.reason.endswith("STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT")


def test_a_rule_that_a_series_breaks_says_more_than_the_warning() -> None:
    diverges = epochs("fit-1", *({"loss": x} for x in (2.3, 4.0, 6.0, 7.0, 8.0, 9.0)))
    verdict = verdict_of(scored(phases=(fit(1, SAID),), epochs=diverges))

    assert (verdict.label, verdict.flags) == (Label.DIVERGED, ("convergence-warning",))


def test_another_fit_that_did_not_converge_is_told_of_beside_the_judged_one() -> None:
    verdict = verdict_of(scored(0.9, phases=(fit(2, SAID), fit())), (parse("score > 0.8"),))

    assert (verdict.label, verdict.flags) == (Label.CONVERGED, ("earlier-fit-unconverged",))


def test_without_any_loss_the_scores_are_judged() -> None:
    one, several = verdict_of(scored(0.5)), verdict_of(scored(0.5, 0.8, 0.9, 0.91, 0.91, 0.91))

    assert (one.label, one.metric, one.mode) == (Label.TOO_SHORT, "score", "max")
    assert several.label is Label.SETTLED

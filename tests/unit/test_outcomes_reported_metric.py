"""The values of a metric: from fits and loops, and from what `evaluate` and `score` returned."""

from __future__ import annotations

from typing import Any

import pytest
from outcomes_records import LEARNS, epochs, record

from runner.matrix.criterion import parse
from runner.outcomes.judging import verdict_of
from runner.outcomes.reported_metric import reported, seen
from runner.outcomes.verdict import Label
from runner.trials.record import Evaluation, Phase, Record


def asked(number: int, round: int, model: int = 1, kind: str = "evaluate", **logs: float) -> Evaluation:  # noqa: A002
    return Evaluation.model_validate(
        {"kind": kind, "number": number, "round": round, "model_number": model, "logs": logs}
    )


def with_results(*results: Evaluation, **changes: Any) -> Record:
    return record(*LEARNS, evaluations=results, **changes)


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("evaluate.loss", (0.5,)),
        ("evaluate.accuracy", (0.9,)),
        ("evaluate.1.accuracy", (0.2,)),
        ("evaluate.2.loss", (0.7,)),
        ("evaluate.4.loss", ()),
        ("evaluate.accurate", ()),
        ("evaluate", ()),
        ("score", (0.8,)),
        ("score.1", (0.6,)),
        ("score.loss", ()),
        ("score.1.loss", ()),
    ],
)
def test_a_result_is_named_by_what_was_asked_and_by_the_number_of_the_call(
    metric: str, values: tuple[float, ...]
) -> None:
    made = with_results(
        asked(1, 1, loss=0.9, acc=0.2),
        asked(2, 2, model=2, loss=0.7, acc=0.5),
        asked(3, 2, model=2, loss=0.5, acc=0.9),
        asked(1, 3, model=3, kind="score", score=0.6),
        asked(2, 3, model=4, kind="score", score=0.8),
    )
    assert reported(made, metric).values == values


def test_a_name_with_characters_that_no_criterion_can_have_is_asked_for_with_underscores() -> None:
    made = with_results(
        asked(1, 1, **{"top-5 acc": 0.75}), epochs=epochs("fit-1", {"val_f1-score": 0.5}, {"val_f1-score": 0.25})
    )
    assert seen(made) == ("evaluate.top_5_acc", "val_f1_score")
    for name in seen(made):
        assert parse(f"{name} > 0.1").metric == name
    assert reported(made, "evaluate.top_5_acc").values == (0.75,)
    assert reported(made, "val_f1_score").values == (0.5, 0.25)


def test_results_of_one_model_are_a_series_where_it_was_trained_in_between() -> None:
    train_and_test = (asked(2 * n + part, n, loss=1.0 / (n + part)) for n in range(1, 6) for part in (0, 1))
    assert reported(with_results(*train_and_test), "evaluate.loss").values == (1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6)


def test_the_model_that_was_asked_last_is_meant() -> None:
    made = with_results(asked(1, 1, model=1, loss=1.0), asked(2, 1, model=2, loss=2.0), asked(3, 1, model=1, loss=3.0))
    assert reported(made, "evaluate.loss").values == (3.0,)


def test_a_criterion_holds_of_a_result_after_training_and_of_a_score() -> None:
    made = with_results(asked(1, 1, accuracy=0.95), asked(1, 1, kind="score", score=0.95))
    assert verdict_of(made, (parse("evaluate.acc > 0.9"),)).label is Label.CONVERGED
    assert verdict_of(made, (parse("evaluate.accuracy > 0.96"),)).label is not Label.CONVERGED
    both = verdict_of(made, (parse("loss < 0.2"), parse("score >= 0.95")))
    assert (both.label, both.mode) == (Label.CONVERGED, "min")


def test_a_score_is_better_the_higher_it_is() -> None:
    scores = (asked(n, n, kind="score", score=value) for n, value in enumerate((0.1, 0.6, 0.9, 0.9, 0.9, 0.9)))
    made = with_results(*scores)
    assert (reported(made, "score").mode, reported(made, "evaluate.loss").mode) == ("max", None)


def test_the_names_that_were_seen_have_those_of_results() -> None:
    made = with_results(asked(1, 1, loss=0.5, acc=0.9), asked(1, 1, kind="score", score=0.9))
    assert seen(made) == ("evaluate.acc", "evaluate.loss", "loss", "score")
    reason = verdict_of(made, (parse("val_loss < 1"),)).reason
    assert reason.endswith("; what was reported: evaluate.acc, evaluate.loss, loss, score (in fit-1)")


def test_one_of_several_models_is_named_before_its_metric() -> None:
    made = record(
        phases=(Phase(name="batches-1", model="Sequential critic"), Phase(name="batches-2", model="Model gan")),
        epochs=(*epochs("batches-1", {"loss": 0.5}, {"loss": 0.4}), *epochs("batches-2", {"loss": 2.0})),
    )
    assert reported(made, "critic.loss").values == (0.5, 0.4)
    assert reported(made, "gan.loss").values == reported(made, "loss").values == (2.0,)
    assert reported(made, "other.loss").values == ()


def test_a_trial_of_before_says_why_it_has_no_results() -> None:
    old, new = record(*LEARNS), record(*LEARNS, probe="3")
    found = [verdict_of(made, (parse("evaluate.accuracy > 0.9"),)) for made in (old, new)]
    assert [one.label for one in found] == [Label.NO_METRICS] * 2
    assert ["`run --again`" in one.reason for one in found] == [True, False]

"""Several trainings in one trial: which is judged, which went wrong, and what they are to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from outcomes_records import BREAKS, LEARNS, epochs, record

from runner.matrix.criterion import parse
from runner.matrix.model import Judging
from runner.outcomes.judging import verdict_of
from runner.outcomes.verdict import Basis, Label
from runner.trials.record import Evaluation, Phase, Record, ScriptException

if TYPE_CHECKING:
    from runner.matrix.model import Fits

WORSE = (2.3, 1.3, 1.0, 0.9, 0.9, 0.9)
DIVERGES = (2.3, 4.0, 6.0, 7.0, 8.0, 9.0)
FLAT = (2.3, 2.3, 2.3, 2.3, 2.3, 2.3)


def fit(number: int, **changes: Any) -> Phase:
    """The n-th fit: a new model of the same architecture, from weights of its own."""
    values: dict[str, Any] = {
        "name": f"fit-{number}",
        "model": f"Sequential sequential_{number}",
        "model_number": number,
        "architecture": "a",
        "initial_weights": f"i{number}",
        "final_weights": f"f{number}",
        "finished": True,
    }
    return Phase(**{**values, **changes})


def trained(*series: tuple[float, ...], phases: tuple[Phase, ...] = (), **changes: Any) -> Record:
    """A trial with one training a series."""
    made = phases or tuple(fit(number) for number in range(1, len(series) + 1))
    told = [
        epochs(phase.name, *({"loss": loss} for loss in losses)) for phase, losses in zip(made, series, strict=True)
    ]
    return record(phases=made, epochs=tuple(epoch for one in told for epoch in one), **changes)


def test_a_fit_that_ended_in_nan_before_a_good_one_is_a_flag_and_in_the_reason() -> None:
    verdict = verdict_of(trained(BREAKS, LEARNS))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ("earlier-fit-nan",))
    assert verdict.reason.endswith("; fit-1 ended in NaN (epoch 3)")


def test_fits_that_diverged_or_were_left_by_an_exception_are_flags() -> None:
    phases = (fit(1), fit(2, raised=True, finished=False), fit(3, architecture="b"))
    verdict = verdict_of(trained(DIVERGES, LEARNS, LEARNS, phases=phases))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ("earlier-fit-diverged", "earlier-fit-raised"))
    assert "fit-1 diverged (loss ended at 9, " in verdict.reason
    assert "fit-2 was left by an exception" in verdict.reason


def test_the_fit_whose_exception_ended_the_trial_is_no_other_fit() -> None:
    error = ScriptException(type="ValueError", message="no", traceback="", stage="training", phase="fit-2")
    phases = (fit(1), fit(2, raised=True, finished=False))
    crashed = trained(LEARNS, (), phases=phases, exception=error, exit_code=1, stage="training")
    verdict = verdict_of(crashed)
    assert (verdict.label, verdict.flags) == (Label.CRASHED_TRAINING, ())


def test_a_later_fit_without_the_metric_is_told_by_its_loss() -> None:
    first = epochs("fit-1", *({"loss": loss, "val_loss": loss} for loss in LEARNS))
    second = epochs("fit-2", *({"loss": loss} for loss in BREAKS))
    made = record(phases=(fit(1), fit(2)), epochs=(*first, *second))
    verdict = verdict_of(made, (parse("val_loss < 0.2"),))
    assert (verdict.label, verdict.flags) == (Label.CONVERGED, ("later-fit-nan",))


@pytest.mark.parametrize(
    ("fits", "label", "end"), [("last", Label.SETTLED, 0.9), ("best", Label.SETTLED, 0.139), ("all", Label.NAN, 9.0)]
)
def test_the_last_the_best_or_the_worst_of_several_fits_is_judged(fits: Fits, label: Label, end: float) -> None:
    made = trained(LEARNS, BREAKS, WORSE)
    verdict = verdict_of(made, judging=Judging(fits=fits))
    assert (verdict.label, verdict.end) == (label, end)


def test_with_all_fits_judged_a_criterion_must_hold_in_each_and_with_the_best_in_one() -> None:
    made = trained(WORSE, LEARNS, WORSE)
    criterion = (parse("loss < 0.2"),)
    assert verdict_of(made, criterion, judging=Judging(fits="best")).label is Label.CONVERGED
    assert verdict_of(made, criterion, judging=Judging(fits="all")).label is not Label.CONVERGED
    assert verdict_of(made, (parse("loss < 1"),), judging=Judging(fits="all")).label is Label.CONVERGED


def test_the_best_training_must_meet_every_criterion_itself() -> None:
    one = epochs("fit-1", *({"loss": loss, "mae": 5.0} for loss in LEARNS))
    other = epochs("fit-2", *({"loss": loss, "mae": 0.1} for loss in WORSE))
    made = record(phases=(fit(1), fit(2)), epochs=(*one, *other))
    criterion = (parse("loss < 0.2"), parse("mae < 1"))
    assert verdict_of(made, criterion, judging=Judging(fits="best")).label is not Label.CONVERGED


def test_fits_of_one_architecture_from_fresh_weights_are_folds() -> None:
    verdict = verdict_of(trained(LEARNS, LEARNS, BREAKS, LEARNS, LEARNS))
    assert verdict.flags == ("5-folds", "earlier-fit-nan")
    assert verdict.reason.endswith(
        "; 5 fits of the same model from fresh weights; judged is the last one; fold 3 ended in NaN (epoch 3)"
    )


def test_one_model_that_is_set_back_to_its_first_weights_makes_folds_too() -> None:
    phases = tuple(fit(number, model_number=1, initial_weights="i") for number in (1, 2, 3))
    assert verdict_of(trained(LEARNS, LEARNS, LEARNS, phases=phases)).flags == ("3-folds",)


def test_folds_of_two_fits_each_are_counted_by_their_fresh_weights() -> None:
    first = [fit(2 * fold - 1, model_number=fold) for fold in (1, 2, 3)]
    second = [fit(2 * fold, model_number=fold, initial_weights=f"f{2 * fold - 1}") for fold in (1, 2, 3)]
    phases = tuple(phase for both in zip(first, second, strict=True) for phase in both)
    verdict = verdict_of(trained(LEARNS, LEARNS, LEARNS, BREAKS, LEARNS, LEARNS, phases=phases))
    assert verdict.flags == ("3-folds", "earlier-fit-nan")
    assert "fold 2 ended in NaN" in verdict.reason


def test_fresh_weights_under_other_settings_of_the_optimizer_are_a_search_and_no_folds() -> None:
    configs = {f"fit-{number}/optimizer": str(number) for number in (1, 2, 3)}
    verdict = verdict_of(trained(LEARNS, DIVERGES, LEARNS, configs=configs))
    assert verdict.flags == ("3-fits", "earlier-fit-diverged")
    assert "the optimizer with other settings" in verdict.reason


def test_folds_in_processes_of_their_own_are_folds_where_their_optimizers_are_alike() -> None:
    phases = tuple(fit(n, name=f"child-{n}:fit-1", model_number=1) for n in (1, 2, 3))
    for texts, flag in (("aaa", "3-folds"), ("aba", "3-fits")):
        configs = {f"child-{n}:fit-1/optimizer": text for n, text in enumerate(texts, 1)}
        assert verdict_of(trained(LEARNS, LEARNS, LEARNS, phases=phases, configs=configs)).flags[0] == flag


@pytest.mark.parametrize(
    "phases",
    [
        tuple(fit(n, model_number=1, initial_weights=f"f{n - 1}") for n in (1, 2, 3)),
        tuple(fit(n, initial_weights=f"f{n - 1}") for n in (1, 2, 3)),
        tuple(fit(n, model_number=1, initial_weights=f"best checkpoint {n}") for n in (1, 2, 3)),
        tuple(fit(n, architecture=f"a{n}") for n in (1, 2, 3)),
        tuple(fit(n, architecture=None) for n in (1, 2, 3)),
    ],
    ids=["one model goes on", "a new model has the old weights", "checkpoints", "three models", "not looked at"],
)
def test_freeze_and_fine_tune_and_several_models_are_no_folds(phases: tuple[Phase, ...]) -> None:
    verdict = verdict_of(trained(LEARNS, LEARNS, LEARNS, phases=phases))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ())
    assert "fits" not in verdict.reason


def loop(number: int, model: str, began: float, ended: float, **changes: Any) -> Phase:
    named = {"name": f"batches-{number}", "model": model, "began_s": began, "ended_s": ended}
    return fit(number, **{**named, "architecture": f"of {model}", "finished": False, **changes})


def test_of_models_that_are_trained_in_turn_the_one_that_is_judged_is_named() -> None:
    phases = (loop(1, "Sequential critic", 1.0, 9.0), loop(2, "Functional gan", 1.1, 9.1))
    verdict = verdict_of(trained(DIVERGES, LEARNS, phases=phases))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ())
    assert verdict.reason.endswith(
        "; judged is the loss of Functional gan, which is trained in turn with Sequential critic: an adversarial loss "
        "needs a target, such as `criterion: gan.loss < 1`"
    )
    broken = verdict_of(trained(BREAKS, LEARNS, phases=phases), (parse("gan.loss < 0.2"),))
    assert (broken.label, broken.flags) == (Label.CONVERGED, ("other-model-nan",))
    assert "adversarial" not in broken.reason


def test_loops_one_after_the_other_are_not_in_turn() -> None:
    phases = (loop(1, "Sequential a", 1.0, 2.0), loop(2, "Sequential b", 2.5, 4.0))
    verdict = verdict_of(trained(DIVERGES, LEARNS, phases=phases))
    assert verdict.flags == ("earlier-fit-diverged",)
    assert "adversarial" not in verdict.reason


def around(number: int, began: float, ended: float, **changes: Any) -> Phase:
    """The n-th loop around an optimizer, of which nothing says what model it trains."""
    values = {"name": f"loop-{number}", "began_s": began, "ended_s": ended, "model": None, "model_number": None}
    return fit(number, **{**values, "architecture": None, "finished": True, **changes})


def test_loops_around_two_optimizers_in_turn_are_told_apart_by_their_number() -> None:
    made = trained(DIVERGES, LEARNS, phases=(around(1, 1.0, 9.0), around(2, 1.1, 9.1)))
    verdict = verdict_of(made)
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ())
    assert "trained in turn with loop-1" in verdict.reason
    assert "`criterion: loop_2.loss < 1`" in verdict.reason
    assert verdict_of(made, (parse("loop_1.loss < 1"),)).label is Label.DIVERGED
    assert verdict_of(made, (parse("loop_2.loss < 1"),)).label is Label.CONVERGED
    after = trained(DIVERGES, LEARNS, phases=(around(1, 1.0, 2.0), around(2, 2.5, 9.1)))
    assert verdict_of(after).flags == ("earlier-fit-diverged",)


def test_weights_that_end_at_nan_are_nan_whatever_was_reported() -> None:
    whole, broken = around(1, 1.0, 2.0, weight_norm=3.0), around(2, 2.5, 4.0, weight_norm=float("nan"))
    verdict = verdict_of(trained(LEARNS, LEARNS, phases=(whole, broken)), (parse("loss < 1"),))
    assert (verdict.label, verdict.basis) == (Label.NAN, Basis.NON_FINITE)
    assert verdict.reason.startswith("its weights ended at NaN or infinity; loss ended at 0.139")
    best = verdict_of(trained(LEARNS, LEARNS, phases=(whole, broken)), (parse("loss < 1"),), judging=Judging(at="best"))
    assert best.label is Label.CONVERGED
    other = verdict_of(trained(LEARNS, LEARNS, phases=(around(3, 0.1, 0.9, weight_norm=float("inf")), whole)))
    assert (other.label, other.flags) == (Label.SETTLED, ("earlier-fit-nan",))


def test_without_any_value_all_trainings_must_have_ended_at_nan() -> None:
    whole, broken = around(1, 1.0, 2.0, steps=80, weight_norm=3.0), around(2, 2.5, 4.0, weight_norm=float("nan"))
    assert verdict_of(record(phases=(broken,), epochs=())).label is Label.NAN
    verdict = verdict_of(record(phases=(whole, broken), epochs=()))
    assert verdict.label is Label.NO_METRICS
    assert "what was reported: nothing, though loop-1 took 80 steps" in verdict.reason
    printed = {"epochs": epochs("printed", *({"loss": loss} for loss in LEARNS))}
    assert verdict_of(record(phases=(whole, broken), **printed)).label is Label.SETTLED
    assert verdict_of(record(phases=(broken,), **printed)).label is Label.NAN


def test_without_a_criterion_the_loss_may_be_named_as_custom_loops_name_it() -> None:
    made = record(epochs=epochs("fit-1", *({"train_loss": loss, "test_accuracy": 0.5} for loss in LEARNS)))
    assert (verdict_of(made).label, verdict_of(made).metric) == (Label.SETTLED, "train_loss")


def test_a_result_after_the_last_fold_is_judged_with_that_fold_and_the_others_are_told() -> None:
    result = {"kind": "evaluate", "number": 4, "round": 4, "model_number": 4, "phase": "fit-4", "logs": {"acc": 0.95}}
    made = trained(LEARNS, BREAKS, LEARNS, LEARNS, evaluations=(Evaluation.model_validate(result),))
    verdict = verdict_of(made, (parse("evaluate.accuracy > 0.9"),))
    assert (verdict.label, verdict.flags) == (Label.CONVERGED, ("4-folds", "earlier-fit-nan"))
    own = trained(LEARNS, LEARNS, LEARNS, BREAKS, evaluations=(Evaluation.model_validate(result),))
    assert verdict_of(own, (parse("evaluate.accuracy > 0.9"),)).flags == ("nonfinite:loss", "4-folds")


def test_a_record_of_before_is_judged_as_it_was() -> None:
    old = tuple(
        Phase(name=f"fit-{n}", initial_weights=f"i{n}", final_weights=f"f{n}", finished=True) for n in (1, 2, 3)
    )
    verdict = verdict_of(trained(LEARNS, FLAT, LEARNS, phases=tuple(old)))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ())

"""Training in processes that the script started: whichever reported the metric last is judged, and others are told."""

from __future__ import annotations

from typing import Any

from outcomes_records import BREAKS, LEARNS, epochs, record

from runner.matrix.criterion import parse
from runner.matrix.model import Judging
from runner.outcomes.judging import verdict_of
from runner.outcomes.verdict import Label
from runner.trials.record import ChildProcess, Phase, Record, ScriptException

COMMAND = ("/env/bin/python", "fold.py", "--fold")
ERROR = {"type": "ValueError", "message": "no data\nat all", "traceback": "", "stage": "training", "phase": ""}


def rank(number: int, raised: bool = False) -> ChildProcess:
    return child(number, raised=raised).model_copy(update={"name": f"rank-{number}", "rank": number})


def child(number: int, *command: str, raised: bool = False) -> ChildProcess:
    error = ScriptException.model_validate(ERROR) if raised else None
    return ChildProcess(
        name=f"child-{number}", pid=40 + number, command=command or (*COMMAND, str(number)), exception=error
    )


def trained(**series: tuple[float, ...]) -> dict[str, Any]:
    """Phases and epochs: `child_1` is the one fit of that child, `first` of the script's first process."""
    names = {name: "fit-1" if name == "first" else f"{name.replace('_', '-')}:fit-1" for name in series}
    told = [epochs(names[name], *({"loss": loss} for loss in losses)) for name, losses in series.items()]
    return {
        "phases": tuple(Phase(name=name, finished=True) for name in names.values()),
        "epochs": tuple(epoch for one in told for epoch in one),
    }


def made(*children: ChildProcess, **changes: Any) -> Record:
    return record(children=children, **changes)


def test_the_process_that_reported_the_metric_last_is_judged_and_named() -> None:
    verdict = verdict_of(made(child(1), child(2), **trained(child_1=BREAKS, child_2=LEARNS)))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ("earlier-fit-nan", "trained-in-child"))
    assert verdict.reason.endswith(
        "; child-1:fit-1 ended in NaN (epoch 3); trained in child-2 (python fold.py --fold 2)"
    )


def test_workers_that_only_raised_do_not_disturb_a_verdict() -> None:
    verdict = verdict_of(made(child(1, raised=True), **trained(first=LEARNS)))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ())


def test_a_child_that_trained_and_raised_is_told_where_the_script_went_on() -> None:
    verdict = verdict_of(made(child(1, raised=True), **trained(child_1=BREAKS, first=LEARNS)))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ("earlier-fit-nan", "child-raised"))
    assert verdict.reason.endswith("child-1 (python fold.py --fold 1) raised ValueError: no data")


def test_where_nothing_was_reported_what_children_raised_is_told() -> None:
    worker = child(1, "/env/bin/python", "-c", "import x\n" * 9, "--multiprocessing-fork", raised=True)
    verdict = verdict_of(made(worker, phases=(), epochs=()), (parse("loss < 1"),))
    assert (verdict.label, verdict.flags) == (Label.NO_METRICS, ("child-raised",))
    assert verdict.reason.endswith("; child-1 (a worker of multiprocessing) raised ValueError: no data")


def test_a_process_that_could_not_be_seen_is_told_where_nothing_was_reported() -> None:
    unseen = (("/env/bin/python", "-I", "train.py"),)
    verdict = verdict_of(made(unseen=unseen, phases=(), epochs=()))
    assert verdict.label is Label.NO_METRICS
    assert "; python -I train.py could not be seen: " in verdict.reason
    assert "could not be seen" not in verdict_of(made(unseen=unseen, **trained(first=LEARNS))).reason


def test_what_a_child_raised_and_the_script_passed_on_is_told_once() -> None:
    own = ScriptException.model_validate({**ERROR, "phase": "child-1:fit-1"})
    crashed = made(child(1, raised=True), exception=own, stage="training", exit_code=1, **trained(child_1=()))
    verdict = verdict_of(crashed)
    assert (verdict.label, verdict.flags) == (Label.CRASHED_TRAINING, ())


def test_rank_0_is_judged_whichever_began_last_and_a_lost_rank_is_told() -> None:
    verdict = verdict_of(made(rank(0), rank(1), **trained(rank_0=LEARNS, rank_1=BREAKS)))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ("trained-in-child", "other-rank-nan"))
    assert verdict.reason.endswith("; trained in rank-0 of 2 (python fold.py --fold 0); rank-1 ended in NaN")
    verdict = verdict_of(made(rank(1), rank(0), **trained(rank_1=LEARNS, rank_0=BREAKS)))
    assert (verdict.label, verdict.flags) == (Label.NAN, ("trained-in-child",))


def test_a_metric_that_only_another_rank_reported_is_judged_there() -> None:
    verdict = verdict_of(made(rank(0), rank(1), **trained(rank_0=(), rank_1=LEARNS)))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ("trained-in-child",))


def test_a_script_that_trains_itself_beside_its_ranks_is_rank_0() -> None:
    verdict = verdict_of(made(rank(1), **trained(first=BREAKS, rank_1=LEARNS)))
    assert (verdict.label, verdict.flags) == (Label.NAN, ())


def test_three_ranks_of_one_model_are_no_folds() -> None:
    ranks = trained(rank_0=LEARNS, rank_1=LEARNS, rank_2=LEARNS)
    phases = tuple(
        phase.model_copy(update={"architecture": "a" * 64, "model_number": 1, "initial_weights": f"{n}" * 64})
        for n, phase in enumerate(ranks["phases"])
    )
    verdict = verdict_of(made(rank(0), rank(1), rank(2), phases=phases, epochs=ranks["epochs"]))
    assert verdict.flags == ("trained-in-child",)


def test_what_ranks_trained_is_the_same_whichever_joined_first() -> None:
    def joined(first: int, second: int) -> Record:
        names = {f"rank_{number}": (1.0, 0.5 + number) for number in (first, second)}
        return made(rank(first), rank(second), **trained(**names))

    assert joined(0, 1).identity == joined(1, 0).identity


def test_processes_that_trained_at_the_same_time_are_told() -> None:
    def at(begins: float, number: int) -> ChildProcess:
        return child(number).model_copy(update={"began_s": begins})

    told = trained(child_1=LEARNS, child_2=LEARNS)
    phases = tuple(phase.model_copy(update={"began_s": 1.0, "ended_s": 5.0}) for phase in told["phases"])
    together = verdict_of(made(at(0.0, 1), at(2.0, 2), phases=phases, epochs=told["epochs"]))
    assert together.flags == ("trained-in-child", "children-at-once")
    assert together.reason.endswith(
        "child-1 trained at the same time: which one is judged is chance, `fits: all` judges the worst"
    )
    worst = verdict_of(made(at(0.0, 1), at(2.0, 2), phases=phases, epochs=told["epochs"]), judging=Judging(fits="all"))
    assert worst.flags == ("trained-in-child",)
    apart = verdict_of(made(at(0.0, 1), at(4.5, 2), phases=phases, epochs=told["epochs"]))
    assert apart.flags == ("trained-in-child",)

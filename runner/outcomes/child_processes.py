"""The processes that a script started: which of them is judged, that it trained, and that others failed."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from runner.outcomes.fits import Companions
from runner.outcomes.reported_metric import trainings
from runner.trials.record import process_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from runner.matrix.model import Fits
    from runner.outcomes.reported_metric import ReportedMetric
    from runner.trials.record import ChildProcess, Record


def judged_rank(record: Record, metric: str) -> Record:
    """The record without the processes that trained the same model as others of a lower rank.

    Those of the lowest rank that reported the metric stay, and so do those that have no rank.
    """
    ranks = {child.name: child.rank for child in record.children if child.rank is not None}
    if not any(ranks.values()):
        return record
    in_order = sorted({0, *ranks.values()})  # nobody says 0 of itself where the script's own process has it
    views = [_without(record, {name for name in ranks if ranks[name] != rank}) for rank in in_order]
    return next((view for view in views if trainings(view, metric)), views[0])


def _without(record: Record, processes: Collection[str]) -> Record:
    """The record without what some processes trained."""
    return record.model_copy(
        update={
            "phases": tuple(one for one in record.phases if process_of(one.name) not in processes),
            "epochs": tuple(one for one in record.epochs if process_of(one.phase) not in processes),
            "evaluations": tuple(one for one in record.evaluations if one.process not in processes),
        }
    )


def of_children(record: Record, judged: ReportedMetric, metric: str, fits: Fits = "last") -> Companions:
    """Where the judged training was another process's, how other ranks ended, and what others that trained raised.

    Where nothing that is judged was reported, the exceptions of those that never trained are told too.
    """
    if not record.children:
        return Companions(notes=_unseen(record, judged))
    trained = {process_of(phase.name) for phase in record.phases}
    by = {process_of(name) for name in judged.phases} - {""}
    failed = [child for child in _failed(record) if child.name in trained or not any(map(_is_value, judged.values))]
    lost = [
        child for child in record.children if child.rank and child.name not in by and _is_lost(record, child, metric)
    ]
    beside = _at_the_same_time(record, judged) if fits == "last" else []
    notes = [f"trained in {child.name}{_of_how_many(record, child)}" for child in record.children if child.name in by]
    notes += [f"{child.name} ended in NaN" for child in lost[:3]]
    notes += [f"{child.name} ({_command(child)}) raised {_raised(child)}" for child in failed[:3]]
    if beside:
        which = f"{', '.join(beside[:3])}{' and others' if len(beside) > 3 else ''} trained at the same time"
        notes.append(f"{which}: which one is judged is chance, `fits: all` judges the worst")
    told = {"trained-in-child": by, "other-rank-nan": lost, "child-raised": failed, "children-at-once": beside}
    return Companions(
        notes=(*notes, *_unseen(record, judged)), flags=tuple(flag for flag, found in told.items() if found)
    )


def _unseen(record: Record, judged: ReportedMetric) -> tuple[str, ...]:
    """Where nothing that is judged was reported, the processes in which it may have been."""
    if any(map(_is_value, judged.values)):
        return ()
    return tuple(
        f"{_in_short(command)} could not be seen: -I, -E and -S keep Python from where it finds the probe"
        for command in dict.fromkeys(record.unseen[:2])
    )


def _of_how_many(record: Record, child: ChildProcess) -> str:
    ranks = {one.rank for one in record.children if one.rank is not None} | {0}
    many = f" of {len(ranks)}" if child.rank is not None and len(ranks) > 1 else ""
    return f"{many} ({_command(child)})"


def _is_lost(record: Record, child: ChildProcess, metric: str) -> bool:
    """True where the last training of a process that has the metric ended in a value that is not finite."""
    others = {"", *(one.name for one in record.children)} - {child.name}
    own = trainings(_without(record, others), metric)
    values = [value for value in own[-1].values if value is not None] if own else []
    return bool(values) and not math.isfinite(values[-1])


def _at_the_same_time(record: Record, judged: ReportedMetric) -> list[str]:
    """The processes without a rank that trained the same kind of model while the judged one did."""
    phases = {phase.name: phase for phase in record.phases}
    own = phases.get(judged.phases[-1]) if judged.phases else None
    began = {child.name: child.began_s for child in record.children if child.rank is None}
    if own is None or process_of(own.name) not in began:
        return []

    def span(name: str) -> tuple[float, float] | None:
        phase, process_s = phases[name], began[process_of(name)]
        if process_s is None or phase.began_s is None or phase.ended_s is None:
            return None
        return process_s + phase.began_s, process_s + phase.ended_s

    mine = span(own.name)
    found: dict[str, None] = {}
    for name, phase in phases.items():
        process = process_of(name)
        if process in began and process != process_of(own.name) and phase.architecture == own.architecture:
            theirs = span(name)
            if mine and theirs and theirs[0] < mine[1] and mine[0] < theirs[1]:
                found[process] = None
    return list(found)


def _failed(record: Record) -> Iterator[ChildProcess]:
    """The processes that an exception ended which is not the trial's own end."""
    own = record.exception
    for child in record.children:
        error = child.exception
        if error is not None and (own is None or (error.type, error.message) != (own.type, own.message)):
            yield child


def _is_value(value: float | None) -> bool:
    return value is not None


def _command(child: ChildProcess) -> str:
    """The words that a process was started with, short."""
    if not child.command:
        return f"process {child.pid}"
    if "--multiprocessing-fork" in child.command:
        return "a worker of multiprocessing"
    if any("popen_loky" in word for word in child.command):
        return "a worker of joblib"
    return _in_short(child.command)


def _in_short(command: tuple[str, ...]) -> str:
    program, *words = command
    shown = [word if len(word) <= 40 and "\n" not in word else "…" for word in words[:4]]
    return " ".join([PurePosixPath(program).name, *shown, *(["…"] if len(words) > 4 else [])])


def _raised(child: ChildProcess) -> str:
    error = child.exception
    message = "" if error is None else f"{error.type}: {error.message}".partition("\n")[0]
    return message if len(message) <= 120 else f"{message[:119]}…"

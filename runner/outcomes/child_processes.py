"""What a verdict tells of the processes that a script started: that one of them trained, and that others failed."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from runner.outcomes.fits import Companions
from runner.outcomes.model_trainings import process_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.outcomes.reported_metric import ReportedMetric
    from runner.trials.record import ChildProcess, Record


def of_children(record: Record, judged: ReportedMetric) -> Companions:
    """Where the judged training was another process's, and what the others that trained raised.

    Where nothing that is judged was reported, the exceptions of those that never trained are told too.
    """
    if not record.children:
        return Companions()
    trained = {process_of(phase.name) for phase in record.phases}
    by = {process_of(name) for name in judged.phases} - {""}
    failed = [child for child in _failed(record) if child.name in trained or not any(map(_is_value, judged.values))]
    notes = [f"trained in {child.name} ({_command(child)})" for child in record.children if child.name in by]
    notes += [f"{child.name} ({_command(child)}) raised {_raised(child)}" for child in failed[:3]]
    flags = (*(("trained-in-child",) if by else ()), *(("child-raised",) if failed else ()))
    return Companions(notes=tuple(notes), flags=flags)


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
    program, *words = child.command
    shown = [word if len(word) <= 40 and "\n" not in word else "…" for word in words[:4]]
    return " ".join([PurePosixPath(program).name, *shown, *(["…"] if len(words) > 4 else [])])


def _raised(child: ChildProcess) -> str:
    error = child.exception
    message = "" if error is None else f"{error.type}: {error.message}".partition("\n")[0]
    return message if len(message) <= 120 else f"{message[:119]}…"

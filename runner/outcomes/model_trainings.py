"""Which models a trial trained: the same one from fresh weights again and again, or several in turn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.trials.record import Phase, Record

FEWEST = 3
"""So many trainings of one architecture from fresh weights are told as a series of them."""


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Trainings of the same architecture, each from fresh weights; each has the names of its fits or loops."""

    trainings: tuple[tuple[str, ...], ...]
    same_settings: bool
    """True where the optimizer had the same settings in all of them: the folds of a cross-validation, most likely."""

    @property
    def word(self) -> str:
        """What one of them is called."""
        return "fold" if self.same_settings else "fit"

    def number(self, phase: str) -> int | None:
        """The number of the training that a fit or loop belongs to, from 1; None where it belongs to none."""
        return next((number for number, names in enumerate(self.trainings, 1) if phase in names), None)


def repetition(record: Record) -> Repetition | None:
    """The longest series of trainings of one architecture from fresh weights; None where no three are there."""
    found: dict[tuple[str, str], list[list[str]]] = {}
    for phase, fresh in _freshness(record):
        if phase.architecture is None:
            continue
        trainings = found.setdefault((process_of(phase.name), phase.architecture), [])
        if fresh or not trainings:
            trainings.append([phase.name])
        else:
            trainings[-1].append(phase.name)
    joined: dict[str, list[list[str]]] = {}
    for (_, architecture), trainings in found.items():
        joined.setdefault(architecture, []).extend(trainings)
    longest = max(joined.values(), key=len, default=[])
    phases = {phase.name: phase for phase in record.phases}
    if len(longest) < FEWEST or any(in_turn(phases[a[-1]], phases[b[0]]) for a, b in pairwise(longest)):
        return None
    settings = {record.configs.get(f"{names[0]}/optimizer") for names in longest} - {None}  # told where it is new
    return Repetition(trainings=tuple(map(tuple, longest)), same_settings=len(settings) < 2)


def _freshness(record: Record) -> Iterator[tuple[Phase, bool]]:
    """Each phase with True where it began with weights that nothing had trained before."""
    first: set[str] = set()
    trained: set[str] = set()
    models: set[tuple[str, int | None]] = set()
    for phase in record.phases:
        model, initial = (process_of(phase.name), phase.model_number), phase.initial_weights
        if model in models or phase.model_number is None:
            fresh = initial in first if phase.model_number is not None else initial is not None
            fresh = fresh and initial not in trained
        else:
            fresh = initial is None or initial not in trained
        yield phase, fresh
        models.add(model)
        if fresh and initial is not None:
            first.add(initial)
        if phase.final_weights is not None:
            trained.add(phase.final_weights)


def in_turn(one: Phase, other: Phase) -> bool:
    """True where two loops of one process went on at the same time, as those of a generator and its critic do."""
    kinds = {phase.name.rpartition(":")[2].partition("-")[0] for phase in (one, other)}
    if kinds not in ({"batches"}, {"loop"}) or process_of(one.name) != process_of(other.name) or one.name == other.name:
        return False
    is_same = kinds == {"batches"} and one.model_number == other.model_number
    if None in (one.began_s, one.ended_s, other.began_s, other.ended_s) or is_same:
        return False
    return bool(one.began_s <= other.ended_s and other.began_s <= one.ended_s)  # type: ignore[operator]


def process_of(phase: str) -> str:
    """`child-1` of `child-1:fit-2`; empty where the trial's first process trained."""
    return phase.partition(":")[0] if ":" in phase else ""

"""Results of a matrix made of labels, each cell with a trial that came to about that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from outcomes_made import BUILD, IMPORT, NAN
from outcomes_records import BREAKS, LEARNS, crash, record

from runner.matrix.axes import AxisKind
from runner.matrix.matrix_file import Matrix
from runner.matrix.mistakes import Position
from runner.matrix.model import Axis, Cell, Experiment
from runner.outcomes import Judged, verdict_of
from runner.session import Results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.outcomes import Outcome

LONG = "The added layer must be an instance of class Layer. " + "Found a tensor of a shape that nobody expected. " * 5
_AT = Position(line=1, column=1)


def results_of(outcomes: Sequence[Outcome]) -> Results:
    """The results of such outcomes; `tensorflow` is the base."""
    done = [_with_trial(outcome, seed) for seed, outcome in enumerate(outcomes)]
    axes = (Axis(name="tensorflow", kind=AxisKind.PACKAGE, values=(), position=_AT),)
    return Results(
        matrix=Matrix(path=Path("matrix.yaml"), axes=axes, experiment=Experiment(script="a.py")),
        cells=tuple(Cell(values=one.cell, pins=(), script=one.cell.get("script", "a.py")) for one in done),
        outcomes=tuple(done),
        compared=(None,) * len(done),
        judged=Judged(outcomes=tuple(done), position=None, reference=None, reason="nothing converges", named=False),
        executed=0,
    )


def _with_trial(outcome: Outcome, seed: int) -> Outcome:
    changes = {
        BUILD: crash(LONG, kind="TypeError", stage="build-model"),
        IMPORT: crash("No module named 'keras'", kind="ModuleNotFoundError", stage="import"),
    }
    made = record(*(BREAKS if outcome.label == NAN else LEARNS), seed=seed, **changes.get(outcome.label, {}))
    trial = made, verdict_of(made)
    return replace(outcome, trials=(trial,), example=trial if outcome.label in {NAN, *changes} else None)

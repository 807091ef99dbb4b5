"""Records as trials leave them, made short, for the tests of `runner.outcomes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matrix_files import matrix

from runner.matrix.cell_id import CellId
from runner.matrix.cells import expand
from runner.matrix.model import Seeds
from runner.outcomes.assembly import ResultInput, result_of
from runner.outcomes.judged_cell import JudgedCell, judge_cell
from runner.outcomes.judged_matrix import judge_matrix
from runner.outcomes.judging import verdict_of
from runner.trials.record import Epoch, Phase, Record, ScriptException

if TYPE_CHECKING:
    from runner.outcomes.result import CellResult

LEARNS = (2.3, 0.3, 0.15, 0.14, 0.139, 0.139)
BREAKS = (2.3, 9.0, float("nan"), float("nan"), float("nan"), float("nan"))


def record(*losses: float, seed: int = 0, weights: str | None = None, **changes: Any) -> Record:
    """A trial that ended well after one phase with these losses; `weights` None: not seen."""
    weights_of = {} if weights is None else {"initial_weights": f"i{weights}", "final_weights": f"f{weights}"}
    values: dict[str, Any] = {
        "key": f"key-{seed}",
        "cell": {"tensorflow": "2.9.3"},
        "seed": seed,
        "engine": "venv",
        "started_at": "2026-01-01T00:00:00+00:00",
        "duration_s": 1.0,
        "stage": "after-training",
        "exit_code": 0,
        "probe_started": True,
        "phases": (Phase(name="fit-1", planned_epochs=len(losses), **weights_of),),
        "epochs": epochs("fit-1", *({"loss": loss} for loss in losses)),
    }
    return Record(**{**values, **changes})


def epochs(phase: str, *logs: dict[str, float]) -> tuple[Epoch, ...]:
    return tuple(Epoch(phase=phase, epoch=number, logs=log, time_s=float(number)) for number, log in enumerate(logs, 1))


def crash(
    message: str = "bad shape", *, kind: str = "ValueError", stage: str = "training", traceback: str = ""
) -> dict[str, Any]:
    """The changes to a record that make it crash."""
    exception = ScriptException(
        type=kind, message=message, traceback=traceback, stage=stage, phase="", line=12, file="script.py", source="x"
    )
    return {"exception": exception, "stage": stage, "exit_code": 1}


def trial(*losses: float, seed: int = 0, **changes: Any) -> tuple[Record, Any]:
    """A record with its verdict."""
    made = record(*losses, seed=seed, **{"weights": str(seed), **changes})
    return made, verdict_of(made)


def settling(level: float, *, start: float = 2.3) -> tuple[float, ...]:
    """Losses that fall from `start` and flatten at `level`."""
    return (start, level + 0.06 * (start - level), level + 0.01 * (start - level), level, level)


def cell(name: str, *series: tuple[float, ...], **changes: Any) -> tuple[CellId, list[tuple[Record, Any]]]:
    """A cell with one trial a series, as `judge_matrix` takes it; each trial has weights of its own."""
    return CellId.of({"tensorflow": name}), [trial(*losses, seed=seed, **changes) for seed, losses in enumerate(series)]


def outcome(name: str, *series: tuple[float, ...], **changes: Any) -> JudgedCell:
    """The outcome of such a cell."""
    return judge_cell(*cell(name, *series, **changes), Seeds())


def cell_result(*series: tuple[float, ...], name: str = "1.13.1", **changes: Any) -> CellResult:
    """The cell of a result whose trials reported these losses."""
    values, trials = cell(name, *series, **changes)
    only = judge_matrix([(values, trials)], Seeds())
    made = matrix({"tensorflow": [name]})
    found = result_of(
        ResultInput(
            matrix=made,
            matrix_text="",
            cells=expand(made),
            judged=only,
            compared={},
            locks={},
            made_at="2026-01-01T00:00:00+00:00",
            runner_version="0",
        )
    )
    return found.told(found.cells[0])

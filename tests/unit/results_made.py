"""Results of a matrix made of outcomes alone, for what is drawn of them: values as `runner.outcomes` gives them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from reports_made import trial

from runner.matrix.cell_id import CellId
from runner.outcomes.result import (
    AxisResult,
    CellResult,
    ComparisonResult,
    ExceptionResult,
    FailureResult,
    IntervalResult,
    LockResult,
    NeighbourChange,
    PackageResult,
    ReproductionCommands,
    Result,
    TrialResult,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


GOOD, NAN, FLAT = "converges", "fails (nan)", "fails (plateaued)"
IMPORT, BUILD = "breaks (crashed-import)", "breaks (crashed-build-model)"
INSTALL = "blocked (install-failed)"
OPEN, FLAKY = "undecided", "flaky (neither leads)"
OUTCOMES = (GOOD, NAN, FLAT, IMPORT, BUILD, INSTALL, OPEN, FLAKY)
LONG = "The added layer must be an instance of class Layer. " + "Found a tensor of a shape that nobody expected. " * 5
SCRIPTS = (
    "functional_tf_keras",
    "functional_keras",
    "sequential_input_tf_keras",
    "sequential_input_keras",
    "sequential_dense_keras",
)
_FOUNDING = {
    ("1.13.1", "2.2.4"): (GOOD, NAN, BUILD, BUILD, GOOD),
    ("2.10.1", "2.10.0"): (GOOD,) * 5,
    ("2.16.1", "3.3.3"): (BUILD,) * 5,
}
_KINDS = {"fails": "bad", "breaks": "bad", "blocked": "untestable", "converges": "good"}
_EXCEPTIONS = {
    BUILD: ("TypeError", LONG, "build-model"),
    IMPORT: ("ModuleNotFoundError", "No module named 'keras'", "import"),
}


def made(outcome: str, values: Mapping[str, str], **changes: Any) -> CellResult:
    """A cell with an outcome, one trial and what explains it."""
    raised = _EXCEPTIONS.get(outcome)
    known: dict[str, Any] = {
        "id": CellId.of(values).digest,
        "values": dict(values),
        "outcome": outcome,
        "kind": _KINDS.get(outcome.partition(" ")[0], "undecided"),
        "reason": "because",
        "converged": 0,
        "counted": 0,
        "exception": raised
        and ExceptionResult(
            type=raised[0], message=raised[1], traceback="", stage=raised[2], file="script.py", line=12
        ),
        "trials": (trial(),),
    }
    return CellResult(**{**known, **changes})


def _exception(kind: str, message: str, stage: str) -> ExceptionResult:
    return ExceptionResult(type=kind, message=message, traceback="", stage=stage, file="script.py", line=12)


def line(axis: str, versions: Sequence[str], outcomes: Sequence[str], **others: str) -> list[CellResult]:
    """The cells of one row: an outcome a version; `import_` is the axis `import`."""
    rest = {name.rstrip("_"): value for name, value in others.items()}
    return [made(outcome, {axis: version, **rest}) for version, outcome in zip(versions, outcomes, strict=True)]


def founding() -> list[CellResult]:
    """The cells of the founding matrix."""
    return [
        made(outcome, {"tensorflow": tensorflow, "keras": keras, "script": f"experiments/{script}.py"})
        for (tensorflow, keras), outcomes in _FOUNDING.items()
        for script, outcome in zip(SCRIPTS, outcomes, strict=True)
    ]


def result_of(cells: Sequence[CellResult], **changes: Any) -> Result:
    """The result of such cells; `tensorflow` is the base."""
    names = dict.fromkeys(name for cell in cells for name in cell.values)
    known: dict[str, Any] = {
        "runner_version": "0.1.0",
        "made_at": "2026-01-02T03:04:05+00:00",
        "title": "here",
        "matrix": "axes: {}\n",
        "axes": tuple(
            AxisResult(
                name=name,
                kind=name if name in {"script", "import", "env"} else "package",
                values=tuple(dict.fromkeys(cell.values[name] for cell in cells if name in cell.values)),
            )
            for name in names
        ),
        "base": "tensorflow",
        "sentences": ("With script functional_keras.py the loss ends in NaN on tensorflow 1.13.1; else it converges.",),
        "changes": tuple(_changes(cells)),
        "baseline_reason": "nothing converges",
        "cells": tuple(cells),
        "failures": tuple(_failures(cells)),
    }
    return Result(**{**known, **changes})


def _changes(cells: Sequence[CellResult]) -> list[NeighbourChange]:
    """Where neighbours along the base came to another outcome."""
    rows: dict[tuple[str | None, ...], list[CellResult]] = {}
    for cell in cells:
        rest = (axis for axis in ("script", "import", "env") if axis in cell.values)
        rows.setdefault(tuple(cell.values[axis] for axis in rest), []).append(cell)
    return [
        NeighbourChange(axis="tensorflow", before=one.id, after=other.id)
        for row in rows.values()
        for one, other in pairwise(row)
        if one.outcome != other.outcome
    ]


def _failures(cells: Sequence[CellResult]) -> list[FailureResult]:
    reasons = {
        BUILD: ("crashed-build-model", f"crashed-build-model: TypeError: {LONG}"),
        IMPORT: ("crashed-import", "crashed-import: ModuleNotFoundError: No module named 'keras'"),
        NAN: ("nan", "nan: loss ended at NaN"),
    }
    found = [(reasons[outcome], [cell for cell in cells if str(cell.outcome) == outcome]) for outcome in reasons]
    return [
        FailureResult(label=label, reason=reason, cells=tuple(cell.id for cell in failed), trials=len(failed))
        for (label, reason), failed in found
        if failed
    ]


# -- one result with a cell of each kind -----------------------------------------------------------------------------


def accuracies(*, hostile: str = "=cmd()") -> Result:
    """A cell of each kind, and one that breaks, judged by accuracy; a script wrote `hostile` into the reason of one."""
    digest = "sha256:" + "0a1b2c3d" * 8
    lock = LockResult(
        name="tensorflow-1.13.1",
        python="3.7",
        as_of="2019-02-27",
        packages=(PackageResult(name="keras", version="2.2.4", layer="overlay"),),
    )
    environment = {
        "python": "3.7.16",
        "engine": "docker",
        "image": "convergence-matrix/env:0a1b2c3d",
        "lock": digest,
        "imported": {"tensorflow": "1.13.1", "keras": "2.2.4", "numpy": "1.16.6"},
    }
    good = made(
        GOOD,
        {"tensorflow": "1.13.1", "import": "tf.keras"},
        reason="4 of 4 counted trials succeeded: 4 converged",
        converged=4,
        counted=4,
        interval=IntervalResult(low=0.398, high=1.0),
        flags=("network",),
        final=0.84,
        epoch_s=0.31,
        peak_memory_bytes=104_153_088,
        comparison=ComparisonResult(label="baseline", reason="named in the matrix"),
        commands=ReproductionCommands(
            with_runner=("convergence-matrix matrix.yaml --only tensorflow=1.13.1,import=tf.keras",),
            without_runner=("uv venv --python 3.7 cell", "PYTHONHASHSEED=0 cell/bin/python a.py"),
        ),
        trials=tuple(_accuracy(seed, 0.5, 0.83 + seed / 100) for seed in range(4)),
        **environment,
    )
    bad = made(
        NAN,
        {"tensorflow": "1.13.1", "import": "keras"},
        reason="0 of 4 counted trials succeeded: 4 nan; accuracy ended at NaN or infinity, first in epoch 2",
        counted=4,
        interval=IntervalResult(low=0.0, high=0.602),
        final=float("nan"),
        epoch_s=0.25,
        peak_memory_bytes=104_255_488,
        comparison=ComparisonResult(label="worse", reason="succeeds less often: 0 of 4 against 4 of 4", p=0.029),
        failures=(0,),
        expected=GOOD,
        as_expected=False,
        diff="--- a.py\n+++ a.py\n@@ -1 +1 @@\n-from tensorflow import keras\n+import keras\n",
        trials=tuple(_accuracy(seed, 0.5, float("nan")) for seed in range(4)),
        **environment,
    )
    broken = made(
        BUILD,
        {"tensorflow": "2.16.1", "import": "tf.keras"},
        reason="TypeError in stage build-model",
        counted=2,
        interval=IntervalResult(low=0.0, high=0.842),
        as_expected=False,
        comparison=ComparisonResult(label="breaks", reason="breaks where the baseline converges: TypeError"),
        trials=(trial("crashed-build-model", curves={}, final=None, n=0, exit_code=1, log="last words\n"),),
    )
    blocked = made(
        INSTALL,
        {"tensorflow": "2.18.0", "import": "keras"},
        reason="no wheel",
        comparison=ComparisonResult(label="blocked", reason="can't be compared"),
        trials=(trial("install-failed", curves={}, final=None, n=0, exit_code=1, stage="install"),),
    )
    undecided = made(
        OPEN, {"tensorflow": "2.16.1", "import": "keras"}, reason=hostile, trials=(trial("unknown", curves={}),)
    )
    return result_of(
        [good, bad, broken, undecided, blocked],
        criterion=("accuracy > 0.5",),
        metric="accuracy",
        sentences=("With import=keras the accuracy ends in NaN on tensorflow 1.13.1.",),
        baseline=good.id,
        baseline_reason="named in the matrix",
        control="4 of 4 alike",
        locks={digest: lock},
    )


def _accuracy(seed: int, first: float, last: float) -> TrialResult:
    ended = last == last
    return trial(
        "converged" if ended else "nan",
        seed,
        basis="target" if ended else "non-finite",
        reason=f"accuracy > 0.5: ended at {last:.4g}" if ended else "accuracy ended at NaN or infinity",
        metric="accuracy",
        mode="max",
        y0=first,
        final=last,
        best=last if ended else first,
        epochs=(1, 2),
        curves={"loss": (1.0, 0.25), "accuracy": (first, last)},
        first_non_finite_epoch=None if ended else 2,
        log="Epoch 2/2\n" if seed == 0 else "",
        log_bytes=10,
    )

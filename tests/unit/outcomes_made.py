"""Outcomes as a matrix may come to them, made without trials: of labels alone, for what is said and drawn of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.matrix.cell_id import CellId
from runner.outcomes.judged_cell import Figures, JudgedCell
from runner.outcomes.outcome import Outcome
from runner.outcomes.tally import NOTHING_RAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GOOD, NAN, FLAT = "converges", "fails (nan)", "fails (plateaued)"
IMPORT, BUILD = "breaks (crashed-import)", "breaks (crashed-build-model)"
OPEN, FLAKY = "undecided", "flaky (neither leads)"
LABELS = (GOOD, NAN, FLAT, IMPORT, BUILD, OPEN, FLAKY)


def made(label: str, cell: Mapping[str, str]) -> JudgedCell:
    """The outcome of one cell, by its label."""
    return JudgedCell(
        id=CellId.of(cell),
        outcome=Outcome.parse(label),
        reason="because",
        converged=0,
        counted=0,
        flags=(),
        counts=NOTHING_RAN,
        lacking=0,
        example_at=None,
        figures=Figures.of(NOTHING_RAN),
    )


def line(axis: str, versions: Sequence[str], labels: Sequence[str], **others: str) -> list[JudgedCell]:
    """The outcomes of one row: a label a version; `import_` is the axis `import`."""
    rest = {name.rstrip("_"): value for name, value in others.items()}
    return [made(label, {axis: version, **rest}) for version, label in zip(versions, labels, strict=True)]


def by_id(cells: Iterable[JudgedCell]) -> dict[CellId, Outcome]:
    """The outcome of each cell."""
    return {cell.id: cell.outcome for cell in cells}


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


def founding() -> list[JudgedCell]:
    """What the founding matrix came to."""
    return [
        made(label, {"tensorflow": tensorflow, "keras": keras, "script": f"experiments/{script}.py"})
        for (tensorflow, keras), labels in _FOUNDING.items()
        for script, label in zip(SCRIPTS, labels, strict=True)
    ]

"""Each cell against the baseline, as a result shows it; what a run kept is used where it follows from its trials."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from runner.outcomes.result import ComparisonResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.matrix.cell_id import CellId
    from runner.outcomes.judged_matrix import JudgedMatrix


BASELINE = "baseline"
"""The label of the baseline's own comparison."""
COMPARED_AS = 1
"""Raised by one whenever the same trials come to another comparison: then kept ones no longer follow."""


class KeptComparisons(BaseModel):
    """The comparisons of a finished run, kept beside its records, with a hash of what they follow from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    follow_from: str
    comparisons: tuple[ComparisonResult, ...]
    """In the order of the matrix's cells; none without a baseline."""


def compared(judged: JudgedMatrix, known: KeptComparisons | None = None) -> dict[CellId, ComparisonResult]:
    """Each cell of a matrix against its baseline; empty without one.

    Loads SciPy and takes about 10 ms a cell, so that what a run has `known` is used where it follows from these cells.
    """
    baseline = judged.baseline
    if baseline is None:
        return {}
    if known is not None and known.follow_from == _digest(judged):
        return {cell.id: one for cell, one in zip(judged.cells, known.comparisons, strict=True)}
    found = {
        one.cell.id: ComparisonResult(
            label=one.label.value, reason=one.reason, p=one.rates.adjusted_p if one.rates else None, time=one.time
        )
        for one in judged.comparisons
    }
    found[baseline.id] = ComparisonResult(label=BASELINE, reason=judged.reason)
    return {cell.id: found[cell.id] for cell in judged.cells}


def kept_comparisons(judged: JudgedMatrix, found: Mapping[CellId, ComparisonResult]) -> KeptComparisons:
    """The comparisons that a run keeps: `found` as `compared` gave it."""
    comparisons = tuple(found[cell.id] for cell in judged.cells) if found else ()
    return KeptComparisons(follow_from=_digest(judged), comparisons=comparisons)


def _digest(judged: JudgedMatrix) -> str:
    """A hash of all that comparisons follow from: the baseline, and of each cell the trials with their verdicts."""
    digest = hashlib.sha256(json.dumps([COMPARED_AS, str(judged.chosen), judged.named, judged.reason]).encode())
    for cell in judged.cells:
        digest.update(json.dumps([str(cell.id), cell.label, cell.flags, cell.figures.digest.hex()]).encode())
    return digest.hexdigest()

"""How many more trials it takes to be sure of what cells look like against an earlier result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.outcomes.tally import most_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.outcomes.earlier import Evidence
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.outcomes.result import Result
    from runner.session.session import Session


def lacking_for(session: Session, earlier: Result) -> Callable[[JudgedMatrix], Sequence[int]]:
    """What says of each cell of the matrix how many more trials it needs; none where a fixed number is asked for.

    Only of cells where one result succeeds and the other fails, and no more than `seeds.cap` allows.
    """
    from runner.outcomes.assembly import judged_metric  # noqa: PLC0415 - only with an earlier result
    from runner.outcomes.earlier import evidence_of, held_against, obstacle  # noqa: PLC0415

    matrix = session.matrix
    seeds = matrix.seeds
    chosen = {cell.id for cell in session.chosen}  # of all parts: when joined, all are corrected for
    then = {cell: found for cell, found in evidence_of(earlier).items() if cell in chosen}
    if seeds.fixed or obstacle(tuple(map(str, matrix.criterion)), judged_metric(matrix), earlier):
        return lambda _judged: ()

    def lacking(judged: JudgedMatrix) -> Sequence[int]:
        found = held_against({cell.id: _evidence(cell) for cell in judged.cells if cell.id in chosen}, then)
        needed = {one.cell: one.seeds_needed for one in found}
        return [within(cell, needed.get(cell.id, 0)) for cell in judged.cells]

    def within(outcome: JudgedCell, more: int) -> int:
        return max(0, min(more, most_trials(seeds) - outcome.n_trials, seeds.cap - outcome.counted))

    return lacking


def _evidence(outcome: JudgedCell) -> Evidence:
    """What tells how often a cell succeeds; levels ask for no trials."""
    from runner.outcomes.earlier import Evidence  # noqa: PLC0415 - as above

    return Evidence(
        outcome=outcome.outcome,
        converged=outcome.converged,
        counted=outcome.counted,
        copies=outcome.copies,
        runs=frozenset((record.key, record.started_at) for record in outcome.records),
    )

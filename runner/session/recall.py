"""The ledger of a matrix as a laboratory's store has it, and how many more trials an earlier result asks for."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.laboratory.setup import Setup, groups_of
from runner.outcomes.tally import most_trials
from runner.session.ledger import FIRST_CONTROL_SEED, Ledger, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.earlier import CellEvidence
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.outcomes.result import Result


def ledger_of(
    laboratory: Laboratory,
    matrix: Matrix,
    cells: Sequence[Cell],
    selected: Sequence[Cell],
    *,
    recorded: bool = False,
    lacking: Callable[[JudgedMatrix], Sequence[int]] | None = None,
) -> Ledger:
    """What the store knows of every cell of a matrix; `cells` are all of them.

    Of what ran on the laboratory's engine; with `recorded` on whatever engine ran it last, and no engine is asked.
    """
    setup = Setup.of(matrix)
    seeds = range(most_trials(matrix.seeds))

    def progress(some: Sequence[Cell]) -> dict[CellId, Progress]:
        found = laboratory.known(setup, some, seeds, recorded=recorded)
        return {
            one.cell.id: Progress(cell=one.cell, matrix=matrix, setting=one.setting, stored=one.records)
            for one in found
        }

    def copy_of(one: Progress) -> Progress:
        own = range(FIRST_CONTROL_SEED, FIRST_CONTROL_SEED + most_trials(matrix.seeds))
        stored = laboratory.records.stored(one.setting, own) if one.setting else {}
        return replace(one, stored=stored, first_seed=FIRST_CONTROL_SEED, trials={}, under_way=0)

    known = {cell.id: Progress(cell=cell, matrix=matrix) for cell in cells}
    known |= progress(selected)
    chosen = {cell.id for cell in selected}
    others = [cell for cell in cells if cell.id not in chosen]
    for group in groups_of(setup, others) if not laboratory.equipment.store.is_empty() else ():
        with contextlib.suppress(UsageError):  # a lock or script that nobody asks for now may be broken
            known |= progress(group.cells)
    return Ledger(matrix, known.values(), chosen, copy_of=copy_of, lacking=lacking)


def lacking_for(matrix: Matrix, chosen: Sequence[Cell], earlier: Result) -> Callable[[JudgedMatrix], Sequence[int]]:
    """A function that gives how many more trials each cell needs to be sure how it compares with an earlier result.

    Only of cells where one result succeeds and the other fails, and no more than `seeds.cap` allows; none where a
    fixed number of seeds is asked for. `chosen` are those of all parts: when joined, all are corrected for.
    """
    from runner.outcomes.assembly import judged_metric  # noqa: PLC0415 - only with an earlier result
    from runner.outcomes.earlier import evidence_of, held_against, obstacle  # noqa: PLC0415 - as above

    seeds = matrix.seeds
    own = {cell.id for cell in chosen}
    then = {cell: found for cell, found in evidence_of(earlier).items() if cell in own}
    if seeds.fixed or obstacle(tuple(map(str, matrix.criterion)), judged_metric(matrix), earlier):
        return lambda _judged: ()

    def lacking(judged: JudgedMatrix) -> Sequence[int]:
        found = held_against({cell.id: _evidence(cell) for cell in judged.cells if cell.id in own}, then)
        needed = {one.cell: one.seeds_needed for one in found}
        return [within(cell, needed.get(cell.id, 0)) for cell in judged.cells]

    def within(outcome: JudgedCell, more: int) -> int:
        return max(0, min(more, most_trials(seeds) - outcome.n_trials, seeds.cap - outcome.counted))

    return lacking


def _evidence(outcome: JudgedCell) -> CellEvidence:
    """What tells how often a cell succeeds; levels ask for no trials."""
    from runner.outcomes.earlier import CellEvidence  # noqa: PLC0415 - as above

    return CellEvidence(
        outcome=outcome.outcome,
        converged=outcome.converged,
        counted=outcome.counted,
        copies=outcome.copies,
        runs=frozenset((record.key, record.started_at) for record in outcome.records),
    )

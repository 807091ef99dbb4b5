"""The ledger of a matrix: what is known of all cells, and the trials that their verdicts ask for next.

A cell first gets what its own trials ask for; when all have that, the cells are held against each other, which may ask
for more: round by round, so that the same matrix with the same records always comes to the same outcomes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.laboratory.setup import Setup, groups_of
from runner.outcomes.judged_matrix import MatrixJudge
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.tally import NOTHING_RAN, most_trials
from runner.session.cell_progress import Progress
from runner.session.trial_file import TrialFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from runner.laboratory.laboratory import Laboratory
    from runner.laboratory.request import Known, Stored
    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.earlier import CellEvidence
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.judged_matrix import JudgedMatrix
    from runner.outcomes.result import Result
    from runner.outcomes.sparse import SparseMatrix
    from runner.outcomes.tally import Keep


if TYPE_CHECKING:
    Round = list[tuple[Progress, int]]
    """The least number of further trials that are wanted, and of which cell."""


FIRST_CONTROL_SEED = 1_000_000
"""The first seed of the baseline's copy: no cell comes so far."""


class Ledger:
    """The progress of every cell, in the matrix's order; `selected` are those that a run is about.

    All cells are held against each other, whichever are selected: an outcome must not depend on what is looked at.
    """

    def __init__(
        self,
        matrix: Matrix,
        progress: Iterable[Progress],
        selected: Collection[CellId],
        *,
        copy_of: Callable[[Progress], Progress],
        lacking: Callable[[JudgedMatrix], Sequence[int]] | None = None,
        growth: Growth | None = None,
        keep: Keep = tuple,
    ) -> None:
        """Take the stored trials that a run would have run.

        `copy_of` begins a copy of a cell, with other seeds; `lacking` says how many more trials each cell needs for
        something beyond the matrix; `growth` gives the cells that come to a sparse matrix; `keep` keeps trials.
        """
        self._matrix = matrix
        self._progress = {one.cell.id: one for one in progress}
        self._selected = set(selected)
        self.selected = self._chosen()
        """The progress of the selected cells."""
        self._growth = growth
        self._copy_of = copy_of
        self._lacking = lacking
        self._copy: Progress | None = None
        self._judge = MatrixJudge(
            seeds=matrix.seeds,
            criterion=matrix.criterion,
            judging=matrix.judging,
            baseline=matrix.baseline.values if matrix.baseline else None,
            keep=keep,
        )
        for one in self._progress.values():
            one.recall_all()
        while not any(one.wanted and not one.put_off for one in self.selected):
            if self._has_grown():
                continue
            if self.undecided:
                break
            found = [one.recall(more) for one, more in self._next_round()]
            if not any(found):
                break

    @property
    def ids(self) -> tuple[CellId, ...]:
        """All cells."""
        return tuple(self._progress)

    def _chosen(self) -> list[Progress]:
        return [one for cell, one in self._progress.items() if cell in self._selected]

    @property
    def undecided(self) -> bool:
        """True where a selected cell still lacks trials by its own."""
        return any(one.wanted for one in self.selected)

    def of(self, cell: CellId, seed: int = 0) -> Progress:
        """The progress of a cell; of the baseline's copy where the seed is one of the copy's."""
        return self._copy if self._copy is not None and seed >= FIRST_CONTROL_SEED else self._progress[cell]

    def wanted(self) -> Round:
        """The number of further trials the selected cells need at least; empty when the matrix is done."""
        own = [(one, one.wanted) for one in self.selected if one.wanted]
        if not own and self._has_grown():
            return self.wanted()
        return own or [(one, more) for one, more in self._next_round() if one.cell.id in self._selected]

    def judged(self) -> JudgedMatrix:
        """The outcomes of all cells by what is known now, in the matrix's order."""
        copy = self._copy.counts if self._copy else NOTHING_RAN
        return self._judge.judged([one.outcome for one in self._progress.values()], copy=copy)

    def _has_grown(self) -> bool:
        """Take in the cells that a sparse matrix needs next, where all that can run are decided by their own trials."""
        if self._growth is None:
            return False
        kinds = {cell.id: cell.known_kind for cell in self.judged().cells}
        new = self._growth.further(kinds)
        for one in new:
            one.recall_all()
        both = self._progress | {one.cell.id: one for one in new}
        self._progress = {cell: both[cell] for cell in sorted(both, key=self._growth.place)}
        self._selected.update(one.cell.id for one in new)
        self.selected = self._chosen()
        return bool(new)

    def _next_round(self) -> Round:
        """The trials that the cells lack when they are held against each other.

        After that, what the baseline's copy lacks.

        What the selected cells lack beyond that comes last, and waits for no cell that is not selected.
        """
        if not any(one.taken for one in self._progress.values()):
            return []
        judged = self.judged()
        wanted = zip(self._progress.values(), judged.seeds_wanted(self._matrix.seeds), strict=True)
        found = [(one, more) for one, more in wanted if more] or self._of_copy(judged)
        if any(one.cell.id in self._selected for one, _ in found):
            return found
        return [*found, *self._beyond(judged)]

    def _beyond(self, judged: JudgedMatrix) -> Round:
        lacking = self._lacking(judged) if self._lacking else ()
        wanted = zip(self._progress.values(), lacking, strict=False)
        return [(one, more) for one, more in wanted if more and one.cell.id in self._selected]

    def _of_copy(self, judged: JudgedMatrix) -> Round:
        baseline = judged.baseline
        if not self._matrix.control or baseline is None or baseline.kind is OutcomeKind.UNTESTABLE:
            return []
        of = self._progress[baseline.id]
        if self._copy is None or self._copy.cell is not of.cell:
            self._copy = self._copy_of(of)
        return [(self._copy, self._copy.wanted)] if self._copy.wanted else []


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The cells that come to a sparse matrix as outcomes come in."""

    sparse: SparseMatrix
    progress: Callable[[Sequence[Cell]], Mapping[CellId, Progress]]
    """Gives the stored knowledge of cells."""
    cells: Mapping[CellId, Cell]
    places: Mapping[CellId, int]

    def further(self, kinds: Mapping[CellId, OutcomeKind]) -> list[Progress]:
        """The progress of the cells to run next, by what those that are here came to."""
        new = [self.cells[cell] for cell in self.sparse.further(kinds)]
        return list(self.progress(new).values()) if new else []

    def place(self, cell: CellId) -> int:
        """The place of a cell in the matrix."""
        return self.places[cell]


def ledger_of(
    laboratory: Laboratory,
    matrix: Matrix,
    cells: Sequence[Cell],
    selected: Sequence[Cell],
    *,
    stored: Stored | None = None,
    lacking: Callable[[JudgedMatrix], Sequence[int]] | None = None,
    sparse: SparseMatrix | None = None,
) -> Ledger:
    """The stored knowledge of every cell of a matrix; `cells` are all of them.

    Of what ran on the laboratory's engine; with `stored` of what that says, and no engine is asked. With `sparse` it
    has the cells which that chooses, all of them selected.
    """
    setup = Setup.of(matrix)
    seeds = range(most_trials(matrix.seeds))
    read = partial(laboratory.records.of_key, metrics=setup.experiment.metrics)
    keep = TrialFile(laboratory.equipment.workplace.root).keep

    def progress(some: Sequence[Cell]) -> dict[CellId, Progress]:
        found = laboratory.known(setup, some, seeds, stored=stored)
        return {one.cell.id: recalled(one) for one in found}

    def recalled(one: Known) -> Progress:
        made = Progress.of(one, matrix, read, keep)
        made.recall_all()
        return made

    def copy_of(one: Progress) -> Progress:
        own = range(FIRST_CONTROL_SEED, FIRST_CONTROL_SEED + most_trials(matrix.seeds))
        found = laboratory.records.stored(one.setting, own) if one.setting else {}
        return one.with_stored(found, FIRST_CONTROL_SEED)

    if sparse:
        by_id = {cell.id: cell for cell in cells}
        places = {cell: place for place, cell in enumerate(by_id)}
        growth = Growth(sparse=sparse, progress=progress, cells=by_id, places=places)
        first = progress([by_id[cell] for cell in sparse.first])
        return Ledger(matrix, first.values(), set(first), copy_of=copy_of, lacking=lacking, growth=growth, keep=keep)
    known = progress(selected)
    chosen = set(known)
    others = [cell for cell in cells if cell.id not in chosen]
    known |= {cell.id: Progress(cell=cell, matrix=matrix, read=read, keep=keep) for cell in others}
    for group in groups_of(setup, others) if not laboratory.equipment.store.is_empty() else ():
        with contextlib.suppress(UsageError):  # a lock or script that nobody asks for now may be broken
            known |= progress(group.cells)
    in_order = known.values() if len(chosen) == len(cells) else [known[cell.id] for cell in cells]
    return Ledger(matrix, in_order, chosen, copy_of=copy_of, lacking=lacking, keep=keep)


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
    if seeds.fixed or obstacle(matrix.criteria, judged_metric(matrix), earlier):
        return lambda _judged: ()

    def lacking(judged: JudgedMatrix) -> Sequence[int]:
        found = held_against({cell.id: _evidence(cell) for cell in judged.cells if cell.id in own}, then)
        needed = {one.cell: one.seeds_needed for one in found}
        return [within(cell, needed.get(cell.id, 0)) for cell in judged.cells]

    def within(outcome: JudgedCell, more: int) -> int:
        return max(0, min(more, most_trials(seeds) - outcome.n_trials, seeds.cap - outcome.counted))

    return lacking


def _evidence(outcome: JudgedCell) -> CellEvidence:
    """The evidence of how often a cell succeeds; levels ask for no trials."""
    from runner.outcomes.earlier import CellEvidence  # noqa: PLC0415 - as above

    return CellEvidence(
        outcome=outcome.outcome,
        converged=outcome.converged,
        counted=outcome.counted,
        copies=outcome.copies,
        runs=frozenset((one.key, one.started_at) for one, _ in outcome.trials),
    )

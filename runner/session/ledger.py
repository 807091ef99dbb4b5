"""The ledger of a matrix: what is known of all cells, and the trials that their verdicts ask for next.

A cell first gets what its own trials ask for; when all have that, the cells are held against each other, which may ask
for more: round by round, so that the same matrix with the same records always comes to the same outcomes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.laboratory.setup import Setup, groups_of
from runner.outcomes.judged_matrix import MatrixJudge
from runner.outcomes.judging import verdict_of
from runner.outcomes.observation import Observation
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.tally import NOTHING_RAN, most_trials, tally, wanted_beyond

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
    from runner.outcomes.observation import Read
    from runner.outcomes.result import Result
    from runner.outcomes.sparse import SparseMatrix
    from runner.outcomes.tally import Tally, Trial
    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record
    from runner.trials.trial import Setting


if TYPE_CHECKING:
    Round = list[tuple["Progress", int]]
    """The least number of further trials that are wanted, and of which cell."""


FIRST_CONTROL_SEED = 1_000_000
"""The first seed of the baseline's copy: no cell comes so far."""


@dataclass(kw_only=True, slots=True)
class Progress:
    """One cell so far: finished trials by seed, and how many are under way."""

    cell: Cell
    matrix: Matrix
    setting: Setting | None = None
    """None while the cell's environment is not known to be runnable."""
    read: Read | None = None
    """Reads a record again; None: all are kept."""
    stored: Mapping[int, Trial] = field(default_factory=dict)
    """The finished trials by seed; under seed 0 also the record that says why none can run."""
    put_off: bool = False
    """True where the last run could not make the environment, for a reason that may be over by now."""
    first_seed: int = 0
    trials: dict[int, Trial] = field(default_factory=dict)
    """Those that the outcome rests on: more may be stored, which were run once under another `seeds:`."""
    under_way: int = 0
    _added_up: tuple[Tally, int] | None = field(default=None, init=False, repr=False)
    """The sum of the finished trials, and how many more that asks for, until another one is taken."""

    @classmethod
    def of(cls, known: Known, matrix: Matrix, read: Read | None = None) -> Progress:
        """The progress of a cell of which nothing counts yet."""
        made = cls(cell=known.cell, matrix=matrix, setting=known.setting, read=read, put_off=known.put_off)
        return made.with_stored(known.records)

    def with_stored(self, records: Mapping[int, Record], first_seed: int = 0) -> Progress:
        """The same cell with these finished trials, of which none counts yet."""
        stored = {seed: self._judged(record) for seed, record in records.items()}
        return replace(self, stored=stored, first_seed=first_seed, trials={}, under_way=0)

    def recall(self, wanted: int) -> bool:
        """Take the next `wanted` trials as far as they are stored; whether any is."""
        found = [seed for seed in self._next(wanted) if seed in self.stored] if self.stored else []
        for seed in found:
            self._keep(self.stored[seed], seed)
        return bool(found)

    def recall_all(self) -> None:
        """Take what is stored, as long as the sequential rule asks for more."""
        while self.recall(self.wanted):
            pass

    def take(self, record: Record, seed: int) -> Verdict:
        """Keep a finished trial and give its verdict, not yet held against a baseline."""
        trial = self._judged(record)
        self._keep(trial, seed)
        return trial[1]

    def _judged(self, record: Record) -> Trial:
        """A record with its verdict, as it is kept; one that says why none can run may not be in the store."""
        verdict = verdict_of(record, self.matrix.criterion, judging=self.matrix.judging)
        return Observation.of(record, self.read if record.ran else None), verdict

    def _keep(self, trial: Trial, seed: int) -> None:
        self.trials[seed] = trial
        self._added_up = None

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The finished trials in the order of their seeds: verdicts must not depend on which ended first."""
        return self.counts.trials

    @property
    def counts(self) -> Tally:
        """The sum of the finished trials."""
        return self._sums()[0]

    @property
    def is_copy(self) -> bool:
        """True where this is the baseline a second time."""
        return self.first_seed > 0

    @property
    def ran(self) -> int:
        """The number of trials that ran: a record that says why none can is none."""
        return sum([one.ran for one, _ in self.trials.values()])

    @property
    def wanted(self) -> int:
        """The number of further trials the sequential rule needs at least; none while some are under way."""
        return 0 if self.under_way else self._sums()[1]

    def begin(self, wanted: int) -> tuple[int, ...]:
        """The next `wanted` seeds that are not there yet, the lowest first; they are under way from now on."""
        seeds = tuple(self._next(wanted))
        self.under_way += len(seeds)
        return seeds

    def begin_again(self) -> tuple[int, ...]:
        """The seeds of the finished trials, which count no more and are under way anew; what is stored stays there."""
        seeds = tuple(sorted(self.trials))
        self.trials, self.stored, self._added_up = {}, {}, None
        self.under_way = len(seeds)
        return seeds

    def answer(self, record: Record, seed: int) -> Verdict:
        """Take a trial that was under way; where none can run, none is under way any more."""
        self.under_way = self.under_way - 1 if record.ran else 0
        return self.take(record, seed)

    def _sums(self) -> tuple[Tally, int]:
        if self._added_up is None:
            counts = tally(self.trials.values()) if self.trials else NOTHING_RAN
            self._added_up = counts, wanted_beyond(counts, self.matrix.seeds)
        return self._added_up

    def _next(self, wanted: int) -> list[int]:
        return list(islice((seed for seed in count(self.first_seed) if seed not in self.trials), wanted))


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
    ) -> None:
        """Take the stored trials that a run would have run.

        `copy_of` begins a copy of a cell, with other seeds; `lacking` says how many more trials each cell needs for
        something beyond the matrix; `growth` gives the cells that come to a sparse matrix.
        """
        self._matrix = matrix
        self._progress = {one.cell.id: one for one in progress}
        self._selected = set(selected)
        self._growth = growth
        self._copy_of = copy_of
        self._lacking = lacking
        self._copy: Progress | None = None
        self._judge = MatrixJudge(
            seeds=matrix.seeds,
            criterion=matrix.criterion,
            judging=matrix.judging,
            baseline=matrix.baseline.values if matrix.baseline else None,
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

    @property
    def selected(self) -> list[Progress]:
        """The progress of the selected cells."""
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
        return self._judge.judged(
            [(one.cell.id, one.counts) for one in self._progress.values()],
            copy=self._copy.counts if self._copy else NOTHING_RAN,
        )

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
        return bool(new)

    def _next_round(self) -> Round:
        """The trials that the cells lack when they are held against each other.

        After that, what the baseline's copy lacks.

        What the selected cells lack beyond that comes last, and waits for no cell that is not selected.
        """
        if not any(one.trials for one in self._progress.values()):
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

    def progress(some: Sequence[Cell]) -> dict[CellId, Progress]:
        found = laboratory.known(setup, some, seeds, stored=stored)
        return {one.cell.id: Progress.of(one, matrix, read) for one in found}

    def copy_of(one: Progress) -> Progress:
        own = range(FIRST_CONTROL_SEED, FIRST_CONTROL_SEED + most_trials(matrix.seeds))
        found = laboratory.records.stored(one.setting, own) if one.setting else {}
        return one.with_stored(found, FIRST_CONTROL_SEED)

    if sparse:
        by_id = {cell.id: cell for cell in cells}
        places = {cell: place for place, cell in enumerate(by_id)}
        growth = Growth(sparse=sparse, progress=progress, cells=by_id, places=places)
        first = progress([by_id[cell] for cell in sparse.first])
        return Ledger(matrix, first.values(), set(first), copy_of=copy_of, lacking=lacking, growth=growth)
    known = {cell.id: Progress(cell=cell, matrix=matrix, read=read) for cell in cells}
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

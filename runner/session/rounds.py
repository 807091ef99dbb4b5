"""One run of a matrix: round by round the laboratory is asked for trials, until every cell is decided."""

from __future__ import annotations

import secrets
from itertools import count, repeat
from typing import TYPE_CHECKING

from runner.errors import ExpectationFailed
from runner.laboratory.request import Request
from runner.outcomes.judged_matrix import is_as_expected
from runner.outcomes.paired import ENOUGH_PAIRS
from runner.outcomes.verdict import Label
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.laboratory.laboratory import Laboratory
    from runner.laboratory.request import Answer
    from runner.laboratory.setup import Setup
    from runner.matrix.cell_id import CellId
    from runner.matrix.matrix_file import Matrix
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.result import ComparisonResult
    from runner.session.cell_progress import Progress
    from runner.session.ledger import Ledger
    from runner.session.options import Observer, Options


class StoppedEarly(ExpectationFailed):
    """`--fail-fast` ended the run at the first cell that was not as it should be."""


class Rounds:
    """The rounds of one run, over a ledger that they fill."""

    def __init__(
        self, laboratory: Laboratory, matrix: Matrix, ledger: Ledger, observer: Observer, options: Options
    ) -> None:
        """Nothing starts yet."""
        self._laboratory = laboratory
        self._matrix = matrix
        self._ledger = ledger
        self._observer = observer
        self._fail_fast = options.fail_fast
        self._pairs = (f"{secrets.token_hex(6)}.{number}" for number in count()) if options.pair else repeat("")
        """What the pairs of each round share."""
        self._own = True
        """True where cells get what their own trials ask for, not yet what comparing them asks for."""
        self._unmade: frozenset[CellId] = frozenset()
        """Cells whose environment could not be made again for a later round."""
        self.executed = 0
        """The number of trials that ran."""

    def stop_if_decided(self) -> None:
        """Raise StoppedEarly where a cell is decided by what is stored, and not as it should be (`--fail-fast`)."""
        for progress in self._ledger.selected:
            if not progress.wanted:
                self._stop_if_asked(progress)

    def known(self) -> list[JudgedCell]:
        """What the selected cells that have trials come to by them."""
        begun = [one for one in self._ledger.selected if one.taken]
        return [one.outcome for one in begun]

    def tell_cells(self) -> None:
        """Tell which cells the run is about, as far as it is known by now."""
        self._observer.planned([one.cell for one in self._ledger.selected], self.known())

    def again(self) -> list[Request]:
        """The finished trials of the selected cells, to be run once more."""
        begun = [one for one in self._ledger.selected if one.taken]
        pair = next(self._pairs)
        return [Request(cell=one.cell, seeds=one.begin_again(), again=True, pair=pair) for one in begun]

    def next(self) -> list[Request]:
        """The trials of the next round; none when the matrix is done."""
        before = len(self._ledger.ids)
        wanted = [(one, more) for one, more in self._ledger.wanted() if one.cell.id not in self._unmade]
        self._own = self._ledger.undecided
        if new := len(self._ledger.ids) - before:
            self._observer.note(f"{counted(new, 'more cell')}, to see where outcomes differ.")
            self.tell_cells()
        if wanted and not self._own:
            self._observer.note(f"Comparing cells takes {sum(more for _, more in wanted)} more trials.")
        pair = next(self._pairs)
        return [
            Request(
                cell=progress.cell,
                pair=pair,
                fresh=progress.is_copy and not progress.taken,
                further=not self._own,
                before=progress.taken,
                seeds=progress.begin(more),
            )
            for progress, more in wanted
        ]

    def run(self, setup: Setup, requests: Sequence[Request]) -> None:
        """Run one round. Raises StoppedEarly, and what the laboratory raises."""
        unmade = self._laboratory.run(setup, requests, self._take)
        for request in requests:
            if request.cell.id in unmade:
                self._ledger.of(request.cell.id, request.seeds[0]).under_way = 0
        self._unmade |= unmade

    def tell_of_pairs(self, compared: Iterable[ComparisonResult | None]) -> None:
        """Say why nothing is said of times although pairs were asked for."""
        if not next(self._pairs) or any(one and one.time for one in compared):
            return
        if not self.executed:
            why = "all trials are stored; `run --again --pair` runs them once more, in turn"
        else:
            why = f"it takes {ENOUGH_PAIRS} pairs with the baseline on the same processors, of trainings that ended"
        self._observer.note(f"--pair tells nothing of times: {why}.")

    def _take(self, answer: Answer) -> Sequence[int]:
        """Take an answer; the further seeds that its verdict asks for."""
        progress = self._ledger.of(answer.cell.id, answer.seed)
        verdict = progress.answer(answer.record, answer.seed)
        if not answer.stored:
            self.executed += answer.record.ran
            self._observer.trial_finished(progress.cell, answer.record, verdict)
        more = progress.begin(progress.wanted) if self._own else ()
        if not progress.under_way:
            self._decide(progress)
        return more

    def _decide(self, progress: Progress) -> None:
        if not progress.is_copy:
            self._observer.cell_finished(progress.cell, progress.outcome)
            self._stop_if_asked(progress)

    def _stop_if_asked(self, progress: Progress) -> None:
        if not self._fail_fast:
            return
        outcome = progress.outcome
        provisional = any(label is Label.SETTLED for label, _ in outcome.labels)  # a baseline will have the last word
        if not provisional and not is_as_expected(self._matrix, outcome):
            raise StoppedEarly(
                f"Stopped at the first cell that is not as it should be: {progress.cell.id} {outcome.outcome}."
            )

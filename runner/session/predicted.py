"""What `check` finds for the cells of a matrix: each cell's script against the releases that the cell has.

Nothing is run and no index is asked. A cell's releases are its lock's where there is one, else its pins' and those
that these were looked at with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.changes.known import known_changes
from runner.check.checker import Checker
from runner.check.stacks import histories_in, installed
from runner.outcomes.predicted_change import predicted_changes
from runner.scripts.counterparts import ROOTS
from runner.scripts.source import NotRewritableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.changes.known import KnownChange
    from runner.check.findings import Finding
    from runner.check.stack_api import Histories
    from runner.environments.lock import Lock
    from runner.matrix.model import Cell
    from runner.outcomes.predicted_change import PredictedChange
    from runner.scripts.script import Script
    from runner.session.session import Session


def predicted(session: Session) -> tuple[PredictedChange, ...]:
    """What is predicted for the selected cells, as a result keeps it."""
    known = known_changes()
    found = ((one.cell.id.digest, one.findings) for one in Predictions(session, known).all())
    return predicted_changes(found, known)


@dataclass(frozen=True, kw_only=True)
class CellFindings:
    """What will change for the script of one cell."""

    cell: Cell
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    """What the script imports of which nothing is known in this cell's releases."""
    against: Mapping[str, tuple[str, str]]
    """Of what is known: the release, and the one at or below it that was looked at."""
    refused: NotRewritableError | None = None
    """Why the script can't be checked; None where it was."""
    texts: Mapping[str, bytes]
    """The texts of the files that the findings are in."""

    @property
    def breaks(self) -> int:
        """How many places are predicted to raise."""
        return sum(one.kind == "breaks" for one in self.findings)


class Predictions:
    """The findings of a session's cells; each script is read once, each pair of releases looked up once."""

    def __init__(self, session: Session, known: tuple[KnownChange, ...] = ()) -> None:
        self._session, self._known = session, known
        self._histories: Histories = histories_in(session.matrix.folder.absolute() / "history")
        self._checkers: dict[tuple[str, str], Checker | NotRewritableError] = {}
        self._locks = {
            cell.id: session.laboratory.environments.locked(group.environment)
            for group in session.groups
            for cell in group.cells
        }

    def all(self, before: Mapping[str, str] | None = None) -> Iterator[CellFindings]:
        """The findings of every selected cell, from `before`, else from the baseline, else from the first cell."""
        for cell in self._session.cells:
            yield self.of(cell, before)

    def knows(self, cell: Cell) -> bool:
        """True where there is a history of anything that a cell's script imports."""
        script = self._session.laboratory.records.script(cell, self._session.setup)
        return any(self._histories(root) is not None for root in script.imports)

    def of(self, cell: Cell, before: Mapping[str, str] | None = None) -> CellFindings:
        """The findings of one cell."""
        script = self._session.laboratory.records.script(cell, self._session.setup)
        checker = self._checker(script)
        if isinstance(checker, NotRewritableError):
            return CellFindings(cell=cell, findings=(), unknown=(), against={}, refused=checker, texts={})
        after = self._versions(cell, script)
        return CellFindings(
            cell=cell,
            findings=self._findings(checker, cell, script, before, after),
            unknown=checker.without_history(after),
            against=checker.against(after),
            texts=checker.project.texts,
        )

    def _checker(self, script: Script) -> Checker | NotRewritableError:
        key = script.path, script.bytes_digest
        if key not in self._checkers:
            try:
                self._checkers[key] = Checker(script, self._histories, self._known)
            except NotRewritableError as error:
                self._checkers[key] = error
        return self._checkers[key]

    def _findings(
        self, checker: Checker, cell: Cell, script: Script, before: Mapping[str, str] | None, after: Mapping[str, str]
    ) -> tuple[Finding, ...]:
        if before is not None:
            return checker.findings(installed(before, script.imports, self._histories), after)
        first = self._first
        other = first.import_flavour if first.import_flavour != cell.import_flavour else ""
        return checker.findings(self._versions(first, script), after, keras_before=ROOTS.get(other, ""))

    @cached_property
    def _first(self) -> Cell:
        """The first cell that the named baseline fits, else the first of all."""
        declared, cells = self._session.matrix.baseline, self._session.all_cells
        return next((one for one in cells if declared and one.id.matches(declared.values)), cells[0])

    def _versions(self, cell: Cell, script: Script) -> Mapping[str, str]:
        lock: Lock | None = self._locks.get(cell.id)
        if lock is None:
            return installed(dict(cell.pins), script.imports, self._histories)
        locked = {package.name: package.version for package in lock.packages}
        return {**installed(locked, (), self._histories), "python": lock.python}

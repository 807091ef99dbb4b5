"""What a static look predicts for the cells of a matrix, as the result keeps it: each place of a script once.

Takes the findings of `check` by cell, gives them by place with the cells that they are about; nothing is run for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from runner.check.findings import FindingKind
from runner.trials.record import Count  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.changes.known import KnownChange
    from runner.check.findings import Finding


class PredictedChange(BaseModel):
    """One place of a script, what releases make of it, and the cells that have such a release."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: FindingKind
    path: str
    """The public name that is used; of a known change its own name."""
    file: str
    line: Count
    package: str
    since: str
    """The first release that is known to behave so; empty where all do that are known."""
    message: str
    certain: bool = True
    """False where it depends on values that only a run has."""
    instead: str = ""
    """What to write instead, as source; empty where nobody knows."""
    source: str = ""
    """Where a known change can be read: an issue, release notes."""
    case: str = ""
    """The folder of this tool's repository whose run on both sides proves a known change."""
    cells: tuple[str, ...]
    """The ids of the cells that it is predicted for, in the matrix's order."""

    @property
    def is_known(self) -> bool:
        """True where behaviour changes that no signature shows; else the API's history says it."""
        return self.kind is FindingKind.KNOWN


def predicted_changes(
    found: Iterable[tuple[str, Iterable[Finding]]], known: Iterable[KnownChange]
) -> tuple[PredictedChange, ...]:
    """The findings of cells, given by the cells' ids, by kind (the worst first) and place."""
    cells: dict[Finding, list[str]] = {}
    for cell, findings in found:
        for finding in findings:
            cells.setdefault(finding, []).append(cell)
    changes = {change.name: change for change in known}
    order = list(FindingKind)
    made = [_made(finding, tuple(dict.fromkeys(ids)), changes) for finding, ids in cells.items()]
    return tuple(sorted(made, key=lambda one: (order.index(one.kind), one.file, one.line, one.path)))


def _made(finding: Finding, cells: tuple[str, ...], changes: Mapping[str, KnownChange]) -> PredictedChange:
    change = changes.get(finding.path) if finding.kind is FindingKind.KNOWN else None
    return PredictedChange(
        kind=finding.kind,
        path=finding.path,
        file=finding.file,
        line=finding.line,
        package=finding.package,
        since=finding.since,
        message=finding.message,
        certain=finding.certain,
        instead=finding.instead,
        source=change.source if change else "",
        case=change.case if change else "",
        cells=cells,
    )

"""What a matrix came to, published: its site, with the history of the runs that were published there before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.outcomes.result import read_result
from runner.reports.past_runs import continued
from runner.reports.site import write_site

if TYPE_CHECKING:
    from pathlib import Path

    from runner.outcomes.result import Result
    from runner.reports.site import Written
    from runner.session.results import Results
    from runner.session.session import Session


def publish(session: Session, results: Results, folder: Path | None = None) -> Written:
    """Write the site of the selected cells into `folder`, else into `reports/site` beside the matrix.

    Raises UsageError where a `results.json` lies there that can't be read, MachineError where nothing can be written.
    """
    folder = folder or session.matrix.folder / "reports" / "site"
    return write_site(continued(results.result, published(folder)), folder)


def published(folder: Path) -> Result | None:
    """The report whose site lies in a folder; None where there is none.

    Raises UsageError where it can't be read: its history would be lost.
    """
    path = folder / "results.json"
    if not path.exists():
        return None
    try:
        return read_result(path)
    except UsageError as error:
        raise UsageError(f"{error} Its history would be lost: move it away to begin a new one.") from error

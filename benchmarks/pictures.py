"""The pictures of the README, made anew of what is published: `python benchmarks/pictures.py [SITE]`.

- `docs/founding.png`: the first page of the published report (`reports/site`, or SITE).
- `docs/why.png`: the account in `reports/why`, as the site shows it.
- `docs/run.svg`: the live display, with the trials of that report as far as they were when half of them had ended.
- `docs/atlas.png`: the first page of a site that is made of the table in `reports/atlas/atlas.csv`.

Needs Chromium and the extra `test`.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from chromium import chromium  # noqa: E402 - the tests' folder is on the path by now

from runner import Matrix  # noqa: E402 - as above
from runner.cli.progress import LiveMatrix  # noqa: E402 - as above
from runner.matrix.cell_id import CellId  # noqa: E402 - as above
from runner.outcomes.account import Account  # noqa: E402 - as above
from runner.outcomes.outcome import Outcome, OutcomeKind  # noqa: E402 - as above
from runner.outcomes.ranges import sentences  # noqa: E402 - as above
from runner.outcomes.result import AxisResult, CellResult, Result, TrialResult  # noqa: E402 - as above
from runner.outcomes.result_file import read_result  # noqa: E402 - as above
from runner.outcomes.verdict import Label  # noqa: E402 - as above
from runner.reports.notation import distinct_name, duration  # noqa: E402 - as above
from runner.reports.site import write_site  # noqa: E402 - as above
from runner.reports.terminal.console import symbols_for  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = ROOT / "docs"
WIDTH, HEIGHT = 118, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", nargs="?", type=Path, default=ROOT / "reports" / "site")
    arguments = parser.parse_args()
    result = read_result(arguments.site / "results.json")
    shot(arguments.site / "index.html", DOCS / "founding.png", 1280, 860)
    account = Account.model_validate_json((ROOT / "reports" / "why" / "account.json").read_bytes())
    with tempfile.TemporaryDirectory() as name:
        write_site(result.model_copy(update={"accounts": (account,)}), Path(name))
        shot(Path(name) / "why.html", DOCS / "why.png", 1040, 760)
    with tempfile.TemporaryDirectory() as name:
        write_site(atlas(), Path(name))
        shot(Path(name) / "index.html", DOCS / "atlas.png", 1280, 640)
    (DOCS / "run.svg").write_text(live(result), "utf-8")


def shot(page: Path, picture: Path, width: int, height: int) -> None:
    """A picture of the top of a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        tab.goto(page.absolute().as_uri(), wait_until="load")
        tab.wait_for_timeout(500)  # fonts and charts are drawn
        tab.screenshot(path=picture)
        browser.close()


def atlas() -> Result:
    """The result that the committed table of the atlas is of; it has no more than outcomes and final losses."""
    with (ROOT / "reports" / "atlas" / "atlas.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    axes = [name for name in rows[0] if name not in {"outcome", "final_loss"}]
    cells = [atlas_cell({axis: row[axis] for axis in axes}, row["outcome"], row["final_loss"]) for row in rows]
    matrix = Matrix.load(ROOT / "experiments" / "atlas.yaml")
    return Result(
        runner_version="0.1.0",
        made_at="2026-11-25T00:00:00+00:00",
        title="atlas",
        matrix=matrix.path.read_text("utf-8"),
        axes=tuple(
            AxisResult(
                name=axis,
                kind="import" if axis == "import" else "package",
                values=tuple(dict.fromkeys(cell.values[axis] for cell in cells)),
            )
            for axis in axes
        ),
        base="tensorflow",
        criterion=tuple(map(str, matrix.criterion)),
        sentences=sentences({cell.cell_id: cell.outcome for cell in cells}, base="tensorflow"),
        cells=tuple(cells),
    )


def atlas_cell(values: dict[str, str], outcome: str, final: str) -> CellResult:
    came_to = Outcome.parse(outcome)
    return CellResult(
        id=CellId.of(values).digest,
        values=values,
        outcome=came_to,
        kind=came_to.kind,
        reason="",
        converged=int(came_to.kind is OutcomeKind.GOOD),
        counted=1,
        final=float(final) if final else None,
    )


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A trial of the report: when it ran."""

    cell: CellResult
    seed: int
    label: Label
    begun: datetime
    ended: datetime


def ran_of(cell: CellResult, trial: TrialResult) -> Ran:
    begun = datetime.fromisoformat(trial.started_at)
    ended = begun + timedelta(seconds=trial.duration_s)
    return Ran(cell=cell, seed=trial.seed, label=Label(trial.label), begun=begun, ended=ended)


def live(result: Result) -> str:
    """The live display as SVG, when half of the trials had ended."""
    ran = sorted((ran_of(cell, one) for cell in result.cells for one in cell.trials), key=lambda one: one.ended)
    now = ran[len(ran) // 2].ended + timedelta(milliseconds=1)
    console = Console(record=True, width=WIDTH, height=HEIGHT, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ convergence-matrix matrix.yaml", style="bold"))
    console.print(display(result, ran, now, console))
    svg = console.export_svg(title="convergence-matrix")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # a picture fetches nothing


def display(result: Result, ran: Sequence[Ran], now: datetime, console: Console) -> Group:
    matrix = LiveMatrix([CellId.of(cell.values) for cell in result.cells])
    running = [one for one in ran if one.begun <= now < one.ended]
    for one in ran:
        so_far = matrix.so_far[CellId.of(one.cell.values)]
        if one.ended <= now:
            so_far.labels.append(one.label)
        so_far.running += one in running
    decided = [cell for cell in result.cells if all(one.ended <= now for one in ran if one.cell is cell)]
    for cell in decided:
        so_far = matrix.so_far[CellId.of(cell.values)]
        so_far.outcome = cell.outcome
        so_far.short = cell.short
    table = Table.grid(padding=(0, 2))
    names = [cell.values for cell in result.cells]
    for one in running:
        words = f"seed {one.seed}  training  {duration((now - one.begun).total_seconds())}"
        table.add_row(Text("running", style="green"), Text(distinct_name(one.cell.values, names)), Text(words))
    taken = duration((now - min(one.begun for one in ran)).total_seconds())
    done = sum(one.ended <= now for one in ran)
    summary = f"{len(decided)} of {len(result.cells)} cells decided, {done} trials, {taken}"
    return Group(matrix.drawn(symbols_for(console), WIDTH, HEIGHT), Text(), table, Text(summary, style="bold"))


if __name__ == "__main__":
    main()

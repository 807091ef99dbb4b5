"""The pages of the whole matrix, and the site's data as scripts, which a page opened from disk can load.

Charts are drawn by the pages themselves: a Vega-Lite specification each kind, and one library for all.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runner.cache import cache_folder, read_sealed, write_sealed
from runner.check.findings import FindingKind
from runner.outcomes.account import SwitchStanding
from runner.outcomes.outcome import Leaning, Outcome, OutcomeKind
from runner.outcomes.tally import LEFT_OUT
from runner.outcomes.tried_fix import FixStanding
from runner.reports.notation import ANSWER_KINDS, MOST_TRIALS, SYMBOLS, epoch_time, figure, kind_counts, minute, size
from runner.reports.past_runs import News, gone, news_of, strips
from runner.reports.untrusted import capped, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jinja2 import Template

    from runner.outcomes.predicted_change import PredictedChange
    from runner.outcomes.result import CellResult, LockResult, PastCell, Result, TrialResult


_LOCK_DIGITS = 12
_LONGEST = 1000
"""Characters of a text in the script of all cells; a cell's own page has more of it."""
_NO_LETTER = re.compile(r"[\W_]+")
_WORD_ENDS = re.compile(r"(?<=[_/,:=-])|(?<=\.)(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])")
"""The places where a name may go on in the next line; `core.js` has the same."""
_ESCAPE = re.compile(r"\\(?:u(d[89a-f]..)|u....|.)")
"""An escape in JSON; one half of a character beyond 16 bits is no control."""


def lock_name(digest: str) -> str:
    """The name under which the site has a lock; empty where there is none."""
    return _NO_LETTER.sub("", digest.removeprefix("sha256:"))[:_LOCK_DIGITS]


def matrix_script(report: Result) -> str:
    """All cells, a column for each value; texts that cells share stand in a list once."""
    cells = report.cells
    places = {cell.id: place for place, cell in enumerate(cells)}
    words = {
        "outcome": [cell.told for cell in cells],
        "short": [_short(cell) for cell in cells],
        "stage": [_stage(cell) for cell in cells],
        "reason": [capped(cell.reason, _LONGEST) for cell in cells],
        "exception": [_exception(cell) for cell in cells],
        "compared": [cell.comparison.label if cell.comparison else "" for cell in cells],
        "flags": [capped(" ".join(cell.flags), _LONGEST) for cell in cells],
        "expected": [cell.expected for cell in cells],
        "lock": [lock_name(cell.lock) for cell in cells],
    }
    tables = {name: list(dict.fromkeys(column)) for name, column in words.items()}
    columns = {
        "id": [cell.id for cell in cells],
        "values": [_positions([cell.values.get(axis.name) for cell in cells], axis.values) for axis in report.axes],
        "kind": _positions([LEFT_OUT if LEFT_OUT in cell.flags else cell.kind for cell in cells], [*SYMBOLS, LEFT_OUT]),
        "converged": [cell.converged for cell in cells],
        "counted": [cell.counted for cell in cells],
        "seeds": [len(cell.untold) + len(cell.trials) for cell in cells],
        "final": [number(cell.final) for cell in cells],
        "seconds": [number(cell.epoch_s) for cell in cells],
        "memory": [cell.peak_memory_bytes for cell in cells],
        "failures": [cell.failures for cell in cells],
        "missed": [1 if cell.expected and not cell.as_expected else 0 for cell in cells],
        **{name: _positions(column, tables[name]) for name, column in words.items()},
    }
    found = {
        "axes": [{"name": axis.name, "kind": axis.kind, "values": axis.values} for axis in report.axes],
        "base": report.base,
        "metric": report.metric,
        "baseline": places.get(report.baseline),
        "kinds": [*SYMBOLS, LEFT_OUT],
        "words": tables,
        "cells": columns,
        "failures": [
            {
                "label": one.label,
                "reason": capped(one.reason, _LONGEST),
                "advice": capped(one.advice, _LONGEST),
                "cells": [places[cell] for cell in one.cells if cell in places],
                "accounts": one.accounts,
            }
            for one in report.failures
        ],
        "changes": [
            [change.axis, places[change.before], places[change.after]]
            for change in report.changes
            if change.before in places and change.after in places
        ],
    }
    return _script("matrix", found)


def _short(cell: CellResult) -> str:
    """The outcome in a cell of the grid, above its counts."""
    if cell.outcome.flaky:
        return "flaky" if cell.outcome.reason is Leaning.NEITHER else str(cell.outcome.reason)
    return cell.short


def _stage(cell: CellResult) -> str:
    """Where an exception broke the cell; empty where its short name says that already."""
    stage = cell.outcome.short(0, 0) if cell.outcome.breaks else ""
    return "" if stage == cell.short else stage


def cell_script(cell: CellResult) -> str:
    """The values of one cell that charts and comparisons need."""
    found = {
        "id": cell.id,
        "values": cell.values,
        "outcome": cell.told,
        "kind": cell.kind,
        "reason": capped(cell.reason, _LONGEST),
        "converged": cell.converged,
        "counted": cell.counted,
        "final": number(cell.final),
        "seconds": number(cell.epoch_s),
        "memory": cell.peak_memory_bytes,
        "python": cell.python,
        "engine": cell.engine,
        "lock": lock_name(cell.lock),
        "compared": capped(cell.comparison.reason, _LONGEST) if cell.comparison else "",
        "trials": list(map(_trial, cell.trials[:MOST_TRIALS])),
    }
    return _script("cell", found)


def lock_script(name: str, lock: LockResult) -> str:
    """The packages of one environment, by name."""
    packages = {package.name: package.version for package in lock.packages}
    return _script("lock", {"id": name, "python": lock.python, "as_of": lock.as_of, "packages": packages})


def _trial(trial: TrialResult) -> dict[str, Any]:
    return {
        "seed": trial.seed,
        "label": trial.label,
        "metric": trial.metric,
        "mode": trial.mode,
        "final": number(trial.final),
        "epochs": trial.epochs,
        "curves": {name: list(map(number, values)) for name, values in trial.curves.items()},
        "seconds": trial.epoch_seconds,
        "memory": trial.memory_bytes,
    }


def _script(kind: str, found: dict[str, Any]) -> str:
    """One value as a script; only ASCII in it, so that no encoding can change what it says."""
    text = json.dumps(found, separators=(",", ":"), allow_nan=False)
    return f"site.receive({json.dumps(kind)},{_ESCAPE.sub(_visible, text)});\n"


def _visible(escape: re.Match[str]) -> str:
    """An escape of JSON as it is, but a control as the name of its character."""
    letter: str = json.loads(f'"{escape[0]}"') if not escape[1] else ""
    shown = visible(letter)
    return escape[0] if shown == letter else json.dumps(shown)[1:-1]


def _positions(column: Sequence[str | None], among: Iterable[str]) -> list[int]:
    """The position of each value of a column in a list; -1 where it does not."""
    places = {value: place for place, value in enumerate(among)}
    return [-1 if value is None else places.get(value, -1) for value in column]


def number(value: float | None) -> float | str | None:
    """A number as JSON has it; one that is not finite as its name."""
    return value if value is None or math.isfinite(value) else str(value)


def _exception(cell: CellResult) -> str:
    return capped(f"{cell.exception.type}: {cell.exception.message}", _LONGEST) if cell.exception else ""


MOST_ROWS = 500
"""Cells that a section of the page of changes lists one by one."""
RULES = {
    "process": "how the process ended decides, before any series is looked at",
    "no-value": "the judged metric was never reported",
    "non-finite": "the last value is NaN or infinite",
    "target": "the criterion holds at the end",
    "above-start": "it ended at more than twice its start",
    "few-epochs": "fewer than five values: is the last the lowest, 10 % of the start below it?",
    "reversals": "it zigzags by more than 10 % of its start, several times to the end",
    "above-own-best": "it ended more than 10 % of its start above its own best",
    "never-learned": "it never fell by 10 % of its start",
    "trend": "it was still falling over the last fifth",
    "target-missed": "there is a criterion, and it does not hold",
    "above-baseline": "it ended more than 10 % of the start above the baseline",
    "reference": "it came as low as the baseline",
    "shape": "it fell and flattened, and there is nothing to hold its level against",
    "cost": "by its criterion it is good; what is in question is what it costs, beside the baseline",
    "convergence-warning": "the library said itself that the training did not converge, and there is nothing else",
}
"""By `Trial.basis`."""
_STANDINGS = {
    SwitchStanding.CAUSED_BY: "good",
    SwitchStanding.WAY_ROUND: "undecided",
    SwitchStanding.GOES_WITH: "undecided",
    SwitchStanding.PARTIAL: "undecided",
}
"""The colour of each standing of a switch; those that are not named say nothing of the cause."""

_STANDINGS_OF_FIXES = {
    FixStanding.WORKS: "good",
    FixStanding.BREAKS_GOOD: "bad",
    FixStanding.BREAKS_OTHER: "bad",
    FixStanding.NO_EFFECT: "bad",
    FixStanding.UNTESTABLE: "untestable",
    FixStanding.UNTRIED: "untestable",
}
_PREDICTIONS = {
    FindingKind.BREAKS: "bad",
    FindingKind.IGNORED: "bad",
    FindingKind.CHANGES: "undecided",
    FindingKind.KNOWN: "undecided",
    FindingKind.DEPRECATED: "untestable",
}
"""The colour of each kind of prediction."""


def matrix_page(result: Result) -> str:
    """`index.html`: what the matrix says in a sentence, and the grid that scripts draw from the data."""
    return template("matrix.html").render(
        report=result,
        root="",
        page="matrix",
        counts=list(kind_counts(result).items()),
        baseline=next((cell for cell in result.cells if cell.id == result.baseline), None),
        missed=[cell for cell in result.cells if not cell.as_expected and cell.expected],
    )


def compare_page(result: Result) -> str:
    """`compare.html`: two cells side by side; which two stands in its address, so scripts fill it."""
    return template("compare.html").render(report=result, root="", page="compare")


def changes_page(result: Result) -> str:
    """`changes.html`: what changed since the run that was published before, and each cell through all runs."""
    news = news_of(result)
    sections = [(kind, [one for one in news if one.news is kind]) for kind in News if kind is not News.SAME]
    through = strips(result)
    return template("changes.html").render(
        report=result,
        root="",
        page="changes",
        sections=[(kind, found[:MOST_ROWS], len(found)) for kind, found in sections if found],
        quiet=sum(one.news is News.SAME for one in news),
        gone=gone(result),
        runs=[*(run.made_at for run in result.history), result.made_at],
        strips=through,
        moved=_moved(result, through),
    )


def why_page(result: Result) -> str:
    """`why.html`: why outcomes differ, with every experiment that the sentences rest on."""
    standings = {
        one.standing: _STANDINGS.get(one.standing, "untestable") for a in result.accounts for one in a.switches
    }
    known = {account.id: account for account in result.accounts}
    bad = {cell.id for cell in result.cells if cell.kind is OutcomeKind.BAD}
    failures = (one for one in result.failures if one.accounts or bad.intersection(one.cells))
    groups = [(one, [known[account] for account in one.accounts if account in known]) for one in failures]
    return template("why.html").render(
        report=result, root="", page="why", kinds=ANSWER_KINDS, standings=standings, groups=groups
    )


def advice_page(result: Result) -> str:
    """`advice.html`: what was run to mend the cells that fail, and what came of it in each cell."""
    return template("advice.html").render(
        report=result,
        root="",
        page="advice",
        advised=[account for account in result.accounts if account.advice],
        standings=_STANDINGS_OF_FIXES,
        kind_of=lambda outcome: Outcome.parse(outcome).kind.value,
    )


def predicted_page(result: Result) -> str:
    """`predicted.html`: what a static look finds for the cells' releases, beside what the cells came to."""
    return template("predicted.html").render(
        report=result,
        root="",
        page="predicted",
        colours=_PREDICTIONS,
        known=_by_change(one for one in result.predicted if one.is_known),
        api=_by_change(one for one in result.predicted if not one.is_known),
        cells={cell.id: cell for cell in result.cells},
    )


def _by_change(predicted: Iterable[PredictedChange]) -> list[list[PredictedChange]]:
    """The places of each change."""
    found: dict[PredictedChange, list[PredictedChange]] = {}
    for one in predicted:
        change = one.model_copy(update={"file": "", "line": 0, "cells": ()})
        found.setdefault(change, []).append(one)
    return list(found.values())


def template(name: str) -> Template:
    """One template, compiled once."""
    return _environment().get_template(name)


def _moved(result: Result, through: dict[str, list[PastCell | None]]) -> list[str]:
    """The ids of the cells that were ever otherwise, those that turned most often first."""
    turns = {cell.id: _turns(through[cell.id]) for cell in result.cells}
    return sorted((cell for cell, count in turns.items() if count), key=lambda cell: -turns[cell])[:MOST_ROWS]


def _turns(strip: list[PastCell | None]) -> int:
    outcomes = [seen.outcome for seen in strip if seen is not None]
    return sum(one != other for one, other in pairwise(outcomes))


def _shown(value: object) -> object:
    if value.__class__ is str:
        return visible(value)
    if isinstance(value, Markup):
        return value
    return "" if value is None else visible(str(value))


def _breakable(name: object) -> Markup:
    """A name that is broken, where it must be, between its words only."""
    return Markup("<wbr>").join(visible(part) for part in _WORD_ENDS.split(str(name)))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runner.reports"),
        autoescape=True,
        auto_reload=False,  # else each page asks the disk whether its template is still the same
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": figure,
        "seconds": epoch_time,
        "size": size,
        "day": minute,
        "breakable": _breakable,
    }
    environment.globals |= {"symbols": SYMBOLS, "rules": RULES, "vega": bundle_name()}
    return environment


_SPECS = Path(__file__).parent / "specs"
_VEGA_LITE = "6.4"


def specs_script() -> str:
    """All specifications as one script for the pages."""
    specs = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(_SPECS.glob("*.json"))}
    return f'site.receive("specs",{json.dumps(specs, separators=(",", ":"))});\n'


def bundle_name() -> str:
    """The file name of the charts' library: another version is another file."""
    return f"vega-{version('vl-convert-python')}.js"


def bundle() -> bytes:
    """The library that draws charts, as one script; made once on a machine, which takes seconds."""
    kept = cache_folder() / "charts" / bundle_name()
    found = read_sealed(kept)
    if found is None:
        import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

        code = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", _VEGA_LITE)
        found = f"(() => {{\n{code}\n}})();\n".encode()  # its many short names stay its own
        write_sealed(kept, found)
    return found

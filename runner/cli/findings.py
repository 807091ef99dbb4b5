"""What is said under the matrix: where outcomes change, failures by their reason, what cells were compared with."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from runner.cli.words import cell_words
from runner.outcomes.layout import dimensions_of
from runner.outcomes.saying import cells_in_words
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.matrix.model import Cell
    from runner.session import Results

_MOST_REASONS = 10
_MOST_CHANGES = 10
_MOST_NAMES = 4
_MOST_LINES = 2
"""Of one reason."""


def shared(results: Results, width: int) -> Iterator[str]:
    """What several cells have in common: changes along the versions, then reasons of failures; in lines that fit."""
    if len(results.cells) > 1:
        yield from _change_lines(results, width)
        yield from _failure_lines(results, width)


def below(results: Results, *, listed: bool) -> Iterator[str]:
    """What is said last: the baseline, the control, how much there is; `listed`: every cell had a line."""
    judged = results.judged
    if judged.position is not None:
        name = ",".join(f"{axis}={value}" for axis, value in judged.outcomes[judged.position].cell.items())
        yield f"Compared with {name}: {judged.reason}."
    elif len(judged.outcomes) > 1:
        yield f"Cells are not compared: {judged.reason}."
    if judged.control is not None:
        yield f"Control: {judged.control}."
    executed = f"{results.executed} trials ran now, " if results.executed else ""
    stored = sum(outcome.n_trials for outcome in results.outcomes)
    yield f"{len(results.cells)} cells, {executed}{stored} trials stored."
    if not listed:
        yield "`table --wide` has a line for each cell, `show CELL` all that is known of one."


def _change_lines(results: Results, width: int) -> Iterator[str]:
    """The steps that change an outcome, those that most cells share first."""
    steps: dict[str, list[Cell]] = {}
    moving: dict[str, list[str]] = {}
    for change in results.changes:
        before, after = results.cells[change.before], results.cells[change.after]
        axes = [axis for axis, value in after.values.items() if before.values.get(axis) != value]
        axes.sort(key=lambda axis: axis != change.axis)
        moved = ", ".join(f"{axis} {before.values.get(axis, 'none')} → {after.values[axis]}" for axis in axes)
        became = f"{results.outcomes[change.before].label} → {results.outcomes[change.after].label}"
        steps.setdefault(f"{moved}: {became}", []).append(after)
        moving[f"{moved}: {became}"] = axes
    if not steps:
        return
    yield "Where the outcome changes:"
    ranked = sorted(steps.items(), key=lambda one: -len(one[1]))
    for step, cells in ranked[:_MOST_CHANGES]:
        yield from _entry(step, cells, results, width, without=moving[step])
    if len(ranked) > _MOST_CHANGES:
        yield f"  and {len(ranked) - _MOST_CHANGES} more steps"


def _failure_lines(results: Results, width: int) -> Iterator[str]:
    """The reasons that more than one cell shares, or that leave a cell's line short."""
    failures = results.failures
    if not failures:
        return
    yield "Failures, by reason:"
    for failure in failures[:_MOST_REASONS]:
        failed = {id(outcome) for outcome in failure.cells}
        cells = [cell for cell, outcome in zip(results.cells, results.outcomes, strict=True) if id(outcome) in failed]
        yield from _entry(failure.reason, cells, results, width)
    if len(failures) > _MOST_REASONS:
        yield f"  and {len(failures) - _MOST_REASONS} more reasons"


def _entry(
    text: str, cells: Sequence[Cell], results: Results, width: int, *, without: Sequence[str] = ()
) -> Iterator[str]:
    """How many cells, what they share, and the first of them by what tells them apart."""
    independent = {one.name for one in dimensions_of([cell.values for cell in results.cells], results.matrix.base.name)}
    left_out = {axis for cell in cells[:_MOST_NAMES] for axis in cell.values if axis not in independent}
    yield from fitted(text, width, indent=f"  {cells_in_words(len(cells)).ljust(9)} ", hanging=" " * 12)
    names = [cell_words(cell, results.cells, without={*left_out, *without}) for cell in cells[:_MOST_NAMES]]
    said = "; ".join(name for name in names if name)
    more = f"; and {len(cells) - _MOST_NAMES} more" if said and len(cells) > _MOST_NAMES else ""
    yield from fitted(f"{said}{more}", width, indent=" " * 12, most=None)


def fitted(
    text: str, width: int, *, indent: str = "", hanging: str | None = None, most: int | None = _MOST_LINES
) -> list[str]:
    """A text in lines of `width`; where it needs more than `most`, the last ends in an ellipsis."""
    return textwrap.wrap(
        one_line(text),
        max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        max_lines=most,
        placeholder=" …",
        break_on_hyphens=False,
    )

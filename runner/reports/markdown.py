"""The result as Markdown, for `report.md` and a CI job's summary page; nothing that a script wrote becomes markup.

What stands in a table or a line is a `MarkdownText`: text of this module's own, or made from others' by `escaped`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NewType
from urllib.parse import quote

from runner.outcomes.tally import LEFT_OUT
from runner.reports.notation import (
    SYMBOLS,
    cause,
    cell_name,
    change_columns,
    convergence,
    figure,
    final_figure,
    interval,
    summary,
)
from runner.reports.spreadsheet import readable
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.outcomes.earlier import Earlier
    from runner.outcomes.result import CellResult, Result


MarkdownText = NewType("MarkdownText", str)
"""Text that Markdown may have as it is."""
MOST_ROWS = 500
"""Of a longer table the cells that ran and are not good, as many as these: a summary page takes 1 MiB."""
_MOST_REASONS = 30
_MOST_NAMES = 5
_LONGEST = 120
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;"}
_SPACE = "\N{ZERO WIDTH SPACE}"


def report_md(report: Result, *, source: str = "", earlier: Sequence[Earlier] = ()) -> str:
    """The whole report as GitHub-flavoured Markdown.

    `source` is the address of the folder of the matrix, to which the lines of scripts are linked; `earlier` has
    the comparison with an earlier result.
    """
    parts = [
        f"# {escaped(report.title)}\n",
        *(_paragraph(" ".join(part.split())) for part in report.description.split("\n\n") if part.strip()),
        *([f"**{escaped(report.complaint)}**\n"] if report.complaint else []),
        *map(_paragraph, report.sentences),
        f"{summary(report)}.\n",
        _table(report, source),
        *_earlier(earlier),
        *_changes(report),
        *_accounts(report),
        *_failures(report),
        *map(_paragraph, report.advice),
        *_footer(report),
    ]
    return "\n".join(parts)


def table_lines(result: Result) -> Iterator[str]:
    """The columns that a reader wants, as the lines of a Markdown table alone."""
    lines = readable(result)
    yield _head(list(map(escaped, next(lines))))
    for line in lines:
        yield _row([escaped(text, _LONGEST) for text in line])


def escaped(text: str, longest: int = 0) -> MarkdownText:
    """Text that Markdown shows as it is, in a table too: no markup, no link, no mention of a user."""
    line = one_line(text, longest)
    line = re.sub(r"[&<>|\\]", lambda found: _ENTITIES[found[0]], line)
    line = re.sub(r"(?<!&)#|[`*_\[\]~!$]", lambda found: f"\\{found[0]}", line)
    line = re.sub(r"(?i)(\bwww)\.", rf"\1{_SPACE}.", line.replace("://", f":{_SPACE}//"))
    line = re.sub(r"(?i)(mailto|xmpp):", rf"\1{_SPACE}:", line)
    return MarkdownText(line.replace("@", f"@{_SPACE}"))


def _paragraph(text: str) -> str:
    """Text as a paragraph of its own: what would begin a list, a rule or a heading does not."""
    return re.sub(r"^(\d*)([-+=.):])", r"\1\\\2", escaped(text)) + "\n"


def _row(cells: Sequence[MarkdownText]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _head(names: Sequence[MarkdownText]) -> str:
    return _row(names) + _row([MarkdownText("---")] * len(names))


def _table(report: Result, source: str) -> str:
    axes = [axis.name for axis in report.axes]
    compared = any(cell.comparison for cell in report.cells)
    names = [*axes, "outcome", "converged", "95 % interval", f"final {report.metric}", "s/epoch"]
    head = [*map(escaped, names), *map(escaped, ["compared"] if compared else []), escaped("why")]
    shown = report.cells
    if len(shown) > MOST_ROWS:
        shown = tuple(cell for cell in shown if cell.kind != "good" and LEFT_OUT not in cell.flags)[:MOST_ROWS]
    rows = [
        [
            *(escaped(cell.values.get(axis, "")) for axis in axes),
            *_figures(cell),
            *([escaped(cell.comparison.label if cell.comparison else "")] if compared else []),
            _why(cell, source),
        ]
        for cell in shown
    ]
    left = len(report.cells) - len(shown)
    first = "good ones, and those that were not chosen to run, were left out here first"
    more = f"\n{left} more cells are in `results.json`; {first}.\n" if left else ""
    return _head(head) + "".join(map(_row, rows)) + more


def _accounts(report: Result) -> Iterator[str]:
    """The findings of investigations: why cells differ."""
    if report.accounts:
        yield "## Why\n"
    for account in report.accounts:
        lines = [*account.sentences, *(f"Unknown: {sentence}" for sentence in account.unknown), *account.advice]
        yield "".join(f"- {escaped(line)}\n" for line in lines)


def _figures(cell: CellResult) -> tuple[MarkdownText, ...]:
    return (
        escaped(f"{SYMBOLS[cell.kind]} {cell.told}"),
        escaped(convergence(cell)),
        escaped(interval(cell)),
        escaped(final_figure(cell)),
        escaped(figure(cell.epoch_s)),
    )


def _why(cell: CellResult, source: str) -> MarkdownText:
    words = escaped(cause(cell), _LONGEST)
    found = cell.exception
    if found is None or found.line is None or found.file is None:
        return words
    place = escaped(found.place)
    if source and ".." not in found.file.split("/"):
        line = f"#L{found.line}" if found.cell is None else ""
        place = MarkdownText(f"[{place}]({source}/{quote(one_line(found.file))}{line})")
    return MarkdownText(f"{words} ({place})")


def _earlier(found: Sequence[Earlier]) -> Iterator[str]:
    if not found:
        return
    labels = list(dict.fromkeys(one.label for one in found))
    counts = ", ".join(f"{sum(one.label == label for one in found)} {label}" for label in labels)
    yield "## Compared with the earlier result\n"
    yield f"{counts}.\n"
    notable = [one for one in found if one.notable]
    if notable:
        yield _head(list(map(escaped, ("cell", "now", "why")))) + "".join(
            _row([escaped(one.name), escaped(one.label), escaped(one.reason)]) for one in notable[:MOST_ROWS]
        )


def _changes(report: Result) -> Iterator[str]:
    cells = {cell.id: cell for cell in report.cells}
    words = [found for change in report.changes[:MOST_ROWS] if any(found := change_columns(cells, change))]
    if words:
        yield "## Where the outcome changes\n"
        yield _head(list(map(escaped, ("step", "outcome", "with")))) + "".join(
            _row([escaped(step), escaped(outcomes), escaped(same)]) for same, step, outcomes in words
        )


def _failures(report: Result) -> Iterator[str]:
    if not report.failures:
        return
    names = {cell.id: cell_name(cell) for cell in report.cells}
    rows = []
    for failure in report.failures[:_MOST_REASONS]:
        reason = f"{failure.reason}. {failure.advice}" if failure.advice else failure.reason
        more = len(failure.cells) - _MOST_NAMES
        cells = "; ".join(names.get(cell, cell) for cell in failure.cells[:_MOST_NAMES])
        rows.append(
            [escaped(reason), escaped(str(failure.trials)), escaped(f"{cells}; and {more} more" if more > 0 else cells)]
        )
    yield "## Failures by reason\n"
    yield _head(list(map(escaped, ("reason", "trials", "cells")))) + "".join(map(_row, rows))
    if len(report.failures) > _MOST_REASONS:
        yield f"And {len(report.failures) - _MOST_REASONS} more reasons.\n"


def _footer(report: Result) -> Iterator[str]:
    names = {cell.id: cell_name(cell) for cell in report.cells}
    if report.baseline:
        baseline = names.get(report.baseline, report.baseline)
        yield f"Compared with {escaped(baseline)}: {escaped(report.baseline_reason)}.\n"
    elif report.baseline_reason:
        yield f"Cells are not compared: {escaped(report.baseline_reason)}.\n"
    if report.control:
        yield f"Control: {escaped(report.control)}.\n"
    yield from map(_paragraph, report.times)
    yield f"Made {escaped(report.made_at)} by convergence-matrix {escaped(report.runner_version)}.\n"

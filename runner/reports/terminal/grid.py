"""The compact matrix: a mark for every cell, by symbol and word or letter, with a legend; never wider than asked for.

Versions in a row that came to the same share a line; where words do not fit letters stand for them, then counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from runner.outcomes.layout import layout_of
from runner.outcomes.outcome import Outcome
from runner.outcomes.ranges import cells_in_words, short_scripts
from runner.outcomes.tally import LEFT_OUT
from runner.reports.notation import ASCII_SYMBOLS, SYMBOLS
from runner.reports.terminal.console import STYLES, side_by_side
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runner.outcomes.layout import Dimension
    from runner.outcomes.result import CellResult, Result


MOST_ROWS = 15
"""Of more rows those that are alike share a line."""
MOST_LINES = 60
"""Of a matrix; of a longer one there are counts, and if these are longer too nothing but the legend."""
_GAP = 2
_MOST_NAMES = 3
_LONGEST_NAME = 24

Mark = tuple[Outcome, str]
"""The outcome of a cell, and its short name."""
Word = tuple[str, str]
"""A text and its style."""
_NOTHING: Word = ("", "")


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Neighbours along the line of which all rows came to the same."""

    name: tuple[str, str]
    """In two parts: `1.2.0` and `to 1.8.0`, or the second empty."""
    marks: tuple[Mark | None, ...]
    """The mark of each row; None where there is no cell."""
    places: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    """The values that every way to draw shares."""

    cells: Sequence[CellResult]
    line: Dimension
    names: tuple[tuple[str, ...], ...]
    """Of each row its value on each other axis."""
    axes: tuple[str, ...]
    groups: tuple[_Group, ...]
    outcomes: frozenset[Outcome]
    left_out: str
    """The cells that were not chosen to run, for the legend; empty where all were."""
    symbols: Mapping[str, str]
    width: int

    def sign(self, outcome: Outcome, word: str) -> Word:
        return f"{self.symbols[outcome.kind.value]}{word}", STYLES[outcome.kind.value]

    def mark(self, mark: Mark | None, letters: Mapping[Outcome, str] | None = None) -> Word:
        """The sign of a cell with its short name, or with its letter."""
        if mark is None:
            return ".", "dim"
        return self.sign(mark[0], f" {mark[1]}" if letters is None else letters[mark[0]])


def grid_lines(result: Result, width: int, *, ascii_only: bool = False) -> list[Text]:
    """The matrix with its legend; nothing where cells do not vary."""
    named = _drawing(result, width, ascii_only=ascii_only, exceptions=True)
    drawing = _drawing(result, width, ascii_only=ascii_only, exceptions=False)
    if named is None or drawing is None:
        return []
    letters = _letters(drawing)
    in_words = (*_by_length(_in_words(named)), *_by_length(_in_words(drawing)))
    for lines, keys in (*in_words, (_in_letters(drawing, letters), letters)):
        if lines and len(lines) <= MOST_LINES:
            return [*lines, *_legend(drawing, keys)]
    counted = _in_counts(drawing, letters)
    return [*(counted if len(counted) <= MOST_LINES else ()), *_legend(drawing, letters)]


def _drawing(result: Result, width: int, *, ascii_only: bool, exceptions: bool) -> _Drawing | None:
    """What is drawn, with the types of `exceptions` or the stages that they were raised in."""
    cells, base = result.cells, result.base
    by_id = {cell.cell_id: cell for cell in cells}
    chosen = [cell for cell in cells if LEFT_OUT not in cell.flags]
    marks = {cell.cell_id: _mark(cell, exceptions=exceptions) for cell in chosen}
    layout = layout_of(by_id, base)
    if layout.line is None and layout.others:
        longest = max(layout.others, key=lambda one: len(one.values))
        layout = layout_of(by_id, base, line=longest.name)
    if layout.line is None or not chosen:
        return None
    places = range(len(layout.line.values))
    axes = tuple(other.name for other in layout.others)
    begun = {name: row for name, row in layout.rows.items() if not marks.keys().isdisjoint(row.values())}
    names = [tuple(_shown(other, row[axis]) for axis, other in enumerate(layout.others)) for row in begun]
    rows = [tuple(marks.get(row[at]) if at in row else None for at in places) for row in begun.values()]
    if len(rows) > MOST_ROWS:
        alike = _alike(rows, names)
        rows, names, axes = list(alike), [(_some_names(found),) for found in alike.values()], (" ".join(axes),)
    return _Drawing(
        cells=chosen,
        line=layout.line,
        names=tuple(names),
        axes=axes,
        groups=tuple(_groups(layout.line, list(zip(*rows, strict=True)))),
        outcomes=frozenset(cell.outcome for cell in chosen),
        left_out=_left_out(len(cells) - len(chosen), all_rows=len(begun) == len(layout.rows)),
        symbols=ASCII_SYMBOLS if ascii_only else SYMBOLS,
        width=width,
    )


def _left_out(number: int, *, all_rows: bool) -> str:
    told = f". not chosen to run: {cells_in_words(number)}" if number else ""
    return told if all_rows else f"{told} (rows that have no others are not drawn)"


def _mark(cell: CellResult, *, exceptions: bool) -> Mark:
    short = cell.short if exceptions else cell.outcome.short(cell.converged, cell.counted)
    return cell.outcome, one_line(short, _LONGEST_NAME)


def _shown(dimension: Dimension, value: str | None) -> str:
    if value is None:
        return f"no {dimension.name}"
    scripts = short_scripts(str(one or "") for one in dimension.values) if dimension.name == "script" else {}
    return scripts.get(value, value)


def _groups(line: Dimension, marks: Sequence[tuple[Mark | None, ...]]) -> Iterator[_Group]:
    """Neighbours that are alike; only versions have neighbours."""
    for _, found in groupby(range(len(marks)), key=lambda place: marks[place] if line.ordered else place):
        places = tuple(found)
        first, last = _shown(line, line.values[places[0]]), _shown(line, line.values[places[-1]])
        name = (first, f"to {last}" if len(places) > 1 else "")
        yield _Group(name=name, marks=marks[places[0]], places=places)


# -- words -----------------------------------------------------------------------------------------------------------


def _by_length(drawn: Iterable[list[Text]]) -> list[tuple[list[Text], Mapping[Outcome, str]]]:
    return [(lines, {}) for lines in sorted(drawn, key=len) if lines]


def _in_words(drawing: _Drawing) -> Iterator[list[Text]]:
    """Both ways to draw the matrix with a word in every cell, where they fit."""
    heads = [_word(axis) for axis in drawing.axes]
    across_heads = [*heads[:-1], *(_word(f"{axis} by {drawing.line.name}") for axis in drawing.axes[-1:])]
    marks = [[drawing.mark(one) for one in group.marks] for group in drawing.groups]
    across = [
        [*across_heads, *(_word(group.name[0]) for group in drawing.groups)],
        *([[_NOTHING] * len(heads) + [_word(group.name[1]) for group in drawing.groups]] if _any_long(drawing) else []),
        *([*map(_word, name), *row] for name, row in zip(drawing.names, zip(*marks, strict=True), strict=True)),
    ]
    if not heads:
        across = [[_word(drawing.line.name), *across[0]], *([_NOTHING, *line] for line in across[1:])]
    down = [
        [_word(drawing.line.name if axis == len(heads) - 1 else ""), *(_word(name[axis]) for name in drawing.names)]
        for axis in range(len(heads))
    ]
    down = down or [[_word(drawing.line.name), _NOTHING]]
    down += [[_word(" ".join(group.name).strip()), *row] for group, row in zip(drawing.groups, marks, strict=True)]
    for table in (across, down):
        lines = _aligned(table)
        if max(line.cell_len for line in lines) <= drawing.width:
            yield lines


def _any_long(drawing: _Drawing) -> bool:
    return any(group.name[1] for group in drawing.groups)


# -- letters ---------------------------------------------------------------------------------------------------------


def _letters(drawing: _Drawing) -> dict[Outcome, str]:
    """A letter for each outcome, the good ones first: of its name the first that is free."""
    letters: dict[Outcome, str] = {}
    order = list(STYLES)
    for outcome in sorted(drawing.outcomes, key=lambda one: (order.index(one.kind.value), str(one))):
        word = str(outcome) if outcome.flaky else outcome.short(0, 0)
        candidates = [letter.upper() for letter in f"{word}abcdefghijklmnopqrstuvwxyz" if letter.isalpha()]
        letters[outcome] = next(letter for letter in candidates if letter not in letters.values())
    return letters


def _in_letters(drawing: _Drawing, letters: Mapping[Outcome, str]) -> list[Text]:
    """A numbered column for the rows that are alike, as many side by side as fit, with a key of the numbers."""
    columns = _alike(zip(*(group.marks for group in drawing.groups), strict=True), drawing.names)
    head = max(cell_len(drawing.line.name), *(cell_len(" ".join(group.name)) for group in drawing.groups))
    size = max(2, len(str(len(columns)))) + _GAP
    fit = max(1, (drawing.width - head) // size)
    numbered = list(enumerate(columns, 1))
    lines: list[Text] = []
    for start in range(0, len(numbered), fit):
        block = numbered[start : start + fit]
        table = [[_word(drawing.line.name), *(_word(str(number)) for number, _ in block)]]
        for place, group in enumerate(drawing.groups):
            marks = (drawing.mark(column[place], letters) for _, column in block)
            table.append([_word(" ".join(group.name).strip()), *marks])
        lines += _aligned(table)
    keys = [f"{number} {_some_names(names)}" for (number, _), names in zip(numbered, columns.values(), strict=True)]
    return [*lines, *(Text(line, style="dim") for line in side_by_side(keys, drawing.width))]


def _alike(
    rows: Iterable[tuple[Mark | None, ...]], names: Iterable[tuple[str, ...]]
) -> dict[tuple[Mark | None, ...], list[tuple[str, ...]]]:
    """The different rows, each with the names of those that have these marks."""
    found: dict[tuple[Mark | None, ...], list[tuple[str, ...]]] = {}
    for row, name in zip(rows, names, strict=True):
        found.setdefault(row, []).append(name)
    return found


def _some_names(names: Sequence[tuple[str, ...]]) -> str:
    shown = ", ".join(" ".join(name) for name in names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown


# -- counts ----------------------------------------------------------------------------------------------------------


def _in_counts(drawing: _Drawing, letters: Mapping[Outcome, str]) -> list[Text]:
    """For each version the number of cells with each outcome."""
    table = [[_word(drawing.line.name), *(drawing.sign(outcome, letter) for outcome, letter in letters.items())]]
    counted = [Counter(mark and mark[0] for mark in group.marks) for group in drawing.groups]
    for alike, found in groupby(range(len(counted)), key=lambda place: sorted(counted[place].items(), key=str)):
        groups = [drawing.groups[place] for place in found]
        last = groups[-1].name[1] or f"to {groups[-1].name[0]}"
        name = groups[0].name if len(groups) == 1 else (groups[0].name[0], last)
        counts = dict(alike)
        table.append([_word(" ".join(name).strip()), *(_word(str(counts.get(outcome) or ".")) for outcome in letters)])
    return _aligned(table)


# -- lines -----------------------------------------------------------------------------------------------------------


def _legend(drawing: _Drawing, letters: Mapping[Outcome, str]) -> Iterator[Text]:
    counts = Counter(cell.outcome for cell in drawing.cells)
    entries = [
        f"{drawing.sign(outcome, letters.get(outcome, ''))[0]} {outcome}: {cells_in_words(count)}"
        for outcome, count in counts.most_common()
    ]
    if drawing.left_out:
        entries.append(drawing.left_out)
    elif any(mark is None for group in drawing.groups for mark in group.marks):
        entries.append(". no such cell")
    for line in side_by_side(entries, drawing.width):
        yield Text(line)


def _word(text: str) -> Word:
    return text, ""


def _aligned(table: Sequence[Sequence[Word]]) -> list[Text]:
    """Lines in columns; the first line is a heading."""
    widths = [max(cell_len(text) for text, _ in column) for column in zip(*table, strict=True)]
    lines = []
    for number, row in enumerate(table):
        line = Text(style="" if number else "bold", no_wrap=True)
        for (text, style), size in zip(row, widths, strict=True):
            line.append(text, style=style)
            line.append(" " * (size - cell_len(text) + _GAP))
        line.rstrip()
        lines.append(line)
    return lines

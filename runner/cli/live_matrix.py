"""The matrix of a run as it fills up: a mark for every cell, provisional until the cell is decided."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from runner.outcomes.layout import layout_of
from runner.outcomes.outcome import Outcome, OutcomeKind
from runner.outcomes.ranges import short_scripts
from runner.reports.terminal.console import STYLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.matrix.cell_id import CellId
    from runner.outcomes.layout import Dimension
    from runner.outcomes.verdict import Label


_GAP = 2


@dataclass(kw_only=True)
class CellSoFar:
    """One cell: the labels of its trials, how many run now, and its outcome once it is decided."""

    labels: list[Label] = field(default_factory=list)
    running: int = 0
    outcome: Outcome | None = None
    short: str = ""
    """The outcome's short name."""

    def mark(self, symbols: Mapping[str, str]) -> Text:
        """The outcome; before that the most frequent label with a question mark, dimmed."""
        more = "…" if self.running else ""
        if self.outcome is not None:
            kind = self.outcome.kind.value
            return Text(f"{symbols[kind]} {self.short}{more}", style=STYLES[kind])
        if self.labels:
            label, number = Counter(self.labels).most_common(1)[0]
            return Text(f"{label}? {number}/{len(self.labels)}{more}", style=f"dim {STYLES[_kind(label)]}")
        return Text("running…", style="cyan") if self.running else Text(".", style="dim")


def _kind(label: Label) -> str:
    """The kind of outcome that trials with this label come to."""
    try:
        return Outcome.of_label(label).kind.value
    except ValueError:  # it does not count
        return OutcomeKind.UNDECIDED.value


class LiveMatrix:
    """The cells of a run, laid out once; marks are drawn anew each time."""

    def __init__(self, cells: Sequence[CellId]) -> None:
        """Nothing has run yet."""
        self.so_far = defaultdict(CellSoFar, {cell: CellSoFar() for cell in cells})
        layout = layout_of(cells)
        if layout.line is None and layout.others:
            layout = layout_of(cells, line=max(layout.others, key=lambda one: len(one.values)).name)
        self._layout = layout

    def drawn(self, symbols: Mapping[str, str], width: int, height: int) -> Table | Text:
        """The matrix in so many columns and lines; where it does not fit, how many cells have which mark."""
        for table in self._tables(symbols):
            columns = sum(max(len(text) for text in column) + _GAP for column in zip(*table, strict=True)) - _GAP
            if columns <= width and len(table) <= height:
                return _grid(table)
        marks = Counter(cell.mark(symbols).plain for cell in self.so_far.values())
        return Text("   ".join(f"{mark}: {count}" for mark, count in marks.most_common()), overflow="ellipsis")

    def _tables(self, symbols: Mapping[str, str]) -> Sequence[list[list[Text]]]:
        """The matrix with the line across, and with the line down; none for a single cell."""
        layout = self._layout
        if layout.line is None:
            return ()
        names = [[_named(other, value) for other, value in zip(layout.others, row, strict=True)] for row in layout.rows]
        line = [_named(layout.line, value) for value in layout.line.values]
        marks = [
            [self.so_far[row[at]].mark(symbols) if at in row else Text("") for at in range(len(line))]
            for row in layout.rows.values()
        ]
        head = [Text(other.name) for other in layout.others[:-1]]
        head += [Text(f"{other.name} by {layout.line.name}") for other in layout.others[-1:]]
        across = [
            [*head, *map(Text, line)],
            *([*map(Text, name), *row] for name, row in zip(names, marks, strict=True)),
        ]
        down = [[Text(layout.line.name), *(Text(" ".join(name)) for name in names)]]
        down += [[Text(name), *row] for name, row in zip(line, zip(*marks, strict=True), strict=True)]
        return (across, down) if layout.others else (down,)


def _named(dimension: Dimension, value: str | None) -> str:
    if value is None:
        return f"no {dimension.name}"
    scripts = short_scripts(str(one or "") for one in dimension.values) if dimension.name == "script" else {}
    return scripts.get(value, value)


def _grid(table: Sequence[Sequence[Text]]) -> Table:
    grid = Table.grid(padding=(0, _GAP))
    for number, row in enumerate(table):
        grid.add_row(*row, style="" if number else "bold")
    return grid

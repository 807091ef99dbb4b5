"""Progress on standard error: a live display on a terminal, plain lines in a pipe. Both are observers of a session."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runner.outcomes.fingerprint import message_told
from runner.outcomes.layout import layout_of
from runner.outcomes.outcome import UNDECIDED, Outcome, OutcomeKind
from runner.outcomes.ranges import short_scripts
from runner.plurals import counted
from runner.reports.notation import distinct_name, duration
from runner.reports.terminal.console import STYLES, symbols_for
from runner.reports.terminal.streams import GuardedConsole
from runner.reports.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType

    from runner.engines.protocol import JobFolder
    from runner.matrix.cell_id import CellId
    from runner.matrix.model import Cell
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.layout import Dimension
    from runner.outcomes.verdict import Label, Verdict
    from runner.session.options import Observer
    from runner.trials.record import Record
    from runner.trials.trial import Trial


_LONGEST_NAME = 100
_LONGEST_EXCEPTION = 100

REFRESH_PER_S = 4
_OTHER_LINES = 3
"""Of the display, beside the matrix and what is under way."""


@contextmanager
def observer_for_terminal() -> Iterator[Observer]:
    """The observer that fits standard error: live on a terminal, plain lines elsewhere."""
    console = GuardedConsole(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainProgress(console)
        return
    progress = LiveProgress(console)
    with Live(get_renderable=progress.render, console=console, refresh_per_second=REFRESH_PER_S, transient=True):
        yield progress


class PlainProgress:
    """One line an event, each with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self._console = console
        self._begun = time.monotonic()

    def note(self, text: str) -> None:
        """Report something about the whole run."""
        self._line(text)

    def planned(self, cells: Sequence[Cell], known: Sequence[JudgedCell]) -> None:
        """Report the subject of the run."""
        stored = sum(outcome.n_trials for outcome in known)
        self._line(f"{counted(len(cells), 'cell')}, {counted(stored, 'finished trial')} stored")

    def environment(self, name: str, text: str) -> None:
        """Report a step in making an environment."""
        self._line(f"{name}: {text}")

    def trial_placed(self, trial: Trial, worker: str) -> None:
        """Report where a trial begins."""
        self._line(f"{trial.setting.cell.id.brief} seed {trial.seed}: on {worker}")

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:  # noqa: ARG002 - the observer's signature
        """Report that a trial began."""
        self._line(f"{trial.setting.cell.id.brief} seed {trial.seed}: started")

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """Report the end of a trial."""
        self._line(
            f"{cell.id.brief} seed {record.seed}: {_verdict_line(record, verdict)} ({duration(record.duration_s)})"
        )

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """Report the outcome of a cell."""
        self._line(f"{cell.id.brief}: {outcome.told}")

    def _line(self, text: str) -> None:
        self._console.print(f"[{time.monotonic() - self._begun:6.1f} s] {text}", soft_wrap=True)


@dataclass(kw_only=True)
class _Running:
    trial: Trial
    folder: JobFolder
    begun: float
    offset: int = 0
    epoch: int = 0
    planned: int | None = None
    loss: str = ""
    phase: str = ""

    def look(self) -> None:
        from runner.trials.channel import follow  # noqa: PLC0415 - for a trial that runs

        events, self.offset = follow(self.folder.channel, self.offset)
        for event in events:
            if event.get("event") == "phase":
                self.planned = event.get("planned_epochs") if isinstance(event.get("planned_epochs"), int) else None
                self.phase = str(event.get("name", ""))[:20]
            elif event.get("event") == "epoch" and isinstance(event.get("epoch"), int):
                self.epoch = event["epoch"]
                logs = event.get("logs")
                loss = logs.get("loss") if isinstance(logs, dict) else None
                self.loss = (
                    f"loss {loss:.3g}" if isinstance(loss, float) else f"loss {loss}"[:12] if loss is not None else ""
                )
            elif event.get("event") == "stage":
                self.phase = str(event.get("stage", ""))[:20]

    def words(self) -> str:
        if not self.epoch:
            return self.phase or "starting"
        return f"epoch {self.epoch}{f' of {self.planned}' if self.planned else ''}  {self.loss}"


@dataclass(kw_only=True)
class _Times:
    """Measured durations, for the time to go."""

    by_cell: dict[CellId, tuple[float, int]] = field(default_factory=dict)
    """The seconds of a cell's trials together, and how many they are."""
    of_all: tuple[float, int] = 0.0, 0

    def take(self, cell: Cell, duration_s: float) -> None:
        (own, number), (whole, trials) = self.by_cell.get(cell.id, (0.0, 0)), self.of_all
        self.by_cell[cell.id] = own + duration_s, number + 1
        self.of_all = whole + duration_s, trials + 1

    def expected(self, cell: Cell) -> float | None:
        """Seconds that a trial of a cell takes, by its own trials or else by all; None before the first one ended."""
        seconds, number = self.by_cell.get(cell.id, self.of_all)
        return seconds / number if number else None


class LiveProgress:
    """A live display: the matrix as it fills up, environments being made, trials with their epoch, the time to go."""

    def __init__(self, console: Console) -> None:
        """Lines that stay are printed above the display."""
        self._console = console
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._cells: Sequence[Cell] = ()
        self._matrix = LiveMatrix(())
        self._decided: set[CellId] = set()
        self._environments: dict[str, str] = {}
        self._running: dict[str, _Running] = {}
        self._workers: dict[str, str] = {}
        """The worker of each trial that runs on a cluster, by key."""
        self._times = _Times()
        self._trials = 0

    def note(self, text: str) -> None:
        """Print a line about the whole run above the display."""
        self._console.print(Text(text, style="yellow"))

    def planned(self, cells: Sequence[Cell], known: Sequence[JudgedCell]) -> None:
        """Take the cells that the run is about, with what is stored of them."""
        with self._lock:
            self._cells = cells
            self._matrix = LiveMatrix([cell.id for cell in cells])
            for outcome in known:
                so_far = self._matrix.so_far[outcome.id]
                so_far.labels = [verdict.label for _, verdict in outcome.trials]
                if outcome.outcome != UNDECIDED:
                    so_far.outcome, so_far.short = outcome.outcome, one_line(outcome.short)
                    self._decided.add(outcome.id)

    def environment(self, name: str, text: str) -> None:
        """Show what is done for an environment."""
        with self._lock:
            if text == "ready":
                self._environments.pop(name, None)
            else:
                self._environments[name] = text

    def trial_placed(self, trial: Trial, worker: str) -> None:
        """Take the worker of a trial that is about to begin."""
        with self._lock:
            self._workers[trial.key] = worker

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        """Show a trial."""
        with self._lock:
            self._matrix.so_far[trial.setting.cell.id].running += trial.key not in self._running
            self._running[trial.key] = _Running(trial=trial, folder=folder, begun=time.monotonic())

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """Take a trial's end."""
        with self._lock:
            so_far = self._matrix.so_far[cell.id]
            so_far.running -= self._running.pop(record.key, None) is not None
            self._workers.pop(record.key, None)
            so_far.labels.append(verdict.label)
            self._environments.pop(record.lock or "", None)
            self._times.take(cell, record.duration_s)
            self._trials += 1

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """Take a cell's outcome."""
        with self._lock:
            self._decided.add(cell.id)
            so_far = self._matrix.so_far[cell.id]
            so_far.outcome, so_far.short = outcome.outcome, one_line(outcome.short)

    def render(self) -> RenderableType:
        """The display as it is now."""
        with self._lock:
            table = Table.grid(padding=(0, 2))
            for name, text in self._environments.items():
                table.add_row(
                    Text("building", style="cyan"),
                    Text(name),
                    Text(text, style="dim", overflow="ellipsis", no_wrap=True),
                )
            for running in self._running.values():
                running.look()
                trial = running.trial
                elapsed = duration(time.monotonic() - running.begun)
                where = f"on {worker}  " if (worker := self._workers.get(trial.key)) else ""
                words = f"seed {trial.seed}  {where}{running.words()}  {elapsed}"
                table.add_row(Text("running", style="green"), Text(self._name(trial.setting.cell)), Text(words))
            size = self._console.size
            left = size.height - len(self._environments) - len(self._running) - _OTHER_LINES
            matrix = self._matrix.drawn(symbols_for(self._console), size.width, left)
            between: list[RenderableType] = [Text(), table] if table.row_count else []
            return Group(matrix, *between, Text(self._summary(), style="bold"))

    def _summary(self) -> str:
        if not self._cells:
            return f"starting  {duration(time.monotonic() - self._begun)}"
        elapsed = duration(time.monotonic() - self._begun)
        decided = f"{len(self._decided)} of {counted(len(self._cells), 'cell')} decided"
        text = f"{decided}, {counted(self._trials, 'trial')}, {elapsed}"
        if self._workers:
            text += f", on {counted(len(set(self._workers.values())), 'worker')}"
        to_go = self._to_go()
        return f"{text}, at least {duration(to_go)} to go" if to_go else text

    def _to_go(self) -> float | None:
        open_cells = [cell for cell in self._cells if cell.id not in self._decided]
        expected = [self._times.expected(cell) for cell in open_cells]
        known = [seconds for seconds in expected if seconds is not None]
        return sum(known) / max(1, len(self._running)) if known else None

    def _name(self, cell: Cell) -> str:
        """The cell by what tells it from the others."""
        name = distinct_name(cell.id.values, [one.id.values for one in self._cells])
        return name if len(name) <= _LONGEST_NAME else cell.id.brief


def _verdict_line(record: Record, verdict: Verdict) -> str:
    """A trial's verdict with the figure or the exception behind it."""
    if record.exception and not verdict.n:
        text = f"{record.exception.type}: {message_told(record.exception.message)}".partition("\n")[0]
        return f"{verdict.label} ({text[:_LONGEST_EXCEPTION]})"
    if record.message:
        return f"{verdict.label} ({record.message.partition(chr(10))[0][:_LONGEST_EXCEPTION]})"
    if verdict.end is not None:
        return f"{verdict.label} ({verdict.metric} {verdict.end:.3g})"
    return str(verdict.label)


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

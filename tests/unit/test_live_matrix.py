"""The live display: the matrix as it fills up, provisional until a cell is decided, within its lines and columns."""

from __future__ import annotations

import io
import time

from outcomes_records import LEARNS, record
from rich.console import Console

from runner.cli.progress import LiveMatrix, LiveProgress
from runner.matrix.cell_id import CellId
from runner.matrix.model import Cell
from runner.outcomes.judging import verdict_of
from runner.outcomes.outcome import Outcome
from runner.outcomes.verdict import Label
from runner.reports.notation import SYMBOLS

CELLS = [CellId.of({"six": six, "script": script}) for six in ("1.15.0", "1.16.0") for script in ("a.py", "b.py")]


def drawn(matrix: LiveMatrix, width: int = 80, height: int = 20) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(matrix.drawn(SYMBOLS, width, height))
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def filled() -> LiveMatrix:
    matrix = LiveMatrix(CELLS)
    decided, looked_at, running, _ = (matrix.so_far[cell] for cell in CELLS)
    decided.outcome, decided.short = Outcome.parse("fails (nan)"), "nan"
    looked_at.labels = [Label.CONVERGED, Label.CONVERGED, Label.NAN]
    looked_at.running = running.running = 1
    return matrix


def test_every_cell_has_a_mark_and_what_may_change_has_a_question_mark() -> None:
    assert drawn(filled()) == [
        "script by six 1.15.0 1.16.0",
        "a.py ✗ nan running…",
        "b.py converged? 2/3… .",
    ]


def test_the_time_to_go_of_a_large_matrix_is_told_at_once() -> None:
    progress = LiveProgress(Console(file=io.StringIO()))
    cells = [Cell(id=CellId.of({"six": str(n)}), pins=(), script="a.py") for n in range(20_000)]
    progress.planned(cells, ())
    ended = record(*LEARNS, duration_s=2.0)
    for cell in cells[:5000]:
        progress.trial_finished(cell, ended, verdict_of(ended))
    begun = time.process_time()
    assert "11 h 6 min to go" in progress._summary()  # 20,000 times 2 s, in turn
    assert time.process_time() - begun < 0.5


def test_where_it_does_not_fit_the_marks_are_counted() -> None:
    for width, height in ((20, 20), (80, 2)):
        assert "✗ nan: 1" in " ".join(drawn(filled(), width, height))


def test_a_matrix_of_one_cell_is_its_mark() -> None:
    assert drawn(LiveMatrix(CELLS[:1])) == [".: 1"]

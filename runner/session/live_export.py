"""An observer that also hands each trial on as it is stored, on a thread of its own: a run never waits for it.

What goes wrong there is told once, and nothing more is handed on; the trials are in the store.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from runner.errors import RunnerError
from runner.plurals import counted
from runner.session.finished_trials import FinishedTrial, exporting_alone, finished_trials, read_trials
from runner.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runner.engines.protocol import JobFolder
    from runner.exports.exported_trial import ExportedTrial
    from runner.matrix.model import Cell
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.verdict import Verdict
    from runner.session.results import Results
    from runner.trials.record import Record
    from runner.trials.trial import Trial

    Send = Callable[[ExportedTrial], bool]


class LiveExport:
    """Tells another observer everything, and sends each finished trial."""

    def __init__(self, session: Session, opened: Callable[[], Send]) -> None:
        """Begin; `opened` opens the target, on the thread that sends, and gives what sends a trial."""
        self._session, self._opened = session, opened
        self._told = session.observer
        self._waiting: queue.SimpleQueue[FinishedTrial | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        """Set when nothing more is to be sent."""
        self._trouble, self._has_told = "", False
        self._sent: set[str] = set()
        """The keys of the trials that were handed on."""
        self._metrics = session.matrix.experiment.metrics
        self._thread = threading.Thread(target=self._work, name="export", daemon=True)
        self._thread.start()

    def note(self, text: str) -> None:
        """Pass it on."""
        self._told.note(text)

    def environment(self, name: str, text: str) -> None:
        """Pass it on."""
        self._told.environment(name, text)

    def trial_placed(self, trial: Trial, worker: str) -> None:
        """Pass it on."""
        self._told.trial_placed(trial, worker)

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        """Pass it on."""
        self._told.trial_started(trial, folder)

    def planned(self, cells: Sequence[Cell], known: Sequence[JudgedCell]) -> None:
        """Pass it on."""
        self._told.planned(cells, known)

    def cell_finished(self, cell: Cell, outcome: JudgedCell) -> None:
        """Pass it on."""
        self._told.cell_finished(cell, outcome)

    def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
        """Pass it on, and have it sent."""
        self._told.trial_finished(cell, record, verdict)
        if record.ran:
            self._send(FinishedTrial.of(cell.id, record, verdict))
        self._tell_trouble()

    def finish(self, results: Results | None) -> None:
        """Send what is still waiting, and what every trial came to when all cells were held against each other."""
        for one in finished_trials(results.judged.cells) if results else ():
            if one.key in self._sent:
                self._send(one)
        self._waiting.put(None)
        self._thread.join()
        self._tell_trouble()
        if not self._trouble:
            self._told.note(f"Sent: {counted(len(self._sent), 'trial')} of this run.")

    def stop(self) -> None:
        """Send nothing more."""
        self._ended.set()
        self._waiting.put(None)

    def _send(self, trial: FinishedTrial) -> None:
        if not self._ended.is_set():
            self._sent.add(trial.key)
            self._waiting.put(trial)

    def _tell_trouble(self) -> None:
        """Tell what went wrong, once, on the thread that may."""
        if self._trouble and not self._has_told:
            self._has_told = True
            self._told.note(self._trouble)

    def _fail(self, trouble: str) -> None:
        if not self._ended.is_set():
            self._trouble = trouble
        self._ended.set()

    def _work(self) -> None:
        """Send until the end, or until it can't be done."""
        try:
            send = self._opened()
            for trial in read_trials(self._session.laboratory, self._taken(), self._metrics):
                send(trial)
        except RunnerError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is: it must cost no trial
            self._fail(f"The export failed ({type(error).__name__}: {error}). What is stored can be exported later.")

    def _taken(self) -> Iterator[FinishedTrial]:
        while (trial := self._waiting.get()) is not None and not self._ended.is_set():
            yield trial


def run_sending(session: Session, opened: Callable[[], Send]) -> Results:
    """Run a matrix, and send each trial as it is stored; the results.

    Raises what the run raises, and UsageError where an export of this folder is at work. What was finished before it
    began is not sent.
    """
    with exporting_alone(session.laboratory):
        live = LiveExport(session, opened)
        try:
            results = Session(session.matrix, session.laboratory, session.options, live).run()
        except RunnerError:
            live.finish(None)
            raise
        except BaseException:
            live.stop()
            raise
        live.finish(results)
        return results

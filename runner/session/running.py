"""One run of a matrix: environments are made, trials run, verdicts ask for more, until every cell is decided."""

from __future__ import annotations

import os
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from runner.environments.model import Lock
from runner.errors import BuildFailedError, ExpectationFailed, StoppedError
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.verdict import Label
from runner.session.environments import ENVIRONMENTS_AT_ONCE
from runner.session.progress import Work
from runner.session.pruning import Pruning
from runner.session.recall import ledger_of, progress_of
from runner.session.results import Results, is_as_expected, results_of
from runner.trials.execution import blocked_record, execute
from runner.trials.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.session.group import Group
    from runner.session.ledger import Round
    from runner.session.progress import Progress
    from runner.session.session import Session
    from runner.trials.record import Record


class StoppedEarly(ExpectationFailed):
    """`--fail-fast` ended the run at the first cell that was not as it should be."""


class Run:
    """The state of one run; made for one call of `go`."""

    def __init__(self, session: Session) -> None:
        """Read what is stored; nothing starts yet."""
        self._session = session
        self._matrix = session.matrix
        self._observer = session.observer
        self._read_scripts()
        self._ledger = ledger_of(session)
        self._groups = {cell.name: group for group in session.groups for cell in group.cells}
        self._round: dict[str, Round] = {}
        """What each environment runs in this round, by its name."""
        self._own = True
        """Whether cells get what their own trials ask for, not yet what comparing them asks for."""
        self._unmade: set[str] = set()
        """The environments that could not be made again for a later round."""
        self._pruning: Pruning | None = None
        self._executed = 0
        self._slots: queue.SimpleQueue[tuple[int, ...]] = queue.SimpleQueue()

    def go(self) -> Results:
        """Run to the end. On Ctrl-C and on any failure every job is stopped before the exception goes on."""
        session = self._session
        known = self._ledger.selected
        for progress in known:
            if not progress.wanted:
                self._stop_if_asked(progress)
        session.observer.planned(session.cells, stored=sum(progress.ran for progress in known))
        while todo := self._todo():
            if not self._own:
                more = sum(number for wanted in self._round.values() for _, number in wanted)
                self._observer.note(f"Comparing cells takes {more} more trials.")
            session.environments.check_versions(group.environment for group in todo)
            self._work(todo)
        return results_of(self._matrix, session.cells, self._ledger, session.store, executed=self._executed)

    def _read_scripts(self) -> None:
        """Read every script before anything is made, and tell what an import flavour had to leave alone."""
        scripts = {(cell.script, cell.import_flavour): cell for cell in self._session.cells}
        for (_, flavour), cell in scripts.items():
            for use in self._session.settings.script(cell).left_alone:
                self._observer.note(f"import={flavour} leaves alone {use}")

    def _todo(self) -> list[Group]:
        """The environments in which trials are wanted now; what of each is kept for them."""
        self._own = self._ledger.undecided
        self._round = {}
        for progress, number in self._ledger.wanted():
            name = self._groups[progress.cell.name].environment.name
            self._round.setdefault(name, []).append((progress, number))
        names = self._round.keys() - self._unmade
        return [group for group in self._session.groups if group.environment.name in names]

    def _work(self, todo: Sequence[Group]) -> None:
        if self._session.options.prune_images:
            self._pruning = Pruning(todo, engine=self._session.engine, stopping=self._session.stopping)
        slots = slots_of(self._matrix.resources.cpus, self._session.options.jobs)
        for slot in slots:
            self._slots.put(slot)
        with (
            ThreadPoolExecutor(ENVIRONMENTS_AT_ONCE, "environments") as builder,
            ThreadPoolExecutor(len(slots), "trials") as executor,
        ):
            schedule = Schedule["Group", Work, "Record"](
                prepare=self._prepare,
                execute=self._execute,
                next_work=self._next_work,
                builder=builder,
                executor=executor,
            )
            try:
                schedule.run(todo)
            except BaseException:
                self._session.stop()
                raise

    def _prepare(self, group: Group) -> list[Work]:
        """Make a group's environment; its first trials, or none where there can be none."""
        session = self._session
        if self._pruning:
            self._pruning.begin()
        try:
            lock = session.environments.lock(group.environment)
            if not isinstance(lock, Lock):
                return self._block(group, "install", lock.reason, unresolvable=True)
            wanted = self._round[group.environment.name]
            image = session.environments.image(lock, again=any(_begins_copy(progress) for progress, _ in wanted))
        except BuildFailedError as error:
            return self._block(group, error.stage, str(error))
        if self._own:  # now that the environment is made, trials may turn out to be stored
            self._ledger.renew(progress_of(session, group))
            wanted = [(progress, progress.wanted) for progress in map(self._ledger.of, group.cells)]
        works = [work for progress, number in wanted for work in progress.begin(number, image)]
        if self._pruning:
            self._pruning.hold(group, image, {work.trial.setting.cell.name for work in works})
        return works

    def _block(self, group: Group, stage: str, message: str, *, unresolvable: bool = False) -> list[Work]:
        environments, engine = self._session.environments, self._session.engine
        if not self._own:  # it was made once: what its cells came to stays, and nothing is added
            self._unmade.add(group.environment.name)
            self._observer.note(
                f"{group.environment.name} can't be made again, its cells get no more trials: {message}"
            )
            return self._end_of(group)
        lock = environments.locked(group.environment)
        for cell in group.cells:
            progress = self._ledger.of(cell)
            record = blocked_record(
                dict(cell.values),
                key=environments.blocked_key(group.environment, cell),
                engine=self._session.engine.kind.value,
                stage=stage,
                unresolvable=unresolvable,
                lock=group.environment.name,
                message=message,
            )
            if lock is None or engine.known_identity(
                lock.python
            ):  # a CPython that is missing now may be there next time
                self._session.store.put(record)
            verdict = progress.take(record, 0)
            self._observer.trial_finished(cell, record, verdict)
            self._decide(progress)
        return self._end_of(group)

    def _end_of(self, group: Group) -> list[Work]:
        """No trials of a group: its place is free for another."""
        if self._pruning:
            self._pruning.end(group, None)
        return []

    def _execute(self, work: Work) -> Record:
        if self._session.stopping.is_set():
            raise StoppedError
        cpus = self._slots.get()
        try:
            self._observer.trial_started(work.trial, self._session.workplace.job(work.trial))
            record = execute(
                work.trial, image=work.image, engine=self._session.engine, workplace=self._session.workplace, cpus=cpus
            )
            self._session.store.put(record)
        finally:
            self._slots.put(cpus)
        return record

    def _next_work(self, work: Work, record: Record) -> list[Work]:
        """Take a finished trial; the trials that its verdict asks for. Called on one thread only."""
        progress = work.progress
        progress.under_way -= 1
        self._executed += 1
        verdict = progress.take(record, work.trial.seed)
        self._observer.trial_finished(progress.cell, record, verdict)
        more = progress.begin(progress.wanted, work.image) if self._own else []
        if not progress.under_way:
            self._decide(progress)
        return more

    def _decide(self, progress: Progress) -> None:
        if self._pruning:
            self._pruning.decided(self._groups[progress.cell.name], progress.cell.name)
        if not progress.is_copy:
            outcome = judge_cell(progress.cell.id, progress.finished, self._matrix.seeds)
            self._observer.cell_finished(progress.cell, outcome)
            self._stop_if_asked(progress)

    def _stop_if_asked(self, progress: Progress) -> None:
        outcome = judge_cell(progress.cell.id, progress.finished, self._matrix.seeds)
        provisional = any(label is Label.SETTLED for label, _ in outcome.labels)  # a baseline will have the last word
        as_expected = provisional or is_as_expected(self._matrix, progress.cell, outcome)
        if self._session.options.fail_fast and not as_expected:
            raise StoppedEarly(
                f"Stopped at the first cell that is not as it should be: {progress.cell.name} {outcome.outcome}."
            )


def _begins_copy(progress: Progress) -> bool:
    """Whether this is the baseline a second time, and none of its trials has run: they get an image of their own."""
    return progress.is_copy and not progress.trials


def slots_of(cpus: int, jobs: int | None) -> list[tuple[int, ...]]:
    """The processors of each slot: as many slots as fit, or `jobs`; more than fit share processors."""
    available = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    )
    cpus = min(cpus, len(available))
    number = jobs or max(1, len(available) // cpus)
    return [
        tuple(available[(slot * cpus + offset) % len(available)] for offset in range(cpus)) for slot in range(number)
    ]

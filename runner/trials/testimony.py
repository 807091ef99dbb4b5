"""What the processes of a trial told, event by event, put together to the parts of a record.

They may tell anything: what does not fit what was told before, or is too much, is not taken.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Final

from runner.trials import events
from runner.trials.epoch_series import EpochSeries
from runner.trials.process_testimony import OF_EVENT, UNSEEN, ProcessTestimony, TellingRoom
from runner.trials.record import (
    ChildProcess,
    Epoch,
    Evaluation,
    Package,
    Phase,
    PreludeRun,
    ScriptException,
    process_of,
)

if TYPE_CHECKING:
    from runner.trials.record import Stage

EVALUATIONS: Final = 500
"""So many of the first results are kept, and so many of the last."""
CHILDREN: Final = 1000


_FAILED_CHILD = {
    "subprocess.CalledProcessError",
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError",
    "torch.multiprocessing.spawn.ProcessRaisedException",
    "torch.multiprocessing.spawn.ProcessExitedException",
}
"""The exceptions that say no more than that another process failed."""


_NEEDED = (events.Start, events.StageChange, events.Uncaught, events.Exit, events.Seeding)
"""What the trial's first process tells once, or of which the last counts."""
_BOUNDED_OTHERWISE = (
    events.EpochEnd,
    events.StepLosses,
    events.Loop,
    events.PhaseBegin,
    events.PhaseEnd,
    events.Evaluated,
)


class Testimony:
    """The sum of the events of a channel, of the trial's first process and of those that the script started."""

    def __init__(self) -> None:
        self._room = TellingRoom()
        self.first = ProcessTestimony(self._room)
        self._children: dict[int, ProcessTestimony] = {}
        self._phase_order: dict[str, int] = {}
        self._evaluation_counts = {"evaluate": 0, "score": 0}
        self._first_evaluations: list[Evaluation] = []
        self._last_evaluations: deque[Evaluation] = deque(maxlen=EVALUATIONS)

    def take(self, event: events.Event, length: int = 0) -> bool:
        """Add an event; True where it fits those before it (one start, one beginning of a phase, no flood).

        `length` is that of its line: what all processes tell together is bounded.
        """
        of_first = event.process is None and isinstance(event, _NEEDED)
        if not of_first and not isinstance(event, _BOUNDED_OTHERWISE) and not self._room.has_text(length):
            return False
        if event.process is not None and isinstance(event, events.Start):
            if event.process in self._children or len(self._children) >= CHILDREN:
                return False
            self._children[event.process] = ProcessTestimony(self._room, self._name(event))
        process = self.first if event.process is None else self._children.get(event.process)
        if process is None:
            return False
        if isinstance(event, events.Evaluated):
            self._take_evaluation(event, process)
            return True
        taken = process.take(event)
        if taken and isinstance(event, events.PhaseBegin):
            self._phase_order[process.named(event.name)] = len(self._phase_order)
        return taken

    def _name(self, event: events.Start) -> str:
        """What a process that joins is called; those that have a rank join in any order."""
        if event.rank is None:
            return f"child-{len(self._children) + 1}"
        before = sum(one.rank == event.rank for one in self._children.values())
        return f"rank-{event.rank}-{before + 1}" if before else f"rank-{event.rank}"

    def _take_evaluation(self, event: events.Evaluated, process: ProcessTestimony) -> None:
        self._evaluation_counts[event.kind] += 1
        fields = event.model_dump(exclude={*OF_EVENT, "phase"})
        fields["logs"] = self._room.results.known(event.logs)
        phase = process.named(event.phase) if event.phase else ""
        found = Evaluation(number=self._evaluation_counts[event.kind], process=process.name, phase=phase, **fields)
        if len(self._first_evaluations) < EVALUATIONS:
            self._first_evaluations.append(found)
        else:
            self._last_evaluations.append(found)

    def place(self, *, has_metrics: bool) -> tuple[Stage, str]:
        """Stage and phase that the script was in when it ended; `has_metrics`: it reported metrics by itself."""
        exception = self.exception(has_metrics=has_metrics)
        if exception is not None:
            return exception.stage, exception.phase
        stage, phase = self.first.place()
        return self._lifted(stage, has_metrics), phase

    def exception(self, *, has_metrics: bool) -> ScriptException | None:
        """The exception that nothing caught; of one that says that a process failed, what that process raised."""
        own = self.first.exception()
        if own is None:
            return None
        cause = self._raised_first() if own.type in _FAILED_CHILD else None
        if cause is None:
            return own.model_copy(update={"stage": self._lifted(own.stage, has_metrics)})
        return cause.model_copy(update={"traceback": f"{own.traceback}\n{cause.traceback}"})

    def _raised_first(self) -> ScriptException | None:
        """What the process raised that failed last; of those that trained together, the one that failed first."""
        failed = [(child, error) for child in self._children.values() if (error := child.exception()) is not None]
        failed = [(child, error) for child, error in failed if error.type not in _FAILED_CHILD]
        if not failed:
            return None
        if failed[-1][0].rank is not None:
            return min((one for one in failed if one[0].rank is not None), key=lambda one: one[0].raised_at)[1]
        return failed[-1][1]

    def _lifted(self, stage: Stage, has_metrics: bool) -> Stage:
        """The stage, which is `training` at least with the first metric or with a child that trains."""
        if stage not in ("import", "build-model"):
            return stage
        trained = [child.place()[0] for child in self._children.values() if child.phases()]
        if trained:
            return "training" if "training" in trained else "after-training"
        return "training" if has_metrics else stage

    def children(self) -> tuple[ChildProcess, ...]:
        """The processes that the script started, in the order in which they joined."""
        return tuple(
            ChildProcess(
                name=one.name,
                pid=pid,
                rank=one.rank,
                began_s=round(one.began_at - self.first.began_at, 3),
                command=one.command,
                exception=one.exception(),
            )
            for pid, one in self._children.items()
        )

    def phases(self) -> tuple[Phase, ...]:
        """The fits and loops of all processes, in the order in which they began."""
        found = chain.from_iterable(process.phases() for process in self._all())
        return tuple(sorted(found, key=lambda phase: self._phase_order[phase.name]))

    def epochs(self) -> tuple[Epoch, ...]:
        """The epochs of fits and the blocks of equally many steps that stand for epochs in loops."""
        return self._series().epochs()

    def thinned(self) -> str:
        """What of the epochs was left out, and by which rule; empty where nothing was."""
        return ". ".join(filter(None, (self._series().rule(), self._room.results.rule())))

    def _series(self) -> EpochSeries:
        """All epochs, process by process, those of fits before the blocks of its loops."""
        by_process: dict[str, list[Epoch]] = {}
        for epoch in self._room.series.epochs():
            by_process.setdefault(process_of(epoch.phase), []).append(epoch)
        series = EpochSeries(before=self._room.series)
        for process in self._all():
            told = by_process.pop(process.name, [])
            for epoch in chain(told, process.loop_epochs({epoch.phase for epoch in told})):
                series.add(epoch)
        for epoch in chain.from_iterable(by_process.values()):  # a phase may have any name
            series.add(epoch)
        return series

    def steps(self) -> dict[str, tuple[float, ...]]:
        """The losses of single steps by phase, where they were asked for."""
        return {phase: losses for process in self._all() for phase, losses in process.steps().items()}

    def evaluations(self) -> tuple[Evaluation, ...]:
        """The results that were asked for, in the order of the calls."""
        return (*self._first_evaluations, *self._last_evaluations)

    def packages(self) -> dict[str, Package]:
        """The packages that were imported; where processes differ, those of the trial's first one."""
        return {name: package for process in reversed(self._all()) for name, package in process.packages.items()}

    def configs(self) -> dict[str, str]:
        """JSON text by `PHASE/model`, `PHASE/optimizer` and `PHASE/loss`."""
        return {process.named(key): text for process in self._all() for key, text in process.configs.items()}

    def preludes(self) -> dict[str, PreludeRun]:
        """What became of each prelude: made where it was made in a process, failed where it failed in one."""
        found: dict[str, PreludeRun] = {}
        for run in chain.from_iterable(process.preludes.values() for process in self._all()):
            before = found.get(run.name, run)
            found[run.name] = PreludeRun(
                name=run.name,
                applied=before.applied or run.applied,
                note=before.note or run.note,
                error=before.error or run.error,
            )
        return found

    def unseen(self) -> tuple[tuple[str, ...], ...]:
        """The command lines of processes that could not be seen; the first ones only."""
        return tuple(chain.from_iterable(process.unseen for process in self._all()))[:UNSEEN]

    def probe_errors(self) -> tuple[str, ...]:
        """The failures inside of the probe."""
        return tuple(chain.from_iterable(process.probe_errors for process in self._all()))

    def _all(self) -> list[ProcessTestimony]:
        return [self.first, *self._children.values()]

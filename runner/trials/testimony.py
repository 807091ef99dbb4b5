"""What the processes of a trial told, event by event, put together to the parts of a record.

They may tell anything: what does not fit what was told before, or is too much, is not taken.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Final

from runner.trials import events
from runner.trials.record import (
    ChildProcess,
    Epoch,
    Evaluation,
    Package,
    Phase,
    PreludeRun,
    ScriptException,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.trials.record import Stage

EPOCHS: Final = 100_000
PHASES: Final = 20_000
STEPS: Final = 2_000_000
EVALUATIONS: Final = 500
"""So many of the first results are kept, and so many of the last."""
CHILDREN: Final = 1000
CONFIGS: Final = 300
WARNINGS: Final = 10
"""So many of a training are kept."""
PROBE_ERRORS: Final = 20
UNSEEN: Final = 20
PRELUDES: Final = 100


_OF_EVENT = {"event", "t", "process"}
_FAILED_CHILD = {
    "subprocess.CalledProcessError",
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError",
    "torch.multiprocessing.spawn.ProcessRaisedException",
    "torch.multiprocessing.spawn.ProcessExitedException",
}
"""The exceptions that say no more than that another process failed."""


class Testimony:
    """The sum of the events of a channel, of the trial's first process and of those that the script started."""

    def __init__(self) -> None:
        self.first = ProcessTestimony()
        self._children: dict[int, ProcessTestimony] = {}
        self._phase_order: dict[str, int] = {}
        self._evaluation_counts = {"evaluate": 0, "score": 0}
        self._first_evaluations: list[Evaluation] = []
        self._last_evaluations: deque[Evaluation] = deque(maxlen=EVALUATIONS)

    def take(self, event: events.Event) -> bool:
        """Add an event; True where it fits those before it (one start, one beginning of a phase, no flood)."""
        if event.process is not None and isinstance(event, events.Start):
            if event.process in self._children or len(self._children) >= CHILDREN:
                return False
            self._children[event.process] = ProcessTestimony(self._name(event))
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
        fields = event.model_dump(exclude={*_OF_EVENT, "phase"})
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
        return tuple(chain.from_iterable(process.epochs() for process in self._all()))

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


class ProcessTestimony:
    """The sum of the events of one process; `name` is empty for the one that the trial began with."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.exit: str | None = None
        self.seeding: str | None = None
        self.preludes: dict[str, PreludeRun] = {}
        self.packages: dict[str, Package] = {}
        self.configs: dict[str, str] = {}
        self.probe_errors: list[str] = []
        self.unseen: list[tuple[str, ...]] = []
        self._start: events.Start | None = None
        self._stage: events.StageChange | None = None
        self._exception: events.Uncaught | None = None
        self._epochs: list[Epoch] = []
        self._loops: dict[str, events.Loop] = {}
        self._steps: dict[str, list[float]] = {}
        self._step_count = 0
        self._phases: dict[str, events.PhaseBegin] = {}
        self._ends: dict[str, events.PhaseEnd] = {}
        self._warnings: dict[str, list[str]] = {}

    def take(self, event: events.Event) -> bool:  # noqa: C901, PLR0911, PLR0912 - one case an event
        """Add an event; True where it fits those before it (one start, one beginning of a phase, no flood)."""
        match event:
            case events.Start():
                if self._start is not None:
                    return False
                self._start = event
            case events.Seeding(mode=mode):
                self.seeding = mode
            case events.PreludeState(name=name):
                if len(self.preludes) >= PRELUDES and name not in self.preludes:
                    return False
                self.preludes[name] = _prelude(event, self.preludes.get(name))
            case events.StageChange():
                self._stage = event
            case events.PhaseBegin(name=name):
                if name in self._phases or len(self._phases) >= PHASES:
                    return False
                self._phases[name] = event
            case events.PhaseEnd(name=name):
                if name not in self._phases:
                    return False
                self._ends[name] = event
            case events.EpochEnd():
                if len(self._epochs) >= EPOCHS:
                    return False
                self._epochs.append(self._epoch(event))
            case events.StepLosses():
                return self._take_losses(event)
            case events.Loop(phase=phase):
                if phase not in self._phases:
                    return False
                self._loops[phase] = event
            case events.Evaluated():
                return False
            case events.Config(phase=phase, what=what, config=config):
                if len(self.configs) >= CONFIGS:
                    return False
                self.configs[f"{phase}/{what}"] = config
            case events.NotConverged():
                return self._take_warning(event)
            case events.Uncaught():
                self._exception = event
            case events.Packages(packages=packages):
                self.packages = {name: Package(version=p.version, file=p.file) for name, p in packages.items()}
            case events.Exit(kind=kind):
                self.exit = kind
            case events.UnseenStart(argv=argv):
                if len(self.unseen) >= UNSEEN:
                    return False
                self.unseen.append(tuple(argv))
            case events.ProbeError(place=place, message=message):
                if len(self.probe_errors) >= PROBE_ERRORS:
                    return False
                self.probe_errors.append(f"{place}: {message}")
        return True

    def _take_warning(self, event: events.NotConverged) -> bool:
        told = self._warnings.setdefault(event.phase, []) if event.phase in self._phases else None
        if told is None or len(told) >= WARNINGS:
            return False
        told.append(event.message)
        return True

    def _take_losses(self, event: events.StepLosses) -> bool:
        self._step_count += len(event.losses)
        if self._step_count > STEPS:
            return False
        self._steps.setdefault(event.phase, []).extend(event.losses)
        return True

    @property
    def started(self) -> bool:
        """True where the probe said that it is there."""
        return self._start is not None

    @property
    def python(self) -> str | None:
        """The interpreter's exact release."""
        return None if self._start is None else self._start.python

    @property
    def probe(self) -> str | None:
        """The version of the probe."""
        return None if self._start is None else self._start.probe

    @property
    def rank(self) -> int | None:
        """Its number among those that train together."""
        return None if self._start is None else self._start.rank

    @property
    def began_at(self) -> float:
        """The start of the process, in seconds since 1970 by the trial's clock."""
        return 0.0 if self._start is None else self._start.time

    @property
    def raised_at(self) -> float:
        """The moment of the exception that nothing caught, by the same clock."""
        return self.began_at + (0.0 if self._exception is None else self._exception.t)

    @property
    def command(self) -> tuple[str, ...]:
        """The words that it was started with."""
        return () if self._start is None else tuple(self._start.argv)

    def named(self, phase: str) -> str:
        """The name of a fit or loop of this process among those of all."""
        return f"{self.name}:{phase}" if self.name else phase

    def place(self) -> tuple[Stage, str]:
        """Stage and phase that the process was in when it ended."""
        last = self._exception or self._stage
        return ("import", "") if last is None else (last.stage, self.named(last.phase) if last.phase else "")

    def exception(self) -> ScriptException | None:
        """The exception that nothing caught."""
        if self._exception is None:
            return None
        fields = self._exception.model_dump(exclude={*_OF_EVENT, "phase"})
        return ScriptException(**fields, phase=self.named(self._exception.phase) if self._exception.phase else "")

    def phases(self) -> tuple[Phase, ...]:
        """The fits and loops, in the order in which they began."""
        return tuple(self._phase(begin) for begin in self._phases.values())

    def epochs(self) -> tuple[Epoch, ...]:
        """The epochs of fits and loops, then the blocks of equally many steps that stand for them in other loops."""
        return (*self._epochs, *self._loop_epochs())

    def steps(self) -> dict[str, tuple[float, ...]]:
        """The losses of single steps by phase, where they were asked for."""
        return {self.named(phase): tuple(losses) for phase, losses in self._steps.items()}

    def _phase(self, begin: events.PhaseBegin) -> Phase:
        end, loop = self._ends.get(begin.name), self._loops.get(begin.name)
        return Phase(
            name=self.named(begin.name),
            model=begin.model,
            planned_epochs=begin.planned_epochs,
            steps=begin.steps if loop is None else loop.steps,
            initial_weights=begin.initial_weights,
            final_weights=None if end is None else end.final_weights,
            finished=end is not None and not end.error,
            raised=end is not None and end.error,
            model_number=begin.model_number,
            architecture=begin.architecture,
            began_s=begin.t,
            weight_norm=end.weight_norm if end is not None else None if loop is None else loop.weight_norm,
            ended_s=begin.t + loop.seconds if loop is not None else None if end is None else end.t,
            warnings=tuple(self._warnings.get(begin.name, ())),
        )

    def _epoch(self, event: events.EpochEnd) -> Epoch:
        return Epoch(phase=self.named(event.phase), **event.model_dump(exclude={*_OF_EVENT, "phase"}))

    def _loop_epochs(self) -> Iterator[Epoch]:
        told = {epoch.phase for epoch in self._epochs}
        for phase, loop in self._loops.items():
            if self.named(phase) in told:
                continue
            for number in range(max(map(len, loop.logs.values()), default=0)):
                logs = {name: values[number] for name, values in loop.logs.items() if number < len(values)}
                yield Epoch(phase=self.named(phase), epoch=number + 1, logs=logs)


def _prelude(event: events.PreludeState, before: PreludeRun | None) -> PreludeRun:
    """The state of a prelude after an event; a failure stays known, whatever it says later."""
    run = before or PreludeRun(name=event.name)
    if event.state == "failed":
        return run.model_copy(update={"error": event.note or "it failed"})
    return run.model_copy(update={"applied": True, "note": event.note or run.note})

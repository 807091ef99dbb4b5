"""What a trial's process told, event by event, put together to the parts of a record.

It may tell anything: what does not fit what it told before, or is too much, is not taken.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from runner.trials import events
from runner.trials.record import Epoch, Evaluation, Package, Phase, PreludeRun, ScriptException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.trials.record import Stage

EPOCHS: Final = 100_000
PHASES: Final = 20_000
STEPS: Final = 2_000_000
EVALUATIONS: Final = 500
"""So many of the first results are kept, and so many of the last."""
CONFIGS: Final = 300
PROBE_ERRORS: Final = 20
PRELUDES: Final = 100


class Testimony:
    """The sum of the events of one channel."""

    def __init__(self) -> None:
        self.exit: str | None = None
        self.seeding: str | None = None
        self.preludes: dict[str, PreludeRun] = {}
        self.packages: dict[str, Package] = {}
        self.configs: dict[str, str] = {}
        self.probe_errors: list[str] = []
        self._start: events.Start | None = None
        self._stage: events.StageChange | None = None
        self._exception: events.Uncaught | None = None
        self._epochs: list[Epoch] = []
        self._loops: dict[str, events.Loop] = {}
        self._steps: dict[str, list[float]] = {}
        self._step_count = 0
        self._phases: dict[str, events.PhaseBegin] = {}
        self._ends: dict[str, events.PhaseEnd] = {}
        self._evaluation_counts = {"evaluate": 0, "score": 0}
        self._first_evaluations: list[Evaluation] = []
        self._last_evaluations: deque[Evaluation] = deque(maxlen=EVALUATIONS)

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
                self._epochs.append(Epoch(**event.model_dump(exclude={"event", "t"})))
            case events.StepLosses():
                return self._take_losses(event)
            case events.Loop(phase=phase):
                if phase not in self._phases:
                    return False
                self._loops[phase] = event
            case events.Evaluated():
                self._take_evaluation(event)
            case events.Config(phase=phase, what=what, config=config):
                if len(self.configs) >= CONFIGS:
                    return False
                self.configs[f"{phase}/{what}"] = config
            case events.Uncaught():
                self._exception = event
            case events.Packages(packages=packages):
                self.packages = {name: Package(version=p.version, file=p.file) for name, p in packages.items()}
            case events.Exit(kind=kind):
                self.exit = kind
            case events.ProbeError(place=place, message=message):
                if len(self.probe_errors) >= PROBE_ERRORS:
                    return False
                self.probe_errors.append(f"{place}: {message}")
        return True

    def _take_losses(self, event: events.StepLosses) -> bool:
        self._step_count += len(event.losses)
        if self._step_count > STEPS:
            return False
        self._steps.setdefault(event.phase, []).extend(event.losses)
        return True

    def _take_evaluation(self, event: events.Evaluated) -> None:
        self._evaluation_counts[event.kind] += 1
        found = Evaluation(number=self._evaluation_counts[event.kind], **event.model_dump(exclude={"event", "t"}))
        if len(self._first_evaluations) < EVALUATIONS:
            self._first_evaluations.append(found)
        else:
            self._last_evaluations.append(found)

    @property
    def started(self) -> bool:
        """True where the probe said that it is there."""
        return self._start is not None

    @property
    def python(self) -> str | None:
        """The interpreter's exact release."""
        return None if self._start is None else self._start.python

    def place(self, *, has_metrics: bool) -> tuple[Stage, str]:
        """Stage and phase that the script was in when it ended; `has_metrics`: it reported metrics by itself."""
        last = self._exception or self._stage
        stage: Stage = "import" if last is None else last.stage
        return _lifted(stage, has_metrics), "" if last is None else last.phase

    def exception(self, *, has_metrics: bool) -> ScriptException | None:
        """The exception that nothing caught; `has_metrics`: the script reported metrics by itself."""
        if self._exception is None:
            return None
        fields = self._exception.model_dump(exclude={"event", "t", "stage"})
        return ScriptException(**fields, stage=_lifted(self._exception.stage, has_metrics))

    def phases(self) -> tuple[Phase, ...]:
        """The fits and loops, in the order in which they began."""
        return tuple(self._phase(begin) for begin in self._phases.values())

    def epochs(self) -> tuple[Epoch, ...]:
        """The epochs of fits, then the blocks of equally many steps that stand for epochs in loops."""
        return (*self._epochs, *self._loop_epochs())

    def steps(self) -> dict[str, tuple[float, ...]]:
        """The losses of single steps by phase, where they were asked for."""
        return {phase: tuple(losses) for phase, losses in self._steps.items()}

    def evaluations(self) -> tuple[Evaluation, ...]:
        """The results that were asked for, in the order of the calls."""
        return (*self._first_evaluations, *self._last_evaluations)

    def _phase(self, begin: events.PhaseBegin) -> Phase:
        end, loop = self._ends.get(begin.name), self._loops.get(begin.name)
        return Phase(
            name=begin.name,
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
            ended_s=begin.t + loop.seconds if loop is not None else None if end is None else end.t,
        )

    def _loop_epochs(self) -> Iterator[Epoch]:
        for phase, loop in self._loops.items():
            for number in range(max(map(len, loop.logs.values()), default=0)):
                logs = {name: values[number] for name, values in loop.logs.items() if number < len(values)}
                yield Epoch(phase=phase, epoch=number + 1, logs=logs)


def _lifted(stage: Stage, has_metrics: bool) -> Stage:
    """`training` begins with the first metric at the latest, and the probe does not see those of the script."""
    return "training" if has_metrics and stage in ("import", "build-model") else stage


def _prelude(event: events.PreludeState, before: PreludeRun | None) -> PreludeRun:
    """The state of a prelude after an event; a failure stays known, whatever it says later."""
    run = before or PreludeRun(name=event.name)
    if event.state == "failed":
        return run.model_copy(update={"error": event.note or "it failed"})
    return run.model_copy(update={"applied": True, "note": event.note or run.note})

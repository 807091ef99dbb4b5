"""What one process of a trial told, event by event; what all of them may tell together is bounded by one room."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runner.trials import events
from runner.trials.epoch_series import EpochSeries
from runner.trials.record import Epoch, Package, Phase, PreludeRun, ScriptException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.trials.record import Stage

PHASES: Final = 20_000
STEPS: Final = 500_000
LOOP_VALUES: Final = 400_000
"""So many values stand for epochs in all loops together."""
PACKAGES: Final = 5000
TEXT: Final = 8 * 1024**2
"""So many characters of what is no number, of all processes together; what comes later is not taken."""
CONFIGS: Final = 300
WARNINGS: Final = 10
"""So many of a training are kept."""
PROBE_ERRORS: Final = 20
UNSEEN: Final = 20
PRELUDES: Final = 100
OF_EVENT = {"event", "t", "process"}


@dataclass(kw_only=True)
class TellingRoom:
    """What all processes of a trial may still tell together."""

    text: int = TEXT
    phases: int = PHASES
    packages: int = PACKAGES
    steps: int = STEPS
    loop_values: int = LOOP_VALUES
    series: EpochSeries = field(default_factory=EpochSeries)
    results: EpochSeries = field(default_factory=EpochSeries)
    """The names of what was evaluated; of many different ones the first are kept."""

    def has_text(self, length: int) -> bool:
        """Take so many characters; False where there are not as many left."""
        self.text -= length
        return self.text >= 0


class ProcessTestimony:
    """The sum of the events of one process; `name` is empty for the one that the trial began with."""

    def __init__(self, room: TellingRoom, name: str = "") -> None:
        self.name = name
        self._room = room
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
        self._loops: dict[str, events.Loop] = {}
        self._steps: dict[str, array[float]] = {}
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
                if name in self._phases or self._room.phases <= 0:
                    return False
                self._room.phases -= 1
                self._phases[name] = event
            case events.PhaseEnd(name=name):
                if name not in self._phases:
                    return False
                self._ends[name] = event
            case events.EpochEnd():
                self._room.series.add(self._epoch(event))
            case events.StepLosses():
                return self._take_losses(event)
            case events.Loop():
                return self._take_loop(event)
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
                self._room.packages += len(self.packages) - len(packages)
                if self._room.packages < 0:
                    return False
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
        self._room.steps -= len(event.losses)
        if self._room.steps < 0 or event.phase not in self._phases:
            return False
        self._steps.setdefault(event.phase, array("d")).extend(event.losses)
        return True

    def _take_loop(self, event: events.Loop) -> bool:
        if event.phase not in self._phases:
            return False
        before = self._loops.get(event.phase)
        grown = _values(event) - (0 if before is None else _values(before))
        if grown > self._room.loop_values:
            return False
        self._room.loop_values -= grown
        self._loops[event.phase] = event
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
        fields = self._exception.model_dump(exclude={*OF_EVENT, "phase"})
        return ScriptException(**fields, phase=self.named(self._exception.phase) if self._exception.phase else "")

    def phases(self) -> tuple[Phase, ...]:
        """The fits and loops, in the order in which they began."""
        return tuple(self._phase(begin) for begin in self._phases.values())

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
        return Epoch(phase=self.named(event.phase), **event.model_dump(exclude={*OF_EVENT, "phase"}))

    def loop_epochs(self, told: set[str]) -> Iterator[Epoch]:
        """The blocks of equally many steps that stand for epochs in the loops that told none."""
        for phase, loop in self._loops.items():
            if self.named(phase) in told:
                continue
            for number in range(max(map(len, loop.logs.values()), default=0)):
                logs = {name: values[number] for name, values in loop.logs.items() if number < len(values)}
                yield Epoch(phase=self.named(phase), epoch=number + 1, logs=logs)


def _values(loop: events.Loop) -> int:
    return sum(map(len, loop.logs.values()))


def _prelude(event: events.PreludeState, before: PreludeRun | None) -> PreludeRun:
    """The state of a prelude after an event; a failure stays known, whatever it says later."""
    run = before or PreludeRun(name=event.name)
    if event.state == "failed":
        return run.model_copy(update={"error": event.note or "it failed"})
    return run.model_copy(update={"applied": True, "note": event.note or run.note})

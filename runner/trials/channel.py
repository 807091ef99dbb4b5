"""A trial's own account of itself: the record channel of the probe and the file named in $RUNNER_METRICS.

Both files belong to the job, which may have put anything in them or in their place. `read_channel` takes their paths
and gives a `Channel`; `follow` gives what is new in a channel that is being written. Neither ever raises.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from runner.trials import events
from runner.trials.record import Epoch, Package, Phase, PreludeRun, ScriptException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.trials.record import Stage

SCRIPT_PHASE: Final = "script"
"""The phase of the epochs that come from $RUNNER_METRICS."""
LINES: Final = 500_000
EPOCHS: Final = 100_000
PHASES: Final = 20_000
STEPS: Final = 2_000_000
CONFIGS: Final = 300
PROBE_ERRORS: Final = 20
PRELUDES: Final = 100
FOLLOW_BYTES: Final = 4 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Channel:
    """All that a trial said of itself; what its engine saw wins where they differ."""

    stage: Stage = "import"
    phase: str = ""
    probe_started: bool = False
    python: str | None = None
    exception: ScriptException | None = None
    exit: str | None = None
    """`normal` or `exception` where the interpreter shut down in order; None after `os._exit`, a signal, an abort."""
    epochs: tuple[Epoch, ...] = ()
    steps: dict[str, tuple[float, ...]] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    packages: dict[str, Package] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)
    """JSON text by `PHASE/model`, `PHASE/optimizer` and `PHASE/loss`, each where it differs from those before."""
    seeding: str | None = None
    preludes: dict[str, PreludeRun] = field(default_factory=dict)
    bad_lines: int = 0
    probe_errors: tuple[str, ...] = ()


def read_channel(path: Path, metrics: Path | None, limit_bytes: int = 64 * 1024**2) -> Channel:
    """Read a finished trial's channel and metrics, at most `limit_bytes` of each."""
    found = _Collected()
    for line in _lines(path, limit_bytes):
        event = events.parse(line)
        if event is None or not found.take(event):
            found.bad_lines += 1
    if metrics is not None:
        found.script_epochs, bad = _script_epochs(metrics, limit_bytes)
        found.bad_lines += bad
    return found.channel()


def follow(path: Path, offset: int) -> tuple[tuple[dict[str, Any], ...], int]:
    """The events whose lines were completed since `offset` (0 at first), and the offset to go on from.

    Each is a dict as the schema has it, checked like those of `read_channel`.
    """
    file = _opened(path)
    if file is None:
        return (), offset
    with file:
        file.seek(offset)
        data = file.read(FOLLOW_BYTES)
    end = data.rfind(b"\n") + 1
    if not end:
        # No end of a line in all that: not the probe's doing, and nothing to wait for.
        return (), offset + len(data) if len(data) == FOLLOW_BYTES else offset
    parsed = (events.parse(line) for line in data[:end].split(b"\n") if len(line) <= events.LINE_BYTES)
    return tuple(event.model_dump() for event in parsed if event is not None), offset + end


def _opened(path: Path) -> IO[bytes] | None:
    """The file, where it is a plain one: not a link to somewhere else, and nothing that reading could wait for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _lines(path: Path, limit_bytes: int) -> Iterator[bytes]:
    """The file's lines, none longer than a line may be: what is longer comes as pieces, none of which is an event."""
    file = _opened(path)
    if file is None:
        return
    with file:
        left = limit_bytes
        for _ in range(LINES):
            line = file.readline(min(events.LINE_BYTES, left))
            if not line:
                return
            left -= len(line)
            yield line


def _script_epochs(path: Path, limit_bytes: int) -> tuple[tuple[Epoch, ...], int]:
    """The script's own metrics, a line or several an epoch, and how many lines were none.

    Lines that name the same `epoch` one after the other are one epoch; a line without one is an epoch of its own.
    Epochs are counted from 1 in the order of the lines, whatever the script counts from.
    """
    found: list[dict[str, float]] = []
    last: object = None
    bad = 0
    for line in _lines(path, limit_bytes):
        values = events.parse_metrics(line)
        numbers = {} if values is None else _numbers(values)
        if values is None or not numbers or len(found) >= EPOCHS:
            bad += 1
            continue
        epoch = values.get("epoch")
        if found and epoch is not None and epoch == last:
            found[-1].update(numbers)
        else:
            found.append(numbers)
        last = epoch
    epochs = (Epoch(phase=SCRIPT_PHASE, epoch=number, logs=logs) for number, logs in enumerate(found, 1))
    return tuple(epochs), bad


def _numbers(values: Mapping[str, object]) -> dict[str, float]:
    """The numbers of a line by name, at most 100; "nan", "inf" and "-inf" are numbers too."""
    numbers: dict[str, float] = {}
    for name, value in list(values.items())[:100]:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name == "epoch" or len(name) > 200 or not (is_number or value in ("nan", "inf", "-inf")):
            continue
        try:
            numbers[name] = float(value)  # type: ignore[arg-type]
        except OverflowError:
            continue
    return numbers


class _Collected:
    """The sum of the events of one channel."""

    def __init__(self) -> None:
        self.bad_lines = 0
        self.script_epochs: tuple[Epoch, ...] = ()
        self._start: events.Start | None = None
        self._stage: events.StageChange | None = None
        self._exception: events.Uncaught | None = None
        self._exit: str | None = None
        self._seeding: str | None = None
        self._preludes: dict[str, PreludeRun] = {}
        self._epochs: list[Epoch] = []
        self._loops: dict[str, events.Loop] = {}
        self._steps: dict[str, list[float]] = {}
        self._step_count = 0
        self._phases: dict[str, events.PhaseBegin] = {}
        self._ends: dict[str, events.PhaseEnd] = {}
        self._packages: dict[str, Package] = {}
        self._configs: dict[str, str] = {}
        self._probe_errors: list[str] = []

    def take(self, event: events.Event) -> bool:  # noqa: C901, PLR0911, PLR0912 - one case an event
        """Add an event; True where it fits those before it (one start, one beginning of a phase, no flood)."""
        match event:
            case events.Start():
                if self._start is not None:
                    return False
                self._start = event
            case events.Seeding(mode=mode):
                self._seeding = mode
            case events.PreludeState(name=name):
                if len(self._preludes) >= PRELUDES and name not in self._preludes:
                    return False
                self._preludes[name] = _prelude(event, self._preludes.get(name))
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
                self._epochs.append(_epoch(event))
            case events.StepLosses():
                return self._take_losses(event)
            case events.Loop(phase=phase):
                if phase not in self._phases:
                    return False
                self._loops[phase] = event
            case events.Config(phase=phase, what=what, config=config):
                if len(self._configs) >= CONFIGS:
                    return False
                self._configs[f"{phase}/{what}"] = config
            case events.Uncaught():
                self._exception = event
            case events.Packages(packages=packages):
                self._packages = {name: Package(version=p.version, file=p.file) for name, p in packages.items()}
            case events.Exit(kind=kind):
                self._exit = kind
            case events.ProbeError(place=place, message=message):
                if len(self._probe_errors) >= PROBE_ERRORS:
                    return False
                self._probe_errors.append(f"{place}: {message}")
        return True

    def _take_losses(self, event: events.StepLosses) -> bool:
        self._step_count += len(event.losses)
        if self._step_count > STEPS:
            return False
        self._steps.setdefault(event.phase, []).extend(event.losses)
        return True

    def channel(self) -> Channel:
        """All that was taken, as a value."""
        stage, phase = self._place()
        return Channel(
            stage=stage,
            phase=phase,
            probe_started=self._start is not None,
            python=None if self._start is None else self._start.python,
            exception=self._script_exception(),
            exit=self._exit,
            epochs=(*self._epochs, *self._loop_epochs(), *self.script_epochs),
            steps={phase: tuple(losses) for phase, losses in self._steps.items()},
            phases=tuple(self._phase(begin) for begin in self._phases.values()),
            packages=self._packages,
            configs=self._configs,
            seeding=self._seeding,
            preludes=self._preludes,
            bad_lines=self.bad_lines,
            probe_errors=tuple(self._probe_errors),
        )

    def _place(self) -> tuple[Stage, str]:
        """Stage and phase that the script was in when it ended."""
        last = self._exception or self._stage
        stage: Stage = "import" if last is None else last.stage
        return self._lifted(stage), "" if last is None else last.phase

    def _lifted(self, stage: Stage) -> Stage:
        """`training` begins with the first metric at the latest, and the probe does not see those of the script."""
        return "training" if self.script_epochs and stage in ("import", "build-model") else stage

    def _script_exception(self) -> ScriptException | None:
        if self._exception is None:
            return None
        fields = self._exception.model_dump(exclude={"event", "t", "stage"})
        return ScriptException(**fields, stage=self._lifted(self._exception.stage))

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
        )

    def _loop_epochs(self) -> Iterator[Epoch]:
        """A loop's blocks of equally many steps, in the place of epochs."""
        for phase, loop in self._loops.items():
            for number in range(max(map(len, loop.logs.values()), default=0)):
                logs = {name: values[number] for name, values in loop.logs.items() if number < len(values)}
                yield Epoch(phase=phase, epoch=number + 1, logs=logs)


def _epoch(event: events.EpochEnd) -> Epoch:
    return Epoch(**event.model_dump(exclude={"event", "t"}))


def _prelude(event: events.PreludeState, before: PreludeRun | None) -> PreludeRun:
    """The state of a prelude after an event; a failure stays known, whatever it says later."""
    run = before or PreludeRun(name=event.name)
    if event.state == "failed":
        return run.model_copy(update={"error": event.note or "it failed"})
    return run.model_copy(update={"applied": True, "note": event.note or run.note})

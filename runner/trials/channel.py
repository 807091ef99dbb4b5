"""A trial's own account of itself: the record channel of the probe and the file named in $RUNNER_METRICS.

Both files belong to the job, which may have put anything in them or in their place. `read_channel` takes their paths
and gives a `Channel`; `follow` gives what is new in a channel that is being written. Neither ever raises.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from runner.open_folder import open_plain
from runner.trials import events
from runner.trials.epoch_series import EpochSeries
from runner.trials.record import Epoch
from runner.trials.testimony import Testimony

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.trials.record import ChildProcess, Evaluation, Package, Phase, PreludeRun, ScriptException, Stage

SCRIPT_PHASE: Final = "script"
"""The phase of the epochs that come from $RUNNER_METRICS."""
LINES: Final = 500_000
FOLLOW_BYTES: Final = 512 * 1024


@dataclass(frozen=True, kw_only=True)
class Channel:
    """All that a trial said of itself; what its engine saw wins where they differ."""

    stage: Stage = "import"
    phase: str = ""
    probe_started: bool = False
    probe: str | None = None
    python: str | None = None
    exception: ScriptException | None = None
    exit: str | None = None
    """`normal` or `exception` where the interpreter shut down in order; None after `os._exit`, a signal, an abort."""
    epochs: tuple[Epoch, ...] = ()
    thinned: str = ""
    """What of the epochs is not here, and by which rule it was left out; empty where all are."""
    steps: dict[str, tuple[float, ...]] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    children: tuple[ChildProcess, ...] = ()
    unseen: tuple[tuple[str, ...], ...] = ()
    packages: dict[str, Package] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)
    """JSON text by `PHASE/model`, `PHASE/optimizer` and `PHASE/loss`, each where it differs from those before."""
    seeding: str | None = None
    preludes: dict[str, PreludeRun] = field(default_factory=dict)
    bad_lines: int = 0
    probe_errors: tuple[str, ...] = ()


def read_channel(path: Path, metrics: Path | None, limit_bytes: int = 64 * 1024**2) -> Channel:
    """Read a finished trial's channel and metrics, at most `limit_bytes` of each."""
    told, bad_lines = Testimony(), 0
    for line in _lines(path, limit_bytes):
        event = events.parse(line)
        if event is None or not told.take(event, len(line)):
            bad_lines += 1
    own = EpochSeries()
    if metrics is not None:
        bad_lines += _read_metrics(metrics, limit_bytes, own)
    script_epochs = own.epochs()
    stage, phase = told.place(has_metrics=bool(script_epochs))
    return Channel(
        stage=stage,
        phase=phase,
        probe_started=told.first.started,
        probe=told.first.probe,
        python=told.first.python,
        exception=told.exception(has_metrics=bool(script_epochs)),
        exit=told.first.exit,
        epochs=(*told.epochs(), *script_epochs),
        thinned=". ".join(filter(None, (told.thinned(), own.rule()))),
        steps=told.steps(),
        phases=told.phases(),
        evaluations=told.evaluations(),
        children=told.children(),
        unseen=told.unseen(),
        packages=told.packages(),
        configs=told.configs(),
        seeding=told.first.seeding,
        preludes=told.preludes(),
        bad_lines=bad_lines,
        probe_errors=told.probe_errors(),
    )


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
        descriptor = open_plain(path)
    except (OSError, ValueError):
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


def _read_metrics(path: Path, limit_bytes: int, series: EpochSeries) -> int:
    """Add the script's own metrics to a series, a line or several an epoch; how many lines were none.

    Lines that name the same `epoch` one after the other are one epoch; a line without one is an epoch of its own.
    Epochs are counted from 1 in the order of the lines, whatever the script counts from.
    """
    current: dict[str, float] | None = None
    last: object = None
    count = bad = 0
    for line in _lines(path, limit_bytes):
        values = events.parse_metrics(line)
        numbers = {} if values is None else _numbers(values)
        if values is None or not numbers:
            bad += 1
            continue
        epoch = values.get("epoch")
        if current is not None and (epoch is None or epoch != last):
            count += 1
            series.add(Epoch(phase=SCRIPT_PHASE, epoch=count, logs=current))
            current = None
        current = {} if current is None else current
        current.update(series.known(numbers))
        last = epoch
    if current is not None:
        series.add(Epoch(phase=SCRIPT_PHASE, epoch=count + 1, logs=current))
    return bad


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

"""A record as `metrics:` of its matrix reads it: with the epochs that patterns and files of the script's own give.

Pure: what the output and the files held stands in the record. A metric that is found here counts in place of one of
the same name that Keras reported.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from runner.matrix.metric_patterns import EVENTS
from runner.trials.record import PRINTED_PHASE, Epoch, Printed
from runner.trials.tables import named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.matrix.model import Metrics
    from runner.trials.record import Record, Stage, Table

_UNREAD = Printed(problem="the log of this trial is gone, so run it again")
_UNSURE = Printed(problem="the script printed more than a log keeps, and output was left out after its last value")
FILE_PHASE = "file:"
"""Begins the phase of the epochs that come from a file."""
_TIME = re.compile(r"\d{6}|\d\d[-_.:]\d\d[-_.:]\d\d")


def read_with(record: Record, metrics: Metrics) -> Record:
    """The record with the metrics that are looked for: phases of its own, after those that the probe saw."""
    if not (metrics.patterns or metrics.files or record.printed) or not record.ran:
        return record
    printed = {pattern: record.printed.get(pattern, _UNREAD) for _, pattern in metrics.patterns}
    if record.log_truncated:
        printed = {pattern: _UNSURE if _is_unsure(one) else one for pattern, one in printed.items()}
    found = (*_from_files(record, metrics), *_from_output(printed, metrics))
    names = {name for epoch in found for name in epoch.logs}
    error = record.exception
    trained: Stage = "training" if error is None else error.training_stage
    stage = trained if found and record.stage in {"import", "build-model"} else record.stage
    if error is not None and stage != record.stage:
        error = error.model_copy(update={"stage": stage})
    epochs = (*_others(record, names), *found)
    return record.model_copy(update={"epochs": epochs, "stage": stage, "exception": error, "printed": printed})


def _others(record: Record, names: set[str]) -> Iterator[Epoch]:
    """The epochs that were reported, without what is found elsewhere."""
    for epoch in record.epochs:
        if epoch.phase == PRINTED_PHASE or epoch.phase.startswith(FILE_PHASE):
            continue
        if names.isdisjoint(epoch.logs):
            yield epoch
        else:
            kept = {name: value for name, value in epoch.logs.items() if name not in names}
            yield epoch.model_copy(update={"logs": kept})


def _is_unsure(printed: Printed) -> bool:
    """True where output was left out after the last value: that may not be the last one."""
    return printed.cut > 0 and (not printed.lines or printed.lines[-1] < printed.cut)


def _from_output(found_by: Mapping[str, Printed], metrics: Metrics) -> Iterator[Epoch]:
    """What was printed, in the order of the lines: an epoch ends where a metric comes again."""
    found = sorted(
        (line, order, name, value)
        for order, (name, pattern) in enumerate(metrics.patterns)
        if (printed := found_by.get(pattern)) is not None
        for line, value in zip(printed.lines, printed.values, strict=False)
    )
    epochs: list[dict[str, float]] = []
    for _, _, name, value in found:
        if not epochs or name in epochs[-1]:
            epochs.append({})
        epochs[-1][name] = value
    for number, logs in enumerate(epochs, 1):
        yield Epoch(phase=PRINTED_PHASE, epoch=number, logs=logs)


def _from_files(record: Record, metrics: Metrics) -> Iterator[Epoch]:
    """A phase for each table, and for the event files of each folder; where there are several, names say which."""
    tables: dict[str, list[Table]] = {}
    events: dict[str, list[Table]] = {}
    for path, table in record.tables.items():
        if named(path, metrics.files) and table.columns:
            if EVENTS in posixpath.basename(path):
                events.setdefault(posixpath.dirname(path), []).append(table)
            else:
                tables.setdefault(posixpath.splitext(path)[0], []).append(table)
    for ending, groups in (("", tables), ("/", events)):
        prefixes = _prefixes(tuple(groups))
        for group, own in groups.items():
            yield from _epochs(f"{FILE_PHASE}{group}{ending}", prefixes[group], _joined(own))


def _epochs(phase: str, prefix: str, columns: Mapping[str, tuple[float | None, ...]]) -> Iterator[Epoch]:
    for number in range(max(map(len, columns.values()))):
        logs = {
            metric_name(f"{prefix}{name}"): value
            for name, values in columns.items()
            if number < len(values) and (value := values[number]) is not None
        }
        yield Epoch(phase=phase, epoch=number + 1, logs=logs)


def _joined(tables: list[Table]) -> Mapping[str, tuple[float | None, ...]]:
    columns: dict[str, tuple[float | None, ...]] = {}
    for table in tables:
        for name, values in table.columns.items():
            columns[name] = (*columns.get(name, ()), *values)
    return columns


def _prefixes(groups: tuple[str, ...]) -> dict[str, str]:
    """What is before the names of each group: nothing for a single one, else its path without what all share.

    A folder that is named after a time has another name in every trial: its number is taken in its place.
    """
    split = [group.split("/") for group in groups]
    shared = 0
    while len(split) > 1 and len({tuple(parts[: shared + 1]) for parts in split}) == 1:
        shared += 1
    if len(split) == 1:
        return {groups[0]: ""}
    times = sorted({part for parts in split for part in parts[shared:] if _TIME.search(part)})
    numbers = {part: str(number) for number, part in enumerate(times, 1)}
    own = ["/".join(numbers.get(part, part) for part in parts[shared:]) for parts in split]
    return {group: f"{rest}/" if rest else "" for group, rest in zip(groups, own, strict=True)}


def metric_name(text: str) -> str:
    """A column or tag as a criterion can name it."""
    name = re.sub(r"[^A-Za-z0-9_./]", "_", text)
    return f"_{name}" if not name or not re.match(r"[A-Za-z_]", name) else name

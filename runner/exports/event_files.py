"""TensorBoard's event files: a folder for each cell, in it one for each seed with one file, which is written whole.

The file of a trial has always the same name and the same bytes for the same record, so that nothing doubles. Its
numbers are 32-bit floats, as TensorBoard's own: NaN and infinity stay, larger numbers become infinity.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from runner.cache import passing_folder
from runner.errors import UsageError
from runner.exports.exported_trial import SafeNames, safe_part, series_of
from runner.own_folder import OwnFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.exports.exported_trial import ExportedTrial
    from runner.matrix.cell_id import CellId

FILE = "events.out.tfevents.0.convergence-matrix"
"""TensorBoard reads files with `tfevents` in their names."""
_ELSEWHERE = "`--to` names another folder"


class EventFiles:
    """The event files below one folder."""

    def __init__(self, folder: Path) -> None:
        """Write nothing yet. Raises UsageError where the library that writes event files is not installed."""
        try:
            import tensorboardX  # noqa: PLC0415 - an extra
            from tensorboardX.proto.event_pb2 import Event  # noqa: PLC0415
            from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData  # noqa: PLC0415
            from tensorboardX.summary import hparams  # noqa: PLC0415
        except ImportError as error:
            raise UsageError(
                f"Event files are written by tensorboardX: `pip install 'convergence-matrix[tensorboard]'` ({error})."
            ) from error
        self._writer, self._event, self._hparams = tensorboardX.RecordWriter, Event, hparams
        self._parameters = HParamsPluginData
        self._folder = OwnFolder(above=folder, elsewhere=_ELSEWHERE)

    def send(self, trial: ExportedTrial) -> bool:
        """Write the file of a trial; false where it lies there already as it would be written."""
        path = f"{folder_name(trial.cell)}/seed-{trial.record.seed}/{FILE}"
        content = self._content(trial)
        if self._folder.read(path) == content:
            return False
        self._folder.write(path, content)
        return True

    def _content(self, trial: ExportedTrial) -> bytes:
        with passing_folder() as passing:
            file = passing / "events"
            writer = self._writer(str(file))
            try:
                for event in self._events(trial):
                    writer.write(event.SerializeToString(deterministic=True))
            finally:
                writer.close()
            return file.read_bytes()

    def _events(self, trial: ExportedTrial) -> Iterator[Any]:
        """The events of a trial: version, the cell as hyperparameters, then what it reported, step by step."""
        yield self._event(wall_time=trial.started_s, file_version="brain.Event:2")
        for summary in self._hparams({**trial.axes(), "verdict": trial.label}, {}):
            for value in summary.value:  # in the same order in every process
                plugin = value.metadata.plugin_data
                plugin.content = self._parameters.FromString(plugin.content).SerializeToString(deterministic=True)
            yield self._event(wall_time=trial.started_s, summary=summary)
        by_step: dict[tuple[int, float], list[tuple[str, float]]] = defaultdict(list)
        names = SafeNames()
        for series in series_of(trial.record):
            name = names.of(series.path)
            for step, value, at_s in zip(series.steps, series.values, series.times_s, strict=True):
                by_step[step, at_s].append((name, value))
        for (step, at_s), values in sorted(by_step.items(), key=lambda one: one[0]):
            event = self._event(wall_time=trial.started_s + at_s, step=step)
            for name, value in values:
                event.summary.value.add(tag=name, simple_value=value)
            yield event


def folder_name(cell: CellId) -> str:
    """The folder of a cell: its values, with a digest where they can't be a name as they are."""
    plain = ",".join(f"{axis}={value}" for axis, value in cell)
    safe = ",".join(f"{safe_part(axis)}={safe_part(value)}" for axis, value in cell)
    if safe == plain and len(safe.encode()) <= 200:
        return safe
    return f"{safe[:150].encode()[:200].decode('utf-8', 'ignore')}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"

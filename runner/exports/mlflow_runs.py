"""MLflow's runs: one for each trial, with the cell as parameters, series as metrics, log, record and artifacts.

A run says by a tag which trial it is, and by another one, which comes last, that it is whole and of which record. So a
trial that is exported again changes nothing; one whose record differs, or that was cut off, is made anew.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from runner.cache import passing_folder
from runner.errors import MachineError, UsageError
from runner.exports.exported_trial import SafeNames, bounded_s, series_of
from runner.reports.markdown import escaped
from runner.reports.untrusted import json_text, one_line, stripped, terminal_text
from runner.trials.job_files import excerpt, files_below, opened, opened_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from runner.exports.exported_trial import ExportedTrial

Value = TypeVar("Value")
TRIAL: Final = "convergence-matrix.trial"
WHOLE: Final = "convergence-matrix.record"
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # whoever names a folder wants one
}
"""What MLflow takes from the environment alone; what the user has set there stays."""
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""MLflow's pages for trainings, not those for language models."""
_LONGEST_VALUE, _LONGEST_TAG, _LONGEST_NOTE = 500, 4000, 1000
_METRICS_AT_ONCE, _OTHERS_AT_ONCE = 1000, 100
_MOST_PACKAGES = 60
_LOG_BYTES = 1024**2
_USER = re.compile(r"://[^\s/@]*@")


class MlflowRuns:
    """The runs of one experiment, in a tracking server or a folder."""

    def __init__(self, uri: str, experiment: str) -> None:
        """Find the experiment, or make it.

        Raises UsageError where MLflow's client is not installed or there is no such target, MachineError where the
        server does not answer.
        """
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow  # noqa: PLC0415 - an extra
            from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415
        except ImportError as error:
            raise UsageError(f"Runs are sent by MLflow's client: {INSTALL} ({error}).") from error
        self._metric, self._param, self._tag = Metric, Param, RunTag
        self._failures: tuple[type[Exception], ...] = (mlflow.MlflowException, OSError, ValueError)
        self._uri, self._place = uri, without_credentials(uri)
        name = one_line(experiment, _LONGEST_VALUE) or "convergence-matrix"
        try:
            self._client = mlflow.MlflowClient(tracking_uri=uri)
        except (mlflow.MlflowException, ValueError) as error:
            raise UsageError(
                f"{self._place} is no address that MLflow's client takes here: {self._said(error, 200)} It takes"
                " http://HOST:PORT, or a folder; for a database, install the whole of MLflow (`pip install mlflow`)."
            ) from error
        try:
            found = self._client.get_experiment_by_name(name)
            self._experiment = found.experiment_id if found else self._client.create_experiment(name, tags=_KIND)
        except self._failures as error:
            raise self._trouble(error) from error

    def send(self, trial: ExportedTrial) -> bool:
        """Make the run of a trial; false where it is there, though its verdict may be told anew.

        Raises MachineError where the server refuses.
        """
        try:
            return self._sent(trial)
        except self._failures as error:
            raise self._trouble(error) from error

    def _sent(self, trial: ExportedTrial) -> bool:
        digest = hashlib.sha256(trial.record.model_dump_json(exclude_defaults=True).encode()).hexdigest()
        tags = _tags(trial)
        whole = None
        for run in self._client.search_runs([self._experiment], f"tags.`{TRIAL}` = '{trial.record.key}'"):
            if whole is None and run.data.tags.get(WHOLE) == digest:
                whole = run
            else:
                self._client.delete_run(run.info.run_id)
        if whole is None:
            self._make(trial, tags, digest)
            return True
        changed = {name: text for name, text in tags.items() if whole.data.tags.get(name) != text}
        self._log(whole.info.run_id, tags=changed)
        return False

    def _make(self, trial: ExportedTrial, tags: dict[str, str], digest: str) -> None:
        record = trial.record
        started_ms = int(trial.started_s * 1000)
        run = self._client.create_run(
            self._experiment, start_time=started_ms, tags={TRIAL: record.key}, run_name=trial.name
        ).info.run_id
        self._log(run, params=_params(trial), tags=tags)
        for metrics in _in_parts(_metrics(trial, self._metric), _METRICS_AT_ONCE):
            self._client.log_batch(run, metrics=metrics)
        with passing_folder() as folder:
            for path in _files(trial, folder):
                self._client.log_artifact(run, str(path), _folder_of(path, folder))
                path.unlink()
        ended = "FINISHED" if record.exit_code == 0 and not record.timed_out else "FAILED"
        self._client.set_terminated(run, ended, started_ms + int(bounded_s(record.duration_s) * 1000))
        self._log(run, tags={WHOLE: digest})

    def _log(self, run: str, *, params: dict[str, str] | None = None, tags: dict[str, str] | None = None) -> None:
        for some in _in_parts((params or {}).items(), _OTHERS_AT_ONCE):
            self._client.log_batch(run, params=[self._param(*one) for one in some])
        for some in _in_parts((tags or {}).items(), _OTHERS_AT_ONCE):
            self._client.log_batch(run, tags=[self._tag(*one) for one in some])

    def _trouble(self, error: Exception) -> MachineError:
        return MachineError(
            f"MLflow at {self._place} did not take the runs ({self._said(_at_bottom(error), 300)}). Nothing is"
            " lost: `export mlflow --to URI` sends what is stored here and not there."
        )

    def _said(self, error: BaseException, most: int) -> str:
        """The words of an error, which may name the address, without what is secret in it."""
        return one_line(_USER.sub("://", str(error).replace(self._uri, self._place)), most)


def _at_bottom(error: BaseException) -> BaseException:
    """What the machine said, where that is the cause: without the layers that passed it on."""
    found, under = error, error.__cause__ or error.__context__
    while under is not None:
        found = under if isinstance(under, OSError) else found
        under = under.__cause__ or under.__context__
    return found


INSTALL: Final = "`pip install 'convergence-matrix[mlflow]'`"


def without_credentials(uri: str) -> str:
    """An address as it may be shown."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # it is none
        return one_line(uri.rpartition("@")[2])
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl() if parts.netloc else one_line(uri)


def _in_parts(values: Iterable[Value], most: int) -> Iterator[list[Value]]:
    """The values in lists of at most so many."""
    left = iter(values)
    while part := list(islice(left, most)):
        yield part


def _params(trial: ExportedTrial) -> dict[str, str]:
    names = SafeNames()
    return {names.of(name): one_line(value, _LONGEST_VALUE) for name, value in trial.axes().items()}


def _tags(trial: ExportedTrial) -> dict[str, str]:
    """What a trial came to and what it ran on; what is not known is left out."""
    record = trial.record
    error = record.exception
    raised = f"{error.type}: {error.message}" if error else ""
    packages = sorted(record.packages.items())[:_MOST_PACKAGES]
    names = SafeNames()
    known = {
        "verdict": trial.label,
        "outcome": trial.outcome,
        "exception": raised,
        "stage": record.stage,
        "engine": record.engine,
        "python": record.python,
        "lock": record.lock,
        "lock_digest": record.lock_digest,
        "image": record.image,
        "peak_memory_bytes": record.peak_memory_bytes,
        "seeding": record.seeding,
        "thinned": record.thinned,
        "not_finite": _not_finite(trial),
        "mlflow.note.content": escaped(one_line(trial.reason, _LONGEST_NOTE)),  # MLflow shows it as Markdown
        **{f"package.{names.of(name)}": package.version for name, package in packages},
    }
    return {
        name: one_line(text, _LONGEST_TAG)
        for name, value in known.items()
        if (text := "" if value is None else str(value))
    }


def _not_finite(trial: ExportedTrial) -> str:
    """Which metrics are not finite, and from where: a database of MLflow's shows infinity as its largest number."""
    found = []
    for series in series_of(trial.record):
        first = next((at for at, value in enumerate(series.values) if not math.isfinite(value)), None)
        if first is not None:
            found.append(f"{series.path}: {series.values[first]} at {series.steps[first]}")
    return "; ".join(found)


def _metrics(trial: ExportedTrial, metric: Any) -> Iterator[Any]:
    names = SafeNames()
    for series in series_of(trial.record):
        name = names.of(series.path)
        for step, value, at_s in zip(series.steps, series.values, series.times_s, strict=True):
            yield metric(name, value, int((trial.started_s + at_s) * 1000), step)
    yield metric("duration_s", trial.record.duration_s, int(trial.started_s * 1000), 0)


def _files(trial: ExportedTrial, folder: Path) -> Iterator[Path]:
    """The record, the log, the diff and the artifacts of a trial, each laid into a folder when it is its turn."""
    texts = {
        "record.json": json_text(trial.record.model_dump_json(exclude_defaults=True, indent=1)),
        "log.txt": terminal_text(excerpt(trial.log, _LOG_BYTES)),
        "imports.diff": stripped(trial.record.rewritten),
    }
    for name, text in texts.items():
        if text:
            (folder / name).write_text(text, "utf-8")
            yield folder / name
    names = SafeNames()
    with opened_folder(trial.artifacts) as root:
        for path in files_below(root) if root is not None else ():
            source = opened(root, path) if root is not None else None
            if source is None:
                continue
            target = folder / "artifacts" / names.of(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            yield target


def _folder_of(path: Path, folder: Path) -> str | None:
    """The folder that a file has in the run; None at its top."""
    inside = path.parent.relative_to(folder).as_posix()
    return None if inside == "." else inside

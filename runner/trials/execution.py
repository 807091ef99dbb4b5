"""The execution of one trial on an engine, and its record of what engine, channel, log and files held."""

from __future__ import annotations

import posixpath
import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.cache import disk_full
from runner.engines.protocol import Cut, Job, JobFolder, Limits
from runner.errors import EngineLostError, MachineError, StoppedError
from runner.preludes.prelude import lay_out
from runner.scripts.script import content_of, copy_script
from runner.scripts.training_loop import came_after, loop_line
from runner.trials.file_trouble import ProjectView, file_trouble
from runner.trials.job_files import collect, remove
from runner.trials.record import PreludeRun, Record, kind_of
from runner.trials.script_metrics import search_log
from runner.trials.tables import read_tables, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from runner.engines.protocol import Ending, Engine, Image
    from runner.scripts.script import Script
    from runner.trials.job_files import Workplace
    from runner.trials.record import ScriptException
    from runner.trials.trial import Trial


_TAIL_BYTES = 4096
_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r'^ *File "([^"\n]{1,1000})", line (\d{1,9})', re.MULTILINE)
_ATTEMPTS = 3
_SPARE_BYTES = 16 * 1024**2
"""With less than this free, the end of a trial that failed says nothing of its script."""


def execute(trial: Trial, *, image: Image, engine: Engine, workplace: Workplace, cpus: tuple[int, ...]) -> Record:
    """Run a trial to its end; failures of the engine are retried, those of the script never.

    Raises StoppedError where the run was stopped, EngineLostError where the engine failed three times, MachineError
    where the disk is full.
    """
    import tenacity  # noqa: PLC0415 - a finished matrix runs nothing

    folder = workplace.job(trial)
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=0.5, max=5),
        retry=tenacity.retry_if_exception_type(EngineLostError),
        reraise=True,
    )
    try:
        return retrying(_attempt, trial, image, engine, workplace, cpus)
    except OSError as error:
        raise MachineError(f"The trial of {trial.setting.cell.id} could not be prepared or read: {error}.") from error
    finally:
        remove(folder.root)


def _attempt(trial: Trial, image: Image, engine: Engine, workplace: Workplace, cpus: tuple[int, ...]) -> Record:
    folder = workplace.job(trial)
    remove(folder.root)
    folder.work.mkdir(parents=True)
    folder.channel.touch()
    folder.metrics.touch()
    copy_script(trial.setting.script, folder.work)
    lay_out(trial.setting.preludes, folder.preludes)
    loop, before = _loop(trial), snapshot(folder.work)
    started = datetime.now(UTC)
    ending = engine.run(image, job_of(trial, folder, cpus))
    if ending.cut is Cut.INTERRUPTED:
        raise StoppedError
    if ending.exit_code != 0 and ending.cut is None and shutil.disk_usage(folder.root).free < _SPARE_BYTES:
        raise disk_full(folder.root, _SPARE_BYTES)  # what ended it may be the machine, not the script
    keep = workplace.log(trial.key)
    keep.parent.mkdir(parents=True, exist_ok=True)
    if folder.log.is_file():
        _keep_log(folder.log, keep, trial.setting.script)
    experiment = trial.setting.experiment
    artifacts = collect(folder.work, experiment.artifacts, workplace.artifacts(trial.key))
    record = _record(trial, image, folder=folder, ending=ending, started=started, artifacts=artifacts)
    found = {
        "tables": read_tables(folder.work, before, experiment.metrics.files),
        "printed": search_log(keep, (pattern for _, pattern in experiment.metrics.patterns)),
        "loop": loop,
    }
    return record.model_copy(update=found)


def _loop(trial: Trial) -> str:
    """The first line of the script, or of its modules, that looks like a training loop."""
    script = trial.setting.script
    for file in script.sources:
        found = loop_line(content_of(script, file))
        if found is not None:
            line, text = found
            cell = script.cell_of(line) if file.path == script.path else None
            place = f"{file.path}:{line}" if cell is None else f"{file.path}, cell {cell[0]}, line {cell[1]}"
            return f"{place}: {text}"
    return ""


def job_of(trial: Trial, folder: JobFolder, cpus: tuple[int, ...]) -> Job:
    """The job that an engine gets for a trial."""
    setting = trial.setting
    seeding = (
        {"RUNNER_SEED": str(trial.seed), "PYTHONHASHSEED": str(trial.seed)}
        if setting.seeded
        else {"RUNNER_SEEDING": "as-written"}
    )
    return Job(
        key=trial.key,
        folder=folder,
        argv=setting.experiment.command(setting.cell),
        env={**seeding, **dict(setting.experiment.variables(setting.cell))},
        limits=Limits(
            memory_bytes=setting.resources.memory_bytes,
            disk_bytes=setting.resources.disk_bytes,
            processes=setting.resources.processes,
            timeout_s=setting.experiment.timeout_s,
        ),
        cpus=cpus,
        start=setting.experiment.start(setting.cell),
        mounts=setting.mounts,
        network=setting.experiment.network,
        labels={"cell": str(setting.cell.id), "seed": str(trial.seed)},
    )


def _record(
    trial: Trial, image: Image, *, folder: JobFolder, ending: Ending, started: datetime, artifacts: tuple[str, ...]
) -> Record:
    from runner.trials.channel import read_channel  # noqa: PLC0415 - 0.1 s of models, for a trial that ran

    setting, view = trial.setting, _view(trial, folder)
    channel = read_channel(folder.channel, folder.metrics)
    exception = staged(channel.exception, setting.script, view)
    return Record(
        key=trial.key,
        cell=dict(setting.cell.id.values),
        seed=trial.seed,
        engine=image.engine.value,
        image=image.reference,
        base_identity=image.base_identity,
        lock=setting.lock.environment.name,
        lock_digest=setting.lock.digest,
        started_at=started.isoformat(timespec="seconds"),
        duration_s=round(ending.duration_s, 3),
        stage=channel.stage if exception is None else exception.stage,
        phase=channel.phase if exception is None else exception.phase,
        exit_code=ending.exit_code,
        signal=ending.signal,
        orderly=channel.exit is not None if channel.probe_started else None,
        oom_killed=ending.cut is Cut.MEMORY,
        timed_out=ending.cut is Cut.TIMEOUT,
        disk_full=ending.cut is Cut.DISK,
        probe_started=channel.probe_started,
        peak_memory_bytes=ending.peak_memory_bytes,
        probe=channel.probe,
        python=channel.python,
        exception=_placed(exception, trial),
        file_trouble=file_trouble(channel.exception, view),
        message="It wrote more into the record channel than is read." if ending.cut is Cut.CHANNEL else None,
        epochs=channel.epochs,
        steps=channel.steps,
        phases=channel.phases,
        evaluations=channel.evaluations,
        children=channel.children,
        unseen=channel.unseen,
        packages=channel.packages,
        configs=channel.configs,
        seeding=channel.seeding,
        network=setting.experiment.network,
        log_truncated=ending.log_truncated,
        bad_lines=channel.bad_lines,
        artifacts=artifacts,
        log_tail=setting.script.in_cells(_tail(folder.log)),
        rewritten=setting.script.diff,
        preludes=tuple(
            channel.preludes.get(prelude.name, PreludeRun(name=prelude.name)) for prelude in setting.preludes
        ),
    )


def _view(trial: Trial, folder: JobFolder) -> ProjectView:
    from runner.engines.docker.container import LAYOUT  # noqa: PLC0415 - only of a trial that ran

    setting = trial.setting
    script = setting.script.path
    return ProjectView(
        project=setting.script.folder.absolute(),
        work=folder.work,
        works=(LAYOUT.work, str(folder.work)),
        homes=(LAYOUT.home, str(folder.home)),
        start=setting.experiment.start(setting.cell),
        searched="" if setting.experiment.own_module else script.rpartition("/")[0],
        data=tuple(mount.target for mount in setting.mounts),
    )


def staged(exception: ScriptException | None, script: Script, view: ProjectView) -> ScriptException | None:
    """The exception, after the training where it came after the loop in which the script trains by itself."""
    if exception is None or exception.file is None:
        return exception
    sources = {file.path: content_of(script, file) for file in script.sources}
    for block in reversed(exception.traceback.split(_TRACEBACK)):
        places = [(view.inside(found[1]), int(found[2])) for found in _FRAME.finditer(block)]
        frames = [(path, line) if path in sources else None for path, line in places]
        own = [frame for frame in frames if frame is not None]
        if own and own[-1] == (view.inside(exception.file), exception.line):
            after = came_after(frames, sources)
            own_way = exception.stage == "training" and kind_of(exception.phase) != "fit"
            moved = {"stage": "after-training", "phase": ""} if after and own_way else {}
            return exception.model_copy(update={"after_loops": after, **moved})
    return exception


def _placed(exception: ScriptException | None, trial: Trial) -> ScriptException | None:
    """The exception with its place as the user knows it: from the matrix's folder, in a notebook by cell."""
    script = trial.setting.script
    if exception is None or not script.is_notebook:
        return exception
    start = trial.setting.experiment.start(trial.setting.cell)
    file = None if exception.file is None else posixpath.normpath(posixpath.join(start, exception.file))
    found = script.cell_of(exception.line) if file == script.path and exception.line else None
    cell, line = found or (None, exception.line)
    said = {"message": script.in_cells(exception.message), "traceback": script.in_cells(exception.traceback)}
    return exception.model_copy(update={"file": file, "cell": cell, "line": line, **said})


def _keep_log(log: Path, keep: Path, script: Script) -> None:
    if script.is_notebook:
        text = log.read_bytes().decode("utf-8", "surrogateescape")
        keep.write_bytes(script.in_cells(text).encode("utf-8", "surrogateescape"))
    else:
        shutil.copyfile(log, keep)


def _tail(log: Path) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return stream.read(_TAIL_BYTES).decode("utf-8", "replace")

"""The execution of one trial on an engine, and its record of what engine, channel, log and files held."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.cache import disk_full
from runner.engines.gpu import model_of
from runner.engines.protocol import Cut, Job, JobFolder, JobLostError, Limits
from runner.errors import CrowdedError, EngineLostError, MachineError, StoppedError
from runner.preludes.prelude import lay_out
from runner.runner_mark import this_boot
from runner.scripts.script import content_of, copy_script
from runner.scripts.training_loop import came_after, loop_line
from runner.trials.file_trouble import ProjectView, file_trouble
from runner.trials.job_files import collect, opened, opened_folder
from runner.trials.record import PreludeRun, Record, kind_of
from runner.trials.script_metrics import LOG_BYTES, search_log
from runner.trials.tables import read_tables, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engines.protocol import Ending, Engine, Image, Slot
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


def execute(trial: Trial, *, image: Image, engine: Engine, workplace: Workplace, slot: Slot) -> Record:
    """Run a trial to its end; failures of the engine are retried, those of the script never.

    A script that ends its own supervisor looks like a failure of the engine until it has done so three times.

    Raises StoppedError where the run was stopped, EngineLostError where the engine failed three times, MachineError
    where the disk is full.
    """
    import tenacity  # noqa: PLC0415 - a finished matrix runs nothing

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=0.5, max=5),
        retry=tenacity.retry_if_exception_type(EngineLostError),
        reraise=True,
    )

    def run(folder: JobFolder) -> Ending:
        try:
            return engine.run(image, job_of(trial, folder, slot))
        except JobLostError as lost:
            if retrying.statistics["attempt_number"] < _ATTEMPTS:
                raise
            return lost.ending  # what loses it every time is the job itself, not the machine

    def attempt() -> Record:
        folder = workplace.new_job(trial.key)
        with engine.disk(folder, trial.setting.resources.disk_bytes):
            record = _attempt(trial, image, workplace, folder, run)
            return record.model_copy(update={"device": model_of(slot.gpus), "pair": pair_on(slot, trial.pair)})

    try:
        return retrying(attempt)
    except OSError as error:
        failed = MachineError(f"The trial of {trial.setting.cell.id} could not be prepared or read: {error}.")
        raise CrowdedError.behind(error) or failed from error
    finally:
        workplace.end_job(trial.key)


def pair_on(slot: Slot, pair: str) -> str:
    """The name of a pair in a record: trials of one place in a run share it where they ran on the same processors."""
    place = " ".join(map(str, (this_boot(), *slot.cpus, *(gpu.id for gpu in slot.gpus))))
    return pair and f"{pair}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _attempt(
    trial: Trial, image: Image, workplace: Workplace, folder: JobFolder, run: Callable[[JobFolder], Ending]
) -> Record:
    copy_script(trial.setting.script, folder.work)
    lay_out(trial.setting.preludes, folder.preludes)
    loop, before = _loop(trial), snapshot(folder.work)
    started = datetime.now(UTC)
    ending = run(folder)
    if ending.cut is Cut.INTERRUPTED:
        raise StoppedError
    if ending.exit_code != 0 and ending.cut is None and shutil.disk_usage(workplace.root).free < _SPARE_BYTES:
        raise disk_full(workplace.root, _SPARE_BYTES)  # what ended it may be the machine, not the script
    log = _log(folder, trial.setting.script)
    workplace.files.write(f"logs/{trial.key}.log", log)
    experiment, kept_bytes = trial.setting.experiment, trial.setting.resources.kept_bytes
    kept = collect(folder.work, experiment.artifacts, workplace.files, f"artifacts/{trial.key}", kept_bytes)
    record = _record(trial, image, folder=folder, ending=ending, started=started)
    found = {
        "log_tail": log[-_TAIL_BYTES:].decode("utf-8", "replace"),
        "artifacts": kept.paths,
        "artifacts_left_out": kept.left_out,
        "tables": read_tables(folder.work, before, experiment.metrics.files),
        "printed": search_log(workplace.log(trial.key), (pattern for _, pattern in experiment.metrics.patterns)),
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
            return f"{script.place(file.path, line)}: {text}"
    return ""


def job_of(trial: Trial, folder: JobFolder, slot: Slot) -> Job:
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
        cpus=slot.cpus,
        gpus=slot.gpus,
        start=setting.experiment.start(setting.cell),
        mounts=setting.mounts,
        network=setting.experiment.network,
        labels={"cell": str(setting.cell.id), "seed": str(trial.seed)},
    )


def _record(trial: Trial, image: Image, *, folder: JobFolder, ending: Ending, started: datetime) -> Record:
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
        processor=ending.processor or None,
        exception=_placed(exception, trial),
        file_trouble=file_trouble(channel.exception, view),
        message="It wrote more into the record channel than is read." if ending.cut is Cut.CHANNEL else None,
        epochs=channel.epochs,
        thinned=channel.thinned,
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
    found = script.cell_of(file, exception.line) if exception.line else None
    cell, line = found or (None, exception.line)
    said = {"message": script.in_cells(exception.message), "traceback": script.in_cells(exception.traceback)}
    return exception.model_copy(update={"file": file, "cell": cell, "line": line, **said})


def _log(folder: JobFolder, script: Script) -> bytes:
    """The job's output; of a notebook with the places of its cells. Empty where the job took it away."""
    with opened_folder(folder.root) as root:
        stream = opened(root, "log") if root is not None else None
    if stream is None:
        return b""
    with stream:
        data = stream.read(LOG_BYTES)
    if script.is_notebook:
        return script.in_cells(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    return data

"""A trial in a container: its hardening, its limits, its log and its ending; and a shell in the same world.

The container is not trusted: it has no network, a read-only root, no capabilities and no privileges to gain, and is not
root; it writes into three folders and two files of its own, and sees nothing else of the machine.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.engines.docker.base_images import PREFIX, seccomp_profile
from runner.engines.docker.buildkit import docker_command
from runner.engines.docker.container_events import look_into
from runner.engines.docker.daemon import command_variables, engine_errors
from runner.engines.job_limits import LogFile, watch
from runner.engines.protocol import Cut, Ending, Limits
from runner.engines.world import Layout, world_of
from runner.errors import EngineLostError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack

    from docker.models.containers import Container
    from docker.types import DeviceRequest
    from docker.types import Mount as DockerMount

    from docker import DockerClient
    from runner.engines.docker.mounted_files import JobFiles
    from runner.engines.gpu import Gpu
    from runner.engines.job_limits import Seen
    from runner.engines.protocol import Image, Job
    from runner.engines.world import TrialWorld


OWNER = f"{PREFIX}.owner"
TRIAL = f"{PREFIX}.trial"
LAYOUT = Layout(
    environment="/env",
    probe="/runner/probe",
    preludes="/runner/preludes",
    work="/work",
    home="/home/runner",
    tmp="/tmp",  # noqa: S108 - the container's own
    channel="/runner/record/channel",
    metrics="/runner/record/metrics",
    own_devices=True,
)
"""A trial's world in a container."""
_HOST = "trial"
"""The container's name for itself. Without a network nobody else would say where it is: processes of one trial that
train together meet there."""
_OPEN_FILES = 8192
_KILL_S = 20.0
_STATE_POLL_S = 0.01
"""Between the end of the output and the engine's knowing of the end, which is a matter of milliseconds."""
_FATAL_SIGNALS = frozenset({*range(1, 17), 24, 25, 26, 27, 29, 30, 31}) - {16}
"""Signals that end a process which does not handle them. The engine reports them as 128 + n, as a shell does."""


def run_job(
    client: DockerClient,
    image: Image,
    job: Job,
    *,
    files: JobFiles,
    owner: str,
    interrupted: threading.Event,
    runtime: str = "",
    emulated: str = "",
    let_go: Callable[[Container], object] | None = None,
) -> Ending:
    """Run one job to its end, under a runtime of the engine or its default one, and remove its container.

    `emulated` is the platform of the image, where it is not the engine's own. `let_go` removes one that has ended,
    while the next trial begins: not where its volumes must go first.

    Raises EngineLostError where the engine failed, MachineError where a disk is full or the image is gone.
    """
    if interrupted.is_set():
        return Ending(exit_code=None, signal=None, cut=Cut.INTERRUPTED, duration_s=0.0, peak_memory_bytes=None)
    world = world_of(job, LAYOUT)
    user = files.prepare(job, world)
    marks = {OWNER: owner, TRIAL: job.key}
    with files.given(image.reference, world, marks) as mounts:
        given = settings(job, world, user=user, owner=owner, mounts=mounts, runtime=runtime, emulated=emulated)
        container = _create(client, image, given)
        try:
            ending = _ended(container, client, job, files, interrupted)
        except BaseException:
            remove(container)
            raise
        if let_go and files.are_here:
            let_go(container)
        else:
            remove(container)
        return ending


def _ended(
    container: Container, client: DockerClient, job: Job, files: JobFiles, interrupted: threading.Event
) -> Ending:
    with LogFile(job.folder.log, job.limits.log_bytes) as log:
        trial = ContainerJob(container, log, job, files)
        seen = watch(job, trial, interrupted)
        state = trial.end(seen.cut, job.limits.grace_s)
        state = look_into(client, container, state, is_ours=trial.is_killed)
        truncated = log.truncated
    if seen.cut is not Cut.INTERRUPTED and not files.bring(container, job):
        seen = replace(seen, cut=seen.cut or Cut.DISK)
    return _ending(state, seen, truncated=truncated)


def _create(client: DockerClient, image: Image, arguments: dict[str, Any]) -> Container:
    import docker.errors  # noqa: PLC0415 - imported by now

    with engine_errors("starting a trial"):
        try:
            return client.containers.create(image.reference, **arguments)
        except docker.errors.ImageNotFound:
            raise MachineError(
                f"The image {image.reference} was removed meanwhile. Run again: it is made anew."
            ) from None


def settings(
    job: Job,
    world: TrialWorld,
    *,
    user: str,
    owner: str,
    mounts: list[DockerMount],
    runtime: str = "",
    emulated: str = "",
) -> dict[str, Any]:
    """The SDK's arguments for the container of a job in its world."""
    from docker.types import LogConfig, Ulimit  # noqa: PLC0415 - imported by now

    limits = job.limits
    return {
        "command": list(world.command),
        "user": user,
        "working_dir": world.start,
        "hostname": _HOST,
        "extra_hosts": {} if job.network else {_HOST: "127.0.0.1"},
        "environment": {**world.variables, **world.probing},
        "use_config_proxy": False,
        "labels": {**{f"{PREFIX}.{name}": text for name, text in job.labels.items()}, OWNER: owner, TRIAL: job.key},
        "mounts": mounts,
        "network_mode": "bridge" if job.network else "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", f"seccomp={seccomp_profile().read_text('utf-8')}"],
        "init": True,
        "runtime": runtime or None,
        "pids_limit": limits.processes,
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "shm_size": limits.memory_bytes,
        "cpuset_cpus": ",".join(str(cpu) for cpu in job.cpus) or None,
        "ulimits": [
            Ulimit(name=name, soft=most, hard=most)
            for name, most in (("fsize", world.file_bytes), ("nofile", _OPEN_FILES), ("core", 0))
        ],
        "log_config": LogConfig(type="none"),
        **({"platform": emulated} if emulated else {}),
        **({"device_requests": [device_request(job.gpus)]} if job.gpus else {}),
    }


def device_request(gpus: Iterable[Gpu]) -> DeviceRequest:
    """The request for GPUs as the engine takes it, with what of the driver computes and what tells of it."""
    from docker.types import DeviceRequest  # noqa: PLC0415 - imported by now

    return DeviceRequest(device_ids=[gpu.id for gpu in gpus], capabilities=[["gpu", "compute", "utility"]])


def remove(container: Container) -> bool:
    """Remove a container, running or not; false where somebody else does or did."""
    import docker.errors  # noqa: PLC0415 - imported by now

    with engine_errors("removing a container"):
        try:
            container.remove(force=True, v=True)
        except docker.errors.APIError as error:
            if error.status_code not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise
            return False
    return True


class ContainerJob:
    """A started container. `ended`, `memory_bytes` and `written_bytes` are what the watch looks at."""

    def __init__(self, container: Container, log: LogFile, job: Job, files: JobFiles) -> None:
        self._container, self._job, self._files = container, job, files
        self._log = log
        self._log_error: OSError | None = None
        self._lost: MachineError | None = None
        self._end: dict[str, Any] | None = None
        """The engine's view of the container's end, once it has ended."""
        self.is_killed = False
        """True where this runner ended it."""
        with engine_errors("starting a trial"):
            attached = container.attach_socket(params={"stdout": 1, "stderr": 1, "stream": 1, "logs": 0})
            self._output = threading.Thread(target=self._write_log, args=(attached,), daemon=True)
            self._output.start()
            container.start()
            self._group = _control_group(container.id or "", self._inspect()["Pid"])

    def ended(self, wait_s: float) -> bool:
        """Wait up to `wait_s` for the container's end; its output has been read by then."""
        deadline = time.monotonic() + wait_s
        self._output.join(wait_s)
        if self._lost is not None:
            raise self._lost
        while self._end is None and not self._output.is_alive():
            if not (state := self._inspect())["Running"]:
                self._end = state
                break
            if time.monotonic() >= deadline:
                break
            time.sleep(_STATE_POLL_S)
        return self._end is not None

    def memory_bytes(self) -> int | None:
        """Read what the container's processes hold from its control group; None where the engine is elsewhere.

        Without the page cache: what of a library's files is cached depends on what ran before.
        """
        try:
            lines = (self._group / "memory.stat").read_text().splitlines() if self._group else []
        except OSError:
            return None
        held = {name: int(number) for name, _, number in (line.partition(" ") for line in lines)}
        anonymous = held.get("total_rss", held.get("anon"))
        return None if anonymous is None else anonymous + held.get("total_shmem", held.get("shmem", 0))

    def written_bytes(self, *, enough: int, last: bool) -> int:
        """The bytes that the job holds on disk; what it says is fetched, where its files are elsewhere."""
        self._files.look(self._container, self._job)
        return self._files.written_bytes(
            self._container, self._job, () if last else self._pids(), enough=enough, last=last
        )

    def _pids(self) -> list[int]:
        """The container's processes; none where the engine is elsewhere."""
        try:
            return [int(line) for line in (self._group / "cgroup.procs").read_text().split()] if self._group else []
        except OSError:
            return []

    def end(self, cut: Cut | None, grace_s: float) -> dict[str, Any]:
        """End the container where it still runs, politely where its time is up; gives the engine's view of its end.

        Raises EngineLostError where it does not end, MachineError where its log could not be written.
        """
        if cut is Cut.TIMEOUT and not self.ended(0.0):
            self._kill("SIGTERM")
            self.ended(grace_s)
        if not self.ended(0.0):
            self._kill("SIGKILL")
            self.ended(_KILL_S)
        if self._end is None:
            raise EngineLostError(f"The Docker engine does not end container {self._container.short_id}.")
        if self._log_error is not None:
            raise MachineError(f"The log of a trial could not be written: {self._log_error}.")
        return self._end

    def _inspect(self) -> dict[str, Any]:
        import docker.errors  # noqa: PLC0415 - imported by now

        with engine_errors("looking at a trial"):
            try:
                self._container.reload()
            except docker.errors.NotFound:
                raise EngineLostError("Somebody outside of this run removed the container of a trial.") from None
            return dict(self._container.attrs["State"])

    def _kill(self, signal: str) -> None:
        import docker.errors  # noqa: PLC0415 - imported by now

        self.is_killed = True
        with engine_errors("ending a trial"):
            try:
                self._container.kill(signal)
            except docker.errors.APIError as error:
                if error.status_code not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:  # it has ended meanwhile
                    raise

    def _write_log(self, attached: Any) -> None:
        from docker.utils.socket import frames_iter  # noqa: PLC0415 - imported by now

        try:
            # Closing the socket alone leaves the connection open that it belongs to.
            with contextlib.closing(attached._response), engine_errors("reading a trial's output"):  # noqa: SLF001
                for _, chunk in frames_iter(attached, tty=False):  # type: ignore[no-untyped-call]
                    if self._log_error is None:
                        try:
                            self._log.write(chunk)
                        except OSError as error:  # the job must not hang on a full pipe: go on reading
                            self._log_error = error
        except MachineError as error:
            self._lost = error


def _control_group(container_id: str, pid: int) -> Path | None:
    """Find the folder of a container's control group (version 1 or 2); None where the engine runs elsewhere."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    paths = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    memory = next((path for names, path in paths.items() if "memory" in names.split(",")), None)
    path = memory or paths.get("", "")
    if container_id not in path:
        return None
    return Path(f"/sys/fs/cgroup/memory{path}" if memory else f"/sys/fs/cgroup{path}")


def _ending(state: dict[str, Any], seen: Seen, *, truncated: bool) -> Ending:
    """The ending that the engine's state of a container means.

    It reports 128 + n both for a death by signal n and for a script that exits with that code. Signals are far more
    likely.
    """
    code = int(state["ExitCode"])
    signal = code - 128 if code - 128 in _FATAL_SIGNALS else None
    out_of_memory = bool(state.get("OOMKilled")) and code != 0 and seen.cut is None
    began, ended = (datetime.fromisoformat(state[when]) for when in ("StartedAt", "FinishedAt"))
    return Ending(
        exit_code=code if signal is None else None,
        signal=signal,
        cut=Cut.MEMORY if out_of_memory else seen.cut,
        duration_s=max(0.0, (ended - began).total_seconds()),
        peak_memory_bytes=seen.peak_memory_bytes,
        log_truncated=truncated,
    )


_SHELL_LIMITS = Limits(memory_bytes=8 * 1024**3, disk_bytes=8 * 1024**3, processes=1024, timeout_s=0.0)
_ASK_FOR_TERMINAL = 'if [ -t 0 ]; then set -- --tty "$@"; fi; exec "$0" run --rm --interactive "$@"'
"""Only the command itself, where it runs, can see a terminal."""


def shell_command(
    client: DockerClient,
    image: Image,
    job: Job,
    *,
    files: JobFiles,
    owner: str,
    until_close: ExitStack,
    runtime: str = "",
    emulated: str = "",
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command of a shell in a job's world, with more room than a job has, and its environment variables."""
    job.folder.root.mkdir(parents=True, exist_ok=True)
    job = replace(job, env={**job.env, "TERM": os.environ.get("TERM", "dumb")}, limits=_SHELL_LIMITS, cpus=())
    world = world_of(job, LAYOUT)
    user = files.prepare(job, world)
    mounts = until_close.enter_context(files.given(image.reference, world, {OWNER: owner, TRIAL: job.key}))
    wanted = settings(job, world, user=user, owner=owner, mounts=mounts, runtime=runtime, emulated=emulated)
    if not files.are_here:
        wanted |= {"command": ["bash"], "tty": sys.stdin.isatty(), "stdin_open": True, "auto_remove": True}
        made = _create(client, image, wanted)
        until_close.callback(remove, made)  # before its volumes: it may never have begun, or still run
        return (str(docker_command()), "start", "--attach", "--interactive", str(made.id)), command_variables()
    options = [f"--user={wanted['user']}", f"--workdir={wanted['working_dir']}", f"--network={wanted['network_mode']}"]
    options += ["--read-only", "--init", f"--pids-limit={wanted['pids_limit']}", f"--hostname={wanted['hostname']}"]
    options += [f"--memory={wanted['mem_limit']}", f"--memory-swap={wanted['memswap_limit']}"]
    options += [f"--shm-size={wanted['shm_size']}", *([f"--runtime={runtime}"] if runtime else [])]
    options += [f"--platform={emulated}"] if emulated else []
    if job.gpus:
        options.append(f'--gpus="device={",".join(gpu.id for gpu in job.gpus)}","capabilities=compute,utility"')
    options += [f"--add-host={name}:{address}" for name, address in wanted["extra_hosts"].items()]
    options += [f"--cap-drop={capability}" for capability in wanted["cap_drop"]]
    options += ["--security-opt=no-new-privileges", f"--security-opt=seccomp={seccomp_profile()}"]
    options += [f"--env={name}={text}" for name, text in wanted["environment"].items()]
    options += [f"--label={name}={text}" for name, text in wanted["labels"].items()]
    options += [f"--ulimit={limit['Name']}={limit['Soft']}:{limit['Hard']}" for limit in wanted["ulimits"]]
    for mount in wanted["mounts"]:
        read_only = ",readonly" if mount["ReadOnly"] else ""
        options.append(f"--mount=type=bind,source={mount['Source']},target={mount['Target']}{read_only}")
    command = ("/bin/sh", "-c", _ASK_FOR_TERMINAL, str(docker_command()), *options, image.reference, "bash")
    return command, command_variables()

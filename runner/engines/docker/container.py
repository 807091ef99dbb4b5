"""A trial in a container: its hardening, its limits, its log and its ending; and a shell in the same world.

The container is not trusted: it has no network, a read-only root, no capabilities and no privileges to gain, and is not
root; it writes into three folders and two files of this machine, and sees nothing else of the machine.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import threading
import time
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.engines.docker.base_images import PREFIX
from runner.engines.docker.buildkit import docker_command
from runner.engines.docker.daemon import engine_errors, engine_host
from runner.engines.job_limits import LogFile, watch
from runner.engines.protocol import Cut, Ending, Limits
from runner.engines.world import Layout, make_places, world_of
from runner.errors import EngineLostError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from docker.models.containers import Container
    from docker.types import Mount as DockerMount

    from docker import DockerClient
    from runner.engines.job_limits import Seen
    from runner.engines.protocol import Image, Job, JobFolder
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
    channel="/runner/channel",
    metrics="/runner/metrics",
)
"""A trial's world in a container."""
_NOBODY = 65532
"""Runs the trials of a runner that is root."""
_HOST = "trial"
"""The container's name for itself. Without a network nobody else would say where it is: processes of one trial that
train together meet there."""
_OPEN_FILES = 8192
_KILL_S = 20.0
_STATE_POLL_S = 0.01
"""Between the end of the output and the engine's knowing of the end, which is a matter of milliseconds."""
_OUT_OF_MEMORY_S = 2
"""The engine may hear of a container's end before it hears that its memory ran out; then the state does not say so."""
_KILLED = 128 + 9
_LONG_OUTPUT_RATE = 4 * 1024**2
"""Bytes per second that are taken of output which is longer than the log: the job is slowed, not this machine."""
_FATAL_SIGNALS = frozenset({*range(1, 17), 24, 25, 26, 27, 29, 30, 31}) - {16}
"""Signals that end a process which does not handle them. The engine reports them as 128 + n, as a shell does."""


def run_job(client: DockerClient, image: Image, job: Job, *, owner: str, interrupted: threading.Event) -> Ending:
    """Run one job to its end, and remove its container.

    Raises EngineLostError where the engine failed, MachineError where a disk is full or the image is gone.
    """
    if interrupted.is_set():
        return Ending(exit_code=None, signal=None, cut=Cut.INTERRUPTED, duration_s=0.0, peak_memory_bytes=None)
    world = world_of(job, LAYOUT)
    user = prepare(job, world)
    container = _create(client, image, settings(job, world, user=user, owner=owner))
    try:
        with LogFile(job.folder.log, job.limits.log_bytes) as log:
            trial = ContainerJob(container, log)
            seen = watch(job, trial, interrupted)
            state = trial.end(seen.cut, job.limits.grace_s)
            if state["ExitCode"] == _KILLED and not state["OOMKilled"] and seen.cut is None:
                state["OOMKilled"] = _ran_out_of_memory(client, container)
            truncated = log.truncated
    finally:
        remove(container)
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


def settings(job: Job, world: TrialWorld, *, user: str, owner: str) -> dict[str, Any]:
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
        "mounts": mounts(world),
        "network_mode": "bridge" if job.network else "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
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
    }


def mounts(world: TrialWorld) -> list[DockerMount]:
    """All of this machine that is seen in the container: the job's folder, the probe, the preludes and mapped data."""
    from docker.types import Mount  # noqa: PLC0415 - imported by now

    return [
        Mount(target=some.target, source=str(some.source), type="bind", read_only=read_only)
        for read_only, seen in ((False, world.writable), (True, (*world.read_only, *world.data)))
        for some in seen
    ]


def prepare(job: Job, world: TrialWorld) -> str:
    """Make the job's folder ready for its container; gives the user that it runs as, who owns what is in there.

    The places of mapped data are made here, or the engine would make them, as root. Raises MachineError where that
    user may not read the data.
    """
    make_places(job, world)
    for data in world.data:
        if data.source.is_dir():
            data.place.mkdir(exist_ok=True)
        else:
            data.place.touch()
    if os.getuid() != 0:
        return f"{os.getuid()}:{os.getgid()}"
    for seen in (*world.read_only, *world.data):
        _check_open(seen.source)
    for path in _everything(job.folder):
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    return f"{_NOBODY}:{_NOBODY}"


@functools.cache
def _check_open(source: Path) -> None:
    """Raise MachineError where only owner or group may read some of what a trial is to see."""
    everything = (Path(place, name) for place, _, files in os.walk(source) for name in ("", *files))
    for path in (source,) if source.is_file() else everything:
        if not _is_open(path):
            raise MachineError(
                f"{path} can't be read by trials: the runner is root and trials are not, and only owner or group may"
                f" read it. Let everybody read it (`chmod -R o+rX {source}`), or start the runner as another user."
            )


def _is_open(path: Path) -> bool:
    """True where everybody may read a file, or enter and list a folder; a link that leads nowhere is no obstacle."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    needed = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & needed == needed


def _everything(folder: JobFolder) -> Iterator[Path]:
    yield from (folder.channel, folder.metrics)
    for root in (folder.work, folder.home, folder.tmp):
        yield root
        for place, folders, files in os.walk(root):
            yield from (Path(place, name) for name in (*folders, *files))


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
    """A started container. `ended`, `memory_bytes` and `pids` are what the watch looks at."""

    def __init__(self, container: Container, log: LogFile) -> None:
        self._container = container
        self._log = log
        self._log_error: OSError | None = None
        self._lost: MachineError | None = None
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
        while not self._output.is_alive():
            if not self._inspect()["Running"]:
                return True
            if time.monotonic() >= deadline:
                break
            time.sleep(_STATE_POLL_S)
        return False

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

    def pids(self) -> Iterable[int]:
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
            if not self.ended(_KILL_S):
                raise EngineLostError(f"The Docker engine does not end container {self._container.short_id}.")
        if self._log_error is not None:
            raise MachineError(f"The log of a trial could not be written: {self._log_error}.")
        return self._inspect()

    def _inspect(self) -> dict[str, Any]:
        with engine_errors("looking at a trial"):
            self._container.reload()
            return dict(self._container.attrs["State"])

    def _kill(self, signal: str) -> None:
        import docker.errors  # noqa: PLC0415 - imported by now

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
                    if self._log.truncated:
                        time.sleep(len(chunk) / _LONG_OUTPUT_RATE)
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


def _ran_out_of_memory(client: DockerClient, container: Container) -> bool:
    """Whether the engine was told that a container's memory ran out, a moment after its end at the latest."""
    until = int(time.time()) + _OUT_OF_MEMORY_S  # the engine ends its answer then
    with engine_errors("looking at a trial"):
        told = client.events(since=1, until=until, filters={"container": container.id, "event": "oom"})
        return bool(list(told))


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


def shell_command(image: Image, job: Job, *, owner: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command of a shell in a job's world, with more room than a job has, and its environment variables."""
    job.folder.root.mkdir(parents=True, exist_ok=True)
    job = replace(job, env={**job.env, "TERM": os.environ.get("TERM", "dumb")}, limits=_SHELL_LIMITS, cpus=())
    world = world_of(job, LAYOUT)
    wanted = settings(job, world, user=prepare(job, world), owner=owner)
    options = [f"--user={wanted['user']}", f"--workdir={wanted['working_dir']}", f"--network={wanted['network_mode']}"]
    options += ["--read-only", "--init", f"--pids-limit={wanted['pids_limit']}", f"--hostname={wanted['hostname']}"]
    options += [f"--memory={wanted['mem_limit']}", f"--memory-swap={wanted['memswap_limit']}"]
    options += [f"--shm-size={wanted['shm_size']}"]
    options += [f"--add-host={name}:{address}" for name, address in wanted["extra_hosts"].items()]
    options += [f"--cap-drop={capability}" for capability in wanted["cap_drop"]]
    options += [f"--security-opt={option}" for option in wanted["security_opt"]]
    options += [f"--env={name}={text}" for name, text in wanted["environment"].items()]
    options += [f"--label={name}={text}" for name, text in wanted["labels"].items()]
    options += [f"--ulimit={limit['Name']}={limit['Soft']}:{limit['Hard']}" for limit in wanted["ulimits"]]
    for mount in wanted["mounts"]:
        read_only = ",readonly" if mount["ReadOnly"] else ""
        options.append(f"--mount=type=bind,source={mount['Source']},target={mount['Target']}{read_only}")
    command = ("/bin/sh", "-c", _ASK_FOR_TERMINAL, str(docker_command()), *options, image.reference, "bash")
    return command, {**os.environ, "DOCKER_HOST": engine_host()}

"""uv beside the CPython of an image, in containers: it resolves, and it builds what is source.

Two kinds of container. In one uv works alone, with the user's network, index and credentials; nobody else's code runs
in it. In the other a builder runs, whose code is a stranger's: a job like a trial's, without network or credentials,
with limits, not root, with a copy of the few files that were fetched for it before.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from runner.cache import cache_folder
from runner.engines.docker.base_images import seccomp_profile
from runner.engines.docker.container import LAYOUT, OWNER, remove, run_job
from runner.engines.docker.container_uv import container_uv
from runner.engines.docker.daemon import engine_errors
from runner.engines.protocol import Cut, EngineKind, Image, Job, JobFolder, Limits, Mount
from runner.engines.world import SYSTEM_PATH
from runner.environments.index.connection import index_address, network_settings
from runner.environments.interpreters import REPRODUCIBLE, HostToolchain, newest_of
from runner.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from threading import Event

    from docker.models.containers import Container
    from docker.types import Mount as DockerMount

    from docker import DockerClient
    from runner.engines.docker.environment_images import InterpreterImage
    from runner.engines.docker.mounted_files import JobFiles
    from runner.environments.interpreters import Toolchain


FOLDER, CERTIFICATES = "/folder", "/certificates.pem"
CACHE = f"{LAYOUT.work}/cache"
"""Where uv's cache lies, in both kinds of container."""
_UV = "/usr/local/bin/uv"
_SETTINGS = {"UV_PYTHON_DOWNLOADS": "never", "UV_CACHE_DIR": CACHE}
_UV_MEMORY_BYTES = 4 * 1024**3
_UV_PROCESSES = 512
BUILD_LIMITS = Limits(memory_bytes=8 * 1024**3, disk_bytes=8 * 1024**3, processes=1024, timeout_s=3600)
_PASSED = {
    Cut.TIMEOUT: "it took longer than an hour",
    Cut.MEMORY: "it needed more than 8 GiB of memory",
    Cut.DISK: "it wrote more than 8 GiB",
    Cut.CHANNEL: "it wrote more than 8 GiB",
}
_ATTEMPTS = 6
_LACKED = re.compile(r"No solution found when resolving: (?P<wanted>`.+`)")
_START = "import json, os, sys; os.execve(sys.argv[2], sys.argv[2:], json.loads(sys.argv[1]))"


@dataclass(frozen=True, kw_only=True)
class DockerToolchain:
    """uv beside the CPython of an image (a `Toolchain`)."""

    client: DockerClient
    files: JobFiles
    image: InterpreterImage
    owner: str
    interrupted: Event
    runtime: str = ""
    """The engine's runtime of its containers, where that is not the usual one."""
    emulated: str = ""
    """The platform of the image, where it is not the engine's own."""
    is_of_here: bool = False
    """True where the base image was made of this machine's own system and CPython."""

    @property
    def python_full(self) -> str:
        """The interpreter's release, such as "3.7.16"."""
        return self.image.python_full

    @property
    def identity(self) -> str:
        """The base image's identity."""
        return self.image.identity

    @property
    def place(self) -> str:
        """The place where it builds, as messages name it."""
        return "in the base image"

    @property
    def with_compiler(self) -> str:
        """The way to get a compiler: base images hold none, and stay as they are."""
        return "use `--engine venv` on a machine that has a C compiler"

    @property
    def is_fixed(self) -> bool:
        """A base image stays as it is."""
        return True

    @property
    def compiling(self) -> Toolchain | None:
        """This machine's own CPython, where the base image was made of it."""
        if not self.is_of_here:
            return None
        interpreter = newest_of(self.python_full.rpartition(".")[0])
        if interpreter is None or interpreter.version != self.python_full:
            return None
        return HostToolchain(interpreter=interpreter)

    @property
    def builder(self) -> Toolchain:
        """This one."""
        return self

    @property
    def refusal(self) -> str:
        """Nothing is refused: there is a container around what strangers wrote."""
        return ""

    def uv(self, arguments: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run `uv ARGUMENTS` in a folder, which is all of this machine that it sees beside uv's cache.

        Raises EngineLostError where the engine, not uv, failed.
        """
        return self._uv(arguments, folder, _shared_cache())

    def build(self, source: str, options: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
        """Build a wheel of a source distribution, or of a project, that lies in a folder, into `made` beside it.

        What it asks for in vain is fetched, as wheels, for another attempt.
        """
        (folder / "cache").mkdir()
        wanted: tuple[str, ...] = ()
        attempt = 1
        while True:
            done = self._build(source, options, folder, attempt)
            lacked = tuple(_lacked(done.stderr)) if done.returncode else ()
            if lacked in {(), wanted} or attempt == _ATTEMPTS:
                return done
            wanted, attempt = lacked, attempt + 1
            fetching = folder / f"fetching-{attempt}"
            fetching.mkdir()
            command = ["pip", "install", "--target", "fetched", "--only-binary", ":all:", *options, "--", *wanted]
            fetched = self._uv(command, fetching, folder / "cache")
            if fetched.returncode:
                return fetched

    def _build(
        self, source: str, options: Sequence[str], folder: Path, attempt: int
    ) -> subprocess.CompletedProcess[str]:
        job_folder = JobFolder(root=folder / f"job-{attempt}")
        job_folder.work.mkdir(parents=True)
        shutil.copytree(folder / "cache", job_folder.work / "cache", symlinks=True)
        if (folder / source).is_dir():
            shutil.copytree(folder / source, job_folder.work / source, symlinks=True)
        else:
            shutil.copyfile(folder / source, job_folder.work / source)
        variables = {"PATH": f"{LAYOUT.environment}/bin:{SYSTEM_PATH}", "HOME": LAYOUT.home, "LANG": "C.UTF-8"}
        variables |= {**REPRODUCIBLE, **self._settings, "UV_OFFLINE": "1", "UV_NO_CONFIG": "1"}
        variables["UV_DEFAULT_INDEX"] = index_address().url
        uv = f"{LAYOUT.work}/uv"
        command = [uv, "--color", "never", "build", "--wheel", source, "--out-dir", "made", *options]
        job = Job(
            key=f"build-{folder.name}",
            folder=job_folder,
            argv=("-c", _START, json.dumps(variables), *command),
            env={},
            limits=BUILD_LIMITS,
            cpus=(),
            mounts=(Mount(source=self._program, target="uv"),),
        )
        image = Image(
            engine=EngineKind.DOCKER,
            reference=self.image.tag,
            lock_digest="",
            base_identity=self.identity,
            python_full=self.python_full,
        )
        ending = run_job(
            self.client,
            image,
            job,
            files=self.files,
            owner=self.owner,
            interrupted=self.interrupted,
            runtime=self.runtime,
            emulated=self.emulated,
        )
        if ending.cut is Cut.INTERRUPTED:
            raise StoppedError
        said = job_folder.log.read_text("utf-8", errors="replace")
        if ending.cut is not None:
            said += f"\nerror: {_PASSED[ending.cut]}\n"
        status = ending.exit_code if ending.cut is None and ending.exit_code is not None else 1
        made = job_folder.work / "made"
        if status == 0 and made.is_dir() and not made.is_symlink():
            made.rename(folder / "made")
        return subprocess.CompletedProcess(command, status, stdout="", stderr=said)

    @property
    def _program(self) -> Path:
        return container_uv(self.client, self.image.tag)

    @property
    def _settings(self) -> dict[str, str]:
        return {"UV_PYTHON": self.image.program, **_SETTINGS}

    def _uv(self, arguments: Sequence[str], folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
        """Run uv alone in a container of its own."""
        cache.mkdir(exist_ok=True)
        environment = {**network_settings(), **REPRODUCIBLE, **self._settings, "HOME": "/tmp", "PYTHONPATH": FOLDER}  # noqa: S108
        # written as the builder's will be: uv keeps what it fetched from its own index apart from all others
        environment["UV_DEFAULT_INDEX"] = environment["UV_DEFAULT_INDEX"].rstrip("/") + "/"
        tools = [(self._program, _UV)]
        environment.pop("SSL_CERT_DIR", None)  # its files are links to places that a container does not have
        if bundle := environment.get("SSL_CERT_FILE"):
            tools.append((Path(bundle), CERTIFICATES))
        shared = (cache, CACHE) if cache == _shared_cache() else None
        folders = [(folder, FOLDER)] if shared else [(folder, FOLDER), (cache, CACHE)]
        user = self.files.tool_user([(folder, FOLDER), (cache, CACHE)])
        with self.files.tools(self.image.tag, tools, folders, shared) as (mounts, places):
            if bundle:
                environment["SSL_CERT_FILE"] = places[CERTIFICATES]
            command = [places[_UV], "--color", "never", *arguments]
            container = self._uv_container(command, environment, mounts, user)
            try:
                with engine_errors("running uv in a container"):
                    container.start()
                    status = int(container.wait(timeout=BUILD_LIMITS.timeout_s)["StatusCode"])
                    said = [
                        container.logs(stdout=out, stderr=not out).decode("utf-8", "replace") for out in (True, False)
                    ]
                self.files.bring_folders(container, folders)
            finally:
                remove(container)
        return subprocess.CompletedProcess(command, status, stdout=said[0], stderr=said[1])

    def _uv_container(
        self, command: Sequence[str], environment: Mapping[str, str], mounts: list[DockerMount], user: str
    ) -> Container:
        from docker.types import LogConfig  # noqa: PLC0415 - imported by now

        with engine_errors("starting uv in a container"):
            return self.client.containers.create(
                self.image.tag,
                list(command),
                user=user,
                working_dir=FOLDER,
                environment=dict(environment),
                use_config_proxy=False,
                labels={OWNER: self.owner},
                mounts=mounts,
                read_only=True,
                tmpfs={"/tmp": "exec,mode=1777"},  # noqa: S108 - the container's own
                cap_drop=["ALL"],
                security_opt=["no-new-privileges", f"seccomp={seccomp_profile().read_text('utf-8')}"],
                pids_limit=_UV_PROCESSES,
                mem_limit=_UV_MEMORY_BYTES,
                memswap_limit=_UV_MEMORY_BYTES,
                init=True,
                runtime=self.runtime or None,
                platform=self.emulated or None,
                log_config=LogConfig(type="json-file"),
            )


def _shared_cache() -> Path:
    """What uv keeps from one resolution to the next, whose ever they are."""
    return cache_folder() / "uv-resolving"


def _lacked(said: str) -> Iterator[str]:
    """The requirements of a build that uv had not: names and versions alone, for a stranger may have said it."""
    found = _LACKED.search(said)
    for text in re.findall(r"`([^`]+)`", found["wanted"]) if found else ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.url is None:
            yield str(requirement)

"""A lock of one tiny package, a job for one script of `scripts/`, and what is left of a job: for tests of engines."""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

import docker
from runner.engines import orphans
from runner.engines.docker import container
from runner.engines.protocol import Job, JobFolder, Limits
from runner.environments.lock import Environment, Layer, Lock, LockedPackage
from runner.environments.target import this_platform
from runner.environments.wheelhouse import WheelFile, Wheelhouse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.engines.protocol import Cut, Ending


THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The one CPython that is surely there."""
SCRIPTS = Path(__file__).with_name("scripts")
LIMITS = Limits(memory_bytes=512 * 1024**2, disk_bytes=32 * 1024**2, processes=256, timeout_s=60, grace_s=1)


def tiny_wheelhouse(folder: Path) -> Wheelhouse:
    """A wheelhouse with one wheel, `tiny` 1.0, and a file in it that is no Python; another wheel in every folder."""
    files = {"tiny.py": "ANSWER = 42\n", "tiny_template.py": "this is {{ no }} Python\n"}
    return Wheelhouse(wheels=(wheel_of(folder, "tiny", files, Layer.BASE),))


def wheel_of(folder: Path, name: str, files: Mapping[str, str], layer: Layer) -> WheelFile:
    """A new wheel of release 1.0 with these files."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    written = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: of {folder.name}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*written, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**written, f"{info}/RECORD": record}.items():
            wheel.writestr(zipfile.ZipInfo(file), text)
    return WheelFile(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), layer=layer)


def tiny_lock(wheelhouse: Wheelhouse, python: str) -> Lock:
    """The lock that the wheelhouse is of."""
    packages = tuple(
        LockedPackage(
            name=wheel.path.name.split("-")[0], version="1.0", layer=wheel.layer, hashes=(f"sha256:{wheel.sha256}",)
        )
        for wheel in wheelhouse.wheels
    )
    return Lock(
        environment=Environment(pins=tuple((package.name, package.version) for package in packages)),
        python=python,
        platform=this_platform(),
        as_of=datetime(2024, 1, 1, tzinfo=UTC),
        exemptions=(),
        packages=packages,
        text="",
    )


def job_of(script: str, root: Path, *, env: Mapping[str, str] | None = None, **changes: Any) -> Job:
    """A job for a script of `scripts/` in a new folder; `changes` are fields of Job, `limits` among them."""
    folder = JobFolder(root=root / "job")
    folder.work.mkdir(parents=True, exist_ok=True)
    folder.channel.touch()
    folder.metrics.touch()
    shutil.copy(SCRIPTS / script, folder.work)
    fields: dict[str, Any] = {"argv": (script,), "limits": LIMITS, "cpus": (0,), **changes}
    return Job(key=f"test-{root.name}", folder=folder, env=env or {}, **fields)


def ended(ending: Ending) -> tuple[int | None, int | None, Cut | None]:
    """An ending without its figures."""
    return ending.exit_code, ending.signal, ending.cut


def containers_of(key: str) -> list[str]:
    """The containers of a job."""
    return containers_with(f"{container.TRIAL}={key}")


def containers_with(label: str) -> list[str]:
    """The containers with this label."""
    client = docker.from_env()
    try:
        return [
            str(each.id) for each in client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        ]
    finally:
        client.close()


def processes_of(key: str) -> list[psutil.Process]:
    """The processes of a job that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(orphans.TRIAL) == key and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found

"""The world of a trial as a value: its command, environment variables, folders, data and limits, for every engine.

An engine says where the parts of the world lie as the trial sees them (a `Layout`); all else follows from the job. So
engines differ in how they make a world real, and in nothing that a script could notice otherwise.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.engines.gpu import VISIBLE
from runner.engines.job_limits import FILE_SLACK_BYTES
from runner.errors import UsageError
from runner.matrix.mistakes import RefusedError
from runner.matrix.model import data_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.engines.protocol import Job, JobFolder

PROBE = Path(__file__).parents[1] / "probe"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USUAL_TMP = "/tmp"  # noqa: S108 - where programs look without being told
_SAME_EVERYWHERE = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "USER": "runner",
    "LOGNAME": "runner",
    "MPLBACKEND": "Agg",
    VISIBLE: "",
}
"""Agg draws without a screen, so that `plt.show()` waits for nobody. No GPU is seen unless the matrix asks for one: a
trial that ran on one is another trial."""


GIVEN = frozenset({*_SAME_EVERYWHERE, "PATH", "HOME", "PYTHONPATH", "RUNNER_METRICS", "RUNNER_SEED"})
"""The environment variables that every trial has, whatever its matrix says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The places of a trial's world, as the trial sees them."""

    environment: str
    """Of the installed packages, with `bin/python`."""
    probe: str
    preludes: str
    work: str
    home: str
    tmp: str
    channel: str
    metrics: str
    own_devices: bool = False
    """True where it has no other GPUs than its own, which are numbered from 0; else it is told which they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """A file or folder of this machine, and the place where the trial sees it."""

    source: Path
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedData(Binding):
    """Data that a trial may read; `place` is where it is seen in the job's folder."""

    place: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialWorld:
    """All that a trial finds around it; nothing of the user's own settings is in here."""

    command: tuple[str, ...]
    variables: Mapping[str, str]
    """Variables of the script, and of a shell in its world."""
    probing: Mapping[str, str]
    """Variables of the probe, which removes most of them before the script starts."""
    start: str
    """The folder that the trial starts in: the working directory, or one in it."""
    writable: tuple[Binding, ...]
    """The trial's own folders and files."""
    read_only: tuple[Binding, ...]
    """The probe and the preludes."""
    data: tuple[MappedData, ...]
    file_bytes: int
    """The largest file that the trial may write."""


def host_layout(folder: JobFolder, environment: Path) -> Layout:
    """The layout of a trial that sees this machine as it is: its places are those of its job's folder."""
    return Layout(
        environment=str(environment),
        probe=str(PROBE),
        preludes=str(folder.preludes),
        work=str(folder.work),
        home=str(folder.home),
        tmp=str(folder.tmp),
        channel=str(folder.channel),
        metrics=str(folder.metrics),
    )


def world_of(job: Job, layout: Layout) -> TrialWorld:
    """The world of a job in this layout.

    Raises UsageError where data is mapped to a place that a trial can't have.
    """
    folder = job.folder
    writable = (
        (folder.work, layout.work),
        (folder.home, layout.home),
        (folder.tmp, layout.tmp),
        (folder.channel, layout.channel),
        (folder.metrics, layout.metrics),
    )
    read_only = ((PROBE, layout.probe), *(((folder.preludes, layout.preludes),) if folder.preludes.is_dir() else ()))
    return TrialWorld(
        command=(f"{layout.environment}/bin/python", *job.argv),
        variables=_variables(job, layout),
        probing=_probing(job, layout),
        start=posixpath.join(layout.work, job.start) if job.start else layout.work,
        writable=tuple(Binding(source=source, target=target) for source, target in writable),
        read_only=tuple(Binding(source=source, target=target) for source, target in read_only),
        data=tuple(_mapped(mount.source, mount.target, folder, layout) for mount in job.mounts),
        file_bytes=job.limits.disk_bytes + FILE_SLACK_BYTES,
    )


def make_places(job: Job, world: TrialWorld) -> None:
    """Make the folders and files that the trial writes to, and the folders that its data will be seen in."""
    for folder in (job.folder.work, job.folder.home, job.folder.tmp):
        folder.mkdir(exist_ok=True)
    for file in (job.folder.channel, job.folder.metrics):
        file.touch()
    for data in world.data:
        data.place.parent.mkdir(parents=True, exist_ok=True)


def _variables(job: Job, layout: Layout) -> dict[str, str]:
    return {
        **_SAME_EVERYWHERE,
        **job.env,
        "PATH": f"{layout.environment}/bin:{SYSTEM_PATH}",
        "HOME": layout.home,
        **_devices(job, layout),
        **({} if layout.tmp == _USUAL_TMP else {"TMPDIR": layout.tmp}),
    }


def _devices(job: Job, layout: Layout) -> dict[str, str]:
    if not job.gpus:
        return {}
    return {VISIBLE: ",".join(str(at) if layout.own_devices else gpu.id for at, gpu in enumerate(job.gpus))}


def _probing(job: Job, layout: Layout) -> dict[str, str]:
    return {
        "PYTHONPATH": ":".join([layout.probe, *filter(None, [job.env.get("PYTHONPATH")])]),
        "RUNNER_PROBE": "1",
        "RUNNER_CHANNEL": layout.channel,
        "RUNNER_METRICS": layout.metrics,
        **({"RUNNER_PRELUDES": layout.preludes} if job.folder.preludes.is_dir() else {}),
    }


def _mapped(source: Path, target: str, folder: JobFolder, layout: Layout) -> MappedData:
    try:
        place, inside = data_place(target)
    except RefusedError as error:
        raise UsageError(f"Data cannot be mapped: {error.message}.\nTo mend it, {error.hint}.") from None
    seen, here = {
        "work": (layout.work, folder.work),
        "home": (layout.home, folder.home),
        "beside": (posixpath.dirname(layout.work), folder.root),
    }[place]
    return MappedData(source=source.resolve(), target=posixpath.join(seen, inside), place=here / inside)

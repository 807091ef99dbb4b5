"""What a job's container is given, and what its end means, without an engine."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runner.engines.docker import container
from runner.engines.docker.base_images import seccomp_profile
from runner.engines.docker.container import LAYOUT, run_job, settings
from runner.engines.docker.mounted_files import MountedFiles
from runner.engines.job_limits import Seen
from runner.engines.protocol import Cut, Ending, Job, JobFolder, Limits, Mount
from runner.engines.world import world_of
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMITS = Limits(memory_bytes=512 * 1024**2, disk_bytes=32 * 1024**2, processes=64, timeout_s=60)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = JobFolder(root=tmp_path / "job")
    folder.work.mkdir(parents=True)
    (folder.work / "train.py").touch()
    argv = ("train.py", "--epochs", "3")
    env = {"HOME": "/elsewhere", "PYTHONPATH": "lib", "OMP_NUM_THREADS": "1"}
    return Job(key="k1", folder=folder, argv=argv, env=env, limits=LIMITS, cpus=(0, 2), labels={"cell": "a=1"})


def test_a_container_is_hardened_and_limited(job: Job) -> None:
    given = settings(job, world_of(job, LAYOUT), user="1000:1000", owner="me", mounts=[])
    expected = {
        "command": ["/env/bin/python", "train.py", "--epochs", "3"],
        "user": "1000:1000",
        "working_dir": "/work",
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", f"seccomp={seccomp_profile().read_text()}"],
        "init": True,
        "pids_limit": 64,
        "mem_limit": LIMITS.memory_bytes,
        "memswap_limit": LIMITS.memory_bytes,
        "cpuset_cpus": "0,2",
        "use_config_proxy": False,
        "extra_hosts": {given["hostname"]: "127.0.0.1"},
    }
    assert {name: given[name] for name in expected} == expected
    assert given["labels"] == {
        "convergence-matrix.cell": "a=1",
        "convergence-matrix.owner": "me",
        "convergence-matrix.trial": "k1",
    }
    assert {limit["Name"]: limit["Hard"] for limit in given["ulimits"]} == {
        "fsize": LIMITS.disk_bytes + 1024**2,
        "nofile": 8192,
        "core": 0,
    }
    job = replace(job, network=True)
    given = settings(job, world_of(job, LAYOUT), user="1:1", owner="me", mounts=[])
    assert (given["network_mode"], given["extra_hosts"]) == ("bridge", {})


def test_only_the_jobs_own_folders_and_files_can_be_written(job: Job, tmp_path: Path) -> None:
    job = replace(job, mounts=(Mount(source=tmp_path, target="~/.keras/datasets"), Mount(source=tmp_path, target="d")))
    with MountedFiles().given("image", world_of(job, LAYOUT), {}) as mounts:
        seen = {mount["Target"]: mount["ReadOnly"] for mount in mounts}
    assert seen == {
        "/work": False,
        "/home/runner": False,
        "/tmp": False,
        "/runner/record/channel": False,
        "/runner/record/metrics": False,
        "/runner/probe": True,
        "/home/runner/.keras/datasets": True,
        "/work/d": True,
    }


def test_the_places_of_mapped_data_belong_to_the_job(job: Job, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (job.folder.work / "link").symlink_to(tmp_path / "file")
    targets = ((tmp_path / "file", "data/one.csv"), (tmp_path / "folder", "~/sets/two"))
    job = replace(job, mounts=tuple(Mount(source=source, target=target) for source, target in targets))
    user = MountedFiles().prepare(job, world_of(job, LAYOUT))
    uid = int(user.partition(":")[0])
    assert uid != 0
    made = (job.folder.work / "data" / "one.csv", job.folder.home / "sets" / "two", job.folder.work / "train.py")
    assert [path.stat().st_uid for path in made] == [uid] * 3
    assert (made[0].is_file(), made[1].is_dir()) == (True, True)
    assert (job.folder.work / "link").lstat().st_uid == uid
    assert (tmp_path / "file").stat().st_uid == os.getuid()


def state(**changes: Any) -> dict[str, Any]:
    times = {"StartedAt": "2026-11-24T23:32:03.11507365Z", "FinishedAt": "2026-11-24T23:32:05.61507365Z"}
    return {"ExitCode": 0, "OOMKilled": False, **times, **changes}


@pytest.mark.parametrize(
    ("words", "cut", "expected"),
    [
        (state(), None, (0, None, None)),
        (state(ExitCode=1), None, (1, None, None)),
        (state(ExitCode=255), None, (255, None, None)),
        (state(ExitCode=137), None, (None, 9, None)),
        (state(ExitCode=139), None, (None, 11, None)),
        (state(ExitCode=137, OOMKilled=True), None, (None, 9, Cut.MEMORY)),
        (state(ExitCode=0, OOMKilled=True), None, (0, None, None)),
        (state(ExitCode=137, OOMKilled=True), Cut.TIMEOUT, (None, 9, Cut.TIMEOUT)),
        (state(ExitCode=143), Cut.TIMEOUT, (None, 15, Cut.TIMEOUT)),
    ],
)
def test_the_end_of_a_container_is_told_as_it_was(
    words: dict[str, Any], cut: Cut | None, expected: tuple[int | None, int | None, Cut | None]
) -> None:
    ending = container._ending(words, Seen(cut=cut, peak_memory_bytes=7), truncated=True)
    assert (ending.exit_code, ending.signal, ending.cut) == expected
    assert (ending.duration_s, ending.peak_memory_bytes, ending.log_truncated) == (2.5, 7, True)


def test_data_that_trials_may_not_read_is_the_machines_trouble_and_not_the_scripts(
    job: Job, tmp_path: Path, not_run: Callable[[str], None]
) -> None:
    if os.getuid() != 0:
        not_run("trials run as the same user")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text("1,2\n")
    (folder / "train.csv").chmod(0o600)
    closed = replace(job, mounts=(Mount(source=folder, target="data"),))
    with pytest.raises(MachineError, match=r"train\.csv can't be read by trials(.|\n)*chmod -R o\+rX"):
        MountedFiles().prepare(closed, world_of(closed, LAYOUT))
    (folder / "train.csv").chmod(0o644)
    MountedFiles().prepare(closed, world_of(closed, LAYOUT))


@pytest.mark.parametrize(
    ("are_here", "fails", "expected"), [(True, False, "let go"), (False, False, "removed"), (True, True, "removed")]
)
def test_a_container_that_ended_goes_beside_what_comes_next_unless_its_volumes_or_its_job_must_go_first(
    job: Job, monkeypatch: pytest.MonkeyPatch, *, are_here: bool, fails: bool, expected: str
) -> None:
    gone: list[str] = []
    client: Any = SimpleNamespace()
    files: Any = SimpleNamespace(are_here=are_here, prepare=lambda *_: "1:1", given=lambda *_: nullcontext([]))
    ending: Any = SimpleNamespace()

    def beside(_: object) -> None:
        gone.append("let go")

    def ended(*_: object) -> Ending:
        if fails:
            raise MachineError("the log could not be written")
        return ending

    monkeypatch.setattr(container, "_create", lambda *_: None)
    monkeypatch.setattr(container, "_ended", ended)
    monkeypatch.setattr(container, "remove", lambda _: gone.append("removed"))
    image: Any = SimpleNamespace(reference="image")
    raised = pytest.raises(MachineError) if fails else nullcontext()
    with raised:
        assert run_job(client, image, job, files=files, owner="me", interrupted=Event(), let_go=beside) is ending
    assert gone == [expected]

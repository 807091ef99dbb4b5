"""Files that home sends to a worker of a cluster: data, and what an environment installs."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("distributed")

from runner.cache import cache_folder
from runner.engines.protocol import Mount
from runner.environments.file_store import stored
from runner.environments.lock import Environment, Layer, LockedPackage, OwnPackage
from runner.environments.lockfile import finished
from runner.environments.own_project import own_file
from runner.errors import MachineError
from runner.laboratory.cluster import worker_files
from runner.laboratory.cluster.cargo import Cargo
from runner.laboratory.cluster.worker_files import (
    DataMissingError,
    keep_data,
    keep_file,
    local_mounts,
    sweep_coming,
    sweep_folders,
    take_piece,
)
from runner.trials.store import Store
from runner.trials.trial import data_digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from runner.environments.lock import Lock
    from runner.trials.trial import Setting


class There:
    """A client whose one worker is this process, with another cache."""

    def __init__(self, patch: pytest.MonkeyPatch, cache: Path) -> None:
        self.patch, self.cache = patch, cache
        self.asked: list[str] = []

    def run(self, function: Any, *values: object, workers: list[str], on_error: str) -> dict[str, object]:
        return {workers[0]: self.at(function, *values)}

    def at(self, function: Any, *values: object) -> Any:
        self.asked.append(function.__name__)
        with self.patch.context() as patch:
            patch.setenv("RUNNER_CACHE", str(self.cache))
            given = function(*values)
            return asyncio.run(given) if inspect.iscoroutine(given) else given


class Shared:
    """What of a setting the sending of data looks at."""

    def __init__(self, mounts: tuple[Mount, ...], digest: str) -> None:
        self.mounts, self.data_digest = mounts, digest


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> There:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "here"))
    return There(monkeypatch, tmp_path / "there")


def sending(there: There) -> Cargo:
    return Cargo(there, "tcp://w", "w", piece_bytes=4, ends=lambda: False)  # type: ignore[arg-type]


def setting_of(*mounts: Mount) -> Setting:
    with Store(cache_folder() / "hashes.sqlite") as store:
        return Shared(mounts, data_digest_of(mounts, store))  # type: ignore[return-value]


def data(folder: Path) -> tuple[Mount, Mount]:
    (folder / "many" / "deep").mkdir(parents=True)
    (folder / "one.txt").write_text("one file")
    (folder / "many" / "deep" / "two.txt").write_text("two files, of several pieces")
    (folder / "many" / "empty").touch()
    return Mount(source=folder / "one.txt", target="one.txt"), Mount(source=folder / "many", target="~/many")


def test_data_is_taken_from_the_same_path_where_it_is_the_same(there: There, tmp_path: Path) -> None:
    mounts = data(tmp_path / "data")
    assert there.at(local_mounts, setting_of(*mounts), "run") == mounts


def test_data_that_lies_elsewhere_is_sent_whole_and_once(there: There, tmp_path: Path) -> None:
    mounts = data(tmp_path / "data")
    setting = setting_of(*mounts)
    sending(there).send_data(setting)
    (tmp_path / "data" / "one.txt").write_text("another")  # the worker's own of the same name
    one, many = there.at(local_mounts, setting, "run")
    assert (one.source.read_text(), one.target, many.target) == ("one file", "one.txt", "~/many")
    assert (many.source / "deep" / "two.txt").read_text() == "two files, of several pieces"
    assert (many.source / "empty").read_bytes() == b""
    assert list((there.cache / "coming").iterdir()) == []


def test_data_that_is_nowhere_is_asked_for(there: There, tmp_path: Path) -> None:
    mounts = data(tmp_path / "data")
    setting = setting_of(*mounts)
    mounts[0].source.write_text("another")
    with pytest.raises(DataMissingError):
        there.at(local_mounts, setting, "run")


def test_data_of_many_trials_of_one_machine_is_sent_once(there: There, tmp_path: Path) -> None:
    setting = setting_of(*data(tmp_path / "data"))
    sending(there).send_data(setting)
    there.asked.clear()
    sending(there).send_data(setting)
    assert there.asked == ["has_data"]


def test_data_that_has_another_name_at_home_now_is_the_same(there: There, tmp_path: Path) -> None:
    one, many = data(tmp_path / "data")
    sending(there).send_data(setting_of(one, many))
    renamed = replace(one, source=one.source.rename(tmp_path / "data" / "other.txt"))
    setting = setting_of(renamed, many)
    (tmp_path / "data" / "other.txt").write_text("another")
    assert there.at(local_mounts, setting, "run")[0].source.read_text() == "one file"


def test_what_was_sent_and_changed_on_the_worker_is_sent_again_in_the_next_run(there: There, tmp_path: Path) -> None:
    mounts = data(tmp_path / "data")
    setting = setting_of(*mounts)
    sending(there).send_data(setting)
    (tmp_path / "data" / "many" / "empty").write_text("not here")
    kept = there.at(local_mounts, setting, "run")[0].source
    kept.write_text("less")
    with pytest.raises(DataMissingError):
        there.at(local_mounts, setting, "next")
    (tmp_path / "data" / "many" / "empty").write_text("")
    sending(there).send_data(setting)
    assert kept.read_text() == "one file"


def test_a_data_folder_without_files_is_there(there: There, tmp_path: Path) -> None:
    one, many = data(tmp_path / "data")
    (tmp_path / "data" / "none").mkdir()
    setting = setting_of(one, Mount(source=tmp_path / "data" / "none", target="none"), many)
    sending(there).send_data(setting)
    shutil.rmtree(tmp_path / "data")
    assert there.at(local_mounts, setting, "run")[1].source.is_dir()


def test_data_that_two_homes_send_at_once_is_there_once(there: There, tmp_path: Path) -> None:
    setting = setting_of(*data(tmp_path / "data"))
    for token in ("one", "other"):
        for number, mount in enumerate(setting.mounts):
            target = there.cache / "coming" / token / str(number)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(mount.source, target) if mount.source.is_dir() else shutil.copy(mount.source, target)
    asked = (setting.mounts, setting.data_digest)

    def meanwhile(*_: object) -> bool:
        there.patch.setattr(worker_files, "_is", lambda *_: True)
        assert there.at(worker_files._keep_data, *asked, "other")
        return True

    there.patch.setattr(worker_files, "_is", meanwhile)
    assert there.at(keep_data, *asked, "one")
    assert list((there.cache / "coming").iterdir()) == []


def test_data_in_a_folder_that_is_closed_to_the_worker_is_asked_for(
    there: There, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = setting_of(*data(tmp_path / "data"))

    def refused(path: Path) -> bool:
        if path.is_relative_to(tmp_path / "data"):
            raise PermissionError(13, "Permission denied", str(path))
        return False

    monkeypatch.setattr("pathlib.Path.exists", refused)
    with pytest.raises(DataMissingError):
        local_mounts(setting, "run")


def test_what_is_read_whole_does_not_hold_up_the_thread_in_which_a_worker_answers() -> None:
    assert all(inspect.iscoroutinefunction(one) for one in (keep_data, keep_file))


def test_data_that_changed_on_its_way_is_refused(there: There, tmp_path: Path) -> None:
    mounts = data(tmp_path / "data")
    setting = setting_of(*mounts)
    mounts[0].source.write_text("another")
    with pytest.raises(MachineError, match="did not arrive on worker w as it is here"):
        sending(there).send_data(setting)


def lock_of(content: bytes) -> Lock:
    package = LockedPackage(
        name="six", version="1.16.0", layer=Layer.BASE, hashes=(f"sha256:{hashlib.sha256(content).hexdigest()}",)
    )
    environment = Environment(pins=(("six", "1.16.0"),))
    return finished(environment=environment, python="3.11", as_of=None, exemptions=(), packages=[package])


def test_a_file_that_a_worker_lacks_comes_by_its_hash_and_is_sent_once(there: There) -> None:
    content = b"a wheel of several pieces"
    sha256 = hashlib.sha256(content).hexdigest()
    file = cache_folder() / "files" / sha256 / "six-1.16.0-py3-none-any.whl"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    lock, told = lock_of(content), list[str]()
    assert sending(there).send_files(lock, None, told.append) == 1  # type: ignore[arg-type]
    came = there.at(stored, sha256)
    assert (came.name, came.read_bytes(), came != file) == (file.name, content, True)
    assert sending(there).send_files(replace(lock), None, told.append) == 0  # type: ignore[arg-type]
    assert told == ["sending six-1.16.0-py3-none-any.whl to worker w"]


def test_what_the_users_own_project_is_installed_from_is_sent_as_the_other_files_are(there: There) -> None:
    content, own = b"a wheel of the index", b"a wheel of the project"
    shas = [hashlib.sha256(one).hexdigest() for one in (content, own)]
    lock = lock_of(content)
    project = OwnPackage(
        folder=cache_folder() / "nowhere",
        name="mine",
        version="1.0",
        sha256=shas[1],
        requires=(),
        requires_python="",
        digest="d",
        modules=("mine",),
    )
    lock, told = replace(lock, environment=replace(lock.environment, own=project)), list[str]()
    for sha256, name, text in zip(shas, ("six-1.16.0", "mine-1.0"), (content, own), strict=True):
        file = cache_folder() / "files" / sha256 / f"{name}-py3-none-any.whl"
        file.parent.mkdir(parents=True)
        file.write_bytes(text)
    with pytest.raises(MachineError, match="what mine is installed from is not in this"):
        there.at(own_file, project)
    assert sending(there).send_files(lock, None, told.append) == 2  # type: ignore[arg-type]
    assert there.at(own_file, project).read_bytes() == own
    assert sending(there).send_files(lock, None, told.append) == 0  # type: ignore[arg-type]
    assert [one.split()[1] for one in told] == ["six-1.16.0-py3-none-any.whl", "mine-1.0-py3-none-any.whl"]


def test_what_a_killed_home_began_to_send_goes_a_week_later(there: There) -> None:
    for token in ("left", "comes"):
        there.at(take_piece, f"{token}/0/six.whl", 0, b"half")
    os.utime(there.cache / "coming" / "left", (0, 0))
    there.at(sweep_coming)
    assert [path.name for path in (there.cache / "coming").iterdir()] == ["comes"]


def test_a_file_that_is_not_what_it_should_be_is_not_kept(there: There) -> None:
    there.at(take_piece, "token/six.whl", 0, b"other")
    assert there.at(keep_file, "token/six.whl", "0" * 64) is False
    assert not list(there.cache.glob("files/*"))


def test_what_a_killed_worker_left_goes_with_the_next_one_and_what_lives_stays(tmp_path: Path) -> None:
    mine, other, killed = (tmp_path / f"worker-{name}" for name in ("mine", "other", "killed"))
    for folder in (mine, other, killed):
        (folder / "convergence-matrix-run" / ".runner" / "jobs").mkdir(parents=True)
    (tmp_path / "worker-other.dirlock").touch()
    sweep_folders(mine)
    assert killed.exists()  # Dask was told to lock nothing: nobody knows who lives
    (tmp_path / "worker-mine.dirlock").touch()
    sweep_folders(mine)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["worker-mine", "worker-other"]
    assert (other / "convergence-matrix-run").exists()


def test_a_worker_that_does_not_answer_takes_no_files_and_is_told_as_that() -> None:
    client: Any = type("Cut", (), {"run": lambda *_, **__: {}})()
    cargo = Cargo(client, "tcp://w", "w", ends=lambda: True)
    lock: Any = SimpleNamespace(packages=(), environment=SimpleNamespace(own=None))
    with pytest.raises(MachineError, match="Worker w does not answer"):
        cargo.send_files(lock, None, lambda _: None)  # type: ignore[arg-type]

"""Folders of this tool's own: no link is followed, and all that anybody can leave in one can be removed."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.errors import MachineError, UsageError
from runner.open_folder import OpenFolder
from runner.own_folder import OwnFolder, remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def own(tmp_path: Path) -> OwnFolder:
    (tmp_path / "victim" / "precious").mkdir(parents=True)
    (tmp_path / "victim" / "keys").write_text("ours")
    (tmp_path / "matrix").mkdir()
    return OwnFolder.at(tmp_path / "matrix" / ".runner")


def untouched(folder: Path) -> bool:
    victim = folder / "victim"
    return {path.name for path in victim.iterdir()} == {"precious", "keys"} and (victim / "keys").read_text() == "ours"


WAYS = {
    "write": lambda own: own.write("jobs/keys", b"theirs"),
    "write deeper": lambda own: own.write("jobs/precious/keys", b"theirs"),
    "write in parts": lambda own: own.write_parts("jobs/keys", [b"the", b"irs"]),
    "hold": lambda own: own.held("jobs/keys"),
    "remove": lambda own: own.remove("jobs/precious"),
    "make": lambda own: own.new_folder("jobs/precious"),
    "list": lambda own: own.names("jobs"),
    "read": lambda own: own.read("jobs/keys"),
    "check": lambda own: own.checked("jobs/keys"),
}


def test_a_file_that_is_written_in_parts_is_left_alone_where_it_is_the_same_and_never_seen_half(own: OwnFolder) -> None:
    assert own.write_parts("a/b", [b"one", b"two"])
    then = (own.path / "a" / "b").stat()
    assert not own.write_parts("a/b", iter([b"onetw", b"o"]))
    assert (own.path / "a" / "b").stat() == then
    seen = []

    def parts() -> Iterator[bytes]:
        yield b"three"
        seen.append((own.path / "a" / "b").read_bytes())
        yield b"four"
        if len(seen) > 1:
            raise ValueError("no more")

    assert own.write_parts("a/b", parts())
    with pytest.raises(ValueError, match="no more"):
        own.write_parts("a/b", parts())
    assert seen == [b"onetwo", b"threefour"]
    assert (own.path / "a" / "b").read_bytes() == b"threefour"
    assert own.names("a") == ["b"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("linked", [".runner", ".runner/jobs"])
def test_a_folder_that_is_a_link_is_one_message_and_nothing_is_touched(
    own: OwnFolder, tmp_path: Path, way: str, linked: str
) -> None:
    place = tmp_path / "matrix" / linked
    place.parent.mkdir(exist_ok=True)
    place.symlink_to("../" * len(Path(linked).parts) + "victim")
    (tmp_path / "victim" / "jobs").symlink_to(".") if linked == ".runner" else None
    with pytest.raises(UsageError, match=rf"{place} is a link.* Delete it; to keep it on another disk, "):
        WAYS[way](own)
    (tmp_path / "victim" / "jobs").unlink(missing_ok=True)
    assert untouched(tmp_path)


@pytest.mark.parametrize("way", ["write", "hold", "read", "check"])
def test_a_file_that_is_a_link_is_not_written_through(own: OwnFolder, tmp_path: Path, way: str) -> None:
    own.write("jobs/other", b"")
    (own.path / "jobs" / "keys").symlink_to(tmp_path / "victim" / "keys")
    with pytest.raises(UsageError, match="keys is a link"):
        WAYS[way](own)
    assert untouched(tmp_path)


def test_what_is_removed_is_the_link(own: OwnFolder, tmp_path: Path) -> None:
    own.write("jobs/other", b"")
    for name in ("precious", "keys"):
        (own.path / "jobs" / name).symlink_to(tmp_path / "victim" / name)
        assert own.remove(f"jobs/{name}")
    assert own.names("jobs") == ["other"]
    assert untouched(tmp_path)


def test_a_pipe_is_not_waited_for(own: OwnFolder) -> None:
    own.write("jobs/other", b"")
    os.mkfifo(own.path / "claim")
    with pytest.raises(UsageError, match="claim is neither a file nor a folder"):
        own.held("claim")


def test_links_above_the_matrix_are_the_users_own(own: OwnFolder, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to("matrix")
    OwnFolder.at(tmp_path / "short" / ".runner").write("a/b", b"content")
    assert own.read("a/b") == b"content"
    assert own.names() == ["a"]
    assert own.inner("a").names() == ["b"]


def test_a_folder_of_another_user_is_not_written_to(own: OwnFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    own.write("a", b"")
    own.path.chmod(0o755)
    status = os.fstat

    def of_others(descriptor: int) -> object:
        found = list(status(descriptor))
        found[4] = 4242 if Path(f"/proc/self/fd/{descriptor}").readlink().name == ".runner" else found[4]
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", of_others)
    with pytest.raises(UsageError, match=r"\.runner in .* belongs to another user \(4242\)"):
        own.write("a", b"")


def test_a_disk_that_refuses_is_said_with_what_to_do_and_leaves_nothing(
    own: OwnFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    own.write("a", b"before")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(MachineError, match=r"a can't be read or written \(No space left on device\)"):
        own.write("a", b"after")
    assert (own.names(), own.read("a")) == (["a"], b"before")


def _long(folder: Path) -> None:
    os.chdir(folder)
    for _ in range(18):
        Path("n" * 250).mkdir()
        os.chdir("n" * 250)
        Path("file").touch()


def _deep(folder: Path) -> None:
    os.chdir(folder)
    for _ in range(1500):
        Path("d").mkdir()
        os.chdir("d")


def _closed(folder: Path) -> None:
    for name in ("a/b/c", "d/e"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch()
    for name in ("a/b/c", "a/b", "a", "d/e", "d", "."):
        (folder / name).chmod(0)


def _read_only(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").touch()
    for name in ("a/b", "a", "."):
        (folder / name).chmod(0o500)


def _bytes(folder: Path) -> None:
    place = folder / os.fsdecode(b"\xff")
    place.mkdir()
    (place / os.fsdecode(b"\xfe")).touch()


def _many(folder: Path) -> None:
    for number in range(3000):
        (folder / str(number)).touch()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may write to, and that `rm` removes: pytest's own way gives up where trees are deep."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True)


@pytest.mark.parametrize("lay", [_long, _deep, _closed, _read_only, _bytes, _many])
@pytest.mark.parametrize("user", [65532, 0])
def test_whatever_a_trial_leaves_can_be_removed(lay: Callable[[Path], None], user: int, place: Path) -> None:
    """In a process of its own, since rights mean nothing to root, and paths as long as these can only be walked to."""
    if user != os.geteuid() and os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(user)
            (place / "job").mkdir()
            lay(place / "job")
            code = 0 if remove_tree("job", OpenFolder(place)) else 2
        except BaseException:  # noqa: BLE001 - it must not go on as pytest
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(place.iterdir()) == []


def test_what_the_system_protects_stays_and_is_put_aside(own: OwnFolder) -> None:
    held = own.new_folder("jobs/key")
    (held / "file").touch()
    if subprocess.run(["chattr", "+i", held / "file"], capture_output=True, check=False).returncode:
        pytest.skip("files can't be made immutable here")
    try:
        assert not own.remove("jobs/key")
        assert list(own.new_folder("jobs/key").iterdir()) == []
        assert [name.partition("-")[0] for name in own.names("jobs")] == ["key", "left"]
    finally:
        for left in own.path.glob("jobs/*/file"):
            subprocess.run(["chattr", "-i", left], check=True)

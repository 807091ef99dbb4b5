"""A file system of a fixed size: what a job holds on it is told, no more fits, and it goes, whoever was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.sized_disk import DISK, sized, unmount_below, used_bytes, why_watched

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = 1024**2
NAMES = ("work", "home")


@pytest.fixture
def root(tmp_path: Path, not_run: Callable[[str], None]) -> Path:
    if reason := why_watched():
        not_run(reason)
    folder = tmp_path / "a folder"
    folder.mkdir()
    return folder


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def test_what_is_hidden_counts_and_no_more_than_its_size_fits(root: Path) -> None:
    with sized(root, NAMES, 8 * MEGABYTE) as is_so:
        assert is_so
        assert used_bytes(root) < MEGABYTE  # type: ignore[operator]
        with (root / "work" / "hidden").open("wb", buffering=0) as file:
            (root / "work" / "hidden").unlink()
            file.write(bytes(4 * MEGABYTE))
            assert 4 * MEGABYTE <= used_bytes(root) < 5 * MEGABYTE  # type: ignore[operator]
            with pytest.raises(OSError, match="No space left"):
                file.writelines(os.urandom(MEGABYTE) for _ in range(100))
        (root / "home" / "note").write_text("one disk")
        assert (root / DISK / "home" / "note").read_text() == "one disk"
    assert used_bytes(root) is None
    assert str(root).replace(" ", "\\040") not in mounts()
    assert list((root / "work").iterdir()) == []


@pytest.mark.parametrize("way", ["link", "a folder/.."])
def test_it_goes_however_the_job_s_folder_is_named(way: str, root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    job = tmp_path / way / "job"
    job.mkdir()
    with sized(job, NAMES, MEGABYTE) as is_so:
        assert is_so
    assert used_bytes(job) is None


def test_a_link_in_place_of_a_folder_leads_to_no_mount(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    with sized(root, NAMES, MEGABYTE):
        unmount_below(tmp_path / "link")
        assert used_bytes(root) is not None


def test_many_empty_files_fill_it_too(root: Path) -> None:
    with sized(root, NAMES, MEGABYTE):
        for number in range(200):
            (root / "work" / f"{number}").touch()
        assert used_bytes(root) >= 200 * 4096  # type: ignore[operator]


def test_what_a_killed_runner_left_mounted_is_taken_away_and_nothing_else(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    program = (
        "import os, signal, sys; from pathlib import Path; from runner.sized_disk import sized\n"
        f"held = sized(Path(sys.argv[1]), {NAMES}, 1 << 20); held.__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, str(root)], env=environment, check=False)
    assert used_bytes(root) is not None
    with sized(tmp_path / "other", NAMES, MEGABYTE):
        unmount_below(root)
        assert used_bytes(root) is None
        assert used_bytes(tmp_path / "other") is not None

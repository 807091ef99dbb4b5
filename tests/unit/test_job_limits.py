"""What the watch of a job sees: disk without following links, and which limit was passed first."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import pytest

from runner.engines.job_limits import BLOCK_BYTES, DEEPEST, disk_bytes, watch
from runner.engines.protocol import Cut, Job, JobFolder, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

LIMITS = Limits(memory_bytes=1000, disk_bytes=10 * BLOCK_BYTES, processes=9, timeout_s=60, channel_bytes=100)
ENOUGH = 1024**3


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    folder = JobFolder(root=tmp_path)
    for each in (folder.work, folder.home, folder.tmp):
        each.mkdir()
    folder.channel.touch()
    folder.metrics.touch()
    return folder


class FakeRunning:
    """A job that ends after some looks; `meanwhile` happens at each of them."""

    def __init__(self, looks: int, memory: Iterable[int] = (), meanwhile: Callable[[], object] = bool) -> None:
        self.looks = looks
        self.memory = iter(memory)
        self.meanwhile = meanwhile
        self.folder: JobFolder | None = None

    def ended(self, wait_s: float) -> bool:
        self.meanwhile()
        self.looks -= 1
        return self.looks <= 0

    def memory_bytes(self) -> int | None:
        return next(self.memory, None)

    def written_bytes(self, *, enough: int, last: bool) -> int:
        return disk_bytes(self.folder, enough=enough) if self.folder else 0


def job_in(folder: JobFolder, limits: Limits = LIMITS) -> Job:
    return Job(key="k", folder=folder, argv=("x.py",), env={}, limits=limits, cpus=(0,))


def test_all_that_a_job_writes_counts_and_every_entry_as_one_block_at_least(folder: JobFolder) -> None:
    (folder.work / "a" / "b").mkdir(parents=True)
    (folder.work / "a" / "b" / "weights").write_bytes(b"x" * 5 * BLOCK_BYTES)
    (folder.home / "empty").touch()
    (folder.tmp / "scratch").write_bytes(b"x")
    assert disk_bytes(folder, enough=ENOUGH) == (2 + 5 + 1 + 1) * BLOCK_BYTES


def test_links_are_counted_and_not_followed(folder: JobFolder, tmp_path_factory: pytest.TempPathFactory) -> None:
    victim = tmp_path_factory.mktemp("victim")
    (victim / "large").write_bytes(b"x" * 100 * BLOCK_BYTES)
    (folder.work / "folder").symlink_to(victim)
    (folder.work / "file").symlink_to(victim / "large")
    (folder.work / "loop").symlink_to(folder.work)
    assert disk_bytes(folder, enough=ENOUGH) == 3 * BLOCK_BYTES


def test_a_root_that_became_a_link_is_not_followed(folder: JobFolder, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder.tmp.rmdir()
    folder.tmp.symlink_to(tmp_path_factory.mktemp("victim"))
    assert disk_bytes(folder, enough=ENOUGH) > ENOUGH


def test_a_file_with_several_names_counts_once(folder: JobFolder) -> None:
    (folder.work / "one").write_bytes(b"x" * 5 * BLOCK_BYTES)
    os.link(folder.work / "one", folder.work / "two")
    assert disk_bytes(folder, enough=ENOUGH) == 5 * BLOCK_BYTES


def test_deleted_files_that_are_held_open_count(folder: JobFolder) -> None:
    gc.collect()
    before = disk_bytes(folder, [os.getpid()], enough=ENOUGH)  # of what other tests of this process still hold
    with (folder.work / "hidden").open("wb") as held:
        (folder.work / "hidden").unlink()
        held.write(b"x" * 50 * BLOCK_BYTES)
        held.flush()
        assert disk_bytes(folder, [os.getpid()], enough=ENOUGH) == before + 50 * BLOCK_BYTES
    assert disk_bytes(folder, [os.getpid()], enough=ENOUGH) == before


def test_a_tree_too_deep_to_look_into_is_over_any_limit(folder: JobFolder) -> None:
    place = folder.work
    for _ in range(DEEPEST):
        place /= "d"
        place.mkdir()
    assert disk_bytes(folder, enough=ENOUGH) > ENOUGH


def test_a_look_stops_once_it_has_seen_enough(folder: JobFolder) -> None:
    for number in range(100):
        (folder.work / str(number)).touch()
    assert disk_bytes(folder, enough=10 * BLOCK_BYTES) == 11 * BLOCK_BYTES


def test_a_job_that_keeps_its_limits_is_not_cut_and_its_peak_is_known(folder: JobFolder) -> None:
    seen = watch(job_in(folder), FakeRunning(3, [100, 900, 300]), Event())
    assert (seen.cut, seen.peak_memory_bytes) == (None, 900)


def test_too_much_memory_cuts(folder: JobFolder) -> None:
    assert watch(job_in(folder), FakeRunning(9, [100, 1001]), Event()).cut is Cut.MEMORY


def test_a_time_that_is_up_cuts(folder: JobFolder) -> None:
    assert watch(job_in(folder, replace(LIMITS, timeout_s=0.0)), FakeRunning(9), Event()).cut is Cut.TIMEOUT


@pytest.mark.parametrize("name", ["channel", "metrics"])
def test_too_much_in_the_channel_cuts(name: str, folder: JobFolder) -> None:
    running = FakeRunning(9, meanwhile=lambda: (folder.root / name).write_bytes(b"x" * 101))
    assert watch(job_in(folder), running, Event(), slowest_scan_s=0.0).cut is Cut.CHANNEL


def test_a_job_that_ends_with_too_much_on_disk_was_over_its_limit(folder: JobFolder) -> None:
    running = FakeRunning(1, meanwhile=lambda: (folder.work / "big").write_bytes(b"x" * 11 * BLOCK_BYTES))
    running.folder = folder
    assert watch(job_in(folder), running, Event()).cut is Cut.DISK


def test_an_interruption_cuts_before_any_limit(folder: JobFolder) -> None:
    interrupted = Event()
    interrupted.set()
    seen = watch(job_in(folder, replace(LIMITS, timeout_s=0.0)), FakeRunning(9), interrupted)
    assert seen.cut is Cut.INTERRUPTED

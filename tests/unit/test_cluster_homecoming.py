"""What a worker gives of a trial that ended, and how it lies at home then."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("distributed")

from runner.errors import MachineError, RunnerError
from runner.laboratory.cluster import homecoming
from runner.laboratory.cluster.errand import Finished
from runner.laboratory.cluster.homecoming import HomeError, bring_home
from runner.open_folder import OpenFolder
from runner.trials.job_files import Workplace
from runner.trials.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RECORD = Record(
    key="a" * 32,
    cell={"six": "1.16.0"},
    seed=0,
    engine="venv",
    stage="training",
    exit_code=0,
    started_at=datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
    duration_s=1.0,
)


class Worker:
    """A client whose one worker has artifacts, by name."""

    def __init__(self, **artifacts: bytes) -> None:
        self.artifacts = artifacts

    def run(self, function: Any, *values: Any, workers: list[str], on_error: str) -> dict[str, object]:
        if function.__name__ != "read_piece":
            return {workers[0]: None}
        _, _, name, offset, most = values
        return {workers[0]: self.artifacts[name][offset : offset + most]}


def brought(folder: Path, worker: Worker, *artifacts: tuple[str, int], key: str = RECORD.key) -> Record:
    finished = Finished(record=RECORD, log=b"printed", artifacts=artifacts)
    place = Workplace.beside(folder)
    return bring_home(finished, key, client=worker, address="tcp://w", run="run", workplace=place)  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    root = folder / ".runner"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_artifacts_come_piece_by_piece_and_those_of_an_earlier_run_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homecoming, "PIECE_BYTES", 4)
    log = {f"logs/{RECORD.key}.log": b"printed"}
    names = ("model", 10), ("empty", 0)
    assert brought(tmp_path, Worker(model=b"0123456789", empty=b""), *names) == RECORD
    kept = {f"artifacts/{RECORD.key}/model": b"0123456789", f"artifacts/{RECORD.key}/empty": b""}
    assert files(tmp_path) == log | kept
    brought(tmp_path, Worker())
    assert files(tmp_path) == log


@pytest.mark.parametrize("name", ["../../outside", "a/../../../outside", ".."])
def test_a_name_that_leads_elsewhere_writes_nothing_there(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "deep" / "matrix"
    inside.mkdir(parents=True)
    with pytest.raises((RunnerError, OSError, ValueError)):
        brought(inside, Worker(**{name: b"evil"}), (name, 4))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_not_as_long_as_it_was_said_and_another_trial_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="did not come home"):
        brought(tmp_path, Worker(model=b"0123"), ("model", 10))
    with pytest.raises(MachineError, match="where b was asked for"):
        brought(tmp_path, Worker(), key="b")


def test_a_disk_that_is_full_at_home_is_homes_and_keeps_nothing_of_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = OpenFolder.save

    def full(folder: OpenFolder, name: str, chunks: Iterable[bytes], *, synced: bool = False) -> None:
        save(folder, name, [b"", *chunks][:2], synced=synced)
        if name == "model":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(OpenFolder, "save", full)
    with pytest.raises(HomeError, match=r"can't be kept in .*: No space left on device\. What is"):
        brought(tmp_path, Worker(small=b"01", model=b"0123"), ("small", 2), ("model", 4))
    assert files(tmp_path) == {}
    assert brought(tmp_path, Worker(small=b"01"), ("small", 2)) == RECORD

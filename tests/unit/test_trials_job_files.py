"""Artifacts come out of a folder that an attacker may have filled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runner.trials import job_files
from runner.trials.job_files import collect

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "models" / "deep").mkdir(parents=True)
    (folder / "models" / "a.h5").write_bytes(b"a")
    (folder / "models" / "deep" / "b.h5").write_bytes(b"bb")
    (folder / "notes.txt").write_text("n")
    return folder


def test_only_what_matches_comes_back(work: Path, tmp_path: Path) -> None:
    assert collect(work, ["models/*.h5"], tmp_path / "out") == ("models/a.h5", "models/deep/b.h5")
    assert (tmp_path / "out/models/deep/b.h5").read_bytes() == b"bb"
    assert not (tmp_path / "out/notes.txt").exists()


def test_without_patterns_nothing_is_made(work: Path, tmp_path: Path) -> None:
    assert collect(work, (), tmp_path / "out") == ()
    assert not (tmp_path / "out").exists()


def test_no_link_leads_out_of_the_folder(work: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.h5").write_text("secret")
    (work / "link.h5").symlink_to(secret / "key.h5")
    (work / "folder").symlink_to(secret)
    os.link(secret / "key.h5", work / "hard.h5")
    os.mkfifo(work / "pipe.h5")
    assert collect(work, ["*.h5"], tmp_path / "out") == ("models/a.h5", "models/deep/b.h5")


def test_number_and_size_are_bounded(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_files, "MAX_BYTES", 2)
    assert collect(work, ["*"], tmp_path / "out") == ("models/a.h5", "notes.txt")
    monkeypatch.setattr(job_files, "MAX_FILES", 1)
    assert len(collect(work, ["*"], tmp_path / "out")) == 1


def test_what_an_earlier_trial_left_is_not_mixed_in(work: Path, tmp_path: Path) -> None:
    collect(work, ["*.txt"], tmp_path / "out")
    collect(work, ["*.h5"], tmp_path / "out")
    assert not (tmp_path / "out/notes.txt").exists()


def test_folders_in_folders_are_left_alone_from_some_depth_on(tmp_path: Path) -> None:
    deep = tmp_path / "work"
    for _ in range(100):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "a.csv").touch()
    (tmp_path / "work" / "d" / "b.csv").touch()

    assert collect(tmp_path / "work", ["*.csv"], tmp_path / "out") == ("d/b.csv",)

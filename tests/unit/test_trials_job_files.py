"""Artifacts come out of a folder that an attacker may have filled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runner.own_folder import OwnFolder
from runner.trials import job_files
from runner.trials.job_files import Kept, collect

if TYPE_CHECKING:
    from pathlib import Path


MUCH = 1024**3


def kept(work: Path, patterns: list[str], tmp_path: Path, most_bytes: int = MUCH) -> Kept:
    return collect(work, patterns, OwnFolder(above=tmp_path), "out", most_bytes)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "models" / "deep").mkdir(parents=True)
    (folder / "models" / "a.h5").write_bytes(b"a")
    (folder / "models" / "deep" / "b.h5").write_bytes(b"bb")
    (folder / "notes.txt").write_text("n")
    return folder


def test_only_what_matches_comes_back(work: Path, tmp_path: Path) -> None:
    assert kept(work, ["models/*.h5"], tmp_path).paths == ("models/a.h5", "models/deep/b.h5")
    assert (tmp_path / "out/models/deep/b.h5").read_bytes() == b"bb"
    assert not (tmp_path / "out/notes.txt").exists()


def test_without_patterns_nothing_is_made(work: Path, tmp_path: Path) -> None:
    assert kept(work, [], tmp_path).paths == ()
    assert not (tmp_path / "out").exists()


def test_no_link_leads_out_of_the_folder(work: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.h5").write_text("secret")
    (work / "link.h5").symlink_to(secret / "key.h5")
    (work / "folder").symlink_to(secret)
    os.link(secret / "key.h5", work / "hard.h5")
    os.mkfifo(work / "pipe.h5")
    assert kept(work, ["*.h5"], tmp_path).paths == ("models/a.h5", "models/deep/b.h5")


def test_number_and_size_are_bounded(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept(work, ["*"], tmp_path, 2) == Kept(paths=("models/a.h5", "notes.txt"), left_out=1)
    monkeypatch.setattr(job_files, "MAX_FILES", 1)
    assert kept(work, ["*"], tmp_path) == Kept(paths=("models/a.h5",), left_out=2)


def test_what_an_earlier_trial_left_is_not_mixed_in(work: Path, tmp_path: Path) -> None:
    kept(work, ["*.txt"], tmp_path)
    kept(work, ["*.h5"], tmp_path)
    assert not (tmp_path / "out/notes.txt").exists()


def test_folders_in_folders_are_left_alone_from_some_depth_on(tmp_path: Path) -> None:
    deep = tmp_path / "work"
    for _ in range(100):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "a.csv").touch()
    (tmp_path / "work" / "d" / "b.csv").touch()

    assert kept(tmp_path / "work", ["*.csv"], tmp_path).paths == ("d/b.csv",)


def test_holes_count_as_what_they_are_read_as(work: Path, tmp_path: Path) -> None:
    for number in range(15):
        with (work / f"{number:02}.bin").open("wb") as file:
            file.truncate(64 * 1024**2)
    found = kept(work, ["*.bin"], tmp_path, 130 * 1024**2)
    assert found == Kept(paths=("00.bin", "01.bin"), left_out=13)
    assert sum(file.stat().st_size for file in (tmp_path / "out").iterdir()) <= 130 * 1024**2


def test_a_name_that_is_not_utf_8_is_kept_with_its_bytes_written_out(tmp_path: Path) -> None:
    place = tmp_path / "work" / os.fsdecode(b"d\xff")
    place.mkdir(parents=True)
    for name in (b"m\xfe.h5", b"\xff" * 250 + b".h5", b"d\\xff.h5"):
        (place / os.fsdecode(name)).write_bytes(b"a")
    found = kept(tmp_path / "work", ["*.h5"], tmp_path)
    assert found == Kept(paths=(r"d\xff/d\xff.h5", r"d\xff/m\xfe.h5"), left_out=1)
    assert (tmp_path / "out" / r"d\xff" / r"m\xfe.h5").read_bytes() == b"a"


def test_two_names_that_become_one_are_kept_once(tmp_path: Path) -> None:
    (tmp_path / "work" / os.fsdecode(b"\xff")).mkdir(parents=True)
    for name in (b"\xff/a.h5", rb"\xff"):
        (tmp_path / "work" / os.fsdecode(name)).write_bytes(b"a")
    assert kept(tmp_path / "work", ["*"], tmp_path) == Kept(paths=(r"\xff",), left_out=1)


def test_a_path_that_no_program_could_open_is_not_kept(work: Path, tmp_path: Path) -> None:
    place = work
    for _ in range(5):
        place /= "n" * 250
        place.mkdir()
    (place / "a.h5").touch()
    assert kept(work, ["n*.h5"], tmp_path) == Kept(left_out=1)


def test_a_folder_that_the_script_took_away_holds_nothing(tmp_path: Path) -> None:
    assert kept(tmp_path / "work", ["*"], tmp_path) == Kept()
    (tmp_path / "work").symlink_to(tmp_path)
    assert kept(tmp_path / "work", ["*"], tmp_path) == Kept()

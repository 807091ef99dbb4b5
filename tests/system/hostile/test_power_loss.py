"""The power fails: the matrix and the cache lie on a disk of their own, of which only what had reached it is left.

The disk is a file with ext4 in it, whose kernel writes by itself only after minutes; a copy of that file is what a
machine that lost its power would find.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from command import REPOSITORY, runner, table
from crashes import MATRIX, SCRIPT, started, stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = "192M"
COMMIT_S = 300
"""ext4 commits by itself so seldom: whoever does not sync loses everything."""


@contextlib.contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", f"loop,commit={COMMIT_S}", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def disk(tmp_path: Path, not_run) -> Path:
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        not_run("a disk of its own needs root and mkfs.ext4")
    image = tmp_path / "disk"
    subprocess.run(["truncate", "-s", SIZE, image], check=True)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    return image


def write_project(place: Path) -> Path:
    folder = place / "matrix"
    folder.mkdir()
    (folder / "matrix.yaml").write_text(MATRIX)
    (folder / "train.py").write_text(SCRIPT)
    return folder


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
def test_what_is_lost_runs_again_and_the_table_is_the_same(disk: Path, tmp_path: Path, monkeypatch) -> None:
    lost = tmp_path / "lost"
    with mounted(disk, tmp_path / "before") as place:
        folder = write_project(place)
        os.sync()
        monkeypatch.setenv("RUNNER_CACHE", str(place / "cache"))
        monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
        done = runner(folder, "matrix.yaml", "--engine", "venv")
        assert done.returncode == 0, done.stderr
        expected = table(folder, "venv")
        shutil.copyfile(disk, lost)  # what had reached the disk, and nothing that was still in memory
    with mounted(lost, tmp_path / "after") as place:
        folder = place / "matrix"
        monkeypatch.setenv("RUNNER_CACHE", str(place / "cache"))
        known = stored(folder)
        done = runner(folder, "matrix.yaml", "--engine", "venv")
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert not known & started(done.stderr)
        again = table(folder, "venv")
    differs = {"image", "peak_memory_bytes", "epoch_s"}
    assert [{k: v for k, v in row.items() if k not in differs} for row in again] == [
        {k: v for k, v in row.items() if k not in differs} for row in expected
    ]


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
@pytest.mark.parametrize("loss", ["nothing there", "the end is missing"])
def test_an_environment_that_lost_a_part_is_made_again_and_judges_no_script(
    loss: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    folder = write_project(tmp_path)
    (folder / "train.py").write_text(f"import six\nassert six.PY3\n{SCRIPT}")
    assert runner(folder, "build", "--engine", "venv").returncode == 0
    for module in (tmp_path / "cache" / "environments").glob("*/lib/python3.7/site-packages/six.py"):
        with module.open("r+b") as file:  # the blocks never reached the disk
            file.truncate(0 if loss == "nothing there" else 4096)
    for lock in (tmp_path / "cache" / "environments").glob("*.lock"):
        lock.write_text("another boot")
    done = runner(folder, "matrix.yaml", "--engine", "venv")
    assert done.returncode == 0, done.stderr
    assert [row["outcome"] for row in table(folder, "venv")] == ["converges", "converges"]

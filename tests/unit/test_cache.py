"""Files that are whole or not there, and folders that pass: what a dead runner left goes, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cache import begun, passing_folder, sweep_cache, write_whole
from runner.errors import MachineError

BEGIN = "import sys; from pathlib import Path; from runner.cache import begun; path = begun(Path(sys.argv[1]))"


def test_what_a_dead_runner_began_goes_when_something_is_begun_there_and_a_living_ones_stays(tmp_path):
    say = f"{BEGIN}; path.mkdir(); (path / 'half').touch(); print(path, flush=True); input()"
    command = [sys.executable, "-c", say, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        other = Path(process.stdout.readline().strip())
        begun(tmp_path)
        assert (other / "half").exists()
        process.communicate("\n")
    (tmp_path / "somebodys-own").touch()
    mine = begun(tmp_path)
    mine.touch()
    begun(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine.name, "somebodys-own"])


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(MachineError, match="taken can't be written"):
        write_whole(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_passing_folder_is_this_users_alone_and_gone_afterwards(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    with passing_folder() as folder, passing_folder() as other:
        assert folder != other
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "in it").mkdir()
    assert not folder.exists()
    assert not other.exists()


def test_what_dead_runners_began_in_the_cache_is_swept_wherever_files_are_written(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    (tmp_path / "index" / "abc").mkdir(parents=True)
    (tmp_path / "passing").mkdir()
    places = [tmp_path, tmp_path / "passing", tmp_path / "index" / "abc"]
    dead = [place / begun(place).name.replace(f"+{os.getpid()}+", "+1+") for place in places]
    living = [begun(place) for place in places]
    for path in (*dead, *living):
        path.touch()
    sweep_cache()
    assert not any(path.exists() for path in dead)
    assert all(path.exists() for path in living)


def test_what_a_dead_runner_began_beside_a_matrix_goes_with_the_next_run(command, here):
    dead = begun(here).name.replace(f"+{os.getpid()}+", "+1+")
    for name in ("", "accounts", "comparisons", "logs", "preludes", "runs"):
        (here / ".runner" / name).mkdir(parents=True, exist_ok=True)
        (here / ".runner" / name / dead).touch()
    (here / "locks" / dead).touch()
    assert command("run") == 0
    assert not list(here.rglob(dead))

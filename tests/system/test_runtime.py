"""A runtime of containers that the user names, as gVisor's or Kata's would be: a second name of the machine's own one,
on an engine of its own, which writes down what it is asked for."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from small_engine import copy_image, small_engine, why_none
from tiny_lock import ended, job_of

from runner.engines.docker.docker_engine import DockerEngine
from runner.engines.protocol import runtime_of
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.engines.protocol import Image

pytestmark = [pytest.mark.docker, pytest.mark.slow]
PYTHON = "3.7"
"""As the image of the fixture has it."""


def test_trials_run_under_the_runtime_that_is_named_and_an_unknown_one_is_refused_before_anything_runs(
    docker_image: Image,
    tmp_path: Path,
    not_run: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if reason := why_none():
        not_run(reason)
    asked, runtime = tmp_path / "asked", tmp_path / "walled"
    runtime.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexec {shutil.which("runc")} "$@"\n')
    runtime.chmod(0o755)
    with small_engine("--add-runtime", f"walled={runtime}") as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        copy_image(docker_image, engine)
        with closing(DockerEngine.connect("offline")) as usual:
            assert ended(usual.run(docker_image, job_of("exit_with_3.py", tmp_path / "usual"))) == (3, None, None)
            assert runtime_of(usual.known_identity(PYTHON) or "") == ""
        assert not asked.exists()
        with closing(DockerEngine.connect("offline", runtime="walled")) as walled:
            assert ended(walled.run(docker_image, job_of("exit_with_3.py", tmp_path / "walled-job"))) == (3, None, None)
            assert " create " in asked.read_text()
            assert "runtime: walled" in walled.describe()
            assert runtime_of(walled.known_identity(PYTHON) or "") == "walled"
            command, _ = walled.shell_command(docker_image, job_of("exit_with_3.py", tmp_path / "shell"))
            assert "--runtime=walled" in command
        with pytest.raises(UsageError, match=r"has no runtime 'runsc'; it has .*walled"):
            DockerEngine.connect("offline", runtime="runsc")

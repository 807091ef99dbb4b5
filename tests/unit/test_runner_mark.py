"""The marks of runners: which of them live, which are dead, and which cannot be told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runner.runner_mark import is_dead, this_runner


def test_this_runner_is_alive_and_its_mark_is_not_another_process() -> None:
    mark = this_runner()
    machine, pid, started = mark.split(":")
    assert not is_dead(mark)
    assert pid == str(os.getpid())
    assert is_dead(f"{machine}:{pid}:{int(started) - 1}"), "another process had this pid before"


def test_a_runner_that_has_ended_is_dead() -> None:
    say = "from runner.runner_mark import this_runner; print(this_runner(), flush=True); input()"
    command = [sys.executable, "-c", say]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        mark = process.stdout.readline().strip()
        assert not is_dead(mark)
        process.communicate("\n")
    assert is_dead(mark)


@pytest.mark.parametrize("mark", ["", "elsewhere:1:1.0", "a:b:c", "HERE:x:y"])
def test_a_runner_elsewhere_or_unreadable_is_never_called_dead(mark: str) -> None:
    assert not is_dead(mark.replace("HERE", this_runner().partition(":")[0]))
